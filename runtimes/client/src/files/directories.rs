//! The directories of a download, and their modes.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The directories that were made or opened, and the modes that they get at the end.
#[derive(Debug, Default)]
pub(super) struct Directories {
    /// Those of the kernel, as far as they are known.
    modes: BTreeMap<PathBuf, u32>,
    entered: BTreeMap<PathBuf, Entered>,
}

#[derive(Clone, Copy, Debug)]
enum Entered {
    New,
    /// It was there, and had this mode.
    #[cfg(unix)]
    Opened(u32),
}

impl Directories {
    /// The mode of a directory in the kernel.
    pub(super) fn set_mode(&mut self, path: PathBuf, mode: u32) {
        self.modes.insert(path, mode & 0o777);
    }

    /// Gives the mode of a directory in the kernel to one that stands for it, too.
    pub(super) fn copy_mode(&mut self, from: &Path, to: &Path) {
        if let Some(mode) = self.modes.get(from).copied().filter(|_| from != to) {
            self.modes.insert(to.to_owned(), mode);
        }
    }

    /// Creates a directory, or checks that it is one. Where that is wanted, one that does not let its owner in is opened.
    pub(super) fn enter(&mut self, path: &Path, opens: bool) -> io::Result<()> {
        if self.entered.contains_key(path) {
            return Ok(());
        }
        let mode = self.modes.get(path).copied().unwrap_or(0o777);
        let error = match create(path, mode) {
            Ok(()) => {
                self.entered.insert(path.to_owned(), Entered::New);
                return Ok(());
            }
            Err(error) => error,
        };
        match fs::symlink_metadata(path) {
            Ok(metadata) if metadata.is_dir() => {
                #[cfg(unix)]
                if opens {
                    self.open(path, &metadata)?;
                }
                #[cfg(not(unix))]
                let _ = opens;
                Ok(())
            }
            Ok(metadata) if metadata.is_symlink() => Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "it is a symbolic link",
            )),
            Ok(_) => Err(io::Error::new(
                io::ErrorKind::NotADirectory,
                "it is not a directory",
            )),
            Err(_) => Err(error),
        }
    }

    #[cfg(unix)]
    fn open(&mut self, path: &Path, metadata: &fs::Metadata) -> io::Result<()> {
        use std::os::unix::fs::PermissionsExt as _;

        let mode = metadata.permissions().mode();
        if mode & 0o700 != 0o700 {
            fs::set_permissions(path, fs::Permissions::from_mode(mode & 0o7777 | 0o700))?;
            let was = Entered::Opened(mode & 0o7777);
            self.entered.insert(path.to_owned(), was);
        }
        Ok(())
    }

    /// Sets the modes. The error is of the directory with this path.
    pub(super) fn finish(&mut self) -> Result<(), (PathBuf, io::Error)> {
        // Those inside of others come first.
        while let Some((path, entered)) = self.entered.pop_last() {
            if let Err(error) = self.shut(&path, entered) {
                return Err((path, error));
            }
        }
        Ok(())
    }

    #[cfg(unix)]
    fn shut(&self, path: &Path, entered: Entered) -> io::Result<()> {
        use std::os::unix::fs::PermissionsExt as _;

        let mode = match (entered, self.modes.get(path)) {
            (Entered::Opened(mode), _) => mode,
            // It has what the umask allows.
            (Entered::New, Some(mode)) => fs::symlink_metadata(path)?.permissions().mode() & mode,
            (Entered::New, None) => return Ok(()),
        };
        fs::set_permissions(path, fs::Permissions::from_mode(mode))
    }

    #[cfg(not(unix))]
    fn shut(&self, _: &Path, _: Entered) -> io::Result<()> {
        Ok(())
    }
}

/// Creates a directory with no more than this mode, in which the owner can write for now.
fn create(path: &Path, mode: u32) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, mode | 0o700);
    #[cfg(not(unix))]
    let _ = mode;
    builder.create(path)
}
