//! `sorna attach`.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use clap::Args;
use sorna::blocking::Execution;
use sorna::{BuildError, Error, ExecutionEvent, ExecutionResult, ExecutionStatus, ProblemKind};

use super::args::MediaArgs;
use super::finish::Stop;
use super::input::{Answer, Form, Given, Input, Wake};
use super::left_running::may_be_seen;
use super::media::Gallery;
use super::output::Output;
use super::resources;
use crate::advice::{NO_ID, show_error_of};
use crate::chain::message;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::globals::Globals;
use crate::json::{self, Event};
use crate::lost::{KILLED, has_lost};
use crate::reporter::Reporter;
use crate::sessions::{Found, find_any};
use crate::signals::{self, LastWords, Stopped, Work};
use crate::target::Target;

/// Show what runs in a session, or ran last in it: its output that no one has received (the last 1 MiB of it, by default), what
/// it prints, and its end.
///
/// What a program asks for is read from standard input, as by `sorna run`. Ctrl-C interrupts the program, and a second
/// Ctrl-C leaves it running. Whoever waits for the program until then, in another terminal, say, is told that it was taken
/// over. Works with gateways of `sorna serve`, in either API.
///
/// Exit code: the program's; 1 if the gateway returned an error or could not be reached, or there is no such session; 2 for a
/// usage error, a wrong setting or a gateway that does not offer this; 124 if the program exceeded its time limit; 125 if
/// nothing runs and all output was received; 128 and the number of the signal if one ended this command (130 for Ctrl-C) or the
/// program (137 if it was killed, as for most limits).
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct AttachArgs {
    /// Name or ID of the session, or what it starts with; in Sorna v2, session token or ID of the kernel.
    // Of the IDs that gateways make, one in 64 begins with a hyphen.
    #[arg(value_name = "NAME", allow_hyphen_values = true)]
    session: String,

    /// Leave the program running when Ctrl-C stops this command, instead of interrupting it. Other signals, such as that of a
    /// terminal that is closed, always leave it.
    #[arg(long)]
    detach_on_interrupt: bool,

    #[command(flatten)]
    media: MediaArgs,

    /// Print events as JSON, one object per line, instead of the program's output, as `sorna run --json` does.
    #[arg(long)]
    json: bool,

    /// Show only the program's output, failures and warnings.
    #[arg(short, long)]
    quiet: bool,
}

const EXAMPLES: &str = "\
Examples:
  sorna run -t my-session --detach python3 train.py
  sorna attach my-session";

/// How soon an interrupted program is looked at that still waits for input.
const AGAIN: Duration = Duration::from_millis(200);

/// Carries out the command.
pub(crate) fn attach(arguments: &AttachArgs, globals: &Globals) -> Result<Exit, Failure> {
    if !arguments.json {
        return begin(arguments, globals);
    }
    json::turn_on();
    // A failure before it begins is an event, too.
    let exit = begin(arguments, globals).unwrap_or_else(|failure| {
        failure.show();
        failure.exit()
    });
    let _ = json::emit(&Event::Finished {
        exit_code: exit.code(),
    });
    Ok(exit)
}

