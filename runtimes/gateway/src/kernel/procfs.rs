//! Information about the processes of a kernel from `/proc`.

use std::collections::HashSet;
use std::ffi::CStr;
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, Mode, OFlags};

/// The most processes looked at below one kernel.
const MAX_PROCESSES: usize = 4096;

/// The most descriptors looked at in all threads of some processes, 1 µs each.
const MAX_DESCRIPTORS: usize = 256 * 1024;

/// A file, whatever name it is opened by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileIdentity {
    device: u64,
    inode: u64,
}

impl FileIdentity {
    pub(crate) fn of(metadata: &fs::Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
        }
    }
}

/// The resource use of some processes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Resident memory, in bytes.
    pub(crate) memory: u64,
    /// Processor time in ms, including that of children that have ended.
    pub(crate) cpu: u64,
}

impl Usage {
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            memory: self.memory + other.memory,
            cpu: self.cpu + other.cpu,
        }
    }
}

/// Information about a process from `/proc/<id>/stat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) parent: u32,
    pub(crate) session: u32,
    pub(crate) threads: u64,
    /// When it started, in ticks.
    pub(crate) started: u64,
    pub(crate) usage: Usage,
}

/// A process and everything below it.
pub(crate) fn tree(root: u32) -> Vec<u32> {
    let mut found = vec![root];
    let mut next = 0;
    while next < found.len() && found.len() < MAX_PROCESSES {
        let process = found[next];
        next += 1;
        for thread in threads(process) {
            let path = format!("/proc/{process}/task/{thread}/children");
            let children = fs::read_to_string(path).unwrap_or_default();
            found.extend(
                children
                    .split_whitespace()
                    .filter_map(|id| id.parse::<u32>().ok()),
            );
        }
    }
    found
}

/// The most resident memory that a process had, since it executed its program or since that was
/// [forgotten](forget_peak), and what it has now, in bytes.
pub(crate) fn peak(process: u32) -> Option<(u64, u64)> {
    let status = read(process, "status");
    let status = String::from_utf8_lossy(&status);
    let kib = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    Some((kib("VmHWM:")? * 1024, kib("VmRSS:")? * 1024))
}

/// Makes the most memory that a process had what it has now. Returns whether that was possible.
pub(crate) fn forget_peak(process: u32) -> bool {
    fs::write(format!("/proc/{process}/clear_refs"), "5").is_ok()
}

/// Memory and processor time of a process and everything below it.
pub(crate) fn usage(root: u32) -> Usage {
    tree(root)
        .into_iter()
        .filter_map(stat)
        .fold(Usage::default(), |sum, stat| sum.plus(stat.usage))
}

/// Information about a process, if it exists. One whose first thread has ended lives as long as another does, and has its
/// memory.
pub(crate) fn stat(process: u32) -> Option<Stat> {
    let mut stat = parse_stat(&fs::read_to_string(format!("/proc/{process}/stat")).ok()?)?;
    if stat.usage.memory == 0 && stat.threads > 1 {
        let memory = |thread| {
            let path = format!("/proc/{process}/task/{thread}/stat");
            Some(parse_stat(&fs::read_to_string(path).ok()?)?.usage.memory)
        };
        let memory = threads(process).into_iter().filter_map(memory).max();
        stat.usage.memory = memory.unwrap_or_default();
    }
    Some(stat)
}

/// Whether a process has not ended: one that has, and is not waited for yet, has no memory.
pub(crate) fn lives(process: u32) -> bool {
    stat(process).is_some_and(|stat| stat.usage.memory > 0)
}

/// The content of a file of a process that all its threads share, such as `environ`: that of another thread, if the first
/// one has ended, and has none. Empty if there is no such process.
pub(crate) fn read(process: u32, file: &str) -> Vec<u8> {
    read_of(&PathBuf::from(format!("/proc/{process}")), file)
}

/// The same of the process that this directory of a `/proc` is about.
pub(super) fn read_of(process: &Path, file: &str) -> Vec<u8> {
    let content = fs::read(process.join(file)).unwrap_or_default();
    if !content.is_empty() {
        return content;
    }
    let threads = fs::read_dir(process.join("task"));
    let threads = threads.into_iter().flatten().flatten();
    let mut contents = threads.filter_map(|thread| fs::read(thread.path().join(file)).ok());
    contents.find(|it| !it.is_empty()).unwrap_or_default()
}

