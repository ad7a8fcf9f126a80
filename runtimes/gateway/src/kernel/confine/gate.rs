//! Where a new process waits until it is under its limits.
//!
//! A process can be put under limits only when it is there, and by then the program could have
//! started others. So a shell comes first, which stops itself, and becomes the program when it is
//! told to go on. An interpreter whose runner waits for its first snippet needs no other gate.

use std::ffi::OsString;
use std::io;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};

/// How long a shell may take to come to the gate.
const GATE_TIME: Duration = Duration::from_secs(10);
/// How often to look whether it has. It takes a millisecond or two, and there is no waiting for a
/// process to stop that would ever give up.
const PAUSE: Duration = Duration::from_micros(100);

/// What keeps a program until it is under its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gate {
    /// A shell before it: see [`before`].
    Shell,
    /// The program itself: nothing of the kernel's runs in it, nor does it start anything, before
    /// it gets a message, which is sent only when it has been put under its limits.
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

/// Waits until a process is at the gate, does what is to be done with it, and lets it go. One that
/// has ended before is let go as well. Blocks.
pub(super) fn admit(process: u32, limit: impl FnOnce()) -> io::Result<()> {
    let id = i32::try_from(process)
        .ok()
        .and_then(Pid::from_raw)
        .ok_or(Errno::SRCH)?;
    // Its end is for somebody else to hear.
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
                return Err(io::Error::other("a process does not come to its start"));
            }
            // It has ended, and somebody has heard of it.
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
