//! How a terminal distinguishes a restart of its kernel from its end.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{RwLock, RwLockWriteGuard};

/// Counts the restarts of a kernel, and waits until one is over.
#[derive(Debug, Default)]
pub(crate) struct Restarts {
    count: AtomicU64,
    under_way: RwLock<()>,
}

impl Restarts {
    /// Begins a restart, which is over when the guard is dropped.
    pub(crate) async fn begin(&self) -> RwLockWriteGuard<'_, ()> {
        let guard = self.under_way.write().await;
        self.count.fetch_add(1, Ordering::SeqCst);
        guard
    }

    /// The number of restarts so far.
    pub(super) fn count(&self) -> u64 {
        self.count.load(Ordering::SeqCst)
    }

    /// Waits until no restart is running.
    pub(super) async fn settled(&self) {
        drop(self.under_way.read().await);
    }
}
