//! Executions against a model of managers of both releases, in virtual time: whatever takes how long, output and exit
//! codes arrive, and the kernel can be used afterwards.

mod manager;

use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use http::Response;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};
use sorna_core::machine::{Execution, ExecutionEvent, Machine, Negotiated, Step, Streaming};
use sorna_core::{
    AbortReason, AccessKey, ApiVersion, Batch, Caller, Config, Credentials, Error, ExecuteMode,
    ExecutionResult, ExecutionStatus, Frame, Instant, KernelId, Moment, SecretKey, Signer,
};

use manager::{Act, Answer, Manager, Program, Release, Stream};

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 64,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// Times around those that matter.
fn time() -> impl Strategy<Value = Duration> {
    let milliseconds = prop_oneof![
        Just(0),
        0..60_u64,
        0..700_u64,
        1_900..2_100_u64,
        0..6_000_u64
    ];
    milliseconds.prop_map(Duration::from_millis)
}

fn act() -> impl Strategy<Value = Act> {
    let text = prop_oneof![
        "[a-z\n]{0,6}",
        Just("\u{1e}sorna-".to_owned()),
        "\u{1e}?[é\u{1e}]{0,3}"
    ];
    prop_oneof![
        4 => (select(vec!["stdout", "stderr"]), text).prop_map(|(s, t)| Act::Print(s, t)),
        2 => time().prop_map(Act::Sleep),
        1 => Just(Act::Ask),
    ]
}

fn program() -> impl Strategy<Value = Program> {
    let code = prop_oneof![Just(0), select(vec![1, 3, 93, 127, -9])];
    (vec(act(), 0..6), code).prop_map(|(acts, code)| Program { acts, code })
}

/// A program that a shell waits for.
fn build() -> impl Strategy<Value = Program> {
    program().prop_map(|program| Program {
        code: if program.code < 0 { 137 } else { program.code },
        ..program
    })
}

fn output(program: &Program, stream: &str) -> String {
    let texts = program.acts.iter().filter_map(|act| match act {
        Act::Print(to, text) if *to == stream => Some(text.as_str()),
        _ => None,
    });
    texts.collect()
}

fn questions(program: &Program) -> usize {
    program
        .acts
        .iter()
        .filter(|act| matches!(act, Act::Ask))
        .count()
}

/// What an execution reported.
#[derive(Default)]
struct Seen {
    build: (String, String),
    program: (String, String),
    built: Option<Option<i64>>,
    inputs: usize,
    end: Option<Result<ExecutionResult, Error>>,
    requests: usize,
    /// Messages of a WebSocket.
    messages: usize,
}

/// Plays an execution to its end. Each request and each response takes one of the delays.
struct Play {
    manager: Manager,
    delays: Vec<Duration>,
    random: u64,
    requests: usize,
    /// Gives up after this many requests, or messages of a WebSocket.
    patience: Option<usize>,
}

impl Play {
    fn new(manager: Manager, delays: Vec<Duration>) -> Self {
        Self {
            manager,
            delays,
            random: 5,
            requests: 0,
            patience: None,
        }
    }

    fn moment(&mut self) -> Moment {
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let start = UNIX_EPOCH + Duration::from_secs(1_795_486_930);
        Moment::new(
            start + self.manager.now,
            Instant::from_origin(self.manager.now),
            self.random,
        )
    }

    fn delay(&mut self) {
        let delay = self.delays[self.requests % self.delays.len()];
        self.manager.pass(delay);
    }

