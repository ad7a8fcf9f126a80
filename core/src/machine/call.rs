//! One operation: send, wait, retry where that is safe.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http::Response;

use super::step::{Machine, Step, Transmit};
use crate::caller::Caller;
use crate::error::{Error, GatewayError, Sent, TransportError, TransportErrorKind};
use crate::instant::Instant;
use crate::moment::Moment;
use crate::ops::{Operation, Repeat, Reply};
use crate::rate_limit::RateLimit;

/// How long the first attempt at a request that the gateway recognizes may take; each further one may take twice as long. Such gateways
/// respond within about 2 s, so the connection is slow or dead then, and another attempt costs nothing.
const FIRST_LIMIT: Duration = Duration::from_secs(10);

/// Drives one operation until it has a reply.
///
/// ```text
///            the time has come
///          ┌─────────────────── Waiting ◄──────────┐
///          ▼                    Step::Wait         │ may be tried again
///   new ─► Ready ─────────────► InFlight ──────────┤
///          │      Step::Send    Step::Idle         │ response, or failure
///          │                                       │
///          │ cannot be built                       ▼ all else
///          └──── Step::Done ───► Spent ◄────────── Done
///                                Step::Idle        Step::Done
/// ```
///
/// A request is retried when that is safe and may help: the gateway asked to retry later (429,
/// 503), a proxy in front of it failed (502, 503, 504), or no response came. An operation that must
/// not be done twice ([`Repeat::IfUnsent`]) is retried only if the gateway cannot have acted on it;
/// otherwise it ends in [`Error::MayHaveRun`]. One that the gateway recognizes ([`Repeat::Recognized`]) is retried, and ends
/// so if no response came at all. Every attempt has a new signature, with the current
/// date. After an attempt whose time ran out, the next one has a connection of its own.
///
/// ```
/// use std::time::{Duration, UNIX_EPOCH};
/// use sorna_core::machine::{Call, Machine, Step};
/// use sorna_core::{Authorize, Caller, Instant, Moment};
/// # use sorna_core::{AccessKey, Config, Credentials, SecretKey, Signer};
/// # let keys = Credentials::new(AccessKey::new("AK")?, SecretKey::new("SK")?);
/// # let signer = Signer::new(Config::new("http://127.0.0.1:8081".parse()?, keys));
///
/// let mut call = Call::new(Authorize::new("hi"), Caller::new(signer));
/// let now = Moment::new(UNIX_EPOCH + Duration::from_secs(1_498_699_425), Instant::default(), u64::MAX / 2);
///
/// let Step::Send(transmit) = call.poll(now) else { panic!() };
/// assert_eq!(transmit.request.uri().path(), "/v2/authorize");
/// assert_eq!(transmit.request.headers()["date"], "Thu, 29 Jun 2017 01:23:45 GMT");
/// assert_eq!(transmit.request.body().as_bytes().unwrap(), br#"{"echo":"hi"}"#);
/// assert!(matches!(call.poll(now), Step::Idle)); // while that is in flight
///
/// // The gateway is starting. The call waits for up to 200 ms, then tries again.
/// let starting = r#"{"type": "https://api.sorna.io/probs/service-unavailable"}"#;
/// call.handle_response(now, http::Response::builder().status(503).body(starting.into())?);
/// let Step::Wait(until) = call.poll(now) else { panic!() };
/// let wait = until.saturating_duration_since(now.instant);
/// assert_eq!(wait.as_millis(), 99); // half of 200 ms: the random number is half of its maximum
/// let now = now.after(wait);
/// let Step::Send(transmit) = call.poll(now) else { panic!() };
/// assert_eq!(transmit.attempt, 2);
///
/// let response = r#"{"authorized": "yes", "echo": "hi"}"#;
/// call.handle_response(now, http::Response::new(response.into()));
/// let Step::Done(Ok(reply)) = call.poll(now) else { panic!() };
/// assert_eq!(reply.value.echo.as_deref(), Some("hi"));
/// assert!(matches!(call.poll(now), Step::Idle)); // from now on
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "a call does nothing until it is polled"]
pub struct Call<O: Operation> {
    operation: O,
    caller: Caller,
    state: State<O::Output>,
    tries: u32,
    /// Whether an earlier attempt may have reached the gateway.
    maybe_done: bool,
    /// Whether time ran out for an earlier attempt: then its connection may be dead, and others as well.
    is_late: bool,
    /// Whether the request has its second form: see [`Operation::adapt`].
    adapted: bool,
    started: Option<Instant>,
    /// Extra time for a large body.
    allowance: Duration,
}

