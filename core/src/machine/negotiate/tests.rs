//! Negotiations, in virtual time.

use std::time::Duration;

use super::*;
use crate::config::Config;
use crate::error::{Sent, TransportErrorKind};
use crate::machine::testing::{Driver, caller, problem, reply};
use crate::ops::Authorize;
use crate::retry::RetryPolicy;
use crate::signing::Signer;

fn negotiate() -> Driver<Negotiate> {
    Driver::new(Negotiate::new(caller()))
}

/// One that got this response to its first request.
fn after(status: u16, body: &str) -> Driver<Negotiate> {
    let mut negotiate = negotiate();
    negotiate.sends("GET /");
    negotiate.answers(reply(status, body));
    negotiate
}

#[track_caller]
fn error(negotiate: &mut Driver<Negotiate>) -> NegotiationError {
    match negotiate.done() {
        Err(Error::Negotiation(error)) => *error,
        other => panic!("{other:?}"),
    }
}

const SORNA: &str = r#"{"version": "v2.20170315"}"#;
const URL_NOT_FOUND: &str =
    r#"{"type": "https://api.backend.ai/probs/url-not-found", "title": "Unknown URL path."}"#;

#[test]
fn hello_is_public_and_names_no_version() {
    let request = negotiate().sends("GET /").request;
    for name in ["authorization", "x-backendai-version", "x-sorna-version"] {
        assert!(!request.headers().contains_key(name), "{name}");
    }
    assert!(request.headers().contains_key("date"));
}

