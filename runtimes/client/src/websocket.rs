//! What WebSockets of terminals and executions share: the handshake, limits and failures, without I/O.

use http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderValue, Request, Response};
use sorna_core::{Body, Sent, TransportError, TransportErrorKind};
use tungstenite::handshake::client::generate_key;
use tungstenite::handshake::derive_accept_key;
use tungstenite::protocol::WebSocketConfig;

/// How a gateway must respond to open a WebSocket.
pub(crate) struct Handshake {
    accept: String,
}

impl Handshake {
    /// Adds the headers for WebSocket to the signed request.
    pub(crate) fn begin(request: &mut Request<Body>) -> Self {
        let key = generate_key();
        let value = HeaderValue::from_str(&key).expect("a key is base64");
        let headers = request.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        headers.insert(SEC_WEBSOCKET_KEY, value);
        Self {
            accept: derive_accept_key(key.as_bytes()),
        }
    }

    /// Checks that the response with status 101 is for this request.
    pub(crate) fn check(&self, peer: &str, head: &Response<()>) -> Result<(), TransportError> {
        let accepted = head.headers().get(SEC_WEBSOCKET_ACCEPT);
        if accepted.is_some_and(|value| value.as_bytes() == self.accept.as_bytes()) {
            return Ok(());
        }
        let message = format!("{peer} sent an invalid Sec-WebSocket-Accept header");
        Err(failure(TransportErrorKind::Receive, message))
    }
}

/// Limits on what the gateway sends, `message` bytes in one message, and on what is sent to it, `request` bytes in one.
pub(crate) fn socket_config(message: usize, request: usize) -> WebSocketConfig {
    // Bytes that each open socket allocates, and clears before each read. The default is 128 KiB.
    const READ: usize = 16 * 1024;
    // Bytes of replies to pings that may wait to be sent: a gateway that sends pings and reads no
    // replies gets no more of them. Everything else is sent only when nothing waits.
    const CONTROL: usize = 64 * 1024;
    WebSocketConfig::default()
        .max_message_size(Some(message))
        .max_frame_size(Some(message))
        .read_buffer_size(READ)
        .write_buffer_size(0)
        .max_write_buffer_size(CONTROL + request)
}

/// What went wrong on the open WebSocket of a terminal or an execution; `None` if it is just closed.
pub(crate) fn socket_error(
    peer: &str,
    of: &str,
    error: tungstenite::Error,
) -> Option<TransportError> {
    use tungstenite::Error;
    use tungstenite::error::ProtocolError::ResetWithoutClosingHandshake;

    let (kind, message) = match &error {
        Error::ConnectionClosed | Error::AlreadyClosed => return None,
        Error::Capacity(_) => (
            TransportErrorKind::TooLarge,
            format!("{peer} sent too large a message"),
        ),
        Error::Io(_) | Error::Tls(_) | Error::Protocol(ResetWithoutClosingHandshake) => (
            TransportErrorKind::Receive,
            format!("the {of}'s connection to {peer} broke"),
        ),
        _ => (
            TransportErrorKind::Receive,
            format!("{peer} does not speak WebSocket"),
        ),
    };
    Some(failure(kind, message).with_source(error))
}

/// Why nothing can be sent over a WebSocket that is closed.
pub(crate) fn closed(peer: &str) -> TransportError {
    let message = format!("{peer} has closed the WebSocket");
    failure(TransportErrorKind::Send, message)
}

fn failure(kind: TransportErrorKind, message: String) -> TransportError {
    TransportError::new(kind, Sent::Maybe, message)
}
