//! What a gateway counts.

use std::sync::atomic::{AtomicU64, Ordering};

/// What a gateway has done since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct GatewayStats {
    /// Kernels that live now.
    pub kernels: u64,
    /// Kernels created. A create request that found a living kernel does not count.
    pub kernels_created: u64,
    /// Kernels in stock now, which are no one's yet and are not among those above
    /// ([`with_warm_kernels`](crate::GatewayConfig::with_warm_kernels)).
    pub warm_kernels: u64,
    /// Kernels created that were in stock.
    pub warm_kernels_taken: u64,
    /// Executions started. Continuations, and input for a running program, do not count.
    pub executions: u64,
    /// Connections accepted.
    pub connections: u64,
    /// Requests that got a response, whatever its status.
    pub requests: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) kernels_created: Counter,
    pub(crate) warm_kernels_taken: Counter,
    pub(crate) executions: Counter,
    pub(crate) connections: Counter,
    pub(crate) requests: Counter,
}

#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn up(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Counters {
    pub(crate) fn with_kernels(&self, kernels: usize, warm: usize) -> GatewayStats {
        GatewayStats {
            kernels: kernels as u64,
            kernels_created: self.kernels_created.get(),
            warm_kernels: warm as u64,
            warm_kernels_taken: self.warm_kernels_taken.get(),
            executions: self.executions.get(),
            connections: self.connections.get(),
            requests: self.requests.get(),
        }
    }
}
