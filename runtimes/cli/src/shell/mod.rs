//! `sorna shell`: a terminal on a kernel.

pub(crate) mod args;
mod event;
mod keys;
mod screen;
mod typing;
mod watch;

use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use sorna::blocking::{PtyReader, PtyWriter};
use sorna::protocol::terminal::OpenTerminal;
use sorna::{
    ExecuteMode, GatewayError, ProblemKind, RunPlan, TerminalEvent, TerminalOptions, random_token,
    with_causes,
};

use crate::advice::{advice, show_error};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::globals::Globals;
use crate::harmless::safe;
use crate::held::{KEEPS, clean_up, create};
use crate::keep_alive;
use crate::local::Isolated;
use crate::pending::{MAX_WAIT, PendingLine};
use crate::reporter::Reporter;
use crate::run::finish::{Task, finish};
use crate::run::local_api;
use crate::settings::quoted;
use crate::signals::LastWords;
use crate::spoken::{self, session_token};
use crate::streams::{self, Stream};
use crate::target::Target;
use crate::temporary::{self, Sweep, Temporary};
use crate::threads::start;
use crate::tty;
use args::ShellArgs;
use event::Event;
use keys::DETACH_NAME;
use screen::Screen;
use watch::Starting;

/// How long to wait, after the detach key, until what was typed before it is sent.
const FAREWELL: Duration = Duration::from_secs(1);

const INPUT_LOST: &str = "The manager has closed the terminal at the first input, as releases 22.09 to 25.8 do. Use `sorna repl` instead, which needs no terminal.";
const SILENT: &str = "The terminal shows nothing. Those of managers from 25.9 on do not work, nor those of 22.09 to 25.8 through a web server: leave with Ctrl-], and use `sorna repl` instead, which needs none.";

const SILENT_AT_END: &str = "the terminal shows nothing. Those of managers from 25.9 on do not work, nor those of 22.09 to 25.8 through a web server: use `sorna run` instead";

