//! Processes of kernels that have lost their parents, where the gateway is the first process of a container.
//!
//! Such a process inherits them, and has to wait for them when they have ended: the system keeps them as zombies until
//! then. Only their own statuses are taken, never those of processes that the gateway has started itself.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, WaitOptions, waitpid};

use super::table::Kernels;
use crate::kernel::zombies_of;

/// How often to look for them.
const INTERVAL: Duration = Duration::from_secs(2);
/// How often a process must have been seen as ended: the gateway takes the status of its own much sooner.
const SEEN: u32 = 3;

impl Kernels {
    /// Waits for orphans that have ended, forever, if this is the first process.
    pub(crate) async fn reap_orphans(self: Arc<Self>) {
        if std::process::id() != 1 {
            return std::future::pending().await;
        }
        let mut seen = HashMap::new();
        loop {
            tokio::time::sleep(INTERVAL).await;
            let this = Arc::clone(&self);
            let look = tokio::task::spawn_blocking(move || {
                this.reap(&mut seen);
                seen
            });
            match look.await {
                Ok(back) => seen = back,
                // The runtime is shutting down.
                Err(_) => return,
            }
        }
    }

    /// Takes the statuses of those that have been seen before. `seen` counts how often, by process and start. Blocks.
    fn reap(&self, seen: &mut HashMap<(u32, u64), u32>) {
        let entries: Vec<_> = self.table().kernels.values().cloned().collect();
        let own: Vec<u32> = entries
            .iter()
            .flat_map(|entry| entry.kernel.own_processes())
            .chain(self.warm.own_processes())
            .collect();
        let zombies = zombies_of(std::process::id());
        seen.retain(|process, _| zombies.contains(process));
        for process in zombies {
            if own.contains(&process.0) {
                continue;
            }
            let times = seen.entry(process).or_default();
            *times += 1;
            let id = i32::try_from(process.0).ok().and_then(Pid::from_raw);
            if let Some(id) = id.filter(|_| *times >= SEEN) {
                let _ = waitpid(Some(id), WaitOptions::NOHANG);
                seen.remove(&process);
            }
        }
    }
}
