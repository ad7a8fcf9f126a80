//! Runs: from a plan to its end, step by step.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::command::{Circumstances, KernelStartError};
use super::parts::{Driver, InputPoll, KillReason, Run, RunningStep};
use crate::boxes::Spent;
use crate::kernel::bystanders::Bystanders;
use crate::kernel::confine::gate::Gate;
use crate::kernel::console::Stream;
use crate::kernel::exceeded::Exceeded;
use crate::kernel::exit::ExitKind;
use crate::kernel::home::Home;
use crate::kernel::interpreter::Interpreter;
use crate::kernel::meter::Meter;
use crate::kernel::prompts::Adapted;
use crate::kernel::run::{Plan, Step, StepKind};
use crate::kernel::spawn::{Streams, spawn};
use crate::kernel::state::{Ending, Phase};
use crate::kernel::sweep::sweep;
use crate::kernel::tally::Tally;
use crate::kernel::usage::Usage;
use crate::shortage::{self, forbids_programs};

/// The exit code of a batch of Backend.AI whose build has failed. (Observed on runners of 26.9.6.)
const NOT_BUILT: i32 = 127;
/// The exit code of a shell for a program that there is, and that cannot be executed.
const CANNOT_EXECUTE: i32 = 126;

/// How long after the end of a program, or of a last snippet's interpreter, the output of what it has left running is awaited.
const LINGERING: Duration = Duration::from_secs(1);

impl Driver {
    pub(super) fn start_run(&mut self, plan: Plan, circumstances: Circumstances) {
        let continues_input = circumstances.continues_input;
        match continues_input {
            true => self.input.restore(),
            false => self.input.clear(),
        }
        self.input.show_prompts(!circumstances.is_piped);
        self.requests.clear();
        self.asked = None;
        self.withdrawn = false;
        self.noticed = false;
        self.input_poll = InputPoll::new();
        let usual_limit = {
            let mut state = self.shared.lock();
            state.tally = Tally::new(circumstances.max_output);
            state.exec_timeout
        };
        let time_limit = circumstances.time_limit.unwrap_or(usual_limit);
        let mut run = Run {
            steps: None,
            is_final: false,
            lingers_until: None,
            has_failed_build: false,
            time_limit,
            restarted: false,
            left: time_limit,
            since: Some(Instant::now()),
            counted: Duration::ZERO,
            ended: None,
            meter: Meter::default(),
            kill_reason: None,
            interrupted: None,
            sent: Instant::now(),
            interrupt_at: None,
            signal_at: None,
            missed: None,
            _member: self.setup.crowd.join(),
            bystanders: self.bystanders(&plan),
        };
        match plan {
            Plan::Snippet {
                code,
                is_final,
                echoes,
            } => {
                run.is_final = is_final;
                self.run = Some(run);
                if self.interpreter.is_none() {
                    self.start_interpreter();
                }
                self.measure_snippet();
                match &mut self.interpreter {
                    Some(interpreter) => {
                        if continues_input {
                            interpreter.keep_input();
                        }
                        interpreter.run(&code, is_final, echoes);
                    }
                    None => self.end(Ending::Failed("the interpreter did not start".to_owned())),
                }
            }
            Plan::Steps(mut steps) => {
                if let Some(interpreter) = &mut self.interpreter {
                    interpreter.listen(&self.setup.home.link());
                }
                let written = steps.source.take().map_or(Ok(()), |(path, code)| {
                    write_source(&self.setup.home, &path, &code)
                });
                run.steps = Some(steps);
                self.run = Some(run);
                match written {
                    Ok(()) => self.next_step(),
                    Err(error) => self.fail(&error),
                }
            }
        }
    }

    /// The processes that are there before a run. Those of a run that starts processes are listed each time.
    fn bystanders(&mut self, plan: &Plan) -> Bystanders {
        let is_snippet = matches!(plan, Plan::Snippet { .. });
        match &self.bystanders {
            Some(known) if is_snippet => known.now(),
            _ => {
                let found = self.setup.confined.bystanders();
                self.bystanders.insert(found).clone()
            }
        }
    }

    pub(super) fn next_step(&mut self) {
        let Some(run) = &mut self.run else { return };
        if run.has_failed_build {
            return self.end(Ending::Finished {
                exit_code: NOT_BUILT,
                step: Some(StepKind::Exec),
                restarted: false,
                exceeded: None,
            });
        }
        let Some(step) = run.steps.as_mut().and_then(|steps| steps.steps.pop_front()) else {
            // There was only a build, and it succeeded: a failed build ends the run.
            return self.end(Ending::Finished {
                exit_code: 0,
                step: Some(StepKind::Build),
                restarted: false,
                exceeded: None,
            });
        };
        if step.arguments.is_empty() {
            return self.step_ended(step.kind, 0);
        }
        if let Err(error) = self.start_step(step) {
            self.fail(&error);
        }
        self.note_processes();
    }

