//! The memory of a kernel's processes, for systems without control groups: also that of files in memory, which no process
//! need have mapped.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Instant;

use rustix::fs::AtFlags;

use super::exceeded::Exceeded;
use super::procfs;

/// The most open files that are looked at in one kernel, some µs each. One that has more could hide what it holds, and so
/// exceeds a limit.
const MAX_OPEN_FILES: usize = 32 * 1024;
/// The most sockets of one kernel: what they hold is memory that the system shows nowhere, some 200 KiB each, or twice that
/// if a program asks for it.
const MAX_SOCKETS: usize = 2048;
/// How many times as long as a look takes passes until the next one, at least.
const REST: u32 = 10;
/// The size of the blocks in which the system counts what a file takes.
const BLOCK: u64 = 512;

/// Files in memory that a kernel holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Held {
    /// What they take, in bytes.
    pub(crate) bytes: u64,
    /// File systems that are counted as a whole.
    devices: BTreeSet<u64>,
    /// Single files: device and inode.
    files: BTreeSet<(u64, u64)>,
    /// Whether shared memory of System V is counted, attached or not.
    has_segments: bool,
}

/// Files by device and inode, and what they take in bytes.
type Files = BTreeMap<(u64, u64), u64>;

/// The last look at the open files of a kernel.
#[derive(Debug, Default)]
pub(crate) struct Look {
    /// When the next one is due.
    next: Option<Instant>,
    /// How often the kernel had been killed then.
    kills: u64,
    files: Files,
}

/// More than a kernel may have, since they could hide what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TooMany {
    OpenFiles,
    Sockets,
}

impl TooMany {
    pub(crate) fn exceeded(self) -> Exceeded {
        match self {
            Self::OpenFiles => Exceeded::open_files(MAX_OPEN_FILES as u64),
            Self::Sockets => Exceeded::sockets(MAX_SOCKETS as u64),
        }
    }

    /// The limit, for people.
    pub(crate) fn text(self) -> String {
        match self {
            Self::OpenFiles => format!("limit of {MAX_OPEN_FILES} open files"),
            Self::Sockets => format!("limit of {MAX_SOCKETS} sockets"),
        }
    }
}

impl Held {
    /// Adds a file system of the kernel's own, in memory, and what is in it in bytes.
    pub(crate) fn add_file_system(&mut self, device: u64, bytes: u64) {
        if self.devices.insert(device) {
            self.bytes += bytes;
        }
    }

    /// Adds the shared memory of System V in a `/proc/sysvipc/shm`.
    pub(crate) fn add_segments(&mut self, list: &File) {
        let mut bytes = Vec::new();
        let mut chunk = [0; 16 * 1024];
        while let Ok(read @ 1..) = list.read_at(&mut chunk, bytes.len() as u64) {
            bytes.extend_from_slice(&chunk[..read]);
        }
        self.bytes += segments(&String::from_utf8_lossy(&bytes));
        self.has_segments = true;
    }

    /// Adds files in memory. Those of a file system that is counted as a whole are not counted again.
    pub(crate) fn add_files(&mut self, files: &Files) {
        for (file, bytes) in files {
            if !self.devices.contains(&file.0) && self.files.insert(*file) {
                self.bytes += bytes;
            }
        }
    }

    fn has(&self, device: u64, inode: u64) -> bool {
        self.devices.contains(&device) || self.files.contains(&(device, inode))
    }
}

impl Look {
    /// The files in memory that these processes have open: those without a name (`memfd_create`), and those in the
    /// `/dev/shm` of the machine. Many open files take long to look at, and are looked at less often then.
    pub(crate) fn files(&mut self, processes: &[u32], kills: u64) -> Result<&Files, TooMany> {
        let now = Instant::now();
        if self.kills != kills || self.next.is_none_or(|next| now >= next) {
            self.files = open_files(processes)?;
            self.kills = kills;
            self.next = Some(now + now.elapsed() * REST);
        }
        Ok(&self.files)
    }
}

fn open_files(processes: &[u32]) -> Result<Files, TooMany> {
    let (mut files, mut seen, mut buffer) = (Files::new(), 0, Vec::new());
    let mut sockets = BTreeSet::new();
    procfs::each_descriptor(processes, TooMany::OpenFiles, |directory, name| {
        seen += 1;
        if seen > MAX_OPEN_FILES {
            return Err(TooMany::OpenFiles);
        }
        let Ok(link) = rustix::fs::readlinkat(directory, name, std::mem::take(&mut buffer)) else {
            return Ok(());
        };
        buffer = link.into_bytes();
        if buffer.starts_with(b"socket:") && sockets.insert(buffer.clone()) {
            return (sockets.len() <= MAX_SOCKETS)
                .then_some(())
                .ok_or(TooMany::Sockets);
        }
        if !buffer.starts_with(b"/memfd:") && !buffer.starts_with(b"/dev/shm/") {
            return Ok(());
        }
        if let Ok(stat) = rustix::fs::statat(directory, name, AtFlags::empty()) {
            let blocks = u64::try_from(stat.st_blocks).unwrap_or_default();
            files.insert((stat.st_dev, stat.st_ino), blocks * BLOCK);
        }
        Ok(())
    })?;
    Ok(files)
}