/// Carries out the command.
pub(crate) fn shell(arguments: ShellArgs, globals: &Globals) -> Result<Exit, Failure> {
    let token = arguments
        .token
        .as_deref()
        .map(|token| session_token(token, globals))
        .transpose()
        .map_err(Failure::Argument)?;
    let spec = arguments.spec(globals)?;
    let caught = watch::catch()?;
    let local = arguments.local.config()?;
    let target = Target::open_with(local.map(|config| (config, local_api(&spec))), globals)?;
    // Signals are watched before there is a kernel, so that no kernel is left behind.
    let (happen, happened) = mpsc::channel();
    let starting = Starting::default();
    let words = LastWords::default();
    let window = watch::watch(
        caught,
        happen.clone(),
        target.gateway(),
        starting.clone(),
        words.clone(),
    )?;
    let version = spoken::version(&target)?;
    spec.check(version).map_err(Failure::Argument)?;
    if arguments.workdir.is_some() {
        check_directories(&target)?;
    }
    spoken::check_token(&target, token.as_ref())?;
    let mut reporter = Reporter::new(arguments.quiet);
    let remarks = target.on_gateway(|gateway| Some(arguments.local.remarks(gateway)));
    for remark in remarks.into_iter().flatten() {
        reporter.advice(remark);
    }
    let terms = target.terms();
    if let Some(token) = &token {
        reporter.info(format_args!("{}: {token}", terms.token));
    }
    reporter.wait(format_args!("Connecting to the {}...", terms.kernel));
    let is_temporary = token.is_none();
    let token = token.unwrap_or_else(random_token);
    // Executes nothing. A temporary kernel is destroyed when the run goes on.
    let has_variables = spec.env().len() > 0;
    let plan = RunPlan::temporary(spec, Vec::<ExecuteMode>::new());
    let plan = plan.with_token(token.clone());
    let mut run = target.client.run(match is_temporary {
        true => plan,
        false => plan.keep_kernel(),
    });
    starting.begin(run.canceller());
    let dialect = version.dialect();
    let sweep = Sweep::start(&target, dialect, &reporter);
    let mut kept = match is_temporary {
        true => Temporary::named(&target, &token, dialect, words),
        false => Temporary::default(),
    };
    let created = create(&mut run, &mut reporter, PendingLine::new(MAX_WAIT));
    if let Some(id) = created.as_ref().filter(|_| is_temporary) {
        kept.created(&target, id, dialect);
    }
    starting.is_over();
    let Some(id) = created else {
        let signal = match happened.try_recv() {
            Ok(Event::Signal(signal)) => Some(Exit::of_signal(signal)),
            _ => None,
        };
        let Some(report) = run.into_report() else {
            unreachable!("a run ends with a report")
        };
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
        if temporary::has_ended(&report) {
            kept.is_gone();
        }
        let exit = finish(&mut reporter, &report, None, signal, task);
        sweep.finish(&mut reporter);
        return Ok(exit);
    };
    if is_temporary {
        reporter.info(format_args!("{}: {token}", terms.token));
    }
    let kernel = target.client.kernel(id.clone());
    let is_kept_and_new = !is_temporary && run.is_new() == Some(true);
    reporter.done(terms.ready(&id, is_kept_and_new));
    let others = run.other_languages();
    if let Some(remark) = terms.beside_others(&others).filter(|_| is_kept_and_new) {
        reporter.advice(remark);
    }
    if has_variables && run.is_new() == Some(false) {
        reporter.advice(KEEPS);
    }
    if let Some(time) = arguments.idle_timeout
        && let Err(failure) = keep_alive::set(&kernel, time)
    {
        failure.show();
        if is_kept_and_new {
            reporter.advice(terms.stays(&id, false));
        }
        return Ok(failure.exit());
    }
    let exit = if let Ok(Event::Signal(signal)) = happened.try_recv() {
        Exit::of_signal(signal)
    } else {
        match kernel.stream_pty(options(&arguments)) {
            Ok(pty) => {
                reporter.info(format_args!("Leave with {DETACH_NAME}."));
                let (reader, writer) = pty.split();
                let screen = Screen::new(&reporter, target.on_gateway(Isolated::on));
                watch::pass_on(window, writer.clone())
                    .and_then(|()| {
                        let both = (reader, writer);
                        attend(&mut reporter, &arguments, screen, both, happen, &happened)
                    })
                    .unwrap_or_else(|failure| {
                        failure.show();
                        failure.exit()
                    })
            }
            Err(error) => {
                show_error(&mut reporter, &error, &target);
                if error.gateway().is_some_and(is_about_terminals) {
                    reporter.advice(format_args!(
                        "For a prompt without a terminal, use `sorna repl {}`.",
                        quoted(&arguments.lang)
                    ));
                }
                if arguments.workdir.is_some() && is_kept_and_new {
                    reporter.advice(terms.stays(&id, true));
                }
                Exit::FAILURE
            }
        }
    };
    let exit = match is_temporary {
        true => clean_up(&mut reporter, terms, &id, run, kept, exit),
        false => exit,
    };
    sweep.finish(&mut reporter);
    Ok(exit)
}

/// Checks that the gateway starts terminals in directories, before there is a kernel.
fn check_directories(target: &Target) -> Result<(), Failure> {
    match target.client.offers(OpenTerminal::DIRECTORY) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Failure::usage(format!(
            "the gateway at {} starts terminals in the work directory only: leave out --workdir, and use `cd` there",
            target.endpoint()
        ))),
        Err(error) => Err(Failure::Request {
            advice: advice(&error, target),
            error: Box::new(error),
        }),
    }
}

fn options(arguments: &ShellArgs) -> TerminalOptions {
    let mut options = TerminalOptions::new();
    if let Some(directory) = &arguments.workdir {
        options = options.with_directory(directory);
    }
    match watch::size() {
        Some((rows, cols)) => options.with_size(rows, cols),
        None => options,
    }
}

