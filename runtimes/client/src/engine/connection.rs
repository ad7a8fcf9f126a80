//! A connected stream, encrypted or not.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_io::{AsyncRead, AsyncWrite};
use futures_rustls::client::TlsStream;

use crate::runtime::{Runtime, nothing_to_read};

/// A connection to a gateway, through a proxy and TLS where the options and the URL say so.
pub struct Connection<T>(Kind<T>);

enum Kind<T> {
    Plain(T),
    Tls(Box<TlsStream<T>>),
}

impl<T> Connection<T> {
    pub(super) fn plain(tcp: T) -> Self {
        Self(Kind::Plain(tcp))
    }

    pub(super) fn tls(tls: TlsStream<T>) -> Self {
        Self(Kind::Tls(Box::new(tls)))
    }

    /// Whether the connection is encrypted.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        matches!(self.0, Kind::Tls(_))
    }
}

#[cfg(feature = "ureq")]
impl<T> Connection<T> {
    /// The socket.
    pub(crate) fn tcp(&mut self) -> &mut T {
        match &mut self.0 {
            Kind::Plain(tcp) => tcp,
            Kind::Tls(tls) => tls.get_mut().0,
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Connection<T> {
    /// Whether the peer has sent nothing since the last read.
    pub(crate) fn is_quiet<R: Runtime<Tcp = T>>(&mut self, runtime: &R) -> bool {
        match &mut self.0 {
            Kind::Plain(tcp) => runtime.is_quiet(tcp),
            // Records that carry no data, such as session tickets, do not count.
            Kind::Tls(tls) => nothing_to_read(tls),
        }
    }
}

impl<T> fmt::Debug for Connection<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("secure", &self.is_secure())
            .finish_non_exhaustive()
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncRead for Connection<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.0 {
            Kind::Plain(io) => Pin::new(io).poll_read(cx, buf),
            Kind::Tls(io) => Pin::new(io).poll_read(cx, buf),
        }
    }

    fn poll_read_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.0 {
            Kind::Plain(io) => Pin::new(io).poll_read_vectored(cx, bufs),
            Kind::Tls(io) => Pin::new(io).poll_read_vectored(cx, bufs),
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Connection<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.0 {
            Kind::Plain(io) => Pin::new(io).poll_write(cx, buf),
            Kind::Tls(io) => Pin::new(io).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.0 {
            Kind::Plain(io) => Pin::new(io).poll_write_vectored(cx, bufs),
            Kind::Tls(io) => Pin::new(io).poll_write_vectored(cx, bufs),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Kind::Plain(io) => Pin::new(io).poll_flush(cx),
            Kind::Tls(io) => Pin::new(io).poll_flush(cx),
        }
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Kind::Plain(io) => Pin::new(io).poll_close(cx),
            Kind::Tls(io) => Pin::new(io).poll_close(cx),
        }
    }
}
