//! Runs: from a plan to its end, step by step and within their time.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use super::command::KernelStartError;
use super::parts::{Driver, InputPoll, KillReason, Run, RunningStep};
use crate::kernel::confine::gate::Gate;
use crate::kernel::console::{Stream, push_text};
use crate::kernel::exit::ExitKind;
use crate::kernel::interpreter::Interpreter;
use crate::kernel::run::{Plan, Step, StepKind};
use crate::kernel::spawn::{Streams, kill_group, spawn};
use crate::kernel::state::{Ending, Phase};
use crate::kernel::sweep::sweep;

impl Driver {
    pub(super) fn start_run(&mut self, plan: Plan) {
        self.input.clear();
        self.questions.clear();
        self.asked = None;
        self.input_poll = InputPoll::new();
        let mut run = Run {
            steps: None,
            left: self.setup.exec_timeout,
            since: Some(Instant::now()),
            kill_reason: None,
            bystanders: self.setup.confined.members().unwrap_or_default(),
        };
        match plan {
            Plan::Snippet(code) => {
                self.run = Some(run);
                if self.interpreter.is_none() {
                    self.start_interpreter();
                }
                match &mut self.interpreter {
                    Some(interpreter) => interpreter.run(&code),
                    None => self.end(Ending::Failed("the interpreter does not start".to_owned())),
                }
            }
            Plan::Steps(mut steps) => {
                let written = steps
                    .source
                    .take()
                    .map_or(Ok(()), |(path, code)| write_source(&path, &code));
                run.steps = Some(steps);
                self.run = Some(run);
                match written {
                    Ok(()) => self.next_step(),
                    Err(error) => self.end(Ending::Failed(error.to_string())),
                }
            }
        }
    }

    pub(super) fn next_step(&mut self) {
        let Some(run) = &mut self.run else { return };
        let Some(step) = run.steps.as_mut().and_then(|steps| steps.steps.pop_front()) else {
            // There was a build and nothing else; had it failed, we would not be here.
            return self.end(Ending::Finished {
                exit_code: 0,
                step: Some(StepKind::Build.name()),
                restarted: false,
            });
        };
        if let Err(error) = self.start_step(step) {
            self.end(Ending::Failed(error.to_string()));
        }
        self.note_processes();
    }

    pub(super) fn start_step(&mut self, step: Step) -> io::Result<()> {
        let mark = self.mark();
        let (stdout, stderr) = self.output.writers()?;
        let streams = Streams {
            stdin: self.input.reader()?.into(),
            stdout,
            stderr,
        };
        let (setup, directory) = (&self.setup, &step.directory);
        let child = spawn(
            setup,
            Gate::Shell,
            step.arguments,
            directory,
            &mark,
            streams,
        )?;
        self.step = Some(RunningStep {
            kind: step.kind,
            child,
            mark,
            exit: None,
            cpu: 0,
        });
        Ok(())
    }

    /// Goes on where a process has ended and all it said is in the console.
    pub(super) fn conclude(&mut self) {
        if let Some(step) = self.step.take_if(|step| step.exit.is_some()) {
            self.shared.lock().cpu_spent += step.cpu;
            self.note_processes();
            self.conclude_step(&step);
        }
        if let Some(interpreter) = self.interpreter.take_if(|it| it.has_ended()) {
            self.note_processes();
            self.conclude_interpreter(interpreter);
        }
        let told = self.shared.lock().phase == Phase::Running;
        let between_steps =
            self.step.is_none() && self.run.as_ref().is_some_and(|run| run.steps.is_some());
        if told && between_steps {
            self.resume_clock();
            self.next_step();
        }
    }

    pub(super) fn conclude_step(&mut self, step: &RunningStep) {
        let Some(run) = &self.run else { return };
        let batch = run
            .steps
            .as_ref()
            .is_some_and(|steps| steps.batch.is_some());
        let exit = step.exit.unwrap_or(ExitKind::Unknown);
        let kill_reason = run.kill_reason;
        if kill_reason == Some(KillReason::TimedOut) {
            return self.end(Ending::TimedOut);
        }
        if let Some(words) = exit.words().filter(|_| kill_reason.is_none()) {
            let words = self.why_killed(exit).unwrap_or(words);
            let mut state = self.shared.lock();
            push_text(&mut state.console, Stream::Stderr, &format!("{words}\n"));
        }
        // Killed at the last moment: that its first process was over by then helps no next step.
        let exit_code = match exit.code() {
            0 if kill_reason == Some(KillReason::LimitExceeded) => ExitKind::Signal(9).code(),
            code => code,
        };
        let is_last = step.kind == StepKind::Exec || exit_code != 0;
        if is_last {
            self.end(Ending::Finished {
                exit_code,
                step: batch.then(|| step.kind.name()),
                restarted: false,
            });
        } else if batch {
            self.pause_clock();
            self.shared.enter(Phase::BuildFinished { exit_code });
        }
    }

    pub(super) fn conclude_interpreter(&mut self, interpreter: Interpreter) {
        let exit = interpreter.exit.unwrap_or(ExitKind::Unknown);
        // What it leaves behind would outlive the variables that name it.
        let mark = interpreter.mark().to_owned();
        tokio::task::spawn_blocking(move || sweep(&mark, None));
        self.fail_completions();
        if !interpreter.is_up() {
            return self.startup_failed(exit);
        }
        let snippet = self.run.as_ref().filter(|run| run.steps.is_none());
        let kill_reason = snippet.and_then(|run| run.kill_reason);
        let timed_out = kill_reason == Some(KillReason::TimedOut);
        let in_run = snippet.is_some();
        if kill_reason.is_none() && !interpreter.kill_is_reported && exit.words().is_some() {
            let why = self.why_killed(exit).unwrap_or_else(|| exit.to_string());
            let words = format!("kernel process died with {why}; restarted\n");
            push_text(&mut self.shared.lock().console, Stream::Stderr, &words);
        }
        if timed_out {
            self.end(Ending::TimedOut);
        } else if in_run {
            self.end(Ending::Finished {
                exit_code: exit.code(),
                step: None,
                restarted: true,
            });
        }
        self.start_interpreter();
    }

