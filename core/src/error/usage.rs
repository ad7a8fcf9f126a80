//! Calls in the wrong order.

use std::error::Error as StdError;
use std::fmt;

/// A method that was called at the wrong time. The call itself sent nothing, except where the variant says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UsageError {
    /// The next event was asked for while the program waits for input. Give the input, then continue.
    InputExpected,
    /// The program asked for input where none can be given; it was started, and stopped by restarting its
    /// kernel. Execute it step by step, and answer its requests.
    InputUnavailable,
    /// Input was given to a program that does not wait for it.
    InputNotExpected,
    /// Bytes were given to a program whose gateway takes text only. Give them as text if they are UTF-8; if not,
    /// upload them as a file.
    BytesNotTaken,
    /// The result was asked for, but the execution has failed: an earlier call returned the error.
    ExecutionFailed,
    /// Something was to be sent to a terminal that is closed, or whose connection broke: an earlier call
    /// reported that.
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
            Self::BytesNotTaken => {
                "this gateway takes only text (UTF-8) as input: upload other bytes as a file"
            }
            Self::ExecutionFailed => "the execution failed in an earlier call, so it has no result",
            Self::TerminalClosed => "the terminal is closed",
        })
    }
}

impl StdError for UsageError {}
