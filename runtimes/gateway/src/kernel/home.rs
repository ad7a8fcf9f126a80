//! The directory of one kernel.
//!
//! ```text
//! <home>/work     the program's working directory and HOME; uploads land here
//! <home>/tmp      its TMPDIR, where the runner of a python3 kernel makes the socket `.sorna` for batches
//! <home>/snippet  the query being compiled and run, for compiled languages only
//! <home>/stdin    the FIFO that is the standard input of its programs
//! <home>/disk     where work, tmp and snippet are in memory, the place of their file system
//! <home>/.tmp*    files of an upload that is not complete yet
//! ```

use std::ffi::{CStr, CString};
use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, CWD, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;

use super::confine::MemoryDisk;

/// Where a kernel keeps its files. Removed by [`remove`](Self::remove).
#[derive(Clone, Debug)]
pub(crate) struct Home {
    root: PathBuf,
    /// The user, and group, to whom its files belong, if they are not those of the gateway.
    owner: Option<u32>,
    /// Where the files are, if they are in memory.
    disk: Option<Arc<MemoryDisk>>,
}

impl Home {
    /// Makes the directories and the FIFO. Blocks.
    ///
    /// # Errors
    ///
    /// The system's. Nothing is left behind then.
    pub(crate) fn create(
        root: PathBuf,
        compiles_snippets: bool,
        owner: Option<u32>,
    ) -> io::Result<Self> {
        let home = Self {
            root,
            owner,
            disk: None,
        };
        home.fill(compiles_snippets)
            .inspect_err(|_| drop(home.remove()))?;
        Ok(home)
    }

    fn fill(&self, compiles_snippets: bool) -> io::Result<()> {
        let home = self;
        let mut builder = DirBuilder::new();
        builder.mode(0o700);
        builder.create(&home.root)?;
        if home.owner.is_some() {
            // What is in it is closed to all others but this user.
            fs::set_permissions(&home.root, Permissions::from_mode(0o711))?;
        }
        let snippet = compiles_snippets.then(|| home.snippet());
        for directory in [home.work(), home.temp()].into_iter().chain(snippet) {
            builder.create(&directory)?;
            home.give_place(&directory)?;
        }
        rustix::fs::mkfifoat(CWD, home.stdin(), Mode::RUSR | Mode::WUSR)?;
        home.give_place(&home.stdin())
    }

    /// Moves to a file system in memory, in which there is nothing but its directories.
    pub(crate) fn move_to(&mut self, disk: MemoryDisk) -> io::Result<()> {
        self.disk = Some(Arc::new(disk));
        for directory in [self.work(), self.temp(), self.snippet()] {
            let place = self.outside(&directory);
            if place.exists() {
                self.give_place(&place)?;
            }
        }
        Ok(())
    }

    /// The file system in memory, if its files are there.
    pub(crate) fn disk(&self) -> Option<&Arc<MemoryDisk>> {
        self.disk.as_ref()
    }

    /// The path by which the gateway reaches what programs find at this one.
    pub(crate) fn outside(&self, path: &Path) -> PathBuf {
        let inner = path.strip_prefix(&self.root).ok();
        match (&self.disk, inner) {
            (Some(disk), Some(inner)) if !inner.starts_with("stdin") => disk.root().join(inner),
            _ => path.to_owned(),
        }
    }

    /// Makes an open file that of the kernel's user.
    pub(crate) fn give(&self, file: impl AsFd) -> io::Result<()> {
        match self.owner() {
            (None, None) => Ok(()),
            (user, group) => Ok(rustix::fs::fchown(file, user, group)?),
        }
    }

    fn give_place(&self, path: &Path) -> io::Result<()> {
        match self.owner() {
            (None, None) => Ok(()),
            (user, group) => Ok(rustix::fs::chown(path, user, group)?),
        }
    }