    pub(super) fn start_step(&mut self, step: Step) -> io::Result<()> {
        if let Some(run) = &mut self.run {
            run.begin_program(Meter::of_new(&self.setup.confined));
            self.shared.lock().tally.restart();
        }
        let mark = self.mark();
        let (stdout, stderr) = self.output.writers_of_step(&self.setup.home)?;
        let streams = Streams {
            stdin: self.input.reader()?.into(),
            stdout,
            stderr,
        };
        let (setup, directory) = (&self.setup, &step.directory);
        let adapted = match step.kind {
            StepKind::Exec => Adapted::Programs,
            _ => Adapted::Nothing,
        };
        let process = spawn(
            setup,
            Gate::Shell,
            step.arguments,
            directory,
            &mark,
            streams,
            adapted,
        )?;
        if let Some(run) = &mut self.run {
            run.meter.started(process.id());
        }
        self.step = Some(RunningStep {
            kind: step.kind,
            process,
            mark,
            exit: None,
        });
        Ok(())
    }

    /// Continues after a process that has ended and whose output is all in the console.
    pub(super) fn conclude(&mut self) {
        let lingers = self.step_lingers();
        if let Some(step) = self.step.take_if(|step| step.exit.is_some() && !lingers) {
            self.output.leave_step();
            self.note_processes();
            self.exceeds_output();
            self.note_usage();
            self.conclude_step(&step);
        }
        let lingers = self.lingers();
        if let Some(interpreter) = self.interpreter.take_if(|it| it.has_ended() && !lingers) {
            self.note_processes();
            self.conclude_interpreter(interpreter);
        }
        // The phase is `Running` again once the client knows that the build has finished, or at once if there is none.
        while self.is_between_steps() {
            self.resume_clock();
            self.next_step();
        }
    }

    /// Whether the next step may begin.
    fn is_between_steps(&self) -> bool {
        let is_running = self.shared.lock().phase == Phase::Running;
        is_running
            && self.step.is_none()
            && self.run.as_ref().is_some_and(|run| run.steps.is_some())
    }

    /// Whether the program has ended, but processes that it has started may still print something.
    fn step_lingers(&mut self) -> bool {
        let step = self.step.as_ref();
        let has_ended = step.is_some_and(|it| it.kind == StepKind::Exec && it.exit.is_some());
        let run = self
            .run
            .as_mut()
            .filter(|run| has_ended && run.kill_reason.is_none() && run.interrupted.is_none());
        let Some(run) = run else { return false };
        let now = Instant::now();
        let until = *run.lingers_until.get_or_insert_with(|| {
            self.output.let_step_end();
            now + LINGERING
        });
        let has_ended = self.pump() && self.output.has_step_ended();
        !has_ended && now < until
    }

    /// Whether the last snippet's interpreter has ended, but processes that it has started may still print something.
    fn lingers(&mut self) -> bool {
        let has_ended = self.interpreter.as_ref().is_some_and(|it| it.has_ended());
        let run = self.run.as_mut();
        let Some(run) = run.filter(|run| run.is_final && run.kill_reason.is_none() && has_ended)
        else {
            return false;
        };
        let now = Instant::now();
        let until = *run.lingers_until.get_or_insert_with(|| {
            self.output.let_end();
            now + LINGERING
        });
        // What is still there is read now, or when there is room.
        let has_ended = self.pump() && self.output.have_ended();
        !has_ended && now < until
    }

