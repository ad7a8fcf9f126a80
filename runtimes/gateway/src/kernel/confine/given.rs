//! Places that the configuration gives to kernels, and a gateway that is root: either its kernels are other users, who need
//! permission, or they are root as well, who needs none.

use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The most files that are looked at in one place.
const MAX_FILES: usize = 10_000;
/// What others may: read; pass through a directory or start a program.
const READ: u32 = 0o004;
const PASS: u32 = 0o001;
const WRITE: u32 = 0o002;

/// Warns of places that are not there.
pub(super) fn warn_of_missing(places: &[PathBuf]) {
    for place in places {
        if let Err(error) = fs::metadata(place) {
            let path = place.display();
            tracing::warn!(%path, %error, "kernels cannot use what they are given");
        }
    }
}

/// A place that the configuration lets kernels use, and that is closed to them: those of a gateway that is root are other
/// users. `Display` says how to open it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClosedPlace {
    /// Where it is.
    pub path: PathBuf,
    /// Whether it was to be written to, and not only read.
    pub is_written: bool,
}

impl fmt::Display for ClosedPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (use_it, mode) = match (self.is_written, self.path.is_dir()) {
            (false, false) => ("read", "o+r"),
            (false, true) => ("read", "o+rx"),
            (true, false) => ("write to", "o+rw"),
            (true, true) => ("write to", "o+rwx"),
        };
        let path = self.path.display();
        write!(
            f,
            "The program runs as another user, who cannot {use_it} {path}: allow it with `chmod {mode} {path}`, or run the gateway as a user other than root."
        )
    }
}

/// The places that are closed to other users. Each is logged. What is above them does not matter: boxes have directories of
/// their own there.
pub(super) fn closed(readable: &[PathBuf], writable: &[PathBuf]) -> Vec<ClosedPlace> {
    let all = readable.iter().map(|it| (it, READ));
    let all = all.chain(writable.iter().map(|it| (it, READ | WRITE)));
    let closed = all.filter_map(|(path, needed)| {
        let metadata = fs::metadata(path).ok()?;
        let pass = if metadata.is_dir() { PASS } else { 0 };
        let closed = ClosedPlace {
            path: path.clone(),
            is_written: needed & WRITE != 0,
        };
        (!allows(&metadata, needed | pass)).then_some(closed)
    });
    let closed: Vec<_> = closed.collect();
    for place in &closed {
        tracing::warn!("{place}");
    }
    closed
}

/// Warns of places that are open to kernels that are root, and closed to other users.
pub(super) fn warn(readable: &[PathBuf], writable: &[PathBuf]) {
    for place in readable.iter().chain(writable) {
        if let Some(closed) = closed_to_others(place).or_else(|| closed_within(place)) {
            let (path, closed) = (place.display(), closed.display());
            tracing::warn!(%path, %closed, "kernels are given what other users cannot read: without namespaces, kernels of root are root");
        }
    }
}

/// The part of a path that keeps others from reading what is there, if one does. The path need not exist.
fn closed_to_others(path: &Path) -> Option<PathBuf> {
    let path = path.canonicalize().ok()?;
    let metadata = fs::metadata(&path).ok()?;
    let pass = if metadata.is_dir() { PASS } else { 0 };
    if !allows(&metadata, READ | pass) {
        return Some(path);
    }
    let mut above = path.ancestors().skip(1);
    let closed = above.find(|it| fs::metadata(it).is_ok_and(|it| !allows(&it, PASS)));
    closed.map(Path::to_owned)
}

/// The first file or directory below a directory that others cannot read. Links are not followed.
fn closed_within(path: &Path) -> Option<PathBuf> {
    let mut open = vec![path.to_owned()];
    let mut seen = 0;
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            seen += 1;
            if seen > MAX_FILES {
                return None;
            }
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            let needed = if metadata.is_dir() { READ | PASS } else { READ };
            if !metadata.is_symlink() && !allows(&metadata, needed) {
                return Some(entry.path());
            }
            if metadata.is_dir() {
                open.push(entry.path());
            }
        }
    }
    None
}

fn allows(metadata: &fs::Metadata, others: u32) -> bool {
    metadata.mode() & others == others
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn set(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn what_is_closed_to_others_is_found() {
        let directory = tempfile::tempdir().unwrap();
        let outer = directory.path().canonicalize().unwrap();
        let place = outer.join("place");
        let inner = place.join("inner");
        let file = inner.join("file");
        fs::create_dir_all(&inner).unwrap();
        fs::write(&file, "").unwrap();
        for (path, mode) in [
            (&outer, 0o755),
            (&place, 0o755),
            (&inner, 0o755),
            (&file, 0o644),
        ] {
            set(path, mode);
        }
        assert_eq!(closed_to_others(&place), None);
        assert_eq!(closed_within(&place), None);
        let written = ClosedPlace {
            path: place.clone(),
            is_written: true,
        };
        let (all, none) = ([place.clone()], []);
        assert_eq!(closed(&all, &all), [written]);
        assert_eq!(closed(&all, &none), []);
        std::os::unix::fs::symlink("/nowhere", place.join("link")).unwrap();
        set(&file, 0o640);
        assert_eq!(closed_within(&place), Some(file.clone()));
        assert_eq!(closed_to_others(&file), Some(file));
        set(&inner, 0o750);
        assert_eq!(closed_within(&place), Some(inner));
        set(&outer, 0o700);
        assert_eq!(closed_to_others(&place), Some(outer));
        assert_eq!(closed_to_others(Path::new("/no/such/place")), None);
    }
}
