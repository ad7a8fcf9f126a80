//! Limits on a kernel.

use std::time::Duration;

use super::GatewayConfig;

/// Limits on a kernel and its programs.
impl GatewayConfig {
    /// Sets the most memory of a kernel, in bytes; a client may ask for less. 1 GiB by default.
    #[must_use]
    pub fn with_max_memory(mut self, bytes: u64) -> Self {
        self.max_memory = Some(bytes);
        self
    }

    /// Lets a kernel take as much memory as there is, unless its client asks for a limit.
    #[must_use]
    pub fn with_unlimited_memory(mut self) -> Self {
        self.max_memory = None;
        self
    }

    /// The most memory of a kernel, in bytes; `None` if there is no limit.
    #[must_use]
    pub fn max_memory(&self) -> Option<u64> {
        self.max_memory
    }

    /// Sets the most processes and threads of a kernel: 1024 by default.
    #[must_use]
    pub fn with_max_processes(mut self, processes: u64) -> Self {
        self.max_processes = processes;
        self
    }

    /// The most processes and threads of a kernel.
    #[must_use]
    pub fn max_processes(&self) -> u64 {
        self.max_processes
    }

    /// Sets the size of the largest file that a program may write, or a client upload, in bytes: 1 GiB by default.
    #[must_use]
    pub fn with_max_file_size(mut self, bytes: u64) -> Self {
        self.max_file_size = bytes;
        self
    }

    /// The size of the largest file that a program may write, in bytes.
    #[must_use]
    pub fn max_file_size(&self) -> u64 {
        self.max_file_size
    }

    /// Sets how much disk the files of a kernel may take in all, in bytes: 2 GiB by default. The gateway looks
    /// periodically, ten times a second while something runs. A program under which they come to take more is killed with
    /// the rest of its kernel; the files are kept, and what runs next may remove some, but not add any. If they come to
    /// take twice as much, and a GiB more, the kernel is destroyed. An upload that there is no room for is rejected.
    ///
    /// Files count by what they take on the disk, also those that are deleted and still open.
    #[must_use]
    pub fn with_max_disk(mut self, bytes: u64) -> Self {
        self.max_disk = Some(bytes);
        self
    }

    /// Lets the files of a kernel take as much disk as there is, however many they are.
    #[must_use]
    pub fn with_unlimited_disk(mut self) -> Self {
        self.max_disk = None;
        self
    }

    /// How much disk the files of a kernel may take, in bytes; `None` if there is no limit.
    #[must_use]
    pub fn max_disk(&self) -> Option<u64> {
        self.max_disk
    }

    /// Keeps the files of each kernel in memory, in a file system of this size in bytes, where kernels have
    /// [namespaces](crate::IsolationLevel::Namespaces): then programs are told that no space is left, instead of being
    /// killed. The files count as memory of the kernel, of which they can take half. At other levels, the size is a limit on
    /// [disk](Self::with_max_disk).
    #[must_use]
    pub fn with_memory_disk(mut self, bytes: u64) -> Self {
        self.memory_disk = Some(bytes);
        self
    }

    /// The size of the file system in memory for the files of a kernel; `None` if they are on a disk.
    #[must_use]
    pub fn memory_disk(&self) -> Option<u64> {
        self.memory_disk
    }

    /// Sets how many files, directories and links a kernel may have: 200,000 by default. It is enforced like the limit
    /// on [disk](Self::with_max_disk), and is none if that is unlimited.
    #[must_use]
    pub fn with_max_files(mut self, files: u64) -> Self {
        self.max_files = files;
        self
    }

    /// How many files, directories and links a kernel may have.
    #[must_use]
    pub fn max_files(&self) -> u64 {
        self.max_files
    }

    /// Sets about how much console text one response holds at most, in bytes, which bounds a single
    /// console record as well: 1 MiB by default. A program that prints more waits until its output
    /// has been fetched. So it does if its key's kernels hold 20 MiB that no one has fetched, or all
    /// kernels 28 MiB; each may always hold 64 KiB.
    #[must_use]
    pub fn with_max_console_size(mut self, bytes: usize) -> Self {
        self.max_console_size = bytes;
        self
    }

    /// About how much console text one response holds at most, in bytes.
    #[must_use]
    pub fn max_console_size(&self) -> usize {
        self.max_console_size
    }

    /// Sets how long an execution may run if its kernel was created without a limit: 30 s by
    /// default. The time that a program waits for its client does not count.
    #[must_use]
    pub fn with_exec_timeout(mut self, time: Duration) -> Self {
        self.exec_timeout = time;
        self
    }

    /// How long an execution may run if its kernel was created without a limit.
    #[must_use]
    pub fn exec_timeout(&self) -> Duration {
        self.exec_timeout
    }

    /// Sets how long a kernel that is not in use is kept before it is destroyed: an hour by default.
    ///
    /// It is in use when a client sends a request for it, while something runs or prints in it, and while a terminal is attached. What
    /// was left in the background and prints nothing does not keep it in use, nor does a program that waits for a client (for
    /// input, or since no one fetches its output) when there is none.
    #[must_use]
    pub fn with_idle_timeout(mut self, time: Duration) -> Self {
        self.idle_timeout = time;
        self
    }

    /// How long a kernel that is not in use is kept before it is destroyed.
    #[must_use]
    pub fn idle_timeout(&self) -> Duration {
        self.idle_timeout
    }

    /// Sets the most that clients may ask for as the idle timeout of a kernel of theirs
    /// ([`KeepAlive`](sorna_core::KeepAlive)): no more than [`idle_timeout`](Self::idle_timeout) by default.
    #[must_use]
    pub fn with_max_idle_timeout(mut self, time: Duration) -> Self {
        self.max_idle_timeout = Some(time);
        self
    }

    /// The most that clients may ask for as the idle timeout of a kernel.
    #[must_use]
    pub fn max_idle_timeout(&self) -> Duration {
        self.max_idle_timeout.unwrap_or(self.idle_timeout)
    }

    /// Sets how long an execute request waits at most before the response is `continued`: 2 s by
    /// default, as on the original gateway.
    #[must_use]
    pub fn with_continuation_interval(mut self, time: Duration) -> Self {
        self.continuation_interval = time;
        self
    }

    /// How long an execute request waits at most before the response is `continued`.
    #[must_use]
    pub fn continuation_interval(&self) -> Duration {
        self.continuation_interval
    }
}
