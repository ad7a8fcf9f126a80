//! A runtime without sockets: the peer sends what a script says.

use std::future::{Future, pending};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use futures_util::io::{AsyncRead, AsyncWrite, Empty};
use sorna::net::BoxFuture;
use sorna::runtime::Runtime;

/// What the peer sends, on the first connection.
#[derive(Clone)]
pub(crate) struct Script {
    bytes: Bytes,
    /// The most bytes that one read gives.
    piece: usize,
    /// Whether the connection is left open at the end.
    stays: bool,
}

impl Script {
    pub(crate) fn new(bytes: &[u8], piece: usize, stays: bool) -> Self {
        Self {
            bytes: Bytes::copy_from_slice(bytes),
            piece,
            stays,
        }
    }

    /// The next bytes, none at the end of the connection.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Poll<usize> {
        let n = self.bytes.len().min(self.piece).min(buffer.len());
        if n == 0 && self.stays {
            return Poll::Pending;
        }
        self.bytes.copy_to_slice(&mut buffer[..n]);
        Poll::Ready(n)
    }
}

#[derive(Clone)]
pub(crate) struct Peer {
    script: Script,
    connections: Arc<AtomicUsize>,
}

impl Peer {
    pub(crate) fn new(script: Script) -> Self {
        Self {
            script,
            connections: Arc::default(),
        }
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Relaxed)
    }
}

impl Runtime for Peer {
    type Tcp = Tcp;
    type File = Empty;

    async fn resolve(&self, _: &str, _: u16) -> io::Result<Vec<SocketAddr>> {
        unreachable!("it has an address")
    }

    async fn connect(&self, _: SocketAddr) -> io::Result<Tcp> {
        match self.connections.fetch_add(1, Relaxed) {
            0 => Ok(Tcp(self.script.clone())),
            _ => Err(io::ErrorKind::ConnectionRefused.into()),
        }
    }

    async fn open(&self, _: &Path) -> io::Result<(Empty, u64)> {
        unreachable!("there are no files")
    }

    fn sleep(&self, _: Duration) -> impl Future<Output = ()> + Send {
        pending()
    }

    fn detach(&self, _: BoxFuture<()>) {}
}

/// A connection: requests are of no interest.
pub(crate) struct Tcp(Script);

impl AsyncRead for Tcp {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.0.read(buffer).map(Ok)
    }
}

impl AsyncWrite for Tcp {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