    pub(super) fn conclude_step(&mut self, step: &RunningStep) {
        let Some(run) = &self.run else { return };
        let steps = run.steps.as_ref().and_then(|steps| steps.batch.as_ref());
        let batch = steps.is_some();
        let reports_all = steps.is_some_and(|steps| steps.reports_all);
        let exit = step.exit.unwrap_or(ExitKind::Unknown);
        let kill_reason = run.kill_reason;
        if kill_reason == Some(KillReason::TimedOut) {
            let (limit, restarted) = (run.time_limit, run.restarted);
            return self.end(Ending::TimedOut { limit, restarted });
        }
        let mut exceeded = run.exceeded();
        let restarted = run.restarted;
        if let Some(signal) = exit.signal_text().filter(|_| kill_reason.is_none()) {
            let why = self.why_killed(exit);
            exceeded = why.as_ref().map(|(limit, _)| *limit);
            let message = why.map_or(signal, |(_, message)| message);
            let mut state = self.shared.lock();
            state
                .sink()
                .push_text(Stream::Stderr, &format!("{message}\n"));
        }
        let home = self.setup.home.root();
        if exit.code() == CANNOT_EXECUTE && forbids_programs(home) {
            let message = format!(
                "{} is on a file system mounted with noexec, so what is built there cannot be run: start the gateway with another TMPDIR, or `sorna serve --directory`\n",
                home.display()
            );
            self.shared
                .lock()
                .sink()
                .push_text(Stream::Stderr, &message);
        }
        // If the kernel was killed just after this process ended, there must be no next step.
        let exit_code = match exit.code() {
            0 if exceeded.is_some() => ExitKind::Signal(9).code(),
            code => code,
        };
        // Whether cleaning succeeds is no matter, and a build may be reported before its batch ends; but a kernel that
        // was killed does nothing more.
        let goes_on = match step.kind {
            StepKind::Clean => true,
            StepKind::Build => reports_all,
            StepKind::Exec => false,
        };
        if exit_code != 0 && (!goes_on || kill_reason.is_some()) {
            self.end(Ending::Finished {
                exit_code,
                step: batch.then_some(step.kind),
                restarted,
                exceeded,
            });
        } else {
            self.step_ended(step.kind, exit_code);
        }
    }

    /// Continues after a step after which others may follow.
    fn step_ended(&mut self, kind: StepKind, exit_code: i32) {
        let steps = self.run.as_ref().and_then(|run| run.steps.as_ref());
        let batch = steps.is_some_and(|steps| steps.batch.is_some());
        if kind == StepKind::Exec {
            self.end(Ending::Finished {
                exit_code,
                step: batch.then_some(kind),
                restarted: false,
                exceeded: None,
            });
        } else if batch {
            if let Some(run) = &mut self.run {
                run.has_failed_build = kind == StepKind::Build && exit_code != 0;
            }
            self.pause_clock();
            self.finish_characters();
            if !self.shared.lock().passes_step(kind, exit_code) {
                self.shared.enter(Phase::StepFinished { kind, exit_code });
            }
        }
    }

    pub(super) fn conclude_interpreter(&mut self, interpreter: Interpreter) {
        self.exceeds_output();
        self.shared.lock().has_lost_interpreter = true;
        let exit = interpreter.exit.unwrap_or(ExitKind::Unknown);
        // Kill what it started: the variables that referred to those processes are gone.
        let mark = interpreter.mark().to_owned();
        let setup = Arc::clone(&self.setup);
        tokio::task::spawn_blocking(move || {
            if setup.confined.may_have(&mark) {
                sweep(&mark, None);
            }
        });
        self.fail_completions();
        let snippet = self.run.as_ref().filter(|run| run.steps.is_none());
        let kill_reason = snippet.and_then(|run| run.kill_reason);
        let timed_out = kill_reason == Some(KillReason::TimedOut);
        let time_limit = snippet.map(|run| run.time_limit);
        let mut exceeded = snippet.and_then(Run::exceeded);
        // An interpreter that was killed for the time limit of its first snippet has not failed to start.
        if !interpreter.is_up() && !timed_out {
            return self.startup_failed(exit);
        }
        let in_run = snippet.is_some();
        let is_final = snippet.is_some_and(|run| run.is_final);
        // Nothing else would tell the next snippet.
        let idle_end = (!in_run && exit.signal_text().is_none()).then(|| exit.to_string());
        if let Some(signal) = exit.signal_text().or(idle_end)
            && kill_reason.is_none()
            && !interpreter.kill_is_reported
        {
            let why = self.why_killed(exit);
            exceeded = why.as_ref().map(|(limit, _)| *limit);
            let why = why.map(|(_, message)| message);
            let message = if is_final {
                format!("{}\n", why.unwrap_or(signal))
            } else {
                let why = why.unwrap_or_else(|| exit.to_string());
                match in_run {
                    true => format!("kernel process died with {why}; restarted\n"),
                    false => format!(
                        "kernel process died with {why} while nothing ran; restarted: variables are lost\n"
                    ),
                }
            };
            let mut state = self.shared.lock();
            state.lost_while_idle |= !in_run;
            state.sink().push_text(Stream::Stderr, &message);
        }
        if let Some(limit) = time_limit.filter(|_| timed_out) {
            self.end(Ending::TimedOut {
                limit,
                restarted: !is_final,
            });
        } else if in_run {
            self.end(Ending::Finished {
                exit_code: exit.code(),
                step: None,
                restarted: !is_final,
                exceeded,
            });
        }
        // After a last snippet there is a new one when something is executed again.
        if !is_final {
            self.start_interpreter();
        }
    }

