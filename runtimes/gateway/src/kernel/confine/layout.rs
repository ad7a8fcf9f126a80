//! Which files of the machine a box has, as its root is put together from them.

use std::ffi::OsString;
use std::fs;
use std::path::{Component, Path, PathBuf};

use super::places::SystemPlaces;
use crate::boxes::plan::Mount;

/// How many symbolic links may follow one another, as for the system.
const MAX_LINKS: usize = 40;
/// What boxes do not take from the machine, as they have their own.
const OWN: &[&str] = &["/dev/shm", "/proc", "/sys/fs/cgroup"];
/// Directories that programs expect, with nothing in them but what is given to them.
const EXPECTED: &[&str] = &["/home", "/run"];

/// What is where, in its order.
pub(super) type Mounts = Vec<(PathBuf, Mount)>;
/// Symbolic links, and what is in them.
pub(super) type Links = Vec<(PathBuf, PathBuf)>;

/// Files and directories, by paths without links, and the links that lead to them.
#[derive(Clone, Debug, Default)]
pub(super) struct Layout {
    mounts: Mounts,
    links: Links,
}

impl Layout {
    /// What all boxes of a gateway have whose files are in this directory.
    pub(super) fn of_system(system: &SystemPlaces, directory: &Path) -> Self {
        let mut this = Self::default();
        for (path, mount) in [
            ("/dev", Mount::Devices),
            ("/proc", Mount::Processes),
            ("/tmp", Mount::Temporary),
        ] {
            this.mounts.push((path.into(), mount));
        }
        for path in EXPECTED {
            this.mounts.push((path.into(), Mount::Directory));
        }
        // One directory for all temporary files takes one file system.
        this.links.push(("/var/tmp".into(), "/tmp".into()));
        let is_taken = |path: &&PathBuf| !OWN.iter().any(|own| path.as_path() == Path::new(own));
        for path in system.readable.iter().filter(is_taken) {
            this.add(path, Mount::ReadOnly);
        }
        for path in system.shared.iter().filter(is_taken) {
            this.add(path, Mount::Writable);
        }
        for path in &system.given_readable {
            this.give(path, Mount::ReadOnly);
        }
        for path in &system.given_writable {
            this.give(path, Mount::Writable);
        }
        // The files of other kernels are not given with what is around them.
        let is_around = |(path, mount): &(PathBuf, Mount)| {
            matches!(mount, Mount::ReadOnly | Mount::Writable) && directory.starts_with(path)
        };
        if this.mounts.iter().any(is_around) {
            this.mounts.push((directory.to_owned(), Mount::Empty));
        }
        this
    }

    /// Adds what the configuration asks for, even in the place of temporary files that a box has of its own.
    fn give(&mut self, path: &Path, mount: Mount) {
        if let Ok(path) = path.canonicalize() {
            self.mounts
                .retain(|(there, mount)| *mount != Mount::Temporary || *there != path);
        }
        self.add(path, mount);
    }

    /// Adds what is at a path, if there is something, and the links on the way to it.
    pub(super) fn add(&mut self, path: &Path, mount: Mount) {
        let mut rest: Vec<OsString> = words(path);
        let mut here = PathBuf::from("/");
        let mut links = 0;
        while let Some(word) = rest.pop() {
            if word == ".." {
                here.pop();
                continue;
            }
            let next = here.join(&word);
            let Ok(metadata) = fs::symlink_metadata(&next) else {
                return;
            };
            if !metadata.is_symlink() {
                here = next;
                continue;
            }
            links += 1;
            let Ok(target) = fs::read_link(&next) else {
                return;
            };
            if links > MAX_LINKS {
                return;
            }
            if target.is_absolute() {
                here = PathBuf::from("/");
            }
            rest.extend(words(&target));
            self.links.push((next, target));
        }
        self.put(here, mount);
    }

    fn put(&mut self, path: PathBuf, mount: Mount) {
        match self.mounts.iter_mut().find(|(there, _)| *there == path) {
            // What boxes have of their own is not replaced by what the machine has.
            Some((_, there)) if matches!(there, Mount::ReadOnly | Mount::Directory) => {
                *there = mount;
            }
            Some(_) => {}
            None => self.mounts.push((path, mount)),
        }
    }

    /// The mounts in their order, without those that others cover, and the links.
    pub(super) fn finish(mut self) -> (Mounts, Links) {
        self.mounts
            .sort_unstable_by(|one, other| one.0.cmp(&other.0));
        self.links.sort_unstable();
        self.links.dedup();
        let mut mounts = Mounts::new();
        for (path, mount) in self.mounts {
            let above = mounts.iter().rev().find(|it| path.starts_with(&it.0));
            let covers = matches!(mount, Mount::ReadOnly | Mount::Writable);
            if !(covers && above.is_some_and(|it| it.1 == mount)) {
                mounts.push((path, mount));
            }
        }
        (mounts, self.links)
    }
}

/// The words of a path, the last first.
fn words(path: &Path) -> Vec<OsString> {
    let words = path.components().rev().filter_map(|part| match part {
        Component::Normal(word) => Some(word.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    });
    words.collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_are_followed_and_kept_and_what_is_covered_is_left_out() {
        let base = tempfile::tempdir().unwrap();
        let base = base.path().canonicalize().unwrap();
        fs::create_dir_all(base.join("real/inner")).unwrap();
        fs::write(base.join("real/inner/file"), "").unwrap();
        symlink("real", base.join("alias")).unwrap();
        symlink(base.join("alias/inner"), base.join("other")).unwrap();
        let mut layout = Layout::default();
        layout.add(&base.join("other/file"), Mount::ReadOnly);
        layout.add(&base.join("missing"), Mount::ReadOnly);
        let (mounts, links) = layout.clone().finish();
        let file = base.join("real/inner/file");
        assert_eq!(mounts, [(file.clone(), Mount::ReadOnly)]);
        let expected = [
            (base.join("alias"), PathBuf::from("real")),
            (base.join("other"), base.join("alias/inner")),
        ];
        assert_eq!(links, expected);

        layout.add(&base.join("real"), Mount::ReadOnly);
        layout.add(&base.join("real/inner"), Mount::Writable);
        layout.add(&base.join("alias/inner"), Mount::ReadOnly);
        let (mounts, _) = layout.finish();
        let expected = [
            (base.join("real"), Mount::ReadOnly),
            (base.join("real/inner"), Mount::Writable),
            // Readable only, though in a writable directory, since that was asked for.
            (file, Mount::ReadOnly),
        ];
        assert_eq!(mounts, expected);
    }
}
