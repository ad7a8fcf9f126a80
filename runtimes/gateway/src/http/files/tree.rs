//! The files of a session: opening them, and what is in a directory.
//!
//! No path leaves the work directory, also not through a symbolic link that a program has made.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;
use serde::Serialize;

/// Where containers of Backend.AI have the work directory.
const WORK: &str = "/home/work";
/// How many files of a directory are listed.
const MAX_ENTRIES: usize = 20_000;

/// A file in a list, in the form that Backend.AI has it.
#[derive(Debug, Serialize)]
pub(super) struct FileEntry {
    mode: String,
    size: u64,
    ctime: f64,
    mtime: f64,
    atime: f64,
    filename: String,
}

/// Opens a file or directory below the work directory for reading.
pub(super) fn open(work: &Path, path: &str) -> io::Result<File> {
    let relative = relative(path).ok_or(Errno::XDEV)?;
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY;
    let directory = rustix::fs::openat(CWD, work, flags, Mode::empty())?;
    open_in(&directory, &relative)
}

/// The path of a directory below the work directory, relative to it and without links.
pub(super) fn directory(work: &Path, path: &str) -> io::Result<PathBuf> {
    let directory = open(work, path)?;
    if !directory.metadata()?.is_dir() {
        return Err(Errno::NOTDIR.into());
    }
    let real =
        |file: &dyn AsRawFd| std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()));
    let (work, directory) = (real(&open(work, "")?)?, real(&directory)?);
    let relative = directory.strip_prefix(work).map(Path::to_owned);
    relative.map_err(|_| Errno::NOENT.into())
}

/// Opens what is below a directory.
pub(super) fn open_in(directory: &OwnedFd, path: &Path) -> io::Result<File> {
    // Without `NONBLOCK`, opening a FIFO would wait.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let file = rustix::fs::openat2(directory, path, flags, Mode::empty(), resolve)?;
    Ok(file.into())
}

/// A path below the work directory; `None` if it leads elsewhere.
fn relative(path: &str) -> Option<PathBuf> {
    if path.contains('\0') {
        return None;
    }
    let path = Path::new(path);
    let path = path.strip_prefix(WORK).unwrap_or(path);
    let is_inside = path.components().all(|part| {
        matches!(
            part,
            Component::Normal(_) | Component::CurDir | Component::ParentDir
        )
    });
    let is_empty = path.as_os_str().is_empty();
    is_inside.then(|| {
        if is_empty {
            PathBuf::from(".")
        } else {
            path.to_owned()
        }
    })
}

/// What is in a directory, by name.
pub(super) fn list(directory: File) -> io::Result<Vec<FileEntry>> {
    let directory = OwnedFd::from(directory);
    let mut files = Vec::new();
    for entry in rustix::fs::Dir::read_from(&directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        if files.len() == MAX_ENTRIES {
            return Err(io::Error::other(format!("more than {MAX_ENTRIES} files")));
        }
        // It may have been removed meanwhile.
        if let Ok(stat) = rustix::fs::statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW) {
            files.push(FileEntry::new(name.to_string_lossy().into_owned(), &stat));
        }
    }
    files.sort_by(|a, b| a.filename.cmp(&b.filename));
    Ok(files)
}

impl FileEntry {
    #[expect(
        clippy::cast_precision_loss,
        reason = "times are numbers with a fraction"
    )]
    fn new(filename: String, stat: &Stat) -> Self {
        let time = |seconds: i64, nanoseconds: Option<u32>| {
            seconds as f64 + f64::from(nanoseconds.unwrap_or_default()) / 1e9
        };
        Self {
            mode: mode_text(stat.st_mode),
            size: u64::try_from(stat.st_size).unwrap_or_default(),
            ctime: time(stat.st_ctime, u32::try_from(stat.st_ctime_nsec).ok()),
            mtime: time(stat.st_mtime, u32::try_from(stat.st_mtime_nsec).ok()),
            atime: time(stat.st_atime, u32::try_from(stat.st_atime_nsec).ok()),
            filename,
        }
    }
}

/// `-rw-r--r--`
fn mode_text(mode: u32) -> String {
    let kind = match FileType::from_raw_mode(mode) {
        FileType::Directory => 'd',
        FileType::Symlink => 'l',
        FileType::Fifo => 'p',
        FileType::Socket => 's',
        FileType::CharacterDevice => 'c',
        FileType::BlockDevice => 'b',
        _ => '-',
    };
    let bits = (0..9).map(|bit| {
        let is_set = mode & (0o400 >> bit) != 0;
        if is_set {
            ['r', 'w', 'x'][bit % 3]
        } else {
            '-'
        }
    });
    std::iter::once(kind).chain(bits).collect()
}

/// What is wrong with a path, in the words of Python's errors.
pub(super) fn describe(error: &io::Error, path: &str) -> String {
    let number = error.raw_os_error().map(Errno::from_raw_os_error);
    match number {
        Some(Errno::NOENT) => format!("No such file or directory: '{path}'"),
        Some(Errno::NOTDIR) => format!("Not a directory: '{path}'"),
        Some(Errno::ACCESS) => format!("Permission denied: '{path}'"),
        Some(Errno::XDEV | Errno::LOOP) => {
            format!("'{path}' is not in the work directory")
        }
        _ => format!("{error}: '{path}'"),
    }
}

/// Whether the path leads out of the work directory.
pub(super) fn is_outside(error: &io::Error) -> bool {
    let number = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(number, Some(Errno::XDEV | Errno::LOOP))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn paths_do_not_leave_the_work_directory() {
        let base = tempfile::tempdir().unwrap();
        let work = base.path().join("work");
        fs::create_dir_all(work.join("a")).unwrap();
        fs::write(work.join("a/b"), "x").unwrap();
        fs::write(base.path().join("secret"), "x").unwrap();
        symlink("../secret", work.join("out")).unwrap();
        symlink("a/b", work.join("in")).unwrap();
        for path in [
            "a/b",
            "./a//b",
            "/home/work/a/b",
            "a/../a/b",
            "in",
            ".",
            "",
            "/home/work",
        ] {
            assert!(open(&work, path).is_ok(), "{path}");
        }
        for path in [
            "..",
            "../secret",
            "a/../../secret",
            "/etc/passwd",
            "out",
            "/home/worker",
            "a\0",
        ] {
            assert!(is_outside(&open(&work, path).unwrap_err()), "{path}");
        }
        let error = open(&work, "none").unwrap_err();
        assert_eq!(
            describe(&error, "none"),
            "No such file or directory: 'none'"
        );
    }

    #[test]
    fn a_list_has_modes_and_sizes() {
        let base = tempfile::tempdir().unwrap();
        fs::create_dir(base.path().join("d")).unwrap();
        fs::write(base.path().join("a"), "xyz").unwrap();
        symlink("nowhere", base.path().join("l")).unwrap();
        let files = list(open(base.path(), ".").unwrap()).unwrap();
        let seen: Vec<_> = files
            .iter()
            .map(|it| (&it.filename[..], &it.mode[..1], it.size))
            .collect();
        assert_eq!(seen[0], ("a", "-", 3));
        assert_eq!((seen[1].0, seen[1].1, seen[2].1), ("d", "d", "l"));
        assert_eq!(mode_text(0o100_644), "-rw-r--r--");
        assert_eq!(mode_text(0o040_750), "drwxr-x---");
    }
}
