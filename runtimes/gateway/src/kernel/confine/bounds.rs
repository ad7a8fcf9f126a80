//! The limits of a kernel.

use crate::kernel::disk::DiskLimit;

/// The limits of a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// Memory, in bytes; `None` means as much as there is.
    pub(crate) memory: Option<u64>,
    /// Processes and threads.
    pub(crate) processes: u64,
    /// The size of one file, in bytes.
    pub(crate) file_size: u64,
    /// All files; `None` means as much as there is.
    pub(crate) disk: Option<DiskLimit>,
    /// Processor cores; `None` means all.
    pub(crate) cores: Option<Cores>,
}

/// Which processor cores a kernel may use, of those that the gateway may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cores {
    /// The first; counted on beyond the last one, from the first again.
    pub(crate) first: usize,
    /// How many.
    pub(crate) count: usize,
}

impl Bounds {
    /// The limit on memory as text, such as `memory limit of 300 MiB`.
    pub(crate) fn memory_text(&self) -> Option<String> {
        Some(format!("memory limit of {}", size(self.memory?)))
    }
}

/// A size in the largest unit that is exact.
pub(crate) fn size(bytes: u64) -> String {
    const KIB: u64 = 1024;
    const MIB: u64 = 1024 * KIB;
    let (size, unit) = match bytes {
        _ if bytes.is_multiple_of(MIB) => (bytes / MIB, "MiB"),
        _ if bytes.is_multiple_of(KIB) => (bytes / KIB, "KiB"),
        _ => (bytes, "bytes"),
    };
    format!("{size} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_limits_are_shown_in_the_largest_exact_unit() {
        for (bytes, text) in [
            (300 << 20, "memory limit of 300 MiB"),
            ((300 << 20) + 1024, "memory limit of 307201 KiB"),
            (1000, "memory limit of 1000 bytes"),
        ] {
            let bounds = Bounds {
                memory: Some(bytes),
                processes: 1,
                file_size: 1,
                disk: None,
                cores: None,
            };
            assert_eq!(bounds.memory_text().as_deref(), Some(text));
        }
    }
}
