//! Files that have arrived, and why one of them is not stored.

use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use sorna_core::server::ProblemReply;
use sorna_core::{FileMode, ProblemKind};

use crate::shortage;

/// The longest path in the work directory: programs open none that is much longer, and what is deeper is not counted.
pub(super) const LONGEST_PATH: usize = 3500;

/// A file that has arrived: its temporary path and its destination.
#[derive(Debug)]
pub(super) struct Arrived {
    pub(super) staged: PathBuf,
    pub(super) target: PathBuf,
    pub(super) name: String,
    /// What the client said that it is, if it did.
    pub(super) mode: Option<FileMode>,
}

impl Arrived {
    pub(super) fn is_directory(&self) -> bool {
        self.mode.is_some_and(|mode| mode.is_directory)
    }
}

pub(super) fn cannot_store(file: &Arrived, errno: Errno) -> ProblemReply {
    match errno {
        Errno::LOOP | Errno::NOTDIR | Errno::ISDIR | Errno::NAMETOOLONG | Errno::EXIST => {
            ProblemKind::InvalidApiParams
                .reply_with(&format!("{:?} cannot be stored: {errno}", file.name))
        }
        errno => internal(&errno.into(), &file.target),
    }
}

pub(super) fn bad(detail: &str) -> ProblemReply {
    ProblemKind::GenericBadRequest.reply_with(detail)
}

/// An upload was larger than what the kernel may still take on the disk.
pub(in crate::http) fn no_room(reason: String) -> ProblemReply {
    bad(&format!("no room for the upload: {reason}"))
}

/// For too many files, or too large ones: the type that the original gateway has for these.
pub(super) fn rejected(detail: &str) -> ProblemReply {
    ProblemKind::InvalidApiParams.reply_with(detail)
}

pub(super) fn outside(name: &str) -> ProblemReply {
    rejected(&format!(
        "{name:?} is not a file name inside the work directory"
    ))
}

/// The path is where the upload was to be stored.
pub(super) fn internal(error: &io::Error, path: &Path) -> ProblemReply {
    if let Some(problem) = shortage::problem(error, path) {
        return problem;
    }
    tracing::warn!(%error, "an upload could not be stored");
    ProblemKind::InternalServerError.reply_with("the upload could not be stored")
}
