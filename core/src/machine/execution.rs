//! One execution, from its first request to its end.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use http::Response;

use super::call::Call;
use super::step::{Machine, Step};
use crate::caller::Caller;
use crate::console::Console;
use crate::error::{Error, TransportError, UsageError};
use crate::ident::KernelId;
use crate::instant::Instant;
use crate::moment::Moment;
use crate::ops::{Continuation, Execute, ExecuteMode, ExecutionResult, ExecutionStatus};

/// The least time between two requests for output if the first had none. A gateway holds such a request for
/// about 2 s; one that does not must not be flooded.
const LEAST_INTERVAL: Duration = Duration::from_millis(200);

/// Executes code until it ends.
///
/// ```text
///   new ─► Calling ──────────► a result: its console, and its status
///           ▲  ▲                 │             │              │
///           │  │   continued,    │             │ waiting-     │ finished,
///           │  │   …-finished,   │             │ input        │ exec-timeout,
///           │  │   unknown       │             │              │ an error
///           │  └── (Pausing) ◄───┘             ▼              ▼
///           └────── answer(…) ◄────────── AwaitingInput      Over (Idle from then on)
///                                         Step::Idle         Step::Done
/// ```
///
/// The console of a result is reported as an event before anything else. A gateway holds a request for
/// output for about 2 s. Some do not: if a result without output arrives within 200 ms of its
/// request, the machine waits for the rest of the 200 ms (`Step::Wait`).
///
/// The first request has the code, each further one `""` or the input, with the same mode (and steps,
/// for a batch). Source: the API manual of 2017, "Code execution"; observed on gateway 0.9.11: code
/// that is sent with a continuation is ignored, and after a failed build the `exec` step still
/// runs.
///
/// ```
/// use std::time::{Duration, UNIX_EPOCH};
/// use sorna_core::machine::{Execution, ExecutionEvent, Machine, Step};
/// use sorna_core::{Caller, ExecuteMode, Instant, KernelId, Moment};
/// # use sorna_core::{AccessKey, Config, Credentials, SecretKey, Signer};
/// # let keys = Credentials::new(AccessKey::new("AK")?, SecretKey::new("SK")?);
/// # let signer = Signer::new(Config::new("http://127.0.0.1:8081".parse()?, keys));
/// # let now = Moment::new(UNIX_EPOCH + Duration::from_secs(1_498_699_425), Instant::default(), 42);
///
/// let code = ExecuteMode::query("name = input('name? '); print('hi', name)");
/// let kernel = KernelId::new("zuF1OzMIhFknyjUl7Apbvg")?;
/// let mut execution = Execution::new(kernel, code, Caller::new(signer));
///
/// let Step::Send(transmit) = execution.poll(now) else { panic!() };
/// assert_eq!(
///     transmit.request.body().as_bytes().unwrap(),
///     br#"{"mode":"query","code":"name = input('name? '); print('hi', name)"}"#,
/// );
/// let response = r#"{"result": {"status": "waiting-input", "console": [["stdout", "name? "]],
///                             "options": {"is_password": false}}}"#;
/// execution.handle_response(now, http::Response::new(response.into()));
///
/// let Step::Event(ExecutionEvent::Console(console)) = execution.poll(now) else { panic!() };
/// assert_eq!(console.stdout(), "name? ");
/// let Step::Event(ExecutionEvent::InputRequested { is_password }) = execution.poll(now) else { panic!() };
/// assert!(!is_password);
/// execution.answer("lablup")?;
///
/// let Step::Send(transmit) = execution.poll(now) else { panic!() };
/// assert_eq!(transmit.request.body().as_bytes().unwrap(), br#"{"mode":"query","code":"lablup"}"#);
/// let response = r#"{"result": {"status": "continued", "console": [["stdout", "hi "]]}}"#;
/// execution.handle_response(now, http::Response::new(response.into()));
///
/// let Step::Event(ExecutionEvent::Console(_)) = execution.poll(now) else { panic!() };
/// let Step::Send(transmit) = execution.poll(now) else { panic!() };
/// assert_eq!(transmit.request.body().as_bytes().unwrap(), br#"{"mode":"query","code":""}"#);
/// let response = r#"{"result": {"status": "finished", "console": [["stdout", "lablup\n"]]}}"#;
/// execution.handle_response(now, http::Response::new(response.into()));
///
/// let Step::Event(ExecutionEvent::Console(_)) = execution.poll(now) else { panic!() };
/// let Step::Done(Ok(end)) = execution.poll(now) else { panic!() };
/// assert_eq!(end.exit_code(), None); // this gateway does not send it
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "an execution does nothing until it is polled"]
pub struct Execution {
    /// The operation of the next request.
    execute: Execute,
    caller: Caller,
    state: State,
    events: VecDeque<ExecutionEvent>,
    /// When the last request was sent, for the pace of the next.
    sent: Instant,
}

