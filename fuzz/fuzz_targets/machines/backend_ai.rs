//! Executions, creations, removals, uploads and runs in Backend.AI.
//!
//! The second letter of the scene is the machine: `C`reate, `D`estroy, `E`xecute, `R`un, `U`pload; `f` is a file; `k` keeps the session, `b` is a
//! batch, `v` a manager before 25.12, `s` executes over WebSockets. Each event is the response to the request in flight, or time, or a wish of the
//! caller: see [`respond`] and [`play`].

use std::fmt::Debug;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use serde_json::{Value, json};
use sorna_core::machine::{
    Cleanup, Create, Execution, ExecutionEvent, Machine, Negotiated, Removal, Run, RunEvent,
    RunPlan, Step, Streaming, Transmit, Upload, UploadProgress,
};
use sorna_core::{
    ApiVersion, Batch, Boundary, Caller, Console, CreateKernel, Error, ExecuteMode, Frame, Instant,
    KernelId, Moment, Sent, SessionToken, Signer, TransportError, TransportErrorKind, UploadFile,
    UsageError,
};
use sorna_fuzz::{check_error, signer};

/// More steps than any machine needs.
const ENOUGH: usize = 3_000;

/// A machine, and what is checked of it.
trait Subject {
    type Machine: Machine<Event: Debug, Output: Debug>;

    fn machine(&mut self) -> &mut Self::Machine;

    /// Its event, or the output that it reports.
    fn output<'e>(&self, event: &'e <Self::Machine as Machine>::Event) -> Option<&'e Console>;

    fn done(&mut self, output: <Self::Machine as Machine>::Output, wire: &Wire);

    fn stop(&mut self) {}

    fn answer(&mut self) -> Result<(), UsageError> {
        Err(UsageError::InputNotExpected)
    }
}

/// What went over the wire.
#[derive(Default)]
struct Wire {
    /// Whether the code was sent.
    used: bool,
    run_id: Option<Value>,
    is_batch: bool,
    /// Whether the end of the run of a snippet came.
    over: bool,
    destroys: usize,
    sent: String,
    seen: String,
    marks: bool,
    number: usize,
    /// Whether a WebSocket is open.
    open: bool,
    /// How many uploads were accepted, and whether one was rejected.
    uploads: usize,
    is_rejected: bool,
    /// How many lists of files were requested, and whether one lacked some.
    lists: usize,
    lacks_files: bool,
}

pub(crate) fn fuzz(scene: &[u8], events: &[u8]) {
    let has = |letter| scene.contains(&letter);
    let version = if has(b'v') {
        ApiVersion::V7_20230615
    } else {
        ApiVersion::V9_20250722
    };
    let config = signer().config().clone().with_version(version);
    let caller = Caller::new(Signer::new(config));
    let mode = || -> ExecuteMode {
        if has(b'b') {
            Batch::new().with_exec("./main").into()
        } else {
            "code-0".into()
        }
    };
    let session = KernelId::new("u1").expect("a path segment");
    let manager = if has(b'v') { "23.09.10" } else { "26.9.6" };
    let hello = json!({"version": version.as_str(), "manager": manager});
    let mut negotiated = Negotiated::fixed(version);
    negotiated.info = serde_json::from_value(hello).ok();
    let streaming = Streaming::of(&negotiated);
    match scene.get(1) {
        Some(b'C') => {
            let token = SessionToken::new("mine").expect("short");
            let create = Create::new(CreateKernel::new("python", token), caller);
            play(Creating(create), false, events);
        }
        Some(b'D') => {
            let removal = Removal::new(session, caller);
            play(
                Removing(match (has(b'k'), has(b'u')) {
                    (true, _) => removal,
                    (false, true) => removal.until_settled(),
                    (false, false) => removal.until_gone(),
                }),
                false,
                events,
            );
        }
        Some(b'R') => {
            let plan = RunPlan::temporary("python", [mode()]).with_files(files(scene));
            let temporary = !has(b'k');
            let plan = if temporary { plan } else { plan.keep_kernel() };
            let mut run = Run::new(plan, caller, [1; 32]);
            if has(b's') {
                run = run.with_streaming(streaming);
            }
            play(Running { run, temporary }, has(b'b'), events);
        }
        Some(b'U') => {
            let names: Vec<String> = files(scene).iter().map(|f| f.name().to_owned()).collect();
            let boundary = Boundary::from_random([1; 16]);
            let upload = Upload::new(session, files(scene), boundary, caller);
            play(Uploading { upload, names }, false, events);
        }
        _ => {
            let limit = Duration::from_secs(20);
            let mut execution = Execution::new(session, mode(), caller).with_silence_limit(limit);
            if has(b's') {
                execution = execution.with_streaming(streaming);
            }
            play(Executing(execution), has(b'b'), events);
        }
    }
}

