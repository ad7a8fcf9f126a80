//! Error responses of both dialects.

use http::HeaderValue;

use super::*;

fn error_response(status: u16, body: &str) -> GatewayError {
    let status = StatusCode::from_u16(status).unwrap();
    let body = Bytes::copy_from_slice(body.as_bytes());
    GatewayError::new(Dialect::SornaV2, status, &HeaderMap::new(), &body)
}

#[test]
fn problem_documents_are_kept_whole() {
    let error = error_response(
        500,
        r#"{"type": "https://api.sorna.io/probs/kernel-creation-failed",
            "title": "Kernel creation has failed.", "instance": 7,
            "agent-details": {"type": "https://api.sorna.io/probs/agent-failure",
                              "title": null, "exception": "KeyError('cobol')"}}"#,
    );
    let problem = error.problem().unwrap();
    assert_eq!(problem.kind(), Some(ProblemKind::KernelCreationFailed));
    assert_eq!(problem.extra["instance"], 7);
    let agent = problem.agent_details.as_ref().unwrap();
    assert_eq!(agent.title, None);
    assert!(error.is_creation_failed());
    assert_eq!(
        error.to_string(),
        "the gateway responded with 500 kernel-creation-failed: Kernel creation has failed: KeyError('cobol')"
    );
}

#[test]
fn later_gateways_say_it_in_msg() {
    let error = error_response(
        400,
        r#"{"type": "https://api.backend.ai/probs/invalid-auth-params",
            "title": "Missing or invalid authorization parameters.", "msg": "Date/time sync error"}"#,
    );
    assert_eq!(error.message(), Some("Date/time sync error"));
    assert!(error.is_clock_skew());
    assert_eq!(
        error.to_string(),
        "the gateway responded with 400 invalid-auth-params: Date/time sync error"
    );
    for msg in ["null", r#""""#, "1"] {
        let body = format!(r#"{{"type": "x/auth-failed", "title": "No.", "msg": {msg}}}"#);
        assert_eq!(error_response(401, &body).message(), Some("No."), "{msg}");
    }
    assert_eq!(error_response(502, "<html>").message(), None);
}

#[test]
fn backend_ai_says_more_in_fields_of_its_own() {
    let error = error_response(
        404,
        r#"{"type": "https://api.backend.ai/probs/url-not-found", "title": "No.",
            "error_code": "api_read_not-found", "msg": "No such path", "data": "/v2"}"#,
    );
    assert_eq!(error.error_code(), Some("api_read_not-found"));
    assert_eq!(error.data(), Some(&Value::from("/v2")));
    assert_eq!(error.problem().unwrap().msg(), Some("No such path"));
    let error = error_response(404, r#"{"type": "x/y", "error_code": 1, "data": null}"#);
    assert_eq!((error.error_code(), error.data()), (None, None));
    assert_eq!(error_response(404, "").data(), None);
}

#[test]
fn reported_failures_are_shown_without_a_status() {
    let show = |messages: &[&str]| {
        let messages = messages.iter().map(|&message| message.to_owned()).collect();
        GatewayError::reported(StatusCode::OK, &Bytes::new(), "it failed", messages).to_string()
    };
    assert_eq!(show(&["No such file\n"]), "it failed: No such file");
    assert_eq!(
        show(&["0", "1", "2", "3", "4"]),
        "it failed: 0; 1; 2; and 2 more"
    );
    assert_eq!(show(&["a\u{1b}b", ""]), "it failed: a\u{fffd}b; (empty)");
    let traceback =
        "Traceback (most recent call last):\n  File \"<string>\"\nFileNotFoundError: 'x'\n";
    assert_eq!(show(&[traceback]), "it failed: FileNotFoundError: 'x'");
}

#[test]
fn html_and_empty_bodies_are_kept_too() {
    let error = error_response(502, "<html><h1>Bad Gateway</h1></html>");
    assert!(matches!(error.error_body(), ErrorBody::Raw));
    assert!(
        error.is_unavailable() && error.is_retryable() && !error.was_rejected_before_execution()
    );
    assert!(error.to_string().contains("<h1>Bad Gateway</h1>"));
    let error = error_response(418, "");
    assert_eq!(
        error.to_string(),
        "the gateway responded with 418 I'm a teapot: (empty)"
    );
}

#[test]
fn other_json_is_kept_as_json() {
    let error = error_response(400, r#"{"message": "no"}"#);
    assert!(matches!(error.error_body(), ErrorBody::Json(value) if value["message"] == "no"));
}

#[test]
fn predicates_follow_status_and_type() {
    let with = |status, kind: &str, title: &str| {
        error_response(
            status,
            &format!(r#"{{"type": "https://api.sorna.io/probs/{kind}", "title": "{title}"}}"#),
        )
    };
    assert!(with(401, "auth-failed", "").is_auth());
    assert!(with(404, "kernel-not-found", "").is_not_found());
    assert!(with(412, "quota-exceeded", "").is_quota_exceeded());
    assert!(with(429, "rate-limit-exceeded", "").was_rejected_before_execution());
    assert!(with(503, "service-unavailable", "").was_rejected_before_execution());
    assert!(!with(503, "not-implemented", "").is_retryable());
    for status in [501, 503] {
        let error = with(status, "not-implemented", "");
        assert!(error.is_unsupported() && error.is_conclusive() && !error.is_unavailable());
    }
    assert!(error_response(501, "<html>").is_unsupported());
    assert!(!with(503, "service-unavailable", "").is_unsupported());
    assert!(with(403, "generic-forbidden", "").is_forbidden());
    assert!(!with(401, "auth-failed", "").is_forbidden());
    assert!(with(400, "invalid-auth-params", "Date/time sync error").is_clock_skew());
    assert!(!with(400, "invalid-auth-params", "No key").is_clock_skew());
}

#[test]
fn waiting_times_have_their_units() {
    let wait = |name: &'static str, value: &'static str| {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_static(value));
        let status = StatusCode::TOO_MANY_REQUESTS;
        GatewayError::new(Dialect::SornaV2, status, &headers, &Bytes::new()).retry_after()
    };
    assert_eq!(wait("retry-after", "3"), Some(Duration::from_secs(3)));
    assert_eq!(
        wait("x-retry-after", "1500"),
        Some(Duration::from_millis(1500))
    );
    assert_eq!(
        wait("x-ratelimit-reset", "20"),
        Some(Duration::from_millis(20))
    );
    assert_eq!(wait("retry-after", "soon"), None);

    let mut headers = HeaderMap::new();
    headers.insert("x-ratelimit-reset", HeaderValue::from_static("900000"));
    headers.insert("x-retry-after", HeaderValue::from_static("1"));
    let status = StatusCode::TOO_MANY_REQUESTS;
    let error = GatewayError::new(Dialect::SornaV2, status, &headers, &Bytes::new());
    assert_eq!(error.retry_after(), Some(Duration::from_millis(1)));
}

#[test]
fn the_window_of_backend_ai_is_waited_for_only_at_the_limit() {
    let wait = |status| {
        let mut headers = HeaderMap::new();
        headers.insert("x-ratelimit-reset", HeaderValue::from_static("846"));
        GatewayError::new(Dialect::BackendAi, status, &headers, &Bytes::new()).retry_after()
    };
    let limit = Some(Duration::from_secs(846));
    assert_eq!(wait(StatusCode::TOO_MANY_REQUESTS), limit);
    assert_eq!(wait(StatusCode::SERVICE_UNAVAILABLE), None);
}
