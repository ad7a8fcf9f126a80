//! Watching the kernels: for idle ones, and for those that exceed their limits.

use std::cell::OnceCell;
use std::sync::Arc;
use std::time::Duration;

use super::table::{Entry, Kernels};
use crate::lock::lock;

/// How often to check for idle kernels, at most.
const IDLE_CHECK: Duration = Duration::from_secs(10);
/// How often to check the resource use of busy kernels.
const CHECK_INTERVAL: Duration = Duration::from_millis(100);
/// Every so many checks, all kernels are checked.
const CHECKS_PER_FULL_CHECK: u64 = 20;

impl Kernels {
    /// Destroys idle kernels, forever.
    pub(crate) async fn destroy_idle(self: Arc<Self>) {
        let interval = (self.idle_timeout / 4).clamp(Duration::from_millis(10), IDLE_CHECK);
        loop {
            tokio::time::sleep(interval).await;
            let idle: Vec<_> = self
                .table()
                .kernels
                .values()
                .filter(|entry| entry.kernel.idle() > self.idle_timeout)
                .cloned()
                .collect();
            for entry in idle {
                tracing::info!(kernel = %entry.id, "kernel idle for too long");
                self.destroy(entry).await;
            }
        }
    }

    /// Keeps kernels within their limits, forever, where the system does not enforce them.
    pub(crate) async fn watch(self: Arc<Self>) {
        for check in 0_u64.. {
            tokio::time::sleep(CHECK_INTERVAL).await;
            let all = check % CHECKS_PER_FULL_CHECK == 0;
            let entries: Vec<_> = self
                .table()
                .kernels
                .values()
                .filter(|entry| entry.kernel.needs_checks() && (all || entry.kernel.is_busy()))
                .map(|entry| (Arc::clone(entry), entry.kernel.kills()))
                .collect();
            if entries.is_empty() {
                continue;
            }
            let this = Arc::clone(&self);
            let checked = tokio::task::spawn_blocking(move || this.check(&entries)).await;
            if checked.is_err() {
                // The runtime is shutting down.
                return;
            }
        }
    }

    /// Checks the resource use of these kernels. Blocks.
    fn check(&self, entries: &[(Arc<Entry>, u64)]) {
        let (scanned, census) = (OnceCell::new(), OnceCell::new());
        for (entry, kills) in entries {
            let kernel = &entry.kernel;
            match kernel.members(&census) {
                Some(members) => kernel.check(&members, *kills),
                None => {
                    let scanned = scanned.get_or_init(|| {
                        // Scan for all kernels: otherwise processes of the others would seem to belong to none.
                        let kernels: Vec<Arc<Entry>> =
                            self.table().kernels.values().cloned().collect();
                        let marks: Vec<&str> =
                            kernels.iter().map(|entry| entry.kernel.mark()).collect();
                        lock(&self.process_table).scan(&marks)
                    });
                    if let Some(members) = scanned.get(kernel.mark()) {
                        kernel.check(members, *kills);
                    }
                }
            }
        }
    }
}
