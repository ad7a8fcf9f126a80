//! Stopping what runs: at the end of its time, for a limit, or since the client asks for it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::parts::{Driver, KillReason, Run};
use crate::kernel::confine::size;
use crate::kernel::console::Stream;
use crate::kernel::exceeded::Exceeded;
use crate::kernel::exit::ExitKind;
use crate::kernel::missed::Before;
use crate::kernel::run::StepKind;
use crate::kernel::state::Ending;
use crate::kernel::sweep::sweep;

/// How long an interpreter has to end what runs by itself, where it can. On a busy machine that takes a while, and a program that
/// handles interrupts is not to get a second one.
const CHANCE: Duration = Duration::from_millis(200);

/// How long after an interrupt of a snippet another one is the same: some interpreters take one at a time, and it may have ended
/// the snippet already.
const SAME: Duration = Duration::from_millis(50);

/// How long after a snippet was sent its interpreter has begun it. Before that, it takes a signal for one that came too late for what
/// ran before.
const BEGUN: Duration = Duration::from_millis(150);

/// How long after an interrupt a process has executed its program.
const EXECUTED: Duration = Duration::from_millis(100);

/// What is there before a signal, and when to look for those that have lost it.
fn before_signal(root: Option<u32>) -> Option<(Instant, Before)> {
    let before = Before::look(root?);
    Some((Instant::now() + EXECUTED, before))
}

impl Driver {
    pub(super) fn timer(&self) -> Option<Instant> {
        let deadline = self.run.as_ref().and_then(Run::deadline);
        let input_poll = self.may_poll_input().then_some(self.input_poll.next);
        let run = self.run.as_ref();
        let signal = run.and_then(|run| run.signal_at);
        let interrupt = run.and_then(|run| run.interrupt_at);
        let missed = run.and_then(|run| run.missed.as_ref());
        let missed = missed.map(|(at, _)| *at);
        let lingers = run.and_then(|run| run.lingers_until);
        let lingers = lingers.filter(|until| *until > Instant::now());
        let timers = deadline.into_iter().chain(input_poll);
        let timers = timers.chain(signal).chain(interrupt);
        let timers = timers.chain(missed).chain(lingers);
        let timers = timers.chain(self.guest_timer());
        timers.chain(self.attend_timer()).min()
    }

    pub(super) async fn tick(&mut self) {
        let now = Instant::now();
        let deadline = self.run.as_ref().and_then(Run::deadline);
        if deadline.is_some_and(|deadline| now >= deadline) {
            self.time_out().await;
        }
        if let Some(run) = &mut self.run
            && run.interrupt_at.take_if(|at| now >= *at).is_some()
        {
            self.interrupt();
        }
        if let Some(run) = &mut self.run
            && run.signal_at.take_if(|at| now >= *at).is_some()
            && let Some(interpreter) = &mut self.interpreter
        {
            run.missed = before_signal(interpreter.id());
            interpreter.signal();
        }
        if let Some(run) = &mut self.run
            && let Some((_, before)) = run.missed.take_if(|(at, _)| now >= *at)
        {
            before.repeat();
        }
        if self.may_poll_input() && now >= self.input_poll.next {
            let most = self.setup.crowd.interval();
            self.input_poll.back_off(now, most);
            self.poll_input();
        }
    }

    /// Kills what runs. The run ends when the process has ended and its output has been read.
    pub(super) async fn time_out(&mut self) {
        self.note_shared_files().await;
        let Some(run) = &mut self.run else { return };
        run.kill_reason = Some(KillReason::TimedOut);
        let limit = run.time_limit;
        if !self.kill_program().await {
            self.end(Ending::TimedOut {
                limit,
                restarted: false,
            });
        }
    }

    /// Whether the program has written more than it may. If that is new, its output says so, and it is to be
    /// [killed](Self::kill_program) if it has not ended.
    pub(super) fn exceeds_output(&mut self) -> bool {
        let Some(run) = self.run.as_mut().filter(|it| it.kill_reason.is_none()) else {
            return false;
        };
        let mut state = self.shared.lock();
        let Some(most) = state.tally.exceeded() else {
            return false;
        };
        run.kill_reason = Some(KillReason::LimitExceeded(Exceeded::output(most)));
        let message = format!(
            "killed: the program exceeded its output limit of {}\n",
            size(most)
        );
        state.sink().push_text(Stream::Stderr, &message);
        drop(state);
        self.shared.to_client.notify_waiters();
        true
    }

    /// Kills the program, and what it has started. Returns whether there is one.
    pub(super) async fn kill_program(&mut self) -> bool {
        let Some(run) = &mut self.run else {
            return false;
        };
        let (mark, spared) = match (&mut self.step, &mut self.interpreter) {
            (Some(step), interpreter) => {
                step.process.kill_group();
                let spared = interpreter.as_ref().and_then(|it| it.id());
                (step.mark.clone(), spared)
            }
            (None, Some(interpreter)) if run.steps.is_none() => {
                interpreter.kill();
                (interpreter.mark().to_owned(), None)
            }
            _ => return false,
        };
        // Kills also what left the process group, and what removed its mark.
        let bystanders = std::mem::take(&mut run.bystanders);
        let (setup, terminal) = (Arc::clone(&self.setup), self.shared.lock().terminal);
        let kill = move || {
            sweep(&mark, None);
            setup.confined.kill_new(&bystanders, terminal, spared);
        };
        // Awaited, so that it does not kill the next interpreter.
        let _ = tokio::task::spawn_blocking(kill).await;
        true
    }

