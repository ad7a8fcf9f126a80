//! Values from which no request can be made.

use std::error::Error as StdError;
use std::fmt;

use crate::version::ApiVersion;

/// A value from which no request can be made. Nothing was sent; the text says what to change.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BuildError {
    /// A text that cannot be a kernel ID.
    KernelId {
        /// The text as given.
        id: String,
    },
    /// A session token that is too short, too long, or has control characters.
    SessionToken {
        /// Its length in characters.
        length: usize,
        /// The fewest characters that are allowed.
        least: usize,
        /// The most characters that are allowed.
        most: usize,
    },
    /// A session token that is too short or too long for the name of a session in Backend.AI.
    SessionNameLength {
        /// Its length in characters.
        length: usize,
        /// The fewest there may be.
        least: usize,
        /// The most there may be.
        most: usize,
    },
    /// A session token that cannot be the name of a session in Backend.AI.
    SessionName {
        /// The name as given.
        name: String,
    },
    /// A name that another session has, for a manager that would give it to both, and then find neither by it.
    SessionNameInUse {
        /// The name as given.
        name: String,
        /// The ID of the session that has it.
        id: String,
    },
    /// An environment variable without a value, on which the manager would fail.
    EmptyVariable {
        /// The variable's name.
        name: String,
        /// The version of the manager's API.
        version: ApiVersion,
    },
    /// A language name that is empty.
    Language,
    /// More mounts than a kernel can have.
    TooManyMounts {
        /// How many were given.
        given: usize,
        /// How many there may be.
        most: usize,
    },
    /// Code that is too long for one execute request. Upload it as a file instead.
    CodeTooLong {
        /// The request's size in bytes.
        size: usize,
        /// The first size that the gateway rejects, in bytes.
        limit: usize,
    },
    /// A file name that cannot be requested, or that an upload cannot carry: absolute, leaving the work directory,
    /// or empty.
    FileName {
        /// The name as given.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A file larger than the gateway accepts.
    FileTooLarge {
        /// The file's name in the upload.
        name: String,
        /// Its size in bytes.
        size: u64,
        /// The largest size that is accepted, in bytes.
        limit: u64,
    },
    /// Two files of one upload with the same name.
    DuplicateFile {
        /// The name both have.
        name: String,
    },
    /// More files than one request may hold.
    TooManyFiles {
        /// How many were given.
        given: usize,
        /// How many there may be.
        most: usize,
    },
    /// A download of no file.
    NoFiles,
    /// A clock before 1970 or after 9999, which no request date can express.
    Clock,
    /// A value that cannot be written as the body of a request.
    Body {
        /// What is wrong with it.
        reason: String,
    },
    /// A path that cannot be sent.
    Target,
    /// Something that Sorna v2 has only as an extension, which this gateway does not offer.
    NotOffered {
        /// The operation, such as `downloads`.
        what: &'static str,
    },
    /// Something that the API, or this version of it, does not have. Do without it, or choose another version.
    Unsupported {
        /// The operation or setting, such as `the list of languages`.
        what: &'static str,
        /// The version that does not have it.
        version: ApiVersion,
    },
}

/// Such as `1 character`.
fn characters(number: usize) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} character{plural}")
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KernelId { id } if id.is_empty() => {
                f.write_str("the ID of a kernel must not be empty")
            }
            Self::KernelId { id } => write!(f, "{id:?} is not a valid kernel ID"),
            Self::SessionToken {
                length,
                least,
                most,
            } => write!(
                f,
                "a client session token must have {least} to {most} characters and no control characters; this one has {}",
                characters(*length)
            ),
            Self::SessionNameLength {
                length,
                least,
                most,
            } => write!(
                f,
                "the name of a session must have {least} to {most} characters; this one has {}",
                characters(*length)
            ),
            Self::SessionName { name } => write!(
                f,
                "{name:?} cannot be the name of a session: use ASCII letters, digits, `_`, `.` and `-`, the first and the last neither `.` nor `-`"
            ),
            Self::SessionNameInUse { name, id } => {
                write!(f, "the name {name:?} belongs to session {id} already")
            }
            Self::EmptyVariable { name, version } => write!(
                f,
                "the environment variable {name} is empty, and managers that speak version {version} of the API fail on that: leave it out"
            ),
            Self::Language => f.write_str("the language must not be empty"),
            Self::TooManyMounts { given, most } => {
                write!(f, "too many mounts: {given} (limit {most})")
            }
            Self::CodeTooLong { size, limit } => write!(
                f,
                "the code makes a request of {size} bytes, and the gateway accepts less than {limit}: upload it as a file instead"
            ),
            Self::FileName { name, reason } => write!(f, "the file name {name:?} {reason}"),
            Self::FileTooLarge { name, size, limit } => write!(
                f,
                "{name} has {size} bytes, and the gateway accepts files of at most {limit}"
            ),
            Self::DuplicateFile { name } => {
                write!(f, "two files of the upload are named {name}")
            }
            Self::TooManyFiles { given, most } => {
                write!(f, "too many files for one request: {given} (limit {most})")
            }
            Self::NoFiles => f.write_str("no file is named to be downloaded"),
            Self::Clock => f.write_str(
                "this machine's clock is outside the years 1970 to 9999: set it, then try again",
            ),
            Self::Body { reason } => {
                write!(f, "the body cannot be written as JSON: {reason}")
            }
            Self::Target => f.write_str("the path of the request is not valid"),
            Self::NotOffered { what } => write!(
                f,
                "the gateway does not offer {what}: they are an extension of `sorna-gateway`, and no part of any API"
            ),
            Self::Unsupported { what, version } => {
                write!(f, "version {version} of the API does not support {what}")
            }
        }
    }
}

impl StdError for BuildError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unsupported_is_named_with_the_version() {
        let error = BuildError::Unsupported {
            what: "the list of languages",
            version: ApiVersion::V2_20170315,
        };
        assert_eq!(
            error.to_string(),
            "version v2.20170315 of the API does not support the list of languages"
        );
    }
}
