//! What is at the endpoint.

use std::fmt;

/// The type of an endpoint, by the names that Backend.AI's own client has for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EndpointType {
    /// A gateway or manager, whose requests are signed with keys.
    Api,
    /// A web server, to which users log in.
    Session,
}

impl EndpointType {
    /// The type of this name.
    pub(super) fn of_name(name: &str) -> Option<Self> {
        match name {
            "api" => Some(Self::Api),
            "session" => Some(Self::Session),
            _ => None,
        }
    }
}

impl fmt::Display for EndpointType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Api => "api",
            Self::Session => "session",
        })
    }
}
