//! `sorna run`.

mod input;
mod output;

use std::path::Path;
use std::sync::mpsc;

use sorna::blocking::Run;
use sorna::core::machine::{Cleanup, Ending, ExecutionEvent, RunEvent, RunPlan, RunReport};
use sorna::core::{
    Batch, CreateKernel, ExecuteMode, ExecutionResult, ExecutionStatus, SessionToken,
};
use sorna::{files, random_boundary, random_token};

use crate::args::RunArgs;
use crate::exit::Exit;
use crate::failure::{Failure, chain, show_error};
use crate::globals::Globals;
use crate::place::Place;
use crate::signals::{self, Stopped};
use crate::status::Status;
use input::Input;
use output::Output;

/// What the command may wait for besides the gateway.
#[derive(Debug)]
pub(crate) enum Wake {
    /// A line from the standard input; `None` at its end.
    Line(std::io::Result<Option<String>>),
    /// A signal came, and the run is cancelled.
    Stopped,
}

/// Carries the command out.
pub(crate) fn run(arguments: RunArgs, globals: &Globals) -> Result<Exit, Failure> {
    let plan = plan(&arguments)?;
    let token = plan.create.token.clone();
    let place = Place::open(arguments.local, globals)?;
    let mut status = Status::new(arguments.quiet);
    status.info(format_args!("Client session token: {token}"));
    status.wait(if plan.temporary {
        "Creating a temporary kernel..."
    } else {
        "Connecting to the kernel..."
    });

    let has_files = !plan.files.is_empty();
    let (wake, woken) = mpsc::channel();
    let run = place.client.run(plan);
    let stopped = signals::watch(run.canceller(), place.gateway(), wake.clone())?;
    let session = Session {
        run,
        status,
        output: Output::default(),
        input: Input::new(wake, woken),
        has_files,
        place: &place,
        stopped,
    };
    Ok(session.run())
}

fn plan(arguments: &RunArgs) -> Result<RunPlan, Failure> {
    let token = match &arguments.token {
        Some(token) => SessionToken::new(token.as_str()).map_err(Failure::Argument)?,
        None => random_token(),
    };
    let create = CreateKernel::new(arguments.lang.as_str(), token);
    let plan = match &arguments.code {
        Some(code) => RunPlan::temporary(create, vec![ExecuteMode::query(code.as_str())]),
        None => {
            let files =
                files::relative_to(Path::new("."), &arguments.files).map_err(Failure::Files)?;
            let step = |command: &Option<String>| Some(command.clone().unwrap_or("*".to_owned()));
            let batch = Batch::new()
                .with_build(step(&arguments.build))
                .with_exec(step(&arguments.exec));
            RunPlan::temporary(create, vec![batch.into()]).with_files(files, random_boundary())
        }
    };
    Ok(if arguments.token.is_some() {
        plan.keeping_the_kernel()
    } else {
        plan
    })
}

/// A run under way.
struct Session<'p> {
    run: Run,
    status: Status,
    output: Output,
    input: Input,
    has_files: bool,
    place: &'p Place,
    stopped: Stopped,
}

