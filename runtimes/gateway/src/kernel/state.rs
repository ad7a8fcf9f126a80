//! What the requests for a kernel and its driver share: how far the run is, and the console.
//!
//! ```text
//!            start               ask                  answer
//!   Idle ───────────► Running ─────────► WaitingInput ───────► Running
//!    ▲                  │  ▲
//!    │          step ends  │ told
//!    │                  ▼  │
//!    │              BuildFinished
//!    │ told             │
//!    └──── Ended ◄──────┘ run ends (from any state)
//! ```

use std::sync::{Mutex, MutexGuard};
use std::time::Instant;

use serde_json::{Value, json};
use sorna_core::server::BatchSteps;
use sorna_core::{Console, ExecutionStatus};
use tokio::sync::Notify;

use super::run::Plan;
use crate::lock::lock;

/// How far the current run is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Nothing runs.
    Idle,
    /// The program runs.
    Running,
    /// The program waits for input.
    WaitingInput {
        /// Whether what is typed must not be shown.
        password: bool,
        /// Whether the client knows. Until then, what it sends is no answer.
        reported: bool,
    },
    /// The build is done, and the program waits until the client has been told.
    BuildFinished { exit_code: i32 },
    /// The run is over, and the client does not know it.
    Ended(Ending),
    /// The kernel is no more.
    Gone,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Finished {
        exit_code: i32,
        /// `build` or `exec`, in a batch.
        step: Option<&'static str>,
        /// Whether the interpreter ended with the run, and what it knew is lost.
        restarted: bool,
    },
    TimedOut,
    /// The run was cut off, for the reason given.
    Failed(String),
}

/// What a client is told.
#[derive(Debug)]
pub(crate) struct ExecuteResponse {
    pub(crate) status: ExecutionStatus,
    pub(crate) console: Console,
    pub(crate) options: Value,
}

/// Why a client is told nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ExecuteError {
    /// The kernel was destroyed.
    Gone,
    /// The run could not be started or was cut off.
    Failed(String),
}

/// What a request means for the driver.
#[derive(Debug)]
pub(crate) enum Intent {
    /// Nothing: go on.
    Continue,
    Start(Plan),
    Input(String),
}

/// What the driver and the requests both see.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) phase: Phase,
    pub(crate) console: Console,
    /// Requests that wait for an answer.
    pub(crate) listeners: usize,
    /// Runs started.
    pub(crate) runs: u64,
    /// The batch of the current run, if it is one.
    pub(crate) batch: Option<BatchSteps>,
    /// The same, once its client has been told to ask again.
    pub(crate) awaited: Option<BatchSteps>,
    /// Whether the last answer asked for input, so that the next request answers it.
    pub(crate) asked: bool,
    /// Whether it takes more than it may, and is about to be killed for that.
    pub(crate) exceeding: bool,
    /// How often everything of it was killed.
    pub(crate) kills: u64,
    /// The shell of the terminal, which leads a session of its own.
    pub(crate) terminal: Option<u32>,
    /// When a request was last seen.
    pub(crate) used: Instant,
    /// The processes at the top: the interpreter, and the step of a batch.
    pub(crate) processes: Vec<u32>,
    /// Processor time of processes that ended, in ms.
    pub(crate) cpu_spent: u64,
}

/// [`State`] behind a lock, and the bells.
#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    /// Rung by the driver when there is something to tell.
    pub(crate) to_client: Notify,
    /// Rung by requests when there is room in the console again, a step may follow, or a listener
    /// came to a run.
    pub(crate) to_driver: Notify,
}

impl Shared {
    pub(crate) fn new() -> Self {
        Self {
            state: Mutex::new(State {
                phase: Phase::Idle,
                console: Console::new(),
                listeners: 0,
                runs: 0,
                batch: None,
                awaited: None,
                asked: false,
                exceeding: false,
                kills: 0,
                terminal: None,
                used: Instant::now(),
                processes: Vec::new(),
                cpu_spent: 0,
            }),
            to_client: Notify::new(),
            to_driver: Notify::new(),
        }
    }

    /// The state. Never held across an await.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Changes the phase, and lets waiting requests look.
    pub(crate) fn enter(&self, phase: Phase) {
        let mut state = self.lock();
        if state.phase != Phase::Gone {
            state.phase = phase;
        }
        drop(state);
        self.to_client.notify_waiters();
    }

