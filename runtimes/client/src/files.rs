//! Local files for an upload.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::{Component, Path, PathBuf};

use sorna_core::{BuildError, UploadFile};

/// Names local files for an upload by their path relative to a base directory, as the original
/// client does. Reads their sizes, not their contents.
///
/// Paths may be absolute or relative to the current directory; symbolic links are followed.
///
/// # Errors
///
/// [`FilesError`], which names the file: it cannot be read, is no regular file, lies outside the
/// base directory, or has a name that is not Unicode.
pub fn relative_to<P: AsRef<Path>>(
    base: &Path,
    paths: impl IntoIterator<Item = P>,
) -> Result<Vec<UploadFile>, FilesError> {
    let real_base = base
        .canonicalize()
        .map_err(|source| FilesError::Unreadable(base.to_owned(), source))?;
    paths
        .into_iter()
        .map(|path| relative_file(base, &real_base, path.as_ref()))
        .collect()
}

fn relative_file(base: &Path, real_base: &Path, path: &Path) -> Result<UploadFile, FilesError> {
    let unreadable = |source| FilesError::Unreadable(path.to_owned(), source);
    let metadata = path.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(FilesError::NoFile(path.to_owned()));
    }
    let real = path.canonicalize().map_err(unreadable)?;
    let relative = real
        .strip_prefix(real_base)
        .map_err(|_| FilesError::Outside(path.to_owned(), base.to_owned()))?;
    let name = upload_name(relative).ok_or_else(|| FilesError::NotUnicode(path.to_owned()))?;
    UploadFile::from_file(name, path, metadata.len()).map_err(FilesError::Name)
}

/// The path with `/` between its parts, whatever this system puts there.
fn upload_name(path: &Path) -> Option<String> {
    let parts: Option<Vec<&str>> = path
        .components()
        .map(|component| match component {
            Component::Normal(part) => part.to_str(),
            _ => None,
        })
        .collect();
    parts.map(|parts| parts.join("/"))
}

/// A local file that cannot be uploaded.
#[derive(Debug)]
#[non_exhaustive]
pub enum FilesError {
    /// It does not exist or cannot be read.
    Unreadable(PathBuf, io::Error),
    /// It is a directory or a device.
    NoFile(PathBuf),
    /// It lies outside the base directory.
    Outside(PathBuf, PathBuf),
    /// Its name is not Unicode, which the protocol cannot express.
    NotUnicode(PathBuf),
    /// Its name cannot be used in the work directory.
    Name(BuildError),
}

impl fmt::Display for FilesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(path, _) => write!(f, "cannot read {}", path.display()),
            Self::NoFile(path) => write!(f, "{} is not a regular file", path.display()),
            Self::Outside(path, base) => write!(
                f,
                "{} is outside {}: files are uploaded by their path below that directory, so go to a directory that holds them all",
                path.display(),
                base.display()
            ),
            Self::NotUnicode(path) => write!(
                f,
                "the name of {} is not Unicode, which an upload needs",
                path.display()
            ),
            Self::Name(error) => error.fmt(f),
        }
    }
}

impl StdError for FilesError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Unreadable(_, source) => Some(source),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named_relative_to_the_base() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("lib")).unwrap();
        std::fs::write(dir.path().join("lib/a.h"), "12345").unwrap();
        let files = relative_to(dir.path(), [dir.path().join("lib/../lib/a.h")]).unwrap();
        assert_eq!((files[0].name(), files[0].size()), ("lib/a.h", 5));
    }

    #[test]
    fn what_cannot_be_uploaded_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("inner");
        std::fs::create_dir(&inner).unwrap();
        std::fs::write(dir.path().join("out.txt"), "").unwrap();
        let refuse = |name: &str| relative_to(&inner, [dir.path().join(name)]).unwrap_err();
        assert!(matches!(refuse("missing"), FilesError::Unreadable(..)));
        assert!(matches!(refuse("inner"), FilesError::NoFile(_)));
        let error = refuse("out.txt").to_string();
        assert!(error.contains("out.txt is outside"), "{error}");
    }
}
