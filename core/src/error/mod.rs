//! Errors, one type for each moment at which something can fail.
//!
//! [`ConfigError`] for settings, [`UsageError`] for calls in the wrong order, [`BuildError`] before a
//! request exists, [`TransportError`] when no response came, [`GatewayError`] when the response was an
//! error, [`ParseError`] when it could not be understood. Machines and drivers report all but the first
//! together as [`Error`].

mod aborted;
mod build;
mod busy;
pub(crate) mod config;
mod document;
mod files;
mod gateway;
mod login;
mod negotiation;
mod not_running;
mod not_stored;
mod parse;
mod transport;
mod unpack;
mod usage;

pub use aborted::{AbortReason, Aborted};
pub use build::BuildError;
pub use busy::Busy;
pub use config::ConfigError;
pub use document::{AgentDetails, Problem};
pub use files::{FilesUnavailable, Unavailable, UnavailableFile};
pub use gateway::{ErrorBody, GatewayError};
pub use login::LoginError;
pub use negotiation::{FoundResponse, NegotiationError};
pub use not_running::NotRunning;
pub use not_stored::NotStored;
pub use parse::ParseError;
pub(crate) use parse::line;
pub use transport::{Hop, Sent, TransportCause, TransportError, TransportErrorKind};
pub use unpack::UnpackError;
pub use usage::UsageError;

use std::error::Error as StdError;
use std::fmt;

/// Why an operation failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The request could not be made: the caller's values are wrong. Change them.
    Build(BuildError),
    /// A method was called at the wrong time.
    Usage(UsageError),
    /// The gateway responded with an error. See [`GatewayError`]'s predicates for what to do.
    Gateway(Box<GatewayError>),
    /// The gateway's response does not follow the protocol. Check that the endpoint is a Sorna
    /// gateway and speaks this version.
    Parse(Box<ParseError>),
    /// No response came, although the request was retried where that could help. It is safe to send
    /// it again; see [`is_retryable`](Self::is_retryable) for whether that may help.
    Transport(TransportError),
    /// No response came to a request that must not be retried: the gateway may or may not have acted on it.
    /// Look at the kernel (its files, its variables, `info`) before sending it again.
    MayHaveRun(TransportError),
    /// The gateway stored the other files of an upload, but not these.
    FilesRejected(Vec<RejectedFile>),
    /// A download failed because of these files.
    FilesUnavailable(Box<FilesUnavailable>),
    /// A download came that cannot be unpacked, or must not be.
    Unpack(UnpackError),
    /// The endpoint speaks no version of the API that this crate speaks. Nothing else was requested from it.
    Negotiation(Box<NegotiationError>),
    /// An execution ended without a result.
    Aborted(Box<Aborted>),
    /// A session was created, but does not run.
    NotRunning(Box<NotRunning>),
    /// A web server did not log the user in.
    Login(Box<LoginError>),
}

/// How many rejected files an error names when it is shown.
const MOST_FILES: usize = 10;

/// A file that the gateway rejected each time it was sent, or [did not store](NotStored) though it accepted it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RejectedFile {
    /// The file's name in the upload.
    pub name: String,
    /// The last response for it.
    pub error: GatewayError,
}

impl Error {
    /// The gateway's error response, if that is what happened.
    #[must_use]
    pub fn gateway(&self) -> Option<&GatewayError> {
        match self {
            Self::Gateway(error) => Some(error),
            Self::FilesUnavailable(files) => Some(&files.error),
            Self::Aborted(aborted) => match &aborted.reason {
                AbortReason::Broken(error) => Some(error),
                _ => None,
            },
            _ => None,
        }
    }

    /// The failure of the connection, if that is what happened.
    #[must_use]
    pub fn transport(&self) -> Option<&TransportError> {
        match self {
            Self::Transport(error) | Self::MayHaveRun(error) => Some(error),
            _ => None,
        }
    }

    /// Whether the gateway rejected the keys.
    #[must_use]
    pub fn is_auth(&self) -> bool {
        self.gateway().is_some_and(GatewayError::is_auth)
    }

