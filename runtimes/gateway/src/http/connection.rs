//! Accepting and serving connections.

use std::convert::Infallible;
use std::fs::File;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustix::io::Errno;
use rustix::net::sockopt::{self, set_socket_send_buffer_size};
use sorna_core::ProblemKind;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_io_timeout::TimeoutStream;

use super::body::Held;
use super::head::HEAD_LIMIT;
use super::room::Seat;
use super::service::Service;
use crate::config::GatewayConfig;
use crate::kernel::Peer;

/// The pause after a failure to accept, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How many connections beyond the limit get an error response at a time; others are just closed.
const MAX_REJECTIONS: usize = 64;
/// How many file descriptors are kept for connections that are told that there are none left.
const SPARE: usize = 8;
/// How long and how many bytes to read from such a connection: if data is unread when it is closed,
/// the response is lost.
const REJECTION_LIMITS: (Duration, u64) = (Duration::from_secs(1), 64 * 1024);

/// How much the system buffers of what is sent over a WebSocket, in bytes (it doubles this). A program's output may be read
/// slowly, and what is buffered is shown before anything that happens after an interrupt; by itself, the system buffers some
/// MB.
const LIVE_BUFFER: usize = 32 * 1024;

/// After how long without a sign the system asks whether a client is still there, how often, and how many times.
const ASK_AFTER: Duration = Duration::from_secs(60);
const ASK_EVERY: Duration = Duration::from_secs(15);
const ASKED: u32 = 4;

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
            connections: config.max_connections(),
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
    let room = Arc::clone(service.room());
    let rejections = Arc::new(Semaphore::new(MAX_REJECTIONS));
    let mut connections = JoinSet::new();
    // Given up when there are no more, so that some connections at a time can be told why they get no response.
    let mut spare = Vec::with_capacity(SPARE);
    loop {
        let more = std::iter::from_fn(|| File::open("/dev/null").ok());
        spare.extend(more.take(SPARE - spare.len()));
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                if !is_out_of_files(&error) || spare.pop().is_none() {
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
                // The system says so before it looks whether a connection waits: no one has to leave for none.
                let Some(Ok((stream, address))) = at_once(listener.accept()).await else {
                    continue;
                };
                if !room.make_room() {
                    if matches!(acceptor, Acceptor::Plain) {
                        connections
                            .spawn(reject(stream, "the gateway has no file descriptors left"));
                    }
                    continue;
                }
                (stream, address)
            }
        };
        service.note_connection();
        // Responses are short, and clients wait for them.
        let _ = stream.set_nodelay(true);
        keep_alive(&stream);
        if let Some(seat) = room.enter(address.ip()) {
            let (acceptor, service) = (acceptor.clone(), Arc::clone(&service));
            connections.spawn(async move {
                tokio::select! {
                    () = acceptor.serve_one(stream, service, limits, &seat) => {}
                    () = seat.must_leave() => {
                        tracing::debug!("a connection was closed to make room");
                    }
                }
            });
        } else {
            tracing::warn!(limit = limits.connections, "too many connections");
            if let (Acceptor::Plain, Ok(permit)) =
                (&acceptor, Arc::clone(&rejections).try_acquire_owned())
            {
                connections.spawn(async move {
                    reject(stream, "too many connections").await;
                    drop(permit);
                });
            }
        }
    }
}