    pub(super) fn startup_failed(&mut self, exit: ExitKind) {
        let said = std::mem::take(&mut self.shared.lock().console);
        let said = said.stderr();
        let mut words = format!("the interpreter ended at its start with {exit}");
        if !said.trim().is_empty() {
            words = format!("{words}: {}", said.trim());
        }
        match self.starting.take() {
            Some(waiting) => drop(waiting.send(Err(KernelStartError(words)))),
            None if self.run.is_some() => self.end(Ending::Failed(words)),
            None => tracing::warn!(reason = %words, "an interpreter could not be replaced"),
        }
    }

    /// Ends the run.
    pub(super) fn end(&mut self, ending: Ending) {
        self.run = None;
        self.questions.clear();
        self.asked = None;
        self.input.clear();
        let mut state = self.shared.lock();
        self.output.finish(&mut state.console);
        for (stream, decoder) in [Stream::Stdout, Stream::Stderr]
            .into_iter()
            .zip(&mut self.decoders)
        {
            push_text(&mut state.console, stream, decoder.finish());
        }
        drop(state);
        self.shared.enter(Phase::Ended(ending));
    }

    /// Cuts the run off, if there is one.
    pub(super) fn forget_run(&mut self, reason: &str) {
        self.fail_completions();
        if self.run.is_some() {
            self.end(Ending::Failed(reason.to_owned()));
        }
    }

    pub(super) fn timer(&self) -> Option<Instant> {
        let deadline = self.run.as_ref().and_then(Run::deadline);
        let input_poll = self.may_poll_input().then_some(self.input_poll.next);
        deadline.into_iter().chain(input_poll).min()
    }

    pub(super) async fn tick(&mut self) {
        let now = Instant::now();
        let deadline = self.run.as_ref().and_then(Run::deadline);
        if deadline.is_some_and(|deadline| now >= deadline) {
            self.time_out().await;
        }
        if self.may_poll_input() && now >= self.input_poll.next {
            self.input_poll.back_off(now);
            self.poll_input();
        }
    }

    /// Kills what runs. The run ends when the process has, and its output is in.
    pub(super) async fn time_out(&mut self) {
        let Some(run) = &mut self.run else { return };
        run.kill_reason = Some(KillReason::TimedOut);
        let mark = match (&mut self.step, &mut self.interpreter) {
            (Some(step), _) => {
                kill_group(&mut step.child);
                step.mark.clone()
            }
            (None, Some(interpreter)) if run.steps.is_none() => {
                interpreter.kill();
                interpreter.mark().to_owned()
            }
            _ => return self.end(Ending::TimedOut),
        };
        // Also what left the process group, and what hides.
        let bystanders = std::mem::take(&mut run.bystanders);
        let (setup, terminal) = (Arc::clone(&self.setup), self.shared.lock().terminal);
        let kill = move || {
            sweep(&mark, None);
            setup.confined.kill_new(&bystanders, terminal);
        };
        // To the end, so that it does not take the next interpreter along.
        let _ = tokio::task::spawn_blocking(kill).await;
    }

    /// Kills everything, as the kernel takes more than it may. A run ends when its process has.
    pub(super) async fn exceed(&mut self, words: &str) {
        let words = format!("{words}\n");
        push_text(&mut self.shared.lock().console, Stream::Stderr, &words);
        if let Some(step) = &mut self.step {
            kill_group(&mut step.child);
        }
        if let Some(interpreter) = &mut self.interpreter {
            interpreter.kill();
            interpreter.kill_is_reported = true;
        }
        let has_process = self.step.is_some();
        if let Some(run) = &mut self.run {
            if has_process || run.steps.is_none() {
                run.kill_reason.get_or_insert(KillReason::LimitExceeded);
            } else {
                // Between build and exec: what comes next would run in what is left.
                let step = run
                    .steps
                    .as_ref()
                    .is_some_and(|steps| steps.batch.is_some());
                self.end(Ending::Finished {
                    exit_code: ExitKind::Signal(9).code(),
                    step: step.then(|| StepKind::Build.name()),
                    restarted: false,
                });
            }
        }
        // To the end, so that it does not take the next interpreter along.
        let setup = Arc::clone(&self.setup);
        let _ = tokio::task::spawn_blocking(move || setup.kill_all()).await;
        let mut state = self.shared.lock();
        state.exceeding = false;
        state.kills += 1;
    }

    /// Why the system killed a process, if it was the system and for memory.
    fn why_killed(&mut self, exit: ExitKind) -> Option<String> {
        let kills = self.setup.confined.out_of_memory_kills();
        let more = kills > std::mem::replace(&mut self.out_of_memory_kills, kills);
        let exceeded = self.setup.confined.bounds().memory_text()?;
        (more && exit.is_kill()).then(|| format!("{exit}: the kernel exceeded its {exceeded}"))
    }

    pub(super) fn pause_clock(&mut self) {
        if let Some(run) = &mut self.run
            && let Some(since) = run.since.take()
        {
            run.left = run.left.saturating_sub(since.elapsed());
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

/// Writes a snippet, never through a link that an earlier one put in its place.
fn write_source(path: &Path, code: &str) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    File::create_new(path)?.write_all(code.as_bytes())
}
