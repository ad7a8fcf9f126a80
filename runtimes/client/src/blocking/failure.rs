//! What ureq reports, in the terms of all drivers.

use std::io;
use std::time::Duration;

use sorna_core::{Sent, TransportError, TransportErrorKind};
use ureq::{Error, Timeout};
use ureq_proto::Error as Protocol;

use crate::net::explain::{Doing, Fault, Foreign, Peer, Phase};

/// Why an exchange did not end well.
pub(super) enum Failure {
    Ureq(Error),
    /// What ureq would accept.
    Response(Fault),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Ureq(error)
    }
}

impl Failure {
    /// The body of a response broke off: `length` bytes were announced and `read` arrived.
    pub(super) fn of_body(error: io::Error, length: Option<u64>, read: u64) -> Self {
        match Error::from(error) {
            Error::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                let missing = length.map(|length| length.saturating_sub(read));
                Self::Response(Fault::CutBody(missing))
            }
            error => Self::Ureq(error),
        }
    }
}

/// The circumstances of a failure.
pub(super) struct Scene<'a> {
    pub(super) peer: Peer<'a>,
    pub(super) doing: Doing,
    pub(super) sent: Sent,
    /// How much was sent, if the connection has ended.
    pub(super) sent_if_closed: Sent,
    /// The protocol that is spoken instead of HTTP, if it is known.
    pub(super) foreign: Option<Foreign>,
    /// How long the connection may be silent.
    pub(super) idle: Duration,
    /// How long the exchange may take.
    pub(super) limit: Duration,
}

impl Scene<'_> {
    /// Says what failed, and during which step.
    pub(super) fn explain(&self, failure: Failure) -> TransportError {
        let Self {
            peer, doing, sent, ..
        } = *self;
        let closed = self.sent_if_closed;
        let error = match failure {
            Failure::Response(fault) => return peer.bad_response(fault, closed),
            Failure::Ureq(error) => error,
        };
        match error {
            // By the dialer.
            Error::Other(error) => match error.downcast() {
                Ok(error) => *error,
                Err(error) => self.other(Error::Other(error)),
            },
            Error::Timeout(Timeout::PerRead | Timeout::PerWrite) => {
                peer.silent(self.idle, doing, sent)
            }
            Error::Timeout(_) => peer.late(self.limit, doing, sent),
            Error::BodyExceedsLimit(most) => peer.bad_response(Fault::BodyTooLarge(most), sent),
            Error::LargeResponseHeader(_, most) => {
                peer.bad_response(Fault::HeadTooLarge(most), sent)
            }
            Error::Protocol(Protocol::HttpParseTooManyHeaders) => {
                peer.bad_response(Fault::TooManyHeaders, sent)
            }
            Error::Protocol(
                error @ (Protocol::ChunkLenNotAscii
                | Protocol::ChunkLenNotANumber
                | Protocol::ChunkExpectedCrLf),
            ) => peer.bad_response(Fault::BadChunks, sent).with_source(error),
            Error::Protocol(error) => match self.foreign {
                Some(foreign) => peer.bad_response(Fault::Foreign(foreign), sent),
                None => peer.bad_response(Fault::NotHttp, sent).with_source(error),
            },
            Error::Io(error)
                if error.kind() == io::ErrorKind::UnexpectedEof
                    && doing.phase == Phase::Receiving =>
            {
                let fault = match doing.received {
                    false => Fault::NoResponse,
                    true => Fault::CutHead,
                };
                peer.bad_response(fault, closed)
            }
            Error::Io(error) => peer.broke(error, doing, closed),
            Error::BodyStalled => peer.bad_response(Fault::CutBody(None), closed),
            error => self.other(error),
        }
    }

    fn other(&self, error: Error) -> TransportError {
        let message = format!("the request to {} failed", self.peer);
        TransportError::new(TransportErrorKind::Other, self.sent, message).with_source(error)
    }
}
