//! Executions without a result.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use super::gateway::GatewayError;

/// An execution that ended without a result, and what became of its kernel.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Aborted {
    /// Why.
    pub reason: AbortReason,
    /// Whether the kernel can be used again. Otherwise the program may still run, and in Backend.AI requests to execute
    /// something else wait until it ends: restart or destroy the kernel.
    pub is_freed: bool,
}

/// Why an execution ended without a result.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum AbortReason {
    /// The caller gave it up.
    GivenUp,
    /// It was left behind by a client that is gone.
    Abandoned,
    /// There was no output for as long as the caller allows.
    Silent(Duration),
    /// The gateway failed to report what the program has done.
    ///
    /// Observed on managers 23.09.10 and 26.9.6 of Backend.AI: a program that shows HTML breaks the response, and so may
    /// the end of the session.
    Broken(Box<GatewayError>),
    /// The gateway ended the WebSocket of the execution, and said why.
    ///
    /// Managers of Backend.AI do so if a program shows HTML, and for the executions of a session that is destroyed.
    Reported(String),
}

impl Aborted {
    pub(crate) fn new(reason: AbortReason, is_freed: bool) -> Self {
        Self { reason, is_freed }
    }
}

impl fmt::Display for Aborted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reason {
            AbortReason::GivenUp => f.write_str("the execution was given up")?,
            AbortReason::Abandoned => f.write_str("an earlier execution was left behind")?,
            AbortReason::Silent(time) => write!(
                f,
                "the execution was given up after {} s without output",
                time.as_secs()
            )?,
            AbortReason::Broken(error) => write!(
                f,
                "the gateway failed to report what the program did: {error}"
            )?,
            AbortReason::Reported(message) => {
                write!(f, "the gateway ended the execution: {message}")?;
            }
        }
        if self.is_freed {
            return Ok(());
        }
        f.write_str("; the program may still run, and keep the session busy")
    }
}

impl StdError for Aborted {}
