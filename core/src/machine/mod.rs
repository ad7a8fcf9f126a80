//! State machines for everything that takes more than one request.
//!
//! | machine | what it does |
//! |---|---|
//! | [`Call`] | one operation: sends, waits, sends again where that is safe |
//! | [`Upload`] | any number of files, in as many requests as it takes |
//! | [`Execution`] | one execution, through continuations, build steps and input requests, to its end |
//! | [`Run`] | a whole run: create a kernel, upload, execute, destroy |
//!
//! All are [`Machine`]s, driven in the same way:
//!
//! ```text
//!                ┌──────────────────────────── poll ───────────────────────────┐
//!                │                                                             │
//!   Step::Send ──┤ send the request; then handle_response or handle_failure ───┤
//!   Step::Wait ──┤ sleep until that time ──────────────────────────────────────┤
//!   Step::Event ─┤ show it to the caller ──────────────────────────────────────┤
//!   Step::Idle ──┤ the caller must do something (answer an input request) ─────┘
//!   Step::Done ──┘ the end
//! ```
//!
//! So a driver is a loop. This one sends nothing, as its gateway is a function:
//!
//! ```
//! use std::time::UNIX_EPOCH;
//! use http::{Request, Response};
//! use sorna_core::machine::{Call, Machine, Step};
//! use sorna_core::{Body, Caller, Instant, Moment, Version};
//! # use sorna_core::{AccessKey, Config, Credentials, SecretKey, Signer};
//! # let keys = Credentials::new(AccessKey::new("AK")?, SecretKey::new("SK")?);
//! # let signer = Signer::new(Config::new("http://127.0.0.1:8081".parse()?, keys));
//!
//! fn drive<M: Machine>(
//!     mut machine: M,
//!     send: impl Fn(Request<Body>) -> Response<bytes::Bytes>,
//! ) -> M::Output {
//!     let mut now = Moment::new(UNIX_EPOCH, Instant::default(), 7);
//!     loop {
//!         match machine.poll(now) {
//!             Step::Send(transmit) => machine.handle_response(now, send(transmit.request)),
//!             Step::Wait(until) => now = now.after(until.saturating_duration_since(now.instant)),
//!             Step::Done(output) => return output,
//!             _ => panic!("a call has no events, and idles only while its request is on its way"),
//!         }
//!     }
//! }
//!
//! let call = Call::new(Version::new(), Caller::new(signer));
//! let answer = drive(call, |request| {
//!     assert_eq!(request.uri().path(), "/v2");
//!     Response::new(r#"{"version": "v2.20170315"}"#.into())
//! });
//! assert_eq!(answer?.value.version, "v2.20170315");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! An open terminal is a machine of messages in place of requests:
//! [`Terminal`](crate::terminal::Terminal).

mod call;
mod execution;
mod run;
#[cfg(test)]
mod testing;
mod upload;

pub use call::Call;
pub use execution::{Execution, ExecutionEvent};
pub use run::{Cleanup, Ending, Run, RunEvent, RunPlan, RunReport};
pub use upload::{Upload, UploadProgress};

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
/// one request on its way; polling while it does gives [`Step::Idle`].
pub trait Machine {
    /// What it reports on the way.
    type Event;
    /// What it ends with.
    type Output;

    /// What to do next. Poll again after doing it; after [`Step::Done`] the machine is spent, and
    /// polling gives [`Step::Idle`] for ever.
    #[must_use = "a step must be acted on"]
    fn poll(&mut self, now: Moment) -> Step<Self::Event, Self::Output>;

    /// The answer to the request on its way, whatever its status. Without a request on its way nothing
    /// happens.
    fn handle_response(&mut self, now: Moment, response: Response<Bytes>);

    /// The request on its way got no answer. Without a request on its way nothing happens.
    fn handle_failure(&mut self, now: Moment, failure: TransportError);
}

/// What a machine wants done.
#[derive(Debug)]
#[non_exhaustive]
#[allow(
    clippy::large_enum_variant,
    reason = "a step is taken apart at once; a box would cost each request an allocation"
)]
pub enum Step<E, O> {
    /// Send this.
    Send(Transmit),
    /// Sleep until this time ([`Moment::instant`]). Polling earlier does no harm.
    Wait(Instant),
    /// This happened.
    Event(E),
    /// Nothing, until a response, a failure, or the caller's answer comes in.
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
    /// How long the whole exchange may take, from connecting to the last byte of the answer.
    pub time_limit: Duration,
    /// Which try of this request it is, from 1.
    pub attempt: u32,
}

impl<E, O> Step<E, O> {
    /// The output, or what is to be done before there is one.
    fn split(self) -> Result<O, Step<E, Infallible>> {
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
    /// The same step of a larger machine, whose events hold those of this one.
    fn within<F, O>(self, event: impl FnOnce(E) -> F) -> Step<F, O> {
        match self {
            Self::Send(transmit) => Step::Send(transmit),
            Self::Wait(until) => Step::Wait(until),
            Self::Event(inner) => Step::Event(event(inner)),
            Self::Idle => Step::Idle,
            Self::Done(never) => match never {},
        }
    }
}
