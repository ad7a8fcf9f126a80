//! How much a kernel may take.

/// How much a kernel may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// Memory, in KiB; none means as much as there is.
    pub(crate) memory: Option<u64>,
    /// Processes and threads.
    pub(crate) processes: u64,
    /// The size of one file, in bytes.
    pub(crate) file_size: u64,
}
