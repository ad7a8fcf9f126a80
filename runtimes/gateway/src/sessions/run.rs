//! Runs in a session, and their IDs.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sorna_core::server::ExecuteRequest;
use sorna_core::server::backend_ai::ExecuteInSession;
use sorna_core::{Console, ExecutionStatus, RunMark};

use super::session::{End, Run, Session};
use crate::kernel::{
    ExecuteError, ExecuteResponse, Held, Input, Kernel, Peer, Turn, only_extensions,
};
use crate::lock::lock;
use crate::random;

/// How long a run waits for another one to end. (In 23.09 it is as long, and then 500 `agent-timeout`.)
const PATIENCE: Duration = Duration::from_secs(30);

/// The response to a request to run code.
#[derive(Debug)]
pub(crate) struct RunReply {
    pub(crate) run_id: String,
    pub(crate) status: ExecutionStatus,
    pub(crate) exit_code: Option<i32>,
    pub(crate) options: Value,
    pub(crate) console: Console,
    /// What the console takes of the memory for output, until it has been sent.
    pub(crate) held: Option<Held>,
}

/// How much a run may print, in bytes, while it is waited for its end: what comes then is put into one response.
const RUN_OUT_OUTPUT: usize = 64 * 1024;

/// Why a request to run code failed.
#[derive(Debug)]
pub(crate) enum RunError {
    /// Another run does not end.
    Busy(String),
    /// There is no run with this ID.
    Unknown(String),
    Execute(ExecuteError),
}

/// What became of a run whose ID is used again.
enum RunOut {
    /// It has ended, with this output.
    Ended(Console, Option<Held>),
    /// It has not; this is the response to its client.
    Running(RunReply),
}

impl RunReply {
    /// Takes it, to be kept until it has been received.
    pub(crate) fn take(&mut self) -> ExecuteResponse {
        ExecuteResponse {
            status: self.status.clone(),
            console: std::mem::take(&mut self.console),
            exit_code: self.exit_code,
            // Clients of Sorna v2 look for it there.
            options: match self.exit_code {
                Some(code) if self.options.is_null() => json!({"exitCode": code}),
                _ => self.options.clone(),
            },
            is_repeated: true,
            held: self.held.take(),
        }
    }
}

impl Session {
    /// Whether this is the run that has not ended.
    pub(crate) fn is_running(&self, run_id: &str) -> bool {
        let run = lock(&self.run);
        run.as_ref()
            .is_some_and(|run| run.id == run_id && run.end.is_none())
    }

    /// Starts a run, continues it, or gives it input; then waits until there is something to report, or for `interval`.
    /// `on_start` is called if this starts a run.
    pub(crate) async fn execute(
        &self,
        kernel: &Kernel,
        request: &ExecuteInSession,
        mark: Option<(&RunMark, &Peer)>,
        interval: Duration,
        on_start: impl Fn(),
    ) -> Result<RunReply, RunError> {
        if let Some(mark) = mark {
            // Code of a run that is known lets that end, as without marks, and goes on with its mark.
            match request {
                ExecuteInSession::Start { request, .. } if mark.0.request == 0 => {
                    let turn = Turn::Start(request);
                    return self.marked(kernel, mark, turn, interval, on_start).await;
                }
                // What attaches never starts anything.
                ExecuteInSession::Start { .. } if mark.0.attaches => {
                    let turn = Turn::Continue;
                    return self.marked(kernel, mark, turn, interval, on_start).await;
                }
                ExecuteInSession::Continue { .. } => {
                    let turn = Turn::Continue;
                    return self.marked(kernel, mark, turn, interval, on_start).await;
                }
                ExecuteInSession::Input { text, .. } => {
                    let turn = Turn::Input(Input::Text(text.clone()));
                    return self.marked(kernel, mark, turn, interval, on_start).await;
                }
                ExecuteInSession::InputBytes { bytes, .. } => {
                    let turn = Turn::Input(Input::Bytes(bytes.clone()));
                    return self.marked(kernel, mark, turn, interval, on_start).await;
                }
                _ => {}
            }
        }
        match request {
            ExecuteInSession::Start { run_id, request } => {
                let run_id = match run_id {
                    Some(run_id) => run_id.clone(),
                    None => random::run_id().map_err(|error| {
                        RunError::Execute(ExecuteError::Failed(error.to_string()))
                    })?,
                };
                let mark = mark.map(|(mark, _)| mark);
                self.start(kernel, run_id, request, mark, interval, on_start)
                    .await
            }
            ExecuteInSession::Continue { run_id } => {
                self.proceed(kernel, run_id, Turn::Continue, interval).await
            }
            ExecuteInSession::Input { run_id, text } => {
                self.proceed(
                    kernel,
                    run_id,
                    Turn::Input(Input::Text(text.clone())),
                    interval,
                )
                .await
            }
            ExecuteInSession::InputBytes { run_id, bytes } => {
                let input = Input::Bytes(bytes.clone());
                self.proceed(kernel, run_id, Turn::Input(input), interval)
                    .await
            }
            _ => Err(RunError::Execute(ExecuteError::Failed(
                "not an execution".to_owned(),
            ))),
        }
    }