    /// Counts a request that waits, until the guard is dropped.
    pub(crate) fn listen(&self) -> Listening<'_> {
        self.lock().listeners += 1;
        Listening(self)
    }
}

/// A request waits for an answer.
#[derive(Debug)]
pub(crate) struct Listening<'a>(&'a Shared);

impl Drop for Listening<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.listeners -= 1;
        state.used = Instant::now();
    }
}

impl State {
    /// What an execute request means now, and what follows from that for the phase. `plan` is
    /// what to start if nothing runs; it is `None` for a mere continuation.
    pub(crate) fn begin(&mut self, input: &str, plan: Option<Plan>) -> Intent {
        match (&self.phase, plan) {
            // An answer, even an empty one: just return was pressed.
            (Phase::WaitingInput { reported: true, .. }, _) => {
                self.phase = Phase::Running;
                Intent::Input(input.to_owned())
            }
            // The run ended without the input that it had asked for. What comes now is that
            // input, and must never be taken for code.
            (Phase::Ended(_), _) if self.asked => Intent::Continue,
            // Clients send a batch's steps along each time they ask how it goes on.
            (Phase::Ended(_), Some(plan)) if plan.continues(self.awaited.as_ref()) => {
                Intent::Continue
            }
            // What was said at the end of a run that nobody came back for is kept.
            (Phase::Idle | Phase::Ended(_), Some(plan)) => {
                self.phase = Phase::Running;
                self.runs += 1;
                self.batch = plan.batch_steps().cloned();
                self.awaited = None;
                Intent::Start(plan)
            }
            // Code that comes along with a continuation is ignored, as on the original.
            _ => Intent::Continue,
        }
    }

    /// What to tell the client now; `None` if it is better to wait. With `is_due` there is always
    /// something. What is told counts as told: there is no going back after this.
    pub(crate) fn take_response(
        &mut self,
        limit: usize,
        is_due: bool,
    ) -> Option<Result<ExecuteResponse, ExecuteError>> {
        let (status, options) = match &mut self.phase {
            Phase::Gone => return Some(Err(ExecuteError::Gone)),
            Phase::Idle => (ExecutionStatus::Finished, json!({})),
            Phase::Running if is_due || self.console.text_len() >= limit => {
                (ExecutionStatus::Continued, Value::Null)
            }
            Phase::Running => return None,
            Phase::WaitingInput { password, reported } => {
                *reported = true;
                (
                    ExecutionStatus::WaitingInput,
                    json!({"is_password": *password}),
                )
            }
            Phase::BuildFinished { exit_code } => {
                let options = json!({"exitCode": *exit_code, "step": "build"});
                self.phase = Phase::Running;
                (ExecutionStatus::BuildFinished, options)
            }
            Phase::Ended(ending) => {
                let report = ending.report();
                self.phase = Phase::Idle;
                match report {
                    Ok(report) => report,
                    Err(reason) => return Some(Err(ExecuteError::Failed(reason))),
                }
            }
        };
        self.asked = status == ExecutionStatus::WaitingInput;
        self.awaited = if status.is_end() {
            None
        } else {
            self.batch.clone()
        };
        Some(Ok(ExecuteResponse {
            status,
            console: std::mem::take(&mut self.console),
            options,
        }))
    }
}