    fn run(&mut self, mut execution: Execution) -> Result<Seen, TestCaseError> {
        let mut seen = Seen::default();
        let mut run_id = None;
        let mut stream: Option<Stream> = None;
        for _ in 0..2_000 {
            let now = self.moment();
            match execution.poll(now) {
                Step::Send(transmit) => {
                    seen.requests += 1;
                    if self.patience == Some(seen.requests) {
                        execution.give_up();
                    }
                    let path = transmit.request.uri().path().to_owned();
                    let body = transmit
                        .request
                        .body()
                        .as_bytes()
                        .unwrap_or_default()
                        .to_vec();
                    self.requests += 1;
                    self.delay();
                    let response = if path == "/session/k1/interrupt" {
                        self.manager.interrupt();
                        Response::builder().status(204).body(Bytes::new())
                    } else {
                        let body: Value = serde_json::from_slice(&body).expect("JSON");
                        println!("{:?} {path} {}", self.manager.now, body["mode"]);
                        let run = run_id.get_or_insert_with(|| body["run_id"].clone());
                        prop_assert_eq!(&*run, &body["run_id"], "another run ID");
                        match self.manager.execute(&body) {
                            Answer::Result(result) => {
                                Response::builder().body(result.to_string().into())
                            }
                            Answer::Broken => Response::builder().status(500).body(
                                r#"{"type":"https://api.backend.ai/probs/internal-server-error"}"#
                                    .into(),
                            ),
                            Answer::Blocked => return Err(TestCaseError::fail("it is blocked")),
                        }
                    };
                    self.delay();
                    let now = self.moment();
                    execution.handle_response(now, response.expect("a response"));
                }
                Step::Open(_) => {
                    self.requests += 1;
                    self.delay();
                    stream = Some(Stream::default());
                    let now = self.moment();
                    execution.handle_open(now);
                }
                Step::SendFrame(Frame::Text(text)) => {
                    self.delay();
                    stream.as_mut().expect("it is open").hears(&text);
                }
                Step::SendFrame(_) => {}
                Step::Close => stream = None,
                Step::Wait(until) => {
                    let said = stream
                        .as_mut()
                        .and_then(|stream| stream.says(&mut self.manager));
                    if let Some((message, closes)) = said {
                        seen.messages += 1;
                        self.delay();
                        let now = self.moment();
                        execution.handle_frame(now, Frame::Text(message.to_string()));
                        if closes {
                            execution.handle_close(now, Some(1000), "");
                            stream = None;
                        }
                        if self.patience == Some(seen.messages) {
                            execution.give_up();
                        }
                        continue;
                    }
                    let time = until.saturating_duration_since(now.instant);
                    prop_assert!(!time.is_zero());
                    self.manager.pass(time);
                }
                Step::Event(ExecutionEvent::Console(console)) => {
                    let to = if seen.built.is_none() {
                        &mut seen.build
                    } else {
                        &mut seen.program
                    };
                    to.0 += &console.stdout();
                    to.1 += &console.stderr();
                }
                Step::Event(ExecutionEvent::StepFinished {
                    status, exit_code, ..
                }) => {
                    if status == ExecutionStatus::BuildFinished {
                        prop_assert!(seen.built.is_none(), "it was built twice");
                        seen.built = Some(exit_code);
                    }
                }
                Step::Event(ExecutionEvent::InputRequested { .. }) => seen.inputs += 1,
                Step::Event(event) => return Err(TestCaseError::fail(format!("{event:?}"))),
                Step::Idle => {
                    prop_assert!(execution.awaits_input());
                    execution
                        .answer(format!("input {}", seen.inputs))
                        .expect("it is awaited");
                }
                Step::Done(end) => {
                    seen.end = Some(end);
                    return Ok(seen);
                }
                _ => unreachable!("a step of a new kind"),
            }
        }
        Err(TestCaseError::fail("it does not end"))
    }

    /// The kernel runs something else, at once, and reports that and nothing else.
    fn is_usable(&mut self) -> Result<(), TestCaseError> {
        self.manager.query = Program {
            acts: vec![
                Act::Sleep(Duration::from_millis(50)),
                Act::Print("stdout", "next".into()),
            ],
            code: 77,
        };
        let body = json!({"mode": "query", "code": "next", "run_id": "next", "runId": "next"});
        match self.manager.execute(&body) {
            Answer::Result(answer) => {
                let result = &answer["result"];
                prop_assert_eq!(&result["console"], &json!([["stdout", "next"]]));
                prop_assert_eq!(&result["exitCode"], 77);
                Ok(())
            }
            _ => Err(TestCaseError::fail("the kernel is blocked")),
        }
    }
}

fn caller(version: ApiVersion) -> Caller {
    let keys = Credentials::new(
        AccessKey::new("AK").expect("printable"),
        SecretKey::new("SK").expect("it is not empty"),
    );
    let config = Config::new("http://127.0.0.1:8081".parse().expect("a URL"), keys);
    Caller::new(Signer::new(config.with_version(version)))
}

fn execution(mode: impl Into<ExecuteMode>, version: ApiVersion) -> Execution {
    let kernel = KernelId::new("k1").expect("a path segment");
    Execution::new(kernel, mode.into(), caller(version))
}

