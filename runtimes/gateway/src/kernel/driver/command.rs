//! Commands of requests to the driver.

use sorna_core::server::CompleteRequest;
use tokio::sync::oneshot;

use crate::kernel::run::Plan;

/// Commands of requests to the driver.
#[derive(Debug)]
pub(crate) enum Command {
    Start(Plan),
    Input(String),
    Complete {
        request: CompleteRequest,
        reply: oneshot::Sender<Vec<String>>,
    },
    /// The kernel exceeded a limit: kill it, and show this message.
    Exceeded(String),
    /// Interrupt what runs, as Ctrl-C does.
    Interrupt,
    Restart(oneshot::Sender<Result<(), KernelStartError>>),
    Destroy(oneshot::Sender<()>),
}

/// Why a kernel or interpreter did not start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KernelStartError(pub(crate) String);
