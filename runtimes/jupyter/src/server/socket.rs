//! The WebSocket of a client at a kernel.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http::header::{
    CONNECTION, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::request::Parts;
use http::{Response, StatusCode};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message as Frame};

use super::frames::{self, Protocol, V1};
use super::kernels::Entry;
use super::reply::Problem;

/// A connection over which a WebSocket is spoken.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// The largest message that is accepted from a client, in bytes.
const MOST: usize = 16 * 1024 * 1024;
/// How often to ask for a sign of the client, and after how long without one it is gone.
const PING: Duration = Duration::from_secs(30);
const SILENCE: Duration = Duration::from_secs(120);
/// How long to wait for the client's close frame.
const FAREWELL: Duration = Duration::from_secs(2);

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

/// Serves a client until it leaves, or the kernel ends.
pub(super) async fn serve(io: Box<dyn Io>, protocol: Protocol, entry: Arc<Entry>, session: String) {
    let config = WebSocketConfig::default()
        // Allocated for each socket; the default is 128 KiB.
        .read_buffer_size(8 * 1024)
        .max_message_size(Some(MOST))
        .max_frame_size(Some(MOST))
        .write_buffer_size(0);
    let socket = WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await;
    let (mut sink, mut stream) = socket.split();
    let Some(mut connected) = entry.hub.connect(&session) else {
        let _ = sink
            .send(close(CloseCode::Normal, "the kernel has ended"))
            .await;
        return;
    };
    let mut unsent = None;
    let heard = std::sync::Mutex::new(Instant::now());
    let end = {
        let listen = async {
            while let Some(frame) = stream.next().await {
                *crate::lock::lock(&heard) = Instant::now();
                let read = match frame {
                    Ok(frame @ (Frame::Text(_) | Frame::Binary(_))) => {
                        frames::read(protocol, frame)
                    }
                    Ok(_) => continue,
                    Err(Error::Capacity(_)) => {
                        return Some(close(CloseCode::Size, "the message is too large"));
                    }
                    Err(_) => return None,
                };
                let taken = read.map(|message| entry.take(&message, &session));
                match taken {
                    Ok(true) => {}
                    Ok(false) => tracing::debug!("a message of Jupyter without a type was ignored"),
                    Err(reason) => tracing::debug!("a message of Jupyter was ignored: {reason}"),
                }
            }
            None
        };
        let speak = async {
            let mut ping = tokio::time::interval_at(Instant::now() + PING, PING);
            loop {
                tokio::select! {
                    biased;
                    () = connected.replaced.notified() => {
                        return Some(close(CloseCode::Normal, "another connection has this session"));
                    }
                    queued = connected.queue.recv() => match queued {
                        Some(queued) => {
                            let frame = queued.message.frame(protocol);
                            unsent = Some(Arc::clone(&queued.message));
                            if sink.send(frame).await.is_err() {
                                return None;
                            }
                            unsent = None;
                        }
                        None => return Some(close(CloseCode::Normal, "the kernel has ended")),
                    },
                    _ = ping.tick() => {
                        let since = crate::lock::lock(&heard).elapsed();
                        if since > SILENCE || sink.send(Frame::Ping(Bytes::new())).await.is_err() {
                            return None;
                        }
                    }
                }
            }
        };
        tokio::select! {
            end = listen => end,
            end = speak => end,
        }
    };
    entry.hub.disconnect(connected, unsent);
    drop(entry);
    if let Some(frame) = end {
        let farewell = async {
            if sink.send(frame).await.is_ok() {
                while let Some(Ok(_)) = stream.next().await {}
            }
        };
        let _ = tokio::time::timeout(FAREWELL, farewell).await;
    }
}

fn close(code: CloseCode, reason: &'static str) -> Frame {
    Frame::Close(Some(CloseFrame {
        code,
        reason: reason.into(),
    }))
}