fn begin(arguments: &AttachArgs, globals: &Globals) -> Result<Exit, Failure> {
    let gallery = Gallery::new(&arguments.media, !arguments.json);
    gallery
        .prepare()
        .map_err(|error| Failure::System("cannot create the media directory", error))?;
    let caught = signals::catch()?;
    let target = Target::open(globals)?;
    let quiet = arguments.quiet || arguments.json;
    let (words, work) = (LastWords::default(), Work::default());
    let (last, begun) = (words.clone(), work.clone());
    let stopped = signals::watch(caught, target.gateway(), quiet, last, begun)?;
    let found = find_any(&target, &arguments.session)?;
    let mut reporter = Reporter::new(quiet);
    let noun = target.terms().kernel;
    reporter.wait(format_args!("Connecting to the {noun}..."));
    let (wake, woken) = mpsc::channel();
    let (stop, kernel) = (wake.clone(), found.kernel.clone());
    let (gateway, last, signal) = (target.gateway(), words.clone(), stopped.clone());
    let detaches = arguments.detach_on_interrupt;
    work.begin(move || {
        let signal = signal.signal().unwrap_or(signal_hook::consts::SIGINT);
        // A terminal that is closed, or who ends this command, does not end what it looks at.
        if detaches || signal != signal_hook::consts::SIGINT {
            if json::is_on() {
                let exit_code = Exit::of_signal(signal).code();
                let _ = json::emit(&Event::Finished { exit_code });
            }
            signals::end(signal, &gateway, &last);
        }
        // If this fails, the next one leaves the program.
        let _ = kernel.interrupt();
        let _ = stop.send(Wake::Stopped);
    });
    let attachment = Attachment {
        execution: found.kernel.attach(),
        reporter,
        output: Output::new(gallery, None),
        input: Input::new(wake, woken),
        stopped,
        words,
        is_attached: false,
        is_shown: false,
        name: &arguments.session,
        found: &found,
        target: &target,
    };
    attachment.run()
}

/// A command that is attached to what runs.
struct Attachment<'a> {
    execution: Execution,
    reporter: Reporter,
    output: Output,
    input: Input,
    stopped: Stopped,
    words: LastWords,
    /// Whether there is something.
    is_attached: bool,
    /// Whether there was anything to see of it.
    is_shown: bool,
    /// As the session was given.
    name: &'a str,
    found: &'a Found,
    target: &'a Target,
}

