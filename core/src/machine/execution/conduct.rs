//! What an execution in Backend.AI does besides asking for its next result: see
//! [`Execution`](super::Execution#backendai).

use std::collections::VecDeque;
use std::time::Duration;

use super::event::ExecutionEvent;
use super::release::{Action, Release};
use super::script::{self, LAST_EXIT_CODE, Marks};
use super::settle::{Ask, Settling};
use super::steps::Steps;
use crate::error::{AbortReason, Aborted, Error, GatewayError, TransportError};
use crate::instant::Instant;
use crate::moment::Moment;
use crate::ops::{Batch, ExecuteMode, ExecutionResult, ExecutionStatus};
use crate::problem::ProblemKind;
use crate::version::ApiVersion;

/// How long an end may be late that belongs to a run that was freed. Without a request, it goes nowhere.
const REST: Duration = Duration::from_millis(300);

/// For how long a program that was interrupted may go on printing before it is asked in other ways: gateways that send output
/// at once respond to many requests in that time, and managers to two.
const LAST_OUTPUT: Duration = Duration::from_secs(4);

/// Where an execution is, and what it must do next.
#[derive(Debug)]
pub(super) struct Conduct {
    version: ApiVersion,
    stage: Stage,
    /// Of a batch that is one command.
    steps: Option<Steps>,
    /// The batch itself, for a runner that has to do its default steps itself.
    batch: Option<Batch>,
    /// The ends of steps that are not reported.
    empty_steps: Vec<ExecutionStatus>,
    /// Whether results come by themselves, over a WebSocket.
    is_streamed: bool,
    /// Whether the kernel must be usable afterwards.
    is_used_again: bool,
    /// Whether the program waits for input that it will not get.
    awaits_input: bool,
    silence_limit: Option<Duration>,
    /// Whether a program was interrupted twice, since it did not end.
    is_urged: bool,
    /// When the program was first heard after it was given up.
    released: Option<Instant>,
    /// When there was output, or the program got input.
    heard: Option<Instant>,
    /// Why the response to a request that may have run code did not come. The kernel is freed all the same.
    lost: Option<TransportError>,
}

#[derive(Debug)]
enum Stage {
    Running,
    /// The program has ended, and what is left of its batch is collected.
    Settling(Settling, After),
    /// It was given up, or broken.
    Releasing(Release, AbortReason),
    /// It was given up, and its kernel is free.
    Freed(AbortReason),
}

/// What follows once nothing is left of a batch.
#[derive(Debug)]
enum After {
    End(ExecutionResult),
    Freed(AbortReason),
    /// The batch, with the steps of the runner.
    Native,
}

/// What to do next.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "it is taken apart at once")]
pub(super) enum Next {
    Ask(Ask),
    Interrupt,
    /// Execute this.
    Start(ExecuteMode),
    Wait(Instant),
    End(Result<ExecutionResult, Error>),
}

impl Conduct {
    pub(super) fn new(version: ApiVersion) -> Self {
        Self {
            version,
            stage: Stage::Running,
            steps: None,
            batch: None,
            empty_steps: Vec::new(),
            is_streamed: false,
            is_used_again: true,
            awaits_input: false,
            silence_limit: None,
            is_urged: false,
            released: None,
            heard: None,
            lost: None,
        }
    }

    /// For a run of a client that is gone, after a query with its ID.
    pub(super) fn of_abandoned_run(version: ApiVersion) -> Self {
        Self {
            stage: Stage::Releasing(Release::of_abandoned_run(), AbortReason::Abandoned),
            ..Self::new(version)
        }
    }

    pub(super) fn limit_silence(&mut self, limit: Duration) {
        self.silence_limit = Some(limit);
    }

    pub(super) fn leave_as_it_is(&mut self) {
        self.is_used_again = false;
    }

    /// Whether the kernel must be usable afterwards.
    pub(super) fn is_used_again(&self) -> bool {
        self.is_used_again
    }

    /// Whether results come by themselves from now on.
    pub(super) fn set_streamed(&mut self, is_streamed: bool) {
        self.is_streamed = is_streamed;
    }

