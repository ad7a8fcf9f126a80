//! Holding a new process until it is under its limits.
//!
//! Limits can be set only on a process that exists, and by then its program could have started
//! others. So a shell is started first. It stops itself, and becomes the program when it is continued.
//! An interpreter whose runner waits for its first snippet needs no other gate.

use std::ffi::OsString;
use std::io;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};

/// How long a shell may take to stop itself.
const GATE_TIME: Duration = Duration::from_secs(10);
/// How often to check whether it has, which takes a millisecond or two. The system's call that waits
/// for it has no timeout.
const PAUSE: Duration = Duration::from_micros(100);

/// What holds a program until it is under its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gate {
    /// A shell that is started first: see [`before`].
    Shell,
    /// The program itself: it runs no code of the user and starts nothing before it gets a message,
    /// which is sent only when it is under its limits.
    Channel,
}

/// Puts the gate before a command.
pub(crate) fn before(command: Vec<OsString>) -> Vec<OsString> {
    let gate = ["/bin/sh", "-c", r#"kill -STOP $$; exec "$@""#, "sh"];
    gate.into_iter()
        .map(OsString::from)
        .chain(command)
        .collect()
}

/// Waits until the shell of a gate has stopped itself, calls `limit`, and continues it. If it has
/// ended already, that is not an error. Blocks.
pub(super) fn admit(process: u32, limit: impl FnOnce()) -> io::Result<()> {
    let id = i32::try_from(process)
        .ok()
        .and_then(Pid::from_raw)
        .ok_or(Errno::SRCH)?;
    // `NOWAIT` leaves the exit status for tokio, which waits for this process.
    let options = WaitIdOptions::STOPPED
        | WaitIdOptions::EXITED
        | WaitIdOptions::NOWAIT
        | WaitIdOptions::NOHANG;
    let until = Instant::now() + GATE_TIME;
    loop {
        match rustix::process::waitid(WaitId::Pid(id), options) {
            Ok(Some(_)) => break,
            Ok(None) | Err(Errno::INTR) if Instant::now() < until => {
                std::thread::sleep(PAUSE);
            }
            Ok(None) | Err(Errno::INTR) => {
                return Err(io::Error::other("a process did not start in time"));
            }
            // It has ended, and tokio has already collected its exit status.
            Err(Errno::CHILD) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
    limit();
    match rustix::process::kill_process(id, Signal::CONT) {
        Ok(()) | Err(Errno::SRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