impl Attachment<'_> {
    fn run(mut self) -> Result<Exit, Failure> {
        let exit = loop {
            match self.execution.next_event() {
                Ok(Some(event)) => {
                    self.note_attached();
                    if let Err(stop) = self.show(event) {
                        break self.leave(stop);
                    }
                }
                Ok(None) => {
                    self.note_attached();
                    break self.finish();
                }
                Err(error) => break self.fail(error)?,
            }
        };
        self.words.clear();
        Ok(self.stopped.signal().map_or(exit, Exit::of_signal))
    }

    fn note_attached(&mut self) {
        if std::mem::replace(&mut self.is_attached, true) {
            return;
        }
        let noun = self.target.terms().kernel;
        self.reporter
            .done(format_args!("Attached to {noun} {}.", self.found));
        let kernel = self.found.kernel.id();
        let _ = json::emit(&Event::Attached { kernel });
        self.words.set(self.left());
        self.reporter.wait("Running your code...");
    }

    fn left(&self) -> String {
        let (noun, kernel) = (self.target.terms().kernel, self.found.to_string());
        may_be_seen(noun, &kernel, self.name)
    }

    fn show(&mut self, event: ExecutionEvent) -> Result<(), Stop> {
        match event {
            ExecutionEvent::Console(console) => {
                self.input.has_news(false);
                self.is_shown = true;
                let shown = self.output.show(&console, &mut self.reporter);
                shown.map_err(Stop::Output)
            }
            ExecutionEvent::StepFinished {
                status,
                exit_code,
                usage,
            } => {
                let step = Event::StepFinished {
                    status: status.as_str(),
                    exit_code,
                    used: usage.into(),
                };
                json::emit(&step).map_err(Stop::Output)?;
                match exit_code.filter(|code| *code != 0) {
                    Some(code) => self
                        .reporter
                        .fail(format_args!("Build failed with exit code {code}.")),
                    None if status == ExecutionStatus::BuildFinished => {
                        self.reporter.done("Build finished.");
                    }
                    None => {}
                }
                Ok(())
            }
            ExecutionEvent::InputRequested { .. } => self.give(event),
            _ => Ok(()),
        }
    }

    /// Gives the program what it asks for.
    fn give(&mut self, asked: ExecutionEvent) -> Result<(), Stop> {
        let ExecutionEvent::InputRequested {
            is_password,
            hides_line_end,
            takes_lines,
            takes_bytes,
            may_go_on,
            ..
        } = asked
        else {
            return Ok(());
        };
        if !self.input.is_pending() {
            let password = is_password;
            json::emit(&Event::InputRequested { password }).map_err(Stop::Output)?;
        }
        self.reporter.clear();
        // Its prompt may have gone to another client.
        if !std::mem::replace(&mut self.is_shown, true) {
            let waits = match is_password {
                true => "The program is waiting for a password.",
                false => "The program is waiting for input.",
            };
            self.reporter.info(waits);
        }
        let form = Form {
            is_hidden: is_password,
            hides_line_end,
            takes_lines,
            takes_bytes,
            takes_end: true,
            may_go_on: may_go_on && takes_bytes,
        };
        let answer = self.input.answer(form)?;
        if self.input.was_typed() {
            self.reporter.note_output("\n");
        }
        let given = match answer {
            Answer::Given(Given::Text(text)) => self.execution.answer(text),
            Answer::Given(Given::Bytes(bytes)) => self.execution.answer_bytes(bytes),
            Answer::NotYet => self.execution.answer_bytes([]),
            // It was interrupted, and may end without input.
            Answer::None if self.stopped.signal().is_some() => {
                thread::sleep(AGAIN);
                self.execution.answer_bytes([])
            }
            Answer::None => return Err(Stop::NoInput { is_told: true }),
        };
        given.map_err(|error| Stop::Failed(error.to_string()))
    }

    fn finish(&mut self) -> Exit {
        self.reporter.clear();
        let Some(result) = self.execution.result() else {
            return Exit::SUCCESS;
        };
        let _ = json::emit(&Event::ExecutionFinished {
            index: 0,
            status: result.status.as_str(),
            exit_code: result.exit_code(),
            step: result.step(),
            limit: result.exceeded().as_ref().map(|it| it.limit.as_str()),
            limit_max: result.exceeded().and_then(|it| it.max),
            used: result.usage().into(),
        });
        end(result, &mut self.reporter)
    }

    /// Leaves the program, which keeps running.
    fn leave(&mut self, stop: Stop) -> Exit {
        let left = self.left();
        let exit = match stop {
            Stop::Output(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {
                return Exit::of_signal(signal_hook::consts::SIGPIPE);
            }
            stop => {
                self.reporter.fail(stop.message());
                Exit::FAILURE
            }
        };
        self.reporter.advice(left);
        exit
    }

    fn fail(&mut self, error: Error) -> Result<Exit, Failure> {
        self.reporter.clear();
        if let Error::Build(BuildError::NotOffered { .. }) = error {
            return Err(Failure::Usage {
                message: error.to_string(),
                advice: Some("Gateways of `sorna serve` have it; others do not.".into()),
            });
        }
        self.reporter.note_error(&error);
        if error.is_nothing_to_attach() {
            let noun = self.target.terms().kernel;
            self.reporter.fail(format_args!(
                "there is nothing to attach to in {noun} {}: nothing runs, and all output was received",
                self.found
            ));
            return Ok(Exit::NOTHING);
        }
        if error.is_taken_over() {
            self.reporter.fail(message(&error));
            return Ok(Exit::FAILURE);
        }
        let id = self.found.kernel.id();
        show_error_of(&mut self.reporter, &error, self.target, id, NO_ID);
        // With its kernel, or by a restart.
        let has_ended = error.gateway().is_some_and(|response| {
            response.is_not_found() || response.kind() == Some(ProblemKind::KernelExecutionFailed)
        });
        if self.is_attached && !has_ended {
            self.reporter.advice(self.left());
        }
        Ok(Exit::FAILURE)
    }
}

/// Reports how the program ended.
fn end(result: &ExecutionResult, reporter: &mut Reporter) -> Exit {
    if let Some(exceeded) = result.exceeded() {
        reporter.fail(resources::words(&exceeded));
        if has_lost(result) {
            reporter.advice(KILLED);
        }
    }
    if result.status == ExecutionStatus::ExecTimeout {
        return Exit::TIMEOUT;
    }
    let code = result.exit_code().unwrap_or(0);
    // In Sorna v2; in Backend.AI the build's end is an event of its own.
    if code != 0 && result.exceeded().is_none() && result.step() == Some("build") {
        reporter.fail(format_args!("Build failed with exit code {code}."));
    }
    Exit::of_program(code)
}
