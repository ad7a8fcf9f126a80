//! How execute requests are written and their responses read, in every dialect.

use super::*;
use crate::ops::testing::{kernel, response, sent, signed};

fn body(operation: &Execute) -> String {
    let request = signed(operation);
    assert_eq!(
        (request.method().as_str(), request.uri().path()),
        ("POST", "/v2/kernel/k1")
    );
    String::from_utf8(request.body().as_bytes().unwrap().to_vec()).unwrap()
}

#[test]
fn a_continuation_has_the_mode_of_the_query() {
    let start = Execute::start(kernel(), ExecuteMode::query("print('é')"));
    assert_eq!(body(&start), r#"{"mode":"query","code":"print('é')"}"#);
    let next = start.proceed(Continuation::Continue);
    assert_eq!(body(&next), r#"{"mode":"query","code":""}"#);
    let input = start.proceed(Continuation::Input("lablup".to_owned()));
    assert_eq!(body(&input), r#"{"mode":"query","code":"lablup"}"#);
}

#[test]
fn half_a_surrogate_pair_costs_one_character() {
    let half = r#"{"result": {"status": "finished", "console": [["stdout", "a\ud800b"], ["stderr", "c"]]}}"#;
    let result = read(half).unwrap();
    assert_eq!((&*result.stdout(), &*result.stderr()), ("a\u{fffd}b", "c"));
}

#[test]
fn run_ids_are_carried_and_not_sent_to_sorna_v2() {
    for (body, id) in [
        (
            r#"{"result": {"status": "continued", "runId": "r1"}}"#,
            "r1",
        ),
        (
            r#"{"result": {"status": "continued", "run_id": "r2"}}"#,
            "r2",
        ),
    ] {
        let mut start = Execute::start(kernel(), ExecuteMode::query("1"));
        start.remember(&read(body).unwrap());
        let next = start.proceed(Continuation::Continue);
        assert_eq!(next.run_id.as_deref(), Some(id));
        // A result without one changes nothing.
        let none = r#"{"result": {"status": "continued", "runId": null}}"#;
        start.remember(&read(none).unwrap());
        assert_eq!(start.run_id.as_deref(), Some(id));
        assert_eq!(self::body(&next), r#"{"mode":"query","code":""}"#);
    }
}

#[test]
fn backend_ai_is_sent_the_run_id_under_both_names() {
    let body = |operation: &Execute| {
        let (line, body) = sent(operation, ApiVersion::V7_20230615);
        assert_eq!(line, "POST /session/k1");
        body
    };
    let mut start = Execute::start(kernel(), ExecuteMode::query("1"));
    let null = r#"{"mode":"query","code":"1","runId":null,"run_id":null}"#;
    assert_eq!(body(&start), null);
    start.run_id = Some("r1".to_owned());
    let next = start.proceed(Continuation::Continue);
    let same = r#"{"mode":"continue","code":"","runId":"r1","run_id":"r1"}"#;
    assert_eq!(body(&next), same);
    let input = start.proceed(Continuation::Input("x".to_owned()));
    let given = r#"{"mode":"input","code":"x","runId":"r1","run_id":"r1"}"#;
    assert_eq!(body(&input), given);
    let batch = Batch::new().without_build().with_exec("./main");
    let start = Execute::start(kernel(), ExecuteMode::Batch(batch));
    assert_eq!(
        body(&start),
        r#"{"mode":"batch","code":"","runId":null,"run_id":null,"options":{"clean":"","build":"","buildLog":false,"exec":"./main"}}"#
    );
}

#[test]
fn skipped_steps_are_empty_and_never_null() {
    let batch = Batch::new().without_build().with_exec("./main");
    let start = Execute::start(kernel(), ExecuteMode::Batch(batch));
    let expected =
        r#"{"mode":"batch","code":"","options":{"build":"","buildLog":false,"exec":"./main"}}"#;
    assert_eq!(body(&start), expected);
    assert_eq!(body(&start.proceed(Continuation::Continue)), expected);
}

#[test]
fn code_that_is_too_long_is_not_sent() {
    let envelope = r#"{"mode":"query","code":""}"#.len();
    let fits = ExecuteMode::query("x".repeat(1024 * 1024 - envelope - 1));
    assert!(
        Execute::start(kernel(), fits)
            .prepare(ApiVersion::default())
            .is_ok()
    );
    let long = ExecuteMode::query("x".repeat(1024 * 1024 - envelope));
    let error = Execute::start(kernel(), long)
        .prepare(ApiVersion::default())
        .err()
        .unwrap();
    assert!(error.to_string().contains("upload"), "{error}");
}

fn read(body: &str) -> Result<ExecutionResult, Error> {
    let operation = Execute::start(kernel(), ExecuteMode::query(""));
    Ok(operation
        .read_response(ApiVersion::default(), response(200, body))?
        .value)
}

#[test]
fn console_and_options_may_be_missing_or_null() {
    for body in [
        r#"{"result": {"status": "finished"}}"#,
        r#"{"result": {"status": "finished", "console": null, "options": null}}"#,
    ] {
        let result = read(body).unwrap();
        assert_eq!(result.status, ExecutionStatus::Finished);
        assert!(result.console.is_empty());
        assert_eq!((result.exit_code(), result.step()), (None, None));
    }
}

#[test]
fn invalid_utf_8_matters_only_where_text_is_read() {
    let read = |body: &'static [u8]| {
        let operation = Execute::start(kernel(), ExecuteMode::query(""));
        operation.read_response(ApiVersion::default(), http::Response::new(body.into()))
    };
    let elsewhere = b"{\"x\": \"\xff\", \"result\": {\"status\": \"finished\"}}";
    assert!(read(elsewhere).is_ok());
    let in_text =
        b"{\"result\": {\"status\": \"finished\", \"console\": [[\"stdout\", \"\xff\"]]}}";
    assert!(matches!(read(in_text), Err(Error::Parse(_))));
}

#[test]
fn unknown_statuses_and_fields_survive() {
    let result = read(
        r#"{"x": 0, "result": {"status": "hibernated", "options": [1],
            "files": [{"name": "a"}], "runId": "r"}}"#,
    )
    .unwrap();
    assert_eq!(result.status.as_str(), "hibernated");
    assert!(!result.status.is_end());
    assert_eq!(result.extra["options"][0], 1);
    assert_eq!(result.extra["runId"], "r");
    assert_eq!(result.extra["files"][0]["name"], "a");
}

#[test]
fn unknown_statuses_that_sound_like_an_end_are_one() {
    for name in ["agent-terminated", "oom-killed", "cancelled", "error"] {
        assert!(ExecutionStatus::Other(name.to_owned()).is_end(), "{name}");
    }
    assert!(!ExecutionStatus::BuildFinished.is_end());
}

#[test]
fn exceeded_limits_are_read_where_the_gateway_says_so() {
    let of = |result: &str| {
        read(&format!(r#"{{"result": {result}}}"#))
            .unwrap()
            .exceeded()
    };
    for (name, limit) in [
        ("memory", Limit::Memory),
        ("disk", Limit::Disk),
        ("files", Limit::Files),
        ("processes", Limit::Processes),
        ("open-files", Limit::OpenFiles),
        ("sockets", Limit::Sockets),
        ("time", Limit::Time),
        ("later", Limit::Other("later".to_owned())),
    ] {
        let result = format!(
            r#"{{"status": "finished", "options": {{"exitCode": 137, "limit": "{name}", "limitMax": 7}}}}"#
        );
        let exceeded = of(&result).unwrap();
        assert_eq!((&exceeded.limit, exceeded.max), (&limit, Some(7)));
        assert_eq!(limit.as_str(), name);
    }
    // What a foreign gateway says, and what a program prints, which is nothing.
    let late = of(r#"{"status": "exec-timeout", "options": {}}"#).unwrap();
    assert_eq!((late.limit, late.max), (Limit::Time, None));
    for result in [
        r#"{"status": "finished", "options": {"exitCode": 137}}"#,
        r#"{"status": "finished", "options": {"limit": 3}}"#,
        r#"{"status": "continued", "console": [["stdout", "limit: memory"]], "options": null}"#,
    ] {
        assert_eq!(of(result), None);
    }
}

#[test]
fn exit_codes_are_found_in_both_places() {
    let batch = r#"{"result": {"status": "finished", "options": {"exitCode": 3, "step": "exec"}}}"#;
    let result = read(batch).unwrap();
    assert_eq!((result.exit_code(), result.step()), (Some(3), Some("exec")));
    let later = r#"{"result": {"status": "finished", "exitCode": -9, "options": null}}"#;
    assert_eq!(read(later).unwrap().exit_code(), Some(-9));
}

#[test]
fn responses_of_another_form_are_errors_that_show_them() {
    for body in [
        "",
        "<html>",
        r#"{"result": "#,
        r#"{"result": {}}"#,
        r#"{"result": []}"#,
    ] {
        let error = read(body).unwrap_err();
        assert!(matches!(error, Error::Parse(_)), "{body}");
    }
    assert!(read("<html>").unwrap_err().to_string().contains("<html>"));
}

#[test]
fn bytes_are_asked_for_in_each_request_and_sent_in_base64() {
    let mut start = Execute::start(kernel(), ExecuteMode::query("1")).with_bytes(true);
    assert_eq!(body(&start), r#"{"mode":"query","code":"1","bytes":true}"#);
    let message = stream::first_message(&start).unwrap();
    assert_eq!(message, r#"{"mode":"query","code":"1","bytes":true}"#);
    let next = start.proceed(Continuation::Continue);
    assert_eq!(body(&next), r#"{"mode":"query","code":"","bytes":true}"#);
    let input = start.proceed(Continuation::InputBytes(b"\xffb".to_vec()));
    let expected = r#"{"mode":"query","code":"/2I=","bytes":true,"encoding":"base64"}"#;
    assert_eq!(body(&input), expected);
    start.run_id = Some("r1".to_owned());
    let input = start
        .with_bytes(false)
        .proceed(Continuation::InputBytes(vec![0]));
    let (_, sent) = sent(&input, ApiVersion::V7_20230615);
    assert_eq!(
        sent,
        r#"{"mode":"input","code":"AA==","runId":"r1","run_id":"r1","encoding":"base64"}"#
    );
}

#[test]
fn a_query_asks_for_its_value_once_and_in_every_dialect() {
    let start = Execute::start(kernel(), ExecuteMode::query("1")).with_echo(true);
    let option = r#""options":{"echo":true}}"#;
    assert!(body(&start).ends_with(option), "{}", body(&start));
    let next = start.proceed(Continuation::Continue);
    assert_eq!(body(&next), r#"{"mode":"query","code":""}"#);
    let (_, newer) = sent(&start, ApiVersion::V9_20250722);
    assert!(newer.ends_with(option), "{newer}");
    assert!(stream::first_message(&start).unwrap().ends_with(option));
    let batch = Execute::start(kernel(), Batch::new().into()).with_echo(true);
    assert!(!body(&batch).contains("echo"));
}

#[test]
fn a_final_query_says_so_once_and_in_every_dialect() {
    let start = Execute::start(kernel(), ExecuteMode::query("1")).with_final(true);
    let option = r#""options":{"final":true}}"#;
    assert_eq!(
        body(&start),
        format!(r#"{{"mode":"query","code":"1",{option}"#)
    );
    let next = start.proceed(Continuation::Continue);
    assert_eq!(body(&next), r#"{"mode":"query","code":""}"#);
    let (_, newer) = sent(&start, ApiVersion::V9_20250722);
    assert!(newer.ends_with(option), "{newer}");
    assert!(stream::first_message(&start).unwrap().ends_with(option));
    let batch = Execute::start(kernel(), Batch::new().into()).with_final(true);
    assert!(!body(&batch).contains("final"));
}
