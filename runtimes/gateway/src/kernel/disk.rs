//! How much disk the files of a kernel take.
//!
//! The gateway looks, since an ordinary user can set no quota. A file counts by the blocks that it takes, so that holes do
//! not, and once, however many names it has. Files that were deleted count as long as a process has them open.

use std::collections::HashSet;
use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use super::procfs;

/// The unit in which systems count what files take.
const BLOCK: u64 = 512;
/// The longest path below the home that is followed: the system opens none that is much longer.
const LONGEST_PATH: usize = 4000;
/// How many directories are kept open on the way to the present one.
const OPEN_DIRECTORIES: usize = 16;
/// How many directories on the way to the present one may have been closed to their user.
const MAX_CLOSED: usize = 64;

/// How much disk a kernel may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DiskLimit {
    pub(crate) bytes: u64,
    /// Files, directories and links.
    pub(crate) files: u64,
}

/// How much disk a kernel uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DiskUse {
    pub(crate) bytes: u64,
    /// Not beyond the limit and one directory: it is not counted further.
    pub(crate) files: u64,
    /// Whether there are directories in directories deeper than can be followed, or more open files than can be looked at.
    pub(crate) is_uncountable: bool,
}

/// The use of what is in a directory, and of deleted files of its file system that these processes have open. Blocks.
///
/// # Errors
///
/// The directory cannot be opened. What is deeper and cannot be read does not count.
pub(crate) fn measure(root: &Path, processes: &[u32], limit: DiskLimit) -> io::Result<DiskUse> {
    // The gateway's own directory, which may be named by a link in `/proc`.
    let follow = DIRECTORY.difference(OFlags::NOFOLLOW);
    let directory = rustix::fs::openat(CWD, root, follow, Mode::empty())?;
    let mut survey = Survey {
        device: rustix::fs::fstat(&directory)?.st_dev,
        found: DiskUse::default(),
        seen: HashSet::new(),
        limit,
    };
    survey.walk(directory);
    if survey.found.files <= limit.files {
        survey.add_deleted(processes);
    }
    Ok(survey.found)
}

const DIRECTORY: OFlags = OFlags::DIRECTORY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

struct Survey {
    device: u64,
    found: DiskUse,
    /// The files that have several names, or none.
    seen: HashSet<u64>,
    limit: DiskLimit,
}

/// A directory on the way to the present one.
struct Level {
    /// `None` if there are too many; it is opened again by its path.
    directory: Option<OwnedFd>,
    /// The directories in it that are yet to be visited.
    names: Vec<CString>,
    /// How long its own path is.
    path: usize,
    /// The permissions that it had.
    mode: Option<Mode>,
}

impl Drop for Level {
    fn drop(&mut self) {
        if let (Some(mode), Some(directory)) = (self.mode, &self.directory) {
            let _ = rustix::fs::fchmod(directory, mode);
        }
    }
}

impl Survey {
    /// Visits all directories. Memory is bounded by the limit on files, and open files by a number.
    fn walk(&mut self, root: OwnedFd) {
        let Ok(base) = root.try_clone() else { return };
        let names = self.list(&root);
        let mut path = PathBuf::new();
        let mut levels = vec![Level {
            directory: Some(root),
            names,
            path: 0,
            mode: None,
        }];
        while let Some(level) = levels.last_mut() {
            if self.found.files > self.limit.files || self.found.is_uncountable {
                return;
            }
            let Some(name) = level.names.pop() else {
                levels.pop();
                continue;
            };
            truncate(&mut path, level.path);
            if level.directory.is_none() {
                level.directory = open_below(&base, &path).ok();
            }
            let opened = level.directory.as_ref().map(|at| open(at, &name));
            let Some(Ok((directory, mode))) = opened else {
                continue;
            };
            path.push(std::ffi::OsStr::from_bytes(name.to_bytes()));
            let closed = levels.iter().filter(|level| level.mode.is_some()).count();
            self.found.is_uncountable =
                path.as_os_str().len() > LONGEST_PATH || closed + 1 > MAX_CLOSED;
            let names = self.list(&directory);
            levels.push(Level {
                directory: Some(directory),
                names,
                path: path.as_os_str().len(),
                mode,
            });
            let far = levels.len().checked_sub(OPEN_DIRECTORIES + 1);
            if let Some(level) = far.and_then(|far| levels.get_mut(far))
                && level.mode.is_none()
            {
                level.directory = None;
            }
        }
    }

    /// Counts what is in a directory, and returns the directories in it.
    fn list(&mut self, directory: &OwnedFd) -> Vec<CString> {
        let mut below = Vec::new();
        let entries = rustix::fs::Dir::read_from(directory);
        for entry in entries.into_iter().flatten().flatten() {
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            // It may have been removed meanwhile.
            let Ok(stat) = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) else {
                continue;
            };
            if stat.st_dev != self.device {
                continue;
            }
            let is_directory = FileType::from_raw_mode(stat.st_mode).is_dir();
            if is_directory {
                below.push(name.to_owned());
            }
            if is_directory || stat.st_nlink < 2 || self.seen.insert(stat.st_ino) {
                self.add(blocks(&stat));
            }
            if self.found.files > self.limit.files {
                break;
            }
        }
        below
    }

    /// Counts files without a name that processes have open.
    fn add_deleted(&mut self, processes: &[u32]) {
        let looked = procfs::each_descriptor(processes, (), |directory, name| {
            let Ok(stat) = rustix::fs::statat(directory, name, AtFlags::empty()) else {
                return Ok(());
            };
            let is_file = FileType::from_raw_mode(stat.st_mode).is_file();
            let is_one = is_file && stat.st_nlink == 0 && stat.st_dev == self.device;
            if is_one && self.seen.insert(stat.st_ino) {
                self.add(blocks(&stat));
            }
            Ok(())
        });
        self.found.is_uncountable |= looked.is_err();
    }

    fn add(&mut self, bytes: u64) {
        self.found.bytes = self.found.bytes.saturating_add(bytes);
        self.found.files += 1;
    }
}

