//! `sorna repl`: an interactive session by requests that execute snippets, without a terminal in the kernel.

mod act;
pub(crate) mod args;
mod command;
mod completion;
mod editor;
mod event;
mod farewell;
mod history;
mod input;
mod keeper;
mod language;
mod snippet;
mod unfinished;
mod watch;

use std::io::{self, IsTerminal};
use std::sync::mpsc::{self, Receiver};

use signal_hook::consts::SIGINT;
use sorna::blocking::{Kernel, Run};
use sorna::{Dialect, ExecuteMode, KernelId, KernelSpec, RunPlan, SessionToken, random_token};

use crate::advice::show_left;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::globals::Globals;
use crate::held::{KEEPS, clean_up, create};
use crate::keep_alive;
use crate::left::Turn;
use crate::local::Isolated;
use crate::pending::PendingLine;
use crate::reporter::Reporter;
use crate::run::finish::{Task, finish};
use crate::run::left_running::may_run;
use crate::run::local_api;
use crate::run::media::Gallery;
use crate::run::output::Output;
use crate::run::work_dir;
use crate::signals::{self, LastWords, Stopped};
use crate::spoken::{self, session_token};
use crate::streams::{self, Stream};
use crate::target::Target;
use crate::temporary::{self, Sweep, Temporary};
use crate::terms::Terms;
use crate::tty;
use args::ReplArgs;
use completion::Completion;
use editor::Editor;
use event::{Event, Typed};
use history::History;
use keeper::Keeper;
use watch::Watch;

/// Whether code of a language is whole, as far as its text says that; `None` if nothing is known of the language.
#[cfg(feature = "jupyter")]
pub(crate) fn is_whole(lang: &str, code: &str) -> Option<bool> {
    match language::Syntax::of(lang) {
        language::Syntax::Other => None,
        syntax => Some(!unfinished::is_unfinished(code, syntax)),
    }
}

/// Turns bracketed paste off, which the prompt has turned on.
const NO_PASTE: &[u8] = b"\x1b[?2004l\r\n";

const NO_TERMINAL: &str = "a prompt needs a terminal, and standard input is not one";
const FROM_PIPES: &str = "To run code from a file or a pipe, use `sorna run LANG < FILE`, or `COMMAND | sorna run LANG`.";

/// A prompt and its kernel.
struct Session<'t> {
    target: &'t Target,
    lang: &'t str,
    dialect: Dialect,
    spec: KernelSpec,
    token: SessionToken,
    /// The kernel that is used now.
    kernel: KernelId,
    is_temporary: bool,
    /// Whether it is another one than that which was created first.
    is_replaced: bool,
    /// The kernel, if it is temporary, while it is there.
    kept: Temporary,
    /// Whose turn it is in the session, if it is one that is kept.
    turn: Option<Turn>,
    reporter: Reporter,
    output: Output,
    pending: PendingLine,
    watch: Watch,
    stopped: Stopped,
    completion: Completion,
    keeper: Keeper,
    /// Whether the gateway keeps executions of several clients apart, and so is one of ours.
    is_marked: bool,
    /// Whether a program may still run that was left.
    is_left: bool,
    /// Whether the last snippet may have ended a shell on purpose.
    said_exit: bool,
    /// How it ends, if it ends now.
    exit: Exit,
}