    fn owner(&self) -> (Option<Uid>, Option<Gid>) {
        (self.owner.map(Uid::from_raw), self.owner.map(Gid::from_raw))
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

    pub(crate) fn stdin(&self) -> PathBuf {
        self.root.join("stdin")
    }

    /// The socket of the runner, for programs in files.
    pub(crate) fn link(&self) -> PathBuf {
        self.temp().join(".sorna")
    }

    /// Removes everything, also where the program removed permissions.
    pub(crate) fn remove(&self) -> io::Result<()> {
        remove_tree(&self.root)
    }
}

/// How often a removal is repeated because something is written meanwhile.
const PASSES: usize = 100;

/// Removes a directory and everything below it, also where permissions were removed; it need not
/// exist. The depth does not matter for stack or open files, because the content of a directory is
/// moved up before the directory is removed. Symbolic links are not followed.
pub(crate) fn remove_tree(root: &Path) -> io::Result<()> {
    let mut stuck = 0;
    loop {
        let removed = match open_up(CWD, root) {
            Ok(directory) => {
                empty(&directory)?;
                rustix::fs::unlinkat(CWD, root, AtFlags::REMOVEDIR)
            }
            Err(error) => Err(error),
        };
        match removed {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            // A process is still writing.
            Err(Errno::NOTEMPTY | Errno::EXIST) if stuck < PASSES => stuck += 1,
            Err(error) => return Err(error.into()),
        }
    }
}

/// Removes what is in a directory.
fn empty(directory: &OwnedFd) -> io::Result<()> {
    let mut moved = 0_u64;
    loop {
        let names = names(directory)?;
        if names.is_empty() {
            return Ok(());
        }
        for name in names {
            if unlink(directory, &name)? {
                continue;
            }
            let Some(inner) = gone_is_fine(open_up(directory, &name))? else {
                continue;
            };
            for below in self::names(&inner)? {
                if unlink(&inner, &below)? {
                    continue;
                }
                // A directory can be moved only if it is writable.
                drop(gone_is_fine(open_up(&inner, &below))?);
                loop {
                    moved += 1;
                    let up = format!(".{moved}");
                    match rustix::fs::renameat(&inner, &below, directory, &up) {
                        // The name is taken.
                        Err(Errno::EXIST | Errno::NOTEMPTY | Errno::NOTDIR) => {}
                        result => {
                            gone_is_fine(result)?;
                            break;
                        }
                    }
                }
            }
            // If a process is still writing, there is another pass.
            let _ = rustix::fs::unlinkat(directory, &name, AtFlags::REMOVEDIR);
        }
    }
}

/// Removes a file; `false` if it is a directory.
fn unlink(directory: &OwnedFd, name: &CStr) -> io::Result<bool> {
    match rustix::fs::unlinkat(directory, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(true),
        Err(Errno::ISDIR | Errno::PERM) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn gone_is_fine<T>(result: rustix::io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn names(directory: &OwnedFd) -> io::Result<Vec<CString>> {
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::read_from(directory)? {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            names.push(entry.file_name().to_owned());
        }
    }
    Ok(names)
}

/// Opens a directory, and makes it readable and writable for us.
fn open_up<P: rustix::path::Arg + Copy>(parent: impl AsFd, name: P) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let place = rustix::fs::openat(&parent, name, flags | OFlags::PATH, Mode::empty())?;
    // Changes what was opened, even if something else has taken its place.
    let itself = format!("/proc/self/fd/{}", place.as_raw_fd());
    let _ = rustix::fs::chmodat(CWD, &*itself, Mode::RWXU, AtFlags::empty());
    rustix::fs::openat(&place, ".", flags | OFlags::RDONLY, Mode::empty())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn deep_directories_are_removed() {
        let base = tempfile::tempdir().unwrap();
        let root = base.path().join("deep");
        fs::create_dir(&root).unwrap();
        let mut here = rustix::fs::open(&root, OFlags::DIRECTORY, Mode::empty()).unwrap();
        for _ in 0..5_000 {
            rustix::fs::mkdirat(&here, "d", Mode::RWXU).unwrap();
            here = rustix::fs::openat(&here, "d", OFlags::DIRECTORY, Mode::empty()).unwrap();
        }
        drop(here);
        // On a small stack, which a recursive removal would overflow.
        let remove = move || remove_tree(&root);
        let thread = std::thread::Builder::new().stack_size(256 * 1024);
        thread.spawn(remove).unwrap().join().unwrap().unwrap();
        assert_eq!(fs::read_dir(base.path()).unwrap().count(), 0);
    }

    #[test]
    fn closed_directories_are_removed_and_links_not_followed() {
        let base = tempfile::tempdir().unwrap();
        let outside = base.path().join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("file"), "x").unwrap();
        let home = Home::create(base.path().join("kernel"), true, None).unwrap();
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