    /// Whether the kernel does not exist (any more).
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.gateway().is_some_and(GatewayError::is_not_found)
    }

    /// What keeps the kernel busy, if that is why nothing was executed: see [`GatewayError::busy`].
    #[must_use]
    pub fn busy(&self) -> Option<Busy> {
        match self {
            Self::Gateway(error) => error.busy(),
            _ => None,
        }
    }

    /// Whether nothing was executed since the kernel is busy with another execution. Wait for its end, for instance by
    /// [`Execution::with_busy_wait`](crate::machine::Execution::with_busy_wait), or interrupt it.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.busy().is_some()
    }

    /// Whether another client has taken the execution over: see [`GatewayError::is_taken_over`].
    #[must_use]
    pub fn is_taken_over(&self) -> bool {
        self.gateway().is_some_and(GatewayError::is_taken_over)
    }

    /// Whether there is nothing to attach to: see [`GatewayError::is_nothing_to_attach`].
    #[must_use]
    pub fn is_nothing_to_attach(&self) -> bool {
        self.gateway()
            .is_some_and(GatewayError::is_nothing_to_attach)
    }

    /// Whether the gateway may still have done what was requested: no response came to a request that may
    /// have reached it, or the response leaves it open. Look before you try again.
    #[must_use]
    pub fn may_have_acted(&self) -> bool {
        match self {
            Self::Gateway(error) => !error.is_conclusive(),
            Self::Transport(error) => error.may_have_acted(),
            Self::Parse(_) | Self::MayHaveRun(_) | Self::Aborted(_) | Self::NotRunning(_) => true,
            Self::Build(_)
            | Self::Usage(_)
            | Self::FilesRejected(_)
            | Self::FilesUnavailable(_)
            | Self::Unpack(_)
            | Self::Negotiation(_)
            | Self::Login(_) => false,
        }
    }

    /// Whether the same call may succeed later without any change.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Gateway(error) => error.is_retryable(),
            Self::Transport(error) => error.is_transient(),
            Self::Build(_)
            | Self::Usage(_)
            | Self::Parse(_)
            | Self::MayHaveRun(_)
            | Self::FilesRejected(_)
            | Self::FilesUnavailable(_)
            | Self::Unpack(_)
            | Self::Negotiation(_)
            | Self::Aborted(_)
            | Self::NotRunning(_)
            | Self::Login(_) => false,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Build(error) => error.fmt(f),
            Self::Usage(error) => error.fmt(f),
            Self::Gateway(error) => error.fmt(f),
            Self::Parse(error) => error.fmt(f),
            Self::Transport(error) => error.fmt(f),
            Self::MayHaveRun(_) => f.write_str(
                "the request may have reached the gateway before the connection failed, so it may have run",
            ),
            Self::FilesRejected(files) => {
                let is_lost = |file: &RejectedFile| {
                    matches!(file.error.error_body(), ErrorBody::NotStored(_))
                };
                f.write_str(match files.iter().any(is_lost) {
                    true => "the gateway did not store ",
                    false => "the gateway rejected ",
                })?;
                // Most often there is one reason for all.
                let reasons: Vec<_> = files.iter().map(|file| file.error.to_string()).collect();
                let is_one = files.len() > 1 && reasons.windows(2).all(|pair| pair[0] == pair[1]);
                for (index, file) in files.iter().take(MOST_FILES).enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    write!(f, "{comma}{:?}", file.name)?;
                    if !is_one {
                        write!(f, " ({})", reasons[index])?;
                    }
                }
                if let more @ 1.. = files.len().saturating_sub(MOST_FILES) {
                    write!(f, " and {more} more")?;
                }
                match is_one {
                    true => write!(f, " ({})", reasons[0]),
                    false => Ok(()),
                }
            }
            Self::FilesUnavailable(error) => error.fmt(f),
            Self::Unpack(error) => error.fmt(f),
            Self::Negotiation(error) => error.fmt(f),
            Self::Aborted(error) => error.fmt(f),
            Self::NotRunning(error) => error.fmt(f),
            Self::Login(error) => error.fmt(f),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Build(error) => error.source(),
            Self::Usage(error) => error.source(),
            Self::Gateway(error) => error.source(),
            Self::Parse(error) => error.source(),
            Self::Transport(error) => error.source(),
            Self::MayHaveRun(error) => Some(error),
            Self::FilesRejected(_) => None,
            Self::FilesUnavailable(error) => error.source(),
            Self::Unpack(error) => error.source(),
            Self::Negotiation(error) => error.source(),
            Self::Aborted(error) => error.source(),
            Self::NotRunning(error) => error.source(),
            Self::Login(error) => error.source(),
        }
    }
}

