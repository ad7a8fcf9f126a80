//! The clients of executions: whether they are still there, and what has been sent to them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::state::Shared;

/// The connection by which a client has sent a request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Peer(Arc<AtomicBool>);

impl Peer {
    /// Whether the connection has ended.
    pub(crate) fn has_gone(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// Until this is dropped, the connection has not ended.
    pub(crate) fn presence(&self) -> Presence {
        Presence(self.clone())
    }
}

/// See [`Peer::presence`]. To be dropped before what was not sent by the connection.
#[derive(Debug)]
pub(crate) struct Presence(Peer);

impl Drop for Presence {
    fn drop(&mut self) {
        (self.0).0.store(true, Ordering::SeqCst);
    }
}

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
    }
}
