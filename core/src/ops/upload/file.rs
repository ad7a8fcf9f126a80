//! Files to upload, and the boundary between them.

use std::fmt;
use std::path::PathBuf;

use bytes::Bytes;

use crate::body::Segment;
use crate::error::BuildError;

/// A file to upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadFile {
    name: String,
    content: FileContent,
}

/// Where a file's content is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileContent {
    /// In memory.
    Bytes(Bytes),
    /// In a local file, which the driver streams.
    File {
        /// The local path.
        path: PathBuf,
        /// The file's length in bytes.
        len: u64,
    },
}

impl UploadFile {
    /// A file whose content is in memory.
    ///
    /// `name` is the path below the work directory, with `/` between its parts.
    ///
    /// # Errors
    ///
    /// [`BuildError::FileName`] if the name is empty, absolute, ends in `/`, has empty, `.` or `..`
    /// parts, backslashes or NUL.
    pub fn from_bytes(
        name: impl Into<String>,
        content: impl Into<Bytes>,
    ) -> Result<Self, BuildError> {
        Self::new(name.into(), FileContent::Bytes(content.into()))
    }

    /// A local file of `len` bytes, to be streamed by the driver.
    ///
    /// # Errors
    ///
    /// As [`from_bytes`](Self::from_bytes).
    pub fn from_file(
        name: impl Into<String>,
        path: impl Into<PathBuf>,
        len: u64,
    ) -> Result<Self, BuildError> {
        let path = path.into();
        Self::new(name.into(), FileContent::File { path, len })
    }

    fn new(name: String, content: FileContent) -> Result<Self, BuildError> {
        let reason = if name.is_empty() {
            Some("is empty")
        } else if name.starts_with('/') {
            Some("is absolute: files are named relative to the work directory")
        } else if name.contains('\0') {
            Some("has a NUL character")
        } else if name.contains('\\') {
            Some("has a backslash: put `/` between directories")
        } else if name.split('/').any(|part| part == "..") {
            Some("leaves the work directory")
        } else if name.split('/').any(|part| matches!(part, "" | ".")) {
            Some("has an empty or `.` part")
        } else {
            None
        };
        match reason {
            Some(reason) => Err(BuildError::FileName { name, reason }),
            None => Ok(Self { name, content }),
        }
    }

    /// The path below the work directory.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The same content under another name, which must be a plain one.
    pub(crate) fn renamed(self, name: String) -> Self {
        Self { name, ..self }
    }

    /// Where the content is.
    #[must_use]
    pub fn content(&self) -> &FileContent {
        &self.content
    }

    /// The content's length in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        match &self.content {
            FileContent::Bytes(bytes) => bytes.len() as u64,
            FileContent::File { len, .. } => *len,
        }
    }

    pub(super) fn segment(&self) -> Segment {
        match &self.content {
            FileContent::Bytes(bytes) => Segment::Bytes(bytes.clone()),
            FileContent::File { path, len } => Segment::File {
                path: path.clone(),
                len: *len,
            },
        }
    }
}

/// The line between the parts of an upload, such as `sorna-` and 32 hexadecimal digits. Made of random
/// bytes, so that no file contains it: use new ones for each upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Boundary([u8; 16]);

impl Boundary {
    /// A boundary from 16 random bytes.
    #[must_use]
    pub fn from_random(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for Boundary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sorna-{:x}", base16ct::HexDisplay(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_leave_the_work_directory_are_rejected() {
        for name in [
            "",
            "/etc/passwd",
            "../a",
            "a/../../b",
            "a//b",
            "a/",
            "./a",
            "a\\b",
            "a\0",
        ] {
            let error = UploadFile::from_bytes(name, "").unwrap_err();
            assert!(matches!(error, BuildError::FileName { .. }), "{name:?}");
        }
        assert!(UploadFile::from_bytes("..a/b..", "").is_ok());
    }
}
