//! The machine of a whole run.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use http::Response;

use super::placing::Placing;
use super::plan::RunPlan;
use super::report::{Cleanup, Ending, RunEvent, RunReport};
use crate::caller::Caller;
use crate::error::{BuildError, Error, TransportError, TransportErrorKind, UsageError};
use crate::frame::Frame;
use crate::ident::{KernelId, SessionToken};
use crate::machine::create::Create;
use crate::machine::execution::{Execution, Streaming};
use crate::machine::removal::Removal;
use crate::machine::step::{Exchange, Machine, Step};
use crate::machine::upload::{Upload, UploadProgress};
use crate::moment::Moment;
use crate::ops::{
    Boundary, CreateKernel, Destroy, Execute, ExecuteMode, ExecutionResult, ExecutionStatus,
    RunMark, UploadFile, check_files_of,
};
use crate::version::Dialect;

/// Drives a whole run.
///
/// ```text
///   new ─► Creating ─► Uploading ─► Executing ─► Executing ─► …, one snippet after the other
///             │      (if there are)     │             │
///             │             │           │             │
///    no kernel│             └───────────┴──────┬──────┘  the end, a snippet that fails or takes
///             │                                │         too long, an error, cancel()
///             │                                ├─ to be kept ─► Over: Cleanup::Kept
///             │                                └─ temporary ──► Destroying ─► Over: Destroyed, Failed
///             └─► Over: Cleanup::NoKernel, Unknown
/// ```
///
/// Every step of [`Create`], [`Upload`], [`Execution`] and [`Removal`] is passed on; `Over` gives `Step::Done` once.
///
/// Where the gateway understands [final executions](Execute::with_final), the last snippet of a temporary kernel is one, so
/// that what runs at the interpreter's end is seen. If the last execution is another one, or was skipped, an empty
/// snippet ends the interpreter: only its [`RunEvent::Execution`]s are reported, and its result only if it alone failed.
///
/// A temporary kernel is destroyed however the run ends. If the request to create it got no
/// response, or one that cannot be understood, the kernel may still exist; creating it again with
/// the same token finds it, so the machine first tries that. Files that cannot be uploaded (larger
/// than 1 MiB, two of one name) end the run before a kernel is created.
///
/// ```
/// use std::time::{Duration, UNIX_EPOCH};
/// use sorna_core::machine::{
///     Cleanup, Ending, ExecutionEvent, Machine, Run, RunEvent, RunPlan, Step,
/// };
/// use sorna_core::{Caller, Instant, Moment, SessionToken};
/// # use sorna_core::{AccessKey, Config, Credentials, SecretKey, Signer};
/// # let keys = Credentials::new(AccessKey::new("AK")?, SecretKey::new("SK")?);
/// # let signer = Signer::new(Config::new("http://127.0.0.1:8081".parse()?, keys));
/// # let now = Moment::new(UNIX_EPOCH + Duration::from_secs(1_498_699_425), Instant::default(), 42);
///
/// // Polls, compares the request with what is expected, and responds.
/// fn exchange(run: &mut Run, now: Moment, line: &str, sent: &str, status: u16, body: &'static str) {
///     let Step::Send(transmit) = run.poll(now) else { panic!("nothing to send") };
///     let request = transmit.request;
///     assert_eq!(format!("{} {}", request.method(), request.uri().path()), line);
///     assert_eq!(request.body().as_bytes().unwrap(), sent.as_bytes());
///     let response = http::Response::builder().status(status).body(body.into()).unwrap();
///     run.handle_response(now, response);
/// }
///
/// let plan = RunPlan::temporary("python3", ["print(1)"]).with_token(SessionToken::new("my-session")?);
/// let mut run = Run::new(plan, Caller::new(signer), [7; 32]);
///
/// exchange(
///     &mut run,
///     now,
///     "POST /v2/kernel/create",
///     r#"{"lang":"python3","clientSessionToken":"my-session","limits":{"maxMem":0,"execTimeout":0},"mounts":[]}"#,
///     201,
///     r#"{"kernelId": "6N0hHjQKeTAvdmU5q2Kgow"}"#,
/// );
/// let Step::Event(RunEvent::KernelReady(kernel)) = run.poll(now) else { panic!() };
/// assert_eq!(kernel.as_str(), "6N0hHjQKeTAvdmU5q2Kgow");
///
/// let Step::Event(RunEvent::ExecutionStarted { index: 0 }) = run.poll(now) else { panic!() };
/// exchange(
///     &mut run,
///     now,
///     "POST /v2/kernel/6N0hHjQKeTAvdmU5q2Kgow",
///     r#"{"mode":"query","code":"print(1)"}"#,
///     200,
///     r#"{"result": {"status": "finished", "console": [["stdout", "1\n"]], "options": {}}}"#,
/// );
/// let Step::Event(RunEvent::Execution(ExecutionEvent::Console(console))) = run.poll(now) else { panic!() };
/// assert_eq!(console.stdout(), "1\n");
/// let Step::Event(RunEvent::ExecutionFinished(_)) = run.poll(now) else { panic!() };
///
/// let Step::Event(RunEvent::CleaningUp) = run.poll(now) else { panic!() };
/// exchange(&mut run, now, "DELETE /v2/kernel/6N0hHjQKeTAvdmU5q2Kgow", "", 204, "");
/// let Step::Done(report) = run.poll(now) else { panic!() };
/// assert!(matches!(report.ending, Ending::Finished(Some(_))));
/// assert!(matches!(report.cleanup, Cleanup::Destroyed));
/// assert!(matches!(run.poll(now), Step::Idle)); // from now on
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "a run does nothing until it is polled"]
pub struct Run {
    caller: Caller,
    temporary: bool,
    /// Whether the dialect has a way to end an execution without the kernel.
    frees_kernels: bool,
    /// Whether the gateway of a dialect that has none can interrupt programs.
    interrupts: bool,
    detaches: bool,
    /// Whether the last execution is only started.
    is_detached: bool,
    /// Whether the gateway lets executions go on without a client, and clients attach.
    attaches: bool,
    silence_limit: Option<Duration>,
    busy_wait: Option<Duration>,
    /// The time limit that the plan wants for each execution.
    time_limit: Option<Duration>,
    /// How much output each may have.
    max_output: Option<u64>,
    streaming: Option<Streaming>,
    checks_upload: bool,
    /// The WebSocket of an execution that was cancelled is still open.
    must_close: bool,
    files: Vec<UploadFile>,
    boundary: Boundary,
    executions: std::vec::IntoIter<ExecuteMode>,
    started: usize,
    kernel: Option<KernelId>,
    /// Whether the kernel is known to have run.
    is_ready: bool,
    /// Whether this run made the kernel, or found it, if the gateway says so.
    is_new: Option<bool>,
    other_languages: Vec<String>,
    /// Whether the gateway recognizes marked executions.
    uses_marks: bool,
    /// Whether such a gateway has said that the kernel does not exist any more.
    is_gone: bool,
    /// Whether the gateway understands final executions, and the kernel is temporary.
    uses_final: bool,
    /// Whether the gateway takes files of any size.
    is_any_size: bool,
    /// Whether the gateway understands the modes of files.
    sends_modes: bool,
    /// Whether the gateway carries output and input that are not UTF-8.
    carries_bytes: bool,
    /// Whether values of expressions are wanted, and whether the gateway sends them, once that is known.
    wants_echo: bool,
    /// Whether answers come from a pipe or a file.
    is_piped: bool,
    /// The mark of the first execution, whose standard input is that of the others.
    input_of: Option<String>,
    echoes: Option<bool>,
    /// Whether snippets have run in an interpreter that has not been ended.
    has_interpreter: bool,
    /// Whether the execution only ends that.
    is_closing: bool,
    cancelled: bool,
    /// Whether the creation was repeated, since the first response did not say whether there is a
    /// kernel. From then on there may be one, whatever the responses say.
    created_again: bool,
    phase: Phase,
    events: VecDeque<RunEvent>,
    last: Option<ExecutionResult>,
    ending: Option<Ending>,
}

