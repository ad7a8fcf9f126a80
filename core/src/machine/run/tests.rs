//! Whole runs, in virtual time.

use std::time::Duration;

use bytes::Bytes;
use http::Response;

use super::*;
use crate::error::{Error, Sent, TransportError, TransportErrorKind};
use crate::ident::SessionToken;
use crate::machine::testing::{Driver, caller, problem, reply};
use crate::machine::{ExecutionEvent, Step};
use crate::ops::{Batch, ExecuteMode, UploadFile};

const CREATE: &str = "POST /v2/kernel/create";
const EXECUTE: &str = "POST /v2/kernel/k1";
const DESTROY: &str = "DELETE /v2/kernel/k1";

fn plan(codes: &[&str]) -> RunPlan {
    let token = SessionToken::new("12345678").unwrap();
    RunPlan::temporary("python3", codes.iter().copied()).with_token(token)
}

fn run(plan: RunPlan) -> Driver<Run> {
    Driver::new(Run::new(plan, caller(), [7; 32]))
}

/// A run whose kernel is ready.
#[track_caller]
fn ready(plan: RunPlan) -> Driver<Run> {
    let mut run = run(plan);
    run.sends(CREATE);
    run.answers(reply(201, r#"{"kernelId": "k1"}"#));
    assert!(matches!(run.event(), RunEvent::KernelReady(_)));
    run
}

fn result(status: &str) -> Response<Bytes> {
    reply(200, &format!(r#"{{"result": {{"status": "{status}"}}}}"#))
}

#[track_caller]
fn destroys(run: &mut Driver<Run>) -> RunReport {
    assert_eq!(run.event(), RunEvent::CleaningUp);
    run.sends(DESTROY);
    run.answers(reply(204, ""));
    let report = run.done();
    assert!(matches!(report.cleanup, Cleanup::Destroyed));
    assert!(matches!(run.poll(), Step::Idle));
    report
}

fn broken() -> TransportError {
    TransportError::new(TransportErrorKind::Receive, Sent::Maybe, "it broke")
}

#[test]
fn files_are_uploaded_before_code_runs() {
    let files = vec![UploadFile::from_bytes("main.c", "int main;").unwrap()];
    let plan = plan(&["1"]).with_files(files);
    let mut run = ready(plan);
    run.sends("POST /v2/kernel/k1/upload");
    run.answers(reply(204, ""));
    assert!(matches!(run.event(), RunEvent::Uploading(_)));
    assert!(matches!(run.event(), RunEvent::Uploaded(progress) if progress.files == 1));
    assert!(matches!(
        run.event(),
        RunEvent::ExecutionStarted { index: 0 }
    ));
    run.sends(EXECUTE);
    run.answers(result("finished"));
    assert!(matches!(run.event(), RunEvent::ExecutionFinished(_)));
    destroys(&mut run);
}

/// A run with files in directories, for a gateway that makes none, up to the script that moves them.
fn flattened() -> Driver<Run> {
    let file = |name: &str| UploadFile::from_bytes(name, "1").unwrap();
    let files = ["main.py", "it's/a.py", "it's/sub/b.py"].map(file).to_vec();
    let mut run = ready(plan(&["1"]).with_files(files));
    let failed = || problem(500, "kernel-execution-failed");
    // All, and the first of those in directories.
    for _ in 0..2 {
        run.sends("POST /v2/kernel/k1/upload");
        run.answers(failed());
    }
    // The one in no directory. The other is not tried.
    run.sends("POST /v2/kernel/k1/upload");
    run.answers(reply(204, ""));
    assert!(matches!(run.event(), RunEvent::Uploading(progress) if progress.files == 1));
    run.sends("POST /v2/kernel/k1/upload");
    run.answers(reply(204, ""));
    run.sends(EXECUTE);
    run
}

#[test]
fn files_in_directories_that_a_gateway_does_not_make_are_moved_there() {
    let mut run = flattened();
    let body = r#"{"result": {"status": "build-finished", "console": [["stdout", "sorna-07070707 moved\n"]]}}"#;
    run.answers(reply(200, body));
    run.sends(EXECUTE);
    run.answers(result("finished"));
    assert!(
        matches!(run.event(), RunEvent::Uploaded(progress) if progress.files == 3 && progress.bytes == 3)
    );
    assert!(matches!(
        run.event(),
        RunEvent::ExecutionStarted { index: 0 }
    ));
    run.sends(EXECUTE);
    run.answers(result("finished"));
    assert!(matches!(run.event(), RunEvent::ExecutionFinished(_)));
    destroys(&mut run);
}

#[test]
fn files_that_cannot_be_moved_are_rejected() {
    let mut run = flattened();
    run.answers(result("finished"));
    let report = destroys(&mut run);
    let Ending::Failed(Error::FilesRejected(files)) = report.ending else {
        panic!("{:?}", report.ending)
    };
    let names: Vec<_> = files.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names, ["it's/a.py", "it's/sub/b.py"]);
}

#[test]
fn a_script_moves_files_to_their_directories() {
    let file = |name: &str| UploadFile::from_bytes(name, name.to_owned()).unwrap();
    let names = ["it's/a b", "it's/$x/-c", "d/é"];
    let boundary = crate::ops::Boundary::from_random([7; 16]);
    let flat = super::flat::Flat::new(names.map(file).to_vec(), &boundary);
    assert!(flat.files.iter().all(|file| !file.name().contains('/')));
    let crate::ops::FileContent::Bytes(script) = flat.files[3].content() else {
        panic!("it is in memory")
    };
    let script = std::str::from_utf8(script).unwrap();
    assert_eq!(
        script,
        "set -e\n\
         mkdir -p './d'\n\
         mkdir -p './it'\\''s'\n\
         mkdir -p './it'\\''s/$x'\n\
         mv -f sorna-07070707-0 './it'\\''s/a b'\n\
         mv -f sorna-07070707-1 './it'\\''s/$x/-c'\n\
         mv -f sorna-07070707-2 './d/é'\n\
         rm -f sorna-07070707.sh\n\
         echo 'sorna-07070707 moved'\n"
    );
    assert_eq!(flat.batch.build(), Some("sh ./sorna-07070707.sh"));
}

#[test]
fn files_that_cannot_be_uploaded_create_no_kernel() {
    let file = UploadFile::from_file("big", "big", 2 * 1024 * 1024).unwrap();
    let mut run = run(plan(&[]).with_files(vec![file]));
    let report = run.done();
    assert!(matches!(report.ending, Ending::Failed(Error::Build(_))));
    assert!(matches!(report.cleanup, Cleanup::NoKernel));
}

#[test]
fn a_kernel_with_a_token_is_kept() {
    let mut run = ready(plan(&[]).keep_kernel());
    let report = run.done();
    assert!(matches!(report.ending, Ending::Finished(None)));
    assert!(matches!(report.cleanup, Cleanup::Kept));
}

#[test]
fn snippets_run_one_after_the_other_until_one_times_out() {
    let mut run = ready(plan(&["1", "2", "3"]));
    run.event();
    run.sends(EXECUTE);
    run.answers(result("finished"));
    run.event();
    assert!(matches!(
        run.event(),
        RunEvent::ExecutionStarted { index: 1 }
    ));
    run.sends(EXECUTE);
    run.answers(result("exec-timeout"));
    run.event();
    let report = destroys(&mut run);
    assert!(matches!(report.ending, Ending::Finished(Some(_))));
}

#[test]
fn snippets_run_one_after_the_other_until_one_fails() {
    let exits = |code: i32| {
        let options = format!(r#"{{"exitCode": {code}}}"#);
        let result = format!(r#"{{"result": {{"status": "finished", "options": {options}}}}}"#);
        reply(200, &result)
    };
    let mut run = ready(plan(&["1", "2", "3"]));
    for code in [0, 3] {
        run.event();
        run.sends(EXECUTE);
        run.answers(exits(code));
        assert!(matches!(run.event(), RunEvent::ExecutionFinished(_)));
    }
    let report = destroys(&mut run);
    let Ending::Finished(Some(result)) = report.ending else {
        panic!("{:?}", report.ending)
    };
    assert_eq!(result.exit_code(), Some(3));
}

#[test]
fn a_failure_during_the_run_destroys_the_kernel() {
    let mut run = ready(plan(&["1"]));
    run.event();
    run.sends(EXECUTE);
    run.fails(broken());
    let report = destroys(&mut run);
    assert!(matches!(
        report.ending,
        Ending::Failed(Error::MayHaveRun(_))
    ));
}

#[test]
fn a_kernel_that_is_gone_needs_no_destroying() {
    let mut run = ready(plan(&[]));
    run.event();
    run.sends(DESTROY);
    run.answers(problem(404, "kernel-not-found"));
    assert!(matches!(run.done().cleanup, Cleanup::Destroyed));
}

#[test]
fn a_kernel_of_which_our_gateway_says_that_it_is_gone_is_not_destroyed() {
    for (extensions, status, kind, is_gone) in [
        (r#"["runs"]"#, 404, "kernel-not-found", true),
        (r#"["runs"]"#, 400, "kernel-execution-failed", false),
        (r#"["runs"]"#, 401, "auth-failed", false),
        ("[]", 404, "kernel-not-found", false),
    ] {
        let mut run = run(plan(&["1"]));
        run.sends(CREATE);
        let created = format!(r#"{{"kernelId": "k1", "extensions": {extensions}}}"#);
        run.answers(reply(201, &created));
        assert!(matches!(run.event(), RunEvent::KernelReady(_)));
        run.event();
        run.sends(EXECUTE);
        run.answers(problem(status, kind));
        let report = match is_gone {
            true => run.done(),
            false => destroys(&mut run),
        };
        assert!(matches!(report.ending, Ending::Failed(_)), "{report:?}");
        assert!(matches!(report.cleanup, Cleanup::Destroyed), "{report:?}");
    }
}

#[test]
fn cancelling_waits_for_the_request_in_flight() {
    let mut run = ready(plan(&["1", "2"]));
    run.event();
    run.sends(EXECUTE);
    run.machine.cancel();
    assert!(matches!(run.poll(), Step::Idle));
    run.answers(result("continued"));
    let report = destroys(&mut run);
    assert!(matches!(report.ending, Ending::Cancelled));
}

#[test]
fn what_the_response_in_flight_says_is_reported_when_cancelling() {
    for (status, plan) in [
        ("continued", plan(&["1", "2"])),
        ("waiting-input", plan(&["1"])),
        ("finished", plan(&["1"])),
        ("continued", plan(&["1"]).keep_kernel()),
    ] {
        let mut run = ready(plan);
        run.event();
        run.sends(EXECUTE);
        run.machine.cancel();
        let text = format!(
            r#"{{"result": {{"status": "{status}", "console": [["stdout", "last"]], "options": {{}}}}}}"#
        );
        run.answers(reply(200, &text));
        match run.event() {
            RunEvent::Execution(ExecutionEvent::Console(console)) => {
                assert_eq!(console.stdout(), "last");
            }
            event => panic!("{event:?}"),
        }
    }
}

#[test]
fn cancelling_at_an_input_request_destroys_at_once() {
    let mut run = ready(plan(&["input()"]));
    run.event();
    run.sends(EXECUTE);
    run.answers(result("waiting-input"));
    run.event();
    assert!(run.machine.awaits_input());
    run.machine.cancel();
    destroys(&mut run);
}

#[test]
fn cancelling_before_anything_was_sent_sends_nothing() {
    let mut run = run(plan(&["1"]));
    run.machine.cancel();
    let report = run.done();
    assert!(matches!(report.cleanup, Cleanup::NoKernel));
}

#[test]
fn a_kernel_that_may_exist_is_looked_for_before_cancelling() {
    let mut run = run(plan(&["1"]));
    run.sends(CREATE);
    run.machine.cancel();
    run.fails(broken());
    run.waits();
    run.sends(CREATE);
    run.answers(reply(201, r#"{"kernelId": "k1"}"#));
    assert!(matches!(run.event(), RunEvent::KernelReady(_)));
    let report = destroys(&mut run);
    assert!(matches!(report.ending, Ending::Cancelled));
}

#[test]
fn a_kernel_whose_response_was_received_is_destroyed_when_cancelling() {
    let mut run = run(plan(&["1"]));
    run.sends(CREATE);
    run.answers(reply(201, r#"{"kernelId": "k1"}"#));
    run.machine.cancel();
    assert!(matches!(run.event(), RunEvent::KernelReady(_)));
    let report = destroys(&mut run);
    assert!(matches!(report.ending, Ending::Cancelled));
}

#[test]
fn a_kernel_that_cannot_be_found_is_reported_as_unknown() {
    let mut run = run(plan(&["1"]));
    for _ in 0..4 {
        run.sends(CREATE);
        run.fails(broken());
        run.waits();
    }
    run.sends(CREATE);
    run.fails(broken());
    let report = run.done();
    assert!(matches!(report.cleanup, Cleanup::Unknown));
    assert!(matches!(report.ending, Ending::Failed(Error::Transport(_))));
}

#[test]
fn an_error_after_a_lost_response_does_not_prove_that_there_is_no_kernel() {
    let mut first = run(plan(&["1"]));
    first.sends(CREATE);
    first.answers(reply(504, ""));
    first.waits();
    first.sends(CREATE);
    first.answers(problem(412, "quota-exceeded"));
    assert!(matches!(first.done().cleanup, Cleanup::Unknown));
    let mut second = run(plan(&["1"]));
    second.sends(CREATE);
    second.answers(reply(201, "garbled"));
    second.sends(CREATE);
    second.answers(reply(201, "garbled"));
    assert!(matches!(second.done().cleanup, Cleanup::Unknown));
    let mut third = run(plan(&["1"]));
    third.sends(CREATE);
    third.answers(problem(412, "quota-exceeded"));
    assert!(matches!(third.done().cleanup, Cleanup::NoKernel));
    // Without a problem document: the gateway may have crashed after the kernel was created.
    let mut fourth = run(plan(&["1"]));
    fourth.sends(CREATE);
    fourth.answers(reply(500, "Internal Server Error"));
    fourth.sends(CREATE);
    fourth.answers(reply(500, "Internal Server Error"));
    assert!(matches!(fourth.done().cleanup, Cleanup::Unknown));
    let mut fifth = run(plan(&["1"]));
    fifth.sends(CREATE);
    fifth.answers(problem(500, "kernel-creation-failed"));
    assert!(matches!(fifth.done().cleanup, Cleanup::NoKernel));
}

#[test]
fn a_creation_with_an_unusable_response_is_repeated() {
    for response in [
        reply(201, "garbled"),
        reply(200, "<html>"),
        reply(500, "oops"),
    ] {
        let mut run = run(plan(&[]));
        let first = run.sends_body(CREATE);
        run.answers(response);
        assert_eq!(run.sends_body(CREATE), first);
        run.answers(reply(201, r#"{"kernelId": "k1"}"#));
        assert!(matches!(run.event(), RunEvent::KernelReady(_)));
        run.event();
        run.sends(DESTROY);
        run.answers(reply(204, ""));
        assert!(matches!(run.done().cleanup, Cleanup::Destroyed));
    }
    // An error for the second creation does not say what the first did, and a cancellation must find out.
    let mut second = run(plan(&[]));
    second.sends(CREATE);
    second.answers(reply(201, "garbled"));
    second.machine.cancel();
    second.sends(CREATE);
    second.answers(problem(412, "quota-exceeded"));
    let report = second.done();
    assert!(matches!(report.ending, Ending::Cancelled));
    assert!(matches!(report.cleanup, Cleanup::Unknown));
    // A kernel to be kept is not searched for: the caller has its token.
    let mut kept = run(plan(&[]).keep_kernel());
    kept.sends(CREATE);
    kept.answers(reply(201, "garbled"));
    assert!(matches!(
        kept.done().ending,
        Ending::Failed(Error::Parse(_))
    ));
}

#[test]
fn a_destroy_that_fails_is_reported_with_the_kernel() {
    let mut run = ready(plan(&[]));
    run.event();
    run.sends(DESTROY);
    run.answers(problem(500, "kernel-destruction-failed"));
    let report = run.done();
    assert!(matches!(report.cleanup, Cleanup::Failed(_)));
    assert_eq!(report.kernel.unwrap().as_str(), "k1");
}

#[test]
fn random_bytes_make_the_token_and_the_boundary() {
    let file = || UploadFile::from_bytes("main.c", "int main;").unwrap();
    let plan = || RunPlan::temporary("c", [""; 0]).with_files(vec![file()]);
    let sent = |random: u8| {
        let mut run = Driver::new(Run::new(plan(), caller(), [random; 32]));
        let token = run.sends_body(CREATE);
        run.answers(reply(201, r#"{"kernelId": "k1"}"#));
        run.event();
        let upload = run.sends("POST /v2/kernel/k1/upload").request;
        let boundary = upload.headers()["content-type"]
            .to_str()
            .unwrap()
            .to_owned();
        (token, boundary)
    };
    let (token, boundary) = sent(0xd3);
    assert!(token.contains(&"d3".repeat(16)), "{token}");
    assert!(boundary.contains(&"d3".repeat(16)), "{boundary}");
    let (other_token, other_boundary) = sent(0xd4);
    assert_ne!((token, boundary), (other_token, other_boundary));
}

/// A run of snippets whose gateway understands final executions.
#[track_caller]
fn ready_with_final(plan: RunPlan) -> Driver<Run> {
    let mut run = run(plan);
    run.sends(CREATE);
    run.answers(reply(201, r#"{"kernelId": "k1", "extensions": ["final"]}"#));
    assert!(matches!(run.event(), RunEvent::KernelReady(_)));
    run
}

#[test]
fn values_are_asked_for_only_where_the_gateway_sends_them() {
    for (extensions, wanted, sent) in [
        (
            r#"["final", "echo"]"#,
            true,
            r#"{"final":true,"echo":true}"#,
        ),
        (r#"["echo"]"#, true, r#"{"echo":true}"#),
        (r#"["echo"]"#, false, ""),
        (r#"["final"]"#, true, r#"{"final":true}"#),
        ("[]", true, ""),
    ] {
        let mut run = run(plan(&["6 * 7"]).with_echo(wanted));
        run.sends(CREATE);
        assert_eq!(run.machine.echoes(), None);
        let body = format!(r#"{{"kernelId": "k1", "extensions": {extensions}}}"#);
        run.answers(reply(201, &body));
        assert!(matches!(run.event(), RunEvent::KernelReady(_)));
        assert_eq!(run.machine.echoes(), Some(extensions.contains("echo")));
        assert!(matches!(run.event(), RunEvent::ExecutionStarted { .. }));
        let body = executed(&mut run);
        let options = body.split_once(r#","options":"#);
        assert_eq!(options.map_or("", |(_, it)| &it[..it.len() - 1]), sent);
    }
}

/// The body of the next request, which is to execute something.
#[track_caller]
fn executed(run: &mut Driver<Run>) -> String {
    let request = run.sends(EXECUTE).request;
    String::from_utf8(request.body().as_bytes().unwrap().to_vec()).unwrap()
}

fn ended_with(code: i32) -> Response<Bytes> {
    let body = format!(
        r#"{{"result": {{"status": "finished", "console": [["stdout", "bye"]], "options": {{"exitCode": {code}}}}}}}"#
    );
    reply(200, &body)
}

#[test]
fn only_the_last_snippet_of_a_temporary_kernel_is_final() {
    let mut run = ready_with_final(plan(&["1", "2"]));
    for (body, index) in [
        (r#"{"mode":"query","code":"1"}"#, 0),
        (r#"{"mode":"query","code":"2","options":{"final":true}}"#, 1),
    ] {
        assert_eq!(run.event(), RunEvent::ExecutionStarted { index });
        assert_eq!(executed(&mut run), body);
        run.answers(result("continued"));
        run.passes(Duration::from_secs(1));
        assert_eq!(executed(&mut run), r#"{"mode":"query","code":""}"#);
        run.answers(result("finished"));
        assert!(matches!(run.event(), RunEvent::ExecutionFinished(_)));
    }
    destroys(&mut run);

    let mut kept = ready_with_final(plan(&["1"]).keep_kernel());
    kept.event();
    assert_eq!(executed(&mut kept), r#"{"mode":"query","code":"1"}"#);
    let mut elsewhere = ready(plan(&["1"]));
    elsewhere.event();
    assert_eq!(executed(&mut elsewhere), r#"{"mode":"query","code":"1"}"#);
}

#[test]
fn bytes_are_asked_for_where_the_gateway_carries_them() {
    for (extensions, asks) in [(r#"["bytes"]"#, true), (r#"["final"]"#, false)] {
        let mut run = run(plan(&["1", "2"]).keep_kernel());
        assert!(!run.machine.carries_bytes());
        run.sends(CREATE);
        let created = format!(r#"{{"kernelId": "k1", "extensions": {extensions}}}"#);
        run.answers(reply(201, &created));
        run.event();
        assert_eq!(run.machine.carries_bytes(), asks);
        run.event();
        for code in ["1", ""] {
            let bytes = if asks { r#","bytes":true"# } else { "" };
            let expected = format!(r#"{{"mode":"query","code":"{code}"{bytes}}}"#);
            assert_eq!(executed(&mut run), expected);
            run.passes(Duration::from_secs(1));
            run.answers(result("continued"));
        }
    }
}

#[test]
fn an_interpreter_is_ended_also_if_the_last_snippet_is_skipped() {
    let nothing = r#"{"mode":"query","code":"","options":{"final":true}}"#;
    let mut run = ready_with_final(plan(&["1", "2"]));
    run.event();
    run.sends(EXECUTE);
    run.answers(ended_with(3));
    run.event();
    assert!(matches!(run.event(), RunEvent::ExecutionFinished(_)));
    assert_eq!(executed(&mut run), nothing);
    run.answers(ended_with(9));
    assert!(matches!(run.event(), RunEvent::Execution(_)));
    let report = destroys(&mut run);
    let Ending::Finished(Some(last)) = report.ending else {
        panic!("{report:?}")
    };
    assert_eq!(last.exit_code(), Some(3));
}

#[test]
fn an_interpreter_is_ended_after_a_last_batch_and_may_fail_then() {
    let executions = [ExecuteMode::query("1"), Batch::new().into()];
    let token = SessionToken::new("12345678").unwrap();
    let plan = RunPlan::temporary("python3", executions).with_token(token);
    let mut run = ready_with_final(plan);
    for _ in 0..2 {
        run.event();
        assert!(!executed(&mut run).contains("final"));
        run.answers(result("finished"));
        run.event();
    }
    assert!(executed(&mut run).contains("final"));
    run.answers(ended_with(9));
    run.event();
    let report = destroys(&mut run);
    let Ending::Finished(Some(last)) = report.ending else {
        panic!("{report:?}")
    };
    assert_eq!(last.exit_code(), Some(9));
}

#[test]
fn an_interpreter_that_others_have_used_is_ended_where_that_is_asked_for() {
    let ends = || plan(&[]).with_interpreter_end(true);
    let mut run = ready_with_final(ends());
    assert_eq!(
        executed(&mut run),
        r#"{"mode":"query","code":"","options":{"final":true}}"#
    );
    run.answers(ended_with(9));
    assert!(matches!(run.event(), RunEvent::Execution(_)));
    let report = destroys(&mut run);
    let Ending::Finished(Some(last)) = report.ending else {
        panic!("{report:?}")
    };
    assert_eq!(last.exit_code(), Some(9));

    // Not where the gateway cannot do that, nor in a kernel that is kept.
    let report = destroys(&mut ready(ends()));
    assert!(matches!(report.ending, Ending::Finished(None)));
    let mut kept = ready_with_final(ends().keep_kernel());
    assert!(matches!(kept.done().cleanup, Cleanup::Kept));
}

#[test]
fn an_interpreter_that_was_killed_is_not_ended_again() {
    let mut run = ready_with_final(plan(&["1", "2"]));
    run.event();
    run.sends(EXECUTE);
    run.answers(result("exec-timeout"));
    run.event();
    destroys(&mut run);
}

#[test]
fn executions_are_marked_where_the_gateway_recognizes_them() {
    let limits = crate::ops::Limits::new().with_exec_timeout(Duration::from_secs(5));
    let spec = crate::ops::KernelSpec::new("python3").with_limits(limits);
    let plan = RunPlan::temporary(spec, ["1"]).keep_kernel();
    let executed_with = |plan: RunPlan, extensions: &str| {
        let mut run = run(plan);
        run.sends(CREATE);
        let created = format!(r#"{{"kernelId": "k1", "extensions": [{extensions}]}}"#);
        run.answers(reply(201, &created));
        run.event();
        run.event();
        executed(&mut run)
    };
    let body = |extensions: &str| executed_with(plan.clone(), extensions);
    // A connection that breaks ends no program, also in a kernel that is not kept.
    let temporary = RunPlan::temporary("python3", ["1"]);
    let persists = executed_with(temporary, r#""runs", "attach""#);
    assert!(persists.contains(r#""persists":true"#), "{persists}");
    assert_eq!(body(r#""final""#), r#"{"mode":"query","code":"1"}"#);
    let marked = body(r#""final", "runs""#);
    assert!(
        marked.contains(r#""request":0,"timeLimit":5000,"unclaimed":true}"#),
        "{marked}"
    );
    let piped = executed_with(plan.clone().with_piped_input(true), r#""final", "runs""#);
    assert!(
        piped.contains(r#""timeLimit":5000,"unclaimed":true,"piped":true}"#),
        "{piped}"
    );
    let unmarked = executed_with(plan.with_piped_input(true), r#""final""#);
    assert_eq!(unmarked, r#"{"mode":"query","code":"1"}"#);
}

#[test]
fn later_executions_say_whose_input_they_go_on_with() {
    let mut run = run(plan(&["1", "2", "3"]));
    run.sends(CREATE);
    let created = r#"{"kernelId": "k1", "extensions": ["runs"]}"#;
    run.answers(reply(201, created));
    run.event();
    let text = |body: &str, name: &str| {
        let (_, rest) = body.split_once(&format!(r#""{name}":""#))?;
        rest.split_once('"').map(|(value, _)| value.to_owned())
    };
    let mut first = None;
    for _ in 0..3 {
        run.event();
        let body = executed(&mut run);
        assert_eq!(text(&body, "inputOf"), first, "{body}");
        first = first.or_else(|| text(&body, "id"));
        assert!(first.is_some());
        run.passes(Duration::from_secs(1));
        run.answers(result("finished"));
        run.event();
    }
}

#[test]
fn a_cancelled_run_interrupts_its_program_where_the_gateway_can_do_that() {
    let cancelled = |extensions: &str, plan: RunPlan| {
        let mut run = run(plan);
        run.sends(CREATE);
        let created = format!(r#"{{"kernelId": "k1", "extensions": [{extensions}]}}"#);
        run.answers(reply(201, &created));
        run.event();
        run.event();
        run.sends(EXECUTE);
        run.machine.cancel();
        run.answers(result("continued"));
        run
    };
    let kept = || plan(&["1", "2"]).keep_kernel();
    let extensions = r#""runs", "interrupt""#;
    let mut run = cancelled(extensions, kept());
    run.sends("POST /v2/kernel/k1/interrupt");
    run.answers(reply(204, ""));
    run.sends(EXECUTE);
    run.answers(result("finished"));
    assert!(matches!(run.event(), RunEvent::ExecutionFinished(_)));
    assert!(matches!(run.done().ending, Ending::Cancelled));

    let left = [
        cancelled(r#""runs""#, kept()),
        cancelled(extensions, kept().with_detach_on_cancel(true)),
    ];
    for mut run in left {
        assert!(matches!(run.done().ending, Ending::Cancelled));
    }
    // A temporary kernel is destroyed with what runs in it.
    destroys(&mut cancelled(extensions, plan(&["1"])));
}

#[test]
fn a_detached_run_starts_its_last_execution_and_leaves_it() {
    let detached = |codes: &[&str], extensions: &str| {
        let mut run = run(plan(codes).with_detach(true));
        run.sends(CREATE);
        let created = format!(r#"{{"kernelId": "k1", "extensions": [{extensions}]}}"#);
        run.answers(reply(201, &created));
        run.event();
        run
    };
    let offered = r#""runs", "attach", "final""#;
    let mut run = detached(&["1", "2"], offered);
    run.event();
    let first = run.sends_body(EXECUTE);
    assert!(first.contains(r#""persists":true"#) && !first.contains("detached"));
    run.answers(result("finished"));
    run.event();
    run.event();
    let last = run.sends_body(EXECUTE);
    assert!(last.contains(r#""detached":true"#) && !last.contains("final"));
    run.answers(result("continued"));
    match run.event() {
        RunEvent::ExecutionFinished(result) => {
            assert_eq!(result.status, crate::ExecutionStatus::Continued);
        }
        event => panic!("{event:?}"),
    }
    let report = run.done();
    assert!(matches!(report.ending, Ending::Finished(Some(_))));
    assert!(matches!(report.cleanup, Cleanup::Kept));

    for extensions in ["", r#""runs", "final""#] {
        let report = detached(&["1"], extensions).done();
        match report.ending {
            Ending::Failed(error) => assert_eq!(
                error.to_string(),
                "the gateway does not offer executions without a client: they are an extension of `sorna-gateway`, and no part of any API"
            ),
            ending => panic!("{ending:?}"),
        }
        assert!(matches!(report.cleanup, Cleanup::Kept));
    }
}

#[test]
fn a_run_that_waits_for_its_turn_is_cancelled_without_a_trace() {
    let waiting = || {
        let plan = plan(&["1"]).keep_kernel().with_busy_wait(Duration::MAX);
        let mut run = run(plan);
        run.sends(CREATE);
        run.answers(reply(201, r#"{"kernelId": "k1", "extensions": ["runs"]}"#));
        run.event();
        run.event();
        run.sends(EXECUTE);
        run.passes(Duration::from_secs(2));
        run.answers(problem(409, "kernel-busy"));
        let busy = run.event();
        let is_busy = matches!(busy, RunEvent::Execution(ExecutionEvent::KernelBusy(_)));
        assert!(is_busy, "{busy:?}");
        run.sends(EXECUTE);
        run.machine.cancel();
        assert!(matches!(run.poll(), Step::Idle), "a request is in flight");
        run
    };
    let mut run = waiting();
    run.answers(problem(409, "kernel-busy"));
    assert!(matches!(run.done().ending, Ending::Cancelled));
    // The run reports that it has begun nevertheless.
    let mut run = waiting();
    run.answers(result("continued"));
    let free = run.event();
    let is_free = matches!(free, RunEvent::Execution(ExecutionEvent::KernelFree));
    assert!(is_free, "{free:?}");
    assert!(matches!(run.done().ending, Ending::Cancelled));
}