/// Carries out the command.
pub(crate) fn repl(arguments: ReplArgs, globals: &Globals) -> Result<Exit, Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::usage(NO_TERMINAL.to_owned()).with_advice(FROM_PIPES));
    }
    let token = arguments.token.as_deref();
    let token = token.map(|token| session_token(token, globals)).transpose();
    let token = token.map_err(Failure::Argument)?;
    let spec = arguments.spec(globals)?;
    let gallery = Gallery::new(&arguments.media, true);
    gallery
        .prepare()
        .map_err(|error| Failure::System("cannot create the media directory", error))?;
    let caught = signals::catch_with(&[SIGINT])?;
    let local = arguments.local.config()?;
    let target = Target::open_with(local.map(|config| (config, local_api(&spec))), globals)?;
    let mut reporter = Reporter::new(arguments.quiet);
    let (happen, happened) = mpsc::channel();
    let (words, stopped) = (LastWords::default(), Stopped::default());
    let watch = Watch::start(
        caught,
        happen.clone(),
        target.gateway(),
        words.clone(),
        stopped.clone(),
        reporter.clone(),
    )?;
    let version = spoken::version(&target)?;
    spec.check(version).map_err(Failure::Argument)?;
    spoken::check_token(&target, token.as_ref())?;
    let remarks = target.on_gateway(|gateway| Some(arguments.local.remarks(gateway)));
    for remark in remarks.into_iter().flatten() {
        reporter.advice(remark);
    }
    let dialect = version.dialect();
    let terms = Terms::of(dialect);
    let is_temporary = token.is_none();
    let token = token.unwrap_or_else(random_token);
    reporter.info(format_args!("{}: {token}", terms.token));
    reporter.wait(format_args!("Connecting to the {}...", terms.kernel));

    // Executes nothing. When the run goes on, the interpreter of a temporary kernel ends, and the kernel is destroyed.
    let plan = end_plan(&spec, &token);
    let mut run = target.client.run(match is_temporary {
        true => plan,
        false => plan.keep_kernel(),
    });
    watch.creates(run.canceller());
    let sweep = Sweep::start(&target, dialect, &reporter);
    let mut kept = match is_temporary {
        true => Temporary::named(&target, &token, dialect, words),
        false => Temporary::default(),
    };
    let pending = PendingLine::new(arguments.max_wait());
    let Some(kernel) = create(&mut run, &mut reporter, pending) else {
        watch.is_over();
        let Some(report) = run.into_report() else {
            unreachable!("a run ends with a report")
        };
        if temporary::has_ended(&report) {
            kept.is_gone();
        }
        let task = Task {
            target: &target,
            lang: &arguments.lang,
            token: &token,
            advice: None,
            remark: None,
            over_limit: None,
            was_ready: false,
            attaches: false,
            left_limit: None,
            has_input: false,
            name: token.as_str(),
        };
        let signal = stopped.signal().map(Exit::of_signal);
        let exit = finish(&mut reporter, &report, None, signal, task);
        sweep.finish(&mut reporter);
        return Ok(exit);
    };
    let asked = arguments.asked();
    let compared = asked.compare(&target, &kernel, dialect, run.is_new());
    for remark in compared.remarks {
        reporter.advice(remark);
    }
    if let Some(refusal) = compared.refusal {
        // Only of one that existed: there is nothing to destroy.
        watch.is_over();
        return Err(Failure::usage(refusal));
    }
    let is_kept_and_new = !is_temporary && run.is_new() == Some(true);
    if let Some(directory) = &arguments.workdir
        && let Err(reason) = work_dir::enter(&target, &kernel, &arguments.lang, directory)
    {
        watch.is_over();
        reporter.fail(reason);
        if is_kept_and_new {
            reporter.advice(terms.stays(&kernel, true));
        }
        return Ok(Exit::FAILURE);
    }
    if let Some(time) = arguments.idle_timeout
        && let Err(failure) = keep_alive::set(&target.client.kernel(kernel.clone()), time)
    {
        watch.is_over();
        failure.show();
        if is_kept_and_new {
            reporter.advice(terms.stays(&kernel, false));
        }
        return Ok(failure.exit());
    }
    watch.prompts();
    if is_temporary {
        kept.created(&target, &kernel, dialect);
    }
    reporter.done(terms.ready(&kernel, is_kept_and_new));
    let others = run.other_languages();
    if let Some(remark) = terms.beside_others(&others).filter(|_| is_kept_and_new) {
        reporter.advice(remark);
    }
    let asks = spec.env().len() + spec.resources().len() > 0;
    if run.is_new() == Some(false) && asks {
        reporter.advice(KEEPS);
    }
    reporter.info("%help lists commands; leave with Ctrl-D.");

    let keeper = Keeper::start(
        target.client.clone(),
        kernel.clone(),
        arguments.idle_timeout,
    );
    let history = History::of(&arguments.lang, !arguments.no_history);
    let completion = Completion::new(target.client.clone(), kernel.clone(), dialect);
    let editor = Editor::start(&arguments.lang, history, completion.clone(), happen);
    let mut session = Session {
        output: Output::new(gallery, target.on_gateway(Isolated::on)),
        target: &target,
        lang: &arguments.lang,
        dialect,
        spec,
        token,
        kernel,
        is_temporary,
        is_replaced: false,
        kept,
        turn: None,
        reporter,
        pending,
        watch,
        stopped,
        completion,
        keeper,
        is_marked: false,
        is_left: false,
        said_exit: false,
        exit: Exit::SUCCESS,
    };
    let exit = match editor {
        Ok(editor) => session.attend(&editor, &happened),
        Err(failure) => {
            failure.show();
            failure.exit()
        }
    };
    let mut reporter = session.reporter.clone();
    let exit = session.end(run, exit);
    sweep.finish(&mut reporter);
    Ok(exit)
}

