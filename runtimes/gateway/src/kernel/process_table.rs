//! Which processes a kernel has, and their resource use, for systems without control groups.

use std::collections::HashMap;

use super::procfs::{self, Stat};
use super::sweep::MARK;

/// A sample of the resource use of some processes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ResourceUse {
    /// Processes and threads.
    pub(crate) tasks: u64,
    /// Resident memory, in bytes. Shared memory counts for each process.
    pub(crate) memory: u64,
}

impl ResourceUse {
    /// Measures these processes. Those that have ended count as nothing.
    pub(crate) fn of(processes: &[u32]) -> Self {
        let stats = processes.iter().filter_map(|id| procfs::stat(*id));
        stats.fold(Self::default(), |sum, stat| Self {
            tasks: sum.tasks + stat.threads,
            memory: sum.memory + stat.usage.memory,
        })
    }
}

/// Remembers which process belongs to which kernel, so that a process is recognized after its parent
/// has ended and it has removed its mark.
#[derive(Debug, Default)]
pub(crate) struct ProcessTable {
    /// The mark of each process's kernel. Keys include the time it started, since IDs are reused.
    known: HashMap<(u32, u64), Option<String>>,
}

impl ProcessTable {
    /// Finds the processes of every kernel with one of these marks. Reads all processes of the
    /// machine, and blocks.
    pub(crate) fn scan(&mut self, marks: &[&str]) -> HashMap<String, Vec<u32>> {
        let all: HashMap<u32, Stat> = procfs::processes()
            .filter_map(|id| Some((id, procfs::stat(id)?)))
            .collect();
        let own = std::process::id();
        let mut owners: HashMap<u32, String> = HashMap::new();
        let mut new = Vec::new();
        for (id, stat) in &all {
            match self.known.get(&(*id, stat.started)) {
                Some(Some(owner)) => drop(owners.insert(*id, owner.clone())),
                // A child of ours has our environment until it executes a program.
                Some(None) if stat.parent != own => {}
                _ => new.push(*id),
            }
        }
        // Relations come first, since a process can change its own environment.
        inherit(&mut owners, &mut new, &all);
        let by_mark = |id: &u32| Some((*id, marked(*id, marks)?));
        owners.extend(new.iter().filter_map(by_mark).collect::<Vec<_>>());
        new.retain(|id| !owners.contains_key(id));
        inherit(&mut owners, &mut new, &all);
        let known = |(id, stat): (&u32, &Stat)| ((*id, stat.started), owners.get(id).cloned());
        self.known = all.iter().map(known).collect();
        let mut members: HashMap<String, Vec<u32>> = HashMap::new();
        for (id, owner) in owners {
            members.entry(owner).or_default().push(id);
        }
        members
    }
}

/// Assigns processes to the kernel of their parent, or of the leader of their session.
fn inherit(owners: &mut HashMap<u32, String>, new: &mut Vec<u32>, all: &HashMap<u32, Stat>) {
    loop {
        let before = new.len();
        new.retain(|id| {
            let stat = &all[id];
            let relatives = [stat.parent, stat.session].into_iter();
            let owner = relatives
                .filter(|relative| relative != id)
                .find_map(|relative| owners.get(&relative).cloned());
            match owner {
                Some(owner) => {
                    owners.insert(*id, owner);
                    false
                }
                None => true,
            }
        });
        if new.len() == before {
            return;
        }
    }
}

/// The kernel whose mark a process has in its environment. Marks cannot be guessed.
fn marked(process: u32, marks: &[&str]) -> Option<String> {
    let environment = procfs::read(process, "environ");
    let own = environment
        .split(|byte| *byte == 0)
        .find_map(|entry| entry.strip_prefix(MARK.as_bytes())?.strip_prefix(b"="))?;
    let mark = marks.iter().find(|mark| own.starts_with(mark.as_bytes()));
    mark.map(|mark| (*mark).to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn an_orphan_without_a_mark_is_still_counted() {
        let mark = format!("process_table{}.7.secret.", std::process::id());
        let mut process_table = ProcessTable::default();
        let mut members = || {
            process_table
                .scan(&[&mark])
                .remove(&mark)
                .unwrap_or_default()
        };
        assert!(members().is_empty());
        // A shell, and a child without the mark, which outlives it.
        let mut shell = Command::new("sh")
            .args(["-c", "env -i sleep 1000 & read _"])
            .env(MARK, format!("{mark}1."))
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let until = Instant::now() + Duration::from_secs(30);
        loop {
            let usage = ResourceUse::of(&members());
            if usage.tasks == 2 {
                assert!(usage.memory > 0);
                break;
            }
            assert!(Instant::now() < until, "{usage:?}");
        }
        drop(shell.stdin.take());
        shell.wait().unwrap();
        let orphans = members();
        assert_eq!(orphans.len(), 1, "the orphan is remembered");
        let orphan = i32::try_from(orphans[0]).unwrap();
        let orphan = rustix::process::Pid::from_raw(orphan).unwrap();
        rustix::process::kill_process(orphan, rustix::process::Signal::KILL).unwrap();
    }
}
