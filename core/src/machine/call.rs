//! One operation: send, wait, send again where that is safe.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http::Response;

use super::step::{Machine, Step, Transmit};
use crate::caller::Caller;
use crate::error::{Error, GatewayError, Sent, TransportError};
use crate::instant::Instant;
use crate::moment::Moment;
use crate::ops::{Operation, Repeat, Reply};
use crate::rate_limit::RateLimit;

/// Drives one operation to its reply.
///
/// ```text
///            the time is there
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
/// A request is repeated when that is safe and may help: the gateway asked to come back later (429,
/// 503), something in front of it failed (502, 503, 504), or no response came. An operation that must
/// not be done twice ([`Repeat::IfUnsent`]) is repeated only if the gateway cannot have acted on it;
/// else it ends in [`Error::MayHaveRun`]. Every try is signed anew, with the date of that moment.
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
/// assert_eq!(wait.as_millis(), 99); // 200 ms and a random number of half its range
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
    /// Whether an earlier try may have reached the gateway.
    maybe_done: bool,
    started: Option<Instant>,
    /// More time for a large body.
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
    /// A call, not yet begun.
    pub fn new(operation: O, caller: Caller) -> Self {
        Self {
            operation,
            caller,
            state: State::Ready,
            tries: 0,
            maybe_done: false,
            started: None,
            allowance: Duration::ZERO,
        }
    }

    /// The operation.
    #[must_use]
    pub fn operation(&self) -> &O {
        &self.operation
    }

    /// The operation, when the call is over.
    #[must_use]
    pub fn into_operation(self) -> O {
        self.operation
    }

    /// Whether a request is in flight.
    pub(super) fn is_in_flight(&self) -> bool {
        matches!(self.state, State::InFlight)
    }

    /// Whether a request of this call may have reached the gateway. A result that was not polled yet may
    /// say so.
    pub(super) fn may_have_acted(&self) -> bool {
        self.maybe_done || matches!(self.state, State::InFlight | State::Done(_))
    }

    fn transmit(&mut self, now: Moment) -> Result<Transmit, Error> {
        let request = self.operation.request(self.caller.signer(), now.wall)?;
        self.allowance = self.caller.retry().allowance(request.body().len());
        self.started.get_or_insert(now.instant);
        self.tries += 1;
        let limit = self
            .caller
            .retry()
            .attempt_limit()
            .saturating_add(self.allowance);
        Ok(Transmit {
            request,
            time_limit: limit.min(self.deadline(now).saturating_duration_since(now.instant)),
            attempt: self.tries,
        })
    }

    /// When the budget ends.
    fn deadline(&self, now: Moment) -> Instant {
        self.started
            .unwrap_or(now.instant)
            .saturating_add(self.caller.retry().budget())
            .saturating_add(self.allowance)
    }

    /// Waits and tries again, or ends with this error if there is no try or no time left.
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
            && let Some(value) = self.operation.success_on_retry(&error)
        {
            self.state = State::Done(Ok(Reply::without_headers(value)));
            return;
        }
        let repeatable = match self.operation.repeat() {
            Repeat::Always => error.is_retryable(),
            Repeat::IfUnsent => error.was_rejected_before_execution(),
        };
        // A response from a proxy leaves open whether the gateway behind it acted.
        self.maybe_done |= error.is_unavailable() && !error.was_rejected_before_execution();
        if !repeatable {
            self.state = State::Done(Err(Error::Gateway(error)));
            return;
        }
        let backoff = self.caller.retry().backoff(self.tries, now.random);
        // Wait as long as the gateway asks for and, so that not all clients come back in the same
        // instant, a little longer.
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
        let unsent = failure.sent() == Sent::Nothing;
        self.maybe_done |= !unsent;
        if !unsent && self.operation.repeat() == Repeat::IfUnsent {
            self.state = State::Done(Err(Error::MayHaveRun(failure)));
            return;
        }
        if !failure.kind().is_transient() {
            self.state = State::Done(Err(failure.into()));
            return;
        }
        let wait = if failure.sent() == Sent::StaleConnection {
            Duration::ZERO
        } else {
            self.caller.retry().backoff(self.tries, now.random)
        };
        self.retry(now, wait, failure.into());
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Driver, caller, problem, reply};
    use super::*;
    use crate::error::{BuildError, TransportErrorKind};
    use crate::ops::testing::kernel;
    use crate::ops::{Destroy, Execute, ExecuteMode, Version};
    use crate::retry::RetryPolicy;

    fn call<O: Operation<Output: std::fmt::Debug>>(operation: O) -> Driver<Call<O>> {
        Driver::new(Call::new(operation, caller()))
    }

    fn execute() -> Execute {
        Execute::start(kernel(), ExecuteMode::query("1"))
    }

    fn failure(sent: Sent) -> TransportError {
        TransportError::new(TransportErrorKind::Receive, sent, "it broke")
    }

    #[test]
    fn a_success_ends_the_call() {
        let mut call = call(Version::new());
        assert_eq!(call.sends("GET /v2").attempt, 1);
        call.answers(reply(200, r#"{"version": "v2.20170315"}"#));
        assert_eq!(call.done().unwrap().value.version, "v2.20170315");
        assert!(matches!(call.poll(), Step::Idle));
    }

    #[test]
    fn only_one_request_is_in_flight() {
        let mut call = call(Version::new());
        call.sends("GET /v2");
        assert!(matches!(call.poll(), Step::Idle));
    }

    #[test]
    fn a_rate_limit_is_waited_out_as_long_as_the_gateway_says() {
        let mut call = call(execute());
        call.sends("POST /v2/kernel/k1");
        let mut response = problem(429, "rate-limit-exceeded");
        response
            .headers_mut()
            .insert("x-ratelimit-reset", 5_000.into());
        call.answers(response);
        let waited = call.waits();
        assert!((5_000..5_200).contains(&waited.as_millis()), "{waited:?}");
        call.sends("POST /v2/kernel/k1");
    }

    #[test]
    fn a_wait_past_the_budget_is_not_begun() {
        let mut call = call(Version::new());
        call.sends("GET /v2");
        let mut response = problem(429, "rate-limit-exceeded");
        response.headers_mut().insert("retry-after", 121.into());
        call.answers(response);
        let error = call.done().unwrap_err();
        assert!(error.gateway().unwrap().is_rate_limited());
    }

    /// A response to another request of the same caller says when the rate limit's window ends.
    fn window_ends_after(call: &Driver<Call<Execute>>, time: Duration) {
        let mut other = call.beside(Call::new(Version::new(), call.machine.caller.clone()));
        other.sends("GET /v2");
        let mut version = reply(200, r#"{"version": "v2.20170315"}"#);
        let left = u64::try_from(time.as_millis()).unwrap();
        version
            .headers_mut()
            .insert("x-ratelimit-reset", left.into());
        other.answers(version);
        assert!(other.done().is_ok());
    }

    #[test]
    fn a_rate_limit_without_headers_is_waited_out_until_the_window_ends() {
        let mut call = call(execute());
        call.sends("POST /v2/kernel/k1");
        window_ends_after(&call, Duration::from_secs(7));
        call.answers(problem(429, "rate-limit-exceeded"));
        let waited = call.waits();
        assert!((7_000..7_200).contains(&waited.as_millis()), "{waited:?}");
        call.sends("POST /v2/kernel/k1");
        // Too long to wait; the error says how long it would be.
        window_ends_after(&call, Duration::from_secs(800));
        call.answers(problem(429, "rate-limit-exceeded"));
        let error = call.done().unwrap_err();
        let wait = error.gateway().unwrap().retry_after();
        assert_eq!(wait, Some(Duration::from_secs(800)));
    }

    #[test]
    fn a_window_that_is_over_is_not_waited_for() {
        let mut call = call(execute());
        call.sends("POST /v2/kernel/k1");
        window_ends_after(&call, Duration::from_secs(1));
        call.passes(Duration::from_secs(2));
        call.answers(problem(429, "rate-limit-exceeded"));
        assert!(call.waits() < Duration::from_millis(200));
    }

    #[test]
    fn error_responses_say_when_the_window_ends_too() {
        let mut first = call(Version::new());
        first.sends("GET /v2");
        let mut gone = problem(404, "generic-not-found");
        gone.headers_mut().insert("x-ratelimit-reset", 3_000.into());
        first.answers(gone);
        let mut second = first.beside(Call::new(execute(), first.machine.caller.clone()));
        second.sends("POST /v2/kernel/k1");
        second.answers(problem(429, "rate-limit-exceeded"));
        let waited = second.waits();
        assert!((3_000..3_200).contains(&waited.as_millis()), "{waited:?}");
    }

    #[test]
    fn large_bodies_have_more_time() {
        let limit = |size| {
            let file = crate::ops::UploadFile::from_file("f", "f", size).unwrap();
            let boundary = crate::ops::Boundary::from_random([0; 16]);
            let upload = crate::ops::UploadFiles::new(kernel(), vec![file], boundary);
            call(upload).sends("POST /v2/kernel/k1/upload").time_limit
        };
        // 64 KiB a second.
        assert_eq!((limit(1024 * 1024) - limit(0)).as_secs(), 16);
        assert!(limit(0) < Duration::from_secs(61));
    }

    #[test]
    fn tries_are_counted() {
        let mut call = call(Version::new());
        for attempt in 1..5 {
            assert_eq!(call.sends("GET /v2").attempt, attempt);
            call.answers(reply(502, "<html>"));
            call.waits();
        }
        call.sends("GET /v2");
        call.answers(reply(502, "<html>"));
        assert_eq!(call.done().unwrap_err().gateway().unwrap().status(), 502);
    }

    #[test]
    fn code_that_may_have_run_is_not_sent_again() {
        for sent in [Sent::Maybe, Sent::StaleConnection] {
            let mut call = call(execute());
            call.sends("POST /v2/kernel/k1");
            call.fails(failure(sent));
            let error = call.done().unwrap_err();
            assert!(matches!(error, Error::MayHaveRun(_)), "{error:?}");
            assert!(!error.is_retryable());
        }
        let mut call = call(execute());
        call.sends("POST /v2/kernel/k1");
        call.answers(reply(504, ""));
        assert!(call.done().is_err());
    }

    #[test]
    fn code_that_was_not_sent_is_sent_again() {
        let mut call = call(execute());
        call.sends("POST /v2/kernel/k1");
        call.fails(failure(Sent::Nothing));
        call.waits();
        call.sends("POST /v2/kernel/k1");
        call.answers(problem(503, "service-unavailable"));
        call.waits();
        call.sends("POST /v2/kernel/k1");
    }

    #[test]
    fn a_stale_connection_is_replaced_at_once() {
        let mut call = call(Version::new());
        call.sends("GET /v2");
        call.fails(failure(Sent::StaleConnection));
        call.sends("GET /v2");
    }

    #[test]
    fn a_kernel_that_is_gone_after_a_retry_was_destroyed() {
        let gone = || problem(404, "kernel-not-found");
        let mut first = call(Destroy::new(kernel()));
        first.sends("DELETE /v2/kernel/k1");
        first.answers(gone());
        assert!(first.done().unwrap_err().is_not_found());

        let mut second = call(Destroy::new(kernel()));
        second.sends("DELETE /v2/kernel/k1");
        second.fails(failure(Sent::Maybe));
        second.waits();
        second.sends("DELETE /v2/kernel/k1");
        second.answers(gone());
        assert!(second.done().is_ok());
    }

    #[test]
    fn failures_that_need_a_change_are_not_repeated() {
        let mut call = call(Version::new());
        call.sends("GET /v2");
        call.fails(TransportError::new(
            TransportErrorKind::Tls,
            Sent::Nothing,
            "bad",
        ));
        assert!(matches!(call.done(), Err(Error::Transport(_))));
    }

    #[test]
    fn each_try_has_its_own_date_and_less_time() {
        let policy = RetryPolicy::default()
            .with_backoff(Duration::from_secs(30), Duration::from_secs(30))
            .with_budget(Duration::from_secs(70));
        let mut call = Driver::new(Call::new(Version::new(), caller().with_retry(policy)));
        let first = call.sends("GET /v2");
        assert_eq!(first.time_limit, Duration::from_secs(60));
        call.passes(Duration::from_secs(40));
        call.fails(failure(Sent::Maybe));
        let waited = call.waits();
        let second = call.sends("GET /v2");
        assert_eq!(
            second.time_limit,
            Duration::from_secs(30).saturating_sub(waited)
        );
        assert_ne!(
            first.request.headers()["date"],
            second.request.headers()["date"]
        );
    }

    #[test]
    fn a_request_that_cannot_be_made_ends_the_call() {
        let long = ExecuteMode::query("x".repeat(1024 * 1024));
        let mut call = call(Execute::start(kernel(), long));
        let error = call.done().unwrap_err();
        assert!(matches!(
            error,
            Error::Build(BuildError::CodeTooLong { .. })
        ));
    }
}
