//! The kernel of an interactive command: a run creates it that executes nothing, and destroys it when it goes on.

use sorna::blocking::Run;
use sorna::{Cleanup, KernelId, RunEvent};

use crate::advice::show_left;
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

/// Destroys it, at the end of a command that ends with `exit` otherwise.
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
    match run.into_report().map(|report| report.cleanup) {
        Some(Cleanup::Failed(error)) => {
            show_left(reporter, terms, id.as_str(), &error);
            Exit::FAILURE
        }
        _ => {
            kept.is_gone();
            reporter.done(format_args!("Cleaned up the {}.", terms.kernel));
            exit
        }
    }
}