impl Session<'_> {
    fn run(mut self) -> Exit {
        let mut problem = None;
        loop {
            match self.run.next_event() {
                Ok(Some(event)) => {
                    if let Err(words) = self.show(event) {
                        problem.get_or_insert(words);
                        // The run then ends by itself, and cleans up.
                        let _ = self.run.canceller().cancel();
                    }
                }
                Ok(None) => break,
                // The input was asked for and not given: only a cancelled run gets here.
                Err(_) if self.stopped.signal().is_some() || problem.is_some() => {}
                Err(error) => {
                    problem.get_or_insert(Stop::Failed(error.to_string()));
                    let _ = self.run.canceller().cancel();
                }
            }
        }
        let Some(report) = self.run.into_report() else {
            unreachable!("a run ends with a report")
        };
        let exit = self.stopped.signal().map(Exit::of_signal);
        finish(&mut self.status, report, problem, exit, self.place)
    }

    /// Shows an event; an error stops the run.
    fn show(&mut self, event: RunEvent) -> Result<(), Stop> {
        let status = &mut self.status;
        match event {
            RunEvent::KernelReady(kernel) => {
                status.done(format_args!("Kernel (ID: {kernel}) is ready."));
                if self.has_files {
                    status.wait("Uploading source files...");
                }
            }
            RunEvent::Uploaded(_) => status.done("Uploading done."),
            RunEvent::ExecutionStarted { .. } if self.has_files => {
                status.wait("Building your code...");
            }
            RunEvent::Execution(event) => return self.show_execution(event),
            RunEvent::CleaningUp => status.wait("Cleaning up the temporary kernel..."),
            _ => {}
        }
        Ok(())
    }

    fn show_execution(&mut self, event: ExecutionEvent) -> Result<(), Stop> {
        match event {
            ExecutionEvent::Console(console) => {
                self.status.clear();
                self.output.show(&console).map_err(Stop::Output)?;
            }
            ExecutionEvent::StepFinished {
                status: ExecutionStatus::BuildFinished,
                exit_code,
            } => match exit_code {
                None | Some(0) => self.status.done("Build finished."),
                Some(code) => self
                    .status
                    .fail(format_args!("Build failed with exit code {code}.")),
            },
            ExecutionEvent::InputRequested { is_password } => {
                self.status.clear();
                match self.input.line(is_password).map_err(Stop::Input)? {
                    Some(line) => self
                        .run
                        .answer(line)
                        .map_err(|error| Stop::Failed(error.to_string()))?,
                    // A signal came; the run is cancelled already.
                    None if self.stopped.signal().is_some() => {}
                    None => return Err(Stop::NoInput),
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// Why the command stops the run.
#[derive(Debug)]
enum Stop {
    /// The standard output cannot be written to.
    Output(std::io::Error),
    /// The standard input cannot be read.
    Input(std::io::Error),
    /// The program wants input, and there is none (any more).
    NoInput,
    /// Anything else.
    Failed(String),
}

/// Tells how it ended.
fn finish(
    status: &mut Status,
    report: RunReport,
    problem: Option<Stop>,
    stopped: Option<Exit>,
    place: &Place,
) -> Exit {
    let mut exit = match &report.ending {
        Ending::Finished(result) => finished(status, result.as_ref()),
        Ending::Failed(error) => {
            show_error(status, error, place);
            Exit::FAILURE
        }
        _ => Exit::FAILURE,
    };
    match problem {
        Some(Stop::Output(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => {
            // Whoever read the output has seen enough: end as other programs do.
            exit = Exit::of_signal(signal_hook::consts::SIGPIPE);
        }
        Some(problem) => {
            status.fail(match problem {
                Stop::Output(error) => format!("cannot write the program's output: {error}"),
                Stop::Input(error) => format!("cannot read the standard input: {error}"),
                Stop::NoInput => {
                    "the program asks for input, but the standard input has ended".to_owned()
                }
                Stop::Failed(words) => words,
            });
            exit = Exit::FAILURE;
        }
        None => {}
    }
    if let Some(stopped) = stopped {
        exit = stopped;
    }
    let kernel = report.kernel.as_ref().map_or("?", |kernel| kernel.as_str());
    match &report.cleanup {
        Cleanup::Destroyed => status.done("Cleaned up the kernel."),
        Cleanup::Failed(error) => {
            status.fail(format_args!(
                "The kernel {kernel} could not be destroyed: {}",
                chain(error)
            ));
            status.advice("It ends by itself when the gateway's idle timeout has passed.");
            if exit == Exit::SUCCESS {
                exit = Exit::FAILURE;
            }
        }
        Cleanup::Unknown => status.advice(
            "The gateway may have created a kernel all the same; it ends by itself when the idle timeout has passed.",
        ),
        _ => status.clear(),
    }
    exit
}

fn finished(status: &mut Status, result: Option<&ExecutionResult>) -> Exit {
    let Some(result) = result else {
        return Exit::SUCCESS;
    };
    if result.status == ExecutionStatus::ExecTimeout {
        status.fail("The program ran for too long and was killed.");
        return Exit::TIMEOUT;
    }
    let code = result.exit_code().unwrap_or(0);
    if code != 0 && result.step() == Some("build") {
        status.fail(format_args!("Build failed with exit code {code}."));
    }
    Exit::of_program(code)
}
