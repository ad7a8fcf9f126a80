//! Limits on an access key.

use super::GatewayConfig;

/// Limits on all that one access key has.
impl GatewayConfig {
    /// Sets how many kernels one access key may have at a time; more are rejected with
    /// `quota-exceeded`. 256 by default.
    #[must_use]
    pub fn with_max_kernels_per_key(mut self, kernels: usize) -> Self {
        self.max_kernels_per_key = kernels;
        self
    }

    /// How many kernels one access key may have at a time.
    #[must_use]
    pub fn max_kernels_per_key(&self) -> usize {
        self.max_kernels_per_key
    }

    /// Sets how many requests one access key may make in 15 minutes: a million by default, which is
    /// hardly a limit. The original gateway allows 1000.
    #[must_use]
    pub fn with_max_requests_per_window(mut self, requests: u64) -> Self {
        self.max_requests_per_window = requests;
        self
    }

    /// How many requests one access key may make in 15 minutes.
    #[must_use]
    pub fn max_requests_per_window(&self) -> u64 {
        self.max_requests_per_window
    }

    /// Sets how much memory the kernels of one access key may have in sum, in bytes: none by default. Their
    /// [limits](Self::with_max_memory) count, not what they use. A kernel for which there is not enough left is rejected with
    /// `quota-exceeded`; a client may ask for one with less memory.
    #[must_use]
    pub fn with_max_memory_per_key(mut self, bytes: u64) -> Self {
        self.max_memory_per_key = Some(bytes);
        self
    }

    /// How much memory the kernels of one access key may have in sum, in bytes; `None` if there is no limit.
    #[must_use]
    pub fn max_memory_per_key(&self) -> Option<u64> {
        self.max_memory_per_key
    }

    /// Sets how many processes and threads the kernels of one access key may have in sum: none by default. Their
    /// [limits](Self::with_max_processes) count, as for [memory](Self::with_max_memory_per_key).
    #[must_use]
    pub fn with_max_processes_per_key(mut self, processes: u64) -> Self {
        self.max_processes_per_key = Some(processes);
        self
    }

    /// How many processes and threads the kernels of one access key may have in sum; `None` if there is no limit.
    #[must_use]
    pub fn max_processes_per_key(&self) -> Option<u64> {
        self.max_processes_per_key
    }

    /// Sets how much disk the files of the kernels of one access key may take in sum, in bytes: none by default. Their
    /// [limits](Self::with_max_disk) count, as for [memory](Self::with_max_memory_per_key).
    #[must_use]
    pub fn with_max_disk_per_key(mut self, bytes: u64) -> Self {
        self.max_disk_per_key = Some(bytes);
        self
    }

    /// How much disk the files of the kernels of one access key may take in sum, in bytes; `None` if there is no limit.
    #[must_use]
    pub fn max_disk_per_key(&self) -> Option<u64> {
        self.max_disk_per_key
    }
}
