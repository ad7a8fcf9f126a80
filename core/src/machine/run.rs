//! A whole run: create a kernel, upload files, execute, destroy the kernel.

use std::collections::VecDeque;

use bytes::Bytes;
use http::Response;

use super::{Call, Execution, ExecutionEvent, Machine, Step, Upload, UploadProgress};
use crate::caller::Caller;
use crate::error::{Error, TransportError, TransportErrorKind, UsageError};
use crate::ident::KernelId;
use crate::moment::Moment;
use crate::ops::{
    Boundary, CreateKernel, Destroy, ExecuteMode, ExecutionResult, UploadFile, check_files,
};

/// What a run is to do.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RunPlan {
    /// The kernel to get or create.
    pub create: CreateKernel,
    /// Whether the kernel is destroyed at the end, however the run ends.
    pub temporary: bool,
    /// Files to upload first.
    pub files: Vec<UploadFile>,
    /// What separates them in a request.
    pub boundary: Boundary,
    /// What to execute, one after the other. After one that fails (whose exit code is known not to
    /// be 0) or times out, the rest is skipped.
    pub executions: Vec<ExecuteMode>,
}

impl RunPlan {
    /// A run in a temporary kernel, without files.
    #[must_use]
    pub fn temporary(create: CreateKernel, executions: Vec<ExecuteMode>) -> Self {
        Self {
            create,
            temporary: true,
            files: Vec::new(),
            boundary: Boundary::from_random([0; 16]),
            executions,
        }
    }

    /// Keeps the kernel at the end, for later runs with the same token.
    #[must_use]
    pub fn keeping_the_kernel(mut self) -> Self {
        self.temporary = false;
        self
    }

    /// Uploads these files first. The boundary is made of random bytes.
    #[must_use]
    pub fn with_files(mut self, files: Vec<UploadFile>, boundary: Boundary) -> Self {
        self.files = files;
        self.boundary = boundary;
        self
    }
}

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
/// Every step of [`Call`], [`Upload`] and [`Execution`] passes through; `Over` gives `Step::Done` once.
///
/// A temporary kernel is destroyed on every way out. If the request to create it got no answer, or one
/// that cannot be understood, it may exist all the same; creating again with the same token finds it,
/// so that is tried first. Files that cannot be uploaded (larger than 1 MiB, two of one name) end the run
/// before a kernel is created.
///
/// ```
/// use std::time::{Duration, UNIX_EPOCH};
/// use sorna_core::machine::{
///     Cleanup, Ending, ExecutionEvent, Machine, Run, RunEvent, RunPlan, Step,
/// };
/// use sorna_core::{Caller, CreateKernel, ExecuteMode, Instant, Moment, SessionToken};
/// # use sorna_core::{AccessKey, Config, Credentials, SecretKey, Signer};
/// # let keys = Credentials::new(AccessKey::new("AK")?, SecretKey::new("SK")?);
/// # let signer = Signer::new(Config::new("http://127.0.0.1:8081".parse()?, keys));
/// # let now = Moment::new(UNIX_EPOCH + Duration::from_secs(1_498_699_425), Instant::default(), 42);
///
/// // Polls, compares the request with what is expected, and answers it.
/// fn exchange(run: &mut Run, now: Moment, line: &str, sent: &str, status: u16, answer: &'static str) {
///     let Step::Send(transmit) = run.poll(now) else { panic!("nothing to send") };
///     let request = transmit.request;
///     assert_eq!(format!("{} {}", request.method(), request.uri().path()), line);
///     assert_eq!(request.body().as_bytes().unwrap(), sent.as_bytes());
///     let answer = http::Response::builder().status(status).body(answer.into()).unwrap();
///     run.handle_response(now, answer);
/// }
///
/// let create = CreateKernel::new("python3", SessionToken::new("my-session")?);
/// let plan = RunPlan::temporary(create, vec![ExecuteMode::query("print(1)")]);
/// let mut run = Run::new(plan, Caller::new(signer));
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
/// assert!(matches!(run.poll(now), Step::Idle)); // for ever
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Run {
    caller: Caller,
    temporary: bool,
    files: Vec<UploadFile>,
    boundary: Boundary,
    executions: std::vec::IntoIter<ExecuteMode>,
    started: usize,
    kernel: Option<KernelId>,
    cancelled: bool,
    /// Whether the creation was asked for once more, as the first answer did not tell what became of
    /// it. From then on there may be a kernel, whatever comes.
    asked_again: bool,
    phase: Phase,
    events: VecDeque<RunEvent>,
    last: Option<ExecutionResult>,
    ending: Option<Ending>,
}