#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "there is one of these in each run, and it is never moved around"
)]
enum Phase {
    Creating(Create),
    Uploading(Upload),
    /// Files are sent flat, for a gateway that makes no directories, or moved to their places.
    Placing(Placing),
    Executing(Execution),
    Destroying(Removal),
    Over(Option<Cleanup>),
}

impl Run {
    /// A run. It starts when it is polled. The caller's policy applies to each of its requests.
    ///
    /// `random` are 32 random bytes, new for each run: the boundary between the files of an upload
    /// is made of them, and the kernel's token if the plan has none. If the bytes can be guessed,
    /// so can the token, and a file that contains the boundary would end early.
    pub fn new(plan: RunPlan, caller: Caller, random: [u8; 32]) -> Self {
        let [boundary, token] = halves(random);
        let token = plan
            .token
            .unwrap_or_else(|| SessionToken::from_random(token));
        // Files that cannot be uploaded are reported before a kernel exists.
        let most = match plan.is_any_size {
            true => u64::MAX,
            false => caller.version().upload_limits().max_file_size,
        };
        let ending = check_files_of(&plan.files, most)
            .err()
            .map(|error| Ending::Failed(Error::Build(error)));
        let time_limit = plan.spec.limits().exec_timeout();
        let max_output = plan.spec.limits().max_output();
        let phase = if ending.is_some() {
            Phase::Over(Some(Cleanup::NoKernel))
        } else {
            let create = CreateKernel::new(plan.spec, token);
            let create = Create::new(create, caller.clone());
            Phase::Creating(match plan.start_limit {
                Some(limit) => create.with_time_limit(limit),
                None => create,
            })
        };
        Self {
            frees_kernels: caller.version().dialect() == Dialect::BackendAi,
            caller,
            interrupts: false,
            detaches: plan.detaches,
            is_detached: plan.is_detached,
            attaches: false,
            temporary: plan.temporary,
            silence_limit: plan.silence_limit,
            busy_wait: plan.busy_wait,
            time_limit,
            max_output,
            streaming: None,
            checks_upload: true,
            must_close: false,
            files: plan.files,
            boundary: Boundary::from_random(boundary),
            executions: plan.executions.into_iter(),
            started: 0,
            kernel: None,
            is_ready: false,
            is_new: None,
            other_languages: Vec::new(),
            uses_marks: false,
            is_gone: false,
            uses_final: false,
            sends_modes: false,
            is_any_size: plan.is_any_size,
            wants_echo: plan.echoes,
            is_piped: plan.is_piped,
            input_of: None,
            echoes: None,
            carries_bytes: false,
            has_interpreter: plan.ends_interpreter,
            is_closing: false,
            cancelled: false,
            created_again: false,
            phase,
            events: VecDeque::new(),
            last: None,
            ending,
        }
    }

