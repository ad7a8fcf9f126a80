//! What has been sent to the clients of executions.

use std::sync::Arc;

use super::peer::Peer;
use super::state::Shared;

/// Belongs to a response: if its connection has not ended when this is dropped, all of it has been sent.
#[derive(Debug)]
pub(crate) struct Receipt {
    pub(super) shared: Arc<Shared>,
    /// The ID of the execution.
    pub(super) id: String,
    /// The number of the request.
    pub(super) request: u64,
    pub(super) peer: Peer,
}

impl Drop for Receipt {
    fn drop(&mut self) {
        if !self.peer.has_gone() {
            self.shared.lock().note_sent(&self.id, self.request);
        }
        // A client that attaches waits for this.
        self.shared.to_client.notify_waiters();
    }
}
