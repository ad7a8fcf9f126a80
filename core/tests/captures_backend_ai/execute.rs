//! Executions by requests, and the other requests to a session whose responses say little.

use serde_json::Value;
use sorna_core::*;

use crate::support::{ApiVersion, V7, V9, message, response};

fn kernel() -> KernelId {
    KernelId::new("cap-55847").expect("a name")
}

/// The recorded request, as ours: what this crate sends has the same method, path, mode, code, run ID and commands.
fn ours(name: &str, version: ApiVersion) -> Execute {
    let recorded = message(&format!("{name}.request"));
    let (_, session) = recorded.line().rsplit_once('/').expect("a session");
    let theirs: Value = serde_json::from_slice(&recorded.body).expect("JSON");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let code = text(&theirs["code"]);
    let mode = match theirs["options"].as_object() {
        None => ExecuteMode::query(code.clone()),
        Some(options) => {
            let step = |name| options.get(name).map(text).unwrap_or_default();
            let batch = Batch::new().with_build(step("build"));
            batch.with_exec(step("exec")).into()
        }
    };
    let kernel = KernelId::new(session).expect("a name");
    let mut execute = Execute::start(kernel, mode);
    execute.continuation = match theirs["mode"].as_str() {
        Some("continue") => Continuation::Continue,
        Some("input") => Continuation::Input(code),
        _ => Continuation::Start,
    };
    let run_id = [&theirs["run_id"], &theirs["runId"]];
    execute.run_id = run_id.iter().find_map(|id| id.as_str()).map(str::to_owned);

    let (line, sent) = sent(&execute, version);
    assert_eq!(line, recorded.line(), "{name}");
    for key in ["mode", "code"] {
        assert_eq!(sent[key], theirs[key], "{name}: {key}");
    }
    // Under both names, whichever was recorded.
    for key in ["runId", "run_id"] {
        let expected = execute.run_id.as_deref().map_or(Value::Null, Value::from);
        assert_eq!(sent[key], expected, "{name}: {key}");
    }
    for key in ["build", "exec"] {
        let theirs = text(&theirs["options"][key]);
        assert_eq!(text(&sent["options"][key]), theirs, "{name}: {key}");
    }
    execute
}

/// The line and the body of what is sent.
fn sent<O: Operation>(operation: &O, version: ApiVersion) -> (String, Value) {
    let signer = crate::support::signer(version, "127.0.0.1:8094");
    let request = operation.request(&signer, std::time::UNIX_EPOCH);
    let request = request.expect("a request");
    let body = request.body().as_bytes().expect("a body in memory");
    let line = format!("{} {}", request.method(), request.uri().path());
    (line, serde_json::from_slice(body).expect("JSON"))
}

fn executed(name: &str) -> Result<ExecutionResult, Error> {
    let version = if name.starts_with("23") { V7 } else { V9 };
    let reply = ours(name, version).read_response(version, response(name))?;
    Ok(reply.value)
}

