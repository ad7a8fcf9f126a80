//! Local files: for an upload, and of a download.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::{Component, Path, PathBuf};

use sorna_core::{BuildError, UploadFile};

mod directories;
#[cfg(feature = "tree")]
mod ignored;
#[cfg(feature = "tree")]
mod rule;
mod save;
#[cfg(feature = "tree")]
mod tree;

pub use save::Saver;
#[cfg(feature = "tree")]
pub use tree::{Skip, collect, collect_noting};

/// Names local files for an upload by their path relative to a base directory, as the original
/// client does. Reads their sizes and permissions, not their contents.
///
/// Paths may be absolute or relative to the current directory, not to the base: for a name below it,
/// give `base.join(name)`. A symbolic link is followed, and keeps its own name; its target must lie
/// in the base directory as well.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let project = dir.path();
/// # std::fs::create_dir(project.join("src"))?;
/// # std::fs::write(project.join("src/main.py"), "print(1)")?;
/// let files = sorna::files::relative_to(project, [project.join("src/main.py")])?;
/// assert_eq!(files[0].name(), "src/main.py");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`FilesError`], which names the file: it cannot be read, is no regular file, lies outside the
/// base directory, or has a name that is not Unicode.
pub fn relative_to<P: AsRef<Path>>(
    base: &Path,
    paths: impl IntoIterator<Item = P>,
) -> Result<Vec<UploadFile>, FilesError> {
    let base = Base::new(base)?;
    paths
        .into_iter()
        .map(|path| base.file(path.as_ref()))
        .collect()
}

/// The directory whose files are uploaded.
struct Base<'b> {
    /// As the caller gave it.
    name: &'b Path,
    /// Absolute, with links.
    absolute: PathBuf,
    /// Absolute, without links.
    real: PathBuf,
}

impl<'b> Base<'b> {
    fn new(name: &'b Path) -> Result<Self, FilesError> {
        let unreadable = |source| FilesError::Unreadable(name.to_owned(), source);
        Ok(Self {
            absolute: std::path::absolute(name).map_err(unreadable)?,
            real: name.canonicalize().map_err(unreadable)?,
            name,
        })
    }

    fn file(&self, path: &Path) -> Result<UploadFile, FilesError> {
        let unreadable = |source| FilesError::Unreadable(path.to_owned(), source);
        let metadata = path.metadata().map_err(unreadable)?;
        if !metadata.is_file() {
            return Err(FilesError::NoFile(path.to_owned()));
        }
        let relative = self.relative(path)?;
        let name = upload_name(&relative).ok_or_else(|| FilesError::NotUnicode(path.to_owned()))?;
        let file = UploadFile::from_file(name, path, metadata.len()).map_err(FilesError::Name)?;
        Ok(with_mode(file, &metadata))
    }

    /// A directory; `None` if it is the base itself.
    #[cfg(feature = "tree")]
    fn directory(&self, path: &Path) -> Result<Option<UploadFile>, FilesError> {
        let unreadable = |source| FilesError::Unreadable(path.to_owned(), source);
        let metadata = path.metadata().map_err(unreadable)?;
        let relative = self.relative(path)?;
        let name = upload_name(&relative).ok_or_else(|| FilesError::NotUnicode(path.to_owned()))?;
        if name.is_empty() {
            return Ok(None);
        }
        let directory = UploadFile::directory(name).map_err(FilesError::Name)?;
        Ok(Some(with_mode(directory, &metadata)))
    }

    /// Adds the directories of these, with their modes.
    #[cfg(all(feature = "tree", unix))]
    fn add_directories(&self, files: &mut Vec<UploadFile>) {
        let mut directories = std::collections::BTreeSet::new();
        for file in files.iter() {
            let name = file.name();
            let ends = name.match_indices('/').map(|(end, _)| end);
            directories.extend(ends.map(|end| name[..end].to_owned()));
        }
        for name in directories {
            // What cannot be looked at has been read all the same: its mode is left to the gateway.
            if let Ok(metadata) = self.real.join(&name).metadata()
                && let Ok(directory) = UploadFile::directory(name)
            {
                files.push(with_mode(directory, &metadata));
            }
        }
    }

