//! Shared memory and semaphores that a kernel leaves in `/dev/shm` of the machine, where it has none of its own.
//!
//! Programs remove theirs when they end, but not when they are killed. (`multiprocessing` of Python leaves `sem.mp-…`
//! and `psm_…` then.)

use std::collections::BTreeSet;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Mutex;
use std::time::SystemTime;

use super::procfs;
use crate::lock::lock;

const DIRECTORY: &str = "/dev/shm";

/// The files that processes of a kernel had in use when they were killed.
#[derive(Debug)]
pub(crate) struct SharedFiles {
    /// When the kernel was created. Older files are not its own.
    since: SystemTime,
    /// Their inodes: the C library gives semaphores another name after it has mapped them.
    used: Mutex<BTreeSet<u64>>,
}

impl SharedFiles {
    pub(crate) fn new() -> Self {
        Self {
            since: SystemTime::now(),
            used: Mutex::default(),
        }
    }

    /// Notes what these processes use, before they are killed. Blocks.
    pub(crate) fn note(&self, processes: &[u32]) {
        let used: Vec<u64> = processes.iter().flat_map(|id| mapped(*id)).collect();
        lock(&self.used).extend(used);
    }

    /// Removes what the kernel has made, and nothing uses any more. Blocks.
    pub(crate) fn remove(&self) {
        let mut left = std::mem::take(&mut *lock(&self.used));
        if left.is_empty() {
            return;
        }
        for inode in procfs::processes().flat_map(mapped) {
            left.remove(&inode);
        }
        let Ok(entries) = fs::read_dir(Path::new(DIRECTORY)) else {
            return;
        };
        for entry in entries.flatten() {
            let is_left = |file: &Metadata| left.contains(&file.ino()) && self.is_own(file);
            if entry.metadata().is_ok_and(|file| is_left(&file))
                && let Err(error) = fs::remove_file(entry.path())
            {
                tracing::debug!(%error, "shared memory of a kernel could not be removed");
            }
        }
    }

    /// Whether the kernel has made a file: it is of our user, and younger than the kernel.
    fn is_own(&self, file: &Metadata) -> bool {
        file.is_file()
            && file.uid() == rustix::process::geteuid().as_raw()
            && file.created().is_ok_and(|created| created >= self.since)
    }
}

/// The inodes of the files in `/dev/shm` that a process has mapped into its memory, as semaphores are as well.
fn mapped(process: u32) -> Vec<u64> {
    let maps = procfs::read(process, "maps");
    let maps = String::from_utf8_lossy(&maps);
    let inode = |line: &str| {
        // Addresses, permissions, offset, device, inode and path.
        let mut words = line.split_ascii_whitespace().skip(4);
        let inode = words.next()?.parse().ok()?;
        let path = words.next()?;
        (Path::new(path).parent() == Some(Path::new(DIRECTORY))).then_some(inode)
    };
    maps.lines().filter_map(inode).collect()
}
