//! Watching the kernels: for idle ones, and for those that exceed their limits.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::ended::Cause;
use super::table::{Entry, Kernels};
use crate::kernel::{Census, DiskCheck};
use crate::lock::lock;

/// How often to check for idle kernels, at most.
const IDLE_CHECK: Duration = Duration::from_secs(10);
/// How often to check the resource use of busy kernels.
const CHECK_INTERVAL: Duration = Duration::from_millis(100);
/// Every so many checks, all kernels are checked.
const CHECKS_PER_FULL_CHECK: u64 = 20;
/// How many times as long as a look at the files of a kernel takes, none is looked at: there may be very many.
const REST: u32 = 3;

impl Kernels {
    /// Destroys idle kernels, forever.
    pub(crate) async fn destroy_idle(self: Arc<Self>) {
        loop {
            let shortest = self.shortest_idle_timeout();
            let interval = (shortest / 4).clamp(Duration::from_millis(10), IDLE_CHECK);
            tokio::select! {
                () = tokio::time::sleep(interval) => {}
                () = self.idle_changed.notified() => continue,
            }
            let idle: Vec<_> = self
                .table()
                .kernels
                .values()
                .filter(|entry| entry.kernel.idle() > self.idle_timeout_of(entry))
                .cloned()
                .collect();
            for entry in self.table().kernels.values() {
                entry.kernel.forget_responses();
            }
            for entry in idle {
                // The client may have come back meanwhile.
                let most = self.idle_timeout_of(&entry);
                if entry.kernel.idle() > most {
                    self.destroy(entry, Cause::Idle(most)).await;
                }
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
        let scan = Scan::default();
        for (entry, kills) in entries {
            let members = self.members(entry, &scan);
            if !members.is_empty() {
                entry.kernel.check(&members, *kills);
            }
        }
    }

    /// Keeps the files of kernels within their limits, forever.
    pub(crate) async fn watch_disks(self: Arc<Self>) {
        loop {
            tokio::time::sleep(CHECK_INTERVAL).await;
            let entries: Vec<_> = self.table().kernels.values().cloned().collect();
            for entry in entries {
                let kills = entry.kernel.kills();
                if entry.kernel.is_gone() || !entry.kernel.disk_is_due() {
                    continue;
                }
                let (this, one, started) = (Arc::clone(&self), Arc::clone(&entry), Instant::now());
                let look = move || {
                    let members = this.members(&one, &Scan::default());
                    one.kernel.check_disk(&members, kills)
                };
                let Ok(checked) = tokio::task::spawn_blocking(look).await else {
                    // The runtime is shutting down.
                    return;
                };
                let spent = started.elapsed();
                if let DiskCheck::Hopeless(reason) = checked {
                    tracing::warn!(kernel = %entry.id, key = entry.owner, reason, "a kernel is destroyed, as it far exceeded a limit");
                    tokio::spawn(Arc::clone(&self).destroy_one(entry, Cause::Exceeded(reason)));
                }
                tokio::time::sleep(spent * REST).await;
            }
        }
    }

    async fn destroy_one(self: Arc<Self>, entry: Arc<Entry>, cause: Cause) {
        self.destroy(entry, cause).await;
    }

    /// The processes of a kernel. Blocks.
    fn members(&self, entry: &Entry, scan: &Scan) -> Vec<u32> {
        if let Some(members) = entry.kernel.members(&scan.census) {
            return members;
        }
        let scanned = scan.marked.get_or_init(|| {
            // Scan for all kernels: otherwise processes of the others would seem to belong to none.
            let kernels: Vec<Arc<Entry>> = self.table().kernels.values().cloned().collect();
            let warm = self.warm.marks();
            let marks = kernels.iter().map(|entry| entry.kernel.mark());
            let marks: Vec<&str> = marks.chain(warm.iter().map(String::as_str)).collect();
            lock(&self.process_table).scan(&marks)
        });
        scanned
            .get(entry.kernel.mark())
            .cloned()
            .unwrap_or_default()
    }
}

/// The processes of all kernels, once they were asked for.
#[derive(Default)]
struct Scan {
    census: OnceCell<Census>,
    marked: OnceCell<HashMap<String, Vec<u32>>>,
}