    /// Kills everything, as the kernel exceeded a limit. A run ends when its process has.
    pub(super) async fn kill_for_limit(&mut self, limit: Exceeded, message: &str) {
        self.note_shared_files().await;
        let is_idle = self.run.is_none() && self.interpreter.is_some();
        let message = match is_idle {
            // Nothing else would tell the next snippet.
            true => format!("{message} while nothing ran; restarted: variables are lost\n"),
            false => format!("{message}\n"),
        };
        {
            let mut state = self.shared.lock();
            state.lost_while_idle |= is_idle;
            state.sink().push_text(Stream::Stderr, &message);
        }
        if let Some(step) = &mut self.step {
            step.process.kill_group();
        }
        if let Some(interpreter) = &mut self.interpreter {
            interpreter.kill();
            interpreter.kill_is_reported = true;
        }
        let has_process = self.step.is_some();
        let restarted = self.interpreter.is_some();
        let is_snippet = self.run.as_ref().is_some_and(|run| run.steps.is_none());
        if let Some(run) = &mut self.run {
            run.restarted |= restarted;
            if has_process || is_snippet {
                run.kill_reason
                    .get_or_insert(KillReason::LimitExceeded(limit));
            } else {
                // Between build and exec: the exec step must not run with processes missing.
                let step = run
                    .steps
                    .as_ref()
                    .is_some_and(|steps| steps.batch.is_some());
                self.end(Ending::Finished {
                    exit_code: ExitKind::Signal(9).code(),
                    step: step.then_some(StepKind::Build),
                    restarted,
                    exceeded: Some(limit),
                });
            }
        }
        // Awaited, so that it does not kill the next interpreter.
        let setup = Arc::clone(&self.setup);
        let _ = tokio::task::spawn_blocking(move || setup.kill_all()).await;
        // What follows must not go to an interpreter that is dying.
        if !is_snippet && let Some(mut interpreter) = self.interpreter.take() {
            interpreter.wait().await;
            self.note_processes();
            self.conclude_interpreter(interpreter);
        }
        let mut state = self.shared.lock();
        state.exceeding = false;
        state.kills += 1;
    }

    /// Notes which shared memory is used by what is about to be killed.
    pub(super) async fn note_shared_files(&self) {
        let setup = Arc::clone(&self.setup);
        let _ = tokio::task::spawn_blocking(move || setup.note_shared_files()).await;
    }

    /// Sends what runs the signal that Ctrl-C sends on a terminal.
    pub(super) fn interrupt(&mut self) {
        let Some(run) = &mut self.run else { return };
        match (&mut self.step, &mut self.interpreter) {
            (Some(step), _) => {
                run.missed = before_signal(step.process.id());
                step.process.interrupt();
                // What it has left running is not waited for.
                run.interrupted = Some(Instant::now());
            }
            // Its signal would end the start of it.
            (None, Some(interpreter)) if run.steps.is_none() && !interpreter.is_up() => {
                run.sent = Instant::now();
                run.interrupt_at = Some(run.sent + BEGUN);
            }
            (None, Some(_)) if run.steps.is_none() && run.sent.elapsed() < BEGUN => {
                run.interrupt_at = Some(run.sent + BEGUN);
            }
            (None, Some(_)) if run.interrupted.is_some_and(|at| at.elapsed() < SAME) => {}
            (None, Some(interpreter)) if run.steps.is_none() => {
                run.missed = before_signal(interpreter.id());
                let now = Instant::now();
                run.signal_at = interpreter.interrupt().then(|| now + CHANCE);
                run.interrupted = Some(now);
                self.stop_asking();
            }
            _ => {}
        }
    }

    /// Why a process was killed, if the system killed it for memory.
    pub(super) fn why_killed(&mut self, exit: ExitKind) -> Option<(Exceeded, String)> {
        let kills = self.setup.confined.out_of_memory_kills();
        let more = kills > std::mem::replace(&mut self.out_of_memory_kills, kills);
        let bounds = self.setup.confined.bounds();
        let exceeded = bounds.memory_text()?;
        (more && exit.is_kill()).then(|| {
            let limit = Exceeded::memory(bounds.memory);
            (limit, format!("{exit}: the kernel exceeded its {exceeded}"))
        })
    }

    pub(super) fn pause_clock(&mut self) {
        if let Some(run) = &mut self.run
            && let Some(since) = run.since.take()
        {
            let elapsed = since.elapsed();
            run.left = run.left.saturating_sub(elapsed);
            run.counted += elapsed;
        }
    }

    pub(super) fn resume_clock(&mut self) {
        if let Some(run) = &mut self.run
            && run.since.is_none()
        {
            run.since = Some(Instant::now());
        }
    }
}
