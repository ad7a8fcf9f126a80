//! A terminal's handshake as bytes, without I/O: the signed request out, the response in.

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use sorna_core::{Body, Sent, TransportError, TransportErrorKind};

use crate::net::SizeLimits;
use crate::observe::Watch;
use crate::terminal::Handshake;
use crate::wire::{Answer, AnswerError, Encoded, encode};

/// A handshake under way. Send the head in one write, then feed what comes.
pub(super) struct Opening {
    peer: String,
    handshake: Handshake,
    answer: Answer,
}

/// Tells an observer how a handshake ended.
pub(super) fn tell(watch: Option<Watch>, ended: Result<&Outcome, &TransportError>) {
    let Some(watch) = watch else { return };
    let none = HeaderMap::new();
    watch.end_with(match ended {
        Ok(Outcome::Refused(response)) => Ok((response.status(), response.headers())),
        Ok(Outcome::Open(_)) => Ok((StatusCode::SWITCHING_PROTOCOLS, &none)),
        Err(error) => Err(error),
    });
}

/// How a handshake ends.
pub(super) enum Outcome {
    /// The connection is a WebSocket now; these bytes of it were read already.
    Open(Vec<u8>),
    /// The gateway answered something else.
    Refused(Response<Bytes>),
}

impl Opening {
    /// Adds the WebSocket's own headers to the signed request; hands over the bytes to send.
    pub(super) fn new(
        mut request: Request<Body>,
        limits: &SizeLimits,
    ) -> Result<(Vec<u8>, Self), TransportError> {
        let peer = request
            .uri()
            .authority()
            .map(ToString::to_string)
            .unwrap_or_default();
        let handshake = Handshake::begin(&mut request);
        let Encoded { head, call, .. } = encode(request, None).map_err(|_| {
            let message = "the handshake cannot be written as HTTP/1.1";
            TransportError::new(TransportErrorKind::Other, Sent::Nothing, message)
        })?;
        let opening = Self {
            peer,
            handshake,
            answer: Answer::to_upgrade(call, limits),
        };
        Ok((head, opening))
    }

    /// Takes bytes from the connection; none means that it ended. `None` while more is needed.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<Option<Outcome>, TransportError> {
        let fed = if bytes.is_empty() {
            self.answer.end()
        } else {
            self.answer.feed(bytes)
        };
        fed.map_err(|error| self.failed(error))?;
        if let Some((head, rest)) = self.answer.take_upgrade() {
            self.handshake.check(&self.peer, &head)?;
            return Ok(Some(Outcome::Open(rest)));
        }
        Ok(self.answer.take_response().map(Outcome::Refused))
    }

    fn failed(&self, error: AnswerError) -> TransportError {
        let message = format!("{} {}", self.peer, error.message);
        let made = TransportError::new(error.kind, Sent::Maybe, message);
        match error.source {
            Some(source) => made.with_source(source),
            None => made,
        }
    }
}
