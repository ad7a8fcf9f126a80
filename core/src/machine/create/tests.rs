//! Creations in virtual time.

use std::time::Duration;

use bytes::Bytes;
use http::Response;

use super::*;
use crate::error::Error;
use crate::ident::SessionToken;
use crate::machine::Step;
use crate::machine::testing::{Driver, caller, caller_for, problem, reply};
use crate::ops::{CreateKernel, KernelSpec, SessionStatus};
use crate::version::ApiVersion;

const CREATE: &str = "POST /session";
const INFO: &str = "GET /session/u1";
const NAME_INFO: &str = "GET /session/mine";

fn create(spec: impl Into<KernelSpec>) -> Driver<Create> {
    let token = SessionToken::new("mine").unwrap();
    let operation = CreateKernel::new(spec, token);
    Driver::new(Create::new(operation, caller_for(ApiVersion::V9_20250722)))
}

/// As managers answer a creation.
fn created(id: &str, status: &str, is_new: bool) -> Response<Bytes> {
    let body = format!(
        r#"{{"sessionId": "{id}", "sessionName": "mine", "status": "{status}", "servicePorts": [], "created": {is_new}}}"#
    );
    reply(201, &body)
}

fn info(status: &str, status_info: &str) -> Response<Bytes> {
    let body =
        format!(r#"{{"status": "{status}", "statusInfo": "{status_info}", "image": "python"}}"#);
    reply(200, &body)
}

fn gone() -> Response<Bytes> {
    let body = r#"{"type":"https://api.backend.ai/probs/object-not-found","title":"No such session.","error_code":"session_read_not-found"}"#;
    reply(404, body)
}

#[track_caller]
fn pending(create: &mut Driver<Create>, status: &str, status_info: Option<&str>, seconds: u64) {
    let event = create.event();
    assert_eq!(event.status.as_str(), status);
    assert_eq!(event.status_info.as_deref(), status_info);
    assert_eq!(event.waited, Duration::from_secs(seconds));
}

#[test]
fn a_session_that_runs_is_there_at_once() {
    let mut run = create("python");
    let body = run.sends_body(CREATE);
    assert!(body.contains(r#""maxWaitSeconds":5"#), "{body}");
    run.answers(created("u1", "RUNNING", true));
    assert_eq!(run.done().unwrap().id.as_str(), "u1");
    assert!(matches!(run.poll(), Step::Idle));
}

#[test]
fn a_session_that_starts_is_asked_about_until_it_runs() {
    let mut run = create("python");
    run.sends(CREATE);
    assert!(run.machine.kernel().is_none());
    run.passes(Duration::from_secs(5));
    run.answers(created("u1", "TIMEOUT", true));
    for (status, status_info, seconds) in [
        // What the manager waited for is not the session's status, which is asked for at once.
        ("PENDING", Some("no-available-instances"), 5),
        ("PREPARING", None, 6),
    ] {
        if seconds > 5 {
            assert_eq!(run.waits(), Duration::from_secs(1));
        }
        run.sends(INFO);
        assert_eq!(run.machine.kernel().unwrap().as_str(), "u1");
        run.answers(info(status, status_info.unwrap_or("None")));
        pending(&mut run, status, status_info, seconds);
    }
    // What does not change is not reported again.
    run.waits();
    run.sends(INFO);
    run.answers(info("PREPARING", "None"));
    run.waits();
    run.sends(INFO);
    run.answers(info("RUNNING", "None"));
    let session = run.done().unwrap();
    assert_eq!(
        (session.status, session.created),
        (Some(SessionStatus::Running), Some(true))
    );
}

#[test]
fn a_question_that_the_manager_fails_to_answer_is_asked_again() {
    let broken = || problem(500, "internal-server-error");
    let mut run = create("python");
    run.sends(CREATE);
    run.answers(created("u1", "TIMEOUT", true));
    // A response in between shows that the manager works.
    for status in ["PREPARING", "CREATING"] {
        for _ in 0..5 {
            run.sends(INFO);
            run.answers(broken());
            assert_eq!(run.waits(), Duration::from_secs(1));
        }
        run.sends(INFO);
        run.answers(info(status, "None"));
        assert_eq!(run.event().status.as_str(), status);
        run.waits();
    }
    for _ in 0..5 {
        run.sends(INFO);
        run.answers(broken());
        run.waits();
    }
    run.sends(INFO);
    run.answers(broken());
    let error = run.done().unwrap_err();
    assert_eq!(error.gateway().unwrap().status(), 500);
}

#[test]
fn a_pending_session_is_the_result_where_it_is_only_queued() {
    let mut run = create(KernelSpec::new("python").with_enqueue_only(true));
    let body = run.sends_body(CREATE);
    assert!(!body.contains("maxWaitSeconds"), "{body}");
    run.answers(created("u1", "PENDING", true));
    assert!(run.done().unwrap().is_pending());
}

#[test]
fn a_session_that_stays_pending_is_given_up_at_the_limit() {
    let mut run = create(KernelSpec::new("python").with_max_wait(Duration::from_millis(2_500)));
    assert!(run.sends_body(CREATE).contains(r#""maxWaitSeconds":3"#));
    run.answers(created("u1", "PENDING", true));
    run.event();
    for wait in [1_000, 1_000, 500] {
        assert_eq!(run.waits(), Duration::from_millis(wait));
        run.sends(INFO);
        run.answers(info("PENDING", "no-available-instances"));
        if wait == 1_000 && run.machine.kernel().is_some() {
            // Its reason is new, once.
            if let Step::Event(event) = run.poll() {
                assert_eq!(event.status_info.as_deref(), Some("no-available-instances"));
            }
        }
    }
    let error = run.done().unwrap_err();
    assert_eq!(
        error.to_string(),
        "session u1 does not run after 2 s (PENDING: \"no-available-instances\")"
    );
    assert_eq!(run.machine.kernel().unwrap().as_str(), "u1");
}

#[test]
fn a_short_limit_that_the_manager_has_waited_for_ends_with_the_status_and_its_reason() {
    let mut run = create(KernelSpec::new("python").with_max_wait(Duration::from_secs(3)));
    run.sends(CREATE);
    run.passes(Duration::from_secs(3));
    run.answers(created("u1", "TIMEOUT", true));
    run.sends(INFO);
    run.answers(info("PENDING", "no-available-instances"));
    assert_eq!(
        run.done().unwrap_err().to_string(),
        "session u1 does not run after 3 s (PENDING: \"no-available-instances\")"
    );
}

#[test]
fn a_session_that_is_being_destroyed_is_awaited_and_created_again() {
    let mut run = create("python");
    run.sends(CREATE);
    run.answers(created("u0", "TERMINATING", false));
    pending(&mut run, "TERMINATING", None, 0);
    assert!(run.machine.kernel().is_none(), "it is not ours");
    assert!(!run.machine.may_have_acted());
    run.waits();
    run.sends(NAME_INFO);
    run.answers(info("TERMINATING", "user-requested"));
    run.waits();
    run.sends(NAME_INFO);
    run.answers(gone());
    run.sends(CREATE);
    run.answers(created("u1", "RUNNING", true));
    assert_eq!(run.done().unwrap().id.as_str(), "u1");
}

#[test]
fn a_name_that_a_dying_session_has_is_awaited_and_others_are_an_error() {
    let taken = || {
        let mut run = create(KernelSpec::new("python").with_reuse(false));
        run.sends(CREATE);
        let body = r#"{"type":"https://api.backend.ai/probs/session-already-exists","title":"The session already exists.","data":{"existingSessionId":"u0"}}"#;
        run.answers(reply(400, body));
        run.sends(NAME_INFO);
        run
    };
    let mut run = taken();
    run.answers(info("TERMINATING", "None"));
    run.waits();
    run.sends(NAME_INFO);
    run.answers(gone());
    run.sends(CREATE);
    run.answers(created("u1", "RUNNING", true));
    assert!(run.done().is_ok());
    let mut run = taken();
    run.answers(info("RUNNING", "None"));
    assert!(run.done().unwrap_err().gateway().unwrap().is_name_taken());
}

#[test]
fn a_name_that_always_gives_a_dying_session_is_an_error() {
    let mut run = create("python");
    for round in 0..4 {
        run.sends(CREATE);
        run.answers(created("u0", "TERMINATING", false));
        if round == 0 {
            run.event();
        }
        run.waits();
        run.sends(NAME_INFO);
        run.answers(gone());
    }
    run.sends(CREATE);
    run.answers(created("u0", "TERMINATING", false));
    let error = run.done().unwrap_err();
    assert_eq!(error.to_string(), "session u0 has ended (TERMINATING)");
}

#[test]
fn a_session_that_ends_before_it_runs_is_an_error_with_the_reason() {
    let starting = || {
        let mut run = create("python");
        run.sends(CREATE);
        run.answers(created("u1", "PENDING", true));
        run.event();
        run.waits();
        run.sends(INFO);
        run
    };
    let mut run = starting();
    run.answers(info("CANCELLED", "failed-to-start"));
    let error = run.done().unwrap_err();
    assert_eq!(
        error.to_string(),
        "session u1 has ended (CANCELLED: \"failed-to-start\")"
    );
    let mut run = starting();
    run.answers(gone());
    assert!(
        run.done()
            .unwrap_err()
            .gateway()
            .unwrap()
            .is_creation_failed()
    );
    // Or in the response to the creation.
    let mut run = create("python");
    run.sends(CREATE);
    let body = r#"{"type":"https://api.backend.ai/probs/object-not-found","title":"No such object.","msg":"Session terminated during scheduling"}"#;
    run.answers(reply(404, body));
    let error = run.done().unwrap_err();
    assert!(error.gateway().unwrap().is_creation_failed());
    assert!(
        error.to_string().contains("terminated during scheduling"),
        "{error}"
    );
    let mut run = create("python");
    run.sends(CREATE);
    run.answers(created("u1", "ERROR", true));
    assert!(matches!(run.done(), Err(Error::NotRunning(_))));
}

#[test]
fn in_sorna_v2_it_is_a_call() {
    let token = SessionToken::new("12345678").unwrap();
    let operation = CreateKernel::new("python3", token);
    let mut run = Driver::new(Create::new(operation, caller()));
    let body = run.sends_body("POST /v2/kernel/create");
    assert!(!body.contains("maxWait"), "{body}");
    run.answers(reply(201, r#"{"kernelId": "k1"}"#));
    assert_eq!(run.done().unwrap().id.as_str(), "k1");
}
