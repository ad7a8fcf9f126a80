//! What an uploaded file is, and who may do what with it.

use std::fmt;

/// Whether an uploaded file is a directory, and its permissions: the value of a part's header `Sorna-File-Mode`. That is
/// an extension of the protocol, [`UploadFiles::MODES`](crate::UploadFiles::MODES).
///
/// ```
/// use sorna_core::FileMode;
///
/// let mode = FileMode::parse("100755").unwrap();
/// assert_eq!((mode.is_directory, mode.permissions), (false, 0o755));
/// assert_eq!(FileMode::parse("rwxr-xr-x"), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileMode {
    /// Whether it is a directory; otherwise, it is a regular file.
    pub is_directory: bool,
    /// The nine bits of its permissions.
    pub permissions: u32,
}

impl FileMode {
    /// The header of a part.
    pub const HEADER: &str = "sorna-file-mode";
    pub(super) const PERMISSIONS: u32 = 0o777;
    // The types that POSIX and tar archives have, too.
    const FILE: u32 = 0o100_000;
    const DIRECTORY: u32 = 0o40_000;

    pub(super) fn of_file(permissions: u32) -> Self {
        Self {
            is_directory: false,
            permissions,
        }
    }

    pub(super) fn of_directory(permissions: u32) -> Self {
        Self {
            is_directory: true,
            permissions,
        }
    }

    /// Reads the value of the header; `None` if it is not octal, or is about something else than a regular file or a
    /// directory.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        let is_octal = (1..=7).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_digit());
        let mode = is_octal.then(|| u32::from_str_radix(value, 8).ok())??;
        let permissions = mode & Self::PERMISSIONS;
        match mode & !Self::PERMISSIONS {
            Self::FILE => Some(Self::of_file(permissions)),
            Self::DIRECTORY => Some(Self::of_directory(permissions)),
            _ => None,
        }
    }
}

/// As in the header: octal, with the type before the permissions.
impl fmt::Display for FileMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.is_directory {
            true => Self::DIRECTORY,
            false => Self::FILE,
        };
        write!(f, "{:06o}", kind | self.permissions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read() {
        for (mode, text) in [
            (FileMode::of_file(0o755), "100755"),
            (FileMode::of_file(0), "100000"),
            (FileMode::of_directory(0o700), "040700"),
        ] {
            assert_eq!(mode.to_string(), text);
            assert_eq!(FileMode::parse(text), Some(mode));
        }
        // Links, devices, set-user-id programs, and what is no mode at all.
        for text in [
            "120777", "060644", "104755", "755", "", "+100755", "9", "0o100755", "100755 ",
        ] {
            assert_eq!(FileMode::parse(text), None, "{text}");
        }
    }
}