    /// Whether its program runs, as far as is known.
    pub(super) fn is_running(&self) -> bool {
        matches!(self.stage, Stage::Running)
    }

    /// Whether its program has ended, and what is left of a batch is collected.
    pub(super) fn is_settling(&self) -> bool {
        matches!(self.stage, Stage::Settling(..))
    }

    /// The program got the input that it asked for.
    pub(super) fn input_given(&mut self) {
        self.heard = None;
    }

    /// What to execute where no end is lost: a batch with its steps.
    pub(super) fn begin_as_it_is(&mut self, mode: ExecuteMode, now: Moment) -> ExecuteMode {
        self.heard = Some(now.instant);
        if let ExecuteMode::Batch(batch) = &mode {
            self.empty_steps = vec![ExecutionStatus::CleanFinished];
            if batch.build().is_none_or(str::is_empty) {
                self.empty_steps.push(ExecutionStatus::BuildFinished);
            }
        }
        mode
    }

    /// Whether it is the end of a step in which there was nothing to do. Gateways report that as well.
    pub(super) fn is_of_empty_step(&self, status: &ExecutionStatus) -> bool {
        self.empty_steps.contains(status)
    }

    /// What to execute: a batch as one command.
    pub(super) fn begin(&mut self, mode: ExecuteMode, now: Moment) -> ExecuteMode {
        self.heard = Some(now.instant);
        let ExecuteMode::Batch(batch) = mode else {
            return mode;
        };
        let nonce = now.random;
        let is_default = |step: Option<&str>| step == Some(Batch::DEFAULT);
        let builds = batch.build().is_some_and(|command| !command.is_empty());
        let has_defaults = is_default(batch.build()) || is_default(batch.exec());
        self.steps = Some(Steps::new(Marks::new(nonce), builds, has_defaults));
        let command = Batch::in_clean(
            script::command(&batch, nonce),
            format!("exit {LAST_EXIT_CODE}"),
        );
        self.batch = Some(batch);
        command.into()
    }

    /// Takes a result. Gives it back, without what was reported, for the progress that all dialects have in common, and
    /// whether it had output; or what to do next.
    #[allow(clippy::result_large_err, reason = "it is taken apart at once")]
    pub(super) fn received(
        &mut self,
        mut result: ExecutionResult,
        now: Moment,
        events: &mut VecDeque<ExecutionEvent>,
    ) -> Result<(ExecutionResult, bool), Next> {
        if let Stage::Settling(settling, _) = &mut self.stage {
            // The empty steps print nothing, but what a program has left in the background may.
            if !result.console.is_empty() {
                let console = std::mem::take(&mut result.console);
                events.push_back(ExecutionEvent::Console(console));
            }
            let next = match settling.next(&result) {
                Some(ask) => Next::Ask(ask),
                None => self.settled(),
            };
            return Err(next);
        }
        let is_silent = result.console.is_empty();
        if let Some(steps) = &mut self.steps {
            events.extend(steps.feed(std::mem::take(&mut result.console)));
            let is_over = result.status == ExecutionStatus::CleanFinished || result.status.is_end();
            if is_over {
                events.extend(steps.finish());
            }
            match result.status {
                ExecutionStatus::CleanFinished => return Err(self.batch_ended(result)),
                // A gateway that has no step `clean` has done nothing.
                ExecutionStatus::BuildFinished if self.is_running() => {
                    let settling = match self.is_streamed {
                        true => Settling::streamed(),
                        false => Settling::resume(),
                    };
                    self.stage = Stage::Settling(settling, After::Native);
                    return Err(Next::Ask(Ask::Continue));
                }
                ExecutionStatus::Finished
                    if self.is_running() && result.exit_code() == Some(LAST_EXIT_CODE) =>
                {
                    return Err(self.start_native());
                }
                _ => {}
            }
        }
        if let Stage::Releasing(..) = self.stage {
            if !is_silent && self.steps.is_none() {
                let console = std::mem::take(&mut result.console);
                events.push_back(ExecutionEvent::Console(console));
            }
            return Err(self.answered(result, is_silent, now));
        }
        match self.check_silence(is_silent, &result, now) {
            Some(next) => Err(next),
            None => Ok((result, !is_silent)),
        }
    }

