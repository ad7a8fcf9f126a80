//! What the system has run out of, and what to do about it.

use std::error::Error as StdError;
use std::io;
use std::path::Path;

use rustix::io::Errno;
use sorna_core::ProblemKind;
use sorna_core::server::ProblemReply;

/// What is missing for this path, if the system has run out of something.
pub(crate) fn shortage(error: &io::Error, path: &Path) -> Option<String> {
    let place = path.display();
    Some(match errno(error)? {
        Errno::NOSPC if has_no_inodes(path) => format!(
            "no inodes left on the disk of {place}, which has too many files: remove some, or use another TMPDIR or --directory"
        ),
        Errno::NOSPC => format!(
            "no space left on the disk of {place}: free some, or use another TMPDIR or --directory"
        ),
        Errno::DQUOT => format!(
            "the quota of the disk of {place} is used up: free some space, or use another TMPDIR or --directory"
        ),
        Errno::MFILE => format!(
            "the gateway has no file descriptors left to open {place}: destroy kernels, or raise its limit (ulimit -n)"
        ),
        Errno::NFILE => format!(
            "the system has no file descriptors left to open {place}: end programs, or raise the limit (sysctl fs.file-max)"
        ),
        Errno::NOMEM => format!(
            "the system has no memory left for {place}: destroy kernels, or end other programs"
        ),
        // Where nothing is waited for, this means that a process or thread could not be started.
        Errno::AGAIN => format!(
            "no process can be started for {place}: destroy kernels, or raise the limit on processes (ulimit -u, or of the control group)"
        ),
        _ => return None,
    })
}

/// Whether there can be no more files, although there may be space.
fn has_no_inodes(path: &Path) -> bool {
    let nearest = path.ancestors().find_map(|it| rustix::fs::statvfs(it).ok());
    nearest.is_some_and(|disk| disk.f_files > 0 && disk.f_ffree == 0)
}

/// Whether no program can be started that is in this directory.
pub(crate) fn forbids_programs(directory: &Path) -> bool {
    rustix::fs::statvfs(directory)
        .is_ok_and(|disk| disk.f_flag.contains(rustix::fs::StatVfsMountFlags::NOEXEC))
}

/// The system's number of an error, or of what caused it.
fn errno(error: &io::Error) -> Option<Errno> {
    if let Some(errno) = Errno::from_io_error(error) {
        return Some(errno);
    }
    let first: &(dyn StdError + 'static) = error.get_ref()?;
    let mut cause = Some(first);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref() {
            return Errno::from_io_error(error);
        }
        cause = error.source();
    }
    // Some libraries keep no more than the kind.
    match error.kind() {
        io::ErrorKind::StorageFull => Some(Errno::NOSPC),
        io::ErrorKind::QuotaExceeded => Some(Errno::DQUOT),
        io::ErrorKind::OutOfMemory => Some(Errno::NOMEM),
        _ => None,
    }
}

/// The error, or what is missing.
pub(crate) fn explain(error: &io::Error, path: &Path) -> String {
    shortage(error, path).unwrap_or_else(|| error.to_string())
}

/// 503 with what is missing, if something is.
pub(crate) fn problem(error: &io::Error, path: &Path) -> Option<ProblemReply> {
    let text = shortage(error, path)?;
    tracing::warn!("{text}");
    Some(ProblemKind::ServiceUnavailable.reply_with(&text))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn everything_that_can_run_out_is_named_with_its_place_and_what_to_do() {
        for (errno, what, advice) in [
            (Errno::NOSPC, "left on the disk", "--directory"),
            (Errno::DQUOT, "quota", "--directory"),
            (Errno::MFILE, "the gateway has no file", "ulimit -n"),
            (Errno::NFILE, "the system has no file", "fs.file-max"),
            (Errno::NOMEM, "no memory left", "destroy kernels"),
            (Errno::AGAIN, "no process can be", "ulimit -u"),
        ] {
            let wrapped = io::Error::other(io::Error::from(errno));
            for error in [io::Error::from(errno), wrapped] {
                let text = shortage(&error, Path::new("/tmp/a/b")).unwrap();
                let has = |part: &str| text.contains(part);
                assert!(has(what) && has(advice) && has("/tmp/a/b"), "{text}");
            }
        }
        assert_eq!(shortage(&Errno::NOENT.into(), Path::new("/x")), None);
    }
}
