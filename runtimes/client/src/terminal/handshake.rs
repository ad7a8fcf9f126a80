//! The WebSocket handshake, without I/O: the signed request out, the answer in.

use bytes::Bytes;
use http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use sorna_core::{Body, Sent, TransportError, TransportErrorKind};
use tungstenite::handshake::client::generate_key;
use tungstenite::handshake::derive_accept_key;
use tungstenite::protocol::WebSocketConfig;

use crate::net::SizeLimits;
use crate::observe::Watch;
use crate::wire::{Answer, AnswerError, Encoded, encode};

/// A handshake under way. Send [`head`](Self::head) in one write, then feed what comes.
pub(crate) struct Handshake<'a> {
    peer: String,
    accept: String,
    answer: Answer<'a>,
}

/// Tells an observer how a handshake ended.
pub(crate) fn tell(watch: Option<Watch>, ended: Result<&Outcome, &TransportError>) {
    let Some(watch) = watch else { return };
    let none = HeaderMap::new();
    watch.end_with(match ended {
        Ok(Outcome::Refused(response)) => Ok((response.status(), response.headers())),
        Ok(Outcome::Open(_)) => Ok((StatusCode::SWITCHING_PROTOCOLS, &none)),
        Err(error) => Err(error),
    });
}

/// How a handshake ends.
pub(crate) enum Outcome {
    /// The connection is a WebSocket now; these bytes of it were read already.
    Open(Vec<u8>),
    /// The gateway answered something else.
    Refused(Response<Bytes>),
}

impl<'a> Handshake<'a> {
    /// Adds the WebSocket's own headers to the signed request; hands over the bytes to send.
    pub(crate) fn new(
        mut request: Request<Body>,
        limits: &'a SizeLimits,
    ) -> Result<(Vec<u8>, Self), TransportError> {
        let peer = request
            .uri()
            .authority()
            .map(ToString::to_string)
            .unwrap_or_default();
        let key = generate_key();
        let headers = request.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        let value = HeaderValue::from_str(&key).expect("a key is base64");
        headers.insert(SEC_WEBSOCKET_KEY, value);
        let Encoded { head, call, .. } = encode(request, None).map_err(|_| {
            let message = "the handshake cannot be written as HTTP/1.1";
            TransportError::new(TransportErrorKind::Other, Sent::Nothing, message)
        })?;
        let handshake = Self {
            peer,
            accept: derive_accept_key(key.as_bytes()),
            answer: Answer::to_upgrade(call, limits),
        };
        Ok((head, handshake))
    }

    /// Takes bytes from the connection; none means that it ended. `None` while more is needed.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<Option<Outcome>, TransportError> {
        let fed = if bytes.is_empty() {
            self.answer.end()
        } else {
            self.answer.feed(bytes)
        };
        fed.map_err(|error| self.failed(error))?;
        if let Some((head, rest)) = self.answer.take_upgrade() {
            let accepted = head.headers().get(SEC_WEBSOCKET_ACCEPT);
            if accepted.is_none_or(|value| value.as_bytes() != self.accept.as_bytes()) {
                let message = format!("{} answers as a WebSocket of somebody else", self.peer);
                return Err(failure(TransportErrorKind::Receive, message));
            }
            return Ok(Some(Outcome::Open(rest)));
        }
        Ok(self.answer.take_response().map(Outcome::Refused))
    }

    fn failed(&self, error: AnswerError) -> TransportError {
        let made = failure(error.kind, format!("{} {}", self.peer, error.message));
        match error.source {
            Some(source) => made.with_source(source),
            None => made,
        }
    }
}

/// What is accepted from the gateway: no message of a terminal is larger than a few KiB.
pub(crate) fn socket_config() -> WebSocketConfig {
    const MESSAGE: usize = 4 * 1024 * 1024;
    // Each open terminal holds this much, and clears it before each read: bytes, not the 128 KiB of
    // the default.
    const READ: usize = 16 * 1024;
    WebSocketConfig::default()
        .max_message_size(Some(MESSAGE))
        .max_frame_size(Some(MESSAGE))
        .read_buffer_size(READ)
        .write_buffer_size(0)
}

/// What went wrong on an open WebSocket; `None` if it is just closed.
pub(crate) fn socket_error(peer: &str, error: tungstenite::Error) -> Option<TransportError> {
    use tungstenite::Error;

    let (kind, message) = match &error {
        Error::ConnectionClosed | Error::AlreadyClosed => return None,
        Error::Capacity(_) => (
            TransportErrorKind::TooLarge,
            format!("{peer} sent too large a message"),
        ),
        Error::Io(_) | Error::Tls(_) => (
            TransportErrorKind::Receive,
            format!("the terminal's connection to {peer} broke"),
        ),
        _ => (
            TransportErrorKind::Receive,
            format!("{peer} does not speak WebSocket"),
        ),
    };
    Some(failure(kind, message).with_source(error))
}

fn failure(kind: TransportErrorKind, message: String) -> TransportError {
    TransportError::new(kind, Sent::Maybe, message)
}
