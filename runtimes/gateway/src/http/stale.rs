//! What was made of a file that an upload replaces, and must not be used in its place.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, CWD, Dir, Mode, OFlags, Timespec, Timestamps};

/// Sets the times of a file. All files of an upload get the same, that of its end: they are newer than what was made of
/// those that they replace, and none is newer than another, so tools such as `make` rebuild what they have to.
pub(super) fn date(path: &Path, time: SystemTime) -> rustix::io::Result<()> {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let time = Timespec {
        tv_sec: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: since.subsec_nanos().into(),
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)
}

/// Removes the bytecode that Python has made of a file with this name. Python uses it for a source of the same size and
/// the same second.
pub(super) fn remove_bytecode(directory: &OwnedFd, name: &OsStr) {
    let Some(stem) = name.as_bytes().strip_suffix(b".py") else {
        return;
    };
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY;
    let Ok(cache) = rustix::fs::openat(directory, "__pycache__", flags, Mode::empty()) else {
        return;
    };
    let Ok(entries) = Dir::read_from(&cache) else {
        return;
    };
    for entry in entries.flatten() {
        let file = entry.file_name();
        // For instance `name.cpython-311.opt-1.pyc`.
        let rest = file.to_bytes().strip_prefix(stem);
        if rest.is_some_and(|rest| rest.starts_with(b".") && rest.ends_with(b".pyc")) {
            // It is a cache: what cannot be removed is as old as without us.
            let _ = rustix::fs::unlinkat(&cache, file, AtFlags::empty());
        }
    }
}