    /// Executes over WebSockets where that is good: see [`Execution::with_streaming`]. With a manager of Backend.AI, that
    /// is only the last execution in a temporary session: what blocks the session does no harm there.
    pub fn with_streaming(mut self, streaming: Streaming) -> Self {
        self.streaming = Some(streaming);
        self
    }

    /// Whether to check that the gateway has stored what was uploaded: see [`Upload::with_check`].
    pub fn with_upload_check(mut self, check: bool) -> Self {
        self.checks_upload = check;
        self
    }

    /// Ends the run as soon as no request is in flight: nothing else is started, and a temporary kernel is destroyed. In a kernel
    /// that is kept, the program is interrupted and its end awaited, as [`Execution::give_up`] does, if the gateway can do that,
    /// and unless the plan [says otherwise](RunPlan::with_detach_on_cancel). The response or failure of a request in flight must still be passed in.
    pub fn cancel(&mut self) {
        self.cancelled = true;
    }

    /// Ends a run that cannot begin, with this error: for one whose gateway's version cannot be
    /// [found out](crate::machine::Negotiate). Does nothing once a request was sent.
    pub fn give_up(&mut self, error: Error) {
        let is_new = match &self.phase {
            Phase::Creating(call) => !call.may_have_acted() && !self.created_again,
            _ => false,
        };
        if is_new {
            self.failed(error);
        }
    }

    /// Gives the input that the program asks for.
    ///
    /// # Errors
    ///
    /// [`UsageError::InputNotExpected`] if the program does not wait for input.
    pub fn answer(&mut self, input: impl Into<String>) -> Result<(), UsageError> {
        match &mut self.phase {
            Phase::Executing(execution) => execution.answer(input),
            _ => Err(UsageError::InputNotExpected),
        }
    }

