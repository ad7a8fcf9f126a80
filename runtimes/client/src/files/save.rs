//! Downloaded files, written to disk.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use sorna_core::download::{UnpackEvent, UnpackedEntry};
use sorna_core::{Sent, TransportError, TransportErrorKind};

use super::directories::Directories;
use crate::random_token;

/// Writes what a download unpacks below a directory on this machine.
///
/// A file appears under its name when it is complete, and then replaces one that is there. Nothing is written
/// through a symbolic link below the directory, so nothing outside of it changes. On Unix, files get the mode that they
/// have in the kernel, as far as the umask allows it, and so do directories that are new: when this is dropped or
/// [finished](Self::finish), since they may not allow that something is put into them. Those that were there keep their mode.
///
/// ```no_run
/// # fn example(kernel: sorna::blocking::Kernel) -> Result<(), sorna::Error> {
/// use sorna::files::Saver;
///
/// let mut saver = Saver::new("results");
/// for event in kernel.download(["data.csv"]) {
///     saver.handle(event?)?;
/// }
/// println!("saved {:?}", saver.saved());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Saver {
    directory: PathBuf,
    /// Whether it leaves what is there as it is.
    keeps: bool,
    /// Whether what is not written for that gets another name.
    renames: bool,
    open: Option<Partial>,
    saved: Vec<PathBuf>,
    kept: Vec<PathBuf>,
    renamed: Vec<(PathBuf, PathBuf)>,
    left_out: Vec<(PathBuf, &'static str)>,
    directories: Directories,
    /// The directories that have another name, and that name.
    moved: BTreeMap<PathBuf, PathBuf>,
}

