//! Executions with marks, in both dialects.

use super::*;
use crate::machine::Negotiated;
use crate::ops::{Batch, Execute, RunMark};
use crate::version::ApiVersion;

const V2: &str = "POST /v2/kernel/k1";
const V9: &str = "POST /session/k1";
const OPEN: &str = "GET /stream/session/k1/execute";
const ID: &str = "5555555555555555";

fn marked(mode: impl Into<ExecuteMode>, version: ApiVersion) -> Execution {
    let start = Execute::start(kernel(), mode.into()).with_mark(Some(RunMark::default()));
    Execution::of(start, caller_for(version))
}

fn v2(mode: impl Into<ExecuteMode>) -> Driver<Execution> {
    Driver::new(marked(mode, ApiVersion::V2_20170315))
}

fn busy() -> Response<Bytes> {
    reply(
        409,
        r#"{"type": "https://api.sorna.io/probs/kernel-busy", "title": "The kernel is busy.",
            "data": {"mode": "query", "runningFor": 12345, "awaitsInput": true}}"#,
    )
}

fn lost() -> TransportError {
    TransportError::new(TransportErrorKind::Receive, Sent::Maybe, "it broke")
}

#[test]
fn all_requests_say_to_which_execution_they_belong() {
    let mut run = v2("x = input()");
    assert_eq!(
        run.sends_body(V2),
        format!(
            r#"{{"mode":"query","code":"x = input()","options":{{"run":{{"id":"{ID}","request":0}}}}}}"#
        )
    );
    assert_eq!(run.machine.run_id(), Some(ID));
    run.answers(result("continued", r#", "console": [["stdout", "a"]]"#));
    stdout(&mut run);
    let next = |code: &str, number: u32| {
        format!(
            r#"{{"mode":"query","code":"{code}","options":{{"run":{{"id":"{ID}","request":{number}}}}}}}"#
        )
    };
    assert_eq!(run.sends_body(V2), next("", 1));
    run.answers(result("waiting-input", ""));
    run.event();
    run.machine.answer("42").unwrap();
    assert_eq!(run.sends_body(V2), next("42", 2));

    // Sorna v2 has no WebSocket for it, whatever the gateway says of itself.
    let negotiated = Negotiated {
        version: ApiVersion::V2_20170315,
        info: None,
    };
    let streaming = Streaming::of(&negotiated);
    let asked = marked("1", ApiVersion::V2_20170315).with_streaming(streaming);
    Driver::new(asked).sends(V2);

    let mut batch = v2(Batch::new());
    let options = r#""options":{"build":"*","buildLog":false,"exec":"*","run":"#;
    for number in 0..2 {
        let body = batch.sends_body(V2);
        let mark = format!(r#"{options}{{"id":"{ID}","request":{number}}}}}}}"#);
        assert!(body.ends_with(&mark), "{body}");
        batch.answers(result("continued", r#", "console": [["stdout", "a"]]"#));
        stdout(&mut batch);
    }

    let mut session = Driver::new(marked("1", ApiVersion::V9_20250722));
    let mark = |number| format!(r#""run":{{"id":"{ID}","request":{number}}}"#);
    assert!(session.sends_body(V9).contains(&mark(0)));
    session.answers(result("continued", r#", "console": [["stdout", "a"]]"#));
    stdout(&mut session);
    let body = session.sends_body(V9);
    assert!(
        body.contains(r#""mode":"continue""#) && body.contains(&mark(1)),
        "{body}"
    );
}

#[test]
fn a_request_whose_response_is_lost_is_sent_again() {
    let mut run = v2("1");
    let first = run.sends_body(V2);
    run.fails(lost());
    run.waits();
    assert_eq!(run.sends_body(V2), first);
    run.answers(result("continued", r#", "console": [["stdout", "a"]]"#));
    stdout(&mut run);
    // Without any response the code may have run, even if the last attempts did not reach the gateway.
    run.sends(V2);
    run.fails(lost());
    let unsent = || TransportError::new(TransportErrorKind::Connect, Sent::Nothing, "refused");
    for _ in 0..4 {
        run.waits();
        run.sends(V2);
        run.fails(unsent());
    }
    assert!(matches!(run.done(), Err(Error::MayHaveRun(_))));

    let mut never = v2("1");
    never.sends(V2);
    never.fails(unsent());
    for _ in 0..4 {
        never.waits();
        never.sends(V2);
        never.fails(unsent());
    }
    assert!(matches!(never.done(), Err(Error::Transport(_))));
}

#[test]
fn a_busy_kernel_is_an_error_that_says_why() {
    let mut run = v2("1");
    run.sends(V2);
    run.answers(busy());
    let error = run.done().unwrap_err();
    assert!(error.is_busy() && !error.may_have_acted(), "{error}");
    assert_eq!(
        error.to_string(),
        "the kernel is busy: a snippet has been running for 12 s and waits for input"
    );
    let busy = error.busy().unwrap();
    assert_eq!(busy.running_for(), Some(Duration::from_millis(12345)));
    assert_eq!(
        busy.to_string(),
        "a snippet has been running for 12 s and waits for input"
    );
}

#[test]
fn a_busy_kernel_is_waited_for_as_long_as_allowed() {
    let waiting = |limit| Driver::new(marked("1", ApiVersion::V2_20170315).with_busy_wait(limit));
    let mut run = waiting(Duration::MAX);
    assert!(!run.sends_body(V2).contains("wait"));
    run.answers(busy());
    assert!(matches!(run.event(), ExecutionEvent::KernelBusy(_)));
    run.waits();
    let held = run.sends_body(V2);
    assert!(held.contains(r#""request":0,"wait":true"#), "{held}");
    // Said once, and no flood of requests.
    run.answers(busy());
    assert_eq!(run.waits(), Duration::from_millis(200));
    assert_eq!(run.sends_body(V2), held);
    run.answers(result("finished", ""));
    assert!(matches!(run.event(), ExecutionEvent::KernelFree));
    run.done().unwrap();

    let mut limited = waiting(Duration::from_secs(3));
    limited.sends(V2);
    limited.passes(Duration::from_secs(2));
    limited.answers(busy());
    limited.event();
    limited.sends(V2);
    limited.passes(Duration::from_secs(2));
    limited.answers(busy());
    // The limit is less than what a gateway holds requests for, so the next one is not held.
    assert!(!limited.sends_body(V2).contains("wait"));
    limited.passes(Duration::from_secs(1));
    limited.answers(busy());
    assert!(limited.done().unwrap_err().is_busy());

    let mut given_up = waiting(Duration::MAX);
    given_up.sends(V2);
    given_up.answers(busy());
    given_up.event();
    given_up.waits();
    given_up.machine.give_up();
    match given_up.done() {
        Err(Error::Aborted(aborted)) => assert!(aborted.is_freed),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_busy_session_is_waited_for_over_websockets() {
    let version = ApiVersion::V9_20250722;
    let info = serde_json::json!({"version": version.as_str(), "manager": "sorna-gateway 0.1.0"});
    let info = Some(serde_json::from_value(info).unwrap());
    let streaming = Streaming::of(&Negotiated { version, info });
    let message = r#"{"status": "error", "msg": "busy", "type": "https://api.backend.ai/probs/kernel-busy",
                      "title": "The kernel is busy.", "data": {"mode": "batch", "runningFor": 1000}}"#;
    let new = || marked("1", version).with_streaming(streaming);

    let mut run = Driver::new(new());
    run.opens(OPEN);
    run.is_open();
    assert!(
        run.sends_text()
            .contains(&format!(r#""run":{{"id":"{ID}","request":0}}"#))
    );
    run.hears(message);
    run.closes();
    let error = run.done().unwrap_err();
    assert_eq!(error.busy().unwrap().mode.as_deref(), Some("batch"));

    let mut run = Driver::new(new().with_busy_wait(Duration::MAX));
    run.opens(OPEN);
    run.is_open();
    let first = run.sends_text();
    run.hears(message);
    assert!(matches!(run.event(), ExecutionEvent::KernelBusy(_)));
    run.closes();
    run.waits();
    run.opens(OPEN);
    run.is_open();
    assert_eq!(
        run.sends_text(),
        first.replace(r#""request":0"#, r#""request":0,"wait":true"#)
    );
    run.hears(r#"{"status": "finished", "console": [], "exitCode": 0, "options": null}"#);
    assert!(matches!(run.event(), ExecutionEvent::KernelFree));
    run.closes();
    run.done().unwrap();
}

#[test]
fn what_waits_for_its_turn_over_a_websocket_interrupts_nothing_when_it_is_given_up() {
    let version = ApiVersion::V9_20250722;
    let info = serde_json::json!({"version": version.as_str(), "manager": "sorna-gateway 0.1.0"});
    let info = Some(serde_json::from_value(info).unwrap());
    let streaming = Streaming::of(&Negotiated { version, info });
    let mut run = Driver::new(marked("1", version).with_streaming(streaming));
    run.opens(OPEN);
    run.is_open();
    run.sends_text();
    run.machine.give_up();
    run.closes();
    assert!(matches!(run.done(), Err(Error::Aborted(_))));

    let mut begun = Driver::new(marked("1", version).with_streaming(streaming));
    begun.opens(OPEN);
    begun.is_open();
    begun.sends_text();
    begun.hears(r#"{"status": "continued", "console": [["stdout", "a"]]}"#);
    stdout(&mut begun);
    begun.machine.give_up();
    begun.sends("POST /session/k1/interrupt");
}

const INTERRUPT: &str = "POST /v2/kernel/k1/interrupt";

/// A program that runs, at a gateway that can interrupt it in Sorna v2, and is given up.
fn given_up(first: Response<Bytes>) -> Driver<Execution> {
    let run = marked("1", ApiVersion::V2_20170315).with_interrupts(true);
    let mut run = Driver::new(run);
    run.sends(V2);
    run.machine.give_up();
    assert!(matches!(run.poll(), Step::Idle), "a request is in flight");
    run.answers(first);
    run
}

#[test]
fn a_program_that_is_given_up_is_interrupted_where_the_gateway_can_do_that() {
    let mut run = given_up(result("continued", r#", "console": [["stdout", "a"]]"#));
    assert_eq!(stdout(&mut run), "a");
    run.sends(INTERRUPT);
    run.answers(reply(204, ""));
    run.sends(V2);
    run.answers(result("continued", r#", "console": [["stdout", "b"]]"#));
    assert_eq!(stdout(&mut run), "b");
    run.sends(V2);
    run.answers(result("finished", r#", "exitCode": 130"#));
    assert_eq!(run.done().unwrap().exit_code(), Some(130));

    // It ends before it is interrupted.
    let mut run = given_up(result("finished", r#", "exitCode": 0"#));
    assert_eq!(run.done().unwrap().exit_code(), Some(0));

    // Another execution keeps the kernel busy: that one is not interrupted.
    let mut run = given_up(busy());
    assert!(run.done().unwrap_err().busy().is_some());
}

#[test]
fn a_program_that_goes_on_in_spite_of_an_interrupt_is_left() {
    let mut run = given_up(result("continued", ""));
    run.sends(INTERRUPT);
    run.answers(reply(204, ""));
    for _ in 0..4 {
        run.sends(V2);
        run.passes(Duration::from_secs(2));
        run.answers(result("continued", ""));
    }
    let Err(Error::Aborted(aborted)) = run.done() else {
        panic!("it has not ended")
    };
    assert!(!aborted.is_freed);
}

#[test]
fn a_program_that_still_asks_after_an_interrupt_gets_nothing() {
    for (takes_bytes, given) in [(true, r#""encoding":"base64""#), (false, r#""code":"","#)] {
        let options = format!(r#", "options": {{"takes_bytes": {takes_bytes}}}"#);
        let asks = || result("waiting-input", &options);
        let mut run = given_up(asks());
        assert!(matches!(run.event(), ExecutionEvent::InputRequested { .. }));
        run.sends(INTERRUPT);
        run.answers(reply(204, ""));
        run.sends(V2);
        run.answers(asks());
        assert!(matches!(run.event(), ExecutionEvent::InputRequested { .. }));
        assert_eq!(run.waits(), Duration::from_millis(200));
        let body = run.sends_body(V2);
        assert!(body.contains(given), "{body}");
        assert!(!run.machine.awaits_input());
        run.answers(result("finished", ""));
        run.done().unwrap();
    }
}

/// A program that runs in Sorna v2, and is given up while its output is asked for. The response does not come.
fn given_up_at_a_dead_connection() -> (Driver<Execution>, String) {
    let run = marked("1", ApiVersion::V2_20170315).with_interrupts(true);
    let mut run = Driver::new(run);
    run.sends(V2);
    run.answers(result("continued", r#", "console": [["stdout", "a"]]"#));
    stdout(&mut run);
    let asked = run.sends_body(V2);
    run.machine.give_up();
    assert!(matches!(run.poll(), Step::Idle), "a request is in flight");
    (run, asked)
}

fn late() -> TransportError {
    TransportError::new(TransportErrorKind::Timeout, Sent::Maybe, "it is late")
}

#[test]
fn a_response_that_did_not_come_is_asked_for_again_after_the_interrupt() {
    let (mut run, asked) = given_up_at_a_dead_connection();
    run.fails(late());
    // At once, and whether it is answered or not.
    assert!(run.sends(INTERRUPT).own_connection);
    run.fails(late());
    let again = run.sends(V2);
    assert!(again.time_limit < Duration::from_secs(11));
    assert_eq!(again.request.body().as_bytes().unwrap(), asked.as_bytes());
    run.answers(result("continued", r#", "console": [["stdout", "b"]]"#));
    assert_eq!(stdout(&mut run), "b");
    assert_ne!(run.sends_body(V2), asked);
    run.answers(result("finished", r#", "exitCode": 130"#));
    assert_eq!(run.done().unwrap().exit_code(), Some(130));
}

#[test]
fn what_came_of_a_first_request_without_a_response_is_found_out_before_anything_is_interrupted() {
    let begin = || {
        let run = marked("1", ApiVersion::V2_20170315).with_interrupts(true);
        let mut run = Driver::new(run);
        let first = run.sends_body(V2);
        run.machine.give_up();
        run.fails(late());
        let again = run.sends_body(V2);
        assert_eq!(again.replace(r#","again":true"#, ""), first);
        assert_ne!(again, first);
        run
    };
    let mut begun = begin();
    begun.answers(result("continued", r#", "console": [["stdout", "a"]]"#));
    assert_eq!(stdout(&mut begun), "a");
    begun.sends(INTERRUPT);
    // It has not arrived.
    let mut other = begin();
    other.answers(problem(500, "kernel-execution-failed"));
    assert!(matches!(other.done(), Err(Error::Aborted(it)) if it.is_freed));

    // Nothing was sent.
    let run = marked("1", ApiVersion::V2_20170315).with_interrupts(true);
    let mut run = Driver::new(run);
    run.sends(V2);
    run.machine.give_up();
    let kind = TransportErrorKind::Connect;
    run.fails(TransportError::new(kind, Sent::Nothing, "refused"));
    assert!(matches!(run.done(), Err(Error::Aborted(it)) if it.is_freed));
}