    /// Gives these bytes as the input that the program asks for: see [`Execution::answer_bytes`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn answer_bytes(&mut self, input: impl Into<Vec<u8>>) -> Result<(), UsageError> {
        match &mut self.phase {
            Phase::Executing(execution) => execution.answer_bytes(input),
            _ => Err(UsageError::InputNotExpected),
        }
    }

    /// Whether the gateway carries output and input that are not UTF-8: see [`Execute::with_bytes`]. `false` before the
    /// kernel is ready.
    #[must_use]
    pub fn carries_bytes(&self) -> bool {
        self.carries_bytes
    }

    /// Whether the program waits for input.
    #[must_use]
    pub fn awaits_input(&self) -> bool {
        matches!(&self.phase, Phase::Executing(execution) if execution.awaits_input())
    }

    /// The kernel, once it is known.
    #[must_use]
    pub fn kernel(&self) -> Option<&KernelId> {
        self.kernel.as_ref()
    }

    /// Whether the kernel is new: `false` for one that the run found by its token, which keeps its environment, resources
    /// and mounts. `None` before the kernel is ready, and if that is not known: gateways of Sorna v2 do not say.
    #[must_use]
    pub fn is_new(&self) -> Option<bool> {
        self.is_new
    }

    /// The languages of other kernels with the same token, as far as the gateway says: see
    /// [`CreatedKernel::other_languages`](crate::CreatedKernel::other_languages).
    #[must_use]
    pub fn other_languages(&self) -> &[String] {
        &self.other_languages
    }

    /// Whether the gateway [recognizes](crate::Execute::with_mark) the executions of this run: then they do not mix with those of
    /// others, and the time limit of the plan's [limits](crate::Limits) counts for them even if the kernel existed. Known once the
    /// kernel is ready.
    #[must_use]
    pub fn has_marked_executions(&self) -> bool {
        self.uses_marks
    }

    /// Whether the gateway sends [values of expressions](RunPlan::with_echo) in the language of the kernel, whether or not the
    /// plan asks for them. `None` before the kernel is ready.
    #[must_use]
    pub fn echoes(&self) -> Option<bool> {
        self.echoes
    }

    /// The [run ID](Execution::run_id) of the execution that has started, if it has one: known from
    /// [`RunEvent::ExecutionStarted`] on, before its code is sent.
    #[must_use]
    pub fn run_id(&self) -> Option<&str> {
        match &self.phase {
            Phase::Executing(execution) => execution.run_id(),
            _ => None,
        }
    }

    fn finish(&mut self, ending: Ending) {
        self.ending.get_or_insert(ending);
        self.must_close |=
            matches!(&self.phase, Phase::Executing(execution) if execution.is_open());
        self.phase = match (&self.kernel, self.temporary) {
            (None, _) => Phase::Over(Some(Cleanup::NoKernel)),
            (Some(_), false) => Phase::Over(Some(Cleanup::Kept)),
            (Some(_), true) if self.is_gone => Phase::Over(Some(Cleanup::Destroyed)),
            (Some(kernel), true) => {
                self.events.push_back(RunEvent::CleaningUp);
                let removal = Removal::new(kernel.clone(), self.caller.clone());
                Phase::Destroying(match &self.phase {
                    Phase::Creating(_) if !self.is_ready => removal.until_settled(),
                    _ => removal,
                })
            }
        };
    }

    /// The machine whose requests are sent in this phase.
    fn current(&mut self) -> Option<&mut dyn Exchange> {
        match &mut self.phase {
            Phase::Creating(create) => Some(create),
            Phase::Uploading(upload) => Some(upload),
            Phase::Placing(placing) => Some(placing),
            Phase::Executing(execution) => Some(execution),
            Phase::Destroying(removal) => Some(removal),
            Phase::Over(_) => None,
        }
    }

    /// Acts on a cancellation once nothing is in flight. Whether an execution is to stop, once it has reported what it knows.
    fn check_cancelled(&mut self) -> bool {
        if !self.cancelled {
            return false;
        }
        let may_stop = match &mut self.phase {
            // A kernel that the gateway may have created must first be found.
            Phase::Creating(create) => {
                self.kernel = create.kernel().cloned();
                if self.kernel.is_some() {
                    !create.is_in_flight()
                } else {
                    !create.may_have_acted() && !create.is_in_flight() && !self.created_again
                }
            }
            Phase::Uploading(upload) => !upload.is_in_flight(),
            Phase::Placing(placing) => !placing.is_in_flight(),
            // A kernel that is kept must be free.
            Phase::Executing(execution)
                if !self.temporary
                    && match self.detaches {
                        true => self.frees_kernels && !self.attaches,
                        false => self.frees_kernels || self.interrupts,
                    } =>
            {
                execution.give_up();
                false
            }
            // Whether it has begun is known with the next response.
            Phase::Executing(execution) if !self.temporary && execution.awaits_turn() => {
                execution.give_up();
                false
            }
            Phase::Executing(execution) => {
                return !execution.is_in_flight() && !execution.asks_once_more();
            }
            Phase::Destroying(_) | Phase::Over(_) => false,
        };
        if may_stop {
            self.finish(Ending::Cancelled);
        }
        false
    }

    fn created(&mut self, kernel: KernelId) {
        self.events.push_back(RunEvent::KernelReady(kernel.clone()));
        self.kernel = Some(kernel.clone());
        self.is_ready = true;
        if self.cancelled {
            self.finish(Ending::Cancelled);
        } else if self.is_detached && !self.attaches {
            let what = "executions without a client";
            self.failed(BuildError::NotOffered { what }.into());
        } else if self.files.is_empty() {
            self.execute_next();
        } else {
            let files = std::mem::take(&mut self.files);
            let upload = Upload::new(kernel, files, self.boundary, self.caller.clone());
            let upload = upload.with_any_size(self.is_any_size);
            let upload = upload.with_check(self.checks_upload);
            self.phase = Phase::Uploading(upload.with_modes(self.sends_modes));
        }
    }

    fn uploaded(&mut self, progress: UploadProgress) {
        self.events.push_back(RunEvent::Uploaded(progress));
        self.execute_next();
    }

    /// Files for which only directories are missing are sent without, and moved.
    fn not_uploaded(&mut self, error: Error) {
        let (rejected, upload, kernel) = match (error, &mut self.phase, &self.kernel) {
            (Error::FilesRejected(rejected), Phase::Uploading(upload), Some(kernel))
                if !self.cancelled =>
            {
                (rejected, upload, kernel.clone())
            }
            (error, ..) => return self.failed(error),
        };
        let caller = self.caller.clone();
        let is_any_size = self.is_any_size;
        match Placing::after(upload, rejected, kernel, self.boundary, caller, is_any_size) {
            Ok(placing) => self.phase = Phase::Placing(placing),
            Err(rejected) => self.failed(Error::FilesRejected(rejected)),
        }
    }

    fn execute_next(&mut self) {
        let next = self.kernel.clone().zip(self.executions.next());
        let Some((kernel, mode)) = next else {
            self.conclude();
            return;
        };
        self.events.push_back(RunEvent::ExecutionStarted {
            index: self.started,
        });
        self.started += 1;
        let is_last = self.temporary && self.executions.len() == 0;
        let is_query = matches!(mode, ExecuteMode::Query { .. });
        let is_final = is_query && is_last && self.uses_final;
        if is_query {
            self.has_interpreter = !is_final;
        }
        let echoes = is_query && self.wants_echo && self.echoes == Some(true);
        let start = Execute::start(kernel, mode);
        let start = start.with_final(is_final).with_echo(echoes);
        self.execute(start, is_last);
    }

    fn execute(&mut self, start: Execute, is_last: bool) {
        let mark = RunMark::default()
            .with_time_limit(self.time_limit)
            .with_max_output(self.max_output)
            .with_unclaimed(!self.temporary)
            .with_persistence(self.attaches)
            .with_detached(self.is_detached && self.executions.len() == 0)
            .with_piped_input(self.is_piped)
            .with_input_of(self.input_of.clone());
        let start = start
            .with_bytes(self.carries_bytes)
            .with_mark(self.uses_marks.then_some(mark));
        let execution = Execution::of(start, self.caller.clone());
        let mut execution = execution.with_interrupts(self.interrupts);
        if let Some(limit) = self.busy_wait {
            execution.wait_while_busy(limit);
        }
        if let Some(limit) = self.silence_limit {
            execution = execution.with_silence_limit(limit);
        }
        if let Some(streaming) = self.streaming.filter(|it| it.never_blocks() || is_last) {
            execution = execution.with_streaming(streaming);
        }
        if is_last {
            execution = execution.in_last_use();
        }
        self.phase = Phase::Executing(execution);
    }

    /// Everything that is to be executed has been. What the interpreter does at its end is part of the run, too.
    fn conclude(&mut self) {
        let kernel = self.kernel.clone();
        match kernel.filter(|_| self.uses_final && self.has_interpreter) {
            Some(kernel) => {
                self.has_interpreter = false;
                self.is_closing = true;
                let nothing = Execute::start(kernel, ExecuteMode::query(""));
                self.execute(nothing.with_final(true), true);
            }
            None => {
                let last = self.last.take();
                self.finish(Ending::Finished(last));
            }
        }
    }

    fn executed(&mut self, result: ExecutionResult) {
        let timed_out = result.status == ExecutionStatus::ExecTimeout;
        let has_failed = fails(&result);
        if self.is_closing {
            let is_known = self.last.as_ref().is_some_and(fails);
            if has_failed && !is_known {
                self.last = Some(result);
            }
            let last = self.last.take();
            return self.finish(if self.cancelled {
                Ending::Cancelled
            } else {
                Ending::Finished(last)
            });
        }
        self.events
            .push_back(RunEvent::ExecutionFinished(result.clone()));
        self.last = Some(result);
        if self.cancelled {
            self.finish(Ending::Cancelled);
        } else if has_failed {
            // Its interpreter was killed.
            self.has_interpreter &= !timed_out;
            self.conclude();
        } else {
            self.execute_next();
        }
    }

    fn failed(&mut self, error: Error) {
        let stays_busy = !self.temporary
            && matches!(&error, Error::Aborted(aborted) if self.frees_kernels && !aborted.is_freed);
        self.is_gone |= self.uses_marks
            && matches!(&error, Error::Gateway(error)
                if error.is_not_found() && Destroy::is_gone(self.caller.version(), error));
        let ending = if self.cancelled && !stays_busy {
            Ending::Cancelled
        } else {
            Ending::Failed(error)
        };
        self.finish(ending);
    }
}

