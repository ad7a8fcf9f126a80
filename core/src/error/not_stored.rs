//! Files that a gateway did not store.

use std::fmt;

use super::parse::excerpt;

/// What is there in place of a file that a gateway accepted and did not store.
///
/// Managers of Backend.AI respond with success to uploads that they cannot store. So the directories of the files are
/// listed afterwards ([`Upload`](crate::machine::Upload)).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotStored {
    /// Nothing.
    Missing,
    /// A directory of its name.
    Directory,
    /// A file of its name that has another size: an older one, or a part of it.
    OtherSize {
        /// The size in bytes.
        size: u64,
    },
    /// Nothing, since its directory does not exist.
    NoDirectory {
        /// The path, below the work directory, at which there is a file or nothing.
        path: String,
    },
}

impl fmt::Display for NotStored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("the file is not there"),
            Self::Directory => f.write_str("there is a directory of this name"),
            Self::OtherSize { size } => write!(f, "the file there has {size} bytes"),
            Self::NoDirectory { path } => {
                write!(f, "{} is not a directory", excerpt(path.as_bytes()))
            }
        }
    }
}
