//! The memory of this process, as Linux reports it.

#![allow(dead_code, reason = "not every benchmark needs all of it")]

use std::fs;

/// Bytes now.
pub fn resident() -> u64 {
    status("VmRSS:")
}

/// Bytes at the peak since the process began, or since the last reset.
pub fn peak() -> u64 {
    status("VmHWM:")
}

/// Resets the peak.
pub fn forget_peak() {
    fs::write("/proc/self/clear_refs", "5").expect("Linux");
}

/// The memory of these processes and all below them in KiB, with their share of what several have mapped.
pub fn shared_out(processes: &[u32]) -> f64 {
    let mut parents = Vec::new();
    for entry in fs::read_dir("/proc").expect("Linux").flatten() {
        let name = entry.file_name();
        let Some(id) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let parent = stat
            .rsplit(')')
            .next()
            .and_then(|rest| rest.split_whitespace().nth(1));
        if let Some(parent) = parent.and_then(|parent| parent.parse::<u32>().ok()) {
            parents.push((id, parent));
        }
    }
    let mut all = processes.to_vec();
    let mut next = 0;
    while let Some(process) = all.get(next).copied() {
        all.extend(
            parents
                .iter()
                .filter(|(_, parent)| *parent == process)
                .map(|(id, _)| id),
        );
        next += 1;
    }
    let share = |process: &u32| {
        let path = format!("/proc/{process}/smaps_rollup");
        let text = fs::read_to_string(path).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
        line.split_whitespace().next()?.parse::<f64>().ok()
    };
    all.iter().filter_map(share).sum()
}

fn status(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let mut lines = status.lines().filter_map(|line| line.strip_prefix(name));
    let kib = lines
        .next()
        .and_then(|line| line.trim().strip_suffix(" kB"));
    let kib: u64 = kib.expect("a size").parse().expect("a number");
    kib * 1024
}
