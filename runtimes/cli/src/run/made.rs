//! What a program has made or changed in its work directory: `--output` and `--show-files`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use clap::Args;
use sorna::blocking::Kernel;
use sorna::protocol::ListFiles;
use sorna::{BuildError, Dialect, Error, FileInfo};

use crate::advice::show_error;
use crate::failure::Failure;
use crate::fetch::{Fetch, check_directory};
use crate::harmless::safe;
use crate::json::{self, Event};
use crate::reporter::Reporter;
use crate::target::Target;
use crate::units::count;

/// How deep directories are followed, and how many files there may be.
const MAX_DEPTH: usize = 64;
const MAX_FILES: usize = 100_000;

/// How many files are named that were saved.
const MOST: usize = 10;

/// What interpreters keep for themselves. It is nothing that the program has made.
const CACHE: &str = "__pycache__";

/// What to do with the files that a program makes.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct MadeArgs {
    /// Bring back what the program, and its build, made or changed in its work directory, into this directory, which is
    /// created if needed; also if it fails. Files that are there stay, and the new ones of their names get `.1` at the end,
    /// unless --overwrite is given; so do directories where files are. What cannot be written is named, and the rest is
    /// saved. In Sorna v2 this works with gateways of `sorna serve`.
    #[arg(long, value_name = "DIR", conflicts_with = "enqueue")]
    output: Option<PathBuf>,

    /// Replace files that are in the directory of --output already.
    #[arg(long, requires = "output")]
    overwrite: bool,

    /// Say which files the program, and its build, made or changed, and how many bytes they have.
    #[arg(long, conflicts_with = "enqueue")]
    show_files: bool,
}

/// The files before the program, and what is to be done with those after it.
pub(super) struct Made<'a> {
    arguments: &'a MadeArgs,
    target: &'a Target,
    before: Option<Result<Tree, Error>>,
}

impl<'a> Made<'a> {
    /// Checks what can be checked before anything is done.
    pub(super) fn new(arguments: &'a MadeArgs, target: &'a Target) -> Result<Self, Failure> {
        if let Some(output) = &arguments.output {
            check_directory(output, "--output")?;
            // What cannot be written must be known before there is something to be lost.
            fs::create_dir_all(output).map_err(|error| {
                Failure::usage(format!(
                    "cannot create the directory {} (from --output): {error}",
                    output.display()
                ))
            })?;
        }
        Ok(Self {
            arguments,
            target,
            before: None,
        })
    }

    /// Whether there is something to do.
    pub(super) fn is_wanted(&self) -> bool {
        self.arguments.output.is_some() || self.arguments.show_files
    }

    /// Checks whether the gateway lists files.
    pub(super) fn check(&self, dialect: Dialect) -> Result<(), Failure> {
        if !self.is_wanted() || dialect != Dialect::SornaV2 {
            return Ok(());
        }
        match self.target.client.offers(ListFiles::FILES) {
            Ok(true) => Ok(()),
            Ok(false) => Err(Failure::Argument(BuildError::NotOffered {
                what: "lists of files",
            })),
            Err(error) => Err(Failure::Request {
                advice: crate::advice::advice(&error, self.target),
                error: Box::new(error),
            }),
        }
    }

    /// Notes what is there before the program begins.
    pub(super) fn begin(&mut self, kernel: &Kernel) {
        if self.is_wanted() && self.before.is_none() {
            self.before = Some(Tree::of(kernel));
        }
    }

    /// Looks at what is there now, once; whether all has worked.
    pub(super) fn end(&mut self, kernel: &Kernel, reporter: &mut Reporter) -> bool {
        let Some(before) = self.before.take() else {
            return true;
        };
        reporter.wait("Looking at the files...");
        let made = before.and_then(|before| Ok((Tree::of(kernel)?, before)));
        let (mut now, before) = match made {
            Ok(both) => both,
            Err(error) => {
                reporter.fail("It is not known which files the program made:");
                show_error(reporter, &error, self.target);
                return false;
            }
        };
        let others: Vec<_> = now.1.difference(&before.1).cloned().collect();
        let modes = std::mem::take(&mut now.2);
        let made = now.since(&before);
        if self.arguments.show_files {
            for (path, entry) in &made {
                if json::is_on() {
                    let bytes = (!entry.is_directory).then_some(entry.size);
                    let _ = json::emit(&Event::Made { path, bytes });
                    continue;
                }
                match entry.is_directory {
                    true => reporter.advice(format_args!("Made {}/", safe(path))),
                    false => {
                        let bytes =
                            count(usize::try_from(entry.size).unwrap_or(usize::MAX), "byte");
                        reporter.advice(format_args!("Made {} ({bytes})", safe(path)));
                    }
                }
            }
            if made.is_empty() {
                reporter.advice("The program made no files.");
            }
        }
        if !others.is_empty() {
            let names: Vec<_> = others.iter().take(MOST).map(|path| safe(path)).collect();
            let more = if others.len() > MOST { ", ..." } else { "" };
            reporter.advice(format_args!(
                "Left out, since they are links or pipes, not files: {}{more}",
                names.join(", ")
            ));
        }
        let Some(output) = &self.arguments.output else {
            return true;
        };
        self.bring(kernel, &made, &modes, output, reporter)
    }

