//! Files that this process was started with.

use std::fs;
use std::os::fd::{AsRawFd, IntoRawFd, RawFd};

use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

/// Closes all files but the three standard ones. To be called before anything is opened.
pub(super) fn close_foreign() {
    for descriptor in open() {
        // The list itself was among them, and is closed already.
        let _ = nix::unistd::close(descriptor);
    }
}

/// Keeps the files that this process was started with from the programs that it starts, so that kernels without namespaces do
/// not have them: shells and other programs leave files open. To be called first of all, while this process has one thread. It
/// can still use these files itself, such as `/dev/fd/9`. Needs Linux 5.6.
pub fn close_files_on_exec() {
    let descriptors = open();
    let Ok(own) = pidfd_open(getpid(), PidfdFlags::empty()) else {
        return;
    };
    // The list itself was among them, with a number that is free again, or that of this one.
    let others = descriptors.into_iter().filter(|it| *it != own.as_raw_fd());
    for descriptor in others {
        let Ok(file) = pidfd_getfd(&own, descriptor, PidfdGetfdFlags::empty()) else {
            continue;
        };
        // The same file, under the same number, which is the lowest that is free from there on.
        let _ = nix::unistd::close(descriptor);
        if let Ok(kept) = rustix::io::fcntl_dupfd_cloexec(file, descriptor) {
            let _ = kept.into_raw_fd();
        }
    }
}

/// All open files but the three standard ones.
fn open() -> Vec<RawFd> {
    let entries = fs::read_dir("/proc/self/fd")
        .into_iter()
        .flatten()
        .flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|descriptor| *descriptor > 2)
        .collect()
}
