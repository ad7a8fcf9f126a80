//! What the system has run out of, and what to do about it.

use std::error::Error as StdError;
use std::io;
use std::path::Path;

use rustix::io::Errno;
use sorna_core::ProblemKind;
use sorna_core::server::ProblemReply;

/// What is missing for this path, if there was no space or no file descriptor left.
pub(crate) fn shortage(error: &io::Error, path: &Path) -> Option<String> {
    let path = path.display();
    match errno(error)? {
        Errno::NOSPC => Some(format!(
            "no space left on the disk of {path}: free some, or start the gateway with another --directory"
        )),
        Errno::DQUOT => Some(format!(
            "the quota of the disk of {path} is used up: free some space, or start the gateway with another --directory"
        )),
        Errno::MFILE => Some(format!(
            "the gateway has no file descriptors left to open {path}: destroy kernels, or raise its limit (ulimit -n)"
        )),
        Errno::NFILE => Some(format!(
            "the system has no file descriptors left to open {path}: end programs, or raise the limit (sysctl fs.file-max)"
        )),
        _ => None,
    }
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
    None
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