    /// Gives up a program that is silent for too long.
    fn check_silence(
        &mut self,
        is_silent: bool,
        result: &ExecutionResult,
        now: Moment,
    ) -> Option<Next> {
        let heard = *self.heard.get_or_insert(now.instant);
        if !is_silent || result.status != ExecutionStatus::Continued {
            self.heard = Some(now.instant);
            return None;
        }
        let limit = self.silence_limit?;
        (now.instant.saturating_duration_since(heard) >= limit)
            .then(|| self.give_up(AbortReason::Silent(limit), false))
    }

    /// When a program that runs will have been silent for too long, and how long that is.
    pub(super) fn silent_at(&mut self, now: Moment) -> Option<(Instant, Duration)> {
        let limit = self.silence_limit.filter(|_| self.is_running())?;
        let heard = *self.heard.get_or_insert(now.instant);
        Some((heard.saturating_add(limit), limit))
    }

    /// The command that is the batch has ended.
    fn batch_ended(&mut self, mut result: ExecutionResult) -> Next {
        let is_native = self.steps.as_ref().is_some_and(Steps::is_native);
        let stage = std::mem::replace(&mut self.stage, Stage::Running);
        let has_queried = matches!(&stage, Stage::Releasing(release, _) if release.has_queried());
        let (settling, ask) = match self.is_streamed {
            true => (Settling::streamed(), Ask::Continue),
            false => Settling::begin(self.version, has_queried),
        };
        let after = match stage {
            Stage::Releasing(_, reason) if has_queried || is_native => After::Freed(reason),
            _ if is_native => After::Native,
            _ => {
                result.status = ExecutionStatus::Finished;
                if !self.is_used_again {
                    return Next::End(Ok(result));
                }
                After::End(result)
            }
        };
        self.stage = Stage::Settling(settling, after);
        Next::Ask(ask)
    }

    /// Nothing is left of the batch.
    fn settled(&mut self) -> Next {
        match std::mem::replace(&mut self.stage, Stage::Running) {
            Stage::Settling(_, After::End(result)) => Next::End(Ok(result)),
            Stage::Settling(_, After::Freed(reason)) => {
                Next::End(Err(Aborted::new(reason, true).into()))
            }
            _ => self.start_native(),
        }
    }

    /// Executes the batch with the steps of the runner.
    fn start_native(&mut self) -> Next {
        self.steps = None;
        let batch = self.batch.take().unwrap_or_default();
        Next::Start(batch.into())
    }

    /// Gives the program up, and frees the kernel unless it is to be destroyed.
    pub(super) fn give_up(&mut self, reason: AbortReason, awaits_input: bool) -> Next {
        if !self.is_used_again {
            return Next::End(Err(Aborted::new(reason, false).into()));
        }
        self.awaits_input = awaits_input;
        self.stage = Stage::Releasing(Release::of_program(), reason);
        self.release()
    }

    /// The next action to free the kernel.
    fn release(&mut self) -> Next {
        let Stage::Releasing(release, reason) = &mut self.stage else {
            return Next::Ask(Ask::Continue);
        };
        match release.next() {
            Some(Action::Interrupt) => Next::Interrupt,
            Some(Action::Query) => Next::Ask(Ask::Query),
            Some(Action::Input) => Next::Ask(Ask::Input),
            Some(Action::Collect) if std::mem::take(&mut self.awaits_input) => {
                Next::Ask(Ask::Input)
            }
            Some(Action::Collect) => Next::Ask(Ask::Continue),
            None => Next::End(Err(Aborted::new(reason.clone(), false).into())),
        }
    }

    /// The program was interrupted.
    pub(super) fn released(&mut self) -> Option<Next> {
        Some(self.release())
    }