/// Whether a thread of this process works in this directory or below.
pub(crate) fn works_in(process: u32, directory: &Path) -> bool {
    let is_below = |link: String| fs::read_link(link).is_ok_and(|at| at.starts_with(directory));
    is_below(format!("/proc/{process}/cwd"))
        || others(process)
            .into_iter()
            .any(|thread| is_below(format!("/proc/{process}/task/{thread}/cwd")))
}

/// Calls `visit` with what each descriptor of these processes refers to: a directory and a name in it. A thread may have
/// descriptors of its own, which nothing shows but they themselves: those that refer to what one of the same process has
/// been seen to refer to are left out.
///
/// # Errors
///
/// That of `visit`. There are too many to look at: `too_many`.
pub(crate) fn each_descriptor<E>(
    processes: &[u32],
    too_many: E,
    mut visit: impl FnMut(&OwnedFd, &CStr) -> Result<(), E>,
) -> Result<(), E> {
    let mut count = 0;
    for process in processes {
        let others = others(*process);
        let threads = others
            .iter()
            .map(|it| format!("/proc/{process}/task/{it}/fd"));
        let mut seen = HashSet::new();
        for place in [format!("/proc/{process}/fd")].into_iter().chain(threads) {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let Ok(directory) = rustix::fs::open(place, flags, Mode::empty()) else {
                continue;
            };
            let Ok(entries) = Dir::read_from(&directory) else {
                continue;
            };
            for entry in entries.flatten() {
                let name = entry.file_name();
                if matches!(name.to_bytes(), b"." | b"..") {
                    continue;
                }
                count += 1;
                if count > MAX_DESCRIPTORS {
                    return Err(too_many);
                }
                if !others.is_empty() {
                    let stat = rustix::fs::statat(&directory, name, AtFlags::empty());
                    if stat.is_ok_and(|stat| !seen.insert((stat.st_dev, stat.st_ino))) {
                        continue;
                    }
                }
                visit(&directory, name)?;
            }
        }
    }
    Ok(())
}

/// The ID of a process in its own namespace.
pub(crate) fn inner_id(process: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let ids = status
        .lines()
        .find_map(|line| line.strip_prefix("NSpid:"))?;
    ids.split_whitespace().next_back()?.parse().ok()
}

/// All processes of the machine but this one.
pub(crate) fn processes() -> impl Iterator<Item = u32> {
    let own = std::process::id();
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(move |process| *process != own)
}

/// The children of a process that have ended and have not been waited for, and when they started, in ticks.
pub(crate) fn zombies_of(parent: u32) -> Vec<(u32, u64)> {
    let zombie = |process| {
        let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        let state = text.rsplit_once(')')?.1.trim_start();
        let stat = parse_stat(&text)?;
        (state.starts_with('Z') && stat.threads < 2 && stat.parent == parent)
            .then_some((process, stat.started))
    };
    processes().filter_map(zombie).collect()
}

/// The threads of a process.
pub(crate) fn threads(process: u32) -> Vec<u32> {
    let Ok(entries) = fs::read_dir(format!("/proc/{process}/task")) else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect()
}

/// The threads of a process but the first one, whose ID is that of the process.
fn others(process: u32) -> Vec<u32> {
    let mut all = threads(process);
    all.retain(|thread| *thread != process);
    all
}

fn parse_stat(stat: &str) -> Option<Stat> {
    // The name, in parentheses, may hold anything; the fields from the third on follow it.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    // utime, stime, cutime, cstime
    let ticks: u64 = [14, 15, 16, 17].into_iter().filter_map(number).sum();
    let id = |field| u32::try_from(number(field)?).ok();
    Some(Stat {
        parent: id(4)?,
        session: id(6)?,
        threads: number(20)?,
        started: number(22)?,
        usage: Usage {
            memory: number(24)? * rustix::param::page_size() as u64,
            cpu: ticks * 1000 / rustix::param::clock_ticks_per_second().max(1),
        },
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn stat_is_read_whatever_the_name() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194560 1 2 3 4 100 50 20 30 20 0 1 0 9 10 3 1";
        let stat = parse_stat(stat).unwrap();
        assert_eq!((stat.parent, stat.session, stat.threads), (1, 7, 1));
        assert_eq!(stat.started, 9);
        let usage = stat.usage;
        assert_eq!(usage.memory, 3 * rustix::param::page_size() as u64);
        assert_eq!(usage.cpu, 200_000 / rustix::param::clock_ticks_per_second());
        assert_eq!(parse_stat("7 (x) S 1"), None);
    }
}
