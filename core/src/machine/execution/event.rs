//! What happens while code runs.

use crate::console::Console;
use crate::error::Busy;
use crate::ops::{ExecutionResult, ExecutionStatus, Usage};

/// What happens while code runs.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ExecutionEvent {
    /// Output.
    Console(Console),
    /// The program waits for a line of input: call [`Execution::answer`](super::Execution::answer) before polling on.
    InputRequested {
        /// Whether the line should not be shown while it is typed.
        is_password: bool,
        /// Whether not even the end of that line should be shown: see
        /// [`ExecutionResult::hides_line_end`](crate::ExecutionResult::hides_line_end).
        hides_line_end: bool,
        /// Whether the answer may be many lines at once, for this request and the next ones: see
        /// [`ExecutionResult::takes_lines`](crate::ExecutionResult::takes_lines).
        takes_lines: bool,
        /// Whether the answer may be any bytes: see [`Execution::answer_bytes`](super::Execution::answer_bytes).
        takes_bytes: bool,
        /// Whether the program may go on without an answer: an empty [`answer_bytes`](super::Execution::answer_bytes) looks
        /// whether it has, and comes back with this event if not. See
        /// [`ExecutionResult::may_go_on`](crate::ExecutionResult::may_go_on).
        may_go_on: bool,
    },
    /// The kernel is busy with another execution, and is [waited for](super::Execution::with_busy_wait). Comes once.
    KernelBusy(Busy),
    /// The kernel was waited for, and is free: now the code runs.
    KernelFree,
    /// A step of a batch ended; the next one follows.
    StepFinished {
        /// `BuildFinished`, `CleanFinished`.
        status: ExecutionStatus,
        /// The step's exit code, if the gateway sent it.
        exit_code: Option<i64>,
        /// What the step has used, if the gateway says so: see [`ExecutionResult::usage`].
        usage: Option<Usage>,
    },
    /// The gateway reported a status that this version does not know, and whose name does not say
    /// that this is the end. The execution continues.
    Unknown(ExecutionResult),
}