#[test]
fn a_manager_is_spoken_to_in_the_highest_version_of_both_sides() {
    for (offered, version) in [
        ("v6.20220615", ApiVersion::V6_20220615),
        ("v7.20230615", ApiVersion::V7_20230615),
        ("v8.20240801", ApiVersion::V8_20240315),
        ("v9.20250722", ApiVersion::V9_20250722),
        ("v12.20300101", ApiVersion::V9_20250722),
    ] {
        let hello = format!(r#"{{"version": "{offered}", "manager": "26.9.6", "x": 1}}"#);
        let mut negotiate = after(200, &hello);
        let found = negotiate.done().unwrap();
        assert_eq!((found.version, found.manager()), (version, Some("26.9.6")));
        assert_eq!(found.dialect(), Dialect::BackendAi);
        assert_eq!(found.info.unwrap().version, offered);
        assert!(matches!(negotiate.poll(), Step::Idle));
    }
    let found = after(200, r#"{"version": "v9.20250722"}"#).done().unwrap();
    assert_eq!(
        (found.dialect(), found.manager()),
        (Dialect::BackendAi, None)
    );
}

#[test]
fn only_releases_of_managers_may_lose_uploads() {
    for (hello, may_lose) in [
        (r#"{"version": "v7.20230615", "manager": "23.09.10"}"#, true),
        (r#"{"version": "v9.20250722", "manager": "26.9.6"}"#, true),
        (r#"{"version": "v9.20250722"}"#, true),
        (
            r#"{"version": "v9.20250722", "manager": "sorna-gateway 0.1.0"}"#,
            false,
        ),
    ] {
        let found = after(200, hello).done().unwrap();
        assert_eq!(found.may_lose_uploads(), may_lose, "{hello}");
    }
    assert!(Negotiated::fixed(ApiVersion::V9_20250722).may_lose_uploads());
    assert!(!Negotiated::fixed(ApiVersion::V2_20170315).may_lose_uploads());
}

#[test]
fn a_manager_that_is_too_old_is_named_with_what_it_speaks() {
    for (offered, manager) in [("v6.20220315", Some("22.03.4")), ("v4.20190615", None)] {
        let rest = manager.map_or(String::new(), |manager| {
            format!(r#", "manager": "{manager}""#)
        });
        let mut negotiate = after(200, &format!(r#"{{"version": "{offered}"{rest}}}"#));
        let expected = NegotiationError::TooOld {
            offered: offered.to_owned(),
            manager: manager.map(str::to_owned),
            needed: ApiVersion::V6_20220615,
        };
        assert_eq!(error(&mut negotiate), expected);
        assert!(matches!(negotiate.poll(), Step::Idle));
    }
}

#[test]
fn a_gateway_of_sorna_is_found_whatever_its_root_says() {
    let bad = r#"{"type": "https://api.sorna.io/probs/generic-bad-request"}"#;
    for (status, body) in [
        (400, bad),
        (404, "<html>Not Found"),
        (401, ""),
        (403, ""),
        (302, ""),
        (500, ""),
        (200, "<html>Welcome to nginx!"),
        (200, SORNA),
        (200, r#"{"version": 7}"#),
        (200, r#"{"version": "1.0"}"#),
        (204, ""),
    ] {
        let mut negotiate = after(status, body);
        let request = negotiate.sends("GET /v2").request;
        assert_eq!(request.headers()["x-sorna-version"], "v2.20170315");
        assert!(request.headers().contains_key("authorization"), "{status}");
        negotiate.answers(reply(200, SORNA));
        let found = negotiate.done().unwrap();
        assert_eq!(found.version, ApiVersion::V2_20170315, "{status} {body}");
        assert_eq!(found.info.unwrap().version, "v2.20170315");
        assert!(matches!(negotiate.poll(), Step::Idle));
    }
}

#[test]
fn v2_alone_decides_nothing() {
    // Managers of 2026 have another API below /v2.
    for (status, body) in [
        (404, URL_NOT_FOUND),
        (200, r#"{"version": "v9.20250722"}"#),
        (200, r#"{"sessions": []}"#),
        (200, "<html>"),
        (403, ""),
        (
            400,
            r#"{"type": "https://api.sorna.io/probs/generic-bad-request"}"#,
        ),
        (405, ""),
        (500, ""),
    ] {
        let mut negotiate = after(404, "<html>Not Found");
        negotiate.sends("GET /v2");
        negotiate.answers(reply(status, body));
        let NegotiationError::Unknown { root, v2 } = error(&mut negotiate) else {
            panic!("{status} {body}")
        };
        assert_eq!(
            (root.status().as_u16(), &root.body()[..]),
            (404, &b"<html>Not Found"[..])
        );
        assert_eq!(v2.status().as_u16(), status);
        let said = |bytes: &[u8]| serde_json::from_slice::<serde_json::Value>(bytes).ok();
        assert!(
            v2.body() == body || said(v2.body()) == said(body.as_bytes()),
            "{v2:?}"
        );
    }
}

#[test]
fn errors_that_say_what_to_do_are_kept() {
    let date = r#"{"type": "https://api.sorna.io/probs/invalid-auth-params", "title": "Date/time sync error"}"#;
    let mut clock = after(400, "");
    clock.sends("GET /v2");
    clock.answers(reply(400, date));
    assert!(clock.done().unwrap_err().gateway().unwrap().is_clock_skew());

    let mut keys = after(400, "");
    keys.sends("GET /v2");
    keys.answers(problem(401, "auth-failed"));
    assert!(keys.done().unwrap_err().is_auth());
    assert!(matches!(keys.poll(), Step::Idle));
}

#[test]
fn both_requests_are_retried_where_that_may_help() {
    let mut negotiate = negotiate();
    negotiate.sends("GET /");
    negotiate.answers(reply(
        503,
        r#"{"type": "https://api.sorna.io/probs/service-unavailable"}"#,
    ));
    negotiate.waits();
    assert_eq!(negotiate.sends("GET /").attempt, 2);
    negotiate.answers(reply(400, ""));
    assert_eq!(negotiate.sends("GET /v2").attempt, 1);
    negotiate.fails(TransportError::new(
        TransportErrorKind::Receive,
        Sent::Maybe,
        "it broke",
    ));
    negotiate.waits();
    negotiate.sends("GET /v2");
    negotiate.answers(reply(200, SORNA));
    assert!(negotiate.done().is_ok());
}

#[test]
fn failures_and_limits_end_it_without_a_guess() {
    let once = || {
        let caller = caller().with_retry(RetryPolicy::never());
        Driver::new(Negotiate::new(caller))
    };
    for at_v2 in [false, true] {
        let begin = || {
            let mut negotiate = once();
            negotiate.sends("GET /");
            if at_v2 {
                negotiate.answers(reply(404, ""));
                negotiate.sends("GET /v2");
            }
            negotiate
        };
        let mut broken = begin();
        broken.fails(TransportError::new(
            TransportErrorKind::Connect,
            Sent::Nothing,
            "refused",
        ));
        assert!(
            broken
                .done()
                .unwrap_err()
                .transport()
                .unwrap()
                .is_unreachable()
        );
        for status in [429, 502, 503, 504] {
            let mut busy = begin();
            busy.answers(reply(status, ""));
            let error = busy.done().unwrap_err();
            assert_eq!(error.gateway().unwrap().status(), status);
            assert!(error.is_retryable());
            assert!(matches!(busy.poll(), Step::Idle));
        }
    }
}

#[test]
fn a_web_server_passes_hello_on_and_is_never_a_gateway_of_sorna() {
    let config = Config::of_web_server("https://web.example".parse().unwrap());
    let begin = || Driver::new(Negotiate::new(Caller::new(Signer::new(config.clone()))));
    let mut negotiate = begin();
    negotiate.sends("GET /func/");
    negotiate.answers(reply(
        200,
        r#"{"version": "v9.20250722", "manager": "26.9.6"}"#,
    ));
    assert_eq!(negotiate.done().unwrap().version, ApiVersion::V9_20250722);
    for body in ["<html>", SORNA] {
        let mut negotiate = begin();
        negotiate.sends("GET /func/");
        negotiate.answers(reply(200, body));
        let error = error(&mut negotiate);
        assert!(
            matches!(error, NegotiationError::NoWebServer { .. }),
            "{error}"
        );
    }
}

#[test]
fn a_rate_limit_of_hello_is_not_that_of_the_user() {
    let mut negotiate = negotiate();
    let shared = negotiate.machine.caller.clone();
    negotiate.sends("GET /");
    let mut hello = reply(200, r#"{"version": "v9.20250722"}"#);
    hello.headers_mut().insert("x-ratelimit-reset", 846.into());
    negotiate.answers(hello);
    let found = negotiate.done().unwrap();
    let call = Call::new(Authorize::new("hi"), shared.with_version(found.version));
    let mut call = negotiate.beside(call);
    call.sends("POST /auth");
    call.answers(problem(429, "rate-limit-exceeded"));
    assert!(call.waits() < Duration::from_millis(200));
}