/// Every second file is in a directory.
fn files(scene: &[u8]) -> Vec<UploadFile> {
    let count = scene.iter().filter(|letter| **letter == b'f').count();
    let name = |index: usize| match index % 2 {
        0 => format!("f{index}"),
        _ => format!("d{}/f", index % 7),
    };
    let mut names: Vec<String> = (0..count.min(64)).map(name).collect();
    names.sort_unstable();
    names.dedup();
    let file = |name| UploadFile::from_bytes(name, "x").expect("a plain name");
    names.into_iter().map(file).collect()
}

struct Uploading {
    upload: Upload,
    names: Vec<String>,
}

impl Subject for Uploading {
    type Machine = Upload;

    fn machine(&mut self) -> &mut Upload {
        &mut self.upload
    }

    fn output<'e>(&self, _: &'e UploadProgress) -> Option<&'e Console> {
        None
    }

    fn done(&mut self, output: Result<UploadProgress, Error>, wire: &Wire) {
        match output {
            Ok(progress) => {
                assert!(!wire.lacks_files, "a file is not there");
                assert_eq!(progress.files, self.names.len());
                assert!(progress.unchecked <= progress.files);
                assert!(wire.lists > 0 || self.names.is_empty(), "it is not checked");
            }
            Err(Error::FilesRejected(files)) => {
                assert!(wire.is_rejected || wire.lacks_files, "all are there");
                let mut rejected: Vec<&str> = files.iter().map(|f| f.name.as_str()).collect();
                rejected.sort_unstable();
                assert!(rejected.windows(2).all(|two| two[0] != two[1]), "twice");
                for name in rejected {
                    assert!(self.names.iter().any(|known| known == name), "{name}");
                }
                check_error(&Error::FilesRejected(files));
            }
            Err(error) => check_error(&error),
        }
        assert!(
            wire.lists == 0 || wire.uploads > 0,
            "there is nothing to check"
        );
    }
}

struct Creating(Create);

impl Subject for Creating {
    type Machine = Create;

    fn machine(&mut self) -> &mut Create {
        &mut self.0
    }

    fn output<'e>(&self, _: &'e sorna_core::machine::SessionPending) -> Option<&'e Console> {
        None
    }

    fn done(&mut self, output: Result<sorna_core::CreatedKernel, Error>, _: &Wire) {
        match output {
            Ok(created) => assert!(!created.is_pending() && !created.is_dying()),
            Err(error) => check_error(&error),
        }
    }
}

struct Removing(Removal);

impl Subject for Removing {
    type Machine = Removal;

    fn machine(&mut self) -> &mut Removal {
        &mut self.0
    }

    fn output<'e>(&self, event: &'e std::convert::Infallible) -> Option<&'e Console> {
        match *event {}
    }

    fn done(&mut self, output: Result<(), Error>, wire: &Wire) {
        assert!(wire.destroys > 0);
        if let Err(error) = output {
            check_error(&error);
        }
    }
}

fn console(event: &ExecutionEvent) -> Option<&Console> {
    match event {
        ExecutionEvent::Console(console) => {
            assert!(!console.is_empty());
            Some(console)
        }
        _ => None,
    }
}

struct Executing(Execution);

impl Subject for Executing {
    type Machine = Execution;

    fn machine(&mut self) -> &mut Execution {
        &mut self.0
    }

