//! A program that was left running in a kernel whose gateway does not tell executions apart.
//!
//! Gateway 0.9.11 takes the next execution for a continuation of that one: it ignores the code, and responds with what the old
//! program prints.

use sorna::protocol::Execute;
use sorna::{Batch, Console, ExecuteMode, ExecutionStatus, KernelId};

use super::finish::Stop;
use super::output::Output;
use crate::chain::message;
use crate::left::{self, Record};
use crate::reporter::Reporter;
use crate::signals::Stopped;
use crate::target::Target;

/// What its files on disk are named after: how to continue it.
const BATCH: &str = "batch";
const QUERY: &str = "query";
/// It waits for input, and would take what continues it for that.
const ASKS: &str = "asks";

/// Keeps on disk that a program runs, which is one of files or a snippet.
pub(super) fn begin(target: &Target, kernel: &KernelId, has_files: bool) -> Option<Record> {
    Record::begin(target, kernel, if has_files { BATCH } else { QUERY })
}

/// Waits for the end of what commands of this user have left running, and shows what it has printed.
pub(super) fn drain(
    target: &Target,
    kernel: &KernelId,
    stopped: &Stopped,
    output: &mut Output,
    reporter: &mut Reporter,
) -> Result<(), Stop> {
    for abandoned in left::abandoned(target, kernel) {
        if abandoned.id() == ASKS {
            return Err(asks(kernel));
        }
        reporter.advice(format_args!(
                "A program was left running in kernel {kernel}: this waits for its end. Stop it with `sorna restart {kernel}`."
            ));
        reporter.wait("Waiting for the kernel...");
        let mut console = Console::new();
        let ended = ends(target, kernel, stopped, abandoned.id(), &mut console);
        if console.iter().next().is_some() {
            let mut unclaimed = Console::new();
            unclaimed.push(&sorna::Record::Unclaimed(console));
            let shown = output.show(&unclaimed, reporter);
            shown.map_err(Stop::Output)?;
        }
        if !ended? {
            // A signal arrived; the run is cancelled already.
            return Ok(());
        }
        abandoned.forget();
    }
    Ok(())
}

/// Whether it has ended before a signal arrived.
fn ends(
    target: &Target,
    kernel: &KernelId,
    stopped: &Stopped,
    mode: &str,
    all: &mut Console,
) -> Result<bool, Stop> {
    while stopped.signal().is_none() {
        let mode = match mode {
            BATCH => ExecuteMode::from(Batch::new().without_build().without_exec()),
            _ => ExecuteMode::query(""),
        };
        let execute = Execute::start(kernel.clone(), mode);
        let result = match target.client.call(execute) {
            Ok(reply) => reply.value,
            Err(error) => {
                return Err(Stop::Failed(format!(
                    "a program was left running in kernel {kernel}, and its end cannot be waited for: {}",
                    message(&error)
                )));
            }
        };
        for record in result.console.iter_exact() {
            all.push(&record);
        }
        match result.status {
            ExecutionStatus::Finished | ExecutionStatus::ExecTimeout => return Ok(true),
            ExecutionStatus::WaitingInput => return Err(asks(kernel)),
            _ => {}
        }
    }
    Ok(false)
}

/// Keeps on disk that the program is left while it waits for input.
pub(super) fn asking(target: &Target, kernel: &KernelId, record: Record) -> Option<Record> {
    record.end();
    Record::begin(target, kernel, ASKS)
}

fn asks(kernel: &KernelId) -> Stop {
    Stop::Failed(format!(
        "a program that was left in kernel {kernel} waits for input, and nothing was run. Stop it with `sorna restart {kernel}`."
    ))
}