    fn bring(
        &self,
        kernel: &Kernel,
        made: &BTreeMap<String, Entry>,
        modes: &BTreeMap<String, u32>,
        output: &Path,
        reporter: &mut Reporter,
    ) -> bool {
        let files = wanted(made);
        let mut fetch = Fetch::into(output, self.arguments.overwrite).renaming();
        fetch.set_directory_modes(modes.iter().map(|(path, mode)| (path.as_str(), *mode)));
        let fetched = fetch.fetch(kernel, &files, reporter);
        let is_incomplete = fetch.report(reporter);
        let saved = fetch.saved();
        let names = saved.iter().take(MOST).map(|path| {
            let path = path.strip_prefix(output).unwrap_or(path);
            safe(&path.display().to_string())
        });
        let mut names = names.collect::<Vec<_>>().join(", ");
        if saved.len() > MOST {
            names += ", ...";
        }
        for path in &saved {
            let bytes = fs::metadata(path).map_or(0, |it| it.len());
            let path = &path.to_string_lossy();
            let _ = json::emit(&Event::Saved { path, bytes });
        }
        let directory = output.display();
        let number = count(saved.len(), "file");
        match (saved.is_empty(), files.is_empty()) {
            (false, _) => reporter.done(format_args!("Saved {number} to {directory}: {names}")),
            (true, true) => reporter.done("The program made no files to be saved."),
            (true, false) => {}
        }
        if let Some(files) = fetch.unavailable() {
            reporter.fail(files);
        }
        if let Err(error) = &fetched {
            show_error(reporter, error, self.target);
        }
        fetched.is_ok() && !is_incomplete && fetch.unavailable().is_none()
    }
}

/// A file or directory, as far as changes show.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Entry {
    is_directory: bool,
    size: u64,
    modified: Option<SystemTime>,
    changed: Option<SystemTime>,
}

impl Entry {
    fn of(file: &FileInfo) -> Self {
        // What is in a directory is looked at by itself.
        let is_directory = file.is_directory();
        Self {
            is_directory,
            size: if is_directory { 0 } else { file.size },
            modified: file.modified.filter(|_| !is_directory),
            changed: file.changed.filter(|_| !is_directory),
        }
    }
}

/// The files and directories of a kernel, by their paths, and what is neither: links and pipes, which are left out. And the
/// permissions of the directories.
#[derive(Debug, Default)]
struct Tree(
    BTreeMap<String, Entry>,
    BTreeSet<String>,
    BTreeMap<String, u32>,
);

impl Tree {
    fn of(kernel: &Kernel) -> Result<Self, Error> {
        let mut tree = Self::default();
        tree.add(kernel, "", 0)?;
        Ok(tree)
    }

    fn add(&mut self, kernel: &Kernel, directory: &str, depth: usize) -> Result<(), Error> {
        let place = if directory.is_empty() { "." } else { directory };
        let listing = match kernel.list_files(place) {
            Ok(listing) => listing,
            // It may have been removed meanwhile, or closed by the program.
            Err(error) if depth > 0 && error.gateway().is_some() => return Ok(()),
            Err(error) => return Err(error),
        };
        for file in &listing.files {
            let path = match directory {
                "" => file.name.clone(),
                directory => format!("{directory}/{}", file.name),
            };
            if file.name == CACHE || self.0.len() + self.1.len() > MAX_FILES {
                continue;
            }
            if !(file.mode.starts_with('-') || file.is_directory()) {
                self.1.insert(path);
                continue;
            }
            self.0.insert(path.clone(), Entry::of(file));
            if let Some(mode) = file.permissions().filter(|_| file.is_directory()) {
                self.2.insert(path.clone(), mode);
            }
            if file.is_directory() && depth < MAX_DEPTH {
                self.add(kernel, &path, depth + 1)?;
            }
        }
        Ok(())
    }

    /// What is new or has changed.
    fn since(self, before: &Self) -> BTreeMap<String, Entry> {
        let is_new = |path: &String, entry: &Entry| before.0.get(path) != Some(entry);
        self.0
            .into_iter()
            .filter(|(path, entry)| is_new(path, entry))
            .collect()
    }
}

/// What to download for these: the files, and the directories that have none.
fn wanted(made: &BTreeMap<String, Entry>) -> Vec<String> {
    let has_more = |path: &str| {
        let below = format!("{path}/");
        let mut after = made.range(below.clone()..);
        after
            .next()
            .is_some_and(|(next, _)| next.starts_with(&below))
    };
    let wanted = made
        .iter()
        .filter(|(path, it)| !it.is_directory || !has_more(path));
    wanted.map(|(path, _)| path.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(entries: &[(&str, bool, u64)]) -> Tree {
        let entry = |&(path, is_directory, size): &(&str, bool, u64)| {
            let (modified, changed) = (None, None);
            let entry = Entry {
                is_directory,
                size,
                modified,
                changed,
            };
            (path.to_owned(), entry)
        };
        Tree(
            entries.iter().map(entry).collect(),
            BTreeSet::new(),
            BTreeMap::new(),
        )
    }

    #[test]
    fn what_is_new_or_changed_is_wanted_once() {
        let before = tree(&[
            ("a", false, 1),
            ("b", false, 1),
            ("d", true, 0),
            ("d/c", false, 1),
        ]);
        let now = tree(&[
            ("a", false, 1),
            ("b", false, 2),
            ("d", true, 0),
            ("d/c", false, 1),
            ("d/new", false, 1),
            ("e", true, 0),
            ("e-x", false, 1),
            ("e/empty", true, 0),
            ("e/f", false, 3),
        ]);
        let made = now.since(&before);
        assert_eq!(wanted(&made), ["b", "d/new", "e-x", "e/empty", "e/f"]);
        assert_eq!(made["e/f"].size, 3);
    }

    #[test]
    fn a_file_that_became_a_directory_has_changed() {
        let made = tree(&[("a", true, 0)]).since(&tree(&[("a", false, 0)]));
        assert_eq!(wanted(&made), ["a"]);
        assert!(
            tree(&[("a", true, 0)])
                .since(&tree(&[("a", true, 0)]))
                .is_empty()
        );
    }
}
