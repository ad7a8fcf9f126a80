//! Downloads that cannot be unpacked.

use std::error::Error as StdError;
use std::fmt;

use super::parse::excerpt;

/// A download that cannot be unpacked, or must not be: see [`Unpacker`](crate::download::Unpacker).
///
/// What was unpacked before it is whole, except for the file that was open.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnpackError {
    /// The response is not `multipart/mixed` with a boundary, or is compressed.
    NotMultipart {
        /// Its `Content-Type`, or the `Content-Encoding` that should not be there.
        given: String,
    },
    /// The parts of the response are not of the form of RFC 2046.
    Multipart {
        /// What is wrong with them.
        reason: &'static str,
    },
    /// An archive is not of the form of POSIX (`ustar`, `pax`) or GNU.
    Archive {
        /// The path under which its file was requested.
        requested: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// An entry whose path does not stay below the directory that it is unpacked into.
    UnsafePath {
        /// The path in the archive.
        path: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// An entry that is not what was requested.
    NotRequested {
        /// The path in the archive.
        path: String,
        /// The path under which the archive's file was requested.
        requested: String,
    },
    /// An entry that is neither a file nor a directory.
    Unsupported {
        /// The path in the archive.
        path: String,
        /// What it is, such as `a symbolic link`.
        kind: &'static str,
    },
    /// More than the [limits](crate::download::UnpackLimits) allow.
    TooLarge {
        /// What there is too much of, such as `bytes`.
        what: &'static str,
        /// The most that is allowed.
        limit: u64,
    },
    /// The response ended before it was complete, or its last events were not taken.
    Truncated,
    /// There are not as many archives as files were requested.
    Parts {
        /// How many were requested.
        requested: usize,
        /// How many came.
        given: usize,
    },
}

impl fmt::Display for UnpackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotMultipart { given } => {
                let given = excerpt(given.as_bytes());
                write!(f, "the download is not multipart/mixed, but {given}")
            }
            Self::Multipart { reason } => {
                write!(
                    f,
                    "the parts of the download cannot be told apart: {reason}"
                )
            }
            Self::Archive { requested, reason } => {
                let requested = excerpt(requested.as_bytes());
                write!(f, "the archive with {requested} cannot be read: {reason}")
            }
            Self::UnsafePath { path, reason } => {
                let path = excerpt(path.as_bytes());
                write!(
                    f,
                    "an entry of the download has an unsafe path: {path} {reason}"
                )
            }
            Self::NotRequested { path, requested } => write!(
                f,
                "the download has {}, which was not requested: the request was for {}",
                excerpt(path.as_bytes()),
                excerpt(requested.as_bytes())
            ),
            Self::Unsupported { path, kind } => {
                let path = excerpt(path.as_bytes());
                write!(
                    f,
                    "{path} in the download is {kind}: only files and directories are unpacked"
                )
            }
            Self::TooLarge { what, limit } => {
                write!(f, "the download has too many {what} (limit {limit})")
            }
            Self::Truncated => f.write_str("the download ended before it was complete"),
            Self::Parts { requested, given } => write!(
                f,
                "the download has {given} archives for {requested} requested files"
            ),
        }
    }
}

impl StdError for UnpackError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_short_single_lines_whatever_the_archive_says() {
        let error = UnpackError::NotRequested {
            path: "\x1b[31m".to_owned() + &"x".repeat(4000),
            requested: "a\nb".to_owned(),
        };
        let text = error.to_string();
        assert!(
            text.chars().count() < 400 && !text.contains(char::is_control),
            "{text}"
        );
    }
}
