//! How much of local files is in flight, between the events of an upload.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts the bytes of local files that a client hands to its connections, those of requests that are
/// repeated again. For showing that a large upload moves: what the gateway has taken is told by the
/// upload's own events.
#[derive(Clone, Debug, Default)]
pub struct SendMeter(Arc<AtomicU64>);

impl SendMeter {
    /// The bytes since the client was made.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}
