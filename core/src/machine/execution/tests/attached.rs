//! Executions without a client, and clients that attach.

use super::*;
use crate::error::{BuildError, Busy};
use crate::frame::Frame;
use crate::machine::Negotiated;
use crate::ops::{Batch, Execute, RunMark};
use crate::version::ApiVersion;

const V2: &str = "POST /v2/kernel/k1";
const V9: &str = "POST /session/k1";
const OPEN: &str = "GET /stream/session/k1/execute";
const ID: &str = "5555555555555555";
const VERSIONS: [(ApiVersion, &str); 2] =
    [(ApiVersion::V2_20170315, V2), (ApiVersion::V9_20250722, V9)];

type Tells = fn(&Error) -> bool;

fn streaming() -> Streaming {
    let version = ApiVersion::V9_20250722;
    let info = serde_json::json!({"version": version.as_str(), "manager": "sorna-gateway 0.1.0"});
    let info = Some(serde_json::from_value(info).unwrap());
    Streaming::of(&Negotiated { version, info })
}

fn marked(mode: impl Into<ExecuteMode>, mark: RunMark, version: ApiVersion) -> Execution {
    let start = Execute::start(kernel(), mode.into()).with_mark(Some(mark));
    Execution::of(start, caller_for(version))
}

fn attached(version: ApiVersion) -> Execution {
    Execution::attach(kernel(), caller_for(version))
}