/// What happens during a run.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum RunEvent {
    /// The kernel is there.
    KernelReady(KernelId),
    /// The gateway took some of the files.
    Uploading(UploadProgress),
    /// The gateway took all of the files.
    Uploaded(UploadProgress),
    /// An execution starts.
    ExecutionStarted {
        /// Its place in the plan, from 0.
        index: usize,
    },
    /// Something happened in it. After `InputRequested`, call [`Run::answer`].
    Execution(ExecutionEvent),
    /// It ended.
    ExecutionFinished(ExecutionResult),
    /// The temporary kernel is about to be destroyed.
    CleaningUp,
}

/// How a run ended.
#[derive(Debug)]
#[non_exhaustive]
pub struct RunReport {
    /// The kernel, if it is known.
    pub kernel: Option<KernelId>,
    /// How it ended.
    pub ending: Ending,
    /// What became of the kernel.
    pub cleanup: Cleanup,
}

/// How the work itself ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum Ending {
    /// Everything planned was done, or an execution timed out or ended with another exit code than
    /// 0 (see its result). Holds the last result, without its console.
    Finished(Option<ExecutionResult>),
    /// The caller cancelled.
    Cancelled,
    /// Something failed.
    Failed(Error),
}

/// What became of the kernel.
#[derive(Debug)]
#[non_exhaustive]
pub enum Cleanup {
    /// It was not temporary and goes on living.
    Kept,
    /// There was none to destroy.
    NoKernel,
    /// It is destroyed, or was gone already.
    Destroyed,
    /// It could not be destroyed, and goes on living until the gateway's idle timeout.
    Failed(Error),
    /// The request to create it got no answer, and trying again to find it failed: it may or may
    /// not exist.
    Unknown,
}

#[derive(Debug)]
enum Phase {
    Creating(Call<CreateKernel>),
    Uploading(Upload),
    Executing(Execution),
    Destroying(Call<Destroy>),
    Over(Option<Cleanup>),
}

impl Run {
    /// A run, not yet begun. The caller's policy is for each of its requests.
    #[must_use]
    pub fn new(plan: RunPlan, caller: Caller) -> Self {
        // What cannot be uploaded is told before a kernel exists.
        let ending = check_files(&plan.files, caller.version())
            .err()
            .map(|error| Ending::Failed(Error::Build(error)));
        let phase = if ending.is_some() {
            Phase::Over(Some(Cleanup::NoKernel))
        } else {
            Phase::Creating(Call::new(plan.create, caller.clone()))
        };
        Self {
            caller,
            temporary: plan.temporary,
            files: plan.files,
            boundary: plan.boundary,
            executions: plan.executions.into_iter(),
            started: 0,
            kernel: None,
            cancelled: false,
            asked_again: false,
            phase,
            events: VecDeque::new(),
            last: None,
            ending,
        }
    }

    /// Ends the run as soon as no request is on its way: nothing further is started, and a temporary
    /// kernel is destroyed. A request on its way must still be answered or reported as failed.
    pub fn cancel(&mut self) {
        self.cancelled = true;
    }

    /// Answers the program's request for input.
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

    fn finish(&mut self, ending: Ending) {
        self.ending.get_or_insert(ending);
        self.phase = match (&self.kernel, self.temporary) {
            (None, _) => Phase::Over(Some(Cleanup::NoKernel)),
            (Some(_), false) => Phase::Over(Some(Cleanup::Kept)),
            (Some(kernel), true) => {
                self.events.push_back(RunEvent::CleaningUp);
                let destroy = Destroy::new(kernel.clone());
                Phase::Destroying(Call::new(destroy, self.caller.clone()))
            }
        };
    }

