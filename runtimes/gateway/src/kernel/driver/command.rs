//! What requests ask of the driver.

use sorna_core::server::CompleteRequest;
use tokio::sync::oneshot;

use crate::kernel::run::Plan;

/// What requests ask of the driver.
#[derive(Debug)]
pub(crate) enum Command {
    Start(Plan),
    Input(String),
    Complete {
        request: CompleteRequest,
        reply: oneshot::Sender<Vec<String>>,
    },
    /// It takes more than it may: kill it, for these reasons.
    Exceeded(String),
    Restart(oneshot::Sender<Result<(), KernelStartError>>),
    Destroy(oneshot::Sender<()>),
}

/// Why an interpreter did not come up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KernelStartError(pub(crate) String);
