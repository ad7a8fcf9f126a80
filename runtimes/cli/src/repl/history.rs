//! What was typed at earlier prompts: a file for each language in the state directory, which only its user can read.
//!
//! An entry is a line; line ends in it are `\n`, and backslashes `\\`. What programs ask for is never in it.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;

use etcetera::BaseStrategy;
use rustix::fs::{FlockOperation, OFlags, flock};

use super::language;
use crate::left;

/// The variable that names another directory.
const VARIABLE: &str = "SORNA_HISTORY";

/// The most entries that are kept.
pub(super) const MOST: usize = 1000;

/// The most bytes that are read of a file.
const MOST_BYTES: u64 = 4 << 20;

/// The file; `None` if nothing is kept.
#[derive(Debug)]
pub(super) struct History(Option<PathBuf>);

impl History {
    /// That of a language.
    pub(super) fn of(lang: &str, is_kept: bool) -> Self {
        let directory = match std::env::var_os(VARIABLE) {
            _ if !is_kept => None,
            Some(directory) if directory.is_empty() => None,
            Some(directory) => Some(PathBuf::from(directory)),
            None => etcetera::choose_base_strategy().ok().map(|strategy| {
                let state = strategy.state_dir().unwrap_or_else(|| strategy.data_dir());
                state.join("sorna").join("history")
            }),
        };
        let name = left::plain(&language::name(lang));
        Self(directory.map(|directory| directory.join(name)))
    }

    /// The entries, the oldest first. If there are far too many, the oldest are dropped from the file.
    pub(super) fn read(&self) -> Vec<String> {
        let mut text = String::new();
        let file = self.open().ok();
        let Some(mut file) = file.filter(|file| {
            let mut file = file.take(MOST_BYTES);
            file.read_to_string(&mut text).is_ok()
        }) else {
            return Vec::new();
        };
        let mut lines: Vec<&str> = text.lines().collect();
        if lines.len() > 2 * MOST {
            lines.drain(..lines.len() - MOST);
            let kept: String = lines.iter().flat_map(|line| [line, "\n"]).collect();
            // It was opened to append: what is cut off begins anew.
            let _ = file
                .set_len(0)
                .and_then(|()| file.write_all(kept.as_bytes()));
        }
        lines.into_iter().map(decoded).collect()
    }

    /// Adds an entry. If that is not possible, it is not kept.
    pub(super) fn add(&self, entry: &str) {
        let line = encoded(entry) + "\n";
        let _ = self
            .open()
            .and_then(|mut file| file.write_all(line.as_bytes()));
    }

    /// Opens it for this process alone.
    fn open(&self) -> io::Result<File> {
        let Some(path) = &self.0 else {
            return Err(io::ErrorKind::NotFound.into());
        };
        if let Some(directory) = path.parent().filter(|it| fs::metadata(it).is_err()) {
            let mut builder = DirBuilder::new();
            builder.recursive(true).mode(0o700).create(directory)?;
        }
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed())
            .open(path)?;
        flock(&file, FlockOperation::LockExclusive)?;
        Ok(file)
    }
}

fn encoded(entry: &str) -> String {
    entry.replace('\\', "\\\\").replace('\n', "\\n")
}

fn decoded(line: &str) -> String {
    let mut entry = String::new();
    let mut characters = line.chars();
    while let Some(next) = characters.next() {
        match (next, next == '\\') {
            (_, true) => match characters.next() {
                Some('n') => entry.push('\n'),
                Some(other) => entry.push(other),
                None => entry.push('\\'),
            },
            (other, false) => entry.push(other),
        }
    }
    entry
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn entries_have_a_line_each() {
        for entry in ["x = 1", "def f():\n\treturn '\\n'\n", "\\", "é\\\\n"] {
            assert!(!encoded(entry).contains('\n'));
            assert_eq!(decoded(&encoded(entry)), entry);
        }
        assert_eq!(decoded("a\\"), "a\\");
    }

    #[test]
    fn the_oldest_entries_are_dropped_and_others_cannot_read_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/b/python3");
        let history = History(Some(path.clone()));
        assert!(history.read().is_empty());
        for number in 0..=2 * MOST {
            history.add(&number.to_string());
        }
        let mode = path.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let kept = history.read();
        assert_eq!(kept.len(), MOST);
        assert_eq!(kept.last(), Some(&(2 * MOST).to_string()));
        assert_eq!(history.read(), kept);
    }

    #[test]
    fn a_link_is_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("target");
        fs::write(&target, "").unwrap();
        let path = directory.path().join("link");
        std::os::unix::fs::symlink(&target, &path).unwrap();
        History(Some(path)).add("x");
        assert_eq!(fs::read_to_string(&target).unwrap(), "");
    }
}
