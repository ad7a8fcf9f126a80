//! A kernel as requests see it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

use sorna_core::RunMark;
use sorna_core::server::{CompleteRequest, ExecuteRequest};
use tokio::sync::{Mutex, mpsc, oneshot};

use super::disk_state::DiskState;
use super::driver::{Circumstances, Command, Driver, KernelStartError};
use super::home::Home;
use super::input::Input;
use super::language::Query;
use super::log::Log;
use super::memory::Look;
use super::record::Record;
use super::run::Plan;
use super::setup::Setup;
use super::state::{ExecuteError, ExecuteResponse, Intent, Phase, Shared, State};
use super::terminal::{AttachError, Attached, Hub, Restarts};
use super::turn::Turn;
use crate::lock::lock;

/// How long a completion may take.
const COMPLETION_TIME: Duration = Duration::from_secs(5);
/// How long an interrupted program may take to stop waiting for input.
const INTERRUPT_TIME: Duration = Duration::from_secs(1);
/// How long an interpreter may take to start.
const START_TIME: Duration = Duration::from_secs(60);

/// The access key of a kernel that is no one's: none is empty.
const NOBODY: &str = "";

/// What a request has led to.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "it is taken apart at once")]
pub(super) enum Effect {
    Started,
    /// The program got input.
    Given,
    Nothing,
    /// This is the response.
    Answered(Result<ExecuteResponse, ExecuteError>),
}

/// A living kernel.
#[derive(Debug)]
pub(crate) struct Kernel {
    pub(super) setup: Arc<Setup>,
    pub(super) shared: Arc<Shared>,
    pub(super) commands: mpsc::UnboundedSender<Command>,
    /// Held by the execute request that is being served: one after another.
    pub(super) turn: Mutex<()>,
    /// When it got its owner.
    pub(super) born: Instant,
    /// For how long it may be idle, in ms, if its client has said so; else 0.
    pub(super) idle_ms: AtomicU64,
    pub(super) disk: DiskState,
    restarts: Arc<Restarts>,
    /// Whether it is being destroyed, so that no more terminals may be opened.
    is_ending: AtomicBool,
    /// The terminal, once a client has opened it.
    terminal: std::sync::Mutex<Option<Arc<Hub>>>,
    /// The last look at its open files.
    pub(super) look: std::sync::Mutex<Look>,
}

impl Kernel {
    /// Starts a kernel, which is [no one's](Self::give_to) yet, and waits until it is ready.
    ///
    /// # Errors
    ///
    /// What the interpreter printed, if it does not start. Nothing is left behind then.
    pub(crate) async fn start(setup: Setup) -> Result<Self, KernelStartError> {
        let (commands, received) = mpsc::unbounded_channel();
        let (starting, started) = oneshot::channel();
        let shared = Arc::new(Shared::new(setup.stock.hold(NOBODY)));
        let setup = Arc::new(setup);
        let driver = Driver::new(Arc::clone(&setup), Arc::clone(&shared), received, starting);
        let driver = match driver {
            Ok(driver) => driver,
            Err(error) => {
                let reason = KernelStartError::of_system(&error, setup.home.root());
                setup.confined.close();
                let _ = setup.home.remove();
                return Err(reason);
            }
        };
        tokio::spawn(driver.drive());
        let kernel = Self {
            setup,
            shared,
            commands,
            turn: Mutex::new(()),
            look: std::sync::Mutex::default(),
            born: Instant::now(),
            idle_ms: AtomicU64::new(0),
            disk: DiskState::default(),
            restarts: Arc::default(),
            is_ending: AtomicBool::new(false),
            terminal: std::sync::Mutex::default(),
        };
        let result = kernel.wait_for_start(started).await;
        if result.is_err() {
            kernel.destroy().await;
        }
        result.map(|()| kernel)
    }

    /// Makes it the kernel of an access key, from now on, in which an execution may run for so long. Before that, nothing may run
    /// in it.
    pub(crate) fn give_to(&mut self, owner: &str, exec_timeout: Duration) {
        let now = Instant::now();
        self.born = now;
        let mut state = self.shared.lock();
        state.held.give_to(owner);
        state.exec_timeout = exec_timeout;
        (state.began, state.used, state.heard) = (now, now, now);
    }

