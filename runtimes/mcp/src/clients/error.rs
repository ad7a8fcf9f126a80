//! Why a configuration cannot be changed.

use std::fmt;

/// Why a configuration cannot be changed.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EditError {
    /// It is not what the agent reads, or has comments where this cannot keep them.
    NotUnderstood(String),
    /// There is a server of that name that is none of this program.
    Foreign(String),
}

impl fmt::Display for EditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotUnderstood(reason) => write!(f, "it is not understood: {reason}"),
            Self::Foreign(name) => write!(f, "it has another server of the name `{name}`"),
        }
    }
}

impl std::error::Error for EditError {}
