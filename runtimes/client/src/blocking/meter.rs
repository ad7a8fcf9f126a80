//! The progress of uploads, between their events.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts the bytes of local files that a client hands to its connections; when a request is
/// retried, its bytes count again. It shows that a large upload makes progress: what the gateway
/// has accepted, the upload's own events report.
#[derive(Clone, Debug, Default)]
pub struct SendMeter(Arc<AtomicU64>);

impl SendMeter {
    /// The bytes since the client was created.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}
