//! What a machine is, and the steps that it asks for.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};

use crate::body::Body;
use crate::error::TransportError;
use crate::instant::Instant;
use crate::moment::Moment;

/// Something that is driven by requests, responses and time.
///
/// After each [`Step::Send`], call [`handle_response`](Self::handle_response) or
/// [`handle_failure`](Self::handle_failure) once, then poll again. A machine never has more than
/// one request in flight; polling while it does gives [`Step::Idle`].
pub trait Machine {
    /// What it reports before its end.
    type Event;
    /// Its output at the end.
    type Output;

    /// What to do next. Poll again after doing it; after [`Step::Done`] the machine is spent, and
    /// polling always gives [`Step::Idle`].
    #[must_use = "a step must be acted on"]
    fn poll(&mut self, now: Moment) -> Step<Self::Event, Self::Output>;

    /// The response to the request in flight, whatever its status. Does nothing without a request
    /// in flight.
    fn handle_response(&mut self, now: Moment, response: Response<Bytes>);

    /// The request in flight got no response. Does nothing without a request in flight.
    fn handle_failure(&mut self, now: Moment, failure: TransportError);
}

/// What a machine asks for.
#[derive(Debug)]
#[non_exhaustive]
#[allow(
    clippy::large_enum_variant,
    reason = "a step is taken apart at once; a box would cost each request an allocation"
)]
pub enum Step<E, O> {
    /// Send this.
    Send(Transmit),
    /// Sleep until this time ([`Moment::instant`]). Polling earlier is harmless.
    Wait(Instant),
    /// This happened.
    Event(E),
    /// Do nothing until there is a response, a failure, or input from the caller.
    Idle,
    /// The end.
    Done(O),
}

/// A signed request, to be sent as it is.
#[derive(Debug)]
#[non_exhaustive]
pub struct Transmit {
    /// The request. No signed header may be changed, no redirect followed.
    pub request: Request<Body>,
    /// How long the whole exchange may take, from connecting to the last byte of the response.
    pub time_limit: Duration,
    /// The number of this attempt at the request, from 1.
    pub attempt: u32,
}

impl<E, O> Step<E, O> {
    /// The output, or a step to do before there is one.
    #[allow(
        clippy::result_large_err,
        reason = "a step is taken apart at once; a box would cost each request an allocation"
    )]
    pub(super) fn split(self) -> Result<O, Step<E, Infallible>> {
        Err(match self {
            Self::Send(transmit) => Step::Send(transmit),
            Self::Wait(until) => Step::Wait(until),
            Self::Event(event) => Step::Event(event),
            Self::Idle => Step::Idle,
            Self::Done(output) => return Ok(output),
        })
    }
}

impl<E> Step<E, Infallible> {
    /// The same step of a larger machine, whose events contain those of this one.
    pub(super) fn within<F, O>(self, event: impl FnOnce(E) -> F) -> Step<F, O> {
        match self {
            Self::Send(transmit) => Step::Send(transmit),
            Self::Wait(until) => Step::Wait(until),
            Self::Event(inner) => Step::Event(event(inner)),
            Self::Idle => Step::Idle,
            Self::Done(never) => match never {},
        }
    }
}

/// How a machine handles responses and failures, whatever its output.
pub(super) trait Exchange {
    /// As [`Machine::handle_response`].
    fn handle_response(&mut self, now: Moment, response: Response<Bytes>);

    /// As [`Machine::handle_failure`].
    fn handle_failure(&mut self, now: Moment, failure: TransportError);
}

impl<M: Machine> Exchange for M {
    fn handle_response(&mut self, now: Moment, response: Response<Bytes>) {
        Machine::handle_response(self, now, response);
    }

    fn handle_failure(&mut self, now: Moment, failure: TransportError) {
        Machine::handle_failure(self, now, failure);
    }
}
