//! The state that requests for a kernel share with its driver: the phase of the run, and the console.
//!
//! ```text
//!            start           needs input              input
//!   Idle ───────────► Running ─────────► WaitingInput ───────► Running
//!    ▲                  │  ▲
//!    │          step ends  │ reported
//!    │                  ▼  │
//!    │              StepFinished
//!    │ reported         │
//!    └──── Ended ◄──────┘ run ends (from any state)
//! ```

mod ending;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sorna_core::server::BatchSteps;
use sorna_core::{Busy, Console, ExecutionStatus};
use tokio::sync::Notify;

pub(crate) use self::ending::Ending;
use self::ending::Report;
use super::backlog::Backlog;
use super::console::{GONE, push_lost};
use super::gathering::Gathering;
use super::input::{Echo, Input};
use super::log::Log;
use super::record::{Record, Response};
pub(crate) use super::response::{ExecuteError, ExecuteResponse};
use super::run::{Plan, StepKind};
use super::sink::Sink;
use super::stock::Held;
use super::tally::Tally;
use super::turn::Turn;
use super::unclaimed::Unclaimed;
use super::usage::Usage;
use crate::lock::lock;

/// The phase of the current run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Nothing runs.
    Idle,
    /// The program runs.
    Running,
    /// The program waits for input.
    WaitingInput {
        /// What is to be seen of what is typed.
        echo: Echo,
        /// Whether this was reported to the client. Until then, what it sends is not the input.
        reported: bool,
    },
    /// A step is done, and the next one is started when that has been reported to the client.
    StepFinished { kind: StepKind, exit_code: i32 },
    /// The run is over, and that has not been reported yet.
    Ended(Ending),
    /// The kernel was destroyed.
    Gone,
}

/// The effect of a request on the driver.
#[derive(Debug)]
pub(crate) enum Intent {
    /// Nothing: it continues the run.
    Continue,
    Start(Plan),
    Input(Input),
    /// Nothing: this is the response.
    Answer(Response),
}

/// What the driver and the requests both see.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) phase: Phase,
    pub(crate) console: Console,
    /// A copy of what came into it.
    pub(crate) log: Arc<Log>,
    gathering: Gathering,
    /// How much the program has written.
    pub(crate) tally: Tally,
    /// What the latest run has used, or its step, once it has ended.
    pub(crate) usage: Option<Usage>,
    /// What the console takes of the memory for output.
    pub(crate) held: Held,
    /// How long an execution may run that has no limit of its own; set when the kernel gets its owner.
    pub(crate) exec_timeout: Duration,
    /// The number of requests that wait for a response.
    pub(crate) listeners: usize,
    /// Runs started.
    pub(crate) runs: u64,
    /// When the latest run was started.
    pub(crate) began: Instant,
    /// What is known of the requests of the latest run, if its client marks it.
    pub(crate) record: Option<Record>,
    /// The first run that had the standard input of the latest one, as its client marks it.
    pub(crate) input_of: Option<String>,
    /// The run before, for its client.
    pub(crate) left: Option<Record>,
    /// What others have left, whose clients have gone.
    pub(crate) unclaimed: Unclaimed,
    /// What the client of the latest run has not received, from before what is in the console.
    pub(super) backlog: Backlog,
    /// How often a client has taken a run over from another one, or another connection.
    pub(super) holder: u64,
    /// The executions from which the latest run was taken over.
    pub(super) taken_over: Vec<String>,
    /// When a client last waited for something.
    pub(super) heard: Instant,
    /// Whether the latest run keeps running without a client if there is none.
    pub(crate) is_detached: bool,
    /// Whether it goes on when the connection of its client ends.
    pub(super) persists: bool,
    /// How its client calls itself.
    pub(super) client: Option<String>,
    /// The batch of the current run, if it is one.
    pub(crate) batch: Option<BatchSteps>,
    /// The same, once a response has asked its client to continue.
    pub(crate) awaited: Option<BatchSteps>,
    /// Whether the last response asked for input, so that the next request brings it.
    pub(crate) asked: bool,
    /// Whether the program that waits for input may go on without it.
    pub(crate) may_go_on: bool,
    /// Whether the program went on without that input, which the client has not been told.
    pub(crate) withdrawn: bool,
    /// How much input was taken from clients that the driver has not passed on yet. What a program asks for meanwhile, it gets.
    pub(crate) inputs_under_way: u32,
    /// Whether it exceeds a limit, and is about to be killed.
    pub(crate) exceeding: bool,
    /// Whether an interpreter has ended by itself.
    pub(crate) has_lost_interpreter: bool,
    /// Whether one has ended while nothing ran, so that what the next run finds is not what the one before left.
    pub(crate) lost_while_idle: bool,
    /// Whether that was so before the run that is on, or was last.
    lost_before: bool,
    /// How often all of its processes were killed.
    pub(crate) kills: u64,
    /// The shell of the terminal, which leads its own session.
    pub(crate) terminal: Option<u32>,
    /// When it was last in use.
    pub(crate) used: Instant,
    /// The top-level processes: the interpreter, and the step of a batch.
    pub(crate) processes: Vec<u32>,
    /// Processor time of processes that ended, in ms.
    pub(crate) cpu_spent: u64,
}

