//! The directory of one kernel.
//!
//! ```text
//! <home>/work     the program's working directory and HOME; uploads land here
//! <home>/tmp      its TMPDIR
//! <home>/snippet  the query being compiled and run, for compiled languages
//! <home>/upload   files of an upload that is not complete yet
//! <home>/stdin    holds the FIFO that is the standard input of its programs
//! ```

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Where a kernel keeps its files. Removed by [`remove`](Self::remove).
#[derive(Debug)]
pub(crate) struct Home {
    root: PathBuf,
}

impl Home {
    /// Makes the directories.
    pub(crate) fn create(root: PathBuf) -> io::Result<Self> {
        let home = Self { root };
        let mut builder = DirBuilder::new();
        builder.mode(0o700);
        builder.create(&home.root)?;
        let own = [home.work(), home.temp(), home.snippet()];
        for directory in own.into_iter().chain([home.upload(), home.stdin()]) {
            builder.create(directory)?;
        }
        Ok(home)
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn work(&self) -> PathBuf {
        self.root.join("work")
    }

    pub(crate) fn temp(&self) -> PathBuf {
        self.root.join("tmp")
    }

    pub(crate) fn snippet(&self) -> PathBuf {
        self.root.join("snippet")
    }

    pub(crate) fn upload(&self) -> PathBuf {
        self.root.join("upload")
    }

    pub(crate) fn stdin(&self) -> PathBuf {
        self.root.join("stdin")
    }

    pub(crate) fn input(&self) -> PathBuf {
        self.stdin().join("fifo")
    }

    /// Removes everything, also where the program took the permissions away.
    pub(crate) fn remove(&self) -> io::Result<()> {
        remove_tree(&self.root)
    }
}

/// Removes a directory and all below it; that it is not there is no failure.
pub(crate) fn remove_tree(root: &Path) -> io::Result<()> {
    let gone = |result: io::Result<()>| match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    };
    if gone(fs::remove_dir_all(root)).is_ok() {
        return Ok(());
    }
    open_up(root);
    gone(fs::remove_dir_all(root))
}

/// Makes every directory below one writable for us; symbolic links are not followed.
fn open_up(directory: &Path) {
    let _ = fs::set_permissions(directory, Permissions::from_mode(0o700));
    let Ok(entries) = fs::read_dir(directory) else {
        return;
    };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            open_up(&entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn closed_directories_are_removed_and_links_not_followed() {
        let base = tempfile::tempdir().unwrap();
        let outside = base.path().join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("file"), "x").unwrap();
        let home = Home::create(base.path().join("kernel")).unwrap();
        let inner = home.work().join("a/b");
        fs::create_dir_all(&inner).unwrap();
        fs::write(inner.join("file"), "x").unwrap();
        std::os::unix::fs::symlink(&outside, home.work().join("link")).unwrap();
        fs::set_permissions(home.work().join("a"), Permissions::from_mode(0o000)).unwrap();
        home.remove().unwrap();
        assert!(!home.root().exists());
        assert!(outside.join("file").exists());
        home.remove().unwrap();
    }
}
