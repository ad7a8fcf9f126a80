//! Who calls a tool.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::client_id::ClientId;

/// Tells a client that a program keeps running: for how many seconds it has, and the last line of its output.
pub(crate) type Progress =
    Arc<dyn Fn(f64, String) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// Who calls a tool.
#[derive(Clone, Default)]
pub(crate) struct Caller {
    pub(crate) client: ClientId,
    /// The client does not want the answer any more.
    pub(crate) cancelled: CancellationToken,
    /// If the client wants to hear of it.
    pub(crate) progress: Option<Progress>,
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller").finish_non_exhaustive()
    }
}
