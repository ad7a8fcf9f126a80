//! Which files the rules in a directory and above it leave out.
//!
//! Crate `ignore` knows these rules, too, but with regular expressions: 11 more crates, and 890 KiB in a program
//! that is optimized for size (measured with 0.4.35). `tests/drivers/ignored.rs` compares the results with git's.

use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use super::FilesError;
use super::rule::Rule;

/// The files with rules. The first one takes precedence, wherever it is.
const FILES: [&str; 3] = [".sornaignore", ".ignore", ".gitignore"];

/// The rules that apply in a directory: its own, and those of the directories above.
#[derive(Debug, Default)]
pub(super) struct Ignored {
    /// The names of the directories in the path, each with `/` after it.
    way: Vec<u8>,
    /// From the outermost directory to the innermost.
    levels: Vec<Level>,
}

#[derive(Debug)]
struct Level {
    /// The length of the path to the parent directory.
    outside: usize,
    /// The length of the path to this one.
    inside: usize,
    /// In the order of [`FILES`].
    rules: [Vec<Rule>; FILES.len()],
    /// A `.gitignore` outside of a repository does not apply inside it.
    is_repository: bool,
}

impl Ignored {
    /// The rules that apply in a directory, whose path has neither links nor relative parts.
    pub(super) fn of(directory: &Path) -> Result<Self, FilesError> {
        let mut ignored = Self::default();
        let mut directories: Vec<&Path> = directory.ancestors().collect();
        directories.reverse();
        for entered in directories {
            let name = entered.file_name().unwrap_or_default();
            match ignored.enter(name, entered) {
                // A file that this user may not read has no rules for us.
                Err(FilesError::Unreadable(_, error))
                    if error.kind() == ErrorKind::PermissionDenied && entered != directory =>
                {
                    ignored.push(name, Default::default(), false);
                }
                result => result?,
            }
        }
        Ok(ignored)
    }

    /// Enters a directory with this name in the current one, and adds its rules.
    pub(super) fn enter(&mut self, name: &OsStr, directory: &Path) -> Result<(), FilesError> {
        let mut rules = <[Vec<Rule>; FILES.len()]>::default();
        for (file, rules) in FILES.iter().zip(&mut rules) {
            let path = directory.join(file);
            match fs::read(&path) {
                Ok(lines) => *rules = Rule::all(&lines),
                // A directory with such a name has no rules.
                Err(error)
                    if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::IsADirectory) => {}
                Err(error) => return Err(FilesError::Unreadable(path, error)),
            }
        }
        self.push(name, rules, directory.join(".git").exists());
        Ok(())
    }

    fn push(&mut self, name: &OsStr, rules: [Vec<Rule>; FILES.len()], is_repository: bool) {
        let outside = self.way.len();
        self.way.extend_from_slice(name.as_encoded_bytes());
        self.way.push(b'/');
        self.levels.push(Level {
            outside,
            inside: self.way.len(),
            rules,
            is_repository,
        });
    }

    /// Returns to the parent directory.
    pub(super) fn leave(&mut self) {
        if let Some(level) = self.levels.pop() {
            self.way.truncate(level.outside);
        }
    }

    /// Whether an entry of the current directory is left out. Hidden ones are, unless a rule brings
    /// them back.
    pub(super) fn has(&self, name: &OsStr, is_directory: bool) -> bool {
        let name = name.as_encoded_bytes();
        let path = [&self.way, name].concat();
        let verdict = (0..FILES.len()).find_map(|file| self.verdict(file, &path, is_directory));
        match verdict {
            Some(keeps) => !keeps,
            None => name.starts_with(b"."),
        }
    }

    /// The verdict of the innermost directory whose rules match, by the last rule that does.
    fn verdict(&self, file: usize, path: &[u8], is_directory: bool) -> Option<bool> {
        let is_git = FILES[file] == ".gitignore";
        for level in self.levels.iter().rev() {
            let below = &path[level.inside..];
            let mut rules = level.rules[file].iter().rev();
            let verdict = rules.find_map(|rule| rule.verdict(below, is_directory));
            if verdict.is_some() || (is_git && level.is_repository) {
                return verdict;
            }
        }
        None
    }
}