fn is_out_of_files(error: &io::Error) -> bool {
    [Errno::MFILE, Errno::NFILE]
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

/// What the future gives without waiting.
async fn at_once<F: Future>(future: F) -> Option<F::Output> {
    tokio::select! {
        biased;
        output = future => Some(output),
        () = std::future::ready(()) => None,
    }
}

/// Has the system find out when the client of a connection is gone without a word, so that its terminal is not attached any
/// more.
fn keep_alive(stream: &TcpStream) {
    let _ = sockopt::set_socket_keepalive(stream, true);
    let _ = sockopt::set_tcp_keepidle(stream, ASK_AFTER);
    let _ = sockopt::set_tcp_keepintvl(stream, ASK_EVERY);
    let _ = sockopt::set_tcp_keepcnt(stream, ASKED);
}

/// Sends the error response for a connection that there is no room for.
async fn reject(mut stream: TcpStream, why: &str) {
    let problem = ProblemKind::ServiceUnavailable.reply_with(why);
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
        seat: &Arc<Seat>,
    ) {
        // One that sends nothing takes no more memory than it has to: there may be thousands.
        let mut first = [0];
        let arrived = tokio::time::timeout(limits.head_timeout, stream.peek(&mut first)).await;
        if !matches!(arrived, Ok(Ok(1))) {
            return tracing::debug!("a connection sent nothing");
        }
        match self {
            Self::Plain => Box::pin(serve_stream(stream, service, limits, seat)).await,
            #[cfg(feature = "tls")]
            Self::Tls(acceptor) => {
                let accepted = Box::pin(acceptor.accept(stream));
                match tokio::time::timeout(limits.head_timeout, accepted).await {
                    Ok(Ok(stream)) => Box::pin(serve_stream(stream, service, limits, seat)).await,
                    Ok(Err(error)) => tracing::debug!(%error, "the TLS handshake failed"),
                    Err(_) => tracing::debug!("the TLS handshake timed out"),
                }
            }
        }
    }
}

async fn serve_stream<S>(
    stream: S,
    service: Arc<Service>,
    limits: ConnectionLimits,
    seat: &Arc<Seat>,
) where
    S: AsyncRead + AsyncWrite + OverTcp + Send + Unpin + 'static,
{
    let peer = Peer::default();
    let handle = service_fn(|mut request: Request<Incoming>| {
        let service = Arc::clone(&service);
        let permit = seat.begin();
        request.extensions_mut().insert(Arc::clone(&permit));
        request.extensions_mut().insert(peer.next());
        async move {
            let response = service.handle(request).await;
            Ok::<_, Infallible>(response.map(|body| Held::new(body, permit)))
        }
    });
    let seat = Arc::clone(seat);
    let is_live = false;
    let mut stream = TimeoutStream::new(Counted {
        stream,
        seat,
        peer: peer.clone(),
        is_live,
    });
    stream.set_write_timeout(Some(limits.write_timeout));
    // If a client closes its end in the middle of a request, the handler's future is dropped.
    // Upgrades are for terminals.
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head_timeout)
            .max_buf_size(HEAD_LIMIT)
            .serve_connection(TokioIo::new(Box::pin(stream)), handle)
            .with_upgrades()
    );
    // Dropped before the connection, which may have responses that were not sent.
    let _presence = peer.presence();
    if let Err(error) = connection.as_mut().await {
        tracing::debug!(%error, "a connection failed");
    }
}

/// A stream over TCP.
trait OverTcp {
    fn tcp(&self) -> &TcpStream;
}

impl OverTcp for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }
}

#[cfg(feature = "tls")]
impl OverTcp for tokio_rustls::server::TlsStream<TcpStream> {
    fn tcp(&self) -> &TcpStream {
        self.get_ref().0
    }
}

/// A stream that tells its connection's seat how much was read, and buffers less once that is a WebSocket.
struct Counted<S> {
    stream: S,
    seat: Arc<Seat>,
    peer: Peer,
    is_live: bool,
}

impl<S: OverTcp> Counted<S> {
    fn look(&mut self) {
        if !self.is_live && self.seat.is_live() {
            self.is_live = true;
            // It goes on with more, if it has to.
            let _ = set_socket_send_buffer_size(self.stream.tcp(), LIVE_BUFFER);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = ready!(Pin::new(&mut self.stream).poll_read(context, buffer));
        read.inspect_err(|_| self.peer.note_broken())?;
        self.seat.received(buffer.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + OverTcp + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.look();
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.look();
        Pin::new(&mut self.stream).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