/// An execution that may go over a WebSocket of this manager.
fn streamed(mode: impl Into<ExecuteMode>, version: ApiVersion, release: Release) -> Execution {
    let manager = match release {
        Release::Old => "23.09.10",
        Release::New => "26.9.6",
    };
    let info = format!(r#"{{"version": "{version}", "manager": "{manager}"}}"#);
    let mut negotiated = Negotiated::fixed(version);
    negotiated.info = Some(serde_json::from_str(&info).expect("a hello"));
    execution(mode, version).with_streaming(Streaming::of(&negotiated))
}

fn release() -> impl Strategy<Value = (Release, ApiVersion)> {
    select(vec![
        (Release::Old, ApiVersion::V7_20230615),
        (Release::New, ApiVersion::V7_20230615),
        (Release::New, ApiVersion::V9_20250722),
        // A manager that is no longer broken.
        (Release::Old, ApiVersion::V9_20250722),
    ])
}

fn delays() -> impl Strategy<Value = Vec<Duration>> {
    vec((0..400_u64).prop_map(Duration::from_millis), 1..6)
}

fn nothing() -> Program {
    Program {
        acts: vec![],
        code: 0,
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_batch_reports_its_output_and_exit_codes(
        (release, version) in release(),
        build in build(),
        exec in program(),
        delays in delays(),
    ) {
        let manager = Manager::new(release, build.clone(), exec.clone(), nothing());
        let mut play = Play::new(manager, delays);
        let batch = Batch::new().with_build("make").with_exec("./main");
        let seen = play.run(execution(batch, version))?;
        prop_assert_eq!(seen.build, (output(&build, "stdout"), output(&build, "stderr")));
        prop_assert_eq!(seen.built, Some(Some(build.code)));
        let result = seen.end.expect("an end").map_err(|e| TestCaseError::fail(e.to_string()))?;
        prop_assert_eq!(&result.status, &ExecutionStatus::Finished);
        let mut inputs = questions(&build);
        if build.code == 0 {
            prop_assert_eq!(seen.program, (output(&exec, "stdout"), output(&exec, "stderr")));
            prop_assert_eq!(result.exit_code(), Some(exec.code));
            inputs += questions(&exec);
        } else {
            prop_assert_eq!(seen.program, (String::new(), String::new()));
            prop_assert_eq!(result.exit_code(), Some(127));
        }
        prop_assert_eq!(seen.inputs, inputs);
        let expected: Vec<_> = (1..=inputs).map(|i| format!("input {i}")).collect();
        prop_assert_eq!(&play.manager.answered, &expected);
        play.is_usable()?;
    }

    #[test]
    fn a_batch_over_a_websocket_reports_the_same(
        (release, version) in release(),
        build in build(),
        exec in program(),
        delays in delays(),
    ) {
        let manager = Manager::new(release, build.clone(), exec.clone(), nothing());
        let mut play = Play::new(manager, delays);
        let batch = Batch::new().with_build("make").with_exec("./main");
        let seen = play.run(streamed(batch, version, release))?;
        // Where ends are dropped, it must be asked for.
        prop_assert_eq!(seen.messages == 0, release == Release::New);
        prop_assert_eq!(seen.requests == 0, release == Release::Old);
        prop_assert_eq!(seen.build, (output(&build, "stdout"), output(&build, "stderr")));
        prop_assert_eq!(seen.built, Some(Some(build.code)));
        let result = seen.end.expect("an end").map_err(|e| TestCaseError::fail(e.to_string()))?;
        let (code, stdout) = match build.code {
            0 => (exec.code, output(&exec, "stdout")),
            _ => (127, String::new()),
        };
        prop_assert_eq!((result.exit_code(), seen.program.0), (Some(code), stdout));
        play.is_usable()?;
    }

    #[test]
    fn a_snippet_over_a_websocket_reports_the_same(
        (release, version) in release(),
        query in program(),
        delays in delays(),
    ) {
        let mut play = Play::new(Manager::new(release, nothing(), nothing(), query.clone()), delays);
        let seen = play.run(streamed("code", version, release))?;
        prop_assert_eq!(seen.requests, 0);
        prop_assert_eq!(seen.build, (output(&query, "stdout"), output(&query, "stderr")));
        let result = seen.end.expect("an end").map_err(|e| TestCaseError::fail(e.to_string()))?;
        prop_assert_eq!(result.exit_code(), Some(query.code));
        prop_assert_eq!(seen.inputs, questions(&query));
        play.is_usable()?;
    }

    #[test]
    fn what_is_given_up_over_a_websocket_leaves_the_kernel_usable(
        (release, version) in release(),
        program in program(),
        is_batch in any::<bool>(),
        patience in 1..4_usize,
        delays in delays(),
    ) {
        let manager = Manager::new(release, nothing(), program.clone(), program);
        let mut play = Play::new(manager, delays);
        play.patience = Some(patience);
        let batch = Batch::new().with_build("make").with_exec("./main");
        let mode = if is_batch { batch.into() } else { ExecuteMode::query("code") };
        let seen = play.run(streamed(mode, version, release))?;
        match seen.end.expect("an end") {
            Ok(result) => prop_assert_eq!(result.status, ExecutionStatus::Finished),
            Err(Error::Aborted(aborted)) => prop_assert!(aborted.is_freed),
            Err(error) => return Err(TestCaseError::fail(error.to_string())),
        }
        play.is_usable()?;
    }

    #[test]
    fn default_steps_of_the_runner_are_done_by_the_runner(
        build in build(),
        exec in program(),
        delays in delays(),
    ) {
        let mut manager = Manager::new(Release::Old, build.clone(), exec.clone(), nothing());
        manager.is_native = true;
        let mut play = Play::new(manager, delays);
        let seen = play.run(execution(Batch::new(), ApiVersion::V7_20230615))?;
        prop_assert_eq!(seen.build, (output(&build, "stdout"), output(&build, "stderr")));
        prop_assert_eq!(seen.built, Some(Some(build.code)));
        let result = seen.end.expect("an end").map_err(|e| TestCaseError::fail(e.to_string()))?;
        let code = if build.code == 0 { exec.code } else { 127 };
        prop_assert_eq!(result.exit_code(), Some(code));
        play.is_usable()?;
    }

    #[test]
    fn a_snippet_reports_its_output_and_exit_code(
        (release, version) in release(),
        query in program(),
        delays in delays(),
    ) {
        let mut play = Play::new(Manager::new(release, nothing(), nothing(), query.clone()), delays);
        let seen = play.run(execution("code", version))?;
        prop_assert_eq!(seen.build, (output(&query, "stdout"), output(&query, "stderr")));
        let result = seen.end.expect("an end").map_err(|e| TestCaseError::fail(e.to_string()))?;
        prop_assert_eq!(result.exit_code(), Some(query.code));
        prop_assert_eq!(seen.inputs, questions(&query));
        play.is_usable()?;
    }

    #[test]
    fn what_is_given_up_leaves_the_kernel_usable(
        (release, version) in release(),
        program in program(),
        is_batch in any::<bool>(),
        patience in 1..4_usize,
        delays in delays(),
    ) {
        let manager = Manager::new(release, nothing(), program.clone(), program);
        let mut play = Play::new(manager, delays);
        play.patience = Some(patience);
        let batch = Batch::new().with_build("make").with_exec("./main");
        let mode = if is_batch { batch.into() } else { ExecuteMode::query("code") };
        let seen = play.run(execution(mode, version))?;
        match seen.end.expect("an end") {
            Ok(result) => prop_assert_eq!(result.status, ExecutionStatus::Finished),
            Err(Error::Aborted(aborted)) => prop_assert!(aborted.is_freed),
            Err(error) => return Err(TestCaseError::fail(error.to_string())),
        }
        play.is_usable()?;
    }

    #[test]
    fn a_response_that_breaks_is_an_error_and_leaves_the_kernel_usable(
        (release, version) in release(),
        mut query in program(),
        delays in delays(),
    ) {
        query.acts.retain(|act| !matches!(act, Act::Ask | Act::Sleep(_)));
        query.acts.push(Act::Html);
        let mut play = Play::new(Manager::new(release, nothing(), nothing(), query), delays);
        let seen = play.run(execution("code", version))?;
        match seen.end.expect("an end") {
            Err(Error::Aborted(aborted)) => {
                prop_assert!(aborted.is_freed);
                prop_assert!(matches!(aborted.reason, AbortReason::Broken(_)));
            }
            end => return Err(TestCaseError::fail(format!("{end:?}"))),
        }
        play.is_usable()?;
    }

    #[test]
    fn a_program_that_never_ends_is_given_up_at_the_limit(
        (release, version) in release(),
        is_batch in any::<bool>(),
        delays in delays(),
    ) {
        let hangs = Program { acts: vec![Act::Hang], code: 0 };
        let manager = Manager::new(release, nothing(), hangs.clone(), hangs);
        let mut play = Play::new(manager, delays);
        let batch = Batch::new().without_build().with_exec("./main");
        let mode = if is_batch { batch.into() } else { ExecuteMode::query("code") };
        let limit = Duration::from_secs(30);
        let seen = play.run(execution(mode, version).with_silence_limit(limit))?;
        let Some(Err(Error::Aborted(aborted))) = seen.end else {
            return Err(TestCaseError::fail("it was to be given up"));
        };
        prop_assert!(!aborted.is_freed);
        prop_assert!(play.manager.now < limit + Duration::from_secs(20));
    }
}
