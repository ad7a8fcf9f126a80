//! The limits of each process.

use std::fs;

use rustix::process::{Pid, Resource, Rlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use super::bounds::{Bounds, Cores};
use crate::boxes::open_files;

/// How many tasks may be added to those on the machine before a kernel cannot start more. The limit
/// applies to all processes of the user, so it is only a backstop: it keeps a fork bomb from growing
/// faster than it can be killed.
const TASKS: u64 = 4096;
/// Extra data size of a process for the stacks of its threads. Each counts in full, mostly 8 MiB,
/// however little is used; the memory that is used is checked separately.
const STACKS: u64 = 2 * 1024 * 1024 * 1024;

/// Puts limits on a process. Best effort: it may have ended already. The limit on processes is that of the user, which
/// those in a box do not share with others.
pub(super) fn set(process: u32, bounds: Bounds, memory_is_limited: bool, has_box: bool) {
    let Some(id) = i32::try_from(process).ok().and_then(Pid::from_raw) else {
        return;
    };
    // Limits of the gateway itself that are lower stay in force.
    let most = |resource, most: u64| {
        let own = rustix::process::getrlimit(resource);
        let lower = |own: Option<u64>| Some(own.map_or(most, |own| own.min(most)));
        let limit = Rlimit {
            current: lower(own.current),
            maximum: lower(own.maximum),
        };
        let _ = rustix::process::prlimit(Some(id), resource, limit);
    };
    most(Resource::Core, 0);
    most(Resource::Fsize, bounds.file_size);
    if let Some(memory) = bounds.memory.filter(|_| !memory_is_limited) {
        // Limits writable memory, not address space: some interpreters reserve far more than they use.
        most(Resource::Data, memory.saturating_add(STACKS));
    }
    if has_box {
        most(Resource::Nproc, bounds.processes);
        // It puts its program under the limit on open files, when it has sent files itself.
    } else {
        if let Some(tasks) = tasks() {
            most(Resource::Nproc, tasks + TASKS);
        }
        let _ = rustix::process::prlimit(Some(id), Resource::Nofile, open_files::of_programs());
    }
    if let Some(cores) = bounds.cores {
        use_cores(id, cores);
    }
}

/// Lets a process, and what it starts, run on some of the cores that the gateway may use.
fn use_cores(process: Pid, cores: Cores) {
    let Ok(own) = sched_getaffinity(None) else {
        return;
    };
    let own: Vec<usize> = (0..CpuSet::MAX_CPU)
        .filter(|core| own.is_set(*core))
        .collect();
    if own.is_empty() || cores.count >= own.len() {
        return;
    }
    let mut chosen = CpuSet::new();
    for core in own
        .iter()
        .cycle()
        .skip(cores.first % own.len())
        .take(cores.count)
    {
        chosen.set(*core);
    }
    let _ = sched_setaffinity(Some(process), &chosen);
}

/// How many tasks there are on the machine.
fn tasks() -> Option<u64> {
    let load = fs::read_to_string("/proc/loadavg").ok()?;
    let (_, tasks) = load.split_whitespace().nth(3)?.split_once('/')?;
    tasks.parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn limits_are_set_on_another_process() {
        let mut child = Command::new("cat")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let bounds = Bounds {
            memory: Some(4096 * 1024),
            processes: 10,
            file_size: 12345,
            disk: None,
            cores: Some(Cores { first: 1, count: 1 }),
        };
        set(child.id(), bounds, false, false);
        let limits = fs::read_to_string(format!("/proc/{}/limits", child.id())).unwrap();
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
        let cores = status
            .lines()
            .find(|line| line.starts_with("Cpus_allowed_list:"));
        let cores = cores.unwrap().split_whitespace().nth(1).unwrap();
        assert!(cores.parse::<u32>().is_ok(), "one core: {cores}");
        drop(child.stdin.take());
        child.wait().unwrap();
        let value = |name: &str| {
            let line = limits.lines().find(|line| line.starts_with(name)).unwrap();
            let value = line[name.len()..].split_whitespace().next().unwrap();
            value.parse::<u64>().unwrap()
        };
        assert_eq!(value("Max core file size"), 0);
        assert_eq!(value("Max file size"), 12345);
        assert_eq!(value("Max data size"), 4096 * 1024 + STACKS);
        assert!(value("Max processes") >= TASKS);
        assert!(value("Max open files") <= 1024);
    }
}
