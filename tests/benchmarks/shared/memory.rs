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

fn status(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let mut lines = status.lines().filter_map(|line| line.strip_prefix(name));
    let kib = lines
        .next()
        .and_then(|line| line.trim().strip_suffix(" kB"));
    let kib: u64 = kib.expect("a size").parse().expect("a number");
    kib * 1024
}
