//! The WebSocket of a client at a kernel.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http::header::{
    CONNECTION, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::request::Parts;
use http::{Response, StatusCode};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::{Instant, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message as Frame};

use super::frames::{self, Protocol, V1};
use super::kernels::{Entry, Taken};
use super::reply::Problem;
use crate::lock::lock;

/// A connection over which a WebSocket is spoken.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// The largest message that is accepted from a client, in bytes.
const MOST: usize = 16 * 1024 * 1024;
/// How often to ask for a sign of the client, and after how long without one it is gone.
const PING: Duration = Duration::from_secs(30);
const SILENCE: Duration = Duration::from_secs(120);
/// The most that is written for a ping or pong, in bytes.
const MOST_OF_PING: usize = 127;
/// How long to wait for the client's close frame, and for more of what it still sends.
const FAREWELL: Duration = Duration::from_secs(2);
/// How much of that is read, in bytes, and for how long.
const MOST_DISCARDED: usize = 256 * 1024 * 1024;
const DISCARDING: Duration = Duration::from_secs(60);

/// The 101 response to the handshake of RFC 6455, and the subprotocol.
pub(super) fn accept(head: &Parts) -> Result<(Response<Bytes>, Protocol), Problem> {
    let words = |name: HeaderName| {
        let values = head.headers.get_all(name).iter();
        let texts = values.filter_map(|value| value.to_str().ok());
        texts
            .flat_map(|text| text.split(','))
            .map(|word| word.trim().to_owned())
            .collect::<Vec<_>>()
    };
    let has = |name, word: &str| words(name).iter().any(|it| it.eq_ignore_ascii_case(word));
    let key = head.headers.get(SEC_WEBSOCKET_KEY);
    let asks =
        has(UPGRADE, "websocket") && has(CONNECTION, "upgrade") && has(SEC_WEBSOCKET_VERSION, "13");
    let accepted = key
        .filter(|_| asks)
        .and_then(|key| HeaderValue::try_from(derive_accept_key(key.as_bytes())).ok())
        .ok_or_else(|| Problem::bad("Can \"Upgrade\" only to \"WebSocket\"."))?;
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accepted);
    if words(SEC_WEBSOCKET_PROTOCOL).iter().any(|it| it == V1) {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(V1));
        return Ok((response, Protocol::V1));
    }
    Ok((response, Protocol::Json))
}

/// When a client was last seen to be there.
#[derive(Clone)]
struct Seen(Arc<Mutex<Instant>>);

impl Seen {
    fn now(&self) {
        *lock(&self.0) = Instant::now();
    }

    fn is_silent(&self) -> bool {
        lock(&self.0).elapsed() > SILENCE
    }
}

/// A connection that takes note of what the client takes and sends.
struct Watched {
    io: Box<dyn Io>,
    seen: Seen,
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.io).poll_read(context, buffer))?;
        self.seen.now();
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let count = ready!(Pin::new(&mut self.io).poll_write(context, bytes))?;
        // A ping is taken by the network, whether the client is there or not.
        if count > MOST_OF_PING {
            self.seen.now();
        }
        Poll::Ready(Ok(count))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

/// Serves a client until it leaves, or the kernel ends. What it has missed is kept for when it comes back if it `is_named`.
pub(super) async fn serve(
    io: Box<dyn Io>,
    protocol: Protocol,
    entry: Arc<Entry>,
    session: String,
    is_named: bool,
) {
    let config = WebSocketConfig::default()
        // Allocated for each socket; the default is 128 KiB.
        .read_buffer_size(8 * 1024)
        .max_message_size(Some(MOST))
        .max_frame_size(Some(MOST))
        .write_buffer_size(0);
    let seen = Seen(Arc::new(Mutex::new(Instant::now())));
    let io = Watched {
        io,
        seen: seen.clone(),
    };
    let socket = WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await;
    let Some(connected) = entry.hub.connect(&session, is_named) else {
        return part(socket, close(CloseCode::Normal, "the kernel has ended")).await;
    };
    let (mut sink, mut stream) = socket.split();
    let end = {
        let listen = async {
            while let Some(frame) = stream.next().await {
                let read = match frame {
                    Ok(frame @ (Frame::Text(_) | Frame::Binary(_))) => {
                        frames::read(protocol, frame)
                    }
                    Ok(_) => continue,
                    Err(error) => return fault(&error),
                };
                let taken = read.map(|message| entry.take(&message, &session));
                match taken {
                    Ok(Taken::Passed) => {}
                    Ok(Taken::Ignored(reason)) | Err(reason) => {
                        tracing::debug!("a message of Jupyter was ignored: {reason}");
                    }
                    Ok(Taken::TooMany) => {
                        return Some(close(CloseCode::Policy, "too many requests wait"));
                    }
                }
            }
            None
        };
        let speak = async {
            let mut ping = tokio::time::interval_at(Instant::now() + PING, PING);
            loop {
                tokio::select! {
                    next = entry.hub.next(&connected) => match next {
                        Some(message) => {
                            if sink.send(message.frame(protocol)).await.is_err() {
                                return None;
                            }
                            entry.hub.sent(&connected);
                        }
                        None => return Some(close(CloseCode::Normal, "the kernel has ended")),
                    },
                    _ = ping.tick() => {
                        if sink.send(Frame::Ping(Bytes::new())).await.is_err() {
                            return None;
                        }
                    }
                }
            }
        };
        let watch = async {
            let mut look = tokio::time::interval(PING);
            loop {
                look.tick().await;
                if seen.is_silent() {
                    return;
                }
            }
        };
        // The first and the last of these look at nothing that a client which takes nothing could hold up.
        tokio::select! {
            biased;
            () = connected.replaced.notified() => {
                Some(close(CloseCode::Normal, "another connection has this session"))
            }
            end = listen => end,
            end = speak => end,
            () = watch => None,
        }
    };
    entry.hub.disconnect(connected);
    drop(entry);
    if let Some(frame) = end
        && let Ok(socket) = sink.reunite(stream)
    {
        part(socket, frame).await;
    }
}

/// Parts with a client, so that it learns why: a connection that is closed with unread data is reset, and loses what was sent last.
async fn part(mut socket: WebSocketStream<Watched>, frame: Frame) {
    let farewell = async {
        socket.send(frame).await?;
        while let Some(Ok(_)) = socket.next().await {}
        Ok::<_, Error>(())
    };
    if matches!(timeout(FAREWELL, farewell).await, Ok(Err(_))) {
        return;
    }
    let io = socket.get_mut();
    let rest = async {
        // It sees the end then.
        timeout(FAREWELL, io.shutdown()).await.ok()?.ok()?;
        let mut buffer = vec![0; 16 * 1024];
        let mut count = 0;
        while count < MOST_DISCARDED {
            count += match timeout(FAREWELL, io.read(&mut buffer)).await {
                Ok(Ok(more @ 1..)) => more,
                _ => break,
            };
        }
        Some(())
    };
    let _ = timeout(DISCARDING, rest).await;
}

/// What a client is told that breaks the protocol; `None` if it is gone.
fn fault(error: &Error) -> Option<Frame> {
    Some(match error {
        Error::Capacity(_) => close(CloseCode::Size, "a message may have 16 MiB"),
        Error::Utf8(_) => close(CloseCode::Invalid, "the text is not UTF-8"),
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => return None,
        Error::Protocol(_) => close(
            CloseCode::Protocol,
            "this breaks the protocol of WebSockets",
        ),
        _ => return None,
    })
}

fn close(code: CloseCode, reason: &'static str) -> Frame {
    Frame::Close(Some(CloseFrame {
        code,
        reason: reason.into(),
    }))
}
