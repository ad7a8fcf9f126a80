//! Copies of errors, for more than one who waits for the same thing.

use sorna_core::{Error, Sent, TransportError, TransportErrorKind};

/// The same failure, without its source.
pub(crate) fn transport(failure: &TransportError) -> TransportError {
    let copy = TransportError::new(failure.kind(), failure.sent(), failure.to_string());
    let copy = copy.with_hop(failure.hop());
    match failure.cause() {
        Some(cause) => copy.with_cause(cause),
        None => copy,
    }
}

/// The same error, as far as that can be copied: a negotiation fails in these ways only.
pub(crate) fn error(error: &Error) -> Error {
    match error {
        Error::Build(error) => Error::Build(error.clone()),
        Error::Gateway(error) => Error::Gateway(error.clone()),
        Error::Negotiation(error) => Error::Negotiation(error.clone()),
        Error::Transport(failure) => Error::Transport(transport(failure)),
        other => {
            let kind = TransportErrorKind::Other;
            TransportError::new(kind, Sent::Nothing, other.to_string()).into()
        }
    }
}
