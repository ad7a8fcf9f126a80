//! Files to upload, and the boundary between them.

use std::fmt;
use std::path::PathBuf;

use bytes::Bytes;

use super::mode::FileMode;
use crate::body::Segment;
use crate::error::BuildError;

/// A file to upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadFile {
    name: String,
    content: FileContent,
    mode: Option<u32>,
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
    /// It is a directory, and has none.
    Directory,
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

    /// A directory, which needs to be named only if no file is in it, or for its [mode](Self::with_mode).
    ///
    /// The protocol has no way to make one, so it is sent only to gateways that understand [`UploadFiles::MODES`], and
    /// left out for others.
    ///
    /// # Errors
    ///
    /// As [`from_bytes`](Self::from_bytes).
    ///
    /// [`UploadFiles::MODES`]: crate::UploadFiles::MODES
    pub fn directory(name: impl Into<String>) -> Result<Self, BuildError> {
        Self::new(name.into(), FileContent::Directory)
    }

    /// Sets its permissions, such as `0o755`: of the mode, only these nine bits are used. The default is the gateway's,
    /// which makes no file executable. They are sent only to gateways that understand [`UploadFiles::MODES`].
    ///
    /// [`UploadFiles::MODES`]: crate::UploadFiles::MODES
    #[must_use]
    pub fn with_mode(mut self, mode: u32) -> Self {
        self.mode = Some(mode & FileMode::PERMISSIONS);
        self
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
            None => Ok(Self {
                name,
                content,
                mode: None,
            }),
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

    /// Its permissions, if they are set.
    #[must_use]
    pub fn mode(&self) -> Option<u32> {
        self.mode
    }

    /// Whether it is a directory.
    #[must_use]
    pub fn is_directory(&self) -> bool {
        self.content == FileContent::Directory
    }

    /// What is sent besides the content, to gateways that understand it.
    pub(super) fn file_mode(&self) -> Option<FileMode> {
        match (self.is_directory(), self.mode) {
            (false, mode) => mode.map(FileMode::of_file),
            (true, mode) => Some(FileMode::of_directory(mode.unwrap_or(0o755))),
        }
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
            FileContent::Directory => 0,
        }
    }

    pub(super) fn segment(&self) -> Segment {
        match &self.content {
            FileContent::Bytes(bytes) => Segment::Bytes(bytes.clone()),
            FileContent::File { path, len } => Segment::File {
                path: path.clone(),
                len: *len,
            },
            FileContent::Directory => Segment::Bytes(Bytes::new()),
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
