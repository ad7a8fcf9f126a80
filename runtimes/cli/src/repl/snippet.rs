//! One snippet: what was typed at the prompt, until it ends.
//!
//! Each is a run of its own that gets the kernel by its token. So a kernel that is gone, as after its idle timeout, is
//! noticed and replaced; what was typed for the former one is not run in the new one.

use std::io::{IsTerminal as _, stdin};
use std::sync::Arc;
use std::time::Duration;

use sorna::blocking::Run;
use sorna::{
    AbortReason, Console, Dialect, Ending, Error, ExecutionEvent, ExecutionResult, ExecutionStatus,
    KernelId, Record as ConsoleRecord, RunEvent, RunPlan,
};

use super::Session;
use super::input::{Answer, Echo, Keyboard};
use super::language::Syntax;
use super::watch::Program;
use crate::advice::{aborted_advice, show_error};
use crate::ended::end_reason_of;
use crate::exit::Exit;
use crate::left::{self, Record, State, Turn};
use crate::lost::{KILLED, has_lost};
use crate::run::left_running::may_run;
use crate::run::resources::words;
use crate::terms::Terms;

/// The line that ends a program's input: Ctrl-D.
const END: &str = "\u{4}";

/// What to say of Ctrl-D where programs would read that line.
const NO_END: &str = "This gateway cannot tell programs that their input has ended. Type what the program asks for, or press Ctrl-C.";

/// What to say after an interpreter has ended.
const NEXT: &str = "What you type next runs in a new one.";

/// What to say of what was typed for the variables of a kernel that had ended.
const NOT_RUN: &str =
    "what you typed was not run, as it may need what is lost; to run it, type it again (arrow up)";

/// A snippet that runs.
pub(super) struct Snippet {
    pub(super) run: Run,
    pub(super) program: Arc<Program>,
    pub(super) keyboard: Keyboard,
    /// Whether it has written to standard error.
    pub(super) has_errors: bool,
    /// The execution, while the session is busy with it.
    pub(super) record: Option<Record>,
    /// Why it was cancelled, if not by a signal.
    pub(super) problem: Option<String>,
}

impl Snippet {
    pub(super) fn new(run: Run, program: Arc<Program>) -> Self {
        Self {
            run,
            program,
            keyboard: Keyboard::default(),
            has_errors: false,
            record: None,
            problem: None,
        }
    }
}