    /// A result of a run that was given up.
    fn answered(&mut self, result: ExecutionResult, is_silent: bool, now: Moment) -> Next {
        let asks = result.status == ExecutionStatus::WaitingInput;
        let since = *self.released.get_or_insert(now.instant);
        let is_early = now.instant < since.saturating_add(LAST_OUTPUT);
        if !is_silent && is_early && result.status == ExecutionStatus::Continued {
            return Next::Ask(Ask::Continue);
        }
        if self.is_streamed && !result.status.is_end() {
            // Results come every 0.2 s, and no query can be sent: the end is awaited for as long as the stream allows.
            return Next::Ask(if asks { Ask::Input } else { Ask::Continue });
        }
        self.awaits_input |= asks;
        if let Stage::Releasing(release, _) = &mut self.stage {
            release.responded();
            let steps = [
                ExecutionStatus::CleanFinished,
                ExecutionStatus::BuildFinished,
            ];
            if steps.contains(&result.status) && release.step_ended() {
                return Next::Ask(Ask::Continue);
            }
        }
        match &mut self.stage {
            Stage::Releasing(release, reason) if result.status.is_end() => {
                if !release.has_queried() {
                    return Next::End(Ok(result));
                }
                self.stage = Stage::Freed(reason.clone());
                Next::Wait(now.instant.saturating_add(REST))
            }
            _ => self.release(),
        }
    }

    /// The end of a run that was given up, once its kernel is free.
    pub(super) fn freed(&mut self) -> Option<Error> {
        match &self.stage {
            Stage::Freed(reason) => Some(Aborted::new(reason.clone(), true).into()),
            _ => None,
        }
    }

    /// The end of the program, or of what is left of its batch, was awaited for long enough.
    pub(super) fn late(&mut self) -> Next {
        match &self.stage {
            // A shell may miss an interrupt that comes while it starts a program.
            Stage::Releasing(..)
                if self.is_streamed && !std::mem::replace(&mut self.is_urged, true) =>
            {
                Next::Interrupt
            }
            Stage::Settling(_, After::Freed(reason)) | Stage::Releasing(_, reason) => {
                Next::End(Err(Aborted::new(reason.clone(), false).into()))
            }
            _ => self.settled(),
        }
    }

    /// A request has failed.
    pub(super) fn failed(&mut self, error: Error) -> Next {
        match (&mut self.stage, error) {
            // The program has ended; that counts.
            (Stage::Settling(_, After::End(_)), _) => self.settled(),
            (Stage::Settling(_, After::Freed(reason)), _) => {
                Next::End(Err(Aborted::new(reason.clone(), false).into()))
            }
            (Stage::Releasing(release, _), Error::Gateway(error))
                if release.may_be_another() && !is_broken(&error) =>
            {
                Next::End(Err(Error::Gateway(error)))
            }
            (Stage::Releasing(release, _), Error::Gateway(_)) => {
                release.responded();
                self.release()
            }
            (Stage::Releasing(_, reason), _) => {
                Next::End(Err(Aborted::new(reason.clone(), false).into()))
            }
            (Stage::Running, Error::Gateway(error)) if is_broken(&error) => {
                let reason = AbortReason::Broken(error);
                self.stage = Stage::Releasing(Release::of_broken_run(), reason);
                self.release()
            }
            // What was in the response is lost, so this stays an error; but nothing else would end the run.
            (Stage::Running, Error::MayHaveRun(failure))
                if self.is_used_again && !self.is_streamed =>
            {
                self.lost = Some(failure);
                self.stage = Stage::Releasing(Release::of_lost_run(), AbortReason::GivenUp);
                self.release()
            }
            (_, error) => Next::End(Err(error)),
        }
    }

    /// The error that is the end, however the kernel was freed.
    pub(super) fn take_lost(&mut self) -> Option<Error> {
        self.lost.take().map(Error::MayHaveRun)
    }
}

/// Whether the manager could not report what the program has done: 500 `internal-server-error` without a message on
/// 26.9.6, `kernel-execution-failed` on 23.09.10. There, a kernel that another run keeps busy is an `agent-timeout`.
fn is_broken(error: &GatewayError) -> bool {
    let kinds = [
        ProblemKind::InternalServerError,
        ProblemKind::KernelExecutionFailed,
    ];
    let agent = error
        .problem()
        .and_then(|problem| problem.agent_details.as_ref());
    error.kind().is_some_and(|kind| kinds.contains(&kind))
        && !agent
            .and_then(|agent| agent.type_uri.as_deref())
            .is_some_and(|uri| uri.ends_with("agent-timeout"))
}
