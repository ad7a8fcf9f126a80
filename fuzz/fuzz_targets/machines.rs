//! The call, upload, execution and run machines, driven by arbitrary sequences of events.
//!
//! The input is a line that sets the scene, then one event for each byte. Both are letters: see
//! [`Scene::read`], [`Outcome::read`] and [`Harness::event`].
//!
//! What holds, whatever happens:
//!
//! - There is never more than one request on its way, and each verifies on the gateway's side.
//! - Code that may have run, input that may have arrived and restarts are never sent again.
//! - Every known temporary kernel is asked to be destroyed, and no other one; the report says what
//!   became of it, and never that there was none when there may be one.
//! - Once cancelled, a run starts nothing new.
//! - Tries, waiting times and time limits keep to the policy.
//! - What an answer brings is reported, in order and once; every file is taken or named.
//! - A machine never waits for nothing; as soon as the gateway gives answers that end something (or
//!   goes on failing), it ends; and then it stays ended.

#![no_main]

use std::collections::{BTreeSet, HashSet};
use std::fmt::Debug;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use libfuzzer_sys::fuzz_target;
use sorna_core::machine::{
    Call, Cleanup, Ending, Execution, ExecutionEvent, Machine, Run, RunEvent, RunPlan, RunReport,
    Step, Transmit, Upload, UploadProgress,
};
use sorna_core::server::{ExecuteRequest, Route, SignedRequest, reply};
use sorna_core::{
    Authorize, Batch, Body, Boundary, Caller, Complete, Console, CreateKernel, Destroy, Error,
    Execute, ExecuteMode, ExecutionStatus, Info, Instant, KernelId, KernelInfo, ListLanguages,
    Moment, Operation, ProblemKind, Repeat, Reply, Restart, RetryPolicy, Sent, SessionToken,
    TransportError, TransportErrorKind, UploadFile, UploadFiles, UsageError, Version,
};
use sorna_fuzz::{check_error, secret, signer};

/// More steps than any machine needs to end once its gateway answers.
const ENOUGH: usize = 2_000;
/// Waiting for longer than this is not tried out: dates have an end.
const TOO_LONG: Instant = Instant::from_origin(Duration::from_secs(100 * 365 * 24 * 3600));

fuzz_target!(|data: &[u8]| {
    let end = data.iter().position(|byte| *byte == b'\n');
    let (scene, events) = data.split_at(end.unwrap_or(data.len()));
    let scene = Scene::read(scene);
    let caller = Caller::new(signer()).with_retry(scene.policy);
    let id = kernel();
    match scene.machine {
        b'R' => {
            let run = Run::new(scene.plan(), caller.clone());
            Harness::new(Running::new(run, &scene), &scene, caller).play(events);
        }
        b'U' => {
            let files = scene.files();
            let upload = Upload::new(id, files, boundary(), caller.clone());
            Harness::new(Uploading::new(upload, &scene), &scene, caller).play(events);
        }
        b'1' => play_call(Authorize::new("hi"), &scene, events),
        b'2' => play_call(scene.create(), &scene, events),
        b'3' => play_call(Info::new(id), &scene, events),
        b'4' => play_call(Restart::new(id), &scene, events),
        b'5' => play_call(Destroy::new(id), &scene, events),
        b'6' => play_call(Execute::start(id, scene.mode()), &scene, events),
        b'7' => play_call(Complete::at_end(id, "code"), &scene, events),
        b'8' => play_call(
            UploadFiles::new(id, scene.files(), boundary()),
            &scene,
            events,
        ),
        b'9' => play_call(ListLanguages::new(), &scene, events),
        b'0' => play_call(Version::new(), &scene, events),
        _ => {
            let execution = Execution::new(id, scene.mode(), caller.clone());
            Harness::new(Executing::new(execution, &scene), &scene, caller).play(events);
        }
    }
});

fn play_call<O: Operation<Output: Debug>>(operation: O, scene: &Scene, events: &[u8]) {
    let repeat = operation.repeat();
    let caller = Caller::new(signer()).with_retry(scene.policy);
    let call = Call::new(operation, caller.clone());
    Harness::new(Calling { call, repeat }, scene, caller).play(events);
}

fn kernel() -> KernelId {
    KernelId::new("k1").expect("it is one path segment")
}

fn boundary() -> Boundary {
    Boundary::from_random([1; 16])
}

// ------------------------------------------------------------------------------- what is played

/// What is to be done, how patiently, and how the gateway behaves at the end.
struct Scene {
    machine: u8,
    policy: RetryPolicy,
    temporary: bool,
    sizes: Vec<u64>,
    modes: Vec<ExecuteMode>,
    /// The event that answers everything once the input is used up.
    last: u8,
}