/// [`State`] behind a lock, and notifications.
#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    /// Notified by the driver when there is something to report.
    pub(crate) to_client: Notify,
    /// Notified by requests when there is room in the console again, a step may follow, or a request
    /// waits for a run.
    pub(crate) to_driver: Notify,
}

impl Shared {
    /// Of a kernel that holds nothing yet.
    pub(crate) fn new(held: Held) -> Self {
        Self {
            state: Mutex::new(State {
                phase: Phase::Idle,
                console: Console::new(),
                log: Arc::new(held.new_log()),
                gathering: Gathering::default(),
                tally: Tally::default(),
                usage: None,
                held,
                exec_timeout: Duration::ZERO,
                listeners: 0,
                runs: 0,
                began: Instant::now(),
                record: None,
                input_of: None,
                left: None,
                unclaimed: Unclaimed::default(),
                backlog: Backlog::default(),
                holder: 0,
                taken_over: Vec::new(),
                heard: Instant::now(),
                is_detached: false,
                persists: false,
                client: None,
                batch: None,
                awaited: None,
                asked: false,
                may_go_on: false,
                withdrawn: false,
                inputs_under_way: 0,
                exceeding: false,
                has_lost_interpreter: false,
                lost_while_idle: false,
                lost_before: false,
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

    /// Changes the phase, and wakes waiting requests.
    pub(crate) fn enter(&self, phase: Phase) {
        let mut state = self.lock();
        if state.phase != Phase::Gone {
            if phase == Phase::Gone {
                state.log.end();
            }
            state.phase = phase;
        }
        state.used = Instant::now();
        drop(state);
        self.to_client.notify_waiters();
    }

    /// Notes that the program waits for input, and asks the client for it, unless that has just sent some.
    pub(crate) fn wait_for_input(&self, echo: Echo) {
        if self.lock().inputs_under_way == 0 {
            self.enter(Phase::WaitingInput {
                echo,
                reported: false,
            });
        }
    }

    /// Notes that input of a client is being passed on. What is asked for from now on is something else.
    pub(crate) fn passes_on_input(&self) {
        let mut state = self.lock();
        state.inputs_under_way = state.inputs_under_way.saturating_sub(1);
    }

    /// Notes that the program no longer waits for input.
    pub(crate) fn withdraw(&self) {
        let mut state = self.lock();
        if let Phase::WaitingInput { reported, .. } = state.phase {
            state.withdrawn |= reported;
            state.phase = Phase::Running;
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

/// A request that waits for a response.
#[derive(Debug)]
pub(crate) struct Listening<'a>(&'a Shared);

impl Drop for Listening<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.listeners -= 1;
        state.used = Instant::now();
        state.heard = state.used;
    }
}

impl State {
    /// Decides the meaning of an execute request without a mark now, and changes the phase accordingly. `plan` is
    /// what to start if nothing runs; it is `None` for a mere continuation.
    ///
    /// # Errors
    ///
    /// [`ExecuteError::Busy`] for code that is no input and no continuation of what runs.
    pub(crate) fn begin(
        &mut self,
        input: Input,
        plan: Option<Plan>,
    ) -> Result<Intent, ExecuteError> {
        let is_marked = self.record.as_ref().is_some_and(Record::is_marked);
        Ok(match (&self.phase, plan) {
            (Phase::Gone, _) => Intent::Continue,
            // It belongs to another client, which marks its requests.
            (Phase::Running | Phase::WaitingInput { .. } | Phase::StepFinished { .. }, _)
                if is_marked =>
            {
                return Err(ExecuteError::Busy(self.busy()));
            }
            (Phase::Idle | Phase::Ended(_), None) if is_marked => Intent::Answer(self.left_rest()),
            (Phase::Idle | Phase::Ended(_), Some(plan)) if is_marked => {
                self.set_aside();
                Intent::Start(self.start(plan))
            }
            // The client only looks whether the program still waits.
            (Phase::WaitingInput { .. } | Phase::Running, _) if input.is_nothing() => {
                Intent::Continue
            }
            // Empty input counts, too: the user just pressed return.
            (Phase::WaitingInput { reported: true, .. }, _) => self.take_input(input),
            // The program has gone on: this is typed ahead.
            (Phase::Running | Phase::WaitingInput { .. }, _) if self.withdrawn => {
                self.take_input(input)
            }
            // The run ended without the input that it had asked for. This request brings that
            // input, which must never be run as code.
            (Phase::Ended(_), _) if self.asked => Intent::Continue,
            // Clients repeat the steps of a batch in each continuation.
            (Phase::Ended(_), Some(plan)) if plan.continues(self.awaited.as_ref()) => {
                Intent::Continue
            }
            // Keep the output of a run whose end was never fetched.
            (Phase::Idle | Phase::Ended(_), Some(plan)) => Intent::Start(self.start(plan)),
            // Input that came too late, or the steps of a batch once more.
            (_, Some(plan)) if self.asked || plan.continues(self.batch.as_ref()) => {
                Intent::Continue
            }
            // The original gateway ignores code in a continuation. But it is hardly ever one.
            (_, Some(_)) => return Err(ExecuteError::Busy(self.busy())),
            (_, None) => Intent::Continue,
        })
    }

    /// Starts a run of a client that says when it does. `None` if another one has not ended.
    pub(crate) fn begin_run(&mut self, plan: Plan) -> Option<Intent> {
        match self.phase {
            Phase::Idle => {}
            Phase::Ended(_) if self.record.is_some() => self.set_aside(),
            // The end of the run before this was never fetched, and its output is not that of this one.
            Phase::Ended(_) => self.leave_output(),
            _ => return None,
        }
        Some(Intent::Start(self.start(plan)))
    }

    /// What keeps the kernel busy.
    pub(crate) fn busy(&self) -> Busy {
        let mode = if self.batch.is_some() {
            "batch"
        } else {
            "query"
        };
        let awaits_input = matches!(self.phase, Phase::WaitingInput { .. });
        Busy::new(mode, self.began.elapsed(), awaits_input).with_client(self.client.clone())
    }

    /// Gives input to a run whose client says that it does. It is dropped if the program does not wait for it.
    pub(crate) fn give_input(&mut self, input: Input) -> Intent {
        let waits = matches!(self.phase, Phase::WaitingInput { .. });
        let may_wait = self.withdrawn && self.phase == Phase::Running;
        // Too late for the program that has asked, but not for another one with the same input.
        if self.asked && matches!(self.phase, Phase::Ended(_)) && !input.is_nothing() {
            self.inputs_under_way += 1;
            return Intent::Input(input);
        }
        if (!waits && !may_wait) || input.is_nothing() {
            return Intent::Continue;
        }
        self.take_input(input)
    }

    /// Takes input for a run.
    fn take_input(&mut self, input: Input) -> Intent {
        self.phase = Phase::Running;
        self.withdrawn = false;
        self.inputs_under_way += 1;
        Intent::Input(input)
    }

    /// Continues a run whose client says that it does.
    pub(crate) fn proceed(&mut self, turn: Turn<'_>) -> Intent {
        match turn {
            Turn::Input(input) => self.give_input(input),
            Turn::Proceed(input)
                if self.withdrawn
                    || matches!(self.phase, Phase::WaitingInput { reported: true, .. }) =>
            {
                self.give_input(input)
            }
            _ => Intent::Continue,
        }
    }

    /// Whether the client of the latest execution looks whether a program that has asked still waits: those do that mark
    /// their executions.
    pub(crate) fn client_looks(&self) -> bool {
        self.record.as_ref().is_some_and(Record::is_marked)
    }

    /// Whether it is the latest execution, or the one before it, whose client marks it with this ID.
    pub(crate) fn knows(&self, id: &str) -> bool {
        let mut records = self.record.iter().chain(&self.left);
        records.any(|record| record.is_of(id))
    }

    /// Whether a run may be started.
    pub(crate) fn is_settled(&self) -> bool {
        matches!(self.phase, Phase::Idle | Phase::Ended(_) | Phase::Gone)
    }

    /// How much the console may hold now, of the most that it may.
    pub(crate) fn limit(&self, most: usize) -> usize {
        self.held.limit(most)
    }

    /// Where output goes.
    pub(crate) fn sink(&mut self) -> Sink<'_> {
        Sink {
            console: &mut self.console,
            log: &self.log,
            tally: &mut self.tally,
        }
    }

    /// Counts what is in the console.
    pub(crate) fn count_output(&mut self) {
        self.held.set(self.console.text_len());
    }

    /// Gives the room for the output to others, and says so in its place.
    pub(crate) fn lose_output(&mut self) {
        let lost = self.console.output_len();
        self.forget_output();
        push_lost(&mut self.console, lost, GONE);
        self.count_output();
    }

    pub(crate) fn forget_output(&mut self) {
        self.console = Console::new();
        drop(self.held.take());
    }

    pub(crate) fn start(&mut self, plan: Plan) -> Plan {
        self.backlog.leave(&mut self.unclaimed);
        self.taken_over.clear();
        (self.is_detached, self.persists, self.client) = (false, false, None);
        self.phase = Phase::Running;
        self.lost_before = std::mem::take(&mut self.lost_while_idle);
        self.runs += 1;
        self.began = Instant::now();
        self.record = None;
        self.input_of = None;
        self.batch = plan.batch_steps().cloned();
        self.awaited = None;
        self.withdrawn = false;
        self.usage = None;
        plan
    }

    /// For how long the output of a program that keeps running is to be gathered before it is sent, if there is some.
    pub(crate) fn gathers(&self) -> Option<Duration> {
        let has_output = matches!(self.phase, Phase::Running) && !self.console.is_empty();
        has_output.then(|| self.gathering.time(Instant::now()))
    }

    /// For how long output that has come while nothing runs is to be gathered before it is sent.
    pub(super) fn gathering_time(&self, now: Instant) -> Duration {
        self.gathering.time(now)
    }

    /// The response to send now; `None` if it is better to wait. With `is_due` there always is one.
    /// It counts as delivered: the state changes, and the response is not returned again.
    pub(crate) fn take_response(
        &mut self,
        limit: usize,
        is_due: bool,
    ) -> Option<Result<ExecuteResponse, ExecuteError>> {
        if self.phase != Phase::Gone
            && let Some(response) = self.report_backlog()
        {
            return Some(self.without_end(response));
        }
        self.report_phase(limit, is_due)
    }

    /// As that, of what comes after the [backlog](super::backlog).
    pub(super) fn report_phase(
        &mut self,
        limit: usize,
        is_due: bool,
    ) -> Option<Result<ExecuteResponse, ExecuteError>> {
        let is_full = self.console.text_len() >= self.limit(limit);
        let is_marked = self.client_looks();
        let mut report = match &mut self.phase {
            Phase::Gone => return Some(Err(ExecuteError::Gone)),
            Phase::Idle => Report::new(ExecutionStatus::Finished, json!({})),
            Phase::Running if is_due || is_full => {
                Report::new(ExecutionStatus::Continued, Value::Null)
            }
            Phase::Running => return None,
            Phase::WaitingInput { echo, reported } => {
                *reported = true;
                let is_password = *echo != Echo::All;
                let mut options =
                    json!({"is_password": is_password, "takes_lines": true, "takes_bytes": true});
                if *echo == Echo::Nothing {
                    options["hides_line_end"] = json!(true);
                }
                if self.may_go_on {
                    options["may_go_on"] = json!(true);
                }
                Report::new(ExecutionStatus::WaitingInput, options)
            }
            Phase::StepFinished { kind, exit_code } => {
                let report = Report::of_step(*kind, *exit_code);
                self.phase = Phase::Running;
                report
            }
            // The error has no place for it. And a client that has attached asks for the end once it has shown the output.
            Phase::Ended(ending)
                if !self.console.is_empty()
                    && (matches!(ending, Ending::Failed(_))
                        || self.record.as_ref().is_some_and(Record::has_attached)) =>
            {
                Report::new(ExecutionStatus::Continued, Value::Null)
            }
            Phase::Ended(ending) => {
                let report = ending.report(self.lost_before);
                self.phase = Phase::Idle;
                match report {
                    Ok(report) => report,
                    Err(reason) => return Some(Err(ExecuteError::Failed(reason))),
                }
            }
        };
        // Other clients are given what gateways of 2017, and managers, tell them.
        if let (true, Some(usage)) = (is_marked, self.usage.take_if(|_| report.ends_program())) {
            usage.add_to(&mut report.options);
        }
        if !self.console.is_empty() {
            let is_marked = self.record.is_some();
            self.gathering.sent(Instant::now(), is_marked);
        }
        self.asked = report.status == ExecutionStatus::WaitingInput;
        self.withdrawn = false;
        self.awaited = if report.status.is_end() {
            None
        } else {
            self.batch.clone()
        };
        Some(Ok(ExecuteResponse {
            status: report.status,
            console: std::mem::take(&mut self.console),
            held: Some(self.held.take()),
            exit_code: report.exit_code,
            options: report.options,
            is_repeated: false,
        }))
    }
}
