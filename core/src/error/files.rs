//! What a gateway says of files.

use std::error::Error as StdError;
use std::fmt;

use super::gateway::{GatewayError, gist};
use super::parse::excerpt;

/// How many files an error names when it is shown.
const MOST_FILES: usize = 10;

/// A download that failed because of these files; the others may be downloaded without them.
///
/// Managers of Backend.AI only say that the download failed: which files it was, and why, was found out by
/// listing their directories ([`ExplainDownload`](crate::machine::ExplainDownload)).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FilesUnavailable {
    /// The files, in the order of the request.
    pub files: Vec<UnavailableFile>,
    /// The error response to the download.
    pub error: GatewayError,
}

/// A file that cannot be downloaded.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnavailableFile {
    /// The path, as requested.
    pub name: String,
    /// Why.
    pub reason: Unavailable,
}

/// Why a file cannot be downloaded.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unavailable {
    /// It is not in its directory.
    Missing,
    /// Its directory cannot be listed, mostly because it does not exist.
    Unlisted {
        /// Why, as the gateway puts it.
        message: String,
    },
    /// It is larger than gateways send.
    TooLarge {
        /// Its size in bytes.
        size: u64,
        /// The largest size that may be sent, in bytes.
        limit: u64,
    },
    /// It is a directory, and no other reason was found: together, its files may be larger than gateways send.
    Directory {
        /// The largest size that may be sent, in bytes.
        limit: u64,
    },
}

impl fmt::Display for FilesUnavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, file) in self.files.iter().take(MOST_FILES).enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            let name = excerpt(file.name.as_bytes());
            match &file.reason {
                Unavailable::Missing => write!(f, "{comma}{name} does not exist")?,
                Unavailable::Unlisted { message } => write!(
                    f,
                    "{comma}{name} is in a directory that cannot be listed ({})",
                    excerpt(gist(message).as_bytes())
                )?,
                Unavailable::TooLarge { size, limit } => write!(
                    f,
                    "{comma}{name} has {size} bytes, and the gateway sends files of at most {limit}"
                )?,
                Unavailable::Directory { limit } => write!(
                    f,
                    "{comma}{name} is a directory, which may have more than the {limit} bytes that the gateway sends at once"
                )?,
            }
        }
        match self.files.len().saturating_sub(MOST_FILES) {
            0 => Ok(()),
            more => write!(f, ", and {more} more"),
        }
    }
}

impl StdError for FilesUnavailable {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.error)
    }
}
