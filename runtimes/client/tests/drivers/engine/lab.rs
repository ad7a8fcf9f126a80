//! Runtimes for tests: the real ones, and a wrapper that watches and interferes.

use std::future::{Future, pending};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_io::{AsyncRead, AsyncWrite};
use http::{Request, Response};
use sorna::TransportError;
use sorna::engine::HttpTransport;
use sorna::net::{BoxFuture, NetOptions, Transport};
use sorna::protocol::Body;
use sorna::runtime::Runtime;

/// A time limit that no passing test comes near.
pub(crate) const LONG: Duration = Duration::from_secs(30);

#[cfg(feature = "tokio")]
pub(crate) fn on_tokio(check: impl Future<Output = ()>) {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap().block_on(check);
}

#[cfg(feature = "smol")]
pub(crate) fn on_smol(check: impl Future<Output = ()>) {
    smol::block_on(check);
}

#[cfg(feature = "async-std")]
pub(crate) fn on_async_std(check: impl Future<Output = ()>) {
    async_std::task::block_on(check);
}

pub(crate) fn client<R: Runtime>(runtime: R) -> HttpTransport<R> {
    HttpTransport::new(runtime, NetOptions::default())
}

pub(crate) async fn get<T: Transport>(
    client: &T,
    url: &str,
) -> Result<Response<Bytes>, TransportError> {
    let request = Request::get(url).body(Body::empty()).unwrap();
    client.send(request, LONG).await
}

pub(crate) async fn post<T: Transport>(
    client: &T,
    url: &str,
    body: impl Into<Body>,
) -> Result<Response<Bytes>, TransportError> {
    let request = Request::post(url).body(body.into()).unwrap();
    client.send(request, LONG).await
}

/// The error and everything below it, as a user would see it.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}

/// A runtime that records what is done through it.
#[derive(Clone)]
pub(crate) struct Lab<R> {
    runtime: R,
    /// What every name resolves to; empty for the system's own resolver.
    pub(crate) addresses: Vec<SocketAddr>,
    /// Connecting to these never ends.
    pub(crate) silent: Vec<SocketAddr>,
    pub(crate) log: Arc<Mutex<Log>>,
}

#[derive(Default)]
pub(crate) struct Log {
    /// Every address that was tried.
    pub(crate) connects: Vec<SocketAddr>,
    /// The bytes that each write offered to the socket.
    pub(crate) writes: Vec<Vec<u8>>,
    /// How many bytes were read from sockets.
    pub(crate) read: usize,
}

impl<R> Lab<R> {
    pub(crate) fn new(runtime: R) -> Self {
        Self {
            runtime,
            addresses: Vec::new(),
            silent: Vec::new(),
            log: Arc::default(),
        }
    }
}

impl<R: Runtime> Runtime for Lab<R> {
    type Tcp = LabTcp<R::Tcp>;
    type File = R::File;

    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        if self.addresses.is_empty() {
            return self.runtime.resolve(host, port).await;
        }
        Ok(self.addresses.clone())
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<Self::Tcp> {
        self.log.lock().unwrap().connects.push(address);
        if self.silent.contains(&address) {
            return pending().await;
        }
        Ok(LabTcp {
            tcp: self.runtime.connect(address).await?,
            log: Arc::clone(&self.log),
        })
    }

    fn open(&self, path: &Path) -> impl Future<Output = io::Result<(Self::File, u64)>> + Send {
        self.runtime.open(path)
    }

    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send {
        self.runtime.sleep(duration)
    }

    fn detach(&self, work: BoxFuture<()>) {
        self.runtime.detach(work);
    }
}

pub(crate) struct LabTcp<T> {
    tcp: T,
    log: Arc<Mutex<Log>>,
}

impl<T: AsyncRead + Unpin> AsyncRead for LabTcp<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let read = Pin::new(&mut self.tcp).poll_read(cx, buf);
        if let Poll::Ready(Ok(n)) = read {
            self.log.lock().unwrap().read += n;
        }
        read
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for LabTcp<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.tcp).poll_write(cx, buf);
        if wrote.is_ready() {
            self.log.lock().unwrap().writes.push(buf.to_vec());
        }
        wrote
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_close(cx)
    }
}
