//! How much each kernel takes, where no control group counts.

use std::collections::HashMap;
use std::fs;

use super::procfs::{self, Stat};
use super::sweep::MARK;

/// What a kernel takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Processes and threads.
    pub(crate) tasks: u64,
    /// Resident memory, in KiB. What processes share counts for each.
    pub(crate) memory: u64,
}

impl Tally {
    /// Of these processes.
    pub(crate) fn of(processes: &[u32]) -> Self {
        let stats = processes.iter().filter_map(|id| procfs::stat(*id));
        stats.fold(Self::default(), Self::with)
    }

    fn with(self, stat: Stat) -> Self {
        Self {
            tasks: self.tasks + stat.threads,
            memory: self.memory + stat.usage.memory,
        }
    }
}

/// Remembers which process belongs to which kernel, so that a process is found again after its
/// parent has ended and it has thrown its mark away.
#[derive(Debug)]
pub(crate) struct Census {
    /// The mark of the gateway, with the point that follows it.
    prefix: String,
    /// By process and the time it started, as numbers are used again: the kernel's number.
    known: HashMap<(u32, u64), Option<u64>>,
}

impl Census {
    /// A census of the kernels of a gateway with this mark.
    pub(crate) fn new(mark: &str) -> Self {
        Self {
            prefix: format!("{MARK}={mark}."),
            known: HashMap::new(),
        }
    }

    /// Looks at all processes of the machine. Blocks.
    pub(crate) fn take(&mut self) -> HashMap<u64, Tally> {
        let all: HashMap<u32, Stat> = procfs::processes()
            .filter_map(|id| Some((id, procfs::stat(id)?)))
            .collect();
        let mut owners = HashMap::with_capacity(all.len());
        for (id, stat) in &all {
            let owner = match self.known.get(&(*id, stat.started)) {
                Some(owner) => *owner,
                None => self.marked(*id).or_else(|| {
                    let relatives = [stat.parent, stat.session].into_iter();
                    relatives
                        .filter(|relative| relative != id)
                        .find_map(|relative| {
                            let started = all.get(&relative)?.started;
                            *self.known.get(&(relative, started))?
                        })
                }),
            };
            owners.insert((*id, stat.started), owner);
        }
        let mut tallies = HashMap::new();
        for (id, stat) in all {
            if let Some(Some(kernel)) = owners.get(&(id, stat.started)) {
                let tally: &mut Tally = tallies.entry(*kernel).or_default();
                *tally = tally.with(stat);
            }
        }
        self.known = owners;
        tallies
    }

    /// The kernel whose mark a process carries.
    fn marked(&self, process: u32) -> Option<u64> {
        let environment = fs::read(format!("/proc/{process}/environ")).ok()?;
        let mark = environment
            .split(|byte| *byte == 0)
            .find_map(|entry| entry.strip_prefix(self.prefix.as_bytes()))?;
        let number = mark.split(|byte| *byte == b'.').next()?;
        std::str::from_utf8(number).ok()?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn processes_are_counted_with_those_that_hide() {
        let mark = format!("census{}", std::process::id());
        let mut census = Census::new(&mark);
        assert_eq!(census.take().get(&7), None);
        // A shell, and a child without the mark, which outlives it.
        let mut shell = Command::new("sh")
            .args(["-c", "env -i sleep 1000 & echo $!; read _"])
            .env(MARK, format!("{mark}.7.1."))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let until = Instant::now() + Duration::from_secs(30);
        loop {
            let tally = census.take().get(&7).copied().unwrap_or_default();
            if tally.tasks == 2 {
                assert!(tally.memory > 0);
                break;
            }
            assert!(Instant::now() < until, "{tally:?}");
        }
        drop(shell.stdin.take());
        shell.wait().unwrap();
        assert_eq!(census.take()[&7].tasks, 1, "the orphan is remembered");
        let mut line = String::new();
        let mut output = std::io::BufReader::new(shell.stdout.take().unwrap());
        std::io::BufRead::read_line(&mut output, &mut line).unwrap();
        let orphan = rustix::process::Pid::from_raw(line.trim().parse().unwrap()).unwrap();
        rustix::process::kill_process(orphan, rustix::process::Signal::KILL).unwrap();
    }
}
