//! What is lost with an interpreter.

use sorna::ExecutionResult;

/// What to say of a program that was killed for a limit.
pub(crate) const KILLED: &str =
    "Its interpreter was killed with it: variables are lost, and files are kept.";

/// Whether the gateway says that the interpreter has ended.
pub(crate) fn has_lost(result: &ExecutionResult) -> bool {
    result.has_restarted() == Some(true)
}
