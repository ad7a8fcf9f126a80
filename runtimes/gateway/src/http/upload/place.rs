//! Where the files of an upload are put, and the modes of their directories.

use std::ffi::OsStr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::time::SystemTime;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags};
use rustix::io::Errno;
use sorna_core::server::ProblemReply;

use super::arrived::{Arrived, LONGEST_PATH, cannot_store, internal, no_room, outside, rejected};
use crate::http::stale;
use crate::kernel::{Home, Reservation};

/// The destination of a file: its directory, held open, and its name there, if it is no directory itself.
pub(super) struct Place<'a> {
    directory: OwnedFd,
    name: Option<&'a OsStr>,
}

impl<'a> Place<'a> {
    /// Makes missing directories, which add to these `files`, and checks whether the file can be put there. Directories
    /// that do not let their owner in are `shut` again later.
    pub(super) fn prepare(
        home: &Home,
        file: &'a Arrived,
        room: &Reservation,
        files: &mut u64,
        shut: &mut Shut,
    ) -> Result<Self, ProblemReply> {
        if file.target.as_os_str().len() > LONGEST_PATH {
            return Err(rejected(&format!(
                "the name of a file, with its directories, is longer than {LONGEST_PATH} bytes"
            )));
        }
        let failed = |errno| cannot_store(file, errno);
        let mut directory =
            rustix::fs::openat(CWD, home.outside(&home.work()), READ, Mode::empty())
                .map_err(failed)?;
        let is_directory = file.is_directory();
        let directories = match is_directory {
            true => Some(file.target.as_path()),
            false => file.target.parent(),
        };
        for part in directories.into_iter().flat_map(Path::components) {
            let part: &OsStr = part.as_os_str();
            if let Err(reason) = room.check_files(*files + 1)
                && rustix::fs::statat(&directory, part, AtFlags::SYMLINK_NOFOLLOW).is_err()
            {
                return Err(no_room(reason));
            }
            let is_new = match rustix::fs::mkdirat(&directory, part, MODE) {
                Ok(()) => true,
                Err(Errno::EXIST) => false,
                Err(errno) => return Err(failed(errno)),
            };
            directory = shut.enter(&directory, part, is_new).map_err(failed)?;
            if is_new {
                *files += 1;
                // The umask of the gateway may have taken something of it.
                rustix::fs::fchmod(&directory, MODE).map_err(failed)?;
                home.give(&directory)
                    .map_err(|error| internal(&error, home.root()))?;
            }
        }
        if is_directory {
            let name = None;
            return Ok(Self { directory, name });
        }
        let name = file.target.file_name().ok_or_else(|| outside(&file.name))?;
        match rustix::fs::statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(there) if FileType::from_raw_mode(there.st_mode).is_dir() => {
                Err(failed(Errno::ISDIR))
            }
            Ok(_) | Err(Errno::NOENT) => Ok(Self {
                directory,
                name: Some(name),
            }),
            Err(errno) => Err(failed(errno)),
        }
    }

    /// Moves the file there, as one of this time. A rename replaces a symbolic link itself, never what it points to.
    pub(super) fn take(&self, file: &Arrived, time: SystemTime) -> Result<(), ProblemReply> {
        let Some(name) = self.name else {
            return Ok(());
        };
        stale::date(&file.staged, time)
            .and_then(|()| rustix::fs::renameat(CWD, &file.staged, &self.directory, name))
            .map_err(|errno| cannot_store(file, errno))?;
        stale::remove_bytecode(&self.directory, name);
        Ok(())
    }

    /// Gives a directory the mode with which it was sent.
    pub(super) fn set_mode(&self, file: &Arrived) -> Result<(), ProblemReply> {
        match file.mode.filter(|mode| mode.is_directory) {
            Some(mode) => {
                let mode = Mode::from_raw_mode(mode.permissions);
                rustix::fs::fchmod(&self.directory, mode).map_err(|errno| cannot_store(file, errno))
            }
            None => Ok(()),
        }
    }
}

/// The mode of directories that are made for a file, as programs make them with the usual umask. The home around the work
/// directory is closed to others.
const MODE: Mode = Mode::from_bits_retain(0o755);