impl Saver {
    /// Writes below this directory, and creates it when there is something to write.
    #[must_use]
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            keeps: false,
            renames: false,
            open: None,
            saved: Vec::new(),
            kept: Vec::new(),
            renamed: Vec::new(),
            left_out: Vec::new(),
            directories: Directories::default(),
            moved: BTreeMap::new(),
        }
    }

    /// Sets whether files replace others that were there before: yes by default. Otherwise these stay, and are
    /// [named](Self::kept).
    #[must_use]
    pub fn with_overwrite(mut self, overwrites: bool) -> Self {
        self.keeps = !overwrites;
        self
    }

    /// Sets whether a file that does not replace one of its name is written all the same, under the first of `NAME.1`,
    /// `NAME.2`, ... that is free, and [named](Self::renamed): no by default. So is a directory where a file or link has its
    /// name, and a file where a directory has it, even if files are replaced.
    #[must_use]
    pub fn with_renaming(mut self, renames: bool) -> Self {
        self.renames = renames;
        self
    }

    /// Does what an event of a download says.
    ///
    /// # Errors
    ///
    /// An [`Error::Transport`](crate::Error::Transport) of kind [`LocalFile`](TransportErrorKind::LocalFile), which
    /// names the path. The rest of that file is ignored, so the other files can be written all the same.
    pub fn handle(&mut self, event: UnpackEvent) -> Result<(), TransportError> {
        match event {
            UnpackEvent::Directory(entry) => {
                let path = self.directory.join(&entry.path);
                self.directories.set_mode(path.clone(), entry.mode);
                self.create_directories(&path).map(drop)
            }
            UnpackEvent::FileStart(entry) => {
                self.open = None;
                let mut target = self.directory.join(&entry.path);
                if let (Some(parent), Some(name)) = (target.parent(), target.file_name()) {
                    target = self.create_directories(parent)?.join(name);
                }
                self.open = match self.is_in_the_way(&target) {
                    true if self.renames => {
                        let other = free(&target);
                        self.renamed.push((target, other.clone()));
                        Some(start(other, &entry)?)
                    }
                    true => {
                        self.kept.push(target);
                        None
                    }
                    false => Some(start(target, &entry)?),
                };
                Ok(())
            }
            UnpackEvent::Data(bytes) => {
                let Some(mut partial) = self.open.take() else {
                    return Ok(());
                };
                let written = partial.file.write_all(&bytes);
                written.map_err(|error| unwritable(&partial.target, error))?;
                self.open = Some(partial);
                Ok(())
            }
            UnpackEvent::FileEnd => match self.open.take() {
                Some(partial) => {
                    self.saved.push(partial.finish()?);
                    Ok(())
                }
                None => Ok(()),
            },
            UnpackEvent::LeftOut { path, kind, .. } => {
                self.left_out.push((self.directory.join(path), kind));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The files that were not written, since something of their name was there.
    #[must_use]
    pub fn kept(&self) -> &[PathBuf] {
        &self.kept
    }

    /// The files and directories that were written under another name, and that name, since something of their name was there.
    #[must_use]
    pub fn renamed(&self) -> &[(PathBuf, PathBuf)] {
        &self.renamed
    }

    /// What is not written, since it is neither a file nor a directory: where it would be, and what it is (`a symbolic
    /// link`).
    #[must_use]
    pub fn left_out(&self) -> &[(PathBuf, &'static str)] {
        &self.left_out
    }

    /// The files that are complete, in the order of the download.
    #[must_use]
    pub fn saved(&self) -> &[PathBuf] {
        &self.saved
    }

    /// As [`saved`](Self::saved), at the end.
    #[must_use]
    pub fn into_saved(mut self) -> Vec<PathBuf> {
        std::mem::take(&mut self.saved)
    }

    /// Says, before the download, which mode a directory has in the kernel, of which no event tells since only files in it are
    /// requested. It has an effect if the directory is new.
    pub fn set_directory_mode(&mut self, path: impl AsRef<Path>, mode: u32) {
        let path = self.directory.join(path);
        self.directories.set_mode(path, mode);
    }

    /// Sets the modes of directories. What comes later may not be able to put anything into them.
    ///
    /// # Errors
    ///
    /// As [`handle`](Self::handle).
    pub fn finish(&mut self) -> Result<(), TransportError> {
        let finished = self.directories.finish();
        finished.map_err(|(path, error)| unwritable(&path, error))
    }

    fn is_in_the_way(&self, path: &PathBuf) -> bool {
        match fs::symlink_metadata(path) {
            // One of its own may have been requested twice.
            Ok(_) if self.keeps => !self.saved.contains(path),
            Ok(found) => self.renames && found.is_dir(),
            Err(_) => false,
        }
    }

    /// Creates a directory and those above it, and returns where it is. Those between it and the directory that everything
    /// is below must be no links.
    fn create_directories(&mut self, path: &Path) -> Result<PathBuf, TransportError> {
        fs::create_dir_all(&self.directory).map_err(|error| unwritable(&self.directory, error))?;
        let below = path.strip_prefix(&self.directory).unwrap_or(path);
        let mut wanted = self.directory.clone();
        let mut directory = self.directory.clone();
        for part in below {
            wanted.push(part);
            match self.moved.get(&wanted) {
                Some(other) => directory.clone_from(other),
                None => directory.push(part),
            }
            self.directories.copy_mode(&wanted, &directory);
            let entered = self.directories.enter(&directory, !self.keeps);
            let entered = match entered {
                Err(_) if self.renames && is_no_directory(&directory) => {
                    let other = free(&directory);
                    self.directories.copy_mode(&wanted, &other);
                    let was = std::mem::replace(&mut directory, other.clone());
                    self.renamed.push((was, other.clone()));
                    self.moved.insert(wanted.clone(), other);
                    self.directories.enter(&directory, !self.keeps)
                }
                entered => entered,
            };
            entered.map_err(|error| unwritable(&directory, error))?;
        }
        Ok(directory)
    }
}

impl Drop for Saver {
    fn drop(&mut self) {
        // Before its directory may be shut.
        self.open = None;
        // No one is there to be told. What is saved is complete.
        let _ = self.finish();
    }
}

fn start(target: PathBuf, entry: &UnpackedEntry) -> Result<Partial, TransportError> {
    let parent = target.parent().unwrap_or(Path::new(""));
    let partial = parent.join(format!(".{}.part", random_token()));
    let file = create(&partial, entry.mode).map_err(|error| unwritable(&target, error))?;
    Ok(Partial {
        path: Some(partial),
        target,
        file,
        mode: entry.mode,
    })
}

/// Whether something is there, such as a file or a link, that cannot be used as a directory.
fn is_no_directory(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| !found.is_dir())
}

/// Takes from the owner what only the writing of the file needed.
#[cfg(unix)]
fn restrict(file: &File, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    if mode & 0o600 == 0o600 {
        return Ok(());
    }
    let mut permissions = file.metadata()?.permissions();
    permissions.set_mode(permissions.mode() & mode & 0o777);
    file.set_permissions(permissions)
}

/// The first name of this kind that nothing has.
fn free(path: &Path) -> PathBuf {
    let mut number = 1_u64;
    loop {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{number}"));
        let name = PathBuf::from(name);
        if fs::symlink_metadata(&name).is_err() {
            return name;
        }
        number += 1;
    }
}

fn create(path: &Path, mode: u32) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode & 0o777 | 0o600);
    #[cfg(not(unix))]
    let _ = mode;
    options.open(path)
}

