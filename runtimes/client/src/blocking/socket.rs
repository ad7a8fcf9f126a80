//! A socket for futures that are polled by [`wait`](super::wait::wait).

use std::io::{self, IoSlice, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll};

use futures_io::{AsyncRead, AsyncWrite};

use super::park::{Readiness, Tcp};
use super::wait::until_ready;

/// A TCP socket. If it is not ready, it stores no waker: the thread that polls it waits for it, and
/// several threads may do so.
#[derive(Debug)]
pub(super) struct Socket(Arc<Tcp>);

impl Socket {
    pub(super) fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Self(Arc::new(Tcp {
            stream,
            drained: AtomicBool::new(false),
        })))
    }

    /// Makes the next read try at once, whatever the last one left.
    pub(super) fn look_again(&self) {
        self.0.drained.store(false, Relaxed);
    }

    fn attempt<T>(
        &self,
        readiness: Readiness,
        mut transfer: impl FnMut(&TcpStream) -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        loop {
            match transfer(&self.0.stream) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    until_ready(&self.0, readiness);
                    return Poll::Pending;
                }
                result => return Poll::Ready(result),
            }
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if self.0.drained.load(Relaxed) {
            until_ready(&self.0, Readiness::Read);
            return Poll::Pending;
        }
        let read = self.attempt(Readiness::Read, |mut stream| stream.read(buffer));
        if matches!(read, Poll::Ready(Ok(read)) if read > 0 && read < buffer.len()) {
            self.0.drained.store(true, Relaxed);
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
        Poll::Ready(self.0.stream.shutdown(Shutdown::Write))
    }
}
