//! A TCP socket that keeps a time limit over many reads and writes.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// When something has to be done; perhaps never.
#[derive(Clone, Copy, Debug)]
pub(in crate::blocking) struct Deadline(Option<Instant>);

impl Deadline {
    pub(in crate::blocking) fn after(limit: Duration) -> Self {
        Self(Instant::now().checked_add(limit))
    }

    /// The time that is left, more than none; `None` if there is no limit.
    pub(super) fn left(self) -> io::Result<Option<Duration>> {
        let left = self
            .0
            .map(|end| end.saturating_duration_since(Instant::now()));
        match left {
            Some(Duration::ZERO) => Err(late()),
            left => Ok(left),
        }
    }
}

/// The source of an I/O error that says that a [`Deadline`] passed. The system reports other
/// timeouts, with the same kind.
#[derive(Debug)]
struct Late;

impl fmt::Display for Late {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("time ran out")
    }
}

impl std::error::Error for Late {}

pub(super) fn late() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, Late)
}

/// Whether a [`Deadline`] passed.
pub(in crate::blocking) fn is_late(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<Late>())
}

/// A socket that blocks until its deadline; or, once there is none, does not block at all.
#[derive(Debug)]
pub(super) struct Socket {
    tcp: TcpStream,
    deadline: Option<Deadline>,
}

impl Socket {
    pub(super) fn new(tcp: TcpStream, deadline: Deadline) -> Self {
        Self {
            tcp,
            deadline: Some(deadline),
        }
    }

    pub(super) fn tcp(&self) -> &TcpStream {
        &self.tcp
    }

    pub(super) fn set_deadline(&mut self, deadline: Deadline) {
        self.deadline = Some(deadline);
    }

    pub(super) fn stop_blocking(&mut self) -> io::Result<()> {
        self.tcp.set_nonblocking(true)?;
        self.deadline = None;
        Ok(())
    }
}

/// What a blocking socket reports when its time is over differs between systems.
fn timed(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::WouldBlock => late(),
        io::ErrorKind::TimedOut if cfg!(windows) => late(),
        _ => error,
    }
}

/// Does it again after a signal, or after the process was stopped: the system does not where a socket
/// has a time limit.
fn uninterrupted(mut transfer: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match transfer() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(deadline) = self.deadline else {
            return self.tcp.read(buffer);
        };
        uninterrupted(|| {
            self.tcp.set_read_timeout(deadline.left()?)?;
            self.tcp.read(buffer).map_err(timed)
        })
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(deadline) = self.deadline else {
            return self.tcp.write(bytes);
        };
        uninterrupted(|| {
            self.tcp.set_write_timeout(deadline.left()?)?;
            self.tcp.write(bytes).map_err(timed)
        })
    }

    fn write_vectored(&mut self, pieces: &[io::IoSlice<'_>]) -> io::Result<usize> {
        let Some(deadline) = self.deadline else {
            return self.tcp.write_vectored(pieces);
        };
        uninterrupted(|| {
            self.tcp.set_write_timeout(deadline.left()?)?;
            self.tcp.write_vectored(pieces).map_err(timed)
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.tcp.flush()
    }
}