/// A file that is not complete. It is removed when it is dropped.
#[derive(Debug)]
struct Partial {
    path: Option<PathBuf>,
    target: PathBuf,
    file: File,
    mode: u32,
}

impl Partial {
    fn finish(mut self) -> Result<PathBuf, TransportError> {
        #[cfg(unix)]
        restrict(&self.file, self.mode).map_err(|error| unwritable(&self.target, error))?;
        if let Some(path) = self.path.take() {
            let renamed = fs::rename(&path, &self.target);
            if renamed.is_err() {
                self.path = Some(path);
            }
            renamed.map_err(|error| unwritable(&self.target, error))?;
        }
        Ok(self.target.clone())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // It may be on a disk that is full or gone; and then it stays.
            let _ = fs::remove_file(path);
        }
    }
}

pub(super) fn unwritable(path: &Path, error: io::Error) -> TransportError {
    let message = format!("cannot write {}", path.display());
    // The gateway has sent it, which changes nothing there.
    TransportError::new(TransportErrorKind::LocalFile, Sent::Nothing, message).with_source(error)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
mod tests {
    use sorna_core::download::{UnpackLimits, Unpacker};

    use super::*;

    /// The events of a download of this file.
    fn events(path: &str, content: &str, mode: u32) -> Vec<UnpackEvent> {
        events_of(tar::EntryType::Regular, path, content, mode)
    }

    fn events_of(kind: tar::EntryType, path: &str, content: &str, mode: u32) -> Vec<UnpackEvent> {
        let name = path.rsplit('/').next().unwrap();
        let mut header = tar::Header::new_ustar();
        header.set_path(name).unwrap();
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        header.set_mode(mode);
        header.set_cksum();
        let mut archive = tar::Builder::new(Vec::new());
        archive.append(&header, content.as_bytes()).unwrap();
        let archive = archive.into_inner().unwrap();
        let body = [b"--b\r\n\r\n", &*archive, b"\r\n--b--\r\n"].concat();
        let value = http::HeaderValue::from_static("multipart/mixed; boundary=b");
        let headers = http::HeaderMap::from_iter([(http::header::CONTENT_TYPE, value)]);
        let mut unpacker = Unpacker::new(&[path], &headers, UnpackLimits::new()).unwrap();
        unpacker.feed(body.into());
        std::iter::from_fn(|| unpacker.next_event().unwrap()).collect()
    }

    fn save(directory: &Path, events: Vec<UnpackEvent>) -> Result<Vec<PathBuf>, TransportError> {
        let mut saver = Saver::new(directory);
        for event in events {
            saver.handle(event)?;
        }
        Ok(saver.into_saved())
    }

    fn names(directory: &Path) -> Vec<String> {
        let names = fs::read_dir(directory).unwrap();
        let mut names: Vec<_> = names
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_replaces_another_when_it_is_complete() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("a");
        fs::write(&target, "before").unwrap();
        let mut events = events("a", "after", 0o755);
        let end = events.pop().unwrap();
        let mut saver = Saver::new(directory.path());
        for event in events {
            saver.handle(event).unwrap();
        }
        assert_eq!(fs::read_to_string(&target).unwrap(), "before");
        saver.handle(end).unwrap();
        assert_eq!(saver.saved(), std::slice::from_ref(&target));
        assert_eq!(fs::read_to_string(&target).unwrap(), "after");
        assert_eq!(names(directory.path()), ["a"]);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::metadata(&target).unwrap().permissions().mode();
            assert_eq!(mode & 0o700, 0o700);
        }
    }

    #[cfg(unix)]
    #[test]
    fn files_have_the_modes_of_the_kernel() {
        use std::os::unix::fs::PermissionsExt as _;

        let directory = tempfile::tempdir().unwrap();
        // What others may do is up to the umask.
        for (name, mode, of_owner) in [
            ("a", 0o755, 0o700),
            ("b", 0o644, 0o600),
            ("c", 0o444, 0o400),
            ("d", 0o555, 0o500),
            ("e", 0, 0),
        ] {
            let saved = save(directory.path(), events(name, "x", mode)).unwrap();
            let found = fs::metadata(&saved[0]).unwrap().permissions().mode() & 0o777;
            assert_eq!((found & 0o700, found & !mode), (of_owner, 0), "{name}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn directories_have_the_modes_of_the_kernel_at_the_end() {
        use std::os::unix::fs::PermissionsExt;

        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let mode = |name: &str| fs::metadata(at(name)).unwrap().permissions().mode() & 0o777;
        fs::create_dir(at("there")).unwrap();
        fs::set_permissions(at("there"), PermissionsExt::from_mode(0o500)).unwrap();
        let mut saver = Saver::new(directory.path());
        saver.set_directory_mode("new", 0o511);
        saver.set_directory_mode("none", 0o511);
        for (path, mode) in [
            ("shut", 0o500),
            ("shut/in", 0o000),
            ("open", 0o700),
            ("there", 0o755),
        ] {
            for event in events_of(tar::EntryType::Directory, path, "", mode) {
                saver.handle(event).unwrap();
            }
        }
        for path in ["shut/in/a", "shut/b", "open/c", "new/d", "there/e"] {
            for event in events(path, "x", 0o644) {
                saver.handle(event).unwrap();
            }
        }
        assert_eq!(
            (mode("shut") & 0o700, mode("shut/in") & 0o700),
            (0o700, 0o700)
        );
        drop(saver);
        let expected = [("shut", 0o500), ("open", 0o700), ("there", 0o500)];
        for (name, expected) in expected {
            assert_eq!(mode(name), expected, "{name}");
        }
        assert_eq!((mode("new") & 0o700, mode("new") & !0o511), (0o500, 0));
        // So that it can be removed.
        for name in ["shut", "new", "there", "shut/in"] {
            let opened = PermissionsExt::from_mode(mode(name) | 0o700);
            fs::set_permissions(at(name), opened).unwrap();
        }
        assert_eq!(names(&at("shut/in")), ["a"]);
        assert_eq!(names(&at("there")), ["e"]);
    }

    #[test]
    fn what_is_there_is_kept_where_that_is_wanted() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::write(at("a"), "before").unwrap();
        fs::create_dir(at("c")).unwrap();
        let mut saver = Saver::new(directory.path()).with_overwrite(false);
        for (name, content) in [("a", "after"), ("b", "one"), ("b", "two"), ("c", "x")] {
            for event in events(name, content, 0o644) {
                saver.handle(event).unwrap();
            }
        }
        assert_eq!(saver.kept(), [at("a"), at("c")]);
        assert_eq!(saver.saved(), [at("b"), at("b")]);
        assert_eq!(fs::read_to_string(at("a")).unwrap(), "before");
        assert_eq!(fs::read_to_string(at("b")).unwrap(), "two");
    }

    #[test]
    fn of_a_file_that_is_not_complete_nothing_stays() {
        let directory = tempfile::tempdir().unwrap();
        let mut events = events("d/a", "content", 0o644);
        events.pop();
        save(directory.path(), events).unwrap();
        assert_eq!(names(&directory.path().join("d")), [""; 0]);
    }

    #[cfg(unix)]
    #[test]
    fn nothing_is_written_through_a_link() {
        use std::os::unix::fs::symlink;

        let elsewhere = tempfile::tempdir().unwrap();
        let directory = tempfile::tempdir().unwrap();
        symlink(elsewhere.path(), directory.path().join("d")).unwrap();
        let error = save(directory.path(), events("d/a", "x", 0o644)).unwrap_err();
        let text = format!("cannot write {}", directory.path().join("d").display());
        assert_eq!(error.to_string(), text);
        assert_eq!(names(elsewhere.path()), [""; 0]);

        // A link in the place of the file is replaced; what it leads to stays as it is.
        fs::write(elsewhere.path().join("b"), "before").unwrap();
        symlink(elsewhere.path().join("b"), directory.path().join("b")).unwrap();
        let saved = save(directory.path(), events("b", "after", 0o644)).unwrap();
        assert!(!fs::symlink_metadata(&saved[0]).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&saved[0]).unwrap(), "after");
        let linked = fs::read_to_string(elsewhere.path().join("b"));
        assert_eq!(linked.unwrap(), "before");
    }

    #[cfg(unix)]
    #[test]
    fn what_is_of_another_kind_is_in_nobodys_way() {
        use std::os::unix::fs::PermissionsExt as _;

        for overwrites in [false, true] {
            let directory = tempfile::tempdir().unwrap();
            let at = |name: &str| directory.path().join(name);
            fs::write(at("d"), "before").unwrap();
            std::os::unix::fs::symlink(".", at("link")).unwrap();
            fs::create_dir(at("f")).unwrap();
            let saver = Saver::new(directory.path()).with_overwrite(overwrites);
            let mut saver = saver.with_renaming(true);
            saver.set_directory_mode("d", 0o750);
            for path in ["d/a", "d/b", "d/deep/c", "link/e", "f"] {
                for event in events(path, path, 0o644) {
                    saver.handle(event).unwrap();
                }
            }
            let entry = events_of(tar::EntryType::Directory, "d/empty", "", 0o700);
            for event in entry {
                saver.handle(event).unwrap();
            }
            saver.finish().unwrap();
            let renamed = ["d", "link", "f"].map(|name| (at(name), at(&format!("{name}.1"))));
            assert_eq!(saver.renamed(), renamed);
            for path in ["d.1/a", "d.1/b", "d.1/deep/c", "link.1/e", "f.1"] {
                let content = fs::read_to_string(at(path)).unwrap();
                assert_eq!(content, path.replacen(".1", "", 1));
            }
            assert!(at("d.1/empty").is_dir());
            let mode = fs::metadata(at("d.1")).unwrap().permissions().mode();
            assert_eq!((mode & 0o700, mode & 0o007), (0o700, 0));
            assert_eq!(fs::read_to_string(at("d")).unwrap(), "before");
            assert_eq!(names(directory.path()).len(), 6);
        }
    }

    #[test]
    fn after_a_failure_the_rest_can_be_written() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("d"), "before").unwrap();
        let mut saver = Saver::new(directory.path());
        for event in [events("d/a", "x", 0o644), events("b", "y", 0o644)].concat() {
            // The beginning of the first one.
            let _ = saver.handle(event);
        }
        assert_eq!(saver.saved(), [directory.path().join("b")]);
        assert_eq!(fs::read_to_string(&saver.saved()[0]).unwrap(), "y");
        assert_eq!(names(directory.path()), ["b", "d"]);
    }

    #[test]
    fn a_directory_in_the_way_is_named() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("a")).unwrap();
        let error = save(directory.path(), events("a", "x", 0o644)).unwrap_err();
        let text = format!("cannot write {}", directory.path().join("a").display());
        assert_eq!(error.to_string(), text);
        assert_eq!(names(directory.path()), ["a"]);
    }
}