/// What happens while code runs.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ExecutionEvent {
    /// Output.
    Console(Console),
    /// The program waits for a line of input: call [`Execution::answer`] before polling on.
    InputRequested {
        /// Whether the line should not be shown while it is typed.
        is_password: bool,
    },
    /// A step of a batch ended; the next one follows.
    StepFinished {
        /// `BuildFinished`, `CleanFinished`.
        status: ExecutionStatus,
        /// The step's exit code, if the gateway sent it.
        exit_code: Option<i64>,
    },
    /// The gateway reported a status that this version does not know, and whose name does not say
    /// that this is the end. The execution continues.
    Unknown(ExecutionResult),
}

#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "each execution has one of these, and it is never moved"
)]
enum State {
    Calling(Call<Execute>),
    AwaitingInput,
    Pausing(Instant),
    /// How it ended; `None` once that was polled.
    Over(Option<Result<ExecutionResult, Error>>),
}

impl Execution {
    /// An execution. It starts when it is polled. The caller's policy applies to each of its requests.
    pub fn new(kernel: KernelId, mode: ExecuteMode, caller: Caller) -> Self {
        let execute = Execute::start(kernel, mode);
        // Later requests need the mode, but not the code.
        let rest = execute.proceed(Continuation::Continue);
        Self {
            state: State::Calling(Call::new(execute, caller.clone())),
            execute: rest,
            caller,
            events: VecDeque::new(),
            sent: Instant::default(),
        }
    }

    /// Gives the input that the program asks for. A line end is not added: interpreters expect none.
    ///
    /// # Errors
    ///
    /// [`UsageError::InputNotExpected`] if the program does not wait for input.
    pub fn answer(&mut self, input: impl Into<String>) -> Result<(), UsageError> {
        if !self.awaits_input() {
            return Err(UsageError::InputNotExpected);
        }
        self.proceed(Continuation::Input(input.into()));
        Ok(())
    }

    /// Whether the program waits for input.
    #[must_use]
    pub fn awaits_input(&self) -> bool {
        matches!(self.state, State::AwaitingInput)
    }

    /// Whether a request is in flight.
    pub(super) fn is_in_flight(&self) -> bool {
        matches!(&self.state, State::Calling(call) if call.is_in_flight())
    }

    fn proceed(&mut self, continuation: Continuation) {
        let next = self.execute.proceed(continuation);
        self.state = State::Calling(Call::new(next, self.caller.clone()));
    }