impl Scene {
    /// One letter for each trait.
    fn read(letters: &[u8]) -> Self {
        let mut scene = Self {
            machine: b'E',
            policy: RetryPolicy::default(),
            temporary: true,
            sizes: Vec::new(),
            modes: Vec::new(),
            last: b'o',
        };
        for letter in letters.iter().take(64) {
            let policy = scene.policy;
            match letter {
                b'R' | b'U' | b'E' | b'0'..=b'9' => scene.machine = *letter,
                b'k' => scene.temporary = false,
                b'f' => scene.sizes.push(scene.sizes.len() as u64 % 5),
                b'M' => scene.sizes.push(1024 * 1024),
                b'G' => scene.sizes.push(u64::MAX),
                b'q' => {
                    let code = format!("code-{}", scene.modes.len());
                    scene.modes.push(ExecuteMode::query(code));
                }
                b'b' => scene.modes.push(Batch::new().into()),
                b'L' => scene
                    .modes
                    .push(ExecuteMode::query("x".repeat(1024 * 1024))),
                b'n' => scene.policy = RetryPolicy::never(),
                b'+' => scene.policy = policy.with_attempts(policy.attempts + 3),
                b'z' => scene.policy.attempts = 0,
                b'-' => scene.policy = policy.with_budget(Duration::from_secs(1)),
                b'H' => scene.policy = policy.with_budget(Duration::MAX),
                b'*' => scene.policy = policy.with_backoff(Duration::ZERO, Duration::ZERO),
                b'^' => scene.policy = policy.with_backoff(Duration::MAX, Duration::MAX),
                // For ever the same failure: only those that end every machine.
                b'<' => scene.last = b'm',
                b'>' => scene.last = b'N',
                b'!' => scene.last = b'S',
                b'%' => scene.last = b'r',
                b'/' => scene.last = b'F',
                b'$' => scene.last = b'x',
                _ => {}
            }
        }
        scene
    }

    fn create(&self) -> CreateKernel {
        let token = SessionToken::new("12345678").expect("it has eight characters");
        CreateKernel::new("python3", token)
    }

    fn mode(&self) -> ExecuteMode {
        let first = self.modes.first().cloned();
        first.unwrap_or_else(|| ExecuteMode::query("code-0"))
    }

    fn plan(&self) -> RunPlan {
        let plan = RunPlan::temporary(self.create(), self.modes.clone())
            .with_files(self.files(), boundary());
        if self.temporary {
            plan
        } else {
            plan.keeping_the_kernel()
        }
    }

    /// Local files, since their names can be found in a request.
    fn files(&self) -> Vec<UploadFile> {
        let names = (0..).map(|index| format!("f{index}"));
        names
            .zip(&self.sizes)
            .map(|(name, size)| {
                UploadFile::from_file(name.as_str(), name.as_str(), *size).expect("a plain name")
            })
            .collect()
    }

    fn is_uploadable(&self) -> bool {
        self.sizes.iter().all(|size| *size <= 1024 * 1024)
    }
}

/// How an exchange ends.
enum Outcome {
    Answer(Response<Bytes>),
    Failure(TransportErrorKind, Sent),
}

