//! Backend.AI over a WebSocket, literally.

use super::*;
use crate::error::{AbortReason, Aborted};
use crate::frame::Frame;
use crate::machine::Negotiated;
use crate::ops::{Batch, Execute};
use crate::version::ApiVersion;

const OPEN: &str = "GET /stream/session/k1/execute";
const EXECUTE: &str = "POST /session/k1";
const INTERRUPT: &str = "POST /session/k1/interrupt";

/// As a gateway says that is no release of Backend.AI.
fn ours() -> Streaming {
    said("sorna-gateway 0.1.0")
}

fn said(manager: &str) -> Streaming {
    let version = ApiVersion::V9_20250722;
    let info = format!(r#"{{"version": "{version}", "manager": "{manager}"}}"#);
    Streaming::of(&Negotiated {
        version,
        info: Some(serde_json::from_str(&info).unwrap()),
    })
}

fn machine(mode: impl Into<ExecuteMode>) -> Execution {
    Execution::new(kernel(), mode.into(), caller_for(ApiVersion::V9_20250722))
}

fn streamed(mode: impl Into<ExecuteMode>) -> Driver<Execution> {
    Driver::new(machine(mode).with_streaming(ours()))
}

/// Opens it, and gives the first message.
#[track_caller]
fn open(run: &mut Driver<Execution>) -> String {
    run.opens(OPEN);
    assert!(
        matches!(run.poll(), Step::Idle),
        "it waits for the response"
    );
    run.is_open();
    run.sends_text()
}

/// A message as managers send it.
fn message(status: &str, exit_code: &str, console: &str) -> String {
    format!(
        r#"{{"status": "{status}", "console": [{console}], "exitCode": {exit_code}, "options": null, "files": []}}"#
    )
}

#[track_caller]
fn aborted(run: &mut Driver<Execution>) -> Aborted {
    run.closes();
    match run.done() {
        Err(Error::Aborted(aborted)) => *aborted,
        other => panic!("{other:?}"),
    }
}

#[test]
fn output_comes_without_being_asked_for() {
    let mut run = streamed("for i in range(2): print(i)");
    assert_eq!(
        open(&mut run),
        r#"{"mode":"query","code":"for i in range(2): print(i)"}"#
    );
    assert!(matches!(run.poll(), Step::Wait(_)));
    run.hears(&message("continued", "null", r#"["stdout", "0\n"]"#));
    assert_eq!(stdout(&mut run), "0\n");
    // Managers send these, too.
    run.hears(&message("continued", "null", ""));
    assert!(matches!(run.poll(), Step::Wait(_)), "nothing is sent");
    run.hears(&message("finished", "1", r#"["stdout", "1\n"]"#));
    assert_eq!(stdout(&mut run), "1\n");
    run.closes();
    assert_eq!(run.done().unwrap().exit_code(), Some(1));
    assert!(matches!(run.poll(), Step::Idle));
}

#[test]
fn frames_of_both_kinds_are_read_and_output_is_kept_until_it_is_polled() {
    let mut run = streamed("1");
    open(&mut run);
    let first = message("continued", "null", r#"["stdout", "a"]"#);
    run.hears_frame(Frame::Binary(first.into()));
    run.hears(&message("pondering", "null", r#"["stdout", "b"]"#));
    run.hears(&message("finished", "0", r#"["stderr", "c"]"#));
    assert_eq!(
        (stdout(&mut run), stdout(&mut run)),
        ("a".into(), "b".into())
    );
    assert!(matches!(run.event(), ExecutionEvent::Unknown(_)));
    assert!(matches!(run.event(), ExecutionEvent::Console(_)));
    run.closes();
    assert!(run.done().is_ok());
}

#[test]
fn input_is_sent_as_it_is() {
    let mut run = streamed("input()");
    open(&mut run);
    run.hears(r#"{"status": "waiting-input", "console": [["stdout", "? "]], "options": {"is_password": true}}"#);
    assert_eq!(stdout(&mut run), "? ");
    let asked = ExecutionEvent::InputRequested {
        is_password: true,
        hides_line_end: false,
        takes_lines: false,
        takes_bytes: false,
        may_go_on: false,
    };
    assert_eq!(run.event(), asked);
    assert!(matches!(run.poll(), Step::Idle));
    run.machine.answer("{\"x\"").unwrap();
    assert!(run.machine.answer("y").is_err());
    assert_eq!(run.sends_text(), "{\"x\"");
    run.hears(&message("finished", "0", ""));
    run.closes();
    assert!(run.done().is_ok());
}

#[test]
fn bytes_are_asked_for_and_given_over_it() {
    let start = Execute::start(kernel(), "cat".into()).with_bytes(true);
    let machine = Execution::of(start, caller_for(ApiVersion::V9_20250722));
    let mut run = Driver::new(machine.with_streaming(ours()));
    assert_eq!(
        open(&mut run),
        r#"{"mode":"query","code":"cat","bytes":true}"#
    );
    run.hears(r#"{"status": "waiting-input", "console": [], "options": {"takes_bytes": true}}"#);
    run.event();
    run.machine.answer_bytes(b"\xff\n").unwrap();
    assert!(matches!(run.poll(), Step::SendFrame(Frame::Binary(bytes)) if bytes == b"\xff\n"[..]));
    run.hears(&message("finished", "0", r#"["stdout-bytes", "/wo="]"#));
    let ExecutionEvent::Console(console) = run.event() else {
        panic!("no output")
    };
    assert_eq!(&*console.stdout_bytes(), b"\xff\n");
    assert_eq!(console.stdout(), "\u{fffd}\n");
    run.closes();
    assert!(run.done().is_ok());
}

#[test]
fn without_a_websocket_the_same_code_is_sent_by_a_request() {
    for status in [200, 400, 401, 404, 426, 429, 500, 501, 502, 503] {
        let mut run = streamed("print(1)");
        run.opens(OPEN);
        run.answers(problem(status, "no-websocket"));
        let sent = run.sends_body(EXECUTE);
        assert!(sent.starts_with(r#"{"mode":"query","code":"print(1)","runId":""#));
        run.answers(result("finished", r#", "exitCode": 0"#));
        assert!(run.done().is_ok());
    }
    let mut run = streamed("print(1)");
    run.opens(OPEN);
    run.fails(TransportError::new(
        TransportErrorKind::Timeout,
        Sent::Maybe,
        "a proxy holds it",
    ));
    run.sends(EXECUTE);
}

#[test]
fn what_may_have_run_is_never_sent_again() {
    let broken = || TransportError::new(TransportErrorKind::Receive, Sent::Maybe, "it broke");
    for console in ["", r#"["stdout", "a"]"#] {
        let mut run = streamed("1");
        open(&mut run);
        run.hears(&message("continued", "null", console));
        run.fails(broken());
        if !console.is_empty() {
            assert_eq!(stdout(&mut run), "a", "what arrived before it is not lost");
        }
        run.closes();
        let error = run.done().unwrap_err();
        assert!(matches!(error, Error::MayHaveRun(_)), "{error:?}");
        assert!(matches!(run.poll(), Step::Idle));
    }
    // While the program waits for input.
    let mut run = streamed("input()");
    open(&mut run);
    run.hears(&message("waiting-input", "null", ""));
    run.event();
    run.is_closed(Some(1001), "bye");
    assert!(matches!(run.poll(), Step::Idle));
    run.machine.answer("x").unwrap();
    run.closes();
    assert!(matches!(run.done(), Err(Error::MayHaveRun(_))));
}

#[test]
fn a_close_before_the_end_is_explained() {
    for (code, reason, text) in [
        (
            None,
            "",
            "the gateway closed the WebSocket before the end of the execution",
        ),
        (
            Some(1011),
            "a\u{1b}[2Jb",
            "the gateway closed the WebSocket before the end of the execution (code 1011: a\u{fffd}[2Jb)",
        ),
    ] {
        let mut run = streamed("1");
        open(&mut run);
        run.is_closed(code, reason);
        run.closes();
        let error = run.done().unwrap_err();
        assert_eq!(error.transport().unwrap().to_string(), text);
    }
}

#[test]
fn a_normal_close_before_the_end_is_the_gateway_s_decision() {
    let mut run = streamed("1");
    open(&mut run);
    run.hears(&message("continued", "null", r#"["stdout", "before"]"#));
    run.is_closed(Some(1000), "");
    assert_eq!(stdout(&mut run), "before");
    let aborted = aborted(&mut run);
    assert_eq!(
        aborted.to_string(),
        "the gateway ended the execution: \
         the gateway closed the WebSocket before the end of the execution (code 1000); \
         the program may still run, and keep the session busy"
    );
}

#[test]
fn what_the_gateway_says_of_its_failure_is_reported() {
    for (message, text) in [
        (
            r#"{"status": "error", "msg": "BackendError: <InvalidStreamMode(400): no>"}"#,
            "the gateway ended the execution: BackendError: <InvalidStreamMode(400): no>; \
             the program may still run, and keep the session busy",
        ),
        (
            r#"{"status": "server-restarting", "msg": "It\u001b[2J restarts."}"#,
            "the gateway ended the execution: It\u{fffd}[2J restarts.; \
             the program may still run, and keep the session busy",
        ),
    ] {
        let mut run = streamed("1");
        open(&mut run);
        run.hears(message);
        let aborted = aborted(&mut run);
        assert!(matches!(aborted.reason, AbortReason::Reported(_)));
        assert_eq!(aborted.to_string(), text);
    }
    let mut run = streamed("1");
    open(&mut run);
    run.hears("no JSON");
    run.closes();
    assert!(matches!(run.done(), Err(Error::Parse(_))));
}

/// With a manager that keeps the ends of steps.
fn streamed_by_manager(mode: impl Into<ExecuteMode>) -> Driver<Execution> {
    Driver::new(machine(mode).with_streaming(said("23.09.10")))
}

fn batch() -> Batch {
    Batch::new().with_build("make").with_exec("./main")
}

const RUN: &str = "5555555555555555";

#[test]
fn a_batch_is_one_command_and_its_rest_is_awaited() {
    let mut run = streamed_by_manager(batch());
    let first: serde_json::Value = serde_json::from_str(&open(&mut run)).unwrap();
    assert_eq!(
        (&first["mode"], &first["options"]["exec"]),
        (&"batch".into(), &"exit 93".into())
    );
    let mark = format!("\\u001esorna-{RUN} built 0\\n");
    run.hears(&message("continued", "null", r#"["stdout", "cc"]"#));
    assert_eq!(stdout(&mut run), "cc");
    run.hears(&message(
        "continued",
        "null",
        &format!(r#"["stdout", "{mark}hi\n"], ["stderr", "{mark}"]"#),
    ));
    assert!(matches!(run.event(), ExecutionEvent::StepFinished { .. }));
    assert_eq!(stdout(&mut run), "hi\n");
    run.hears(&message("clean-finished", "3", ""));
    // What follows comes by itself.
    for (status, code) in [
        ("continued", "null"),
        ("build-finished", "0"),
        ("continued", "null"),
    ] {
        assert!(matches!(run.poll(), Step::Wait(_)));
        run.hears(&message(status, code, ""));
    }
    run.hears(&message("finished", "93", ""));
    run.closes();
    let end = run.done().unwrap();
    assert_eq!(
        (end.status.clone(), end.exit_code()),
        (ExecutionStatus::Finished, Some(3))
    );
}

#[test]
fn gateways_that_lose_no_end_get_the_batch_as_it_is() {
    let mut run = streamed(batch());
    let first: serde_json::Value = serde_json::from_str(&open(&mut run)).unwrap();
    let options = &first["options"];
    assert_eq!(
        (&first["mode"], &options["build"], &options["exec"]),
        (&"batch".into(), &"make".into(), &"./main".into())
    );
    // There was nothing to clean.
    run.hears(&message("clean-finished", "0", ""));
    assert!(matches!(run.poll(), Step::Wait(_)));
    run.hears(&message("continued", "null", r#"["stdout", "cc"]"#));
    assert_eq!(stdout(&mut run), "cc");
    run.hears(&message("build-finished", "0", ""));
    assert!(matches!(
        run.event(),
        ExecutionEvent::StepFinished {
            status: ExecutionStatus::BuildFinished,
            exit_code: Some(0),
            usage: None,
        }
    ));
    run.hears(&message("finished", "3", ""));
    run.closes();
    assert_eq!(run.done().unwrap().exit_code(), Some(3));
    // What is polled is one command all the same.
    let mut machine = machine(batch()).with_streaming(ours());
    machine.poll_only();
    let sent = Driver::new(machine).sends_body(EXECUTE);
    assert!(sent.contains(r#""exec":"exit 93""#), "{sent}");
}

#[test]
fn the_result_of_a_batch_counts_even_if_its_rest_does_not_come() {
    for breaks in [false, true] {
        let mut run = streamed_by_manager(batch());
        open(&mut run);
        run.hears(&message("clean-finished", "0", ""));
        if breaks {
            run.is_closed(Some(1000), "");
        } else {
            assert_eq!(run.waits(), Duration::from_secs(4));
        }
        run.closes();
        assert_eq!(run.done().unwrap().exit_code(), Some(0));
    }
}

#[test]
fn batches_of_managers_that_drop_ends_are_polled_unless_the_kernel_is_in_its_last_use() {
    let mut run = Driver::new(machine(batch()).with_streaming(said("26.9.6")));
    run.sends(EXECUTE);
    let last = machine(batch())
        .with_streaming(said("26.9.6"))
        .in_last_use();
    let mut run = Driver::new(last);
    open(&mut run);
    run.hears(&message("clean-finished", "7", ""));
    run.closes();
    assert_eq!(run.done().unwrap().exit_code(), Some(7));
}

#[test]
fn steps_that_the_runner_has_to_do_itself_are_requested() {
    let mut run = streamed_by_manager(Batch::new());
    open(&mut run);
    let native = format!(r#"["stdout", "\u001esorna-{RUN} native\n"]"#);
    run.hears(&message("clean-finished", "0", &native));
    run.hears(&message("finished", "93", ""));
    run.closes();
    let sent = run.sends_body(EXECUTE);
    assert!(
        sent.contains(r#""build":"*","buildLog":false,"exec":"*""#),
        "{sent}"
    );
    run.answers(result("finished", r#", "exitCode": 4"#));
    assert_eq!(run.done().unwrap().exit_code(), Some(4));
}

#[test]
fn giving_up_interrupts_the_program_and_awaits_its_end() {
    let mut run = streamed("while True: pass");
    open(&mut run);
    run.waits();
    run.machine.give_up();
    run.sends(INTERRUPT);
    run.hears(&message("continued", "null", r#"["stdout", "late"]"#));
    run.answers(reply(204, ""));
    assert_eq!(stdout(&mut run), "late");
    for _ in 0..5 {
        run.hears(&message("continued", "null", ""));
        assert!(matches!(run.poll(), Step::Wait(_)));
    }
    run.hears(&message("finished", "1", ""));
    run.closes();
    assert_eq!(run.done().unwrap().exit_code(), Some(1));
}

#[test]
fn giving_up_at_an_input_request_gives_none() {
    let mut run = streamed("input()");
    open(&mut run);
    run.hears(&message("waiting-input", "null", ""));
    run.event();
    run.machine.give_up();
    run.sends(INTERRUPT);
    run.answers(reply(204, ""));
    assert_eq!(run.sends_text(), "");
    run.hears(&message("finished", "1", ""));
    run.closes();
    assert!(run.done().is_ok());
}

#[test]
fn a_program_that_does_not_end_is_left() {
    let mut run = streamed("1");
    open(&mut run);
    run.machine.give_up();
    run.sends(INTERRUPT);
    run.answers(reply(204, ""));
    assert_eq!(run.waits(), Duration::from_secs(4));
    // The interrupt may have come while a shell started a program.
    run.sends(INTERRUPT);
    run.answers(reply(204, ""));
    assert_eq!(run.waits(), Duration::from_secs(4));
    let aborted = aborted(&mut run);
    assert!(!aborted.is_freed && matches!(aborted.reason, AbortReason::GivenUp));
}

#[test]
fn what_was_not_sent_is_given_up_at_once() {
    let mut run = streamed("1");
    run.opens(OPEN);
    run.machine.give_up();
    assert!(
        matches!(run.poll(), Step::Idle),
        "it waits for the response"
    );
    run.is_open();
    assert!(aborted(&mut run).is_freed);
    let mut run = streamed("1");
    run.opens(OPEN);
    run.machine.give_up();
    run.answers(problem(404, "url-not-found"));
    match run.done() {
        Err(Error::Aborted(aborted)) => assert!(aborted.is_freed),
        other => panic!("{other:?}"),
    }
}

#[test]
fn silence_is_noticed_with_and_without_messages() {
    let limit = Duration::from_secs(3);
    for speaks in [false, true] {
        let machine = machine("1")
            .with_streaming(ours())
            .with_silence_limit(limit);
        let mut run = Driver::new(machine);
        open(&mut run);
        if speaks {
            run.poll();
            run.passes(Duration::from_secs(2));
            run.hears(&message("continued", "null", r#"["stdout", "x"]"#));
            run.event();
        }
        assert_eq!(run.waits(), limit);
        if speaks {
            run.hears(&message("continued", "null", ""));
        }
        for _ in 0..2 {
            run.sends(INTERRUPT);
            run.answers(reply(204, ""));
            assert_eq!(run.waits(), Duration::from_secs(4));
        }
        let aborted = aborted(&mut run);
        assert!(matches!(aborted.reason, AbortReason::Silent(_)));
    }
}

#[test]
fn pings_find_out_whether_the_gateway_is_still_there() {
    let mut run = streamed("1");
    open(&mut run);
    assert_eq!(run.waits(), Duration::from_secs(20));
    assert_eq!(run.sends_frame(), Frame::Ping);
    run.hears_frame(Frame::Pong);
    // The caller was busy, and has not polled.
    run.poll();
    run.passes(Duration::from_secs(1000));
    assert_eq!(run.sends_frame(), Frame::Ping);
    assert_eq!(run.waits(), Duration::from_secs(60));
    run.closes();
    let error = run.done().unwrap_err();
    assert_eq!(
        error.transport().unwrap().kind(),
        TransportErrorKind::Timeout
    );
    assert!(matches!(error, Error::MayHaveRun(_)));
}

#[test]
fn sorna_v2_and_executions_that_are_not_looked_at_are_polled() {
    let v2 = Execution::new(kernel(), "1".into(), caller()).with_streaming(ours());
    Driver::new(v2).sends("POST /v2/kernel/k1");
    let mut machine = machine("1").with_streaming(ours());
    machine.poll_only();
    Driver::new(machine).sends(EXECUTE);
}