/// Whether these processes have more than so many bytes, with the files that they hold. Memory that they share counts once.
/// Takes far longer than looking at what is resident in each.
pub(crate) fn exceeds(limit: u64, processes: &[u32], held: &Held) -> bool {
    let (mut all, mut shared) = (0, 0);
    for process in processes {
        let sums = procfs::read(*process, "smaps_rollup");
        let sums = String::from_utf8_lossy(&sums);
        let sum = |name: &str| sums.lines().find_map(|line| kib(line, name));
        all += sum("Pss:").unwrap_or(0);
        shared += sum("Pss_Shmem:").unwrap_or(0);
    }
    // What is shared may be parts of the files that were counted already, or not.
    if all + held.bytes <= limit {
        return false;
    }
    if all.saturating_sub(shared) + shared.max(held.bytes) > limit {
        return true;
    }
    let mapped: u64 = processes.iter().map(|id| mapped(*id, held)).sum();
    all.saturating_sub(mapped) + held.bytes > limit
}

/// How much of the files that are held a process has mapped, in bytes, in proportion.
fn mapped(process: u32, held: &Held) -> u64 {
    let maps = procfs::read(process, "smaps");
    let maps = String::from_utf8_lossy(&maps);
    let (mut sum, mut is_held) = (0, false);
    for line in maps.lines() {
        if let Some((device, inode)) = file_of(line) {
            let is_segment = held.has_segments && line.contains(" /SYSV");
            is_held = is_segment || held.has(device, inode);
        } else if is_held {
            sum += kib(line, "Pss:").unwrap_or(0);
        }
    }
    sum
}

/// What is resident and in swap space, in bytes: the last two columns.
fn segments(list: &str) -> u64 {
    let sizes = list.lines().skip(1).map(|line| {
        let last = line.split_whitespace().rev().take(2);
        last.filter_map(|it| it.parse::<u64>().ok()).sum::<u64>()
    });
    sizes.sum()
}

/// `Pss:   12 kB` in bytes.
fn kib(line: &str, name: &str) -> Option<u64> {
    let value = line.strip_prefix(name)?.split_whitespace().next()?;
    Some(value.parse::<u64>().ok()? * 1024)
}

/// Device and inode of `55d0-55d1 rw-s 00000000 00:01 1025   /memfd:x`.
fn file_of(line: &str) -> Option<(u64, u64)> {
    let mut fields = line.split(' ');
    if !fields.next()?.contains('-') {
        return None;
    }
    let (major, minor) = fields.nth(2)?.split_once(':')?;
    let number = |text| u32::from_str_radix(text, 16).ok();
    let device = rustix::fs::makedev(number(major)?, number(minor)?);
    Some((device, fields.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use std::io::Write;

    use super::*;

    #[test]
    fn a_file_without_a_name_counts_once_however_often_it_is_open() {
        let memory = rustix::fs::memfd_create("counted", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        let mut file = File::from(memory);
        file.write_all(&[1; 3 << 20]).unwrap();
        let again = file.try_clone().unwrap();
        let own = [std::process::id(), std::process::id()];
        let mut look = Look::default();
        let mut held = Held::default();
        held.add_files(look.files(&own, 0).unwrap());
        held.add_files(look.files(&own, 0).unwrap());
        // Other tests of this process have none.
        assert_eq!(held.bytes, 3 << 20);
        drop((file, again));
        // After the processes have been killed, it is not what was before.
        assert_eq!(look.files(&own, 1).unwrap(), &Files::new());
    }

    #[test]
    fn files_of_mappings_are_read() {
        let line = "7f7c6e600000-7f7c6ea00000 rw-s 00000000 00:01 1025     /memfd:a b (deleted)";
        assert_eq!(file_of(line), Some((rustix::fs::makedev(0, 1), 1025)));
        assert_eq!(file_of("Pss:                4096 kB"), None);
        assert_eq!(file_of("VmFlags: rd wr sh mr mw me ms sd"), None);
        let list = "       key      shmid perms       size  rss  swap\n         1          0   600 26214400  8192  4096\n";
        assert_eq!(segments(list), 12288);
        assert_eq!(kib("Pss:    12 kB", "Pss:"), Some(12 * 1024));
        assert_eq!(kib("Pss_Shmem:    12 kB", "Pss:"), None);
    }
}
