//! The end of a run, or of a terminal that was not opened: its last status lines, and the exit code.

use std::io;
use std::time::Duration;

use sorna::{
    AbortReason, Cleanup, Ending, Error, ExecutionResult, ExecutionStatus, GatewayError, KernelId,
    ProblemKind, RunReport, SessionToken, TransportErrorKind,
};

use super::left_running::may_be_seen;
use super::resources::{OverLimit, bytes};
use crate::advice::{aborted_advice, show_error_creating, show_left};
use crate::chain::message;
use crate::exit::Exit;
use crate::json::{self, Event};
use crate::left;
use crate::lost::{KILLED, has_lost};
use crate::reporter::Reporter;
use crate::target::Target;
use crate::terms::Terms;
use crate::units::time;

/// The exit code for a program that exceeded a limit other than that on time: that of one that was killed.
const TOO_MUCH: i64 = 137;

/// Why the command stops the run.
#[derive(Debug)]
pub(crate) enum Stop {
    /// Standard output cannot be written to.
    Output(io::Error),
    /// Standard input cannot be read.
    Input(io::Error),
    /// Standard input is not text, and the gateway takes nothing else: the byte, and what came before it.
    NotText {
        byte: u8,
        offset: u64,
        has_run: bool,
    },
    /// The program asks for input after its end.
    NoInput {
        /// Whether the gateway can tell programs of it.
        is_told: bool,
    },
    /// The program runs for longer than this, which was asked for and which the gateway does not keep.
    Overtime(Duration),
    /// The program has written more bytes than this, which was asked for and which the gateway does not keep.
    TooMuch(u64),
    /// The session is blocked, which was reported.
    Blocked(KernelId),
    /// The kernel is not what was asked for.
    Refused(String),
    /// Anything else.
    Failed(String),
}

impl Stop {
    pub(super) fn message(self) -> String {
        match self {
            Self::Output(error) => format!("cannot write the program's output: {error}"),
            Self::Input(error) => format!("cannot read standard input: {error}"),
            Self::NotText {
                byte,
                offset,
                has_run,
            } => {
                let left = if has_run {
                    "the program was given only what comes before"
                } else {
                    "nothing was run"
                };
                format!(
                    "standard input is not text: byte {byte:#04x} at offset {offset} is not UTF-8. This gateway takes only text as input, so {left}. Upload the data as a file (`sorna upload`, or among the files of `sorna run`), and let the program read that."
                )
            }
            Self::NoInput { is_told: true } => "the program asks for input, but standard input has ended".to_owned(),
            Self::NoInput { is_told: false } => "the program asks for input, but standard input has ended, and this gateway cannot tell programs so. Give it every line that it reads, or upload the data as a file, and let it read that.".to_owned(),
            Self::Overtime(limit) => format!(
                "The program exceeded its time limit of {} (--exec-timeout), which this gateway does not keep.",
                time(limit.as_secs_f64() * 1000.0)
            ),
            Self::TooMuch(most) => format!(
                "The program exceeded its output limit of {} (--max-output), which this gateway does not keep. What it wrote beyond that is not shown.",
                bytes(most)
            ),
            Self::Blocked(kernel) => left::blocked(&kernel),
            Self::Refused(message) | Self::Failed(message) => message,
        }
    }
}

/// What was to run, and where.
#[derive(Clone, Copy)]
pub(crate) struct Task<'a> {
    pub(crate) target: &'a Target,
    pub(crate) lang: &'a str,
    pub(crate) token: &'a SessionToken,
    /// For a program that has failed.
    pub(crate) advice: Option<&'a str>,
    /// For one that has not, though it said what others say who fail.
    pub(crate) remark: Option<&'a str>,
    /// If the program exceeded a limit.
    pub(crate) over_limit: Option<&'a OverLimit>,
    /// Whether the kernel was ready.
    pub(crate) was_ready: bool,
    /// Whether the gateway lets others see what runs in it.
    pub(crate) attaches: bool,
    /// The time limit of a program that keeps running without this command, if the user has not set one.
    pub(crate) left_limit: Option<Duration>,
    /// Whether there is standard input that a detached program does not get.
    pub(crate) has_input: bool,
    /// What other commands call the kernel: its ID, where its token stands for several.
    pub(crate) name: &'a str,
}