/// Whether nothing is executed after this.
fn fails(result: &ExecutionResult) -> bool {
    result.status == ExecutionStatus::ExecTimeout
        || result.exit_code().is_some_and(|code| code != 0)
}

/// Splits random bytes for two uses.
fn halves(random: [u8; 32]) -> [[u8; 16]; 2] {
    let (mut first, mut second) = ([0; 16], [0; 16]);
    first.copy_from_slice(&random[..16]);
    second.copy_from_slice(&random[16..]);
    [first, second]
}

/// Whether a response came that does not say whether there is a kernel, so the same token may find
/// it. (Where no response came, the call has retried already.)
fn is_unusable(error: &Error) -> bool {
    match error {
        Error::Parse(_) => true,
        Error::Gateway(error) => !error.is_conclusive() && !error.is_retryable(),
        Error::Transport(failure) => failure.kind() == TransportErrorKind::TooLarge,
        _ => false,
    }
}

/// Whether the session is known to have ended before it ran, so that there is none to look for.
fn has_ended(error: &Error) -> bool {
    matches!(error, Error::NotRunning(session) if session.status.is_dying())
}

impl Machine for Run {
    type Event = RunEvent;
    type Output = RunReport;

    fn poll(&mut self, now: Moment) -> Step<RunEvent, RunReport> {
        loop {
            let stops = self.check_cancelled();
            if let Phase::Executing(execution) = &mut self.phase {
                execution.choose_run_id(now);
                if self.uses_marks && self.input_of.is_none() {
                    self.input_of = execution.mark_id().map(str::to_owned);
                }
            }
            if let Some(event) = self.events.pop_front() {
                return Step::Event(event);
            }
            if std::mem::take(&mut self.must_close) {
                return Step::Close;
            }
            match &mut self.phase {
                Phase::Creating(create) => match create.poll(now).split() {
                    Ok(Ok(created)) => {
                        self.is_new = create.is_new(&created).filter(|_| !self.created_again);
                        self.other_languages.clone_from(&created.other_languages);
                        self.sends_modes = created.has_file_modes();
                        self.uses_marks = created.has_marked_executions();
                        self.interrupts = created.has_interrupts();
                        self.attaches = created.has_attaching();
                        self.echoes = Some(created.echoes());
                        self.uses_final = self.temporary && created.has_final_executions();
                        self.carries_bytes = created.carries_bytes();
                        self.created(created.id);
                    }
                    Ok(Err(error))
                        if self.temporary && !self.created_again && is_unusable(&error) =>
                    {
                        self.created_again = true;
                        create.again();
                    }
                    Ok(Err(error)) => {
                        // An earlier attempt may have created it; and a response that cannot be
                        // understood may come from a successful creation.
                        let unknown = self.temporary
                            && !has_ended(&error)
                            && (self.created_again
                                || create.may_have_acted()
                                || error.may_have_acted());
                        self.kernel = create.kernel().cloned();
                        self.failed(error);
                        if unknown && self.kernel.is_none() {
                            self.phase = Phase::Over(Some(Cleanup::Unknown));
                        }
                    }
                    Err(step) => return step.within(RunEvent::SessionPending),
                },
                Phase::Uploading(upload) => match upload.poll(now).split() {
                    Ok(Ok(progress)) => self.uploaded(progress),
                    Ok(Err(error)) => self.not_uploaded(error),
                    Err(step) => return step.within(RunEvent::Uploading),
                },
                Phase::Placing(placing) => match placing.poll(now).split() {
                    Ok(Ok(progress)) => self.uploaded(progress),
                    Ok(Err(error)) => self.failed(error),
                    Err(step) => return step.within(|never| match never {}),
                },
                Phase::Executing(execution) => {
                    let is_open = execution.is_open();
                    match execution.poll(now).split() {
                        Ok(Ok(result)) => self.executed(result),
                        Ok(Err(error)) => self.failed(error),
                        Err(step) if !stops || matches!(step, Step::Event(_) | Step::Close) => {
                            return step.within(RunEvent::Execution);
                        }
                        // What it would do next is not done.
                        Err(_) => {
                            self.finish(Ending::Cancelled);
                            self.must_close = is_open;
                        }
                    }
                }
                Phase::Destroying(removal) => match removal.poll(now).split() {
                    Ok(result) => {
                        let cleanup = match result {
                            Err(error) => Cleanup::Failed(error),
                            Ok(()) => Cleanup::Destroyed,
                        };
                        self.phase = Phase::Over(Some(cleanup));
                    }
                    Err(step) => return step.within(|never| match never {}),
                },
                Phase::Over(cleanup) => {
                    let Some(cleanup) = cleanup.take() else {
                        return Step::Idle;
                    };
                    return Step::Done(RunReport {
                        kernel: self.kernel.clone(),
                        ending: self.ending.take().unwrap_or(Ending::Cancelled),
                        cleanup,
                    });
                }
            }
        }
    }

    fn handle_response(&mut self, now: Moment, response: Response<Bytes>) {
        if let Some(exchange) = self.current() {
            exchange.handle_response(now, response);
        }
    }

    fn handle_failure(&mut self, now: Moment, failure: TransportError) {
        if let Some(exchange) = self.current() {
            exchange.handle_failure(now, failure);
        }
    }

    fn handle_open(&mut self, now: Moment) {
        if let Some(exchange) = self.current() {
            exchange.handle_open(now);
        }
    }

    fn handle_frame(&mut self, now: Moment, frame: Frame) {
        if let Some(exchange) = self.current() {
            exchange.handle_frame(now, frame);
        }
    }

    fn handle_close(&mut self, now: Moment, code: Option<u16>, reason: &str) {
        if let Some(exchange) = self.current() {
            exchange.handle_close(now, code, reason);
        }
    }
}
