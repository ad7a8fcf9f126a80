//! A run in progress: what it reports is shown until it ends.

use std::io::{self};
use std::time::Duration;

use sorna::blocking::{Run, SendMeter};
use sorna::protocol::Execute;
use sorna::{
    Dialect, Ending, Error, ExecutionEvent, ExecutionStatus, KernelId, Limit, RunEvent, RunPlan,
    SessionToken,
};

use super::drain;
use super::finish::{Stop, Task, finish};
use super::input::{Answer, Form, Given, Input};
use super::left_running::{Program, may_be_seen, may_run};
use super::made::Made;
use super::output::Output;
use super::own_limit::OwnLimit;
use super::own_output::OwnOutput;
use super::resources::{OverLimit, Wishes};
use super::silence::Silence;
use super::source;
use super::work_dir;
use crate::chain::message;
use crate::exit::Exit;
use crate::json::{self, Event, Used};
use crate::left::{self, Record, State, Turn};
use crate::pending::PendingLine;
use crate::progress::Progress;
use crate::reporter::Reporter;
use crate::settings::quoted;
use crate::signals::{LastWords, Stopped};
use crate::stored::show_unchecked;
use crate::target::Target;
use crate::temporary::{self, Sweep, Temporary};
use crate::terms::Terms;
use crate::units::count;

/// How much to upload.
#[derive(Clone, Copy, Debug)]
pub(super) struct Files {
    number: usize,
    bytes: u64,
    /// Whether they are files of the user, and not code from standard input.
    are_own: bool,
}

impl Files {
    pub(super) fn of(plan: &RunPlan, are_own: bool) -> Self {
        Self {
            are_own,
            number: plan.files().iter().filter(|it| !it.is_directory()).count(),
            bytes: plan.files().iter().map(|file| file.size()).sum(),
        }
    }

    pub(super) fn is_some(self) -> bool {
        self.number > 0
    }

    /// Whether they are reported to the user.
    pub(super) fn are_shown(self) -> bool {
        self.is_some() && self.are_own
    }
}

/// A run in progress.
pub(super) struct Session<'p> {
    pub(super) run: Run,
    pub(super) reporter: Reporter,
    pub(super) output: Output,
    pub(super) input: Input,
    pub(super) token: SessionToken,
    pub(super) temporary: bool,
    pub(super) files: Files,
    /// The directory to which the first execution changes, if it does.
    pub(super) enters: Option<&'p str>,
    /// Advice if the program fails.
    pub(super) advice: Option<String>,
    pub(super) meter: SendMeter,
    /// The number of the execution in the plan, from 0.
    pub(super) execution: usize,
    pub(super) program: Program,
    pub(super) target: &'p Target,
    pub(super) lang: &'p str,
    /// Whether standard input is the code.
    pub(super) reads_code: bool,
    pub(super) dialect: Dialect,
    /// Whether values of expressions are to be shown.
    pub(super) echoes: bool,
    pub(super) wishes: Wishes<'p>,
    /// For how long the kernel may not be in use, if that was asked for.
    pub(super) idle_timeout: Option<Duration>,
    pub(super) pending: PendingLine,
    /// Whether the gateway keeps executions of several clients apart.
    pub(super) is_marked: bool,
    /// Whether it lets others see what runs in a kernel that is kept.
    pub(super) attaches: bool,
    /// The kernel, once it is there.
    pub(super) ready: Option<KernelId>,
    /// What to say of a kernel that is new and kept, if nothing is run in it.
    pub(super) stays: Option<String>,
    /// Whether its token stands for others as well.
    pub(super) has_others: bool,
    /// If the program exceeded its time limit.
    pub(super) over_limit: Option<OverLimit>,
    pub(super) silence: Silence,
    /// The time limit of executions, where the gateway does not keep it.
    pub(super) limit: OwnLimit,
    /// The limit on what they write, where the gateway does not keep it.
    pub(super) own_output: OwnOutput,
    pub(super) stopped: Stopped,
    /// The session, if it is one that is kept.
    pub(super) kernel: Option<KernelId>,
    /// The execution, while the session is busy with it.
    pub(super) record: Option<Record>,
    /// Whose turn it is in the session, if it is one that is kept.
    pub(super) turn: Option<Turn>,
    /// The kernel, if it is temporary, while it is there.
    pub(super) kept: Temporary,
    pub(super) words: LastWords,
    /// The files that the program makes.
    pub(super) made: Made<'p>,
    /// Whether what is to be done with them has worked.
    pub(super) is_brought: bool,
}

