//! WebSockets: from a handshake to a socket.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::{Sink, SinkExt, Stream};
use http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::request::Parts;
use http::{Extensions, HeaderValue, Response, StatusCode};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use sorna_core::ProblemKind;
use sorna_core::server::ProblemReply;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};

use super::room::Permit;

/// The largest message that is accepted from a client, in bytes.
const MESSAGE_LIMIT: usize = 1024 * 1024;
/// The head of a short frame of a client, in bytes.
const CONTROL_HEAD: usize = 6;
/// How long to wait for the client's close frame.
pub(super) const CLOSE_TIME: Duration = Duration::from_secs(2);

/// An open WebSocket.
pub(super) struct Socket {
    frames: WebSocketStream<TokioIo<Upgraded>>,
    /// Held so that the connection counts against the limit. It is told of each message, since one that does not end
    /// takes memory.
    permit: Option<Permit>,
    leave: Leave,
}

/// Ready when a connection has to leave.
pub(crate) struct Leave {
    future: Pin<Box<dyn Future<Output = ()> + Send + Sync>>,
    /// Held so that the connection counts against the limit.
    _permit: Option<Permit>,
}

impl Leave {
    fn new(permit: Option<&Permit>) -> Self {
        let future: Pin<Box<dyn Future<Output = ()> + Send + Sync>> = match permit {
            Some(permit) => Box::pin(Permit::clone(permit).must_leave()),
            None => Box::pin(std::future::pending()),
        };
        Self {
            future,
            _permit: permit.cloned(),
        }
    }

    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        ready!(self.future.as_mut().poll(context));
        tracing::debug!("a WebSocket was closed to make room");
        // It stays so, if it is asked again.
        self.future = Box::pin(std::future::ready(()));
        Poll::Ready(())
    }
}

/// A connection that may become a WebSocket.
#[derive(Clone, Debug)]
pub(crate) struct Upgrade {
    connection: OnUpgrade,
    permit: Option<Permit>,
}

impl Upgrade {
    pub(super) fn of(extensions: &mut Extensions) -> Option<Self> {
        Some(Self {
            connection: extensions.remove()?,
            permit: extensions.get().cloned(),
        })
    }
}

/// The 101 response, if the request is a WebSocket handshake of RFC 6455.
///
/// # Errors
///
/// 400 `generic-bad-request` if it does not.
pub(super) fn accept(parts: &Parts) -> Result<Response<Vec<u8>>, ProblemReply> {
    let has = |name, word: &str| {
        parts.headers.get_all(name).iter().any(|value| {
            let list = value.to_str().unwrap_or_default().split(',');
            list.map(str::trim)
                .any(|each| each.eq_ignore_ascii_case(word))
        })
    };
    let key = parts.headers.get(SEC_WEBSOCKET_KEY);
    let asks = has(&UPGRADE, "websocket")
        && has(&CONNECTION, "upgrade")
        && has(&SEC_WEBSOCKET_VERSION, "13");
    let key = key.filter(|_| asks).ok_or_else(no_handshake)?;
    let accept = derive_accept_key(key.as_bytes());
    let mut response = Response::new(Vec::new());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    let accept = HeaderValue::try_from(accept).map_err(|_| no_handshake())?;
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    Ok(response)
}

pub(super) fn no_handshake() -> ProblemReply {
    ProblemKind::GenericBadRequest.reply_with("this path needs a WebSocket handshake")
}

impl Upgrade {
    /// The socket, once the 101 response has been sent. `None` if the client is gone.
    pub(super) async fn open(self) -> Option<Socket> {
        let upgraded = match self.connection.await {
            Ok(upgraded) => upgraded,
            Err(error) => {
                tracing::debug!(%error, "a connection could not be upgraded");
                return None;
            }
        };
        let config = WebSocketConfig::default()
            // Allocated for each socket; the default is 128 KiB.
            .read_buffer_size(8 * 1024)
            .max_message_size(Some(MESSAGE_LIMIT))
            .max_frame_size(Some(MESSAGE_LIMIT))
            .write_buffer_size(0);
        let connection = TokioIo::new(upgraded);
        let frames = WebSocketStream::from_raw_socket(connection, Role::Server, Some(config)).await;
        if let Some(permit) = &self.permit {
            permit.is_live();
            permit.awaits_message();
        }
        let leave = Leave::new(self.permit.as_ref());
        Some(Socket {
            frames,
            permit: self.permit,
            leave,
        })
    }

    /// The connection itself, for another protocol, once the 101 response has been sent. `None` if the client is gone.
    pub(crate) async fn into_stream(self) -> Option<(TokioIo<Upgraded>, Leave)> {
        match self.connection.await {
            Ok(upgraded) => {
                if let Some(permit) = &self.permit {
                    permit.is_live();
                }
                Some((TokioIo::new(upgraded), Leave::new(self.permit.as_ref())))
            }
            Err(error) => {
                tracing::debug!(%error, "a connection could not be upgraded");
                None
            }
        }
    }
}

/// Sends a close frame that says that all went well; `false` if the client is gone.
pub(super) async fn close<S: SinkExt<Frame> + Unpin>(sink: &mut S) -> bool {
    close_for(sink, "").await
}

/// The longest reason that fits into a close frame, in bytes (RFC 6455, section 5.5).
const LONGEST_REASON: usize = 123;

/// As [`close`], with the reason if the socket is closed for another one than that what it showed has ended.
pub(super) async fn close_for<S: SinkExt<Frame> + Unpin>(sink: &mut S, reason: &str) -> bool {
    let mut end = reason.len().min(LONGEST_REASON);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    let close = CloseFrame {
        code: CloseCode::Normal,
        reason: reason[..end].into(),
    };
    sink.send(Frame::Close(Some(close))).await.is_ok()
}

impl Stream for Socket {
    type Item = Result<Frame, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.leave.poll(context).is_ready() {
            return Poll::Ready(None);
        }
        let frame = ready!(Pin::new(&mut self.frames).poll_next(context));
        if let Some(permit) = &self.permit {
            match &frame {
                // They may come in the middle of a message.
                Some(Ok(Frame::Ping(bytes) | Frame::Pong(bytes))) => {
                    permit.forget(CONTROL_HEAD + bytes.len());
                }
                _ => permit.awaits_message(),
            }
        }
        Poll::Ready(frame)
    }
}

impl Sink<Frame> for Socket {
    type Error = Error;

    fn poll_ready(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Pin::new(&mut self.frames).poll_ready(context)
    }

    fn start_send(mut self: Pin<&mut Self>, frame: Frame) -> Result<(), Error> {
        Pin::new(&mut self.frames).start_send(frame)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Pin::new(&mut self.frames).poll_flush(context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Pin::new(&mut self.frames).poll_close(context)
    }
}