    fn received(&mut self, now: Moment, mut result: ExecutionResult) {
        let console = std::mem::take(&mut result.console);
        let silent = console.is_empty();
        if !silent {
            self.events.push_back(ExecutionEvent::Console(console));
        }
        if result.status.is_end() {
            self.state = State::Over(Some(Ok(result)));
            return;
        }
        self.execute.remember(&result);
        match result.status {
            ExecutionStatus::WaitingInput => {
                self.events.push_back(ExecutionEvent::InputRequested {
                    is_password: result.is_password(),
                });
                self.state = State::AwaitingInput;
                return;
            }
            ExecutionStatus::BuildFinished | ExecutionStatus::CleanFinished => {
                self.events.push_back(ExecutionEvent::StepFinished {
                    exit_code: result.exit_code(),
                    status: result.status,
                });
            }
            ExecutionStatus::Other(_) => {
                self.events.push_back(ExecutionEvent::Unknown(result));
            }
            _ => {}
        }
        let next = self.sent.saturating_add(LEAST_INTERVAL);
        if silent && now.instant < next {
            self.state = State::Pausing(next);
        } else {
            self.proceed(Continuation::Continue);
        }
    }
}

impl Machine for Execution {
    type Event = ExecutionEvent;
    type Output = Result<ExecutionResult, Error>;