const DIRECTORY: OFlags = OFlags::DIRECTORY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);
const READ: OFlags = DIRECTORY.union(OFlags::RDONLY);

/// Directories that did not let their owner in, and their modes, which they get back when this is dropped.
#[derive(Default)]
pub(super) struct Shut(Vec<(OwnedFd, Mode)>);

impl Shut {
    /// Opens a directory, so that something can be put into it.
    fn enter(
        &mut self,
        parent: &OwnedFd,
        name: &OsStr,
        is_new: bool,
    ) -> rustix::io::Result<OwnedFd> {
        let place = rustix::fs::openat(parent, name, DIRECTORY | OFlags::PATH, Mode::empty())?;
        let mode = Mode::from_raw_mode(rustix::fs::fstat(&place)?.st_mode);
        let is_shut = !mode.contains(Mode::RWXU);
        if is_shut {
            // Changes what was opened, even if something else has taken its place. If that is not allowed, what follows
            // fails.
            let itself = format!("/proc/self/fd/{}", place.as_raw_fd());
            let _ = rustix::fs::chmodat(CWD, &*itself, mode | Mode::RWXU, AtFlags::empty());
        }
        let directory = rustix::fs::openat(&place, ".", READ, Mode::empty())?;
        if is_shut && !is_new {
            let kept = rustix::io::fcntl_dupfd_cloexec(&directory, 0)?;
            self.0.push((kept, mode));
        }
        Ok(directory)
    }
}

impl Drop for Shut {
    fn drop(&mut self) {
        for (directory, mode) in &self.0 {
            // It was changed before, so this is allowed.
            let _ = rustix::fs::fchmod(directory, *mode);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use std::fs;
    use std::os::unix::fs::symlink;

    use sorna_core::ProblemKind;

    use super::*;

    fn arrived(staging: &Path, target: &str) -> Arrived {
        let staged = staging.join("staged");
        fs::write(&staged, "new").unwrap();
        Arrived {
            staged,
            target: target.into(),
            name: target.to_owned(),
            mode: None,
        }
    }

    fn put(home: &Home, file: Arrived) -> Result<(), ProblemReply> {
        let mut shut = Shut::default();
        let place = Place::prepare(home, &file, &Reservation::default(), &mut 0, &mut shut)?;
        place.take(&file, SystemTime::now())?;
        drop(shut);
        place.set_mode(&file)
    }

    #[test]
    fn links_of_the_program_are_not_followed() {
        let base = tempfile::tempdir().unwrap();
        let home = Home::create(base.path().join("home"), false, None).unwrap();
        let (work, outside) = (home.work(), base.path().join("outside"));
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("file"), "old").unwrap();
        symlink(&outside, work.join("directory")).unwrap();
        symlink(outside.join("file"), work.join("file")).unwrap();

        let problem = put(&home, arrived(base.path(), "directory/file")).unwrap_err();
        assert_eq!(problem.kind(), ProblemKind::InvalidApiParams);
        put(&home, arrived(base.path(), "file")).unwrap();
        assert_eq!(fs::read_to_string(work.join("file")).unwrap(), "new");
        assert_eq!(fs::read_to_string(outside.join("file")).unwrap(), "old");
    }

    #[test]
    fn directories_are_made_and_files_replaced() {
        let base = tempfile::tempdir().unwrap();
        let home = Home::create(base.path().join("home"), false, None).unwrap();
        let work = home.work();
        put(&home, arrived(base.path(), "a/b/c")).unwrap();
        put(&home, arrived(base.path(), "a/b/c")).unwrap();
        assert_eq!(fs::read_to_string(work.join("a/b/c")).unwrap(), "new");
        let problem = put(&home, arrived(base.path(), "a/b/c/d")).unwrap_err();
        assert_eq!(problem.kind(), ProblemKind::InvalidApiParams);
        let problem = put(&home, arrived(base.path(), "a/b")).unwrap_err();
        assert_eq!(problem.kind(), ProblemKind::InvalidApiParams);
    }
}
