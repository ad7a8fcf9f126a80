//! Watching the kernels: for those that are idle, and for those that take too much.

use std::cell::OnceCell;
use std::sync::Arc;
use std::time::Duration;

use super::table::{Entry, Kernels};
use crate::lock::lock;

/// How often to check for idle kernels, at most.
const IDLE_CHECK: Duration = Duration::from_secs(10);
/// How often to check what busy kernels take.
const CHECK_INTERVAL: Duration = Duration::from_millis(100);
/// Every so many checks, all kernels are checked.
const CHECKS_PER_FULL_CHECK: u64 = 20;

impl Kernels {
    /// Destroys kernels that nobody uses, for ever.
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
                tracing::info!(kernel = %entry.id, "kernel was idle for too long");
                self.destroy(entry).await;
            }
        }
    }

    /// Sees to it that no kernel takes more than it may, for ever, where the system does not.
    pub(crate) async fn watch(self: Arc<Self>) {
        for look in 0_u64.. {
            tokio::time::sleep(CHECK_INTERVAL).await;
            let all = look % CHECKS_PER_FULL_CHECK == 0;
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
            let looked = tokio::task::spawn_blocking(move || this.look(&entries)).await;
            if looked.is_err() {
                // The runtime goes.
                return;
            }
        }
    }

    /// Looks what these kernels take. Blocks.
    fn look(&self, entries: &[(Arc<Entry>, u64)]) {
        let counted = OnceCell::new();
        for (entry, kills) in entries {
            let kernel = &entry.kernel;
            match kernel.members() {
                Some(members) => kernel.check(&members, *kills),
                None => {
                    let counted = counted.get_or_init(|| {
                        // Of all: what is not looked at now belongs to somebody as well.
                        let kernels: Vec<Arc<Entry>> =
                            self.table().kernels.values().cloned().collect();
                        let marks: Vec<&str> =
                            kernels.iter().map(|entry| entry.kernel.mark()).collect();
                        lock(&self.process_table).scan(&marks)
                    });
                    if let Some(members) = counted.get(kernel.mark()) {
                        kernel.check(members, *kills);
                    }
                }
            }
        }
    }
}