    fn poll(&mut self, now: Moment) -> Step<ExecutionEvent, Self::Output> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Step::Event(event);
            }
            match &mut self.state {
                State::Calling(call) => match call.poll(now).split() {
                    Ok(Ok(reply)) => self.received(now, reply.value),
                    Ok(Err(error)) => self.state = State::Over(Some(Err(error))),
                    Err(step) => {
                        if matches!(step, Step::Send(_)) {
                            self.sent = now.instant;
                        }
                        return step.within(|never| match never {});
                    }
                },
                State::Pausing(until) if now.instant < *until => return Step::Wait(*until),
                State::Pausing(_) => self.proceed(Continuation::Continue),
                State::AwaitingInput => return Step::Idle,
                State::Over(end) => return end.take().map_or(Step::Idle, Step::Done),
            }
        }
    }

    fn handle_response(&mut self, now: Moment, response: Response<Bytes>) {
        if let State::Calling(call) = &mut self.state {
            call.handle_response(now, response);
        }
    }

    fn handle_failure(&mut self, now: Moment, failure: TransportError) {
        if let State::Calling(call) = &mut self.state {
            call.handle_failure(now, failure);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Driver, caller, problem, reply};
    use super::*;
    use crate::error::{Sent, TransportErrorKind};
    use crate::ops::Batch;
    use crate::ops::testing::kernel;

    const EXECUTE: &str = "POST /v2/kernel/k1";

    fn execution(mode: ExecuteMode) -> Driver<Execution> {
        let machine = Execution::new(kernel(), mode, caller());
        Driver::new(machine)
    }

    fn result(status: &str, rest: &str) -> Response<Bytes> {
        reply(
            200,
            &format!(r#"{{"result": {{"status": "{status}"{rest}}}}}"#),
        )
    }

    #[track_caller]
    fn stdout(execution: &mut Driver<Execution>) -> String {
        match execution.event() {
            ExecutionEvent::Console(console) => console.stdout().into_owned(),
            event => panic!("{event:?}"),
        }
    }

    #[test]
    fn the_run_id_of_a_result_is_kept_for_the_next_request() {
        let mut run = execution(ExecuteMode::query("1"));
        let start = run.sends_body(EXECUTE);
        assert_eq!(start, r#"{"mode":"query","code":"1"}"#);
        run.answers(result(
            "waiting-input",
            r#", "console": [["stdout", "? "]], "runId": "r1""#,
        ));
        assert_eq!(stdout(&mut run), "? ");
        run.event();
        run.machine.answer("x").unwrap();
        // Sorna v2 has no such IDs, so it is not sent.
        assert_eq!(run.sends_body(EXECUTE), r#"{"mode":"query","code":"x"}"#);
        let State::Calling(call) = &run.machine.state else {
            panic!("a request is in flight")
        };
        assert_eq!(call.operation().run_id.as_deref(), Some("r1"));
    }

    #[test]
    fn a_batch_goes_through_its_steps() {
        let mut run = execution(ExecuteMode::Batch(Batch::new()));
        let first = run.sends_body(EXECUTE);
        run.answers(result(
            "build-finished",
            r#", "console": [["stdout", "cc\n"]], "options": null"#,
        ));
        assert_eq!(stdout(&mut run), "cc\n");
        assert!(matches!(
            run.event(),
            ExecutionEvent::StepFinished {
                status: ExecutionStatus::BuildFinished,
                exit_code: None
            }
        ));
        assert_eq!(
            run.sends_body(EXECUTE),
            first,
            "a batch continues with the same request"
        );
        run.answers(result(
            "finished",
            r#", "options": {"exitCode": 3, "step": "exec"}"#,
        ));
        let end = run.done().unwrap();
        assert_eq!((end.exit_code(), end.step()), (Some(3), Some("exec")));
        assert!(matches!(run.poll(), Step::Idle));
    }

    #[test]
    fn continued_output_is_requested_without_the_code() {
        let mut run = execution(ExecuteMode::query("print(1)"));
        assert!(run.sends_body(EXECUTE).contains("print(1)"));
        run.answers(result("continued", r#", "console": [["stdout", "1\n"]]"#));
        assert_eq!(stdout(&mut run), "1\n");
        assert_eq!(run.sends_body(EXECUTE), r#"{"mode":"query","code":""}"#);
        run.passes(Duration::from_secs(2));
        run.answers(result("continued", ""));
        run.sends(EXECUTE);
        run.answers(result("exec-timeout", ""));
        assert_eq!(run.done().unwrap().status, ExecutionStatus::ExecTimeout);
    }

    #[test]
    fn a_gateway_that_does_not_hold_requests_is_not_flooded() {
        let mut run = execution(ExecuteMode::query(""));
        run.sends(EXECUTE);
        run.passes(Duration::from_millis(50));
        run.answers(result("continued", ""));
        assert_eq!(run.waits(), Duration::from_millis(150));
        run.sends(EXECUTE);
    }

    #[test]
    fn input_is_answered_in_both_modes() {
        for (mode, expected) in [
            (ExecuteMode::query("input()"), r#""code":"x""#),
            (
                ExecuteMode::Batch(Batch::new()),
                r#""code":"x","options":{"build":"*""#,
            ),
        ] {
            let mut run = execution(mode);
            run.sends(EXECUTE);
            run.answers(result(
                "waiting-input",
                r#", "options": {"is_password": true}"#,
            ));
            assert_eq!(
                run.event(),
                ExecutionEvent::InputRequested { is_password: true }
            );
            assert!(matches!(run.poll(), Step::Idle));
            run.machine.answer("x").unwrap();
            assert_eq!(run.machine.answer("y"), Err(UsageError::InputNotExpected));
            let body = run.sends_body(EXECUTE);
            assert!(body.contains(expected), "{body}");
        }
    }

    #[test]
    fn unknown_statuses_are_shown_and_the_execution_continues() {
        let mut run = execution(ExecuteMode::query(""));
        run.sends(EXECUTE);
        run.passes(Duration::from_secs(1));
        run.answers(result("pulling-image", r#", "progress": 7"#));
        let ExecutionEvent::Unknown(result) = run.event() else {
            panic!("not shown")
        };
        assert_eq!(result.extra["progress"], 7);
        run.sends(EXECUTE);
    }

    #[test]
    fn failures_end_it() {
        let mut run = execution(ExecuteMode::query(""));
        run.sends(EXECUTE);
        run.answers(problem(404, "kernel-not-found"));
        assert!(run.done().unwrap_err().is_not_found());

        let mut run = execution(ExecuteMode::query(""));
        run.sends(EXECUTE);
        run.fails(TransportError::new(
            TransportErrorKind::Timeout,
            Sent::Maybe,
            "slow",
        ));
        assert!(matches!(run.done(), Err(Error::MayHaveRun(_))));
    }
}
