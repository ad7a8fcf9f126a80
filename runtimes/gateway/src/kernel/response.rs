//! Responses to requests to execute something.

use serde_json::{Value, json};
use sorna_core::{Busy, Console, ExecutionStatus};

use super::stock::Held;

/// The response to an execute request.
#[derive(Debug)]
pub(crate) struct ExecuteResponse {
    pub(crate) status: ExecutionStatus,
    pub(crate) console: Console,
    /// The exit code of the program, or of the step that ended.
    pub(crate) exit_code: Option<i32>,
    pub(crate) options: Value,
    /// Whether it was sent before.
    pub(crate) is_repeated: bool,
    /// What the console takes of the memory for output, until it has been sent.
    pub(crate) held: Option<Held>,
}

impl ExecuteResponse {
    /// That it has been started.
    pub(crate) fn of_start() -> Self {
        Self {
            status: ExecutionStatus::Continued,
            options: Value::Null,
            ..Self::of_nothing()
        }
    }

    /// That nothing runs.
    pub(crate) fn of_nothing() -> Self {
        Self {
            status: ExecutionStatus::Finished,
            console: Console::new(),
            exit_code: None,
            options: json!({}),
            is_repeated: false,
            held: None,
        }
    }
}

/// Why an execute request failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ExecuteError {
    /// The kernel was destroyed.
    Gone,
    /// Another run has not ended yet.
    Busy(Busy),
    /// Another client has attached to the run.
    TakenOver,
    /// Nothing runs, and all has been received.
    NothingToAttach,
    /// The run could not be started or was stopped.
    Failed(String),
}
