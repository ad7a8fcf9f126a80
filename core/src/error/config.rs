//! Settings that cannot be used.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

/// A setting that cannot be used. The text says what to change.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// A variable without which no request can be signed is not set.
    MissingVariable {
        /// The variable's name.
        name: &'static str,
    },
    /// No endpoint is set in the environment: set `BACKEND_ENDPOINT` or `SORNA_ENDPOINT`.
    NoEndpoint,
    /// A key is missing, and its counterpart of the other family of variables is set. It is not used, since it belongs to
    /// another endpoint.
    OtherFamily {
        /// The variable that is missing.
        name: &'static str,
        /// The variable that is set.
        other: &'static str,
    },
    /// The type of the endpoint is neither `api` nor `session`.
    EndpointType {
        /// The type as given.
        kind: String,
    },
    /// A variable's value has a line break inside.
    LineBreak {
        /// The variable's name.
        name: &'static str,
    },
    /// A variable's value cannot be used.
    Variable {
        /// The variable's name.
        name: &'static str,
        /// What is wrong with its value.
        error: Box<ConfigError>,
    },
    /// The endpoint is not a URL that can be used.
    Endpoint {
        /// What is wrong with it.
        reason: Cow<'static, str>,
    },
    /// The access key is empty or has invalid characters.
    AccessKey,
    /// The secret key is empty.
    SecretKey,
    /// The cookie of a session is empty or has invalid characters.
    SessionCookie,
    /// The user agent has characters that are invalid in a header.
    UserAgent,
    /// This crate does not support an API version of this name.
    Version {
        /// The name as given.
        name: String,
    },
    /// No hash function of this name is known (or compiled in).
    Hash {
        /// The name as given.
        name: String,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingVariable { name } => write!(f, "{name} is not set"),
            Self::NoEndpoint => f.write_str("neither BACKEND_ENDPOINT nor SORNA_ENDPOINT is set"),
            Self::OtherFamily { name, other } => write!(
                f,
                "{name} is not set, and {other}, which is, belongs to another endpoint: set the endpoint and both keys under one prefix"
            ),
            Self::EndpointType { kind } => write!(
                f,
                "`{kind}` is not a type of endpoint: use `api` or `session`"
            ),
            Self::LineBreak { name } => {
                write!(f, "{name} has a line break inside: set it to one line")
            }
            Self::Variable { name, error } => write!(f, "{name}: {error}"),
            Self::Endpoint { reason } => write!(f, "the endpoint {reason}"),
            Self::AccessKey => f.write_str(
                "the access key must be printable ASCII without spaces, `:` or `,`, and not empty",
            ),
            Self::SessionCookie => f.write_str(
                "the cookie of a session must be printable ASCII without spaces, `\"`, `,`, `;` or `\\`, and not empty",
            ),
            Self::SecretKey => f.write_str("the secret key must not be empty"),
            Self::UserAgent => f.write_str("the user agent must be printable ASCII"),
            Self::Version { name } => write!(
                f,
                "`{name}` is not a supported API version; v2.20170315 is the default"
            ),
            Self::Hash { name } => write!(
                f,
                "`{name}` is not a supported hash function; sha256 is the default"
            ),
        }
    }
}

impl StdError for ConfigError {}