#[test]
fn what_starts_without_a_client_ends_with_the_first_response() {
    let modes: [(ExecuteMode, &str); 3] = [
        ("1".into(), r#""mode":"query","code":"1""#),
        (Batch::new().into(), r#""build":"*""#),
        (
            Batch::new().without_build().with_exec("make").into(),
            r#""exec":"make""#,
        ),
    ];
    for (version, line) in VERSIONS {
        for (mode, sent) in modes.clone() {
            let mark = RunMark::default().with_detached(true);
            // There is nothing to wait for over a WebSocket.
            let run = marked(mode, mark, version).with_streaming(streaming());
            let mut run = Driver::new(run);
            let body = run.sends_body(line);
            let mark = format!(r#""run":{{"id":"{ID}","request":0,"detached":true}}"#);
            assert!(body.contains(sent) && body.contains(&mark), "{body}");
            run.answers(result("continued", ""));
            let end = run.done().unwrap();
            assert_eq!(end.status, ExecutionStatus::Continued);
        }
    }
}

#[test]
fn an_attached_execution_goes_on_as_any() {
    let mark = format!(
        r#"{{"mode":"query","code":"","options":{{"run":{{"id":"{ID}","request":0,"unclaimed":true,"attach":true,"persists":true}}}}}}"#
    );
    for (version, line) in VERSIONS {
        let mut run = Driver::new(attached(version));
        let body = run.sends_body(line);
        if version == ApiVersion::V2_20170315 {
            assert_eq!(body, mark);
        } else {
            assert!(body.contains(r#""attach":true"#), "{body}");
        }
        run.answers(result("continued", r#", "console": [["stdout", "a"]]"#));
        assert_eq!(stdout(&mut run), "a");
        let body = run.sends_body(line);
        let next = format!(r#""run":{{"id":"{ID}","request":1}}"#);
        assert!(body.contains(&next), "{body}");
        run.answers(result("waiting-input", ""));
        assert!(matches!(run.event(), ExecutionEvent::InputRequested { .. }));
        run.machine.answer("x").unwrap();
        run.sends(line);
        run.answers(result(
            "finished",
            r#", "exitCode": 3, "options": {"exitCode": 3}"#,
        ));
        assert_eq!(run.done().unwrap().exit_code(), Some(3));
    }
}

#[test]
fn that_there_is_nothing_to_attach_to_and_that_another_client_attached_is_clear() {
    let kinds: [(&str, &str, Tells); 2] = [
        (
            "nothing-to-attach",
            "there is nothing to attach to: nothing runs, and all output has been received",
            Error::is_nothing_to_attach,
        ),
        (
            "run-taken-over",
            "another client has taken the execution over",
            Error::is_taken_over,
        ),
    ];
    for (name, words, is_it) in kinds {
        let title = format!("{}{}.", words[..1].to_uppercase(), &words[1..]);
        for (version, line) in VERSIONS {
            let mut run = Driver::new(attached(version));
            run.sends(line);
            let body =
                format!(r#"{{"type": "https://api.sorna.io/probs/{name}", "title": "{title}"}}"#);
            run.answers(
                http::Response::builder()
                    .status(409)
                    .body(body.into())
                    .unwrap(),
            );
            let error = run.done().unwrap_err();
            assert!(is_it(&error) && !error.is_busy() && !error.may_have_acted());
            assert_eq!(error.to_string(), words);
        }
        let run = attached(ApiVersion::V9_20250722);
        let mut run = Driver::new(run.with_streaming(streaming()));
        run.opens(OPEN);
        run.is_open();
        assert!(run.sends_text().contains(r#""attach":true"#));
        run.hears(&format!(
            r#"{{"status": "error", "msg": "{name}: {title}", "type": "https://api.backend.ai/probs/{name}", "title": "{title}"}}"#
        ));
        run.closes();
        let error = run.done().unwrap_err();
        assert!(is_it(&error));
        assert_eq!(error.to_string(), words);
    }
}

#[test]
fn a_silent_program_that_persists_is_interrupted_once_it_is_known_to_run() {
    let mark = RunMark::default().with_persistence(true);
    let run = marked("1", mark, ApiVersion::V9_20250722).with_streaming(streaming());
    let mut run = Driver::new(run);
    run.opens(OPEN);
    run.is_open();
    run.sends_text();
    // Another one may run yet.
    run.machine.give_up();
    assert_eq!(run.sends_frame(), Frame::Ping);
    run.waits();
    run.hears(
        r#"{"status": "continued", "exitCode": null, "options": null, "files": [], "console": []}"#,
    );
    run.sends("POST /session/k1/interrupt");
    run.answers(reply(204, ""));
    run.hears(
        r#"{"status": "finished", "exitCode": 1, "options": null, "files": [], "console": []}"#,
    );
    // The gateway has to know that this has arrived.
    assert_eq!(run.waits(), Duration::from_secs(1));
    run.is_closed(Some(1000), "");
    run.closes();
    match run.done() {
        Ok(result) => assert_eq!(result.exit_code(), Some(1)),
        Err(error) => assert!(matches!(error, Error::Aborted(it) if it.is_freed)),
    }
}

#[test]
fn what_the_gateway_does_not_offer_is_refused_before_anything_is_sent() {
    for (version, line) in VERSIONS {
        let detached = RunMark::default().with_detached(true);
        for (refused, what) in [
            (attached(version), "attaching to what runs"),
            (
                marked("1", detached, version),
                "executions without a client",
            ),
        ] {
            let mut run = Driver::new(refused.with_attaching(false));
            let error = run.done().unwrap_err();
            let expected = BuildError::NotOffered { what };
            assert!(matches!(error, Error::Build(error) if error == expected));
        }
        let plain = RunMark::default().with_persistence(true);
        let mut run = Driver::new(marked("1", plain, version).with_attaching(false));
        assert!(!run.sends_body(line).contains("persists"));
        let mut run = Driver::new(attached(version).with_attaching(true));
        assert!(run.sends_body(line).contains("persists"));
    }
}

#[test]
fn a_broken_websocket_is_continued_by_requests_where_the_program_persists() {
    let broken = || TransportError::new(TransportErrorKind::Receive, Sent::Maybe, "it broke");
    let open = |mark: RunMark| {
        let run = marked("1", mark, ApiVersion::V9_20250722);
        let mut run = Driver::new(run.with_streaming(streaming()));
        run.opens(OPEN);
        run.is_open();
        run.sends_text();
        run
    };
    let message = r#"{"status": "continued", "console": [["stdout", "a"]], "exitCode": null, "options": null}"#;
    for heard in 0..3 {
        let mut run = open(RunMark::default().with_persistence(true));
        for _ in 0..heard {
            run.hears(message);
            assert_eq!(stdout(&mut run), "a");
        }
        run.fails(broken());
        run.closes();
        let body = run.sends_body(V9);
        let mark = match heard {
            0 => format!(r#""run":{{"id":"{ID}","request":0,"persists":true,"received":0}}"#),
            heard => format!(r#""run":{{"id":"{ID}","request":1,"received":{heard}}}"#),
        };
        assert!(body.contains(&mark), "{body}");
        // The code is sent again if the gateway may not have it; it knows the mark if it does.
        assert_eq!(body.contains(r#""mode":"query","code":"1""#), heard == 0);
        run.answers(result("continued", r#", "console": [["stdout", "b"]]"#));
        assert_eq!(stdout(&mut run), "b");
        assert!(!run.sends_body(V9).contains("received"));
        run.answers(result("finished", r#", "exitCode": 0"#));
        // It would be kept for others else.
        assert!(run.sends_body(V9).contains(r#""request":"#));
        run.answers(result("finished", ""));
        assert_eq!(run.done().unwrap().exit_code(), Some(0));
    }
    let mut other = open(RunMark::default());
    other.fails(broken());
    other.closes();
    assert!(matches!(other.done(), Err(Error::MayHaveRun(_))));
}

#[test]
fn a_websocket_is_left_open_after_the_end_until_the_gateway_closes_it() {
    let ended = || {
        let mark = RunMark::default().with_persistence(true);
        let run = marked("1", mark, ApiVersion::V9_20250722);
        let mut run = Driver::new(run.with_streaming(streaming()));
        run.opens(OPEN);
        run.is_open();
        run.sends_text();
        run.hears(r#"{"status": "finished", "console": [["stdout", "a"]], "exitCode": 2, "options": null}"#);
        assert_eq!(stdout(&mut run), "a");
        run
    };
    let mut late = ended();
    // The gateway may not know that the end has arrived, so it is told.
    assert_eq!(late.waits(), Duration::from_secs(1));
    late.closes();
    assert!(late.sends_body(V9).contains(r#""received":1"#));
    late.answers(result("finished", ""));
    assert_eq!(late.done().unwrap().exit_code(), Some(2));
    let mut given_up = ended();
    given_up.machine.give_up();
    given_up.waits();
    given_up.closes();
    given_up.sends(V9);
    given_up.answers(result("finished", ""));
    assert_eq!(given_up.done().unwrap().exit_code(), Some(2));
    // If it breaks, the gateway does not know that the end has arrived.
    for answer in [result("finished", ""), problem(409, "run-taken-over")] {
        let mut broken = ended();
        broken.fails(TransportError::new(
            TransportErrorKind::Receive,
            Sent::Maybe,
            "it broke",
        ));
        broken.closes();
        let body = broken.sends_body(V9);
        let mark = format!(r#""run":{{"id":"{ID}","request":1,"received":1}}"#);
        assert!(body.contains(&mark), "{body}");
        broken.answers(answer);
        assert_eq!(broken.done().unwrap().exit_code(), Some(2));
    }
}

#[test]
fn a_kernel_is_busy_with_a_client_that_says_what_it_is() {
    let named = |name: &str| {
        let caller = caller_for(ApiVersion::V2_20170315).with_client_name(name);
        let start = Execute::start(kernel(), "1".into()).with_mark(Some(RunMark::default()));
        let mut run = Driver::new(Execution::of(start, caller));
        let first = run.sends_body(V2);
        run.answers(result("continued", r#", "console": [["stdout", "a"]]"#));
        stdout(&mut run);
        assert!(!run.sends_body(V2).contains("client"));
        first
    };
    let long = "é".repeat(300);
    let cut = format!(r#""client":"{}""#, "é".repeat(128));
    for (name, sent) in [
        ("run on host1", r#""client":"run on host1""#),
        (" a\u{1b}[2J\nb ", r#""client":"a [2J b""#),
        (&long, &cut),
    ] {
        let body = named(name);
        assert!(body.contains(sent), "{body}");
    }
    assert!(!named(" ").contains("client"));

    let busy = |client: Option<&str>, awaits_input| {
        let busy = Busy::new("query", Duration::from_secs(12), awaits_input);
        busy.with_client(client.map(str::to_owned)).to_string()
    };
    let begun = "a snippet has been running for 12 s";
    assert_eq!(busy(None, false), begun);
    assert_eq!(busy(Some("x"), false), format!("{begun}, started by x"));
    assert_eq!(
        busy(Some("x\n\u{1b}y"), true),
        format!("{begun}, started by x  y, and waits for input")
    );
}

/// A program that persists and runs over a WebSocket, which has sent output once.
fn heard() -> Driver<Execution> {
    let mark = RunMark::default().with_persistence(true);
    let run = marked("1", mark, ApiVersion::V9_20250722);
    let mut run = Driver::new(run.with_streaming(streaming()));
    run.opens(OPEN);
    run.is_open();
    run.sends_text();
    run.hears(
        r#"{"status": "continued", "console": [["stdout", "a"]], "exitCode": null, "options": null}"#,
    );
    assert_eq!(stdout(&mut run), "a");
    run
}

#[test]
fn a_dead_websocket_of_a_program_that_is_given_up_is_continued_by_requests() {
    let silent = || TransportError::new(TransportErrorKind::Timeout, Sent::Maybe, "silent");
    // Whether there is a response to the interrupt or not, which has a connection of its own.
    for is_answered in [true, false] {
        let mut run = heard();
        run.machine.give_up();
        assert!(run.sends("POST /session/k1/interrupt").own_connection);
        match is_answered {
            true => run.answers(reply(204, "")),
            false => run.fails(silent()),
        }
        assert_eq!(run.sends_frame(), Frame::Ping);
        assert_eq!(run.waits(), Duration::from_secs(2));
        run.closes();
        let resumed = run.sends(V9);
        let body = resumed.request.body().as_bytes().unwrap();
        let body = std::str::from_utf8(body).unwrap();
        let mark = format!(r#""run":{{"id":"{ID}","request":1,"received":1}}"#);
        assert!(body.contains(&mark), "{body}");
        // This one may be sent again, over another connection.
        run.fails(silent());
        run.waits();
        let again = run.sends(V9);
        assert!(again.own_connection && again.time_limit < Duration::from_secs(11));
        run.answers(result(
            "finished",
            r#", "exitCode": 130, "console": [["stdout", "b"]]"#,
        ));
        assert_eq!(stdout(&mut run), "b");
        assert!(run.sends_body(V9).contains(r#""request":2"#));
        run.answers(result("finished", ""));
        assert_eq!(run.done().unwrap().exit_code(), Some(130));
    }

    // One that answers is used on.
    let mut run = heard();
    run.machine.give_up();
    run.sends("POST /session/k1/interrupt");
    run.answers(reply(204, ""));
    assert_eq!(run.sends_frame(), Frame::Ping);
    run.poll();
    run.hears_frame(Frame::Pong);
    assert_eq!(run.waits(), Duration::from_secs(4));
}

#[test]
fn a_program_that_may_not_have_begun_does_not_begin_when_it_is_given_up() {
    let mark = RunMark::default().with_persistence(true);
    let run = marked("1", mark, ApiVersion::V9_20250722);
    let mut run = Driver::new(run.with_streaming(streaming()));
    run.opens(OPEN);
    run.is_open();
    run.sends_text();
    run.machine.give_up();
    assert_eq!(run.sends_frame(), Frame::Ping);
    run.waits();
    run.closes();
    let body = run.sends_body(V9);
    assert!(body.contains(r#""request":0,"again":true"#), "{body}");
    run.answers(result("continued", r#", "console": [["stdout", "a"]]"#));
    assert_eq!(stdout(&mut run), "a");
    run.sends("POST /session/k1/interrupt");
}

#[test]
fn what_persists_is_left_as_it_is_if_its_gateway_cannot_be_reached() {
    for version in [ApiVersion::V2_20170315, ApiVersion::V9_20250722] {
        let line = match version {
            ApiVersion::V2_20170315 => V2,
            _ => V9,
        };
        let mark = RunMark::default().with_persistence(true);
        let mut run = Driver::new(marked("1", mark, version));
        run.sends(line);
        run.answers(result("continued", r#", "console": [["stdout", "a"]]"#));
        stdout(&mut run);
        let broken = || TransportError::new(TransportErrorKind::Receive, Sent::Maybe, "it broke");
        run.sends(line);
        run.fails(broken());
        for _ in 0..4 {
            run.waits();
            run.sends(line);
            run.fails(broken());
        }
        // Nothing says that the response has arrived, and nothing is interrupted.
        assert!(matches!(run.done(), Err(Error::MayHaveRun(_))));
    }
}