    /// Acts on a cancellation once nothing is on its way.
    fn check_cancelled(&mut self) {
        let may_stop = match &self.phase {
            // What the gateway may have created must first be found.
            Phase::Creating(call) => !call.may_have_acted() && !self.asked_again,
            Phase::Uploading(upload) => !upload.is_in_flight(),
            Phase::Executing(execution) => !execution.is_in_flight(),
            Phase::Destroying(_) | Phase::Over(_) => false,
        };
        if self.cancelled && may_stop {
            self.finish(Ending::Cancelled);
        }
    }

    fn created(&mut self, kernel: KernelId) {
        self.events.push_back(RunEvent::KernelReady(kernel.clone()));
        self.kernel = Some(kernel.clone());
        if self.cancelled {
            self.finish(Ending::Cancelled);
        } else if self.files.is_empty() {
            self.execute_next();
        } else {
            self.phase = Phase::Uploading(Upload::new(
                kernel,
                std::mem::take(&mut self.files),
                self.boundary,
                self.caller.clone(),
            ));
        }
    }

    fn execute_next(&mut self) {
        let next = self.kernel.clone().zip(self.executions.next());
        let Some((kernel, mode)) = next else {
            let last = self.last.take();
            self.finish(Ending::Finished(last));
            return;
        };
        self.events.push_back(RunEvent::ExecutionStarted {
            index: self.started,
        });
        self.started += 1;
        let execution = Execution::new(kernel, mode, self.caller.clone());
        self.phase = Phase::Executing(execution);
    }

    fn executed(&mut self, result: ExecutionResult) {
        let has_failed = result.status == crate::ops::ExecutionStatus::ExecTimeout
            || result.exit_code().is_some_and(|code| code != 0);
        self.events
            .push_back(RunEvent::ExecutionFinished(result.clone()));
        self.last = Some(result);
        if has_failed {
            let last = self.last.take();
            self.finish(Ending::Finished(last));
        } else {
            self.execute_next();
        }
    }

    fn failed(&mut self, error: Error) {
        let ending = if self.cancelled {
            Ending::Cancelled
        } else {
            Ending::Failed(error)
        };
        self.finish(ending);
    }
}

/// Whether an answer came that does not tell what became of the kernel, so that the same token may find
/// it. (Where none came the call has tried again already.)
fn is_unusable(error: &Error) -> bool {
    match error {
        Error::Parse(_) => true,
        Error::Gateway(refusal) => !refusal.is_conclusive() && !refusal.is_retryable(),
        Error::Transport(failure) => failure.kind() == TransportErrorKind::TooLarge,
        _ => false,
    }
}

impl Machine for Run {
    type Event = RunEvent;
    type Output = RunReport;