/// Reports how it ended.
pub(crate) fn finish(
    reporter: &mut Reporter,
    report: &RunReport,
    problem: Option<Stop>,
    stopped: Option<Exit>,
    task: Task<'_>,
) -> Exit {
    let target = task.target;
    let mut exit = match &report.ending {
        Ending::Finished(result) => {
            let exit = finished(reporter, result.as_ref(), task);
            let is_killed = |it: &ExecutionResult| it.exceeded().is_some() && has_lost(it);
            if matches!(report.cleanup, Cleanup::Kept) && result.as_ref().is_some_and(is_killed) {
                reporter.advice(KILLED);
            }
            exit
        }
        Ending::Failed(error) => {
            reporter.note_error(error);
            if is_late(error) && matches!(report.cleanup, Cleanup::Kept) {
                // What is said of the session below explains it.
                reporter.fail(message(error));
            } else {
                show_error_creating(reporter, error, target, task.lang);
            }
            if let (Some(kernel), Some(ProblemKind::KernelBusy)) =
                (&report.kernel, error.gateway().and_then(GatewayError::kind))
            {
                reporter.advice(busy_advice(kernel, task));
            }
            if let (Cleanup::Kept, Some(kernel), Error::MayHaveRun(_)) =
                (&report.cleanup, &report.kernel, error)
                && task.attaches
            {
                let noun = target.terms().kernel;
                let left = may_be_seen(noun, kernel.as_str(), task.token.as_str());
                reporter.advice(left);
            }
            if let (Error::Aborted(aborted), Some(kernel)) = (error, &report.kernel)
                && matches!(
                    aborted.reason,
                    AbortReason::Broken(_) | AbortReason::Reported(_)
                )
            {
                let is_kept = matches!(report.cleanup, Cleanup::Kept);
                reporter.advice(aborted_advice(target, kernel, is_kept));
            }
            Exit::FAILURE
        }
        _ => Exit::FAILURE,
    };
    match problem {
        Some(Stop::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            // The reader of the output has closed the pipe: exit as if killed by SIGPIPE, like other programs.
            exit = Exit::of_signal(signal_hook::consts::SIGPIPE);
        }
        Some(Stop::Blocked(kernel)) => {
            reporter.advice(left::blocked(&kernel));
            exit = Exit::FAILURE;
        }
        Some(problem) => {
            exit = match problem {
                Stop::Overtime(_) => Exit::TIMEOUT,
                Stop::TooMuch(_) => Exit::of_program(TOO_MUCH),
                Stop::Refused(_) => Exit::USAGE,
                _ => Exit::FAILURE,
            };
            reporter.fail(problem.message());
        }
        None => {}
    }
    if let Some(stopped) = stopped {
        exit = stopped;
    }
    clean_up(reporter, report, task, exit)
}

/// What to do about a kernel that is busy with another execution.
fn busy_advice(kernel: &KernelId, task: Task<'_>) -> String {
    let see = match task.attaches {
        true => format!("see it with `sorna attach {}`, ", task.name),
        false => String::new(),
    };
    format!(
        "Nothing was executed. Wait for its end with --wait, {see}or interrupt it with `sorna interrupt {kernel}`."
    )
}