#[derive(Debug)]
enum State<T> {
    Ready,
    InFlight,
    Waiting(Instant),
    Done(Result<Reply<T>, Error>),
    Spent,
}

impl<O: Operation> Call<O> {
    /// A call. It starts when it is polled.
    pub fn new(operation: O, caller: Caller) -> Self {
        Self {
            operation,
            caller,
            state: State::Ready,
            tries: 0,
            maybe_done: false,
            is_late: false,
            adapted: false,
            started: None,
            allowance: Duration::ZERO,
        }
    }

    /// The operation.
    #[must_use]
    pub fn operation(&self) -> &O {
        &self.operation
    }

    /// Takes the operation, once the call is over.
    #[must_use]
    pub fn into_operation(self) -> O {
        self.operation
    }

    /// Whether a request is in flight.
    pub(super) fn is_in_flight(&self) -> bool {
        matches!(self.state, State::InFlight)
    }

    /// Whether a request is in flight, or there is a result that was not polled yet.
    pub(super) fn is_busy(&self) -> bool {
        matches!(self.state, State::InFlight | State::Done(_))
    }

    /// Whether a request was sent, and no response to it has come.
    pub(super) fn is_unanswered(&self) -> bool {
        self.tries > 0 && matches!(self.state, State::Waiting(_) | State::Ready)
    }

    /// Whether there was one attempt.
    pub(super) fn was_tried_once(&self) -> bool {
        self.tries == 1
    }

    /// Whether a request of this call may have reached the gateway. Also true if there is a result
    /// that was not polled yet.
    pub(super) fn may_have_acted(&self) -> bool {
        self.maybe_done || matches!(self.state, State::InFlight | State::Done(_))
    }

    fn transmit(&mut self, now: Moment) -> Result<Transmit, Error> {
        let request = self.operation.request(self.caller.signer(), now.wall)?;
        self.allowance = self.caller.retry().allowance(request.body().len());
        self.started.get_or_insert(now.instant);
        self.tries += 1;
        let limit = self.attempt_limit().saturating_add(self.allowance);
        Ok(Transmit {
            request,
            time_limit: limit.min(self.deadline(now).saturating_duration_since(now.instant)),
            attempt: self.tries,
            own_connection: self.is_late || self.operation.needs_own_connection(),
        })
    }

    /// The most time for this attempt.
    fn attempt_limit(&self) -> Duration {
        let limit = self.caller.retry().attempt_limit();
        match self.operation.repeat() {
            Repeat::Recognized => {
                let doublings = self.tries.saturating_sub(1).min(8);
                limit.min(FIRST_LIMIT.saturating_mul(1 << doublings))
            }
            _ => limit,
        }
    }

    /// When the budget ends.
    fn deadline(&self, now: Moment) -> Instant {
        self.started
            .unwrap_or(now.instant)
            .saturating_add(self.caller.retry().budget())
            .saturating_add(self.allowance)
    }

    /// Waits and retries, or ends with this error if there is no attempt or no time left.
    fn retry(&mut self, now: Moment, wait: Duration, error: Error) {
        let until = now.instant.saturating_add(wait);
        self.state = if self.tries >= self.caller.retry().attempts() || until >= self.deadline(now)
        {
            State::Done(Err(error))
        } else {
            State::Waiting(until)
        };
    }