    fn output<'e>(&self, event: &'e ExecutionEvent) -> Option<&'e Console> {
        console(event)
    }

    fn done(&mut self, output: Result<sorna_core::ExecutionResult, Error>, wire: &Wire) {
        match output {
            Ok(result) => {
                assert!(result.status.is_end(), "{:?}", result.status);
                assert!(result.console.is_empty());
            }
            Err(error) => check_error(&error),
        }
        assert!(
            wire.marks || wire.sent.starts_with(&wire.seen),
            "it was not sent so"
        );
    }

    fn stop(&mut self) {
        self.0.give_up();
    }

    fn answer(&mut self) -> Result<(), UsageError> {
        self.0.answer("typed")
    }
}

struct Running {
    run: Run,
    temporary: bool,
}

impl Subject for Running {
    type Machine = Run;

    fn machine(&mut self) -> &mut Run {
        &mut self.run
    }

    fn output<'e>(&self, event: &'e RunEvent) -> Option<&'e Console> {
        match event {
            RunEvent::Execution(event) => console(event),
            _ => None,
        }
    }

    fn done(&mut self, report: sorna_core::machine::RunReport, wire: &Wire) {
        assert!(self.temporary || wire.destroys == 0, "it was to be kept");
        let is_known = report.kernel.is_some();
        match report.cleanup {
            Cleanup::Kept => assert!(!self.temporary && is_known),
            Cleanup::NoKernel | Cleanup::Unknown => assert!(!is_known),
            Cleanup::Destroyed => assert!(is_known && wire.destroys > 0),
            Cleanup::Failed(error) => check_error(&error),
            _ => unreachable!("a cleanup of a new kind"),
        }
    }

    fn stop(&mut self) {
        self.run.cancel();
    }

    fn answer(&mut self) -> Result<(), UsageError> {
        self.run.answer("typed")
    }
}

impl Wire {
    /// Checks a request.
    fn sends(&mut self, transmit: &Transmit) -> String {
        let request = &transmit.request;
        let line = format!("{} {}", request.method(), request.uri().path());
        assert!(
            self.destroys == 0 || !line.starts_with("POST"),
            "{line} at the end"
        );
        match line.as_str() {
            "POST /session"
            | "GET /session/u1"
            | "POST /session/u1/interrupt"
            | "POST /session/u1/upload" => {}
            LIST => self.lists += 1,
            "DELETE /session/u1" => self.destroys += 1,
            "POST /session/u1" => {
                let body: Value = serde_json::from_slice(request.body().as_bytes().expect("bytes"))
                    .expect("it is JSON");
                assert_eq!(body["run_id"], body["runId"]);
                let id = self.run_id.get_or_insert_with(|| body["run_id"].clone());
                assert!(id.is_string() && *id == body["run_id"], "another run ID");
                if body["mode"] == "continue" {
                    assert!(!self.over, "it has ended");
                }
                let code = body["code"].as_str().expect("text");
                if code == "code-0" && transmit.attempt == 1 {
                    assert!(!self.used, "it is sent again");
                    self.used = true;
                }
            }
            OPEN => {}
            line => assert!(line.starts_with("GET /session/"), "unexpected: {line}"),
        }
        line
    }

    /// Checks a frame.
    fn sends_frame(&mut self, frame: &Frame) {
        assert!(self.open, "there is no WebSocket");
        match frame {
            Frame::Text(text) if text.contains("code-0") => {
                assert!(!self.used, "it is sent again");
                self.used = true;
            }
            Frame::Text(_) | Frame::Ping => {}
            frame => panic!("it sends {frame:?}"),
        }
    }
}

const UPLOAD: &str = "POST /session/u1/upload";
const LIST: &str = "GET /session/u1/files";
const OPEN: &str = "GET /stream/session/u1/execute";

/// What a letter means as a message over a WebSocket: that of the response, without what is around it.
fn speak(letter: u8, wire: &mut Wire) -> Option<Frame> {
    if matches!(letter, b'g' | b'E') {
        let text = if letter == b'g' {
            "garbled"
        } else {
            r#"{"status": "error", "msg": "no"}"#
        };
        return Some(Frame::Text(text.to_owned()));
    }
    if !b"oxlcsbBwuMN".contains(&letter) {
        return (letter == b'P').then_some(Frame::Pong);
    }
    let response = respond(letter, "POST /session/u1", wire)?.ok()?;
    let body: Value = serde_json::from_slice(response.body()).expect("it is JSON");
    let text = body["result"].to_string();
    Some(match letter {
        b'u' => Frame::Binary(text.into()),
        _ => Frame::Text(text),
    })
}

