//! Calls in the wrong order.

use std::error::Error as StdError;
use std::fmt;

/// A method that was called at the wrong time. Nothing was sent; the conversation can continue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UsageError {
    /// The next event was asked for while the program waits for input. Give the input first.
    InputExpected,
    /// The program asked for input where none can be given. Execute it step by step, and answer its
    /// requests.
    InputUnavailable,
    /// Input was given to a program that does not wait for it.
    InputNotExpected,
    /// The result was asked for, but the execution has failed: an earlier call returned the error.
    ExecutionFailed,
    /// Something was sent to a terminal that is closed.
    TerminalClosed,
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InputExpected => {
                "the program waits for input: give it before asking for the next event"
            }
            Self::InputUnavailable => {
                "the program asked for input, which cannot be given here: use `execute`, and \
                 answer its input requests"
            }
            Self::InputNotExpected => "the program does not wait for input",
            Self::ExecutionFailed => "the execution failed in an earlier call, so it has no result",
            Self::TerminalClosed => "the terminal is closed",
        })
    }
}

impl StdError for UsageError {}
