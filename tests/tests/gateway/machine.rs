//! Processes, memory and control groups of this machine.

use std::fs;
use std::path::PathBuf;

/// The processes whose environment contains the text, with the resident memory of each, in KiB.
pub(crate) fn processes_with(word: &str) -> Vec<(u32, u64)> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    ids.filter(|id| {
        let environment = fs::read(format!("/proc/{id}/environ")).unwrap_or_default();
        environment
            .windows(word.len())
            .any(|part| part == word.as_bytes())
    })
    .map(|id| (id, resident(&id.to_string())))
    .collect()
}

/// The resident memory of a process, in KiB.
pub(crate) fn resident(process: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
    number.unwrap_or(0)
}

/// Children of this process that have ended and have not been waited for.
pub(crate) fn zombies() -> usize {
    let own = std::process::id().to_string();
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let stats = processes.filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok());
    stats
        .filter(|stat| {
            let fields: Vec<&str> = stat
                .rsplit(')')
                .next()
                .unwrap()
                .split_whitespace()
                .collect();
            fields[0] == "Z" && fields[1] == own
        })
        .count()
}

/// Control groups of gateways with this mark.
pub(crate) fn control_groups(mark: &str) -> Vec<PathBuf> {
    fn search(directory: PathBuf, depth: usize, name: &str, found: &mut Vec<PathBuf>) {
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        for entry in entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
            if entry.file_name().to_string_lossy() == name {
                found.push(entry.path());
            } else if depth > 0 {
                search(entry.path(), depth - 1, name, found);
            }
        }
    }
    let mut found = Vec::new();
    let name = format!("sorna-gateway-{mark}");
    search("/sys/fs/cgroup".into(), 6, &name, &mut found);
    found
}
