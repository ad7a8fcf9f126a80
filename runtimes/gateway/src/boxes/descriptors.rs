//! Files that this process was started with.

use std::fs;
use std::os::fd::RawFd;

/// Closes all files but the three standard ones. To be called before anything is opened.
pub(super) fn close_foreign() {
    let entries = fs::read_dir("/proc/self/fd")
        .into_iter()
        .flatten()
        .flatten();
    let open: Vec<RawFd> = entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|descriptor| *descriptor > 2)
        .collect();
    for descriptor in open {
        // The list itself was among them, and is closed already.
        let _ = nix::unistd::close(descriptor);
    }
}
