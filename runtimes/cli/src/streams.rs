//! Standard output and standard error, for a command that must stop when it is told to, even if a full pipe or a paused
//! terminal takes nothing more.
//!
//! Once [`start`] was called, a separate thread for each does the writing, and [`write`] waits for it: if the command is
//! stopped, for no longer than [`PATIENCE`]. What one of them does not take is no reason not to write to the other. What can be
//! written without waiting is written at once, without the thread.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use crate::lock::lock;

/// How long a command that is stopped waits for a reader.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often it is looked whether the command is stopped.
const LOOK: Duration = Duration::from_millis(50);

/// Where to write to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    Stdout,
    Stderr,
}

impl Stream {
    fn writer(self) -> &'static OnceLock<Mutex<Writer>> {
        match self {
            Self::Stdout => &STDOUT,
            Self::Stderr => &STDERR,
        }
    }

    fn write(self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Stdout => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(bytes).and_then(|()| stdout.flush())
            }
            Self::Stderr => io::stderr().write_all(bytes),
        }
    }
}

/// The thread that writes to one of them.
struct Writer {
    to: SyncSender<Vec<u8>>,
    done: Receiver<io::Result<()>>,
    is_stopped: fn() -> bool,
    /// Whether it was given up.
    is_stuck: bool,
}

static STDOUT: OnceLock<Mutex<Writer>> = OnceLock::new();
static STDERR: OnceLock<Mutex<Writer>> = OnceLock::new();

/// From now on, writing ends soon after the command is stopped.
pub(crate) fn start(is_stopped: fn() -> bool) -> io::Result<()> {
    for stream in [Stream::Stdout, Stream::Stderr] {
        let writer = Mutex::new(Writer::start(stream, is_stopped)?);
        // A command starts it once.
        let _ = stream.writer().set(writer);
    }
    Ok(())
}

/// Writes all of it.
pub(crate) fn write(stream: Stream, bytes: &[u8]) -> io::Result<()> {
    match stream.writer().get() {
        _ if bytes.is_empty() => Ok(()),
        Some(writer) => lock(writer).write(stream, bytes),
        None => stream.write(bytes),
    }
}

/// Writes as much as can be written without waiting, which may be nothing. Pipes and the null device can tell; terminals and
/// some file systems cannot.
#[cfg(target_os = "linux")]
fn write_at_once(stream: Stream, bytes: &[u8]) -> io::Result<usize> {
    use rustix::io::{Errno, ReadWriteFlags, pwritev2};

    /// Where the file is, as for a usual write.
    const HERE: u64 = u64::MAX;

    let file = match stream {
        Stream::Stdout => rustix::stdio::stdout(),
        Stream::Stderr => rustix::stdio::stderr(),
    };
    let written = pwritev2(
        file,
        &[io::IoSlice::new(bytes)],
        HERE,
        ReadWriteFlags::NOWAIT,
    );
    match written {
        // The reader has closed its end of the pipe.
        Err(Errno::PIPE) => Err(Errno::PIPE.into()),
        // Whatever else is in the way, a usual write says.
        written => Ok(written.unwrap_or(0)),
    }
}

#[cfg(not(target_os = "linux"))]
fn write_at_once(_: Stream, _: &[u8]) -> io::Result<usize> {
    Ok(0)
}

/// Writes lines for a shell to evaluate to standard output, which is closed then, so that a command substitution ends while the
/// command continues in the background.
pub(crate) fn announce(lines: &[u8]) -> io::Result<()> {
    write(Stream::Stdout, lines)?;
    if !io::stdout().is_terminal() {
        let nothing: File = OpenOptions::new().write(true).open("/dev/null")?;
        rustix::stdio::dup2_stdout(&nothing)?;
    }
    Ok(())
}

impl Writer {
    fn start(stream: Stream, is_stopped: fn() -> bool) -> io::Result<Self> {
        let (to, from) = sync_channel::<Vec<u8>>(0);
        let (send, done) = sync_channel(0);
        let write = move || {
            for bytes in from {
                if send.send(stream.write(&bytes)).is_err() {
                    return;
                }
            }
        };
        thread::Builder::new()
            .name("writer".to_owned())
            .spawn(write)?;
        Ok(Self {
            to,
            done,
            is_stopped,
            is_stuck: false,
        })
    }

    fn write(&mut self, stream: Stream, bytes: &[u8]) -> io::Result<()> {
        let not_read = || io::Error::new(io::ErrorKind::TimedOut, "it is not read");
        if self.is_stuck {
            return Err(not_read());
        }
        let rest = bytes.get(write_at_once(stream, bytes)?..);
        let Some(rest) = rest.filter(|rest| !rest.is_empty()) else {
            return Ok(());
        };
        if self.to.send(rest.to_vec()).is_err() {
            return Err(not_read());
        }
        let mut stopped: Option<Instant> = None;
        loop {
            match self.done.recv_timeout(LOOK) {
                Ok(result) => return result,
                Err(RecvTimeoutError::Timeout) => {
                    let is_stopped = (self.is_stopped)();
                    if !is_stopped || stopped.get_or_insert_with(Instant::now).elapsed() < PATIENCE
                    {
                        continue;
                    }
                }
                Err(RecvTimeoutError::Disconnected) => {}
            }
            self.is_stuck = true;
            return Err(not_read());
        }
    }
}
