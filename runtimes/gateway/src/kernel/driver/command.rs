//! Commands of requests to the driver.

use std::io;
use std::path::Path;
use std::time::Duration;

use sorna_core::server::{CompleteRequest, ProblemReply};
use sorna_core::{ProblemKind, RunMark};
use tokio::sync::oneshot;

use crate::kernel::exceeded::Exceeded;
use crate::kernel::input::Input;
use crate::kernel::run::Plan;
use crate::shortage;

/// Commands of requests to the driver.
#[derive(Debug)]
pub(crate) enum Command {
    /// Start a run.
    Start(Plan, Circumstances),
    Input(Input),
    Complete {
        request: CompleteRequest,
        reply: oneshot::Sender<Vec<String>>,
    },
    /// The kernel exceeded a limit: kill it, and show this message.
    Exceeded(Exceeded, String),
    /// Interrupt what runs, as Ctrl-C does.
    Interrupt,
    Restart(oneshot::Sender<Result<(), KernelStartError>>),
    Destroy(oneshot::Sender<()>),
}

/// What a client says of a run besides what it runs.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Circumstances {
    /// A time limit in place of the kernel's.
    pub(crate) time_limit: Option<Duration>,
    /// How much it may write, in bytes.
    pub(crate) max_output: Option<u64>,
    /// Whether the client's standard input is no terminal.
    pub(crate) is_piped: bool,
    /// Whether its standard input is that of the run before, which has left some of it.
    pub(crate) continues_input: bool,
}

impl From<&RunMark> for Circumstances {
    fn from(mark: &RunMark) -> Self {
        Self {
            time_limit: mark.time_limit,
            max_output: mark.max_output,
            is_piped: mark.is_piped,
            continues_input: false,
        }
    }
}

/// Why a kernel or interpreter did not start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KernelStartError {
    reason: String,
    /// Whether the system has run out of something, so that it may start later.
    is_shortage: bool,
}

impl KernelStartError {
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            is_shortage: false,
        }
    }

    /// Of the system, for something in this directory.
    pub(crate) fn of_system(error: &io::Error, directory: &Path) -> Self {
        match shortage::shortage(error, directory) {
            Some(reason) => Self {
                reason,
                is_shortage: true,
            },
            None => Self::new(error.to_string()),
        }
    }

    pub(crate) fn into_reason(self) -> String {
        self.reason
    }

    /// The error response to what failed for this.
    pub(crate) fn problem(&self, kind: ProblemKind) -> ProblemReply {
        if self.is_shortage {
            tracing::warn!("{}", self.reason);
            return ProblemKind::ServiceUnavailable.reply_with(&self.reason);
        }
        kind.reply().with_agent("agent-failure", &self.reason, None)
    }
}