/// Reports how the program ended.
fn finished(reporter: &mut Reporter, result: Option<&ExecutionResult>, task: Task<'_>) -> Exit {
    let Some(result) = result else {
        return Exit::SUCCESS;
    };
    if result.status == ExecutionStatus::Continued {
        let (terms, name) = (task.target.terms(), task.name);
        reporter.clear();
        reporter.info(format_args!(
            "The program runs in the {}. See it with `sorna attach {name}`.",
            terms.kernel
        ));
        if task.has_input {
            reporter.advice(format_args!(
                "Standard input was not passed on to the program, which runs without this command. Let it read a file instead, which `sorna upload` brings there, or give it the input by `sorna attach {name}`."
            ));
        }
        if let Some(limit) = task.left_limit {
            let change = if terms == Terms::KERNEL {
                "--exec-timeout sets another one, such as --exec-timeout 1h."
            } else {
                "Who runs the gateway can change it (`sorna serve --exec-timeout`)."
            };
            reporter.info(format_args!(
                "It is killed after {}, the time limit that the gateway sets. {change}",
                time(limit.as_secs_f64() * 1000.0)
            ));
        }
        return Exit::SUCCESS;
    }
    if result.status == ExecutionStatus::ExecTimeout {
        match task.over_limit {
            Some(OverLimit { message, advice }) => {
                reporter.fail(message);
                if let Some(advice) = advice {
                    reporter.advice(advice);
                }
            }
            None => reporter.fail("The program exceeded its time limit and was killed."),
        }
        return Exit::TIMEOUT;
    }
    let code = result.exit_code().unwrap_or(0);
    if let Some(OverLimit { message, advice }) = task.over_limit {
        reporter.fail(message);
        if let Some(advice) = advice {
            reporter.advice(advice);
        }
    } else if code != 0 && result.step() == Some("build") {
        reporter.fail(format_args!("Build failed with exit code {code}."));
    } else {
        match (code, task.advice, task.remark) {
            (1.., Some(advice), _) => reporter.advice(advice),
            (0, _, Some(remark)) => reporter.info(remark),
            _ => {}
        }
    }
    Exit::of_program(code)
}

/// Whether later executions in the session may fail for what this run, or one before it, has left. Only Backend.AI has
/// such errors: its managers let an execution wait for the one before it, even one of another client (observed on 23.09.10,
/// where the error comes after 30 s, and on 26.9.6, where it does not come).
fn may_be_blocked(report: &RunReport) -> bool {
    let Ending::Failed(error) = &report.ending else {
        return false;
    };
    match error {
        Error::Aborted(aborted) => !aborted.is_freed,
        error => {
            let kind = error.gateway().and_then(GatewayError::kind);
            kind == Some(ProblemKind::KernelExecutionFailed) || is_late(error)
        }
    }
}

/// Whether no response came in time to a request that executes something.
fn is_late(error: &Error) -> bool {
    let transport = error.transport();
    let is_timeout = transport.is_some_and(|it| it.kind() == TransportErrorKind::Timeout);
    is_timeout && matches!(error, Error::MayHaveRun(_))
}

/// Whether a session that is kept has not run yet, and may still start.
fn may_start(report: &RunReport, task: Task<'_>) -> bool {
    !task.was_ready
        && match &report.ending {
            Ending::Cancelled => true,
            Ending::Failed(Error::NotRunning(session)) => session.status.is_pending(),
            Ending::Failed(error) => error.gateway().is_none(),
            _ => false,
        }
}

/// Reports what happened to the kernel.
fn clean_up(reporter: &mut Reporter, report: &RunReport, task: Task<'_>, mut exit: Exit) -> Exit {
    let terms = task.target.terms();
    let kernel = report.kernel.as_ref().map_or("?", |kernel| kernel.as_str());
    let result = match &report.cleanup {
        // Which was said.
        Cleanup::Destroyed if matches!(&report.ending, Ending::Failed(error) if error.is_not_found()) =>
        {
            reporter.clear();
            "destroyed"
        }
        Cleanup::Destroyed => {
            reporter.done(format_args!("Cleaned up the {}.", terms.kernel));
            "destroyed"
        }
        Cleanup::Failed(error) => {
            show_left(reporter, terms, kernel, error);
            if exit == Exit::SUCCESS {
                exit = Exit::FAILURE;
            }
            "failed"
        }
        Cleanup::Unknown => {
            reporter.advice(terms.may_be_left(Some(task.token)));
            "unknown"
        }
        Cleanup::Kept => {
            reporter.clear();
            if terms == Terms::SESSION && may_start(report, task) {
                reporter.advice(terms.may_start(task.token));
            }
            if may_be_blocked(report) {
                reporter.advice(format_args!(
                    "Another execution may keep session {kernel} busy, or what one has left behind. If the next run fails as well, end the session with `sorna destroy {kernel}`."
                ));
            }
            "kept"
        }
        _ => {
            reporter.clear();
            "none"
        }
    };
    // A closed pipe does not matter any more.
    let _ = json::emit(&Event::CleanedUp {
        kernel: report.kernel.as_ref(),
        result,
    });
    exit
}
