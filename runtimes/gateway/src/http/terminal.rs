//! The WebSocket of a terminal.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::request::Parts;
use http::{Extensions, HeaderValue, Response, StatusCode};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use sorna_core::ProblemKind;
use sorna_core::server::ProblemReply;
use sorna_core::terminal::{Command, Message};
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};

use super::permit::Permit;
use crate::kernel::{Attached, FromTerminal, ToTerminal};
use crate::kernels::Entry;

/// The largest message that is accepted from a client, in bytes.
const MESSAGE_LIMIT: usize = 1024 * 1024;
/// How long to wait for the client's close frame.
const CLOSE_TIME: Duration = Duration::from_secs(2);

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// A connection that may become a terminal's.
#[derive(Debug)]
pub(super) struct Upgrade {
    connection: OnUpgrade,
    /// Held so that the connection counts against the limit as long as the terminal is open.
    _permit: Option<Permit>,
}

impl Upgrade {
    pub(super) fn of(extensions: &mut Extensions) -> Option<Self> {
        Some(Self {
            connection: extensions.remove()?,
            _permit: extensions.remove(),
        })
    }
}

/// The 101 response, if the request is a WebSocket handshake of RFC 6455.
///
/// # Errors
///
/// 400 `generic-bad-request` if it does not.
pub(crate) fn accept(parts: &Parts) -> Result<Response<Vec<u8>>, ProblemReply> {
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

pub(crate) fn no_handshake() -> ProblemReply {
    ProblemKind::GenericBadRequest.reply_with("a terminal needs a WebSocket handshake")
}

/// Serves one client until it leaves or the terminal ends.
pub(super) async fn serve(upgrade: Upgrade, entry: Arc<Entry>, mut attached: Attached) {
    let upgraded = match upgrade.connection.await {
        Ok(upgraded) => upgraded,
        Err(error) => {
            return tracing::debug!(%error, "the connection of a terminal could not be upgraded");
        }
    };
    let config = WebSocketConfig::default()
        // Allocated for each terminal; the default is 128 KiB.
        .read_buffer_size(8 * 1024)
        .max_message_size(Some(MESSAGE_LIMIT))
        .max_frame_size(Some(MESSAGE_LIMIT))
        .write_buffer_size(0);
    let socket = Socket::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await;
    let Some(output) = attached.output.take() else {
        return;
    };
    let (sink, stream) = socket.split();
    let (errors, reported) = mpsc::channel(4);
    // Each direction is independent: a client may send while it does not read, and vice versa.
    let mut listening = pin!(listen(stream, &entry, &mut attached, errors));
    let is_over = tokio::select! {
        is_over = show(sink, output, reported) => is_over,
        () = &mut listening => false,
    };
    if is_over {
        // If the connection is closed before the client's close frame arrives, ours may be lost.
        let _ = tokio::time::timeout(CLOSE_TIME, listening).await;
    }
}

/// Sends the output until the terminal ends, then a close frame; false if the client is gone.
async fn show(
    mut sink: futures_util::stream::SplitSink<Socket, Frame>,
    mut output: mpsc::Receiver<FromTerminal>,
    mut reported: mpsc::Receiver<String>,
) -> bool {
    loop {
        let frame = tokio::select! {
            biased;
            Some(error) = reported.recv() => Message::Error(error).encode(),
            output = output.recv() => match output {
                Some(FromTerminal::Output(bytes)) => Message::Out(bytes).encode(),
                Some(FromTerminal::Closed) | None => break,
            },
        };
        if sink.send(Frame::text(frame)).await.is_err() {
            return false;
        }
    }
    let close = CloseFrame {
        code: CloseCode::Normal,
        reason: "".into(),
    };
    sink.send(Frame::Close(Some(close))).await.is_ok()
}

/// Passes on what the client sends until it disconnects.
async fn listen(
    mut stream: futures_util::stream::SplitStream<Socket>,
    entry: &Entry,
    attached: &mut Attached,
    errors: mpsc::Sender<String>,
) {
    while let Some(Ok(frame)) = stream.next().await {
        let text = match &frame {
            Frame::Text(text) => text.as_str(),
            Frame::Binary(bytes) => std::str::from_utf8(bytes).unwrap_or_default(),
            // Reading once more lets tungstenite send the reply to a close frame, and then ends.
            _ => continue,
        };
        entry.kernel.touch();
        let message = match Command::decode(text) {
            Some(Command::Stdin(bytes)) => ToTerminal::Typed(bytes),
            Some(Command::Resize { rows, cols }) => ToTerminal::Resized(rows, cols),
            Some(Command::Restart) => {
                let shell = attached.shells();
                if let Err(error) = entry.kernel.restart().await {
                    let _ = errors.try_send(error.0);
                }
                // Input that follows is for the new shell.
                attached.next_shell(shell).await;
                continue;
            }
            Some(_) => continue,
            None => {
                let error = "invalid message: expected stdin, resize, ping or restart as JSON";
                let _ = errors.try_send(error.to_owned());
                continue;
            }
        };
        // This fails if the terminal has ended, which `show` reports to the client.
        let _ = attached.to_shell.send(message).await;
    }
}