/// What a letter means as the end of an exchange.
fn respond(
    letter: u8,
    line: &str,
    wire: &mut Wire,
) -> Option<Result<Response<Bytes>, TransportError>> {
    use TransportErrorKind as Kind;
    let reply = |status: u16, body: Value| {
        let response = Response::builder().status(status);
        Some(Ok(response
            .body(body.to_string().into())
            .expect("a response")))
    };
    let problem = |status: u16, kind: &str| {
        reply(
            status,
            json!({"type": format!("https://api.backend.ai/probs/{kind}")}),
        )
    };
    let failure = |kind, sent| Some(Err(TransportError::new(kind, sent, "it broke")));
    match (letter, line) {
        (b'o' | b'c' | b'p' | b's' | b'd' | b'D', UPLOAD) => {
            wire.uploads += 1;
            return Some(Ok(Response::builder()
                .status(204)
                .body(Bytes::new())
                .expect("a response")));
        }
        (b'x' | b'q', UPLOAD) => {
            wire.is_rejected = true;
            return problem(500, "kernel-execution-failed");
        }
        (b'o', LIST) => {
            let entry =
                |name: String, mode: &str| json!({"filename": name, "mode": mode, "size": 1});
            let files = (0..64).map(|index| entry(format!("f{index}"), "-rw-r--r--"));
            let directories = (0..7).map(|index| entry(format!("d{index}"), "drwxr-xr-x"));
            let all = files
                .chain(directories)
                .chain([entry("f".to_owned(), "-rw-r--r--")]);
            let files = Value::from_iter(all).to_string();
            return reply(200, json!({"files": files, "errors": "", "abspath": ""}));
        }
        (b'x', LIST) => {
            wire.lacks_files = true;
            return reply(200, json!({"files": "[]", "errors": "", "abspath": ""}));
        }
        (b'd', LIST) => return reply(200, json!({"files": "", "errors": "no", "abspath": ""})),
        _ => {}
    }
    let is_execute = line == "POST /session/u1";
    let mut result = |status: &str, code: Value, text: &str| {
        let mut console = Vec::new();
        if !text.is_empty() {
            wire.number += 1;
            let text = format!("{text}{};", wire.number);
            console.push(json!(["stdout", text]));
            wire.sent += &text;
        }
        wire.over = status == "finished" && !wire.is_batch;
        reply(
            200,
            json!({"result": {"status": status, "exitCode": code, "console": console}}),
        )
    };
    let session = |status: &str, is_new: bool| {
        let body = json!({"sessionId": "u1", "status": status, "created": is_new});
        reply(if line == "POST /session" { 201 } else { 200 }, body)
    };
    match (letter, is_execute) {
        (b'o', true) => result("finished", 0.into(), ""),
        (b'x', true) => result("finished", 3.into(), "#"),
        (b'l', true) => result("finished", 93.into(), ""),
        (b'c', true) => result("continued", Value::Null, "#"),
        (b's', true) => result("continued", Value::Null, ""),
        (b'b', true) => result("build-finished", 0.into(), "#"),
        (b'B', true) => result("clean-finished", 4.into(), ""),
        (b'w', true) => result("waiting-input", Value::Null, "#"),
        (b'u', true) => result("pondering", Value::Null, ""),
        (b'M' | b'N', true) => {
            wire.marks = true;
            let id = wire
                .run_id
                .as_ref()
                .and_then(Value::as_str)
                // Over a WebSocket the marks have the random number that is else the run ID.
                .unwrap_or("5555555555555555");
            let what = if letter == b'M' { "built 0" } else { "native" };
            let text = format!("\u{1e}sorna-{id} {what}\n");
            let console = json!([["stdout", text], ["stderr", text]]);
            reply(
                200,
                json!({"result": {"status": "clean-finished", "exitCode": 0, "console": console}}),
            )
        }
        (b'o' | b'x', false) => session("RUNNING", true),
        (b'p' | b's', false) => session("PENDING", true),
        (b'd', false) => session("TERMINATING", false),
        (b'D', false) => session("ERROR", true),
        (b'q', false) => problem(400, "session-already-exists"),
        (b'3', _) => problem(403, "generic-forbidden"),
        (b'4', _) => problem(404, "object-not-found"),
        (b'5', _) => problem(500, "internal-server-error"),
        (b'e', _) => problem(500, "invalid-session-data"),
        (b'g', _) => reply(200, json!("garbled")),
        (b'm', _) => failure(Kind::Receive, Sent::Maybe),
        (b'n', _) => failure(Kind::Connect, Sent::Nothing),
        _ => None,
    }
}