    /// The path below the base.
    fn relative(&self, path: &Path) -> Result<PathBuf, FilesError> {
        let unreadable = |source| FilesError::Unreadable(path.to_owned(), source);
        let outside = || FilesError::Outside(path.to_owned(), self.name.to_owned());
        let real = path.canonicalize().map_err(unreadable)?;
        let goes_up = path
            .components()
            .any(|component| component == Component::ParentDir);
        let absolute = std::path::absolute(path).map_err(unreadable)?;
        let inside = real.strip_prefix(&self.real);
        let named = match (absolute.strip_prefix(&self.absolute), absolute.file_name()) {
            (Ok(below), _) if !goes_up => below.to_owned(),
            // Only the system knows where `..` leads after a link.
            (_, Some(name)) => {
                let parent = absolute.parent().unwrap_or(&absolute);
                let parent = parent.canonicalize().map_err(unreadable)?;
                let below = parent.strip_prefix(&self.real).map_err(|_| outside())?;
                below.join(name)
            }
            _ => return Err(outside()),
        };
        match inside {
            Ok(_) => Ok(named),
            Err(_) => Err(FilesError::LinkOutside {
                link: path.to_owned(),
                target: real,
                base: self.name.to_owned(),
            }),
        }
    }
}

/// With the permissions that it has here.
fn with_mode(file: UploadFile, metadata: &std::fs::Metadata) -> UploadFile {
    #[cfg(unix)]
    return file.with_mode(std::os::unix::fs::PermissionsExt::mode(
        &metadata.permissions(),
    ));
    #[cfg(not(unix))]
    {
        let _ = metadata;
        file
    }
}

/// The path with `/` between its parts, whatever this system uses.
fn upload_name(path: &Path) -> Option<String> {
    let parts: Option<Vec<&str>> = path
        .components()
        .filter(|component| *component != Component::CurDir)
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
    /// It is in the base directory, but a link that leads out of it.
    LinkOutside {
        /// The link.
        link: PathBuf,
        /// Where it leads.
        target: PathBuf,
        /// The base directory.
        base: PathBuf,
    },
    /// A link leads back to a directory that contains it.
    Loop(PathBuf),
    /// There is no file in this directory that may be uploaded.
    Empty(PathBuf),
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
            Self::LinkOutside { link, target, base } => write!(
                f,
                "{} is a link to {}, which is outside {}: copy its target, or leave the link out",
                link.display(),
                target.display(),
                base.display()
            ),
            Self::Loop(path) => write!(
                f,
                "the link {} leads back to a directory that contains it",
                path.display()
            ),
            Self::Empty(path) => write!(
                f,
                "there is nothing to upload in {}: it is empty, or all its files are hidden or ignored",
                path.display()
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
    fn files_that_cannot_be_uploaded_are_named_in_the_error() {
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

    #[cfg(unix)]
    #[test]
    fn a_link_keeps_its_name_and_must_not_lead_out() {
        use std::os::unix::fs::symlink;

        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().join("base");
        std::fs::create_dir_all(base.join("real")).unwrap();
        std::fs::write(base.join("real/a.py"), "1").unwrap();
        std::fs::write(dir.path().join("secret"), "1").unwrap();
        symlink("real/a.py", base.join("b.py")).unwrap();
        symlink("real", base.join("lib")).unwrap();
        symlink("../secret", base.join("out")).unwrap();
        let paths = [base.join("b.py"), base.join("lib/a.py")];
        let files = relative_to(&base, &paths).unwrap();
        assert_eq!((files[0].name(), files[0].size()), ("b.py", 1));
        assert_eq!(files[1].name(), "lib/a.py");
        // `..` after a link does not lead to where the path seems to.
        let files = relative_to(&base, [base.join("lib/../b.py")]).unwrap();
        assert_eq!(files[0].name(), "b.py");
        let error = relative_to(&base, [base.join("out")]).unwrap_err();
        assert!(matches!(&error, FilesError::LinkOutside { .. }), "{error}");
        assert!(error.to_string().contains("out is a link to /"), "{error}");

        // The base itself may be named by a link.
        let alias = dir.path().join("alias");
        symlink(&base, &alias).unwrap();
        let files = relative_to(&alias, [base.join("real/a.py")]).unwrap();
        assert_eq!(files[0].name(), "real/a.py");
        let files = relative_to(&base, [alias.join("real/a.py")]).unwrap();
        assert_eq!(files[0].name(), "real/a.py");
    }
}