fn blocks(stat: &Stat) -> u64 {
    u64::try_from(stat.st_blocks).unwrap_or_default() * BLOCK
}

fn truncate(path: &mut PathBuf, length: usize) {
    let bytes = path.as_os_str().as_bytes();
    let kept = bytes.get(..length).unwrap_or(bytes).to_vec();
    *path = PathBuf::from(std::ffi::OsStr::from_bytes(&kept));
}

/// Opens a directory by a path that no link leads away from.
fn open_below(base: &OwnedFd, path: &Path) -> rustix::io::Result<OwnedFd> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    rustix::fs::openat2(base, path, DIRECTORY, Mode::empty(), resolve)
}

/// Opens a directory, and its permissions, if they had to be changed for that: a program may have closed it even to its
/// own user. They are to be restored.
fn open(parent: impl AsFd, name: &CString) -> rustix::io::Result<(OwnedFd, Option<Mode>)> {
    let place = match rustix::fs::openat(&parent, name, DIRECTORY, Mode::empty()) {
        // It may be searched as well: otherwise what is in it shows no size.
        Ok(directory) => directory,
        Err(Errno::ACCESS) => {
            rustix::fs::openat(&parent, name, DIRECTORY | OFlags::PATH, Mode::empty())?
        }
        Err(error) => return Err(error),
    };
    let had = Mode::from_raw_mode(rustix::fs::fstat(&place)?.st_mode);
    if had.contains(Mode::RUSR | Mode::XUSR) || rustix::process::geteuid().is_root() {
        return Ok((place, None));
    }
    // Changes what was opened, even if something else has taken its place.
    let itself = format!("/proc/self/fd/{}", place.as_raw_fd());
    rustix::fs::chmodat(
        CWD,
        &*itself,
        had | Mode::RUSR | Mode::XUSR,
        AtFlags::empty(),
    )?;
    match rustix::fs::openat(&place, ".", DIRECTORY, Mode::empty()) {
        Ok(directory) => Ok((directory, Some(had))),
        Err(error) => {
            let _ = rustix::fs::chmodat(CWD, &*itself, had, AtFlags::empty());
            Err(error)
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use std::fs::{self, File, Permissions};
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const MIB: u64 = 1 << 20;
    const MANY: DiskLimit = DiskLimit {
        bytes: u64::MAX,
        files: u64::MAX,
    };

    fn use_of(root: &Path) -> DiskUse {
        measure(root, &[], MANY).unwrap()
    }

    #[test]
    fn links_count_once_and_holes_not_at_all() {
        let base = tempfile::tempdir().unwrap();
        let root = base.path();
        fs::create_dir(root.join("inner")).unwrap();
        fs::write(root.join("inner/a"), vec![1; MIB as usize]).unwrap();
        fs::hard_link(root.join("inner/a"), root.join("b")).unwrap();
        File::create(root.join("hole"))
            .unwrap()
            .set_len(1 << 40)
            .unwrap();
        std::os::unix::fs::symlink("/", root.join("out")).unwrap();
        let found = use_of(root);
        assert!((MIB..2 * MIB).contains(&found.bytes), "{found:?}");
        assert_eq!(found.files, 4);
        assert!(!found.is_uncountable);
    }

    #[test]
    fn deleted_files_count_while_they_are_open() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("file");
        let mut file = File::create(&path).unwrap();
        file.write_all(&vec![1; MIB as usize]).unwrap();
        fs::remove_file(&path).unwrap();
        let own = [std::process::id()];
        let found = measure(base.path(), &own, MANY).unwrap();
        assert!(found.bytes >= MIB && found.files >= 1, "{found:?}");
        assert_eq!(use_of(base.path()).files, 0);
    }

    #[test]
    fn closed_directories_are_counted_and_stay_closed() {
        let base = tempfile::tempdir().unwrap();
        let inner = base.path().join("a/b");
        fs::create_dir_all(&inner).unwrap();
        fs::write(inner.join("file"), "x").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        for (path, mode) in [(&*inner, 0o300), (inner.parent().unwrap(), 0o400)] {
            fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        }
        assert_eq!(use_of(base.path()).files, 3);
        assert_eq!(mode(&base.path().join("a")), 0o400);
        fs::set_permissions(base.path().join("a"), Permissions::from_mode(0o700)).unwrap();
        assert_eq!(mode(&inner), 0o300);
    }

    #[test]
    fn the_count_ends_at_the_limit_and_at_a_depth() {
        let base = tempfile::tempdir().unwrap();
        for number in 0..50 {
            fs::write(base.path().join(number.to_string()), "").unwrap();
        }
        let limit = DiskLimit { files: 7, ..MANY };
        assert_eq!(measure(base.path(), &[], limit).unwrap().files, 8);
        let mut here = rustix::fs::open(base.path(), DIRECTORY, Mode::empty()).unwrap();
        for depth in 0..2_500 {
            rustix::fs::mkdirat(&here, "d", Mode::RWXU).unwrap();
            here = rustix::fs::openat(&here, "d", DIRECTORY, Mode::empty()).unwrap();
            if depth == 100 {
                let found = use_of(base.path());
                assert_eq!((found.files, found.is_uncountable), (151, false));
            }
        }
        assert!(use_of(base.path()).is_uncountable);
    }
}
