//! Whole runs in Backend.AI, in virtual time.

use std::time::Duration;

use bytes::Bytes;
use http::Response;

use super::*;
use crate::error::Error;
use crate::ident::SessionToken;
use crate::machine::testing::{Driver, caller_for, problem, reply};
use crate::machine::{ExecutionEvent, Negotiated, Step, Streaming};
use crate::ops::{Batch, ExecuteMode};
use crate::version::ApiVersion;

const CREATE: &str = "POST /session";
const INFO: &str = "GET /session/u1";
const EXECUTE: &str = "POST /session/u1";
const INTERRUPT: &str = "POST /session/u1/interrupt";
const DESTROY: &str = "DELETE /session/u1";

fn plan(codes: &[&str]) -> RunPlan {
    let token = SessionToken::new("mine").unwrap();
    RunPlan::temporary("python", codes.iter().copied()).with_token(token)
}

fn run(plan: RunPlan) -> Driver<Run> {
    Driver::new(Run::new(plan, caller_for(ApiVersion::V9_20250722), [7; 32]))
}

fn created(status: &str) -> Response<Bytes> {
    let body = format!(r#"{{"sessionId": "u1", "status": "{status}", "created": true}}"#);
    reply(201, &body)
}

/// A run whose kernel is ready.
#[track_caller]
fn ready(plan: RunPlan) -> Driver<Run> {
    let mut run = run(plan);
    run.sends(CREATE);
    run.answers(created("RUNNING"));
    assert!(matches!(run.event(), RunEvent::KernelReady(_)));
    run
}

/// A run that waits for its kernel.
#[track_caller]
fn pending(plan: RunPlan) -> Driver<Run> {
    let mut run = run(plan);
    run.sends(CREATE);
    run.answers(created("PENDING"));
    let RunEvent::SessionPending(event) = run.event() else {
        panic!("not reported")
    };
    assert_eq!(event.kernel.as_str(), "u1");
    run
}

fn result(status: &str, exit_code: &str, console: &str) -> Response<Bytes> {
    let body = format!(
        r#"{{"result": {{"status": "{status}", "exitCode": {exit_code}, "options": null, "console": [{console}]}}}}"#
    );
    reply(200, &body)
}

#[track_caller]
fn destroys(run: &mut Driver<Run>) -> RunReport {
    assert_eq!(run.event(), RunEvent::CleaningUp);
    run.sends(DESTROY);
    run.answers(reply(200, r#"{"stats": {"status": "terminated"}}"#));
    let report = run.done();
    assert!(matches!(report.cleanup, Cleanup::Destroyed));
    report
}

/// The same of a kernel that has not run.
#[track_caller]
fn destroys_unstarted(run: &mut Driver<Run>) -> RunReport {
    assert_eq!(run.event(), RunEvent::CleaningUp);
    for _ in 0..2 {
        run.sends(DESTROY);
        run.answers(reply(200, r#"{"stats": {"status": "terminated"}}"#));
        run.sends(INFO);
        run.answers(reply(200, r#"{"status": "PREPARED"}"#));
        run.waits();
    }
    run.sends(DESTROY);
    run.answers(reply(200, r#"{"stats": {"status": "terminated"}}"#));
    run.sends(INFO);
    run.answers(problem(404, "entity-not-found"));
    let report = run.done();
    assert!(matches!(report.cleanup, Cleanup::Destroyed));
    report
}

#[test]
fn files_are_built_and_run_and_the_kernel_is_destroyed_at_once() {
    let batch = Batch::new().with_build("make").with_exec("./main");
    let plan = RunPlan::temporary("python", [batch]);
    let mut run = ready(plan);
    run.event();
    run.sends(EXECUTE);
    let mark = r"\u001esorna-5555555555555555 built 0\n";
    let console = format!(r#"["stdout", "cc\n{mark}hi\n"], ["stderr", "{mark}"]"#);
    run.answers(result("clean-finished", "3", &console));
    let mut seen = Vec::new();
    for _ in 0..3 {
        match run.event() {
            RunEvent::Execution(ExecutionEvent::Console(console)) => {
                seen.push(console.stdout().into_owned());
            }
            RunEvent::Execution(ExecutionEvent::StepFinished { exit_code, .. }) => {
                seen.push(format!("{exit_code:?}"));
            }
            event => panic!("{event:?}"),
        }
    }
    assert_eq!(seen, ["cc\n", "Some(0)", "hi\n"]);
    assert!(
        matches!(run.event(), RunEvent::ExecutionFinished(result) if result.exit_code() == Some(3))
    );
    let report = destroys(&mut run);
    assert!(matches!(report.ending, Ending::Finished(Some(_))));
}

#[test]
fn only_what_cannot_block_a_kernel_that_is_used_again_is_streamed() {
    const OPEN: &str = "GET /stream/session/u1/execute";
    for (manager, keeps, opens) in [
        ("26.9.6", false, true),
        ("26.9.6", true, false),
        ("23.09.10", true, false),
        ("sorna-gateway 0.1.0", true, true),
    ] {
        let version = ApiVersion::V9_20250722;
        let info = format!(r#"{{"version": "{version}", "manager": "{manager}"}}"#);
        let info = serde_json::from_str(&info).ok();
        let streaming = Streaming::of(&Negotiated { version, info });
        let plan = match keeps {
            true => plan(&["1"]).keep_kernel(),
            false => plan(&["1"]),
        };
        let machine = Run::new(plan, caller_for(version), [7; 32]).with_streaming(streaming);
        let mut run = Driver::new(machine);
        run.sends(CREATE);
        run.answers(created("RUNNING"));
        run.event();
        run.event();
        match opens {
            true => run.opens(OPEN),
            false => run.sends(EXECUTE),
        };
    }
}

#[test]
fn a_kernel_that_is_used_again_is_left_in_order() {
    let batch = || ExecuteMode::from(Batch::new().without_build().with_exec("./main"));
    let mut run = ready(RunPlan::temporary("python", [batch(), batch()]));
    run.event();
    run.sends(EXECUTE);
    run.answers(result("clean-finished", "0", ""));
    assert!(run.sends_body(EXECUTE).contains(r#""mode":"query""#));
    run.answers(result("finished", "0", ""));
    assert!(matches!(run.event(), RunEvent::ExecutionFinished(_)));
    assert!(matches!(
        run.event(),
        RunEvent::ExecutionStarted { index: 1 }
    ));
    run.sends(EXECUTE);
    run.answers(result("clean-finished", "0", ""));
    assert!(matches!(run.event(), RunEvent::ExecutionFinished(_)));
    destroys(&mut run);
}

#[test]
fn a_kernel_is_awaited_before_code_runs() {
    let mut run = pending(plan(&["1"]));
    run.waits();
    run.sends(INFO);
    run.answers(reply(200, r#"{"status": "RUNNING"}"#));
    assert!(matches!(run.event(), RunEvent::KernelReady(_)));
    run.event();
    run.sends(EXECUTE);
    run.answers(result("finished", "0", ""));
    run.event();
    destroys(&mut run);
}

#[test]
fn a_kernel_that_existed_is_known_to() {
    for (first, created, is_new) in [
        (None, "true", Some(true)),
        (None, "false", Some(false)),
        // The first request may have created it.
        (Some(502), "false", None),
        (Some(502), "true", Some(true)),
    ] {
        let mut run = run(plan(&["1"]).keep_kernel());
        run.sends(CREATE);
        if let Some(status) = first {
            run.answers(reply(status, "from a proxy"));
            run.waits();
            run.sends(CREATE);
        }
        assert_eq!(run.machine.is_new(), None);
        let body = format!(r#"{{"sessionId": "u1", "status": "RUNNING", "created": {created}}}"#);
        run.answers(reply(201, &body));
        assert!(matches!(run.event(), RunEvent::KernelReady(_)));
        assert_eq!(run.machine.is_new(), is_new, "{first:?}, {created}");
    }
}

#[test]
fn a_kernel_that_is_cancelled_while_it_starts_is_destroyed() {
    let mut waiting = pending(plan(&["1"]));
    assert!(matches!(waiting.poll(), Step::Wait(_)));
    waiting.machine.cancel();
    let report = destroys_unstarted(&mut waiting);
    assert!(matches!(report.ending, Ending::Cancelled));
    // Also in the middle of a question, whose response is awaited.
    let mut asking = pending(plan(&["1"]));
    asking.waits();
    asking.sends(INFO);
    asking.machine.cancel();
    assert!(matches!(asking.poll(), Step::Idle));
    asking.answers(reply(200, r#"{"status": "PREPARING"}"#));
    destroys_unstarted(&mut asking);
    // One that is kept stays.
    let mut kept = pending(plan(&["1"]).keep_kernel());
    kept.machine.cancel();
    let report = kept.done();
    assert!(matches!(report.cleanup, Cleanup::Kept));
    assert_eq!(report.kernel.unwrap().as_str(), "u1");
}

#[test]
fn a_kernel_that_does_not_start_in_time_is_destroyed() {
    let mut run = pending(plan(&["1"]).with_start_limit(Duration::from_secs(1)));
    run.waits();
    run.sends(INFO);
    run.answers(reply(200, r#"{"status": "PENDING"}"#));
    let report = destroys_unstarted(&mut run);
    assert!(matches!(
        report.ending,
        Ending::Failed(Error::NotRunning(_))
    ));
}

#[test]
fn a_kernel_that_could_not_start_is_not_there() {
    let mut run = run(plan(&["1"]));
    run.sends(CREATE);
    run.answers(problem(404, "object-not-found"));
    let report = run.done();
    assert!(matches!(report.cleanup, Cleanup::NoKernel));
    let Ending::Failed(error) = report.ending else {
        panic!("{:?}", report.ending)
    };
    assert!(error.gateway().unwrap().is_creation_failed());
}

#[test]
fn an_internal_error_does_not_say_that_there_is_no_kernel() {
    let mut found = run(plan(&[]));
    let first = found.sends_body(CREATE);
    found.answers(problem(500, "internal-server-error"));
    assert_eq!(found.sends_body(CREATE), first);
    found.answers(created("RUNNING"));
    assert!(matches!(found.event(), RunEvent::KernelReady(_)));
    destroys(&mut found);

    let mut unknown = run(plan(&["1"]));
    for _ in 0..2 {
        unknown.sends(CREATE);
        unknown.answers(problem(500, "internal-server-error"));
    }
    let report = unknown.done();
    assert!(matches!(report.cleanup, Cleanup::Unknown), "{report:?}");
    // One that is kept is for the caller to look for, who knows its name.
    let mut kept = run(plan(&["1"]).keep_kernel());
    kept.sends(CREATE);
    kept.answers(problem(500, "internal-server-error"));
    let Ending::Failed(error) = kept.done().ending else {
        panic!("it has failed")
    };
    assert!(error.may_have_acted());
    // Other errors say what is wrong.
    let mut conclusive = run(plan(&["1"]));
    conclusive.sends(CREATE);
    conclusive.answers(problem(500, "kernel-creation-failed"));
    assert!(matches!(conclusive.done().cleanup, Cleanup::NoKernel));
}

#[test]
fn a_kernel_that_ended_while_it_started_is_not_looked_for() {
    let mut run = pending(plan(&["1"]));
    run.waits();
    run.sends(INFO);
    run.answers(reply(
        200,
        r#"{"status": "TERMINATING", "statusInfo": "failed-to-start"}"#,
    ));
    let report = run.done();
    assert!(matches!(
        report.ending,
        Ending::Failed(Error::NotRunning(_))
    ));
    assert!(matches!(report.cleanup, Cleanup::NoKernel), "{report:?}");
}

#[test]
fn a_kernel_that_is_being_destroyed_is_not_taken_for_a_new_one() {
    let mut run = run(plan(&[]));
    run.sends(CREATE);
    let dying = r#"{"sessionId": "u0", "status": "TERMINATING", "created": false}"#;
    run.answers(reply(201, dying));
    assert!(matches!(run.event(), RunEvent::SessionPending(_)));
    // Nothing is to be destroyed now.
    run.machine.cancel();
    assert!(matches!(run.done().cleanup, Cleanup::NoKernel));
}

#[test]
fn cancelling_frees_a_kernel_that_is_kept() {
    let mut run = ready(plan(&["1", "2"]).keep_kernel());
    run.event();
    run.sends(EXECUTE);
    run.machine.cancel();
    run.answers(result("continued", "null", ""));
    run.sends(INTERRUPT);
    run.answers(reply(204, ""));
    run.sends(EXECUTE);
    run.answers(result("finished", "1", ""));
    assert!(matches!(run.event(), RunEvent::ExecutionFinished(_)));
    let report = run.done();
    assert!(matches!(report.ending, Ending::Cancelled));
    assert!(matches!(report.cleanup, Cleanup::Kept));
}

#[test]
fn a_kernel_that_is_kept_and_cannot_be_freed_is_an_error() {
    let mut run = ready(plan(&["1"]).keep_kernel());
    run.event();
    run.sends(EXECUTE);
    run.machine.cancel();
    run.answers(result("continued", "null", ""));
    run.sends(INTERRUPT);
    run.answers(reply(204, ""));
    for _ in 0..4 {
        run.sends(EXECUTE);
        run.answers(result("continued", "null", ""));
    }
    let Ending::Failed(Error::Aborted(aborted)) = run.done().ending else {
        panic!("it is busy")
    };
    assert!(!aborted.is_freed);
}

#[test]
fn cancelling_destroys_a_temporary_kernel_without_more_ado() {
    let mut run = ready(plan(&["1"]));
    run.event();
    run.sends(EXECUTE);
    run.machine.cancel();
    run.answers(result("continued", "null", ""));
    let report = destroys(&mut run);
    assert!(matches!(report.ending, Ending::Cancelled));
}

#[test]
fn a_silent_program_is_given_up_at_the_limit() {
    let mut run = ready(plan(&["1"]).with_silence_limit(Duration::from_secs(2)));
    run.event();
    run.sends(EXECUTE);
    run.passes(Duration::from_secs(2));
    run.answers(result("continued", "null", ""));
    let report = destroys(&mut run);
    assert!(matches!(report.ending, Ending::Failed(Error::Aborted(_))));
}

#[test]
fn the_run_id_is_known_before_the_code_is_sent() {
    let mut run = ready(plan(&["1"]).keep_kernel());
    assert!(matches!(run.event(), RunEvent::ExecutionStarted { .. }));
    let run_id = run.machine.run_id().unwrap().to_owned();
    run.passes(Duration::from_secs(1));
    let sent = run.sends_body(EXECUTE);
    assert!(sent.contains(&format!(r#""run_id":"{run_id}""#)), "{sent}");
}