impl From<BuildError> for Error {
    fn from(error: BuildError) -> Self {
        Self::Build(error)
    }
}

impl From<UsageError> for Error {
    fn from(error: UsageError) -> Self {
        Self::Usage(error)
    }
}

impl From<TransportError> for Error {
    fn from(error: TransportError) -> Self {
        Self::Transport(error)
    }
}

impl From<GatewayError> for Error {
    fn from(error: GatewayError) -> Self {
        Self::Gateway(Box::new(error))
    }
}

impl From<UnpackError> for Error {
    fn from(error: UnpackError) -> Self {
        Self::Unpack(error)
    }
}

impl From<LoginError> for Error {
    fn from(error: LoginError) -> Self {
        Self::Login(Box::new(error))
    }
}

impl From<NegotiationError> for Error {
    fn from(error: NegotiationError) -> Self {
        Self::Negotiation(Box::new(error))
    }
}

impl From<Aborted> for Error {
    fn from(error: Aborted) -> Self {
        Self::Aborted(Box::new(error))
    }
}

impl From<NotRunning> for Error {
    fn from(error: NotRunning) -> Self {
        Self::NotRunning(Box::new(error))
    }
}

impl From<ParseError> for Error {
    fn from(error: ParseError) -> Self {
        Self::Parse(Box::new(error))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, StatusCode};

    use super::*;

    fn error_response(status: u16, body: &'static str) -> GatewayError {
        let status = StatusCode::from_u16(status).unwrap();
        GatewayError::new(
            crate::version::Dialect::SornaV2,
            status,
            &HeaderMap::new(),
            &Bytes::from_static(body.as_bytes()),
        )
    }

    #[test]
    fn many_rejected_files_are_counted_and_not_listed() {
        let file = |index, status| RejectedFile {
            name: format!("f{index}"),
            error: error_response(status, ""),
        };
        let two = Error::FilesRejected(vec![file(0, 400), file(1, 413)]).to_string();
        assert!(
            two.contains("\"f0\" (") && two.contains("), \"f1\" ("),
            "{two}"
        );
        let error = Error::FilesRejected((0..1000).map(|index| file(index, 400)).collect());
        let text = error.to_string();
        assert!(text.contains("\"f8\", \"f9\" and 990 more ("), "{text}");
        assert_eq!(text.matches("400").count(), 1, "{text}");
    }

    #[test]
    fn an_inconclusive_response_may_have_acted() {
        let problem = r#"{"type": "https://api.sorna.io/probs/kernel-creation-failed"}"#;
        for (status, body, open) in [
            (500, "<html>", true),
            (502, "", true),
            (503, "{}", true),
            (500, problem, false),
            (404, "<html>", false),
            (302, "", false),
        ] {
            let error = Error::from(error_response(status, body));
            assert_eq!(error.may_have_acted(), open, "{status} {body}");
        }
        let failure = |sent| TransportError::new(TransportErrorKind::Receive, sent, "it broke");
        assert!(!Error::Transport(failure(Sent::Nothing)).may_have_acted());
        assert!(Error::Transport(failure(Sent::StaleConnection)).may_have_acted());
        assert!(Error::MayHaveRun(failure(Sent::Maybe)).may_have_acted());
    }

    #[test]
    fn errors_cross_threads() {
        fn check<T: Send + Sync + 'static>() {}
        check::<Error>();
    }

    #[test]
    fn failures_that_need_a_change_are_not_retryable() {
        use TransportErrorKind as Kind;
        for (kind, retryable) in [
            (Kind::Resolve, true),
            (Kind::Connect, true),
            (Kind::Proxy, true),
            (Kind::Send, true),
            (Kind::Receive, true),
            (Kind::Timeout, true),
            (Kind::Other, true),
            (Kind::Tls, false),
            (Kind::TooLarge, false),
            (Kind::LocalFile, false),
            (Kind::Cancelled, false),
        ] {
            let error = Error::from(TransportError::new(kind, Sent::Nothing, "it broke"));
            assert_eq!(error.is_retryable(), retryable, "{kind:?}");
        }
        assert!(!Error::from(UsageError::InputExpected).is_retryable());
    }

    #[test]
    fn long_messages_of_a_driver_are_cut() {
        let message = "x".repeat(100_000);
        let error = TransportError::new(TransportErrorKind::Other, Sent::Nothing, message);
        assert_eq!(error.to_string().chars().count(), 1001);
    }
}