    async fn wait_for_start(
        &self,
        started: oneshot::Receiver<Result<(), KernelStartError>>,
    ) -> Result<(), KernelStartError> {
        match tokio::time::timeout(START_TIME, started).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(KernelStartError::new("the kernel was destroyed")),
            Err(_) => Err(KernelStartError::new(
                "the interpreter did not start in time",
            )),
        }
    }

    /// What its executions have printed.
    pub(crate) fn log(&self) -> Arc<Log> {
        Arc::clone(&self.shared.lock().log)
    }

    /// The beginning of the marks of its processes.
    pub(crate) fn mark(&self) -> &str {
        &self.setup.mark
    }

    pub(crate) fn home(&self) -> &Home {
        &self.setup.home
    }

    /// Whether its snippets share an interpreter, which has an end of its own.
    pub(crate) fn has_interpreter(&self) -> bool {
        matches!(self.setup.installed.language.query, Query::Interpreter(_))
    }

    /// Starts a run, continues it, or gives the program its input; then waits until there is
    /// something to report, or for `interval`. `on_start` is called if this starts a run.
    ///
    /// Dropping the future loses nothing: the response is kept for the next request.
    pub(crate) async fn execute(
        &self,
        request: &ExecuteRequest,
        interval: Duration,
        on_start: impl FnOnce(),
    ) -> Result<ExecuteResponse, ExecuteError> {
        let _turn = self.turn.lock().await;
        let _listening = self.shared.listen();
        let (effect, holder) = self.begin(request)?;
        match effect {
            Effect::Started => on_start(),
            // The driver looks for input requests only while a request waits.
            Effect::Given | Effect::Nothing => self.shared.to_driver.notify_one(),
            Effect::Answered(response) => return response,
        }
        self.report(interval, holder).await
    }

    /// Waits until there is something to report, or for `interval`. Output is [gathered](super::gathering) for a moment. It is an
    /// error if another client takes the run over, whose `holder` is then another.
    pub(super) async fn report(
        &self,
        interval: Duration,
        holder: u64,
    ) -> Result<ExecuteResponse, ExecuteError> {
        let mut deadline = std::pin::pin!(tokio::time::sleep(interval));
        let mut is_due = false;
        let mut is_gathering = false;
        loop {
            let mut changed = std::pin::pin!(self.shared.to_client.notified());
            changed.as_mut().enable();
            if let Some(response) = self.take_response(is_due, holder) {
                return response;
            }
            if !is_gathering && let Some(time) = self.shared.lock().gathers() {
                is_gathering = true;
                let until = deadline.deadline().min(tokio::time::Instant::now() + time);
                deadline.as_mut().reset(until);
            }
            tokio::select! {
                () = changed => {}
                () = &mut deadline, if !is_due => is_due = true,
            }
        }
    }

    /// As [`execute`](Self::execute), for a client that says whether it starts a run, continues it, or gives input. A run that
    /// starts has this mark.
    ///
    /// # Errors
    ///
    /// [`ExecuteError::Busy`] if it starts a run while another has not ended, and [`ExecuteError::TakenOver`] if it goes on with
    /// the run of this ID to which another client has attached.
    pub(crate) async fn take_turn(
        &self,
        turn: Turn<'_>,
        run_id: &str,
        mark: Option<&RunMark>,
        interval: Duration,
        on_start: impl FnOnce(),
    ) -> Result<ExecuteResponse, ExecuteError> {
        let _turn = self.turn.lock().await;
        let _listening = self.shared.listen();
        let (sent, holder) = {
            // As in `begin`.
            let mut state = self.shared.lock();
            if state.phase == Phase::Gone {
                return Err(ExecuteError::Gone);
            }
            if !matches!(turn, Turn::Start(_)) && state.is_attached_by_other(run_id) {
                return Err(ExecuteError::TakenOver);
            }
            let intent = match turn {
                Turn::Start(request) => {
                    let plan = self.plan(request)?;
                    let begun = state.begin_run(plan);
                    let intent = begun.ok_or_else(|| ExecuteError::Busy(state.busy()))?;
                    state.record = mark.map(|mark| Record::new(mark, None));
                    if let Some(mark) = mark {
                        state.note_mark(mark);
                        state.hand_over(mark);
                    }
                    on_start();
                    intent
                }
                turn => state.proceed(turn),
            };
            let holder = state.holder;
            let circumstances = Circumstances {
                max_output: mark.and_then(|mark| mark.max_output),
                ..Circumstances::default()
            };
            (self.send(intent, circumstances)?, holder)
        };
        self.reported(sent, interval, holder).await
    }

    /// Waits for the response to what was done.
    async fn reported(
        &self,
        effect: Effect,
        interval: Duration,
        holder: u64,
    ) -> Result<ExecuteResponse, ExecuteError> {
        match effect {
            Effect::Answered(response) => return response,
            Effect::Nothing => self.shared.to_driver.notify_one(),
            Effect::Started | Effect::Given => {}
        }
        self.report(interval, holder).await
    }

    /// For how long it has been its owner's.
    pub(crate) fn age(&self) -> Duration {
        self.born.elapsed()
    }

    /// Waits until a run may be started, at most until `until`; `false` if that was not enough.
    pub(crate) async fn settled(&self, until: Instant) -> bool {
        self.reached(State::is_settled, until).await
    }

    pub(super) async fn reached(&self, condition: impl Fn(&State) -> bool, until: Instant) -> bool {
        let reached = self.until(condition);
        tokio::time::timeout_at(until.into(), reached).await.is_ok()
    }

    /// Waits until it is destroyed.
    pub(crate) async fn gone(&self) {
        self.until(|state| state.phase == Phase::Gone).await;
    }

    pub(super) async fn until(&self, condition: impl Fn(&State) -> bool) {
        loop {
            let mut changed = std::pin::pin!(self.shared.to_client.notified());
            changed.as_mut().enable();
            if condition(&self.shared.lock()) {
                return;
            }
            changed.await;
        }
    }

    /// Interrupts what runs, as Ctrl-C does on a terminal. Nothing happens if nothing runs. Returns when a program
    /// that waits for input does so no more, unless it does not care.
    pub(crate) async fn interrupt(&self) {
        let _ = self.commands.send(Command::Interrupt);
        let _ = tokio::time::timeout(INTERRUPT_TIME, self.goes_on()).await;
    }

    /// Waits until no program waits for input.
    pub(crate) async fn goes_on(&self) {
        self.until(|state| !matches!(state.phase, Phase::WaitingInput { .. }))
            .await;
    }

    /// The response for the client, if there is something to report. Wakes the driver if it may be
    /// waiting for room in the console or for this report.
    fn take_response(
        &self,
        is_due: bool,
        holder: u64,
    ) -> Option<Result<ExecuteResponse, ExecuteError>> {
        let limit = self.setup.console_limit;
        let mut state = self.shared.lock();
        if state.holder != holder {
            return Some(Err(ExecuteError::TakenOver));
        }
        let was_full = state.console.text_len() >= state.limit(limit);
        let response = state.take_response(limit, is_due)?;
        if was_full || state.phase != Phase::Idle {
            self.shared.to_driver.notify_one();
        }
        Some(response)
    }

    /// Passes the request on to the driver, as its state requires. Also says who holds the run.
    fn begin(&self, request: &ExecuteRequest) -> Result<(Effect, u64), ExecuteError> {
        let text = |code: &String| Input::Text(code.clone());
        let (input, plan) = match request {
            ExecuteRequest::Query { code, is_final, .. }
                if code.is_empty() && !(*is_final && self.has_interpreter()) =>
            {
                (text(code), None)
            }
            ExecuteRequest::Query { code, .. } => (text(code), Some(self.plan(request)?)),
            ExecuteRequest::Batch { code, .. } => (text(code), self.plan(request).ok()),
            ExecuteRequest::InputBytes(bytes) => (Input::Bytes(bytes.clone()), None),
            _ => return Err(ExecuteError::Failed("not an execution".to_owned())),
        };
        // Holding the lock while sending keeps the commands in the order of the phases that they
        // belong to.
        let mut state = self.shared.lock();
        let intent = state.begin(input, plan)?;
        Ok((self.send(intent, Circumstances::default())?, state.holder))
    }

    /// What a request runs, if it starts a run.
    pub(super) fn plan(&self, request: &ExecuteRequest) -> Result<Plan, ExecuteError> {
        let Setup {
            installed,
            home,
            launcher,
            ..
        } = &*self.setup;
        match request {
            ExecuteRequest::Query {
                code,
                is_final,
                echoes,
            } => Some(Plan::query(
                code, *is_final, *echoes, installed, home, launcher,
            )),
            ExecuteRequest::Batch { steps, .. } => Plan::batch(steps, installed, home, launcher),
            _ => None,
        }
        .ok_or_else(|| ExecuteError::Failed("nothing to run".to_owned()))
    }

    /// Sends the driver what a request means. `circumstances` are those of a run that starts.
    pub(super) fn send(
        &self,
        intent: Intent,
        circumstances: Circumstances,
    ) -> Result<Effect, ExecuteError> {
        let (command, effect) = match intent {
            Intent::Continue => return Ok(Effect::Nothing),
            Intent::Answer(response) => return Ok(Effect::Answered(response)),
            Intent::Start(plan) => (Command::Start(plan, circumstances), Effect::Started),
            Intent::Input(input) => (Command::Input(input), Effect::Given),
        };
        self.commands
            .send(command)
            .map_err(|_| ExecuteError::Gone)?;
        Ok(effect)
    }

    /// The candidates at a position; none if the language has no completion or takes too long.
    pub(crate) async fn complete(&self, request: &CompleteRequest) -> Vec<String> {
        let _turn = self.turn.lock().await;
        let (reply, found) = oneshot::channel();
        let command = Command::Complete {
            request: request.clone(),
            reply,
        };
        if self.commands.send(command).is_err() {
            return Vec::new();
        }
        match tokio::time::timeout(COMPLETION_TIME, found).await {
            Ok(Ok(found)) => found,
            _ => Vec::new(),
        }
    }

    /// Kills what runs and starts a new interpreter; the work directory is kept.
    pub(crate) async fn restart(&self) -> Result<(), KernelStartError> {
        // A terminal's shell is killed as well, and started again when the restart is over.
        let _restarting = self.restarts.begin().await;
        let (reply, started) = oneshot::channel();
        // If the driver is gone, `reply` is dropped, and waiting for it reports that.
        let _ = self.commands.send(Command::Restart(reply));
        self.wait_for_start(started).await
    }

    /// Kills what runs and removes the directory. Returns when all that is done.
    pub(crate) async fn destroy(&self) {
        self.is_ending.store(true, Ordering::SeqCst);
        let (reply, done) = oneshot::channel();
        if self.commands.send(Command::Destroy(reply)).is_ok() {
            let _ = done.await;
        }
        let terminal = self.terminal().take();
        if let Some(hub) = terminal {
            hub.end().await;
        }
    }

    /// Joins the kernel's terminal, which is started if it does not run: in this directory, relative to the work
    /// directory, if there is one.
    ///
    /// # Errors
    ///
    /// If no terminal can be opened, or runs that was started in another directory.
    pub(crate) fn attach(&self, directory: Option<PathBuf>) -> Result<Attached, AttachError> {
        let mut terminal = self.terminal();
        if self.is_ending.load(Ordering::SeqCst) {
            let error = KernelStartError::new("the kernel is being destroyed");
            return Err(AttachError::Start(error));
        }
        terminal.take_if(|hub| hub.has_ended());
        let hub = match (terminal.as_ref(), directory) {
            (Some(hub), Some(directory)) if hub.directory() != directory => {
                return Err(AttachError::StartedIn(hub.directory().to_owned()));
            }
            (Some(hub), _) => Arc::clone(hub),
            (None, directory) => Hub::start(
                directory.unwrap_or_default(),
                Arc::clone(&self.setup),
                Arc::clone(&self.shared),
                Arc::clone(&self.restarts),
            )
            .map_err(|error| {
                AttachError::Start(KernelStartError::of_system(&error, self.setup.home.root()))
            })?,
        };
        let attached = hub.attach();
        *terminal = Some(hub);
        Ok(attached)
    }

    pub(super) fn terminal(&self) -> MutexGuard<'_, Option<Arc<Hub>>> {
        lock(&self.terminal)
    }
}