impl Session<'_> {
    /// Runs it, and shows what it does. Afterwards [`Session::stopped`] says whether to leave.
    pub(super) fn run(&mut self, code: String) {
        let plan = RunPlan::temporary(self.spec.clone(), [code])
            .with_token(self.token.clone())
            .with_echo(true)
            .with_busy_wait(Duration::MAX)
            .with_detach_on_cancel(true)
            .keep_kernel();
        let run = self.target.client.run(plan);
        let program = Program::new(run.canceller()).in_temporary(self.is_temporary);
        let program = Arc::new(program);
        self.watch.runs(Arc::clone(&program));
        let mut snippet = Snippet::new(run, program);
        loop {
            match snippet.run.next_event() {
                Ok(Some(event)) => {
                    if let Err(problem) = self.show(&mut snippet, event) {
                        snippet.problem.get_or_insert(problem);
                        // The run then ends.
                        snippet.program.stop();
                    }
                }
                Ok(None) => break,
                // Input was requested and not given; only a cancelled run gets here.
                Err(_) => {
                    let _ = snippet.run.canceller().cancel();
                }
            }
        }
        self.watch.prompts();
        self.finish(snippet);
    }

    pub(super) fn show(&mut self, snippet: &mut Snippet, event: RunEvent) -> Result<(), String> {
        match event {
            RunEvent::SessionPending(pending) => self.pending.show(&pending, &mut self.reporter),
            RunEvent::KernelReady(kernel) => return self.is_ready(snippet, kernel),
            RunEvent::ExecutionStarted { .. } => {
                let kernel = self.target.client.kernel(self.kernel.clone());
                snippet.program.runs_in(Some(kernel));
                self.note_execution(snippet);
            }
            RunEvent::Execution(event) => {
                self.note_execution(snippet);
                return self.show_execution(snippet, event);
            }
            RunEvent::ExecutionFinished(_) => {
                if let Some(record) = snippet.record.take() {
                    record.end();
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Notes in which kernel it is about to run.
    fn is_ready(&mut self, snippet: &mut Snippet, kernel: KernelId) -> Result<(), String> {
        self.output.set_carried(snippet.run.carries_bytes());
        if kernel != self.kernel {
            let Terms { capital, .. } = Terms::of(self.dialect);
            let reason = end_reason_of(&self.kernel());
            let why = reason.map_or_else(String::new, |reason| format!(": {reason}"));
            self.reporter.advice(format_args!(
                "{capital} {} had ended{why}. This is a new one (ID: {kernel}): variables and files are lost.",
                self.kernel
            ));
            self.replace_kernel(kernel);
            return Err(NOT_RUN.to_owned());
        }
        self.is_marked = snippet.run.has_marked_executions();
        if self.is_temporary {
            return Ok(());
        }
        if self.is_marked || self.dialect == Dialect::SornaV2 {
            let words = may_run(&self.kernel, self.dialect, self.is_marked);
            snippet.program.goes_on(words);
        }
        let kernel = self.target.client.kernel(self.kernel.clone());
        if self.turn.is_none() && !self.is_marked {
            let reporter = &mut self.reporter;
            self.turn = Turn::take(self.target, kernel.id(), reporter, &self.stopped);
        }
        if self.dialect == Dialect::BackendAi
            && left::free(self.target, &kernel, &mut self.reporter) == State::Blocked
        {
            return Err(left::blocked(kernel.id()));
        }
        Ok(())
    }

    /// Keeps on disk which execution makes a session busy that is kept, once its ID is known.
    fn note_execution(&self, snippet: &mut Snippet) {
        if !self.is_temporary
            && self.dialect == Dialect::BackendAi
            && snippet.record.is_none()
            && let Some(run_id) = snippet.run.run_id()
        {
            snippet.record = Record::begin(self.target, &self.kernel, run_id);
        }
    }

    fn show_execution(
        &mut self,
        snippet: &mut Snippet,
        event: ExecutionEvent,
    ) -> Result<(), String> {
        if !matches!(event, ExecutionEvent::InputRequested { .. }) {
            let still_asks = snippet.run.awaits_input();
            snippet.keyboard.has_news(still_asks);
        }
        match event {
            ExecutionEvent::Console(console) => {
                snippet.has_errors |= has_errors(&console);
                let shown = self.output.show(&console, &mut self.reporter);
                shown.map_err(|error| format!("cannot write the program's output: {error}"))
            }
            ExecutionEvent::KernelBusy(busy) => {
                // Ctrl-C then stops waiting, and leaves the other one alone.
                snippet.program.runs_in(None);
                let noun = Terms::of(self.dialect).kernel;
                self.reporter.advice(format_args!(
                    "The {noun} is busy: {busy}. This waits until that has ended; Ctrl-C stops waiting."
                ));
                Ok(())
            }
            ExecutionEvent::KernelFree => {
                let kernel = self.target.client.kernel(self.kernel.clone());
                snippet.program.runs_in(Some(kernel));
                Ok(())
            }
            ExecutionEvent::InputRequested {
                is_password,
                hides_line_end,
                takes_bytes,
                may_go_on,
                ..
            } => {
                let echo = match is_password {
                    false => Echo::All,
                    true if hides_line_end => Echo::Nothing,
                    true => Echo::LineEnd,
                };
                self.answer(snippet, echo, takes_bytes, may_go_on && takes_bytes)
            }
            _ => Ok(()),
        }
    }

    fn answer(
        &mut self,
        snippet: &mut Snippet,
        echo: Echo,
        takes_bytes: bool,
        may_go_on: bool,
    ) -> Result<(), String> {
        let (stopped, program) = (&self.stopped, &snippet.program);
        let is_stopped = || stopped.signal().is_some() || program.notices_interrupt();
        let answer = loop {
            let asked = snippet.keyboard.ask(echo, may_go_on, is_stopped);
            match asked.map_err(|error| format!("cannot read from the terminal: {error}"))? {
                // Gateways that know the end take bytes as well.
                Answer::End if !takes_bytes && stdin().is_terminal() => {
                    self.reporter.note_output("\n");
                    self.reporter.advice(NO_END);
                }
                answer => break answer,
            }
        };
        let run = &mut snippet.run;
        let answered = match answer {
            // The prompt's line has ended by the Enter of the user.
            Answer::Line(line) => {
                if echo != Echo::Nothing {
                    self.reporter.note_output("\n");
                }
                match String::from_utf8(line.to_vec()) {
                    Ok(text) => run.answer(text),
                    Err(error) if takes_bytes => {
                        run.answer_bytes([error.as_bytes(), b"\n"].concat())
                    }
                    Err(error) => run.answer(String::from_utf8_lossy(error.as_bytes())),
                }
            }
            Answer::End => run.answer(END),
            Answer::NotYet => run.answer_bytes([]),
            // What it does now is the answer to an empty one, where there is that.
            Answer::Stopped if takes_bytes && stopped.signal().is_none() => run.answer_bytes([]),
            Answer::Stopped => {
                let _ = run.canceller().cancel();
                return Ok(());
            }
        };
        answered.map_err(|error| error.to_string())
    }

    /// Says how it has ended, as far as it has not said so itself.
    fn finish(&mut self, snippet: Snippet) {
        let Some(report) = snippet.run.into_report() else {
            unreachable!("a run ends with a report")
        };
        self.reporter.clear();
        let is_pressed = snippet.program.is_pressed();
        if let Some(record) = snippet.record
            && !matches!(&report.ending, Ending::Failed(error) if may_be_busy(error))
        {
            record.end();
        }
        self.exit = Exit::SUCCESS;
        let is_stopped = self.stopped.signal().is_some();
        self.is_left = is_stopped && !matches!(report.ending, Ending::Finished(_));
        match report.ending {
            _ if snippet.problem.is_some() => {}
            Ending::Finished(Some(result)) => self.note_result(&result, snippet.has_errors),
            Ending::Failed(error) if !is_stopped => {
                let is_freed = matches!(&error, Error::Aborted(it) if it.is_freed);
                if !(is_pressed && is_freed) {
                    self.note_error(&error);
                }
            }
            _ => {}
        }
        if let Some(problem) = snippet.problem {
            self.reporter.fail(problem);
        }
    }

    fn note_error(&mut self, error: &Error) {
        self.exit = Exit::FAILURE;
        show_error(&mut self.reporter, error, self.target);
        if let Error::Aborted(aborted) = error
            && matches!(
                aborted.reason,
                AbortReason::Broken(_) | AbortReason::Reported(_)
            )
        {
            let advice = aborted_advice(self.target, &self.kernel, true);
            self.reporter.advice(advice);
        }
    }

    /// Says what cannot be seen in the output: that the interpreter has ended, as far as that is known.
    fn note_result(&mut self, result: &ExecutionResult, has_errors: bool) {
        let is_late = result.status == ExecutionStatus::ExecTimeout;
        let code = result.exit_code().unwrap_or(0);
        let has_lost = has_lost(result);
        if let Some(exceeded) = result.exceeded() {
            self.exit = match is_late {
                true => Exit::TIMEOUT,
                false => Exit::of_program(code),
            };
            self.reporter.fail(words(&exceeded));
            if has_lost || is_late && !self.is_marked {
                self.reporter.advice(format_args!("{KILLED} {NEXT}"));
            }
            return;
        }
        if has_lost {
            self.exit = Exit::of_program(code);
            self.reporter.advice(format_args!(
                "The program has ended its interpreter, with exit code {code}: variables are lost, and files are kept. {NEXT}"
            ));
            return;
        }
        // Errors have 1 (in perl and php 255), after a message, and commands of shells any. Shells of other gateways may
        // have ended.
        let is_error = matches!(code, 1 | 255) && has_errors;
        let is_of_command = Syntax::of(self.lang) == Syntax::Shell
            && code > 0
            && (self.is_marked || !self.said_exit);
        if code == 0 || is_error || is_of_command {
            return;
        }
        self.exit = Exit::of_program(code);
        let variables = match self.is_marked {
            true => "Variables are kept.",
            false => {
                "This gateway does not say whether the interpreter has ended, too. Then variables are lost."
            }
        };
        self.reporter.advice(format_args!(
            "The program has ended with exit code {code}. {variables}"
        ));
    }
}

fn has_errors(console: &Console) -> bool {
    let is_error = |record| {
        matches!(
            record,
            ConsoleRecord::Stderr(_) | ConsoleRecord::StderrBytes(_)
        )
    };
    console.iter_exact().any(is_error)
}

/// Whether the session may still be busy with the execution.
fn may_be_busy(error: &Error) -> bool {
    match error {
        Error::Aborted(aborted) => !aborted.is_freed,
        error => !error.is_busy(),
    }
}
