//! A socket for futures that are polled by [`wait`](super::wait::wait).

use std::io::{self, IoSlice, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_io::{AsyncRead, AsyncWrite};

use super::park::{Readiness, Tcp};
use super::wait::until_ready;

/// A TCP socket. If it is not ready, it stores no waker: the thread that polls it waits for it, and
/// several threads may do so.
#[derive(Debug)]
pub(super) struct Socket {
    tcp: Arc<Tcp>,
    /// How long the next read may block.
    patience: Duration,
    /// How long the system lets a read block.
    read_timeout: Duration,
}

impl Socket {
    pub(super) fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Self {
            tcp: Arc::new(Tcp {
                stream,
                drained: AtomicBool::new(false),
            }),
            patience: Duration::ZERO,
            read_timeout: Duration::ZERO,
        })
    }

    /// Makes the next read try at once, whatever the last one left.
    pub(super) fn look_again(&self) {
        self.tcp.drained.store(false, Relaxed);
    }

    /// Lets the next read block for up to this long, rounded down to whole seconds. That is cheaper than
    /// waiting first and reading then. Every other read and write still returns at once.
    pub(super) fn set_patience(&mut self, limit: Duration) {
        // Limits that differ by less than a second need no new timeout of the system.
        self.patience = Duration::from_secs(limit.as_secs());
    }

    /// Reads, and blocks until something is there; `None` if nothing came in time.
    fn read_patiently(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let patience = std::mem::take(&mut self.patience);
        let mut stream = &self.tcp.stream;
        if self.read_timeout != patience {
            stream.set_read_timeout(Some(patience))?;
            self.read_timeout = patience;
        }
        stream.set_nonblocking(false)?;
        let read = stream.read(buffer);
        stream.set_nonblocking(true)?;
        match read {
            Err(error) if nothing_came(&error) => Ok(None),
            read => read.map(Some),
        }
    }

    fn attempt<T>(
        &self,
        readiness: Readiness,
        mut transfer: impl FnMut(&TcpStream) -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        loop {
            match transfer(&self.tcp.stream) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    until_ready(&self.tcp, readiness);
                    return Poll::Pending;
                }
                result => return Poll::Ready(result),
            }
        }
    }
}

/// Whether a read that may block ended though the connection is sound: its time was over, or a signal
/// came.
fn nothing_came(error: &io::Error) -> bool {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => true,
        // Elsewhere it means that the peer is gone.
        io::ErrorKind::TimedOut => cfg!(windows),
        _ => false,
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let came = match self.patience {
            Duration::ZERO => None,
            _ => self.read_patiently(buffer)?,
        };
        let read = match came {
            Some(read) => Poll::Ready(Ok(read)),
            None if self.tcp.drained.load(Relaxed) => {
                until_ready(&self.tcp, Readiness::Read);
                return Poll::Pending;
            }
            None => self.attempt(Readiness::Read, |mut stream| stream.read(buffer)),
        };
        if matches!(read, Poll::Ready(Ok(read)) if read > 0 && read < buffer.len()) {
            self.tcp.drained.store(true, Relaxed);
        }
        read
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.attempt(Readiness::Write, |mut stream| stream.write(bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.attempt(Readiness::Write, |mut stream| stream.write_vectored(pieces))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.tcp.stream.shutdown(Shutdown::Write))
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};
    use std::task::Waker;
    use std::thread;
    use std::time::Instant;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn sockets() -> (Socket, TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let stream = TcpStream::connect(listener.local_addr().expect("an address"));
        let here = Socket::new(stream.expect("a connection"));
        (
            here.expect("a socket"),
            listener.accept().expect("a connection").0,
        )
    }

    fn read(socket: &mut Socket) -> Poll<io::Result<usize>> {
        Pin::new(socket).poll_read(&mut Context::from_waker(Waker::noop()), &mut [0; 8])
    }

    #[test]
    fn only_the_next_read_is_patient() {
        let (mut here, mut there) = sockets();
        let start = Instant::now();
        assert!(read(&mut here).is_pending());
        thread::scope(|scope| {
            scope.spawn(|| {
                // Most likely after the read has begun.
                thread::sleep(Duration::from_millis(20));
                there.write_all(b"x").expect("it is sent");
            });
            here.set_patience(LONG);
            assert!(matches!(read(&mut here), Poll::Ready(Ok(1))));
        });
        here.look_again();
        assert!(read(&mut here).is_pending());
        assert!(start.elapsed() < LONG);
    }

    #[test]
    fn patience_ends() {
        let (mut here, mut there) = sockets();
        here.set_patience(Duration::from_millis(1500));
        assert!(read(&mut here).is_pending());
        assert!(read(&mut here).is_pending());
        // Too short for a timeout of the system: the read does not block.
        here.set_patience(Duration::from_millis(999));
        assert!(read(&mut here).is_pending());
        there.write_all(b"x").expect("it is sent");
        here.set_patience(LONG);
        assert!(matches!(read(&mut here), Poll::Ready(Ok(1))));
    }

    #[test]
    fn end_of_the_connection_ends_a_patient_read() {
        let (mut here, there) = sockets();
        drop(there);
        here.set_patience(LONG);
        assert!(matches!(read(&mut here), Poll::Ready(Ok(0))));
    }
}