impl Ending {
    fn report(&self) -> Result<(ExecutionStatus, Value), String> {
        match self {
            Self::Finished {
                exit_code,
                step,
                restarted,
            } => {
                let mut options = json!({"exitCode": exit_code});
                if let Some(step) = step {
                    options["step"] = json!(step);
                }
                if *restarted {
                    options["restarted"] = json!(true);
                }
                Ok((ExecutionStatus::Finished, options))
            }
            Self::TimedOut => Ok((ExecutionStatus::ExecTimeout, json!({}))),
            Self::Failed(reason) => Err(reason.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use sorna_core::server::ExecuteRequest;

    use super::super::run::Steps;
    use super::*;

    fn snippet() -> Option<Plan> {
        Some(Plan::Snippet("code".to_owned()))
    }

    fn batch(exec: &str) -> Option<Plan> {
        let body = json!({"mode": "batch", "code": "", "options": {"exec": exec}}).to_string();
        let ExecuteRequest::Batch { steps, .. } = ExecuteRequest::parse(body.as_bytes()).unwrap()
        else {
            panic!("not a batch");
        };
        Some(Plan::Steps(Steps {
            source: None,
            steps: Default::default(),
            batch: Some(steps),
        }))
    }

    fn finished() -> Phase {
        Phase::Ended(Ending::Finished {
            exit_code: 3,
            step: None,
            restarted: false,
        })
    }

    /// The status that a client is told now.
    fn status(shared: &Shared, is_due: bool) -> Option<String> {
        let answer = shared.lock().take_response(100, is_due)?;
        Some(answer.unwrap().status.as_str().to_owned())
    }

    #[test]
    fn a_run_is_told_once_and_ends_idle() {
        let shared = Shared::new();
        assert!(matches!(shared.lock().begin("", None), Intent::Continue));
        assert_eq!(status(&shared, false).as_deref(), Some("finished"));
        assert!(matches!(
            shared.lock().begin("code", snippet()),
            Intent::Start(_)
        ));
        assert_eq!(status(&shared, false), None);
        assert_eq!(status(&shared, true).as_deref(), Some("continued"));
        // Code is ignored while something runs.
        assert!(matches!(
            shared.lock().begin("code", snippet()),
            Intent::Continue
        ));
        shared.enter(finished());
        let answer = shared.lock().take_response(100, false).unwrap().unwrap();
        assert_eq!(answer.options, json!({"exitCode": 3}));
        assert_eq!(shared.lock().phase, Phase::Idle);
        assert_eq!(shared.lock().runs, 1);
    }

    #[test]
    fn a_full_console_is_told_at_once() {
        let shared = Shared::new();
        let _ = shared.lock().begin("code", snippet());
        shared.lock().console.push_stdout(&"x".repeat(100));
        assert_eq!(status(&shared, false).as_deref(), Some("continued"));
        assert!(shared.lock().console.is_empty());
    }

    #[test]
    fn only_who_was_asked_can_answer() {
        let shared = Shared::new();
        let _ = shared.lock().begin("code", snippet());
        shared.enter(Phase::WaitingInput {
            password: true,
            reported: false,
        });
        assert!(matches!(
            shared.lock().begin("x", snippet()),
            Intent::Continue
        ));
        let answer = shared.lock().take_response(100, false).unwrap().unwrap();
        assert_eq!(answer.options, json!({"is_password": true}));
        let intent = shared.lock().begin("", None);
        assert!(matches!(intent, Intent::Input(line) if line.is_empty()));
    }

    #[test]
    fn an_answer_that_comes_after_the_end_is_not_code() {
        let shared = Shared::new();
        let _ = shared.lock().begin("code", snippet());
        shared.enter(Phase::WaitingInput {
            password: false,
            reported: false,
        });
        assert_eq!(status(&shared, false).as_deref(), Some("waiting-input"));
        shared.enter(finished());
        assert!(matches!(
            shared.lock().begin("rm -r", snippet()),
            Intent::Continue
        ));
        assert_eq!(status(&shared, false).as_deref(), Some("finished"));
        assert!(matches!(
            shared.lock().begin("code", snippet()),
            Intent::Start(_)
        ));
    }

    #[test]
    fn a_batch_goes_on_with_its_own_steps_and_is_not_begun_again() {
        let shared = Shared::new();
        assert!(matches!(
            shared.lock().begin("", batch("a")),
            Intent::Start(_)
        ));
        assert_eq!(status(&shared, true).as_deref(), Some("continued"));
        shared.enter(finished());
        assert!(matches!(
            shared.lock().begin("", batch("a")),
            Intent::Continue
        ));
        assert_eq!(status(&shared, false).as_deref(), Some("finished"));
        assert!(matches!(
            shared.lock().begin("", batch("a")),
            Intent::Start(_)
        ));
        // Another batch is another run, even if the end of this one was not told.
        assert_eq!(status(&shared, true).as_deref(), Some("continued"));
        shared.enter(finished());
        assert!(matches!(
            shared.lock().begin("", batch("b")),
            Intent::Start(_)
        ));
    }

    #[test]
    fn what_is_gone_stays_gone() {
        let shared = Shared::new();
        shared.enter(Phase::Gone);
        shared.enter(Phase::Running);
        let answer = shared.lock().take_response(100, true).unwrap();
        assert_eq!(answer.unwrap_err(), ExecuteError::Gone);
    }
}
