//! What a gateway says of files.

use std::error::Error as StdError;
use std::fmt;

use bytes::Bytes;

use super::gateway::GatewayError;
use super::parse::excerpt;

/// How many files an error names when it is shown.
const MOST_FILES: usize = 10;

/// A failure that the gateway reported in a response whose status says success. The response is kept whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportedError {
    what: &'static str,
    message: String,
    body: Bytes,
}

impl ReportedError {
    /// `what` failed, such as `the directory cannot be listed`.
    pub(crate) fn new(what: &'static str, message: &str, body: &Bytes) -> Self {
        Self {
            what,
            message: message.trim().to_owned(),
            body: body.clone(),
        }
    }

    /// The text of the gateway.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The response's body as it came.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The line of a traceback that says what happened.
    fn last_line(&self) -> String {
        excerpt(self.message.lines().last().unwrap_or_default().as_bytes())
    }
}

impl fmt::Display for ReportedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.last_line())
    }
}

impl StdError for ReportedError {}

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
    Unlisted(ReportedError),
    /// It is larger than gateways send.
    TooLarge {
        /// Its size in bytes.
        size: u64,
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
                Unavailable::Unlisted(error) => {
                    let last = error.last_line();
                    write!(
                        f,
                        "{comma}{name} is in a directory that cannot be listed ({last})"
                    )?;
                }
                Unavailable::TooLarge { size, limit } => write!(
                    f,
                    "{comma}{name} has {size} bytes, and the gateway sends files of at most {limit}"
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_traceback_the_last_line_is_shown() {
        let text =
            "Traceback (most recent call last):\n  File \"<string>\"\nFileNotFoundError: 'x'\n";
        let error = ReportedError::new("the directory cannot be listed", text, &Bytes::new());
        assert_eq!(
            error.to_string(),
            "the directory cannot be listed: FileNotFoundError: 'x'"
        );
        assert!(error.message().starts_with("Traceback"));
    }
}
