//! Backend.AI, literally.

use super::*;
use crate::error::{AbortReason, Aborted};
use crate::ops::Batch;
use crate::version::ApiVersion;

const EXECUTE: &str = "POST /session/k1";
const INTERRUPT: &str = "POST /session/k1/interrupt";

/// The run ID and the marks, from the driver's random number.
const RUN: &str = "5555555555555555";
const OLD: ApiVersion = ApiVersion::V7_20230615;
const NEW: ApiVersion = ApiVersion::V9_20250722;

fn execution(mode: impl Into<ExecuteMode>, version: ApiVersion) -> Driver<Execution> {
    Driver::new(Execution::new(kernel(), mode.into(), caller_for(version)))
}

/// The body of a request of the run.
fn body(mode: &str, code: &str) -> String {
    format!(r#"{{"mode":"{mode}","code":"{code}","runId":"{RUN}","run_id":"{RUN}"}}"#)
}

/// A response as managers send it.
fn answer(status: &str, exit_code: &str, console: &str) -> Response<Bytes> {
    result(
        status,
        &format!(
            r#", "runId": "{RUN}", "exitCode": {exit_code}, "options": null, "files": [], "console": [{console}]"#
        ),
    )
}

#[track_caller]
fn aborted(run: &mut Driver<Execution>) -> Aborted {
    match run.done() {
        Err(Error::Aborted(aborted)) => *aborted,
        other => panic!("{other:?}"),
    }
}

#[test]
fn all_requests_of_a_run_have_its_id() {
    let mut run = execution("input()", NEW);
    assert_eq!(run.sends_body(EXECUTE), body("query", "input()"));
    run.answers(answer("continued", "null", r#"["stdout", "? "]"#));
    assert_eq!(stdout(&mut run), "? ");
    assert_eq!(run.sends_body(EXECUTE), body("continue", ""));
    run.answers(result(
        "waiting-input",
        r#", "options": {"is_password": true}"#,
    ));
    let asked = ExecutionEvent::InputRequested {
        is_password: true,
        hides_line_end: false,
        takes_lines: false,
        takes_bytes: false,
        may_go_on: false,
    };
    assert_eq!(run.event(), asked);
    run.machine.answer("x").unwrap();
    assert_eq!(run.sends_body(EXECUTE), body("input", "x"));
    run.answers(answer("finished", "0", ""));
    assert_eq!(run.done().unwrap().exit_code(), Some(0));
    assert!(matches!(run.poll(), Step::Idle));
}

#[test]
fn exit_codes_are_those_of_the_release() {
    // An exception: 23.09.10, and 26.9.6.
    for code in [0, 1] {
        let mut run = execution("1/0", OLD);
        run.sends(EXECUTE);
        run.answers(answer(
            "finished",
            &code.to_string(),
            r#"["stderr", "Traceback"]"#,
        ));
        run.event();
        assert_eq!(run.done().unwrap().exit_code(), Some(code));
    }
}

fn batch() -> Batch {
    Batch::new().with_build("make").with_exec("./main")
}

#[test]
fn a_batch_is_one_command_in_the_step_that_is_always_reported() {
    let mut run = execution(batch(), NEW);
    let sent: serde_json::Value = serde_json::from_str(&run.sends_body(EXECUTE)).unwrap();
    assert_eq!(
        (&sent["mode"], &sent["run_id"]),
        (&"batch".into(), &RUN.into())
    );
    let options = &sent["options"];
    assert_eq!(
        (&options["build"], &options["exec"]),
        (&"".into(), &"exit 93".into())
    );
    let clean = options["clean"].as_str().unwrap();
    assert!(clean.contains("/bin/sh -c \"$_t\"'make'\n"), "{clean}");
    assert!(clean.ends_with("/bin/sh -c \"$_t\"'./main'\n"), "{clean}");
    // All of it in the first answer: the exchange that a real 26.9.6 loses otherwise.
    let mark = format!("\\u001esorna-{RUN} built 0\\n");
    let console = format!(r#"["stdout", "cc{mark}hi\n"], ["stderr", "{mark}"]"#);
    run.answers(answer("clean-finished", "3", &console));
    assert_eq!(stdout(&mut run), "cc");
    let built = ExecutionEvent::StepFinished {
        status: ExecutionStatus::BuildFinished,
        exit_code: Some(0),
        usage: None,
    };
    assert_eq!(run.event(), built);
    assert_eq!(stdout(&mut run), "hi\n");
    // The ends of the empty steps went nowhere; this makes sure of it.
    assert_eq!(run.sends_body(EXECUTE), body("query", ""));
    run.answers(answer("finished", "0", ""));
    let end = run.done().unwrap();
    assert_eq!(
        (end.status.clone(), end.exit_code()),
        (ExecutionStatus::Finished, Some(3))
    );
    assert_eq!(end.run_id(), Some(RUN));
}

#[test]
fn what_is_left_of_a_batch_is_collected_on_older_managers() {
    let mut run = execution(batch().without_build(), OLD);
    run.sends(EXECUTE);
    run.answers(answer("continued", "null", r#"["stdout", "hi"]"#));
    assert_eq!(stdout(&mut run), "hi");
    run.sends(EXECUTE);
    run.answers(answer("clean-finished", "-9", ""));
    for left in ["build-finished", "finished"] {
        assert_eq!(run.sends_body(EXECUTE), body("continue", ""));
        let code = if left == "finished" { "93" } else { "0" };
        run.answers(answer(left, code, ""));
    }
    assert_eq!(run.done().unwrap().exit_code(), Some(-9));
}

#[test]
fn what_a_program_leaves_in_the_background_may_print_while_the_rest_is_collected() {
    let mut run = execution(batch().without_build(), OLD);
    run.sends(EXECUTE);
    run.answers(answer("clean-finished", "0", ""));
    for (left, code) in [("build-finished", "0"), ("finished", "93")] {
        run.sends(EXECUTE);
        run.answers(answer(left, code, &format!(r#"["stdout", "{left}"]"#)));
        assert_eq!(stdout(&mut run), left);
    }
    let end = run.done().unwrap();
    assert_eq!((end.exit_code(), end.console.is_empty()), (Some(0), true));
}

#[test]
fn a_kernel_in_its_last_use_is_left_as_it_is() {
    let machine = Execution::new(kernel(), batch().into(), caller_for(NEW)).in_last_use();
    let mut run = Driver::new(machine);
    run.sends(EXECUTE);
    run.answers(answer("clean-finished", "0", ""));
    assert_eq!(run.done().unwrap().status, ExecutionStatus::Finished);
}

#[test]
fn a_failure_while_the_rest_is_collected_does_not_change_the_result() {
    let mut run = execution(batch(), NEW);
    run.sends(EXECUTE);
    run.answers(answer("clean-finished", "0", ""));
    run.sends(EXECUTE);
    run.fails(TransportError::new(
        TransportErrorKind::Timeout,
        Sent::Maybe,
        "slow",
    ));
    assert_eq!(run.done().unwrap().exit_code(), Some(0));
}

#[test]
fn default_steps_that_the_command_does_not_know_are_sent_as_such() {
    let mut run = execution(Batch::new(), OLD);
    run.sends(EXECUTE);
    let native = format!(r#"["stdout", "\u001esorna-{RUN} native\n"]"#);
    run.answers(answer("clean-finished", "0", &native));
    run.sends(EXECUTE);
    run.answers(answer("build-finished", "0", ""));
    run.sends(EXECUTE);
    run.answers(answer("finished", "93", ""));
    let sent = run.sends_body(EXECUTE);
    let steps = r#""options":{"clean":"","build":"*","buildLog":false,"exec":"*"}"#;
    assert!(sent.contains(steps), "{sent}");
    run.answers(answer("clean-finished", "0", ""));
    run.event();
    assert_eq!(run.waits(), Duration::from_millis(200));
    assert_eq!(run.sends_body(EXECUTE), body("continue", ""));
    run.answers(answer("build-finished", "0", r#"["stdout", "cc"]"#));
    assert_eq!(stdout(&mut run), "cc");
    assert!(matches!(run.event(), ExecutionEvent::StepFinished { .. }));
    run.sends(EXECUTE);
    run.answers(answer("finished", "4", ""));
    assert_eq!(run.done().unwrap().exit_code(), Some(4));
}

#[test]
fn a_gateway_without_a_step_to_clean_gets_the_steps_as_such() {
    for version in [OLD, NEW] {
        for first in ["build-finished", "finished"] {
            let mut run = execution(batch(), version);
            run.sends(EXECUTE);
            if first == "build-finished" {
                run.answers(answer("build-finished", "0", ""));
                assert_eq!(run.sends_body(EXECUTE), body("continue", ""));
            }
            run.answers(answer("finished", "93", ""));
            let sent = run.sends_body(EXECUTE);
            assert!(
                sent.contains(r#""build":"make","buildLog":false,"exec":"./main""#),
                "{sent}"
            );
            run.answers(answer("finished", "93", ""));
            assert_eq!(run.done().unwrap().exit_code(), Some(93));
        }
    }
}

#[test]
fn giving_up_interrupts_the_program_and_collects_its_end() {
    let mut run = execution("while True: pass", NEW);
    run.sends(EXECUTE);
    run.machine.give_up();
    assert!(
        matches!(run.poll(), Step::Idle),
        "it waits for the response"
    );
    run.answers(answer("continued", "null", ""));
    run.sends(INTERRUPT);
    run.answers(reply(204, ""));
    assert_eq!(run.sends_body(EXECUTE), body("continue", ""));
    run.answers(answer(
        "finished",
        "1",
        r#"["stderr", "KeyboardInterrupt"]"#,
    ));
    assert!(matches!(run.event(), ExecutionEvent::Console(_)));
    assert_eq!(run.done().unwrap().exit_code(), Some(1));
}

#[test]
fn what_an_interrupted_program_prints_at_once_takes_none_of_its_time() {
    let mut run = execution("while True: pass", NEW);
    run.sends(EXECUTE);
    run.machine.give_up();
    run.answers(answer("continued", "null", ""));
    run.sends(INTERRUPT);
    run.answers(reply(204, ""));
    // As many responses as a gateway sends that does not gather output.
    for _ in 0..20 {
        assert_eq!(run.sends_body(EXECUTE), body("continue", ""));
        run.passes(Duration::from_millis(50));
        run.answers(answer("continued", "null", r#"["stdout", "."]"#));
        assert!(matches!(run.event(), ExecutionEvent::Console(_)));
    }
    run.sends(EXECUTE);
    run.answers(answer("finished", "130", ""));
    assert_eq!(run.done().unwrap().exit_code(), Some(130));
}

#[test]
fn giving_up_at_an_input_request_gives_none() {
    let mut run = execution("input()", OLD);
    run.sends(EXECUTE);
    run.answers(result("waiting-input", ""));
    run.event();
    run.machine.give_up();
    assert!(!run.machine.awaits_input());
    run.sends(INTERRUPT);
    run.answers(reply(204, ""));
    assert_eq!(run.sends_body(EXECUTE), body("input", ""));
    run.answers(answer("finished", "1", ""));
    assert!(run.done().is_ok());
}

#[test]
fn a_run_without_an_end_is_ended_by_a_query_of_its_id() {
    let mut run = execution("1", NEW);
    run.sends(EXECUTE);
    run.answers(answer("continued", "null", ""));
    run.machine.give_up();
    run.sends(INTERRUPT);
    run.answers(reply(204, ""));
    for _ in 0..2 {
        assert_eq!(run.sends_body(EXECUTE), body("continue", ""));
        run.answers(answer("continued", "null", ""));
    }
    assert_eq!(run.sends_body(EXECUTE), body("query", ""));
    run.answers(answer("finished", "0", ""));
    assert_eq!(run.waits(), Duration::from_millis(300));
    let aborted = aborted(&mut run);
    assert!(aborted.is_freed && matches!(aborted.reason, AbortReason::GivenUp));
}

#[test]
fn a_kernel_that_cannot_be_freed_is_reported() {
    let machine = Execution::new(kernel(), "os._exit(0)".into(), caller_for(NEW));
    let limit = Duration::from_secs(4);
    let mut run = Driver::new(machine.with_silence_limit(limit));
    let continued = || answer("continued", "null", "");
    for _ in 0..2 {
        run.sends(EXECUTE);
        run.passes(Duration::from_secs(2));
        run.answers(continued());
    }
    run.sends(INTERRUPT);
    run.answers(reply(204, ""));
    for mode in ["continue", "continue", "query", "continue"] {
        assert_eq!(run.sends_body(EXECUTE), body(mode, ""));
        run.answers(continued());
    }
    let aborted = aborted(&mut run);
    assert!(!aborted.is_freed && matches!(aborted.reason, AbortReason::Silent(_)));
    assert_eq!(
        aborted.to_string(),
        "the execution was given up after 4 s without output; the program may still run, and keep the session busy"
    );
}

#[test]
fn output_and_input_are_no_silence() {
    let machine = Execution::new(kernel(), "1".into(), caller_for(NEW));
    let mut run = Driver::new(machine.with_silence_limit(Duration::from_secs(3)));
    for console in ["", r#"["stdout", "x"]"#, "", r#"["stdout", "x"]"#] {
        run.sends(EXECUTE);
        run.passes(Duration::from_secs(2));
        run.answers(answer("continued", "null", console));
        if !console.is_empty() {
            run.event();
        }
    }
    run.sends(EXECUTE);
    run.answers(result("waiting-input", ""));
    run.event();
    run.passes(Duration::from_secs(1000));
    run.machine.answer("").unwrap();
    run.sends(EXECUTE);
    run.answers(answer("continued", "null", ""));
    run.waits();
    run.sends(EXECUTE);
}

#[test]
fn html_breaks_the_response_and_the_kernel_is_freed() {
    let new = r#"{"type":"https://api.backend.ai/probs/internal-server-error","title":"Internal server error.","error_code":"backendai_generic_internal-error"}"#;
    let old = r#"{"type": "https://api.backend.ai/probs/kernel-execution-failed", "title": "Kernel execution failed.",
        "agent-details": {"type": "https://api.backend.ai/probs/agent-failure", "title": null, "exception": "JSONDecodeError()"}}"#;
    for body_of_500 in [new, old] {
        let mut run = execution("display(HTML(''))", NEW);
        run.sends(EXECUTE);
        run.answers(reply(500, body_of_500));
        assert_eq!(run.sends_body(EXECUTE), body("query", ""));
        run.answers(answer("finished", "0", ""));
        run.waits();
        let aborted = aborted(&mut run);
        assert!(aborted.is_freed);
        assert!(
            matches!(aborted.reason, AbortReason::Broken(_)),
            "{aborted}"
        );
        let error = Error::Aborted(Box::new(aborted));
        assert_eq!(error.gateway().unwrap().status(), 500);
    }
}

#[test]
fn a_run_whose_response_was_lost_is_ended_and_may_have_run() {
    let lost = || TransportError::new(TransportErrorKind::Receive, Sent::Maybe, "lost");
    let requests = ["continue", "interrupt", "continue", "query", "continue"];
    // The last time, nothing is answered with an end.
    for ends in [0, 2, 3, 4, 5] {
        let mut run = execution("1", NEW);
        run.sends(EXECUTE);
        run.fails(lost());
        for (index, request) in requests.iter().enumerate() {
            if *request == "interrupt" {
                run.sends(INTERRUPT);
                run.answers(reply(204, ""));
                continue;
            }
            assert_eq!(run.sends_body(EXECUTE), body(request, ""));
            if index == ends {
                run.answers(answer("finished", "0", r#"["stdout", "late"]"#));
                break;
            }
            run.answers(answer("continued", "null", ""));
        }
        if ends < requests.len() {
            assert_eq!(stdout(&mut run), "late");
        }
        if (3..requests.len()).contains(&ends) {
            run.waits();
        }
        let end = run.done();
        assert!(matches!(end, Err(Error::MayHaveRun(_))), "{ends}: {end:?}");
    }
    // A later response, with the output of the program.
    let mut later = execution("1", OLD);
    later.sends(EXECUTE);
    later.answers(answer("continued", "null", r#"["stdout", "x"]"#));
    later.event();
    later.sends(EXECUTE);
    later.fails(lost());
    assert_eq!(later.sends_body(EXECUTE), body("continue", ""));
    later.answers(answer("finished", "0", ""));
    assert!(matches!(later.done(), Err(Error::MayHaveRun(_))));
}

#[test]
fn a_run_whose_response_was_lost_interrupts_no_other_and_is_left_if_the_kernel_is() {
    let lost = || TransportError::new(TransportErrorKind::Timeout, Sent::Maybe, "lost");
    // Another run keeps the kernel busy, or the connection is gone for good: no request gets a response.
    let mut run = execution("1", NEW);
    run.sends(EXECUTE);
    run.fails(lost());
    assert_eq!(run.sends_body(EXECUTE), body("continue", ""));
    run.fails(lost());
    assert!(matches!(run.done(), Err(Error::MayHaveRun(_))));
    // A kernel that is about to be destroyed, and Sorna v2.
    let last = Execution::new(kernel(), "1".into(), caller_for(NEW)).in_last_use();
    let mut last = Driver::new(last);
    last.sends(EXECUTE);
    last.fails(lost());
    assert!(matches!(last.done(), Err(Error::MayHaveRun(_))));
    let mut old = Driver::new(Execution::new(kernel(), "1".into(), caller()));
    old.sends("POST /v2/kernel/k1");
    old.fails(lost());
    assert!(matches!(old.done(), Err(Error::MayHaveRun(_))));
}

#[test]
fn a_kernel_that_another_run_keeps_busy_is_not_touched() {
    let busy = r#"{"type": "https://api.backend.ai/probs/kernel-execution-failed",
        "agent-details": {"type": "https://api.backend.ai/probs/agent-timeout", "title": null}}"#;
    for response in [
        reply(500, busy),
        problem(500, "invalid-session-data"),
        problem(404, "object-not-found"),
    ] {
        let mut run = execution("1", OLD);
        run.sends(EXECUTE);
        run.answers(response);
        assert!(matches!(run.done(), Err(Error::Gateway(_))));
    }
}

#[test]
fn what_was_not_sent_is_given_up_at_once() {
    let mut run = execution("1", NEW);
    run.machine.give_up();
    assert!(aborted(&mut run).is_freed);
    let mut run = Driver::new(Execution::new(kernel(), "1".into(), caller()));
    run.sends("POST /v2/kernel/k1");
    run.machine.give_up();
    run.answers(result("continued", ""));
    assert!(!aborted(&mut run).is_freed, "Sorna v2 has no way");
}

fn abandoned() -> Driver<Execution> {
    Driver::new(Execution::of_abandoned_run(kernel(), RUN, caller_for(NEW)))
}

#[test]
fn an_abandoned_run_that_has_ended_is_collected() {
    let mut run = abandoned();
    assert_eq!(run.machine.run_id(), Some(RUN));
    assert_eq!(run.sends_body(EXECUTE), body("query", ""));
    run.answers(answer("finished", "0", r#"["stdout", "x"]"#));
    assert_eq!(stdout(&mut run), "x");
    // The end of the query may follow.
    run.waits();
    let end = aborted(&mut run);
    assert!(end.is_freed && matches!(end.reason, AbortReason::Abandoned));
}

#[test]
fn an_abandoned_program_is_interrupted() {
    for status in ["continued", "waiting-input"] {
        let mut run = abandoned();
        run.sends(EXECUTE);
        run.answers(answer(status, "null", ""));
        run.sends(INTERRUPT);
        run.answers(reply(204, ""));
        let mode = match status {
            "continued" => "continue",
            _ => "input",
        };
        assert_eq!(run.sends_body(EXECUTE), body(mode, ""));
        // Of a batch.
        for step in ["clean-finished", "build-finished"] {
            run.answers(answer(step, "0", ""));
            assert_eq!(run.sends_body(EXECUTE), body("continue", ""));
        }
        run.answers(answer("finished", "93", ""));
        run.waits();
        assert!(aborted(&mut run).is_freed);
    }
}

#[test]
fn an_abandoned_program_that_does_not_end_is_given_all_that_may_end_it() {
    let mut run = abandoned();
    run.sends(EXECUTE);
    run.answers(answer("continued", "null", ""));
    run.sends(INTERRUPT);
    run.answers(reply(204, ""));
    for mode in ["continue", "continue", "input", "continue", "query"] {
        assert_eq!(run.sends_body(EXECUTE), body(mode, ""));
        run.answers(answer("continued", "null", ""));
    }
    for _ in 0..2 {
        assert_eq!(run.sends_body(EXECUTE), body("continue", ""));
        run.answers(answer("continued", "null", ""));
    }
    assert!(!aborted(&mut run).is_freed);
}

#[test]
fn what_keeps_the_kernel_busy_instead_of_the_abandoned_run_is_not_interrupted() {
    // Manager 23.09.10, after 30 s.
    let busy = r#"{"type": "https://api.backend.ai/probs/kernel-execution-failed", "title": "Kernel execution failed.",
        "agent-details": {"type": "https://api.backend.ai/probs/agent-timeout"}}"#;
    let mut run = abandoned();
    run.sends(EXECUTE);
    run.answers(reply(500, busy));
    assert!(matches!(run.done(), Err(Error::Gateway(_))));
    // Manager 26.9.6 does not respond.
    let mut run = abandoned();
    run.sends(EXECUTE);
    run.fails(TransportError::new(
        TransportErrorKind::Timeout,
        Sent::Maybe,
        "no response",
    ));
    assert!(!aborted(&mut run).is_freed);
}

#[test]
fn a_run_id_can_be_chosen() {
    let mut run = execution("1", NEW);
    assert_eq!(run.machine.run_id(), None);
    run.machine.set_run_id("mine".to_owned());
    assert!(run.sends_body(EXECUTE).contains(r#""run_id":"mine""#));
    assert_eq!(run.machine.run_id(), Some("mine"));
    let v2 = caller_for(ApiVersion::V2_20170315);
    let mut run = Driver::new(Execution::of_abandoned_run(kernel(), RUN, v2));
    assert!(matches!(run.done(), Err(Error::Build(_))));
}