/// Shows the kernel's output and sends what is typed, until either side ends it.
fn attend(
    reporter: &mut Reporter,
    arguments: &ShellArgs,
    screen: Screen,
    (reader, writer): (PtyReader, PtyWriter),
    happen: Sender<Event>,
    happened: &Receiver<Event>,
) -> Result<Exit, Failure> {
    let raw = tty::Changed::raw()
        .map_err(|error| Failure::System("cannot switch the terminal to raw mode", error))?;
    let shown = screen.clone();
    let to_us = happen.clone();
    start("output", move || read(reader, &shown, &to_us))?;
    typing::pass_on(writer, happen)?;

    let mut message = None;
    let mut deadline = None;
    let mut is_at_end = false;
    // How it ends if the gateway closes the terminal.
    let mut closed = Exit::SUCCESS;
    let (exit, ending) = loop {
        match next(happened, deadline) {
            Event::Message(text) => message = Some(text),
            Event::Taken(text) => {
                message = Some(text);
                closed = Exit::FAILURE;
            }
            Event::InputLost => closed = Exit::FAILURE,
            Event::NoInput => is_at_end = true,
            // No one is there who could leave.
            Event::Silent if is_at_end => {
                message = Some(SILENT_AT_END.to_owned());
                break (Exit::FAILURE, None);
            }
            Event::Silent => {
                // The terminal is in raw mode: a line end does not return to the first column.
                let _ = streams::write(Stream::Stdout, b"\r\n");
                reporter.advice(SILENT);
                let _ = streams::write(Stream::Stdout, b"\r");
            }
            Event::Closed(None) => {
                if closed != Exit::SUCCESS && message.is_none() {
                    message = Some(INPUT_LOST.to_owned());
                }
                break (closed, Some("The terminal is closed.".to_owned()));
            }
            Event::Closed(Some(error)) => {
                message = Some(with_causes(&error));
                break (Exit::FAILURE, reattach(arguments));
            }
            Event::Leaving => deadline = Some(Instant::now() + FAREWELL),
            Event::Detached => break (Exit::SUCCESS, Some(detached(arguments))),
            Event::Signal(signal) => break (Exit::of_signal(signal), None),
            Event::NoKeys => break (Exit::FAILURE, None),
            Event::NoScreen => {
                break (Exit::of_signal(signal_hook::consts::SIGPIPE), None);
            }
        }
    };
    screen.close();
    drop(raw);
    reporter.end_line();
    if let Some(message) = message {
        reporter.fail(message);
    }
    if let Some(ending) = ending {
        reporter.info(ending);
    }
    if let Some(advice) = screen.advice() {
        reporter.advice(advice);
    }
    Ok(exit)
}

/// Whether the response may be of a gateway that opens no terminals.
fn is_about_terminals(error: &GatewayError) -> bool {
    let is_about_user = matches!(error.status().as_u16(), 401 | 403 | 429);
    let is_about_directory = error.kind() == Some(ProblemKind::InvalidApiParams);
    !is_about_user && !is_about_directory
}

/// The message after the detach key.
fn detached(arguments: &ShellArgs) -> String {
    match reattach(arguments) {
        // The kernel ends with it.
        None => "Left the terminal.".to_owned(),
        Some(how) => format!("Detached. {how}"),
    }
}

/// How to come back to a kernel that is kept.
fn reattach(arguments: &ShellArgs) -> Option<String> {
    let token = quoted(arguments.token.as_deref()?);
    let language = quoted(&arguments.lang);
    Some(format!(
        "Reattach with `sorna shell -t {token} {language}`."
    ))
}

/// Waits for the next event, but not past the deadline after the detach key.
fn next(happened: &Receiver<Event>, deadline: Option<Instant>) -> Event {
    let Some(deadline) = deadline else {
        return happened.recv().unwrap_or(Event::Closed(None));
    };
    let left = deadline.saturating_duration_since(Instant::now());
    match happened.recv_timeout(left) {
        Ok(happening) => happening,
        Err(RecvTimeoutError::Timeout) => Event::Detached,
        Err(RecvTimeoutError::Disconnected) => Event::Closed(None),
    }
}

/// Waits for the kernel's output, on a separate thread, and shows it. While the screen takes nothing, nothing is read
/// either, and the gateway waits.
fn read(mut reader: PtyReader, screen: &Screen, happen: &Sender<Event>) {
    loop {
        let happening = match reader.next_event() {
            Ok(Some(TerminalEvent::Output(bytes))) => match screen.show(&bytes) {
                Ok(()) => continue,
                Err(_) => Event::NoScreen,
            },
            Ok(Some(TerminalEvent::Error(message))) => Event::Message(message),
            Ok(Some(TerminalEvent::InputLost)) => Event::InputLost,
            Ok(Some(TerminalEvent::Silent)) => Event::Silent,
            Ok(Some(TerminalEvent::Closed { reason, .. })) if !reason.is_empty() => {
                Event::Taken(safe(&reason))
            }
            Ok(Some(_)) => continue,
            Ok(None) => Event::Closed(None),
            Err(error) => Event::Closed(Some(error)),
        };
        let is_end = matches!(happening, Event::Closed(_) | Event::NoScreen);
        if happen.send(happening).is_err() || is_end {
            return;
        }
    }
}