/// Status, exit code, and output of each stream, which for a traceback is only its end.
type Expected = (&'static str, Option<i64>, &'static str, &'static str);

const NOTHING_NEW: Expected = ("continued", None, "", "");

#[test]
fn results_of_both_releases_are_read() {
    for (name, (status, exit_code, stdout, stderr)) in [
        (
            "23.09.10/07-execute-finished",
            ("finished", Some(0), "hello\n2", ""),
        ),
        (
            "23.09.10/08-execute-continued",
            ("continued", None, "a\n", ""),
        ),
        (
            "23.09.10/09-execute-continue",
            ("finished", Some(0), "b\n", ""),
        ),
        (
            "23.09.10/10-execute-waiting-input",
            ("waiting-input", None, "name? ", ""),
        ),
        (
            "23.09.10/11-execute-input",
            ("finished", Some(0), "hi Ada\n", ""),
        ),
        // An exception is no failure there.
        (
            "23.09.10/12-execute-exception",
            (
                "finished",
                Some(0),
                "",
                "ZeroDivisionError: division by zero",
            ),
        ),
        (
            "23.09.10/13-execute-media",
            ("finished", Some(0), "before\nafter\n", ""),
        ),
        (
            "23.09.10/18-execute-batch",
            ("clean-finished", Some(0), "", ""),
        ),
        (
            "23.09.10/19-execute-batch-continue",
            ("build-finished", Some(0), "", ""),
        ),
        (
            "23.09.10/20-execute-batch-continue",
            ("finished", Some(0), "from batch\n", ""),
        ),
        (
            "26.9.6/100-execute-run_id-only",
            ("finished", Some(0), "1", ""),
        ),
        (
            "26.9.6/102-execute-both-null",
            ("finished", Some(0), "1", ""),
        ),
        ("26.9.6/103-execute-neither", ("finished", Some(0), "1", "")),
        (
            "26.9.6/104-execute-neither-v7",
            ("finished", Some(0), "1", ""),
        ),
        (
            "26.9.6/106-execute-continued",
            ("continued", None, "a\n", ""),
        ),
        (
            "26.9.6/107-execute-continue-both",
            ("finished", Some(0), "b\n", ""),
        ),
        (
            "26.9.6/110-execute-waiting-input",
            ("waiting-input", None, "name? ", ""),
        ),
        (
            "26.9.6/111-execute-input",
            ("finished", Some(0), "hi Ada\n", ""),
        ),
        (
            "26.9.6/112-execute-getpass",
            ("waiting-input", None, "", ""),
        ),
        (
            "26.9.6/113-execute-getpass-input",
            ("finished", Some(0), "3\n", ""),
        ),
        (
            "26.9.6/114-execute-exception",
            (
                "finished",
                Some(1),
                "",
                "ZeroDivisionError: division by zero",
            ),
        ),
        (
            "26.9.6/115-execute-stderr",
            ("finished", Some(0), "o\n", "e"),
        ),
        (
            "26.9.6/116-execute-unicode",
            ("finished", Some(0), "한글 😀\n", ""),
        ),
        (
            "26.9.6/117-execute-svg",
            ("finished", Some(0), "before\nafter\n", ""),
        ),
        ("26.9.6/118-execute-png", ("finished", Some(0), "", "")),
        ("26.9.6/177-interrupt-run", NOTHING_NEW),
        (
            "26.9.6/179-interrupt-run-continue",
            ("finished", Some(1), "", "KeyboardInterrupt:"),
        ),
        ("26.9.6/196-execute-continue-finished-run", NOTHING_NEW),
        ("26.9.6/197-execute-continue-finished-run-2", NOTHING_NEW),
        (
            "26.9.6/199-execute-ghost-same-id",
            ("finished", Some(0), "3", ""),
        ),
        (
            "26.9.6/204-batch-slow",
            ("clean-finished", Some(0), "c\n", ""),
        ),
        ("26.9.6/205-batch-slow-0", NOTHING_NEW),
        (
            "26.9.6/206-batch-slow-1",
            ("build-finished", Some(0), "b\n", ""),
        ),
        ("26.9.6/207-batch-slow-2", NOTHING_NEW),
        ("26.9.6/208-batch-slow-3", ("finished", Some(3), "x\n", "")),
        // The end of this batch is lost.
        (
            "26.9.6/218-batch-exec-fast",
            ("clean-finished", Some(0), "", ""),
        ),
        ("26.9.6/219-batch-exec-fast-0", NOTHING_NEW),
        ("26.9.6/220-batch-exec-fast-1", NOTHING_NEW),
        ("26.9.6/221-batch-exec-fast-2", NOTHING_NEW),
        ("26.9.6/243-execute-html-continue", NOTHING_NEW),
        (
            "26.9.6/245-execute-html-same-id",
            ("finished", Some(0), "3", ""),
        ),
        (
            "26.9.6/246-execute-html-after-same-id",
            ("finished", Some(0), "4", ""),
        ),
    ] {
        let result = executed(name).expect(name);
        assert_eq!(result.status.as_str(), status, "{name}");
        assert_eq!(result.exit_code(), exit_code, "{name}");
        assert_eq!(result.stdout(), stdout, "{name}");
        assert_eq!(
            result.is_password(),
            name.contains("getpass") && exit_code.is_none()
        );
        let err = plain(&result.stderr());
        let err = err.trim_end();
        assert!(
            err.ends_with(stderr) && err.is_empty() == stderr.is_empty(),
            "{name}: {err}"
        );
        // The run ID of the next request is that of the request, or the manager's.
        let mut execute = ours(name, V9);
        let given = execute.run_id.clone();
        execute.remember(&result);
        let id = execute.run_id.expect("a run ID");
        assert!(given.is_none_or(|given| given == id), "{name}");
    }
}

/// A text without its colors.
fn plain(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let first = parts.next().unwrap_or_default();
    let colored = parts.map(|part| part.split_once('m').map_or(part, |(_, rest)| rest));
    std::iter::once(first).chain(colored).collect()
}

#[test]
fn media_is_read_in_its_place() {
    let svg = Media::new(
        "image/svg+xml",
        r#"<svg xmlns="http://www.w3.org/2000/svg"/>"#,
    );
    for name in ["23.09.10/13-execute-media", "26.9.6/117-execute-svg"] {
        let console = executed(name).expect(name).console;
        let records: Vec<_> = console.iter().collect();
        assert_eq!(
            records,
            [
                Record::Stdout("before\n".into()),
                Record::Media(svg.clone()),
                Record::Stdout("after\n".into()),
            ]
        );
    }
    let console = executed("26.9.6/118-execute-png")
        .expect("an image")
        .console;
    let records: Vec<_> = console.iter().collect();
    let [Record::Media(png)] = &records[..] else {
        panic!("{records:?}")
    };
    assert_eq!(png.media_type(), "image/png");
    assert!(png.bytes().expect("a picture").starts_with(b"\x89PNG"));
}

/// `run_id` wins where both are sent, so that ours, which are the same, are right for both releases.
#[test]
fn the_run_id_that_a_manager_takes_is_the_new_one() {
    let name = "26.9.6/101-execute-both";
    let reply = Execute::start(kernel(), "1".into()).read_response(V9, response(name));
    assert_eq!(reply.expect("a result").value.run_id(), Some("mine"));
}

#[test]
fn executions_that_are_rejected_say_why() {
    for (name, status, kind, message) in [
        (
            "23.09.10/30-execute-without-runid",
            400,
            ProblemKind::InvalidApiParams,
            Some("runId is missing!"),
        ),
        (
            "26.9.6/108-execute-continue-null",
            500,
            ProblemKind::InvalidSessionData,
            Some("continuation requires explicit run ID"),
        ),
        (
            "26.9.6/109-execute-continue-runId-only",
            500,
            ProblemKind::InvalidSessionData,
            Some("continuation requires explicit run ID"),
        ),
        (
            "26.9.6/119-execute-no-mode",
            500,
            ProblemKind::InvalidSessionData,
            Some("runId or mode is missing"),
        ),
        (
            "26.9.6/120-execute-bad-mode",
            500,
            ProblemKind::InvalidSessionData,
            Some("mode has an invalid value: nope"),
        ),
        // Output of HTML.
        (
            "26.9.6/242-execute-html",
            500,
            ProblemKind::InternalServerError,
            None,
        ),
    ] {
        let reply = Execute::start(kernel(), "1".into()).read_response(V9, response(name));
        let error = reply.expect_err(name);
        let error = error.gateway().expect(name);
        assert_eq!(
            (error.status().as_u16(), error.kind()),
            (status, Some(kind)),
            "{name}"
        );
        let said = error.problem().and_then(|problem| problem.extra.get("msg"));
        assert_eq!(said.and_then(Value::as_str), message, "{name}");
    }
}

#[test]
fn keys_are_checked() {
    for (name, version) in [
        ("23.09.10/03-auth", V7),
        ("26.9.6/10-auth-version-v90722", V9),
    ] {
        let authorize = Authorize::new("hi");
        let recorded = message(&format!("{name}.request"));
        let theirs: Value = serde_json::from_slice(&recorded.body).expect("JSON");
        assert_eq!(
            sent(&authorize, version),
            (recorded.line().to_owned(), theirs),
            "{name}"
        );
        let reply = authorize
            .read_response(version, response(name))
            .expect(name);
        assert_eq!(reply.value.echo.as_deref(), Some("hi"), "{name}");
        assert!(reply.rate_limit.is_some(), "{name}");
    }
    for name in [
        "23.09.10/02-auth-wrong-secret",
        "26.9.6/15-auth-wrong-secret",
    ] {
        let error = Authorize::new("hi").read_response(V9, response(name));
        assert!(error.expect_err(name).is_auth(), "{name}");
    }
    let error = Authorize::new("hi").read_response(V9, response("26.9.6/267-limit-6"));
    let error = error.expect_err("too many requests");
    assert!(error.gateway().expect("a response").is_rate_limited());
}

#[test]
fn uploads_are_stored_or_rejected() {
    let upload = || {
        let file = UploadFile::from_bytes("a", "x").expect("a file");
        UploadFiles::new(kernel(), vec![file], Boundary::from_random([7; 16]))
    };
    for name in [
        "23.09.10/14-upload",
        "26.9.6/131-upload-plain",
        "26.9.6/133-upload-star",
    ] {
        assert!(upload().read_response(V9, response(name)).is_ok(), "{name}");
    }
    for (name, why) in [
        ("26.9.6/136-upload-1MiB", "Too large file"),
        ("26.9.6/138-upload-21", "Too many files"),
    ] {
        let error = upload().read_response(V9, response(name)).expect_err(name);
        let error = error.gateway().expect(name);
        assert_eq!(
            (error.status().as_u16(), error.message()),
            (400, Some(why)),
            "{name}"
        );
    }
}

#[test]
fn sessions_end_and_restart() {
    for (name, version) in [
        ("23.09.10/33-destroy", V7),
        ("26.9.6/247-client-destroy", V9),
    ] {
        let line = message(&format!("{name}.request")).line().to_owned();
        let (_, session) = line.rsplit_once('/').expect("a session");
        let destroy = Destroy::new(KernelId::new(session).expect("an ID"));
        let request = destroy.prepare(version).expect("a request");
        assert_eq!(format!("{} {}", request.method(), request.path()), line);
        assert!(
            destroy.read_response(version, response(name)).is_ok(),
            "{name}"
        );
    }
    let name = "23.09.10/27-restart";
    let restart = Restart::new(KernelId::new("cap-86981").expect("a name"));
    let request = restart.prepare(V7).expect("a request");
    let line = message(&format!("{name}.request")).line().to_owned();
    assert_eq!(format!("{} {}", request.method(), request.path()), line);
    assert!(restart.read_response(V7, response(name)).is_ok());
}

#[test]
fn a_completion_may_suggest_nothing() {
    let name = "26.9.6/123-complete";
    let mut complete = Complete::at_end(kernel(), "pri");
    let recorded = message(&format!("{name}.request"));
    let theirs: Value = serde_json::from_slice(&recorded.body).expect("JSON");
    complete.col = 3;
    assert_eq!(sent(&complete, V9), (recorded.line().to_owned(), theirs));
    let reply = complete.read_response(V9, response(name));
    assert!(reply.expect("a list").value.is_empty());
}