impl Session<'_> {
    pub(super) fn run(mut self) -> Exit {
        let sweep = Sweep::start(self.target, self.dialect, &self.reporter);
        if self.temporary {
            let words = self.words.clone();
            self.kept = Temporary::named(self.target, &self.token, self.dialect, words);
        }
        let mut problem = None;
        loop {
            match self.run.next_event() {
                Ok(Some(event)) => {
                    // What was to begin does not: the run is cancelled.
                    let is_cancelled = problem.is_some()
                        || self.stopped.signal().is_some()
                        || self.limit.is_exceeded();
                    if is_cancelled && matches!(event, RunEvent::ExecutionStarted { .. }) {
                        continue;
                    }
                    self.note_silence(&event);
                    self.note_limit(&event);
                    self.note_execution(&event);
                    self.note_continuable(&event);
                    let shown = self.report(&event).map_err(Stop::Output);
                    if let Err(stop) = shown.and_then(|()| self.show(event)) {
                        problem.get_or_insert(stop);
                        // The run then ends and cleans up.
                        let _ = self.run.canceller().cancel();
                    } else if self.limit.is_exceeded() {
                        // What the program had printed came with this event.
                        let _ = self.run.canceller().cancel();
                    }
                }
                Ok(None) => break,
                // Input was requested and not given; only a cancelled run gets here.
                Err(_)
                    if self.stopped.signal().is_some()
                        || problem.is_some()
                        || self.limit.is_exceeded() => {}
                Err(error) => {
                    problem.get_or_insert(Stop::Failed(error.to_string()));
                    let _ = self.run.canceller().cancel();
                }
            }
        }
        self.end_files();
        let name = match &self.ready {
            Some(kernel) if self.has_others => kernel.to_string(),
            _ => self.token.to_string(),
        };
        let Some(report) = self.run.into_report() else {
            unreachable!("a run ends with a report")
        };
        if temporary::has_ended(&report) {
            self.kept.is_gone();
        }
        // Where nothing interrupts it, a program that the command leaves runs on.
        let runs_on = self.dialect == Dialect::SornaV2
            && matches!(report.ending, Ending::Cancelled)
            && !matches!(self.program, Program::Ended);
        if runs_on
            && matches!(self.program, Program::Asks)
            && let (Some(record), Some(kernel)) = (self.record.take(), &self.ready)
        {
            self.record = drain::asking(self.target, kernel, record);
        }
        if let Some(record) = self.record.take()
            && !may_be_busy(&report.ending)
            && !runs_on
        {
            record.end();
        }
        if self.limit.is_exceeded()
            && !matches!(report.ending, Ending::Finished(_))
            && let Some(limit) = self.wishes.own_limit()
        {
            problem.get_or_insert(Stop::Overtime(limit));
        }
        let exit = self.stopped.signal().map(Exit::of_signal);
        let left = self.ready.as_ref().filter(|_| self.wishes.leaves());
        let left_limit = left.and_then(|kernel| left_limit(self.target, kernel));
        let task = Task {
            target: self.target,
            lang: self.lang,
            token: &self.token,
            advice: self.advice.as_deref().or(self.output.advice()),
            remark: self.output.advice(),
            over_limit: self.over_limit.as_ref(),
            was_ready: self.ready.is_some(),
            attaches: self.attaches,
            left_limit,
            has_input: !self.reads_code && source::has_more(),
            name: &name,
        };
        let is_refused = problem.is_some()
            || matches!(&report.ending, Ending::Failed(error) if error.gateway().is_some() && !error.is_not_found());
        let exit = finish(&mut self.reporter, &report, problem, exit, task);
        if let Some(stays) = self.stays.filter(|_| is_refused) {
            self.reporter.advice(stays);
        }
        let (program, dialect, is_marked) = (self.program, self.dialect, self.is_marked);
        let see = self.attaches.then_some(&self.token);
        program.report_if_left(&report, &mut self.reporter, dialect, is_marked, see);
        sweep.finish(&mut self.reporter);
        if exit == Exit::SUCCESS && (self.output.has_lost() || !self.is_brought) {
            return Exit::FAILURE;
        }
        exit
    }

    /// Looks at what the program has made. If the command was stopped, too: a temporary kernel is gone afterwards. A second
    /// signal ends that at once.
    fn end_files(&mut self) {
        if let Some(kernel) = &self.ready {
            let kernel = self.target.client.kernel(kernel.clone());
            self.is_brought &= self.made.end(&kernel, &mut self.reporter);
        }
    }

    /// Notes whether the program prints something. What it prints is shown later.
    fn note_silence(&self, event: &RunEvent) {
        match event {
            RunEvent::ExecutionStarted { .. } => self.silence.start(),
            RunEvent::Execution(ExecutionEvent::InputRequested { .. })
            | RunEvent::ExecutionFinished(_)
            | RunEvent::CleaningUp => self.silence.pause(),
            RunEvent::Execution(_) => self.silence.is_broken(),
            _ => {}
        }
    }

    /// Counts the time of programs, except while they wait for input.
    fn note_limit(&self, event: &RunEvent) {
        match event {
            RunEvent::ExecutionStarted { .. } => self.count_time(),
            RunEvent::Execution(ExecutionEvent::InputRequested { .. })
            | RunEvent::ExecutionFinished(_)
            | RunEvent::CleaningUp => self.limit.pause(),
            _ => {}
        }
    }

    fn count_time(&self) {
        if let Some(limit) = self.wishes.own_limit() {
            self.limit.begin(limit);
        }
    }

    /// Keeps on disk which execution makes the session busy, once its ID is known: that of a WebSocket never is, but
    /// requests may follow it.
    fn note_execution(&mut self, event: &RunEvent) {
        if let (RunEvent::ExecutionStarted { .. } | RunEvent::Execution(_), None) =
            (event, &self.record)
            && let (Some(kernel), Some(run_id)) = (&self.kernel, self.run.run_id())
        {
            self.record = Record::begin(self.target, kernel, run_id);
        }
    }

    /// Keeps on disk that a program runs, as long as it does, where the gateway does not tell executions apart.
    fn note_continuable(&mut self, event: &RunEvent) {
        let is_here = !self.temporary && !self.is_marked && self.dialect == Dialect::SornaV2;
        if let (true, RunEvent::ExecutionStarted { .. }, None, Some(kernel)) =
            (is_here, event, &self.record, &self.ready)
        {
            self.record = drain::begin(self.target, kernel, self.files.is_some());
        }
    }

    /// Prints the event as JSON, if that was requested. [`Output`] prints the console records.
    fn report(&mut self, event: &RunEvent) -> io::Result<()> {
        // What changes the directory is none of the user's executions.
        let before = usize::from(self.enters.is_some());
        if let RunEvent::ExecutionStarted { index } = event {
            self.execution = *index;
        }
        let is_entering = self.execution < before
            && matches!(
                event,
                RunEvent::ExecutionStarted { .. }
                    | RunEvent::Execution(_)
                    | RunEvent::ExecutionFinished(_)
            );
        if is_entering {
            return Ok(());
        }
        match event {
            RunEvent::SessionPending(pending) => json::emit(&Event::SessionPending {
                kernel: &pending.kernel,
                status: pending.status.as_str(),
                reason: pending.status_info.as_deref(),
                waited_ms: u64::try_from(pending.waited.as_millis()).unwrap_or(u64::MAX),
            }),
            RunEvent::KernelReady(kernel) => json::emit(&Event::KernelReady {
                kernel,
                token: &self.token,
                temporary: self.temporary,
                created: self.run.is_new(),
                other_languages: self.run.other_languages(),
            }),
            RunEvent::Uploading(_) | RunEvent::Uploaded(_) if !self.files.are_own => Ok(()),
            RunEvent::Uploading(progress) => json::emit(&Event::UploadProgress((*progress).into())),
            RunEvent::Uploaded(progress) => json::emit(&Event::Uploaded((*progress).into())),
            RunEvent::ExecutionStarted { index } => json::emit(&Event::ExecutionStarted {
                index: *index - before,
            }),
            RunEvent::Execution(ExecutionEvent::StepFinished {
                status,
                exit_code,
                usage,
            }) => json::emit(&Event::StepFinished {
                status: status.as_str(),
                exit_code: *exit_code,
                used: (*usage).into(),
            }),
            RunEvent::Execution(ExecutionEvent::InputRequested { .. })
                if self.input.is_pending() =>
            {
                Ok(())
            }
            RunEvent::Execution(ExecutionEvent::InputRequested { is_password, .. }) => {
                json::emit(&Event::InputRequested {
                    password: *is_password,
                })
            }
            RunEvent::ExecutionFinished(result) if result.status == ExecutionStatus::Continued => {
                let detached = |kernel| {
                    let token = &self.token;
                    json::emit(&Event::Detached { kernel, token })
                };
                self.ready.as_ref().map_or(Ok(()), detached)
            }
            RunEvent::ExecutionFinished(result) => json::emit(&Event::ExecutionFinished {
                index: self.execution - before,
                status: result.status.as_str(),
                exit_code: result.exit_code(),
                step: result.step(),
                limit: result.exceeded().as_ref().map(|it| it.limit.as_str()),
                limit_max: result.exceeded().and_then(|it| it.max),
                used: result.usage().into(),
            }),
            RunEvent::CleaningUp => json::emit(&Event::CleaningUp),
            _ => Ok(()),
        }
    }

    /// Shows an event; an error stops the run.
    fn show(&mut self, event: RunEvent) -> Result<(), Stop> {
        if !matches!(
            event,
            RunEvent::Execution(ExecutionEvent::InputRequested { .. })
        ) {
            self.input.has_news(self.run.awaits_input());
        }
        let reporter = &mut self.reporter;
        match event {
            RunEvent::SessionPending(pending) => self.pending.show(&pending, reporter),
            RunEvent::KernelReady(kernel) => {
                self.output.set_carried(self.run.carries_bytes());
                self.ready = Some(kernel.clone());
                self.has_others = !self.run.other_languages().is_empty();
                if self.temporary {
                    self.kept.created(self.target, &kernel, self.dialect);
                }
                let is_new = self.run.is_new();
                let is_kept_and_new = !self.temporary && is_new == Some(true);
                let terms = Terms::of(self.dialect);
                reporter.done(terms.ready(&kernel, is_kept_and_new));
                if is_kept_and_new {
                    let others = self.run.other_languages();
                    if let Some(remark) = terms.beside_others(&others) {
                        reporter.advice(remark);
                    }
                }
                if self.echoes && self.run.echoes() == Some(false) {
                    // Both are extensions of the same gateway.
                    let is_ours = self.run.has_marked_executions();
                    reporter.advice(no_echo(self.lang, is_ours));
                }
                self.is_marked = self.run.has_marked_executions();
                self.attaches = self.is_marked
                    && !self.temporary
                    && self.target.client.offers(Execute::ATTACH).unwrap_or(false);
                self.wishes.note_marks(self.is_marked);
                self.own_output = OwnOutput::new(self.wishes.max_output().filter(|_| {
                    let offers = || self.target.client.offers(Execute::MAX_OUTPUT);
                    !(self.is_marked && offers().unwrap_or(false))
                }));
                let asked = self.wishes.asked();
                let compared = asked.compare(self.target, &kernel, self.dialect, is_new);
                for remark in compared.remarks {
                    reporter.advice(remark);
                }
                if let Some(refusal) = compared.refusal {
                    return Err(Stop::Refused(refusal));
                }
                if is_kept_and_new {
                    self.stays = Some(terms.stays(&kernel, false));
                }
                if let Some(time) = self.idle_timeout {
                    let kept = self.target.client.kernel(kernel.clone());
                    let set = kept.keep_alive(Some(time));
                    set.map_err(|error| Stop::Failed(message(&error)))?;
                }
                if let Some(directory) = self.enters {
                    let checked = work_dir::check(self.target, &kernel, directory);
                    if let (Err(_), Some(stays)) = (&checked, &mut self.stays) {
                        *stays = terms.stays(&kernel, true);
                    }
                    checked.map_err(Stop::Failed)?;
                }
                if !self.temporary && !self.is_marked {
                    self.turn = Turn::take(self.target, &kernel, reporter, &self.stopped);
                    if self.turn.is_none() {
                        // A signal arrived; the run is cancelled already.
                        return Ok(());
                    }
                    if self.dialect == Dialect::SornaV2 {
                        let (output, stopped) = (&mut self.output, &self.stopped);
                        drain::drain(self.target, &kernel, stopped, output, &mut self.reporter)?;
                    }
                }
                // Where others can attach, what was left keeps running, and does not block the kernel for good.
                if !self.temporary && self.dialect == Dialect::BackendAi && !self.attaches {
                    let kept = self.target.client.kernel(kernel.clone());
                    if left::free(self.target, &kept, &mut self.reporter) == State::Blocked {
                        return Err(Stop::Blocked(kernel));
                    }
                    self.kernel = Some(kernel);
                }
                if !self.run.carries_bytes() {
                    self.input.check_ahead()?;
                }
                if self.files.are_shown() {
                    let Files { number, bytes, .. } = self.files;
                    let start = Progress::start(number, bytes, &self.meter);
                    self.reporter.progress(UPLOADING, start);
                }
            }
            RunEvent::Uploading(_) | RunEvent::Uploaded(_) if !self.files.are_own => {}
            RunEvent::Uploading(progress) => {
                reporter.progress(UPLOADING, Progress::after(progress, &self.meter));
            }
            RunEvent::Uploaded(uploaded) => {
                reporter.done(format_args!("Uploaded {}.", count(uploaded.files, "file")));
                show_unchecked(reporter, uploaded);
            }
            RunEvent::ExecutionStarted { .. } => {
                self.own_output.restart();
                self.stays = None;
                if let Some(kernel) = &self.ready {
                    self.made.begin(&self.target.client.kernel(kernel.clone()));
                }
                self.set_program(Program::Runs);
                self.input.restart();
                self.reporter.wait(if self.files.are_shown() {
                    "Building your code..."
                } else {
                    "Running your code..."
                });
            }
            RunEvent::ExecutionFinished(result) => {
                self.set_program(Program::Ended);
                if let Some(kernel) = &self.ready {
                    // The kernel may be gone later.
                    self.over_limit = self.wishes.over_limit(self.target, kernel, &result);
                }
                if let Some(record) = self.record.take() {
                    record.end();
                }
            }
            RunEvent::Execution(event) => return self.show_execution(event),
            RunEvent::CleaningUp => {
                self.end_files();
                let noun = Terms::of(self.dialect).kernel;
                self.reporter
                    .wait(format_args!("Cleaning up the temporary {noun}..."));
            }
            _ => {}
        }
        Ok(())
    }

    /// Notes what the program does, and what is to be said if a second signal ends the command at once.
    fn set_program(&mut self, program: Program) {
        self.program = program;
        let kernel = self.ready.as_ref().filter(|_| !self.temporary);
        match (program, kernel) {
            (Program::Runs, Some(kernel)) => {
                let words = match self.attaches {
                    true => may_be_seen(
                        Terms::of(self.dialect).kernel,
                        kernel.as_str(),
                        self.token.as_str(),
                    ),
                    false => may_run(kernel, self.dialect, self.is_marked),
                };
                self.words.set(words);
            }
            (Program::Ended, Some(_)) => self.words.clear(),
            _ => {}
        }
    }

    fn show_execution(&mut self, event: ExecutionEvent) -> Result<(), Stop> {
        match event {
            ExecutionEvent::Console(console) => {
                let console = self.own_output.cut(console);
                self.output
                    .show(&console, &mut self.reporter)
                    .map_err(Stop::Output)?;
                if let Some(most) = self.own_output.exceeded() {
                    // The gateway says nothing of it.
                    json::emit(&Event::ExecutionFinished {
                        index: self.execution - usize::from(self.enters.is_some()),
                        status: "cancelled",
                        exit_code: None,
                        step: None,
                        limit: Some(Limit::Output.as_str()),
                        limit_max: Some(most),
                        used: Used::default(),
                    })
                    .map_err(Stop::Output)?;
                    return Err(Stop::TooMuch(most));
                }
            }
            ExecutionEvent::KernelBusy(busy) => {
                self.set_program(Program::Ended);
                let noun = Terms::of(self.dialect).kernel;
                self.reporter.advice(format_args!(
                    "The {noun} is busy: {busy}. This command waits until that has ended."
                ));
                self.reporter
                    .wait(format_args!("Waiting for the {noun}..."));
            }
            ExecutionEvent::KernelFree => {
                self.set_program(Program::Runs);
                self.reporter.wait("Running your code...");
            }
            ExecutionEvent::StepFinished {
                status: ExecutionStatus::BuildFinished,
                exit_code,
                ..
            } => match exit_code {
                None | Some(0) => {
                    self.reporter.done("Build finished.");
                    self.reporter.wait("Running your program...");
                }
                Some(code) => self
                    .reporter
                    .fail(format_args!("Build failed with exit code {code}.")),
            },
            ExecutionEvent::InputRequested {
                is_password,
                hides_line_end,
                takes_lines,
                takes_bytes,
                may_go_on,
            } => {
                self.program = Program::Asks;
                self.reporter.clear();
                // Both came to our gateway later than the mark of the end, and no other gateway has any of them.
                let takes_end = takes_lines || takes_bytes;
                let form = Form {
                    is_hidden: is_password,
                    hides_line_end,
                    takes_lines,
                    takes_bytes,
                    takes_end,
                    may_go_on: may_go_on && takes_bytes,
                };
                let answer = self.input.answer(form)?;
                if let Answer::NotYet = answer {
                    let looked = self.run.answer_bytes([]);
                    return looked.map_err(|error| Stop::Failed(error.to_string()));
                }
                if self.input.was_typed() && !hides_line_end {
                    self.reporter.note_output("\n");
                }
                match answer {
                    Answer::Given(given) => {
                        self.program = Program::Runs;
                        self.silence.is_broken();
                        self.count_time();
                        let given = match given {
                            Given::Text(text) => self.run.answer(text),
                            Given::Bytes(bytes) => self.run.answer_bytes(bytes),
                        };
                        given.map_err(|error| Stop::Failed(error.to_string()))?;
                    }
                    // A signal arrived; the run is cancelled already.
                    _ if self.stopped.signal().is_some() => {}
                    _ => return Err(Stop::NoInput { is_told: takes_end }),
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// Whether the session may still be busy with the last execution.
fn may_be_busy(ending: &Ending) -> bool {
    match ending {
        Ending::Failed(Error::Aborted(aborted)) => !aborted.is_freed,
        // Nothing was executed.
        Ending::Failed(error) if error.is_busy() => false,
        Ending::Failed(_) => true,
        _ => false,
    }
}

const UPLOADING: &str = "Uploading source files...";

/// The time limit of a program that is left running.
fn left_limit(target: &Target, kernel: &KernelId) -> Option<Duration> {
    let info = target.client.kernel(kernel.clone()).info().ok()?;
    info.exec_timeout().filter(|limit| !limit.is_zero())
}

/// What to say where `--echo` has no effect.
fn no_echo(lang: &str, is_ours: bool) -> String {
    if is_ours {
        let lang = quoted(lang);
        format!(
            "--echo has no effect in {lang}: values of expressions are sent in python3, nodejs, ruby, lua, perl and r."
        )
    } else {
        "--echo has no effect here: only gateways of `sorna serve` send the values of expressions."
            .to_owned()
    }
}