impl Session<'_> {
    /// Runs what is typed, until the user leaves.
    fn attend(&mut self, editor: &Editor, happened: &Receiver<Event>) -> Exit {
        let mut was_interrupt = false;
        loop {
            if let Some(signal) = self.stopped.signal() {
                return Exit::of_signal(signal);
            }
            self.reporter.end_line();
            editor.ask();
            let code = match happened.recv() {
                Ok(Event::Typed(Typed::Code(code))) => code,
                Ok(Event::Typed(Typed::Interrupt)) => {
                    if std::mem::replace(&mut was_interrupt, true) {
                        self.reporter.info("Leave with Ctrl-D.");
                    }
                    continue;
                }
                Ok(Event::Typed(Typed::Failed(error))) => {
                    self.reporter
                        .fail(format_args!("cannot read from the terminal: {error}"));
                    return Exit::FAILURE;
                }
                Ok(Event::Signal(signal)) => {
                    tty::restore();
                    let _ = streams::write(Stream::Stdout, NO_PASTE);
                    return Exit::of_signal(signal);
                }
                Ok(Event::Typed(Typed::End)) | Err(_) => return self.exit,
            };
            was_interrupt = false;
            match command::parse(&code, self.lang) {
                Some(Ok(command::Command::Leave)) => return Exit::SUCCESS,
                Some(Ok(command)) => self.act(command),
                Some(Err(mistake)) => self.reporter.fail(mistake),
                None if code.trim().is_empty() => {}
                None => {
                    self.said_exit = code.contains("exit") || code.contains("exec");
                    self.run(code);
                }
            }
        }
    }

    fn kernel(&self) -> Kernel {
        self.target.client.kernel(self.kernel.clone())
    }

    /// From now on, this kernel is used.
    fn replace_kernel(&mut self, kernel: KernelId) {
        self.completion.set_kernel(kernel.clone());
        self.keeper.set_kernel(kernel.clone());
        self.turn = None;
        self.is_replaced = true;
        self.kernel = kernel;
        if self.is_temporary {
            self.kept.is_gone();
            self.kept.created(self.target, &self.kernel, self.dialect);
        }
    }

    /// Ends the interpreter of a temporary kernel, and destroys that.
    fn end(mut self, mut run: Run, exit: Exit) -> Exit {
        let is_stopped = self.stopped.signal().is_some();
        let mut other = None;
        if self.is_temporary && !is_stopped {
            if self.is_replaced {
                let plan = end_plan(&self.spec, &self.token);
                other = Some(self.part(self.target.client.run(plan)));
            } else {
                run = self.part(run);
            }
        } else if is_stopped {
            // What runs is not waited for.
            let _ = run.canceller().cancel();
        }
        let exit = self.stopped.signal().map_or(exit, Exit::of_signal);
        self.watch.is_over();
        if let Some(advice) = self.output.advice() {
            self.reporter.advice(advice);
        }
        let terms = Terms::of(self.dialect);
        if !self.is_temporary {
            if self.is_left {
                self.reporter
                    .info(may_run(&self.kernel, self.dialect, self.is_marked));
            }
            return exit;
        }
        // The first run destroys only the one that it has created, which is gone.
        let run = match (other, self.is_replaced) {
            (Some(other), _) => other,
            (None, true) => {
                if let Err(error) = self.kernel().destroy_until_gone() {
                    show_left(&mut self.reporter, terms, self.kernel.as_str(), &error);
                    return Exit::FAILURE;
                }
                run
            }
            (None, false) => run,
        };
        let kernel = self.kernel.clone();
        clean_up(&mut self.reporter, terms, &kernel, run, self.kept, exit)
    }
}

/// Ends the interpreter of a temporary kernel, and destroys that.
fn end_plan(spec: &KernelSpec, token: &SessionToken) -> RunPlan {
    RunPlan::temporary(spec.clone(), Vec::<ExecuteMode>::new())
        .with_token(token.clone())
        .with_interpreter_end(true)
}
