//! The kernel of an interactive command: a run creates it that executes nothing, and destroys it when it goes on.

use sorna::blocking::Run;
use sorna::{Cleanup, Ending, ExecutionResult, ExecutionStatus, GatewayError, KernelId, RunEvent};

use crate::advice::show_left;
use crate::chain::message;
use crate::exit::Exit;
use crate::pending::PendingLine;
use crate::reporter::Reporter;
use crate::temporary::Temporary;
use crate::terms::Terms;

/// For options that have come too late.
pub(crate) const KEEPS: &str = "The session existed already and keeps what it was created with, so environment variables and resources have no effect. To apply them, destroy the session first, or choose another name.";

/// Creates the kernel, and says why a session does not run yet. `None` if the run ends before.
pub(crate) fn create(
    run: &mut Run,
    reporter: &mut Reporter,
    mut line: PendingLine,
) -> Option<KernelId> {
    while let Ok(Some(event)) = run.next_event() {
        match event {
            RunEvent::SessionPending(pending) => line.show(&pending, reporter),
            RunEvent::KernelReady(id) => return Some(id),
            _ => {}
        }
    }
    None
}

/// Destroys it, at the end of a command that ends with `exit`, unless the interpreter's own end says something else.
pub(crate) fn clean_up(
    reporter: &mut Reporter,
    terms: Terms,
    id: &KernelId,
    mut run: Run,
    mut kept: Temporary,
    exit: Exit,
) -> Exit {
    reporter.wait(format_args!(
        "Cleaning up the temporary {}...",
        terms.kernel
    ));
    while let Ok(Some(_)) = run.next_event() {}
    let Some(report) = run.into_report() else {
        unreachable!("a run ends with a report")
    };
    let exit = match &report.ending {
        // Nothing but the interpreter's end is executed.
        Ending::Finished(Some(result)) => ended(reporter, result),
        // One that is gone has ended already.
        Ending::Failed(error) if !error.gateway().is_some_and(GatewayError::is_not_found) => {
            let reason = message(error);
            reporter.fail(format_args!(
                "what the interpreter did at its end is not known: {reason}"
            ));
            Exit::FAILURE
        }
        Ending::Cancelled if exit == Exit::SUCCESS => Exit::FAILURE,
        _ => exit,
    };
    match report.cleanup {
        Cleanup::Failed(error) => {
            show_left(reporter, terms, id.as_str(), &error);
            if error.is_auth() {
                // Later commands cannot destroy it, either.
                kept.is_gone();
            }
            Exit::FAILURE
        }
        _ => {
            kept.is_gone();
            reporter.done(format_args!("Cleaned up the {}.", terms.kernel));
            exit
        }
    }
}

/// How an interpreter that has failed at its end says that the command ends.
fn ended(reporter: &mut Reporter, result: &ExecutionResult) -> Exit {
    if result.status == ExecutionStatus::ExecTimeout {
        reporter.fail("The interpreter exceeded its time limit at its end and was killed.");
        return Exit::TIMEOUT;
    }
    Exit::of_program(result.exit_code().unwrap_or(0))
}
