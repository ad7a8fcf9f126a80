//! Faults, and the rows of the table that describe them.

use sorna::Dialect;
use sorna_tests::proxy::{End, Fault, Message, Pace, Place, Stream};

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) fault: Fault,
    /// The outcome of one attempt.
    pub(crate) verdict: Verdict,
    pub(crate) scope: Scope,
    /// The one dialect that it is for, if it is not for all.
    pub(crate) only: Option<Dialect>,
}

/// The outcome of one attempt at a request under a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The right response.
    Fine,
    /// No byte of the request was sent.
    Unsent,
    /// The connection broke, or what arrived was not HTTP.
    Broken,
    /// The connection broke at once: maybe before anything was sent, maybe after.
    Dropped,
    /// What arrived is not HTTP, which some drivers notice only at the time limit.
    Garbled,
    /// The time limit passed.
    Timeout,
    /// More arrived than is accepted.
    TooLarge,
    /// A response that does not follow the protocol.
    Malformed,
    /// An error response with this status, from which it is not clear whether the gateway acted.
    Status(u16),
    /// An error response with this status, which says that the gateway did not act.
    NotActed(u16),
    /// The terminal is closed.
    Closed,
}

impl Verdict {
    /// Whether a response comes that does not say whether the gateway acted: then the creation of a
    /// temporary kernel is requested again.
    pub(crate) fn is_unusable(self) -> bool {
        // The row with status 500 is an internal error.
        matches!(self, Self::Malformed | Self::TooLarge | Self::Status(500))
    }
}

/// What a fault can affect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    Everything,
    /// The first request on a connection.
    NewConnections,
    /// A request on a connection that was used before.
    UsedConnections,
    /// Requests with a body.
    RequestBodies,
    /// Responses with a body.
    ResponseBodies,
    /// Open terminals.
    Terminals,
    /// Open streams of events.
    Events,
    /// Queries in GraphQL.
    Queries,
}

impl Row {
    /// The row, for one dialect.
    pub(crate) const fn only_in(mut self, dialect: Dialect) -> Self {
        self.only = Some(dialect);
        self
    }

    pub(crate) fn is_for(&self, dialect: Dialect) -> bool {
        let has_them = match self.scope {
            Scope::Events | Scope::Queries => dialect == Dialect::BackendAi,
            _ => true,
        };
        has_them && self.only.is_none_or(|only| only == dialect)
    }

    /// Whether the client has the head of a good response before the fault strikes.
    pub(crate) fn strikes_bodies(&self) -> bool {
        match self.fault {
            Fault::CutResponse { at, .. } => matches!(at, Place::HeadEnd | Place::Last),
            Fault::Response { bodies_only, .. } => bodies_only,
            Fault::Stream(_) => true,
            _ => false,
        }
    }

    /// Whether bytes of a body come forever.
    pub(crate) fn is_drip_of_body(&self) -> bool {
        matches!(
            self.fault,
            Fault::Response {
                bodies_only: true,
                end: End::Drip,
                ..
            }
        )
    }

    /// Whether the gateway receives the request that the fault strikes, and acts on it.
    pub(crate) fn is_passed_on(&self) -> bool {
        match self.fault {
            Fault::Response { .. }
            | Fault::CutResponse { .. }
            | Fault::PaceRequest(_)
            | Fault::Stream(_) => true,
            Fault::Accept(_) | Fault::CutRequest { .. } | Fault::Instead { .. } | Fault::Gone => {
                false
            }
        }
    }
}

pub(crate) const fn row(name: &'static str, fault: Fault, verdict: Verdict, scope: Scope) -> Row {
    Row {
        name,
        fault,
        verdict,
        scope,
        only: None,
    }
}

pub(crate) const fn cut_request(at: Place, end: End) -> Fault {
    Fault::CutRequest { at, end }
}

pub(crate) const fn cut_response(at: Place, end: End) -> Fault {
    Fault::CutResponse { at, end }
}

pub(crate) const fn instead(say: fn() -> Vec<u8>, end: End) -> Fault {
    Fault::Instead { say, end }
}

pub(crate) const fn response(change: fn(Message) -> Vec<u8>, end: End) -> Fault {
    Fault::Response {
        bodies_only: false,
        change,
        pace: Pace::Whole,
        end,
    }
}

/// Changes responses that have a body.
pub(crate) const fn body(change: fn(Message) -> Vec<u8>, end: End) -> Fault {
    Fault::Response {
        bodies_only: true,
        change,
        pace: Pace::Whole,
        end,
    }
}

pub(crate) const fn paced(pace: Pace) -> Fault {
    Fault::Response {
        bodies_only: false,
        change: |response| response.bytes(),
        pace,
        end: End::Next,
    }
}

/// Inserts these bytes into an open terminal, or a stream of events.
pub(crate) const fn says(bytes: fn() -> Vec<u8>, end: End) -> Fault {
    Fault::Stream(Stream::Say(bytes, end))
}