    pub(super) fn startup_failed(&mut self, exit: ExitKind) {
        let mut state = self.shared.lock();
        let stderr = state.console.stderr().into_owned();
        state.forget_output();
        drop(state);
        let mut reason = format!("the interpreter ended at its start with {exit}");
        if !stderr.trim().is_empty() {
            reason = format!("{reason}: {}", stderr.trim());
        }
        match self.starting.take() {
            Some(waiting) => drop(waiting.send(Err(KernelStartError::new(reason)))),
            None if self.run.is_some() => self.end(Ending::Failed(reason)),
            None => tracing::warn!(%reason, "an interpreter could not be replaced"),
        }
    }

    /// Ends the run.
    pub(super) fn end(&mut self, ending: Ending) {
        if self.run.as_ref().is_some_and(|run| run.steps.is_none()) {
            self.note_usage();
        }
        let peak = self.run.take().and_then(|run| run.meter.peak_to_forget());
        self.requests.clear();
        self.asked = None;
        self.withdrawn = false;
        // Its client may start another one that goes on with the same input.
        self.input.set_aside();
        self.finish_characters();
        // What processes print that it has left behind is not its output.
        self.shared.lock().tally = Tally::default();
        self.shared.enter(Phase::Ended(ending));
        // Its client need not wait for that.
        if let (Some(peak), Some(interpreter)) = (peak, &mut self.interpreter) {
            interpreter.forget_peak(peak);
        }
    }

    /// Measures the snippet that begins.
    fn measure_snippet(&mut self) {
        if let (Some(run), Some(interpreter)) = (&mut self.run, &mut self.interpreter) {
            run.meter = Meter::of_snippet(&self.setup.confined, interpreter);
        }
    }

    /// The program has ended, and its process, if it had one of its own, has used so much.
    pub(super) fn note_end(&mut self, spent: Option<Spent>) {
        if let Some(run) = &mut self.run {
            run.ended.get_or_insert_with(|| (Instant::now(), spent));
        }
    }

    /// Notes what the program, or the step, has used that has ended.
    fn note_usage(&mut self) {
        self.finish_characters();
        let Some(run) = &mut self.run else { return };
        let (at, spent) = run.ended.unwrap_or_else(|| (Instant::now(), None));
        let running = run.since.map(|since| at.saturating_duration_since(since));
        let wall = run.counted + running.unwrap_or_default();
        let mut used = run.meter.used(&self.setup.confined, spent);
        // So much its processes were seen to have together.
        let least = run.exceeded().and_then(Exceeded::of_memory);
        used.peak = used.peak.max(least.unwrap_or(0));
        let mut state = self.shared.lock();
        if run.steps.is_some() {
            state.cpu_spent += used.cpu / 1000;
        }
        let output = state.tally.written();
        state.usage = Some(Usage { wall, used, output });
    }

    /// Adds characters that are incomplete to the output: their rest, if there is one, comes after something else.
    pub(super) fn finish_characters(&mut self) {
        let mut state = self.shared.lock();
        self.output.finish(&mut state.sink());
        for (stream, decoder) in [Stream::Stdout, Stream::Stderr]
            .into_iter()
            .zip(&mut self.decoders)
        {
            state.sink().push_rest(stream, &decoder.finish());
        }
    }

    /// Ends the run, which the system did not start.
    fn fail(&mut self, error: &io::Error) {
        let reason = shortage::explain(error, self.setup.home.root());
        self.end(Ending::Failed(reason));
    }

    /// Ends the run, if there is one, as failed.
    pub(super) fn forget_run(&mut self, reason: &str) {
        self.fail_completions();
        // Who has restarted it knows.
        self.shared.lock().lost_while_idle = false;
        if self.run.is_some() {
            self.end(Ending::Failed(reason.to_owned()));
        }
    }
}

/// Writes a snippet, never through a link that an earlier one put in its place.
fn write_source(home: &Home, path: &Path, code: &str) -> io::Result<()> {
    let path = &home.outside(path);
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = File::create_new(path)?;
    home.give(&file)?;
    file.write_all(code.as_bytes())
}
