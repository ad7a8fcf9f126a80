//! Sorna v2, literally.

use super::*;
use crate::ops::Batch;

const EXECUTE: &str = "POST /v2/kernel/k1";

fn execution(mode: ExecuteMode) -> Driver<Execution> {
    Driver::new(Execution::new(kernel(), mode, caller()))
}

#[test]
fn the_run_id_of_a_result_is_kept_for_the_next_request() {
    let mut run = execution(ExecuteMode::query("1"));
    let start = run.sends_body(EXECUTE);
    assert_eq!(start, r#"{"mode":"query","code":"1"}"#);
    run.answers(result(
        "waiting-input",
        r#", "console": [["stdout", "? "]], "runId": "r1""#,
    ));
    assert_eq!(stdout(&mut run), "? ");
    run.event();
    run.machine.answer("x").unwrap();
    // Sorna v2 has no such IDs, so it is not sent.
    assert_eq!(run.sends_body(EXECUTE), r#"{"mode":"query","code":"x"}"#);
    let State::Calling(call) = &run.machine.state else {
        panic!("a request is in flight")
    };
    assert_eq!(call.operation().run_id.as_deref(), Some("r1"));
}

#[test]
fn a_batch_goes_through_its_steps() {
    let mut run = execution(ExecuteMode::Batch(Batch::new()));
    let first = run.sends_body(EXECUTE);
    run.answers(result(
        "build-finished",
        r#", "console": [["stdout", "cc\n"]], "options": null"#,
    ));
    assert_eq!(stdout(&mut run), "cc\n");
    assert!(matches!(
        run.event(),
        ExecutionEvent::StepFinished {
            status: ExecutionStatus::BuildFinished,
            exit_code: None,
            usage: None,
        }
    ));
    assert_eq!(
        run.sends_body(EXECUTE),
        first,
        "a batch continues with the same request"
    );
    run.answers(result(
        "finished",
        r#", "options": {"exitCode": 3, "step": "exec"}"#,
    ));
    let end = run.done().unwrap();
    assert_eq!((end.exit_code(), end.step()), (Some(3), Some("exec")));
    assert!(matches!(run.poll(), Step::Idle));
}

#[test]
fn continued_output_is_requested_without_the_code() {
    let mut run = execution(ExecuteMode::query("print(1)"));
    assert!(run.sends_body(EXECUTE).contains("print(1)"));
    run.answers(result("continued", r#", "console": [["stdout", "1\n"]]"#));
    assert_eq!(stdout(&mut run), "1\n");
    assert_eq!(run.sends_body(EXECUTE), r#"{"mode":"query","code":""}"#);
    run.passes(Duration::from_secs(2));
    run.answers(result("continued", ""));
    run.sends(EXECUTE);
    run.answers(result("exec-timeout", ""));
    assert_eq!(run.done().unwrap().status, ExecutionStatus::ExecTimeout);
}

#[test]
fn a_gateway_that_does_not_hold_requests_is_not_flooded() {
    let mut run = execution(ExecuteMode::query(""));
    run.sends(EXECUTE);
    run.passes(Duration::from_millis(50));
    run.answers(result("continued", ""));
    assert_eq!(run.waits(), Duration::from_millis(150));
    run.sends(EXECUTE);
}

#[test]
fn input_is_answered_in_both_modes() {
    for (mode, expected) in [
        (ExecuteMode::query("input()"), r#""code":"x""#),
        (
            ExecuteMode::Batch(Batch::new()),
            r#""code":"x","options":{"build":"*""#,
        ),
    ] {
        let mut run = execution(mode);
        run.sends(EXECUTE);
        run.answers(result(
            "waiting-input",
            r#", "options": {"is_password": true}"#,
        ));
        assert_eq!(
            run.event(),
            ExecutionEvent::InputRequested {
                is_password: true,
                hides_line_end: false,
                takes_lines: false,
                takes_bytes: false,
                may_go_on: false
            }
        );
        assert!(matches!(run.poll(), Step::Idle));
        run.machine.answer("x").unwrap();
        assert_eq!(run.machine.answer("y"), Err(UsageError::InputNotExpected));
        let body = run.sends_body(EXECUTE);
        assert!(body.contains(expected), "{body}");
    }
}

#[test]
fn gateways_may_say_that_not_even_a_line_end_is_shown() {
    for (options, hides) in [
        (
            r#", "options": {"is_password": true, "hides_line_end": true}"#,
            true,
        ),
        (
            r#", "options": {"is_password": true, "hides_line_end": 1}"#,
            false,
        ),
        (r#", "options": {"is_password": true}"#, false),
    ] {
        let mut run = execution(ExecuteMode::query("input()"));
        run.sends(EXECUTE);
        run.answers(result("waiting-input", options));
        let ExecutionEvent::InputRequested { hides_line_end, .. } = run.event() else {
            panic!("no question")
        };
        assert_eq!(hides_line_end, hides, "{options}");
    }
}

#[test]
fn bytes_are_given_only_to_gateways_that_take_them() {
    for (options, takes_bytes) in [
        (r#", "options": {"takes_bytes": true}"#, true),
        (r#", "options": {"takes_bytes": false}"#, false),
        ("", false),
    ] {
        let mut run = execution(ExecuteMode::query("input()"));
        assert_eq!(
            run.machine.answer_bytes(b"x"),
            Err(UsageError::InputNotExpected)
        );
        run.sends(EXECUTE);
        run.answers(result("waiting-input", options));
        run.event();
        let answered = run.machine.answer_bytes(b"\xff");
        if takes_bytes {
            answered.unwrap();
            let body = r#"{"mode":"query","code":"/w==","encoding":"base64"}"#;
            assert_eq!(run.sends_body(EXECUTE), body);
        } else {
            assert_eq!(answered, Err(UsageError::BytesNotTaken));
            run.machine.answer("x").unwrap();
            assert_eq!(run.sends_body(EXECUTE), r#"{"mode":"query","code":"x"}"#);
        }
    }
}

#[test]
fn unknown_statuses_are_shown_and_the_execution_continues() {
    let mut run = execution(ExecuteMode::query(""));
    run.sends(EXECUTE);
    run.passes(Duration::from_secs(1));
    run.answers(result("pulling-image", r#", "progress": 7"#));
    let ExecutionEvent::Unknown(result) = run.event() else {
        panic!("not shown")
    };
    assert_eq!(result.extra["progress"], 7);
    run.sends(EXECUTE);
}

#[test]
fn failures_end_it() {
    let mut run = execution(ExecuteMode::query(""));
    run.sends(EXECUTE);
    run.answers(problem(404, "kernel-not-found"));
    assert!(run.done().unwrap_err().is_not_found());

    let mut run = execution(ExecuteMode::query(""));
    run.sends(EXECUTE);
    run.fails(TransportError::new(
        TransportErrorKind::Timeout,
        Sent::Maybe,
        "slow",
    ));
    assert!(matches!(run.done(), Err(Error::MayHaveRun(_))));
}
