//! Errors, one type for each moment at which something can fail.
//!
//! [`BuildError`] before a request exists, [`TransportError`] when no answer came, [`GatewayError`]
//! when the answer was a refusal, [`ParseError`] when it could not be understood. Machines and
//! drivers report them together as [`Error`].

mod build;
mod gateway;
mod parse;
mod transport;

pub use build::BuildError;
pub use gateway::{AgentDetails, GatewayError, Problem, Refusal};
pub use parse::ParseError;
pub use transport::{Sent, TransportError, TransportErrorKind};

use std::error::Error as StdError;
use std::fmt;

/// Why an operation failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The request could not be made: the caller's values are wrong. Change them.
    Build(BuildError),
    /// The gateway refused. See [`GatewayError`]'s predicates for what to do.
    Gateway(Box<GatewayError>),
    /// The gateway answered something that is not the protocol. Check that the endpoint is a Sorna
    /// gateway and speaks this version.
    Parse(Box<ParseError>),
    /// No answer came, and the request either was repeated in vain or need not be: it had no effect
    /// that matters. Trying again later is safe.
    Transport(TransportError),
    /// No answer came to a request that must not be repeated: the gateway may or may not have acted
    /// on it. Ask the kernel (its files, its variables, `info`) before sending it again.
    MayHaveRun(TransportError),
    /// The gateway took the other files of an upload, but not these.
    FilesRejected(Vec<RejectedFile>),
}

/// A file that the gateway would not take, whichever way it was sent.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RejectedFile {
    /// The file's name in the upload.
    pub name: String,
    /// What the gateway said last.
    pub error: GatewayError,
}

impl Error {
    /// The gateway's refusal, if that is what happened.
    #[must_use]
    pub fn gateway(&self) -> Option<&GatewayError> {
        match self {
            Self::Gateway(error) => Some(error),
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

    /// Whether the keys were refused.
    #[must_use]
    pub fn is_auth(&self) -> bool {
        self.gateway().is_some_and(GatewayError::is_auth)
    }

    /// Whether the kernel does not exist (any more).
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.gateway().is_some_and(GatewayError::is_not_found)
    }

    /// Whether the same call may succeed later without any change.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Gateway(error) => error.is_retryable(),
            Self::Transport(_) => true,
            Self::Build(_) | Self::Parse(_) | Self::MayHaveRun(_) | Self::FilesRejected(_) => false,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Build(error) => error.fmt(f),
            Self::Gateway(error) => error.fmt(f),
            Self::Parse(error) => error.fmt(f),
            Self::Transport(error) => error.fmt(f),
            Self::MayHaveRun(_) => f.write_str(
                "the request may have reached the gateway before the connection failed, so it may have run",
            ),
            Self::FilesRejected(files) => {
                f.write_str("the gateway would not take ")?;
                for (index, file) in files.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    write!(f, "{comma}{:?} ({})", file.name, file.error)?;
                }
                Ok(())
            }
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Build(error) => error.source(),
            Self::Gateway(error) => error.source(),
            Self::Parse(error) => error.source(),
            Self::Transport(error) => error.source(),
            Self::MayHaveRun(error) => Some(error),
            Self::FilesRejected(_) => None,
        }
    }
}

impl From<BuildError> for Error {
    fn from(error: BuildError) -> Self {
        Self::Build(error)
    }
}

impl From<GatewayError> for Error {
    fn from(error: GatewayError) -> Self {
        Self::Gateway(Box::new(error))
    }
}

impl From<ParseError> for Error {
    fn from(error: ParseError) -> Self {
        Self::Parse(Box::new(error))
    }
}