    fn poll(&mut self, now: Moment) -> Step<RunEvent, RunReport> {
        loop {
            self.check_cancelled();
            if let Some(event) = self.events.pop_front() {
                return Step::Event(event);
            }
            match &mut self.phase {
                Phase::Creating(call) => match call.poll(now).split() {
                    Ok(Ok(reply)) => self.created(reply.value.id),
                    Ok(Err(error))
                        if self.temporary && !self.asked_again && is_unusable(&error) =>
                    {
                        self.asked_again = true;
                        let create = call.operation().clone();
                        *call = Call::new(create, self.caller.clone());
                    }
                    Ok(Err(error)) => {
                        // Whatever the last try brought, an earlier one may have made it; and an
                        // answer that is not understood may be that of a new kernel.
                        let unknown = self.temporary
                            && (self.asked_again
                                || call.may_have_acted()
                                || error.may_have_acted());
                        self.failed(error);
                        if unknown {
                            self.phase = Phase::Over(Some(Cleanup::Unknown));
                        }
                    }
                    Err(step) => return step.within(|never| match never {}),
                },
                Phase::Uploading(upload) => match upload.poll(now).split() {
                    Ok(Ok(progress)) => {
                        self.events.push_back(RunEvent::Uploaded(progress));
                        self.execute_next();
                    }
                    Ok(Err(error)) => self.failed(error),
                    Err(step) => return step.within(RunEvent::Uploading),
                },
                Phase::Executing(execution) => match execution.poll(now).split() {
                    Ok(Ok(result)) => self.executed(result),
                    Ok(Err(error)) => self.failed(error),
                    Err(step) => return step.within(RunEvent::Execution),
                },
                Phase::Destroying(call) => match call.poll(now).split() {
                    Ok(result) => {
                        let cleanup = match result {
                            Err(error) if !error.is_not_found() => Cleanup::Failed(error),
                            _ => Cleanup::Destroyed,
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
        match &mut self.phase {
            Phase::Creating(call) => call.handle_response(now, response),
            Phase::Uploading(upload) => upload.handle_response(now, response),
            Phase::Executing(execution) => execution.handle_response(now, response),
            Phase::Destroying(call) => call.handle_response(now, response),
            Phase::Over(_) => {}
        }
    }

    fn handle_failure(&mut self, now: Moment, failure: TransportError) {
        match &mut self.phase {
            Phase::Creating(call) => call.handle_failure(now, failure),
            Phase::Uploading(upload) => upload.handle_failure(now, failure),
            Phase::Executing(execution) => execution.handle_failure(now, failure),
            Phase::Destroying(call) => call.handle_failure(now, failure),
            Phase::Over(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Driver, caller, problem, reply};
    use super::*;
    use crate::error::{Sent, TransportErrorKind};
    use crate::ident::SessionToken;

    const CREATE: &str = "POST /v2/kernel/create";
    const EXECUTE: &str = "POST /v2/kernel/k1";
    const DESTROY: &str = "DELETE /v2/kernel/k1";

    fn plan(codes: &[&str]) -> RunPlan {
        let create = CreateKernel::new("python3", SessionToken::new("12345678").unwrap());
        let executions = codes.iter().map(|code| ExecuteMode::query(*code)).collect();
        RunPlan::temporary(create, executions)
    }

    fn run(plan: RunPlan) -> Driver<Run> {
        Driver::new(Run::new(plan, caller()))
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
        let plan = plan(&["1"]).with_files(files, Boundary::from_random([1; 16]));
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

    #[test]
    fn files_that_cannot_be_uploaded_cost_no_kernel() {
        let file = UploadFile::from_file("big", "big", 2 * 1024 * 1024).unwrap();
        let mut run = run(plan(&[]).with_files(vec![file], Boundary::from_random([1; 16])));
        let report = run.done();
        assert!(matches!(report.ending, Ending::Failed(Error::Build(_))));
        assert!(matches!(report.cleanup, Cleanup::NoKernel));
    }

    #[test]
    fn a_kernel_with_a_token_is_kept() {
        let mut run = ready(plan(&[]).keeping_the_kernel());
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
    fn a_failure_on_the_way_destroys_the_kernel() {
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
    fn cancelling_waits_for_the_request_on_its_way() {
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
    fn a_kernel_whose_answer_is_there_already_is_destroyed_when_cancelling() {
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
    fn a_refusal_after_a_lost_answer_does_not_prove_that_there_is_no_kernel() {
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
        // Not the gateway's own words: it may have been broken when the kernel was there.
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
    fn a_creation_with_an_unusable_answer_is_asked_for_again() {
        for answer in [
            reply(201, "garbled"),
            reply(200, "<html>"),
            reply(500, "oops"),
        ] {
            let mut run = run(plan(&[]));
            let first = run.sends_body(CREATE);
            run.answers(answer);
            assert_eq!(run.sends_body(CREATE), first);
            run.answers(reply(201, r#"{"kernelId": "k1"}"#));
            assert!(matches!(run.event(), RunEvent::KernelReady(_)));
            run.event();
            run.sends(DESTROY);
            run.answers(reply(204, ""));
            assert!(matches!(run.done().cleanup, Cleanup::Destroyed));
        }
        // A refusal of the second does not tell of the first, and a cancellation must find it.
        let mut refused = run(plan(&[]));
        refused.sends(CREATE);
        refused.answers(reply(201, "garbled"));
        refused.machine.cancel();
        refused.sends(CREATE);
        refused.answers(problem(412, "quota-exceeded"));
        let report = refused.done();
        assert!(matches!(report.ending, Ending::Cancelled));
        assert!(matches!(report.cleanup, Cleanup::Unknown));
        // One that is kept needs no looking for: the caller has the token.
        let mut kept = run(plan(&[]).keeping_the_kernel());
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
}
