//! Accepting and serving connections.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use sorna_core::ProblemKind;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_io_timeout::TimeoutStream;

use super::permit::Permit;
use super::service::Service;
use crate::config::GatewayConfig;

/// The pause after a failure to accept, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// The most bytes of a request's head.
const HEAD_LIMIT: usize = 64 * 1024;
/// How many connections beyond the limit get an error response at a time; others are just closed.
const MAX_REJECTIONS: usize = 64;
/// How long and how many bytes to read from such a connection: if data is unread when it is closed,
/// the response is lost.
const REJECTION_LIMITS: (Duration, u64) = (Duration::from_secs(1), 64 * 1024);

/// How many connections there may be, and how long clients may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConnectionLimits {
    head_timeout: Duration,
    write_timeout: Duration,
    connections: usize,
}

impl ConnectionLimits {
    pub(crate) fn new(config: &GatewayConfig) -> Self {
        Self {
            head_timeout: config.head_timeout(),
            write_timeout: config.write_timeout(),
            connections: config.max_connections().min(Semaphore::MAX_PERMITS),
        }
    }
}

/// Turns TCP connections into streams of bytes.
#[derive(Clone)]
pub(crate) enum Acceptor {
    Plain,
    #[cfg(feature = "tls")]
    Tls(tokio_rustls::TlsAcceptor),
}

/// Serves connections forever. Dropping the future closes them.
pub(crate) async fn serve(
    listener: TcpListener,
    acceptor: Acceptor,
    service: Arc<Service>,
    limits: ConnectionLimits,
) {
    let room = Arc::new(Semaphore::new(limits.connections));
    let rejections = Arc::new(Semaphore::new(MAX_REJECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        match accepted {
            Ok((stream, _)) => {
                service.note_connection();
                // Responses are short, and clients wait for them.
                let _ = stream.set_nodelay(true);
                if let Ok(permit) = Arc::clone(&room).try_acquire_owned() {
                    let (acceptor, service) = (acceptor.clone(), Arc::clone(&service));
                    let permit = Arc::new(permit);
                    connections.spawn(acceptor.serve_one(stream, service, limits, permit));
                } else {
                    tracing::warn!(limit = limits.connections, "too many connections");
                    if let (Acceptor::Plain, Ok(permit)) =
                        (&acceptor, Arc::clone(&rejections).try_acquire_owned())
                    {
                        connections.spawn(reject(stream, permit));
                    }
                }
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Sends the error response for too many connections.
async fn reject(mut stream: TcpStream, _permit: OwnedSemaphorePermit) {
    let problem = ProblemKind::ServiceUnavailable.reply_with("too many connections");
    let (parts, body) = problem.into_response().into_parts();
    let mut response = format!("HTTP/1.1 {}\r\nconnection: close\r\n", parts.status).into_bytes();
    for (name, value) in &parts.headers {
        response.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    response.extend(format!("content-length: {}\r\n\r\n", body.len()).into_bytes());
    response.extend(body);
    let (time, bytes) = REJECTION_LIMITS;
    let send = async {
        stream.write_all(&response).await?;
        stream.shutdown().await?;
        tokio::io::copy(&mut stream.take(bytes), &mut tokio::io::sink()).await
    };
    // Best effort: the client may be gone.
    let _ = tokio::time::timeout(time, send).await;
}

impl Acceptor {
    async fn serve_one(
        self,
        stream: TcpStream,
        service: Arc<Service>,
        limits: ConnectionLimits,
        permit: Permit,
    ) {
        match self {
            Self::Plain => serve_stream(stream, service, limits, permit).await,
            #[cfg(feature = "tls")]
            Self::Tls(acceptor) => {
                let accepted = acceptor.accept(stream);
                match tokio::time::timeout(limits.head_timeout, accepted).await {
                    Ok(Ok(stream)) => serve_stream(stream, service, limits, permit).await,
                    Ok(Err(error)) => tracing::debug!(%error, "the TLS handshake failed"),
                    Err(_) => tracing::debug!("the TLS handshake timed out"),
                }
            }
        }
    }
}

async fn serve_stream<S>(stream: S, service: Arc<Service>, limits: ConnectionLimits, permit: Permit)
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let handle = service_fn(|mut request: Request<Incoming>| {
        let service = Arc::clone(&service);
        request.extensions_mut().insert(Arc::clone(&permit));
        async move { Ok::<_, Infallible>(service.handle(request).await) }
    });
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(limits.write_timeout));
    // If a client closes its end in the middle of a request, the handler's future is dropped.
    // Upgrades are for terminals.
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout)
        .max_buf_size(HEAD_LIMIT)
        .serve_connection(TokioIo::new(Box::pin(stream)), handle)
        .with_upgrades();
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a connection failed");
    }
}