    fn error_response(&mut self, now: Moment, error: Box<GatewayError>) {
        if self.maybe_done
            && let Some(value) = self
                .operation
                .success_on_retry(self.caller.version(), &error)
        {
            self.state = State::Done(Ok(Reply::without_headers(value)));
            return;
        }
        if !self.adapted && self.operation.adapt(self.caller.version(), &error) {
            self.adapted = true;
            self.state = State::Ready;
            return;
        }
        let repeatable = match self.operation.repeat() {
            Repeat::Always | Repeat::Recognized => error.is_retryable(),
            Repeat::IfUnsent => error.was_rejected_before_execution(),
        };
        // A response from a proxy does not say whether the gateway behind it acted.
        self.maybe_done |= error.is_unavailable() && !error.was_rejected_before_execution();
        if !repeatable {
            self.state = State::Done(Err(Error::Gateway(error)));
            return;
        }
        let backoff = self.caller.retry().backoff(self.tries, now.random);
        // Wait as long as the gateway asks for, and a little longer, so that not all clients retry
        // in the same instant.
        let wait = error.retry_after().map_or(backoff, |asked| {
            asked.saturating_add(backoff.min(self.caller.retry().first_backoff()))
        });
        self.retry(now, wait, Error::Gateway(error));
    }
}

impl<O: Operation> Machine for Call<O> {
    type Event = Infallible;
    type Output = Result<Reply<O::Output>, Error>;

    fn poll(&mut self, now: Moment) -> Step<Infallible, Self::Output> {
        match std::mem::replace(&mut self.state, State::Spent) {
            State::Ready => match self.transmit(now) {
                Ok(transmit) => {
                    self.state = State::InFlight;
                    Step::Send(transmit)
                }
                Err(error) => Step::Done(Err(error)),
            },
            State::Waiting(until) if now.instant < until => {
                self.state = State::Waiting(until);
                Step::Wait(until)
            }
            State::Waiting(_) => {
                self.state = State::Ready;
                self.poll(now)
            }
            State::InFlight => {
                self.state = State::InFlight;
                Step::Idle
            }
            State::Done(result) => Step::Done(result),
            State::Spent => Step::Idle,
        }
    }

    fn handle_response(&mut self, now: Moment, response: Response<Bytes>) {
        if !matches!(self.state, State::InFlight) {
            return;
        }
        let version = self.caller.version();
        let limit = RateLimit::from_headers(version.dialect(), response.headers());
        self.caller.observe(now, limit.as_ref());
        match self.operation.read_response(version, response) {
            Err(Error::Gateway(error)) if error.is_rate_limited() => {
                let left = self.caller.window_left(now);
                self.error_response(now, Box::new(error.with_known_wait(left)));
            }
            Err(Error::Gateway(error)) => self.error_response(now, error),
            result => self.state = State::Done(result),
        }
    }

    fn handle_failure(&mut self, now: Moment, failure: TransportError) {
        if !matches!(self.state, State::InFlight) {
            return;
        }
        let unsent = !failure.may_have_acted();
        self.maybe_done |= !unsent;
        self.is_late |= failure.kind() == TransportErrorKind::Timeout;
        if !unsent && self.operation.repeat() == Repeat::IfUnsent {
            self.state = State::Done(Err(Error::MayHaveRun(failure)));
            return;
        }
        let may_have_run = self.maybe_done && self.operation.repeat() == Repeat::Recognized;
        let is_transient = failure.is_transient();
        let is_stale = failure.sent() == Sent::StaleConnection;
        let error = match may_have_run {
            true => Error::MayHaveRun(failure),
            false => failure.into(),
        };
        if !is_transient {
            self.state = State::Done(Err(error));
            return;
        }
        let wait = if is_stale {
            Duration::ZERO
        } else {
            self.caller.retry().backoff(self.tries, now.random)
        };
        self.retry(now, wait, error);
    }
}

#[cfg(test)]
mod tests;