fn play<S: Subject>(mut subject: S, is_batch: bool, events: &[u8]) {
    let mut wire = Wire {
        is_batch,
        ..Wire::default()
    };
    let start = sorna_fuzz::at(1_795_486_930);
    let mut now = Moment::new(start, Instant::default(), u64::MAX / 3);
    let mut in_flight: Option<String> = None;
    let mut wait: Option<Instant> = None;
    let rest = std::iter::repeat_n(&b'o', ENOUGH);
    'events: for letter in events.iter().chain(rest) {
        // Polls until the machine needs an event.
        for round in 0.. {
            assert!(round < ENOUGH, "it never settles");
            wait = None;
            match subject.machine().poll(now) {
                Step::Event(event) => {
                    if let Some(console) = subject.output(&event) {
                        wire.seen += &console.stdout();
                    }
                }
                Step::Send(transmit) => {
                    assert!(in_flight.is_none(), "two requests are in flight");
                    in_flight = Some(wire.sends(&transmit));
                }
                Step::Open(transmit) => {
                    assert!(in_flight.is_none() && !wire.open, "two are in flight");
                    in_flight = Some(wire.sends(&transmit));
                }
                Step::SendFrame(frame) => {
                    assert!(in_flight.is_none());
                    wire.sends_frame(&frame);
                }
                Step::Close => wire.open = false,
                Step::Wait(until) => {
                    assert!(in_flight.is_none() && until > now.instant);
                    wait = Some(until);
                    break;
                }
                Step::Done(output) => {
                    assert!(in_flight.is_none() && !wire.open);
                    subject.done(output, &wire);
                    assert!(matches!(subject.machine().poll(now), Step::Idle));
                    return;
                }
                Step::Idle => break,
                _ => unreachable!("a step of a new kind"),
            }
        }
        match letter {
            b'k' => subject.stop(),
            b'?' => {
                let _ = subject.answer();
            }
            b',' => now = now.after(Duration::from_secs(1)),
            letter => {
                if let (Some(_), true) = (wait, wire.open)
                    && let Some(frame) = speak(*letter, &mut wire)
                {
                    subject.machine().handle_frame(now, frame);
                } else if wire.open && wait.is_some() && matches!(letter, b'z' | b'm') {
                    wire.open = false;
                    match letter {
                        b'z' => subject.machine().handle_close(now, Some(1000), "bye"),
                        _ => {
                            let kind = TransportErrorKind::Receive;
                            let failure = TransportError::new(kind, Sent::Maybe, "it broke");
                            subject.machine().handle_failure(now, failure);
                        }
                    }
                } else if *letter == b'W' && in_flight.as_deref() == Some(OPEN) {
                    in_flight = None;
                    wire.open = true;
                    subject.machine().handle_open(now);
                } else if let Some(until) = wait {
                    now = now.after(until.saturating_duration_since(now.instant));
                } else if let Some(line) = in_flight.take() {
                    let Some(outcome) = respond(*letter, &line, &mut wire) else {
                        in_flight = Some(line);
                        continue 'events;
                    };
                    match outcome {
                        Ok(response) => subject.machine().handle_response(now, response),
                        Err(failure) => subject.machine().handle_failure(now, failure),
                    }
                } else {
                    assert!(subject.answer().is_ok(), "it is stuck");
                }
            }
        }
    }
    panic!("it does not end");
}