    /// A request of a client that marks its requests.
    async fn marked(
        &self,
        kernel: &Kernel,
        (mark, peer): (&RunMark, &Peer),
        turn: Turn<'_>,
        interval: Duration,
        on_start: impl Fn(),
    ) -> Result<RunReply, RunError> {
        let note = || {
            on_start();
            *lock(&self.run) = Some(Run {
                id: mark.id.clone(),
                end: None,
            });
        };
        let executed = kernel
            .take_marked_turn(mark, peer, turn, interval, note)
            .await;
        let mut response = executed.map_err(RunError::Execute)?;
        if mark.attaches && mark.request == 0 {
            *lock(&self.run) = Some(Run {
                id: mark.id.clone(),
                end: None,
            });
        }
        if response.status == ExecutionStatus::Finished {
            response.exit_code.get_or_insert(0);
        }
        Ok(self.reply(mark.id.clone(), response))
    }

    async fn start(
        &self,
        kernel: &Kernel,
        run_id: String,
        request: &ExecuteRequest,
        mark: Option<&RunMark>,
        interval: Duration,
        on_start: impl Fn(),
    ) -> Result<RunReply, RunError> {
        let until = Instant::now() + PATIENCE;
        let (mut before, mut held_before) = (Console::new(), None);
        if self.is_running(&run_id) {
            match self.run_out(kernel, &run_id, interval).await? {
                RunOut::Ended(console, held) => (before, held_before) = (console, held),
                RunOut::Running(reply) => return Ok(reply),
            }
        }
        let with_all = |mut response: ExecuteResponse| {
            let after = std::mem::replace(&mut response.console, before);
            response.console.append(after);
            response.held = Held::joined(held_before, response.held.take());
            self.reply(run_id.clone(), response)
        };
        let note = || {
            on_start();
            *lock(&self.run) = Some(Run {
                id: run_id.clone(),
                end: None,
            });
        };
        loop {
            if !kernel.settled(until).await {
                let other = lock(&self.run).as_ref().map(|run| run.id.clone());
                return Err(RunError::Busy(other.unwrap_or_default()));
            }
            if kernel.is_empty(request) {
                note();
                let response = ExecuteResponse {
                    status: ExecutionStatus::Finished,
                    console: Console::new(),
                    exit_code: Some(0),
                    options: Value::Null,
                    is_repeated: false,
                    held: None,
                };
                return Ok(with_all(response));
            }
            let turn = Turn::Start(request);
            let started = kernel.take_turn(turn, &run_id, mark, interval, note).await;
            match started {
                // Another request was faster.
                Err(ExecuteError::Busy(_)) => {}
                Ok(response) => return Ok(with_all(response)),
                Err(error) => return Err(RunError::Execute(error)),
            }
        }
    }

    /// Lets a run end whose ID is about to be used again. That is how clients free a session from a run that they do not
    /// want to continue, such as a batch whose last steps are empty. What it still prints belongs to the next one, as
    /// with managers.
    async fn run_out(
        &self,
        kernel: &Kernel,
        run_id: &str,
        interval: Duration,
    ) -> Result<RunOut, RunError> {
        let until = Instant::now() + interval;
        let (mut console, mut held) = (Console::new(), None);
        loop {
            let rest = until.saturating_duration_since(Instant::now());
            let mut reply = self.proceed(kernel, run_id, Turn::Continue, rest).await?;
            console.append(std::mem::take(&mut reply.console));
            held = Held::joined(held, reply.held.take());
            match reply.status {
                // It prints, and may end in time all the same.
                ExecutionStatus::Continued
                    if Instant::now() < until && console.output_len() < RUN_OUT_OUTPUT => {}
                ExecutionStatus::Continued | ExecutionStatus::WaitingInput => {
                    reply.console = console;
                    reply.held = held;
                    return Ok(RunOut::Running(reply));
                }
                status if status.is_end() => return Ok(RunOut::Ended(console, held)),
                // Of a step.
                _ => {}
            }
        }
    }

    async fn proceed(
        &self,
        kernel: &Kernel,
        run_id: &str,
        turn: Turn<'_>,
        interval: Duration,
    ) -> Result<RunReply, RunError> {
        let end = match &*lock(&self.run) {
            Some(run) if run.id == run_id => run.end.clone(),
            _ => return Err(RunError::Unknown(run_id.to_owned())),
        };
        // A client whose connection broke while it received the end asks for it again.
        if let Some(end) = end {
            return Ok(RunReply {
                run_id: run_id.to_owned(),
                status: end.status,
                exit_code: end.exit_code,
                options: end.options,
                console: Console::new(),
                held: None,
            });
        }
        let response = kernel.take_turn(turn, run_id, None, interval, || {}).await;
        match response {
            Ok(response) => Ok(self.reply(run_id.to_owned(), response)),
            Err(error) => Err(RunError::Execute(error)),
        }
    }

    fn reply(&self, run_id: String, response: ExecuteResponse) -> RunReply {
        if response.status.is_end()
            && let Some(run) = lock(&self.run).as_mut().filter(|run| run.id == run_id)
        {
            run.end = Some(End {
                status: response.status.clone(),
                exit_code: response.exit_code,
                options: only_extensions(&response.options),
            });
        }
        RunReply {
            run_id,
            options: match response.status {
                ExecutionStatus::WaitingInput => response.options,
                // Of the end: managers have nothing more there.
                _ => only_extensions(&response.options),
            },
            status: response.status,
            exit_code: response.exit_code,
            console: response.console,
            held: response.held,
        }
    }
}
