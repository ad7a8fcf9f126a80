//! What the command says of a program that it leaves running in a kernel.

use sorna::{Cleanup, Dialect, Ending, KernelId, RunReport, SessionToken};

use crate::reporter::Reporter;
use crate::terms::Terms;

/// What the program is doing in the kernel.
#[derive(Clone, Copy, Debug)]
pub(super) enum Program {
    Runs,
    /// It waits for input.
    Asks,
    /// It has ended, or not started.
    Ended,
}

impl Program {
    /// Reports what it still does, if the command ends before it.
    pub(super) fn report_if_left(
        self,
        report: &RunReport,
        reporter: &mut Reporter,
        dialect: Dialect,
        is_marked: bool,
        see: Option<&SessionToken>,
    ) {
        let (Ending::Cancelled, Cleanup::Kept, Some(kernel)) =
            (&report.ending, &report.cleanup, &report.kernel)
        else {
            return;
        };
        let stop = stop(dialect, is_marked);
        let noun = Terms::of(dialect).kernel;
        match (self, see) {
            (Self::Runs, Some(token)) => reporter.info(format_args!(
                "The program is still running in {noun} {kernel}, which is busy until it ends. See it with `sorna attach {token}`, or stop it with `sorna {stop} {kernel}`."
            )),
            (Self::Asks, Some(token)) => reporter.info(format_args!(
                "The program is waiting for input in {noun} {kernel}, which stays busy. Answer it with `sorna attach {token}`, or stop it with `sorna {stop} {kernel}`."
            )),
            (program, _) => program.report_left(kernel, reporter, dialect, is_marked),
        }
    }

    /// The same, where what is left cannot be seen.
    fn report_left(
        self,
        kernel: &KernelId,
        reporter: &mut Reporter,
        dialect: Dialect,
        is_marked: bool,
    ) {
        let (noun, stop) = (Terms::of(dialect).kernel, stop(dialect, is_marked));
        match self {
            Self::Runs if dialect == Dialect::BackendAi => {
                reporter.info(may_run(kernel, dialect, is_marked));
            }
            Self::Runs if is_marked => reporter.info(format_args!(
                "The program is still running in {noun} {kernel}, which is busy until it ends. Wait for that with `sorna run --wait`, or stop it with `sorna {stop} {kernel}`."
            )),
            Self::Asks if is_marked => reporter.info(format_args!(
                "The program is waiting for input in {noun} {kernel}, which stays busy. Stop it with `sorna {stop} {kernel}`."
            )),
            Self::Runs => reporter.info(format_args!(
                "The program is still running in {noun} {kernel}; the next run shows its output. Stop it with `sorna {stop} {kernel}`."
            )),
            Self::Asks => reporter.info(format_args!(
                "The program is waiting for input in {noun} {kernel} and will read the next run's code as that input. Stop it with `sorna {stop} {kernel}`."
            )),
            Self::Ended => {}
        }
    }
}

/// What to say of a program that the command leaves before it is known to have ended.
pub(crate) fn may_run(kernel: &KernelId, dialect: Dialect, is_marked: bool) -> String {
    let (noun, stop) = (Terms::of(dialect).kernel, stop(dialect, is_marked));
    format!(
        "The program may still run in {noun} {kernel}, and keep it busy. Stop it with `sorna {stop} {kernel}`."
    )
}

/// What is said of a program that is left, and can be seen.
pub(super) fn may_be_seen(noun: &str, kernel: &str, name: &str) -> String {
    format!(
        "The program may still run in {noun} {kernel}. See it with `sorna attach {name}`, or stop it with `sorna interrupt {name}`."
    )
}

/// The command that stops a program. Gateways that recognize marks can interrupt it.
fn stop(dialect: Dialect, is_marked: bool) -> &'static str {
    match dialect {
        Dialect::SornaV2 if !is_marked => "restart",
        _ => "interrupt",
    }
}