impl Outcome {
    /// What a letter means for a request; `number` marks the output, so that none is lost.
    fn read(letter: u8, asked: &Route, number: usize) -> Option<Self> {
        use TransportErrorKind as Kind;
        let execution = |status: &ExecutionStatus, options: &str| {
            let mut console = Console::new();
            if number % 3 != 2 {
                console.push_stdout(&format!("#{number};"));
            }
            let options = serde_json::from_str(options).expect("it is JSON");
            Some(Self::Answer(
                reply::execution(status, &console, &options).map(Bytes::from),
            ))
        };
        let problem =
            |kind: ProblemKind| Some(Self::Answer(kind.reply().into_response().map(Bytes::from)));
        let plain = |status: u16, body: &'static str| {
            let response = Response::builder().status(status).body(body.into());
            Some(Self::Answer(response.expect("a status and a body")))
        };
        let limited = |name: &str, value: u64| {
            let mut response = ProblemKind::RateLimitExceeded.reply().into_response();
            let name = http::HeaderName::from_bytes(name.as_bytes()).expect("a name");
            response.headers_mut().insert(name, value.into());
            Some(Self::Answer(response.map(Bytes::from)))
        };
        match letter {
            b'o' => match asked {
                Route::Execute(_) => execution(&ExecutionStatus::Finished, "{}"),
                _ => Some(Self::Answer(success(asked).map(Bytes::from))),
            },
            b'c' => execution(&ExecutionStatus::Continued, "null"),
            b'b' => execution(&ExecutionStatus::BuildFinished, r#"{"exitCode": 0}"#),
            b'B' => execution(&ExecutionStatus::CleanFinished, "null"),
            b'w' => execution(&ExecutionStatus::WaitingInput, "{}"),
            b'p' => execution(&ExecutionStatus::WaitingInput, r#"{"is_password": true}"#),
            b'u' => execution(&ExecutionStatus::Other("pondering".to_owned()), "[1]"),
            b'U' => execution(&ExecutionStatus::Other("all-done".to_owned()), "null"),
            b't' => execution(&ExecutionStatus::ExecTimeout, "{}"),
            b'x' => match asked {
                Route::Execute(_) => execution(&ExecutionStatus::Finished, r#"{"exitCode": 3}"#),
                _ => Some(Self::Answer(success(asked).map(Bytes::from))),
            },
            b'g' => plain(200, "<html>garbled"),
            b'G' => plain(201, r#"{"kernelId": ".."}"#),
            b'3' => plain(302, ""),
            b'1' => plain(500, ""),
            b'2' => plain(502, "<html>"),
            b'V' => plain(503, "<html>"),
            b'T' => plain(504, ""),
            b'v' => problem(ProblemKind::ServiceUnavailable),
            b'i' => problem(ProblemKind::InstanceNotAvailable),
            b'I' => problem(ProblemKind::NotImplemented),
            b'4' => problem(ProblemKind::KernelNotFound),
            b'q' => problem(ProblemKind::QuotaExceeded),
            b'a' => problem(ProblemKind::AuthFailed),
            b'A' => problem(ProblemKind::InvalidAuthParams),
            b'F' => problem(ProblemKind::GenericBadRequest),
            b'5' => problem(ProblemKind::InternalServerError),
            b'e' => problem(ProblemKind::KernelExecutionFailed),
            b'K' => problem(ProblemKind::KernelCreationFailed),
            b'D' => problem(ProblemKind::KernelDestructionFailed),
            b'l' => problem(ProblemKind::RateLimitExceeded),
            b'r' => limited("x-ratelimit-reset", 700),
            b'y' => limited("retry-after", u64::MAX),
            b'Y' => limited("retry-after", 3),
            b'n' => Some(Self::Failure(Kind::Connect, Sent::Nothing)),
            b'N' => Some(Self::Failure(Kind::Resolve, Sent::Nothing)),
            b'S' => Some(Self::Failure(Kind::Send, Sent::StaleConnection)),
            b'm' => Some(Self::Failure(Kind::Receive, Sent::Maybe)),
            b'M' => Some(Self::Failure(Kind::Timeout, Sent::Maybe)),
            b'd' => Some(Self::Failure(Kind::Tls, Sent::Nothing)),
            b'f' => Some(Self::Failure(Kind::LocalFile, Sent::Maybe)),
            b'z' => Some(Self::Failure(Kind::TooLarge, Sent::Maybe)),
            b'X' => Some(Self::Failure(Kind::Cancelled, Sent::Nothing)),
            b'O' => Some(Self::Failure(Kind::Other, Sent::Maybe)),
            _ => None,
        }
    }

    fn is_success(&self) -> bool {
        matches!(self, Self::Answer(answer) if answer.status().is_success())
    }

    fn status(&self) -> Option<u16> {
        match self {
            Self::Answer(answer) => Some(answer.status().as_u16()),
            Self::Failure(..) => None,
        }
    }

    /// How long the window of the rate limit still lasts, if the answer tells.
    fn window_left(&self) -> Option<Duration> {
        let Self::Answer(answer) = self else {
            return None;
        };
        let reset = answer.headers().get("x-ratelimit-reset")?;
        Some(Duration::from_millis(reset.to_str().ok()?.parse().ok()?))
    }

    /// When the gateway wants to be asked again: as it says, or as earlier answers said where a
    /// refusal for the rate limit says nothing.
    fn not_before(&self, now: Moment, window_end: Option<Instant>) -> Instant {
        let Self::Answer(answer) = self else {
            return Instant::default();
        };
        let number = |name: &str| answer.headers().get(name)?.to_str().ok()?.parse().ok();
        let seconds = number("retry-after").map(Duration::from_secs);
        let wait = seconds.or_else(|| number("x-ratelimit-reset").map(Duration::from_millis));
        match (answer.status().as_u16(), wait) {
            (429, Some(wait)) => now.instant.saturating_add(wait),
            (429, None) => window_end.unwrap_or_default(),
            _ => Instant::default(),
        }
    }

    /// Whether it is certain that the gateway did not do what it was asked.
    fn is_certainly_undone(&self) -> bool {
        match self {
            Self::Failure(_, sent) => *sent == Sent::Nothing,
            Self::Answer(answer) => match answer.status().as_u16() {
                429 => true,
                // Its own words, not those of a proxy in front of it.
                503 => answer.body().starts_with(b"{") && !has_kind(answer, "not-implemented"),
                _ => false,
            },
        }
    }

    /// Whether a kernel may have been made, though nobody knows its name.
    fn may_hide_a_kernel(&self) -> bool {
        match self {
            Self::Failure(_, sent) => *sent != Sent::Nothing,
            Self::Answer(answer) => match answer.status().as_u16() {
                500 | 502..=504 => !answer.body().starts_with(b"{"),
                status => (200..300).contains(&status),
            },
        }
    }
}

fn has_kind(answer: &Response<Bytes>, kind: &str) -> bool {
    String::from_utf8_lossy(answer.body()).contains(kind)
}

/// The answer that a request hopes for.
fn success(asked: &Route) -> Response<Vec<u8>> {
    match asked {
        Route::Version => reply::version(sorna_core::ApiVersion::default()),
        Route::Authorize => reply::authorized(Some(&"hi".into())),
        Route::Languages => reply::languages(&[]),
        Route::Create => reply::created(&kernel()),
        Route::Info(_) => reply::info(&KernelInfo::default()),
        Route::Execute(_) => reply::completions(&[]),
        _ => reply::done(),
    }
}

// --------------------------------------------------------------------------------- what is seen

/// A request on its way.
struct Exchange {
    asked: Route,
    attempt: u32,
    /// What it would run, or type in.
    code: Option<String>,
    files: Vec<String>,
}

/// Everything that travelled, seen from between the machine and the gateway.
#[derive(Default)]
struct Wire {
    exchanges: usize,
    /// When the first try of the request was sent, and the number of the last try.
    tries: Option<(Instant, u32)>,
    last_sent: Instant,
    /// How much more time its body has.
    allowance: Duration,
    /// When the gateway wants to be asked again.
    not_before: Instant,
    /// Code and input that may have arrived.
    used: HashSet<String>,
    /// An execute or restart request came to an end that allows no other one.
    execution_over: bool,
    /// Output that the gateway sent.
    output: String,
    taken: Vec<String>,
    created: bool,
    may_hide_a_kernel: bool,
    /// How the last request to destroy ended: its status, if any.
    destroyed: Option<Option<u16>>,
    destroys: usize,
    last_was_good: bool,
    unclear: usize,
}

impl Wire {
    fn sent(&mut self, transmit: &Transmit, now: Moment, policy: RetryPolicy) -> Exchange {
        let (parts, body) = split(&transmit.request);
        let asked = Route::parse(&parts.method, parts.uri.path()).expect("it names something");
        let signed = SignedRequest::parse(&parts, now.wall).expect("it is signed");
        signed.verify(&secret(), &body).expect("the signature");

        let started = match self.tries {
            _ if transmit.attempt == 1 => now.instant,
            Some((started, tries)) => {
                assert_eq!(transmit.attempt, tries + 1, "tries are counted");
                started
            }
            None => panic!("the first try has number {}", transmit.attempt),
        };
        self.tries = Some((started, transmit.attempt));
        assert!(transmit.attempt <= policy.attempts.max(1), "too many tries");
        // A large body takes its time.
        let seconds = transmit.request.body().len() / policy.upload_rate;
        self.allowance = Duration::from_secs(seconds + 1);
        let most = policy.attempt_limit.saturating_add(self.allowance);
        let left = policy
            .budget
            .saturating_sub(now.instant.saturating_duration_since(started));
        let left = left.saturating_add(self.allowance);
        assert!(
            transmit.time_limit <= most.min(left),
            "more time than there is"
        );
        if transmit.attempt > 1 {
            assert!(
                now.instant >= self.not_before,
                "sooner than the gateway asked"
            );
        }
        self.last_sent = now.instant;
        assert!(
            self.destroys == 0 || matches!(asked, Route::Destroy(_)),
            "{asked:?} at the end"
        );

        let execute = matches!(asked, Route::Execute(_)).then(|| ExecuteRequest::parse(&body));
        let code = match execute {
            None => None,
            Some(Ok(ExecuteRequest::Query { code } | ExecuteRequest::Batch { code, .. })) => {
                assert!(!self.used.contains(&code), "{code:?} is sent again");
                assert!(!self.execution_over, "it may have run: {code:?}");
                Some(code)
            }
            Some(Ok(_)) => None,
            Some(Err(refusal)) => panic!("{refusal}"),
        };
        if matches!(asked, Route::Restart(_)) {
            assert!(!self.execution_over, "it may have been restarted");
        }
        if let Route::Destroy(id) = &asked {
            assert_eq!(*id, kernel());
            self.destroys += 1;
        }
        let segments = transmit.request.body().segments();
        let files = segments.iter().filter_map(|segment| segment.path());
        Exchange {
            files: files.map(|path| path.display().to_string()).collect(),
            asked,
            attempt: transmit.attempt,
            code,
        }
    }

    fn ended(
        &mut self,
        exchange: &Exchange,
        outcome: &Outcome,
        now: Moment,
        window_end: Option<Instant>,
    ) {
        self.exchanges += 1;
        self.not_before = outcome.not_before(now, window_end);
        let is_good = outcome.is_success() && is_understood(exchange, outcome);
        self.last_was_good = is_good;
        self.unclear += usize::from(outcome.may_hide_a_kernel() && !is_good);
        match &exchange.asked {
            Route::Create if is_good => self.created = true,
            Route::Create => self.may_hide_a_kernel |= outcome.may_hide_a_kernel(),
            Route::Destroy(_) => self.destroyed = Some(outcome.status()),
            Route::Upload(_) if is_good => self.taken.extend_from_slice(&exchange.files),
            Route::Execute(_) if exchange.code.is_some() => {
                if !outcome.is_certainly_undone() {
                    let code = exchange.code.clone().filter(|code| !code.is_empty());
                    self.used.extend(code);
                    self.execution_over |= !is_good;
                }
                if let Outcome::Answer(answer) = outcome
                    && is_good
                {
                    self.output += &output(answer);
                }
            }
            Route::Restart(_) => self.execution_over |= !outcome.is_certainly_undone(),
            _ => {}
        }
    }

    /// Whether the gateway said that the kernel is gone.
    fn is_destroyed(&self) -> bool {
        match self.destroyed {
            Some(Some(404)) => true,
            Some(Some(200..300)) => self.last_was_good,
            _ => false,
        }
    }
}

fn split(request: &Request<Body>) -> (http::request::Parts, Vec<u8>) {
    let mut copy = Request::new(());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    let body = request.body().as_bytes().unwrap_or_default().to_vec();
    (copy.into_parts().0, body)
}

/// Whether a success has the form that the request asked for, read without `sorna-core`.
fn is_understood(exchange: &Exchange, outcome: &Outcome) -> bool {
    let Outcome::Answer(answer) = outcome else {
        return false;
    };
    let json: serde_json::Value = serde_json::from_slice(answer.body()).unwrap_or_default();
    match exchange.asked {
        Route::Version => json["version"].is_string(),
        Route::Authorize => json["authorized"] == "yes",
        Route::Languages => json["languages"].is_array(),
        Route::Create => json["kernelId"].as_str().is_some_and(|id| id != ".."),
        Route::Info(_) => json.is_object(),
        Route::Execute(_) if exchange.code.is_some() => json["result"]["status"].is_string(),
        Route::Execute(_) => json["result"].is_array(),
        // The page of a proxy is no success.
        _ => answer.body().is_empty() || json.is_object(),
    }
}

fn output(answer: &Response<Bytes>) -> String {
    let json: serde_json::Value = serde_json::from_slice(answer.body()).unwrap_or_default();
    let records = json["result"]["console"].as_array();
    let texts = records.into_iter().flatten().filter_map(|r| r[1].as_str());
    texts.collect()
}

// ----------------------------------------------------------------------------- who is driven

/// A machine, with what is special about it.
trait Subject {
    type Machine: Machine<Event: Debug, Output: Debug>;

    fn machine(&mut self) -> &mut Self::Machine;

    fn event(&mut self, event: <Self::Machine as Machine>::Event, wire: &Wire);

    fn done(&mut self, output: <Self::Machine as Machine>::Output, wire: &Wire);

    /// Something is sent.
    fn sends(&mut self, _exchange: &Exchange) {}

    fn cancel(&mut self) {}

    fn awaits_input(&self) -> bool {
        false
    }

    fn answer(&mut self, _input: &str) -> Result<(), UsageError> {
        Err(UsageError::InputNotExpected)
    }
}

struct Harness<'a, S> {
    subject: S,
    scene: &'a Scene,
    caller: Caller,
    now: Moment,
    /// When the rate limit's window ends, as far as responses told.
    window_end: Option<Instant>,
    wire: Wire,
    in_flight: Option<Exchange>,
    wait: Option<Instant>,
    inputs: usize,
    is_done: bool,
}

impl<'a, S: Subject> Harness<'a, S> {
    fn new(subject: S, scene: &'a Scene, caller: Caller) -> Self {
        let start = sorna_fuzz::at(1_498_699_425);
        Self {
            subject,
            scene,
            caller,
            now: Moment::new(start, Instant::default(), u64::MAX / 3),
            window_end: None,
            wire: Wire::default(),
            in_flight: None,
            wait: None,
            inputs: 0,
            is_done: false,
        }
    }

    fn play(mut self, events: &[u8]) {
        for event in events {
            // The highest bit keeps the machine from being polled in between.
            self.event(event & 0x7f);
            if event & 0x80 == 0 {
                self.settle();
            }
        }
        for _ in 0..ENOUGH {
            self.settle();
            if self.is_done || self.wait.is_some_and(|until| until > TOO_LONG) {
                return;
            }
            if self.in_flight.is_some() {
                self.event(self.scene.last);
            } else if self.wait.is_some() {
                self.event(b'_');
            } else {
                self.event(b'?');
            }
        }
        panic!("it does not end");
    }

    /// Lets something happen. Letters that mean nothing else end the exchange: see
    /// [`Outcome::read`].
    fn event(&mut self, letter: u8) {
        match letter {
            b',' => self.passes(Duration::from_millis(100)),
            b';' => self.passes(Duration::from_secs(10)),
            // As long as the machine wants to wait, but never absurdly long.
            b'_' => {
                let until = self.wait.filter(|until| *until <= TOO_LONG);
                self.passes(
                    until
                        .unwrap_or_default()
                        .saturating_duration_since(self.now.instant),
                );
            }
            // An answer to another request tells when the window of the rate limit ends.
            b'@' | b'W' => {
                let left = Duration::from_secs(if letter == b'@' { 5 } else { 800 });
                self.hears_elsewhere(left);
            }
            b'k' => self.subject.cancel(),
            b'?' => {
                let input = format!("input-{}", self.inputs);
                let awaited = self.subject.awaits_input();
                assert_eq!(self.subject.answer(&input).is_ok(), awaited);
                self.inputs += usize::from(awaited);
            }
            _ => self.exchange_ends(letter),
        }
    }

    /// Another request of the same caller is answered.
    fn hears_elsewhere(&mut self, left: Duration) {
        let mut other = Call::new(Version::new(), self.caller.clone());
        assert!(matches!(other.poll(self.now), Step::Send(_)));
        let milliseconds = u64::try_from(left.as_millis()).expect("it is short");
        let mut answer = success(&Route::Version).map(Bytes::from);
        answer
            .headers_mut()
            .insert("x-ratelimit-reset", milliseconds.into());
        other.handle_response(self.now, answer);
        self.window_end = Some(self.now.instant + left);
    }

    fn passes(&mut self, time: Duration) {
        if self.now.instant.saturating_add(time) <= TOO_LONG {
            self.now = self.now.after(time);
        }
    }

    /// The request on its way is answered, or fails. Without one on its way, the machine must not
    /// care.
    fn exchange_ends(&mut self, letter: u8) {
        let exchange = self.in_flight.take();
        let asked = exchange
            .as_ref()
            .map_or(Route::Version, |e| e.asked.clone());
        let Some(outcome) = Outcome::read(letter, &asked, self.wire.exchanges) else {
            self.in_flight = exchange;
            return;
        };
        if let Some(exchange) = &exchange {
            if let Some(left) = outcome.window_left() {
                self.window_end = self.now.instant.checked_add(left);
            }
            self.wire
                .ended(exchange, &outcome, self.now, self.window_end);
        }
        let now = self.now;
        let machine = self.subject.machine();
        match outcome {
            Outcome::Answer(answer) => machine.handle_response(now, answer),
            Outcome::Failure(kind, sent) => {
                machine.handle_failure(now, TransportError::new(kind, sent, "it broke"));
            }
        }
    }

    /// Polls until the machine needs something from outside.
    fn settle(&mut self) {
        for _ in 0..ENOUGH {
            let step = self.subject.machine().poll(self.now);
            if self.is_done {
                assert!(matches!(step, Step::Idle), "after the end: {step:?}");
                return;
            }
            self.wait = None;
            match step {
                Step::Event(event) => self.subject.event(event, &self.wire),
                Step::Send(transmit) => {
                    assert!(self.in_flight.is_none(), "two requests are on their way");
                    let exchange = self.wire.sent(&transmit, self.now, self.scene.policy);
                    self.subject.sends(&exchange);
                    self.in_flight = Some(exchange);
                }
                Step::Wait(until) => {
                    assert!(self.in_flight.is_none(), "it must wait for the answer only");
                    assert!(until > self.now.instant, "it waits for a time that is over");
                    let (started, _) = self.wire.tries.expect("nothing was sent to wait after");
                    let deadline = started
                        .saturating_add(self.scene.policy.budget)
                        .saturating_add(self.wire.allowance);
                    let pace = self.wire.last_sent + Duration::from_millis(200);
                    assert!(until <= deadline.max(pace), "longer than the budget");
                    self.wait = Some(until);
                    return;
                }
                Step::Done(output) => {
                    assert!(self.in_flight.is_none(), "a request is still on its way");
                    self.subject.done(output, &self.wire);
                    self.is_done = true;
                }
                Step::Idle => {
                    let awaits_input = self.subject.awaits_input();
                    assert!(self.in_flight.is_some() || awaits_input, "it is stuck");
                    return;
                }
                _ => unreachable!("a step of a new kind"),
            }
        }
        panic!("it never settles");
    }
}

struct Calling<O: Operation> {
    call: Call<O>,
    repeat: Repeat,
}

impl<O: Operation<Output: Debug>> Subject for Calling<O> {
    type Machine = Call<O>;

    fn machine(&mut self) -> &mut Call<O> {
        &mut self.call
    }

    fn event(&mut self, event: std::convert::Infallible, _: &Wire) {
        match event {}
    }

    fn done(&mut self, output: Result<Reply<O::Output>, Error>, wire: &Wire) {
        match output {
            Ok(_) => assert!(
                wire.last_was_good || (wire.destroyed == Some(Some(404)) && wire.unclear > 0),
                "a success that nobody told of"
            ),
            Err(error) => {
                check_error(&error);
                assert!(!wire.last_was_good, "the answer was good: {error}");
                if let Error::MayHaveRun(failure) = &error {
                    assert_eq!(self.repeat, Repeat::IfUnsent);
                    assert_ne!(failure.sent(), Sent::Nothing);
                }
                if wire.execution_over {
                    let is_safe = matches!(error, Error::Transport(_));
                    assert!(!is_safe, "{error:?} sounds as if it had not run");
                }
            }
        }
    }
}

struct Uploading {
    upload: Upload,
    is_uploadable: bool,
    names: BTreeSet<String>,
    seen: UploadProgress,
}

impl Uploading {
    fn new(upload: Upload, scene: &Scene) -> Self {
        Self {
            seen: upload.progress(),
            upload,
            is_uploadable: scene.is_uploadable(),
            names: scene.files().iter().map(|f| f.name().to_owned()).collect(),
        }
    }
}

/// What holds for an upload that is over, by itself or in a run.
fn check_taken(names: &BTreeSet<String>, wire: &Wire, rejected: &[&str]) {
    let taken = wire.taken.iter().map(String::as_str);
    let mut all: Vec<&str> = taken.chain(rejected.iter().copied()).collect();
    all.sort_unstable();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert_eq!(all, names, "each file is taken or named, once");
}

/// What holds for progress, wherever it is seen.
fn check_progress(before: UploadProgress, after: UploadProgress, wire: &Wire) {
    assert!(before.files <= after.files && before.bytes <= after.bytes);
    assert!(after.files <= after.total_files && after.bytes <= after.total_bytes);
    assert_eq!(after.files, wire.taken.len());
}

impl Subject for Uploading {
    type Machine = Upload;

    fn machine(&mut self) -> &mut Upload {
        &mut self.upload
    }

    fn sends(&mut self, exchange: &Exchange) {
        assert!(self.is_uploadable, "a file that no gateway takes");
        assert!(exchange.files.len() <= 19, "more than a gateway takes");
    }

    fn event(&mut self, event: UploadProgress, wire: &Wire) {
        check_progress(self.seen, event, wire);
        self.seen = event;
    }

    fn done(&mut self, output: Result<UploadProgress, Error>, wire: &Wire) {
        match output {
            Ok(progress) => {
                check_progress(self.seen, progress, wire);
                check_taken(&self.names, wire, &[]);
            }
            Err(Error::FilesRejected(files)) => {
                let rejected: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
                assert!(!rejected.is_empty());
                check_taken(&self.names, wire, &rejected);
                check_error(&Error::FilesRejected(files));
            }
            Err(error) => check_error(&error),
        }
    }
}

/// Follows what an execution sends and reports.
struct Executed {
    /// The code that the next request must carry.
    code: String,
    output: String,
    last_input: usize,
}

impl Executed {
    fn new(mode: &ExecuteMode) -> Self {
        Self {
            code: match mode {
                ExecuteMode::Query { code } => code.clone(),
                _ => String::new(),
            },
            output: String::new(),
            last_input: 0,
        }
    }

    fn sends(&self, exchange: &Exchange) {
        assert_eq!(exchange.code.as_deref(), Some(self.code.as_str()));
    }

    fn event(&mut self, event: ExecutionEvent) {
        match event {
            ExecutionEvent::Console(console) => {
                assert!(!console.is_empty(), "an event without output");
                self.output += &console.stdout();
            }
            ExecutionEvent::InputRequested { .. } => {}
            ExecutionEvent::StepFinished { status, .. } => assert!(matches!(
                status,
                ExecutionStatus::BuildFinished | ExecutionStatus::CleanFinished
            )),
            ExecutionEvent::Unknown(result) => assert!(!result.status.is_end()),
            _ => unreachable!("an event of a new kind"),
        }
    }

    fn answered(&mut self, input: &str) {
        self.code = input.to_owned();
        self.last_input += 1;
    }
}

struct Executing {
    execution: Execution,
    executed: Executed,
}

impl Executing {
    fn new(execution: Execution, scene: &Scene) -> Self {
        Self {
            execution,
            executed: Executed::new(&scene.mode()),
        }
    }
}

impl Subject for Executing {
    type Machine = Execution;

    fn machine(&mut self) -> &mut Execution {
        &mut self.execution
    }

    fn sends(&mut self, exchange: &Exchange) {
        if exchange.attempt == 1 && exchange.code.as_deref() == Some("") {
            self.executed.code.clear();
        }
        self.executed.sends(exchange);
    }

    fn event(&mut self, event: ExecutionEvent, _: &Wire) {
        self.executed.event(event);
    }

    fn done(&mut self, output: Result<sorna_core::ExecutionResult, Error>, wire: &Wire) {
        assert_eq!(
            self.executed.output, wire.output,
            "output is lost or doubled"
        );
        match output {
            Ok(result) => {
                assert!(result.status.is_end(), "{:?} is no end", result.status);
                assert!(result.console.is_empty(), "it was reported before");
                assert!(wire.last_was_good);
            }
            Err(error) => {
                check_error(&error);
                assert!(!wire.last_was_good, "the answer was good: {error}");
            }
        }
    }

    fn awaits_input(&self) -> bool {
        self.execution.awaits_input()
    }

    fn answer(&mut self, input: &str) -> Result<(), UsageError> {
        self.execution.answer(input)?;
        self.executed.answered(input);
        Ok(())
    }
}

struct Running {
    run: Run,
    modes: Vec<ExecuteMode>,
    temporary: bool,
    is_uploadable: bool,
    names: BTreeSet<String>,
    seen: Option<UploadProgress>,
    uploaded: bool,
    executed: Executed,
    started: usize,
    finished: usize,
    output: String,
    cancelled: bool,
    ready: usize,
    cleaning_up: usize,
}

impl Running {
    fn new(run: Run, scene: &Scene) -> Self {
        Self {
            run,
            modes: scene.modes.clone(),
            temporary: scene.temporary,
            is_uploadable: scene.is_uploadable(),
            names: scene.files().iter().map(|f| f.name().to_owned()).collect(),
            seen: None,
            uploaded: scene.sizes.is_empty(),
            executed: Executed::new(&ExecuteMode::query("")),
            started: 0,
            finished: 0,
            output: String::new(),
            cancelled: false,
            ready: 0,
            cleaning_up: 0,
        }
    }

    fn progress(&mut self, progress: UploadProgress, wire: &Wire) {
        if let Some(seen) = self.seen {
            check_progress(seen, progress, wire);
        }
        self.seen = Some(progress);
    }
}

impl Subject for Running {
    type Machine = Run;

    fn machine(&mut self) -> &mut Run {
        &mut self.run
    }

    fn sends(&mut self, exchange: &Exchange) {
        assert!(
            self.is_uploadable,
            "a kernel for files that no gateway takes"
        );
        match exchange.asked {
            Route::Create => assert_eq!(self.ready, 0, "a second kernel"),
            Route::Destroy(_) => {
                assert!(self.temporary, "it was to be kept");
                assert_eq!(self.cleaning_up, 1, "it is told before");
            }
            Route::Upload(_) | Route::Execute(_) => {
                assert!(!self.cancelled, "it was cancelled");
                assert_eq!(self.cleaning_up, 0);
                if exchange.code.is_some() {
                    assert!(self.uploaded, "its files are not there yet");
                    if exchange.attempt == 1 && exchange.code.as_deref() == Some("") {
                        self.executed.code.clear();
                    }
                    self.executed.sends(exchange);
                }
            }
            _ => panic!("nobody asked for {:?}", exchange.asked),
        }
    }

    fn event(&mut self, event: RunEvent, wire: &Wire) {
        match event {
            RunEvent::KernelReady(id) => {
                assert_eq!(id, kernel());
                self.ready += 1;
                assert_eq!(self.ready, 1);
            }
            RunEvent::Uploading(progress) => self.progress(progress, wire),
            RunEvent::Uploaded(progress) => {
                self.progress(progress, wire);
                check_taken(&self.names, wire, &[]);
                self.uploaded = true;
            }
            RunEvent::ExecutionStarted { index } => {
                assert_eq!((index, self.finished), (self.started, self.started));
                self.executed = Executed::new(&self.modes[index]);
                self.started += 1;
            }
            RunEvent::Execution(event) => self.executed.event(event),
            RunEvent::ExecutionFinished(result) => {
                assert!(result.status.is_end());
                self.output += &std::mem::take(&mut self.executed.output);
                self.finished += 1;
                assert_eq!(self.finished, self.started);
            }
            RunEvent::CleaningUp => {
                assert!(self.temporary && wire.created);
                self.cleaning_up += 1;
            }
            _ => unreachable!("an event of a new kind"),
        }
    }

    fn done(&mut self, report: RunReport, wire: &Wire) {
        assert_eq!(self.run.kernel().is_some(), wire.created);
        assert_eq!(report.kernel.is_some(), wire.created);
        let is_asked = wire.destroys > 0;
        assert_eq!(is_asked, self.temporary && wire.created, "destroying");
        match &report.cleanup {
            Cleanup::Kept => assert!(wire.created && !self.temporary),
            Cleanup::NoKernel => {
                assert!(!wire.created);
                assert!(
                    !(self.temporary && wire.may_hide_a_kernel),
                    "there may be a kernel"
                );
            }
            Cleanup::Unknown => assert!(self.temporary && !wire.created && wire.unclear > 0),
            Cleanup::Destroyed => assert!(wire.is_destroyed()),
            Cleanup::Failed(error) => {
                assert!(!wire.is_destroyed());
                check_error(error);
            }
            _ => unreachable!("a cleanup of a new kind"),
        }
        match &report.ending {
            Ending::Finished(last) => {
                assert!(self.uploaded);
                assert_eq!(self.started, self.finished);
                assert_eq!(last.is_some(), self.started > 0);
                let has_failed = last.as_ref().is_some_and(|result| {
                    result.status == ExecutionStatus::ExecTimeout
                        || result.exit_code().is_some_and(|code| code != 0)
                });
                assert!(has_failed || self.finished == self.modes.len());
            }
            Ending::Cancelled => assert!(self.cancelled),
            Ending::Failed(error) => check_error(error),
            _ => unreachable!("an ending of a new kind"),
        }
        if !self.cancelled {
            self.output += &self.executed.output;
            assert_eq!(self.output, wire.output, "output is lost or doubled");
        }
    }

    fn cancel(&mut self) {
        self.cancelled = true;
        self.run.cancel();
    }

    fn awaits_input(&self) -> bool {
        self.run.awaits_input()
    }

    fn answer(&mut self, input: &str) -> Result<(), UsageError> {
        self.run.answer(input)?;
        self.executed.answered(input);
        Ok(())
    }
}
