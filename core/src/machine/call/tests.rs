//! Calls, in virtual time.

use super::*;
use crate::error::{BuildError, TransportCause, TransportErrorKind};
use crate::machine::testing::{Driver, caller, problem, reply};
use crate::ops::testing::kernel;
use crate::ops::{Destroy, Execute, ExecuteMode, Success, Version};
use crate::retry::RetryPolicy;
use crate::unsigned::UnsignedRequest;
use crate::version::ApiVersion;

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

/// Wants another path after a 405.
#[derive(Debug)]
struct Adapts(&'static str);

impl Operation for Adapts {
    type Output = ();

    fn prepare(&self, _: ApiVersion) -> Result<UnsignedRequest, BuildError> {
        Ok(UnsignedRequest::new(http::Method::GET, self.0))
    }

    fn read(&self, _: ApiVersion, success: &Success) -> Result<(), Error> {
        Ok(success.empty()?)
    }

    fn adapt(&mut self, _: ApiVersion, error: &GatewayError) -> bool {
        self.0 = "/second";
        error.status() == 405
    }
}

#[test]
fn a_second_form_of_a_request_is_tried_once() {
    let mut call = call(Adapts("/first"));
    call.sends("GET /first");
    call.answers(problem(405, "method-not-allowed"));
    call.sends("GET /second");
    call.answers(problem(405, "method-not-allowed"));
    assert_eq!(call.done().unwrap_err().gateway().unwrap().status(), 405);
}

#[test]
fn what_speaks_another_protocol_has_not_run_anything() {
    let elsewhere = || failure(Sent::Maybe).with_cause(TransportCause::ExpectsTls);
    let mut call = call(execute());
    call.sends("POST /v2/kernel/k1");
    call.fails(elsewhere());
    // It would come again, so it is not retried.
    let error = call.done().unwrap_err();
    assert!(matches!(error, Error::Transport(_)), "{error:?}");
    assert!(!error.may_have_acted() && !error.is_retryable());
}

#[test]
fn only_one_request_is_in_flight() {
    let mut call = call(Version::new());
    call.sends("GET /v2");
    assert!(matches!(call.poll(), Step::Idle));
}

#[test]
fn a_rate_limit_is_waited_for_as_long_as_the_gateway_says() {
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
fn a_rate_limit_without_headers_is_waited_for_until_the_window_ends() {
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

#[test]
fn the_first_attempt_at_a_request_that_is_recognized_is_short_and_others_have_connections_of_their_own()
 {
    let late = || TransportError::new(TransportErrorKind::Timeout, Sent::Maybe, "it is late");
    let marked = execute().with_mark(Some(crate::ops::RunMark::new("a")));
    let mut call = call(marked);
    // As slow as a connection may be, some attempt is long enough.
    for (seconds, own_connection) in [(10, false), (20, true), (40, true), (60, true)] {
        let transmit = call.sends("POST /v2/kernel/k1");
        assert_eq!(transmit.time_limit.as_secs(), seconds);
        assert_eq!(transmit.own_connection, own_connection);
        call.fails(late());
        call.waits();
    }

    let mut call = self::call(Version::new());
    assert_eq!(call.sends("GET /v2").time_limit.as_secs(), 60);
    call.fails(failure(Sent::Maybe));
    call.waits();
    // It broke, and was not silent.
    assert!(!call.sends("GET /v2").own_connection);
}
