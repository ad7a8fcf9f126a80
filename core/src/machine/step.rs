//! What a machine is, and the steps that it asks for.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};

use crate::body::Body;
use crate::error::TransportError;
use crate::frame::Frame;
use crate::instant::Instant;
use crate::moment::Moment;

/// Something that is driven by requests, responses and time.
///
/// After each [`Step::Send`], call [`handle_response`](Self::handle_response) or
/// [`handle_failure`](Self::handle_failure) once, then poll again. A machine never has more than
/// one request in flight; polling while it does gives [`Step::Idle`].
///
/// A machine that was allowed to [stream] also asks for a WebSocket, one at a time. After
/// [`Step::Open`], call one of the same two functions if there is none, or else [`handle_open`](Self::handle_open). From
/// then on, read a message whenever the machine waits ([`Step::Wait`]), and pass it in; also the end of the WebSocket, by
/// [`handle_close`](Self::handle_close) or [`handle_failure`](Self::handle_failure). Other machines ignore these calls.
///
/// [stream]: super::Execution::with_streaming
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

    /// The request in flight got no response, or the open WebSocket broke. Does nothing without either.
    fn handle_failure(&mut self, now: Moment, failure: TransportError);

    /// The WebSocket that was requested is open.
    fn handle_open(&mut self, _now: Moment) {}

    /// A message arrived on the WebSocket.
    fn handle_frame(&mut self, _now: Moment, _frame: Frame) {}

    /// The gateway closed the WebSocket, with the code and the reason of its close frame, if there was one.
    fn handle_close(&mut self, _now: Moment, _code: Option<u16>, _reason: &str) {}
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
    /// Open a WebSocket with this request: the headers of the WebSocket itself, which are not signed, are to be added.
    Open(Transmit),
    /// Send this over the WebSocket.
    SendFrame(Frame),
    /// Close the WebSocket, and drop what it still receives.
    Close,
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
    /// Whether it is to be sent over a new connection, since those that are open may be dead.
    pub own_connection: bool,
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
            Self::Open(transmit) => Step::Open(transmit),
            Self::SendFrame(frame) => Step::SendFrame(frame),
            Self::Close => Step::Close,
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
            Self::Open(transmit) => Step::Open(transmit),
            Self::SendFrame(frame) => Step::SendFrame(frame),
            Self::Close => Step::Close,
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

    /// As [`Machine::handle_open`].
    fn handle_open(&mut self, now: Moment);

    /// As [`Machine::handle_frame`].
    fn handle_frame(&mut self, now: Moment, frame: Frame);

    /// As [`Machine::handle_close`].
    fn handle_close(&mut self, now: Moment, code: Option<u16>, reason: &str);
}

impl<M: Machine> Exchange for M {
    fn handle_response(&mut self, now: Moment, response: Response<Bytes>) {
        Machine::handle_response(self, now, response);
    }

    fn handle_failure(&mut self, now: Moment, failure: TransportError) {
        Machine::handle_failure(self, now, failure);
    }

    fn handle_open(&mut self, now: Moment) {
        Machine::handle_open(self, now);
    }

    fn handle_frame(&mut self, now: Moment, frame: Frame) {
        Machine::handle_frame(self, now, frame);
    }

    fn handle_close(&mut self, now: Moment, code: Option<u16>, reason: &str) {
        Machine::handle_close(self, now, code, reason);
    }
}
