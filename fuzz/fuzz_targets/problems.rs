//! Error responses: problem documents from a gateway, and the pages of proxies.
//!
//! The input is a response as text. A success status is replaced by one of 400 to 599. Properties:
//!
//! - Status and body are kept; the body is a problem, other JSON or neither, as a plain JSON parser
//!   reads it; nothing of a problem document is lost.
//! - The predicates agree with the status, the kind and each other, for the operation's error as for
//!   the error response itself; `retry_after` and the date are those of the headers.
//! - The error can be shown in one line, however long it is.
//! - The problems that the gateway's side writes are read back as the same.

#![no_main]

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use sorna_core::server::ProblemReply;
use sorna_core::terminal::OpenTerminal;
use sorna_core::{
    ApiVersion, Error, ErrorBody, GatewayError, Info, Operation, Problem, ProblemKind,
};
use sorna_fuzz::{Message, check_error, json, kernel, same_json};

fuzz_target!(|data: &[u8]| {
    let choice = data.iter().map(|byte| usize::from(*byte)).sum();
    check_reply(choice, &String::from_utf8_lossy(data));

    let Some(mut response) = Message::read(data).into_response() else {
        return;
    };
    if response.status().is_success() {
        let status = 400 + (choice % 200) as u16;
        *response.status_mut() = StatusCode::from_u16(status).expect("it is in range");
    }
    let error = Info::new(kernel())
        .read_response(ApiVersion::default(), response.clone())
        .expect_err("an error response");
    let error_response = error.gateway().expect("an error response");
    check_error_response(error_response, &response);
    check_predicates(&error, error_response);
    check_error(&error);

    // The terminal's handshake reads it in the same way.
    let other = OpenTerminal::new(kernel()).read_error(ApiVersion::default(), response);
    assert_eq!(other.to_string(), error.to_string());
});

fn check_error_response(error_response: &GatewayError, response: &Response<Bytes>) {
    assert_eq!(error_response.status(), response.status());
    assert_eq!(error_response.body(), response.body());
    let date = response
        .headers()
        .get("date")
        .and_then(|date| date.to_str().ok());
    assert_eq!(error_response.gateway_date(), date);
    assert_eq!(
        error_response.retry_after(),
        retry_after(response.headers())
    );

    let json = json(response.body());
    match (error_response.error_body(), json) {
        (ErrorBody::Raw, None) => {}
        (ErrorBody::Json(kept), Some(json)) => assert!(same_json(kept, &json)),
        (ErrorBody::Problem(problem), Some(json)) => check_problem(problem, &json),
        (kept, json) => panic!("{json:?} became {kept:?}"),
    }
    if let Some(kind) = error_response.kind_name() {
        assert!(!kind.contains('/'));
        assert!(
            error_response
                .problem()
                .expect("it has a kind")
                .type_uri
                .ends_with(kind)
        );
    }
}

/// Nothing is lost, except keys whose value is null.
fn check_problem(problem: &Problem, json: &Value) {
    assert_eq!(json["type"], problem.type_uri.as_str());
    let written = serde_json::to_value(problem).expect("it came from JSON");
    let again: Problem = serde_json::from_value(written.clone()).expect("our own encoding");
    assert_eq!(again, *problem);
    // (An array is read as the fields in their order; there is nothing to compare it with.)
    for (key, value) in json.as_object().into_iter().flatten() {
        match value {
            // Known keys without a value, or an agent's part that adds them.
            Value::Null => {}
            Value::Object(_) if key == "agent-details" => {
                let kept = problem.agent_details.as_ref().expect("it is there");
                let lost = |(key, value): (&String, &Value)| {
                    !value.is_null() && !same_json(&written["agent-details"][key], value)
                };
                assert!(
                    !value.as_object().is_some_and(|part| part.iter().any(lost)),
                    "{kept:?}"
                );
            }
            value => assert!(same_json(&written[key], value), "{key} is lost"),
        }
    }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<u64>().ok();
    let seconds = number("retry-after").map(Duration::from_secs);
    let milliseconds = || number("x-ratelimit-reset").or_else(|| number("x-retry-after"));
    seconds.or_else(|| milliseconds().map(Duration::from_millis))
}

fn check_predicates(error: &Error, error_response: &GatewayError) {
    assert_eq!(error.is_auth(), error_response.is_auth());
    assert_eq!(error.is_not_found(), error_response.is_not_found());
    assert_eq!(error.is_retryable(), error_response.is_retryable());
    let status = error_response.status().as_u16();
    assert_eq!(error_response.is_auth(), status == 401);
    assert_eq!(error_response.is_not_found(), status == 404);
    assert_eq!(error_response.is_rate_limited(), status == 429);
    if error_response.is_retryable() {
        assert!(matches!(status, 429 | 502..=504), "{status} is retried");
    }
    if error_response.was_rejected_before_execution() {
        assert!(error_response.is_retryable());
        // Only the gateway itself can know this.
        assert!(status == 429 || error_response.kind_name().is_some());
    }
    // Only a problem document of a server error says that nothing was done.
    let is_failure = (500..600).contains(&status);
    assert!(error_response.is_conclusive() || is_failure);
    assert!(!error_response.is_conclusive() || !is_failure || error_response.kind_name().is_some());
    assert!(error_response.is_conclusive() || !error_response.was_rejected_before_execution());
    if error_response.is_clock_skew() {
        assert_eq!(
            (status, error_response.kind()),
            (400, Some(ProblemKind::InvalidAuthParams))
        );
    }
    if error_response.is_creation_failed() || error_response.is_quota_exceeded() {
        assert!(!error_response.was_rejected_before_execution() || status == 429 || status == 503);
    }
}

/// Problems of our gateway, as a client reads them.
fn check_reply(choice: usize, words: &str) {
    let kind = ProblemKind::ALL[choice % ProblemKind::ALL.len()];
    let (detail, rest) = words.split_once('\n').unwrap_or((words, ""));
    let exception = (!rest.is_empty()).then(|| rest.to_owned());
    let reply = kind
        .reply_with(detail)
        .with_agent("agent-failure", detail, exception.clone());
    assert!(reply.to_string().starts_with(kind.name()));
    let title = reply.title().to_owned();
    assert!(title.ends_with(&format!("({detail})")));

    let error = received(reply);
    let problem = error
        .gateway()
        .and_then(GatewayError::problem)
        .expect("a problem");
    assert_eq!(problem.kind(), Some(kind));
    assert_eq!(problem.title, Some(title));
    let agent = problem.agent_details.as_ref().expect("the agent's part");
    assert!(
        agent
            .type_uri
            .as_deref()
            .is_some_and(|uri| uri.ends_with("/agent-failure"))
    );
    assert_eq!(agent.title.as_deref(), Some(detail));
    assert_eq!(agent.exception, exception);
    assert!(problem.extra.is_empty() && agent.extra.is_empty());

    let plain = received(kind.reply());
    let error_response = plain.gateway().expect("an error response");
    assert_eq!(error_response.status(), kind.status());
    assert_eq!(error_response.kind(), Some(kind));
    assert!(
        error_response
            .problem()
            .expect("a problem")
            .agent_details
            .is_none()
    );
}

fn received(reply: ProblemReply) -> Error {
    let error = Info::new(kernel())
        .read_response(
            ApiVersion::default(),
            reply.into_response().map(Bytes::from),
        )
        .expect_err("an error response");
    check_error(&error);
    error
}
