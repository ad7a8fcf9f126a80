//! Whether what a gateway accepted is really there.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};

use crate::caller::Caller;
use crate::error::{Error, ErrorBody, GatewayError, NotStored, RejectedFile, TransportError};
use crate::ident::KernelId;
use crate::instant::Instant;
use crate::machine::call::Call;
use crate::machine::step::{Machine, Step};
use crate::moment::Moment;
use crate::ops::{FileInfo, FileListing, ListFiles, Reply, UploadFile};

/// How many directories with uploaded files are listed, so that an upload of many directories does not take many
/// times as long. Those with the most files come first.
const MOST_DIRECTORIES: usize = 100;

/// How many lists are requested in all: a directory that cannot be listed is looked for in the one above it.
const MOST_LISTS: usize = 2 * MOST_DIRECTORIES;

/// When the last list is requested, from the first one on. (Observed on both managers: a list takes as long as the
/// start of Python in the container, which is seconds on a busy machine.)
const MOST_TIME: Duration = Duration::from_secs(30);

/// Where files are, on the kernel's side.
const WORK_DIRECTORY: &str = "/home/work";

/// Lists the directories of files that were accepted, the deepest first.
///
/// ```text
///   new ─► list a directory ──► the next one ──► … ──► Done
///              │ listed: each file must be in it
///              │ reported as an error: is it in the directory above, and a directory? Its files are not known then
///              └ any other error: nothing is known of all the rest
/// ```
#[derive(Debug)]
pub(super) struct Check {
    kernel: KernelId,
    caller: Caller,
    files: Vec<File>,
    /// What to look for, in which directories.
    directories: BTreeMap<Directory, Vec<Wanted>>,
    current: Option<(Directory, Vec<Wanted>, Call<ListFiles>)>,
    /// How many lists may still be requested, and until when.
    lists: usize,
    deadline: Option<Instant>,
    is_spent: bool,
}

/// A file that was accepted.
#[derive(Debug)]
pub(super) struct File {
    name: String,
    size: u64,
    /// The status of the response that accepted it.
    status: StatusCode,
    found: Found,
}

#[derive(Debug)]
enum Found {
    Unknown,
    Stored,
    Not(NotStored),
}

/// A directory below the work directory; empty for that itself. The deepest comes first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Directory {
    depth: Reverse<usize>,
    path: String,
}

/// What should be in a directory.
#[derive(Debug)]
enum Wanted {
    File(usize),
    /// A directory that could not be listed, and the files that should be somewhere below it.
    Directory(String, Vec<usize>),
}

/// What was found out.
#[derive(Debug, Default)]
pub(super) struct Checked {
    pub(super) not_stored: Vec<RejectedFile>,
    /// How many files may be there or not.
    pub(super) unknown: usize,
}

impl File {
    pub(super) fn new(file: &UploadFile, status: StatusCode) -> Self {
        Self {
            name: file.name().to_owned(),
            size: file.size(),
            status,
            found: Found::Unknown,
        }
    }
}

impl Directory {
    fn new(path: &str) -> Self {
        let depth = match path {
            "" => 0,
            path => 1 + path.matches('/').count(),
        };
        Self {
            depth: Reverse(depth),
            path: path.to_owned(),
        }
    }

    /// The path to list.
    fn requested(&self) -> &str {
        match self.path.as_str() {
            "" => ".",
            path => path,
        }
    }

    /// Whether this is the path that a list is of, as far as the gateway says so. (Observed on 26.9.6: the official
    /// client of that release always gets the list of the work directory.)
    fn is_listed(&self, listing: &FileListing) -> bool {
        let path = listing.path.as_str();
        let below = match path.strip_prefix(WORK_DIRECTORY) {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => rest,
            _ => path,
        };
        let parts = |path: &str| -> Vec<String> {
            let parts = path.split('/').filter(|part| !matches!(*part, "" | "."));
            parts.map(str::to_owned).collect()
        };
        path.is_empty() || parts(below) == parts(&self.path)
    }
}

/// The directory of a path, and the name there.
fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

impl Check {
    pub(super) fn new(kernel: KernelId, files: Vec<File>, caller: Caller) -> Self {
        let mut directories: BTreeMap<Directory, Vec<Wanted>> = BTreeMap::new();
        for (index, file) in files.iter().enumerate() {
            let directory = Directory::new(split(&file.name).0);
            let wanted = directories.entry(directory).or_default();
            wanted.push(Wanted::File(index));
        }
        if directories.len() > MOST_DIRECTORIES {
            let mut all: Vec<_> = directories.into_iter().collect();
            all.sort_by_key(|(_, wanted)| Reverse(wanted.len()));
            directories = all.into_iter().take(MOST_DIRECTORIES).collect();
        }
        Self {
            kernel,
            caller,
            files,
            directories,
            current: None,
            lists: MOST_LISTS,
            deadline: None,
            is_spent: false,
        }
    }

    pub(super) fn is_in_flight(&self) -> bool {
        let call = self.current.as_ref();
        call.is_some_and(|(_, _, call)| call.is_in_flight())
    }

    fn next_list(&mut self, now: Moment) -> Option<&mut Call<ListFiles>> {
        if self.current.is_none() {
            let end = now.instant.saturating_add(MOST_TIME);
            if now.instant > *self.deadline.get_or_insert(end) {
                return None;
            }
            self.lists = self.lists.checked_sub(1)?;
            let (directory, wanted) = self.directories.pop_first()?;
            let operation = ListFiles::new(self.kernel.clone(), directory.requested());
            let call = Call::new(operation, self.caller.clone());
            self.current = Some((directory, wanted, call));
        }
        self.current.as_mut().map(|(_, _, call)| call)
    }

    fn listed(&mut self, result: Result<Reply<FileListing>, Error>) {
        let Some((directory, wanted, _)) = self.current.take() else {
            return;
        };
        match result {
            Ok(reply) if directory.is_listed(&reply.value) => {
                self.compare(&directory, wanted, &reply.value);
            }
            Ok(_) => {}
            Err(error) if is_of_directory(&error) => self.ascend(&directory, wanted),
            // The session is gone, or no list comes in time: nor will others.
            Err(_) => self.directories.clear(),
        }
    }

    fn compare(&mut self, directory: &Directory, wanted: Vec<Wanted>, listing: &FileListing) {
        let entries = listing.files.iter().map(|info| (info.name.as_str(), info));
        let entries: BTreeMap<&str, &FileInfo> = entries.collect();
        // A kernel whose locale is not UTF-8 may have it under a name that cannot be written.
        let hides_names = listing
            .files
            .iter()
            .any(|info| info.name.contains('\u{fffd}'));
        let is_hidden = |name: &str| hides_names && !name.is_ascii();
        for wanted in wanted {
            match wanted {
                Wanted::File(index) => {
                    let file = &mut self.files[index];
                    let name = split(&file.name).1;
                    file.found = match entries.get(name) {
                        Some(info) => Found::of(info, file.size),
                        None if is_hidden(name) => Found::Unknown,
                        None => Found::Not(NotStored::Missing),
                    };
                }
                Wanted::Directory(name, files) => {
                    let is_known = match entries.get(name.as_str()) {
                        Some(info) => info.mode.starts_with('-'),
                        None => !is_hidden(&name),
                    };
                    if !is_known {
                        continue;
                    }
                    let path = match directory.path.as_str() {
                        "" => name,
                        above => format!("{above}/{name}"),
                    };
                    for index in files {
                        let path = path.clone();
                        self.files[index].found = Found::Not(NotStored::NoDirectory { path });
                    }
                }
            }
        }
    }

    /// Looks for a directory that cannot be listed in the one above. It cannot be listed either if one of its files
    /// vanishes meanwhile, so that it exists is not certain.
    fn ascend(&mut self, directory: &Directory, wanted: Vec<Wanted>) {
        if directory.path.is_empty() {
            return;
        }
        let (above, name) = split(&directory.path);
        let files = wanted.into_iter().flat_map(|wanted| match wanted {
            Wanted::File(index) => vec![index],
            Wanted::Directory(_, files) => files,
        });
        let wanted = Wanted::Directory(name.to_owned(), files.collect());
        match self.directories.entry(Directory::new(above)) {
            Entry::Occupied(mut entry) => entry.get_mut().push(wanted),
            Entry::Vacant(entry) => {
                entry.insert(vec![wanted]);
            }
        }
    }

    fn end(&mut self) -> Checked {
        let mut checked = Checked::default();
        for file in std::mem::take(&mut self.files) {
            match file.found {
                Found::Stored => {}
                Found::Unknown => checked.unknown += 1,
                Found::Not(reason) => checked.not_stored.push(RejectedFile {
                    name: file.name,
                    error: GatewayError::not_stored(file.status, reason),
                }),
            }
        }
        checked
    }
}

impl Found {
    /// What the entry of a directory says about an upload of this size. Only a regular file has its size there.
    fn of(info: &FileInfo, size: u64) -> Self {
        match info.mode.chars().next() {
            _ if info.is_directory() => Self::Not(NotStored::Directory),
            Some('-') if info.size != size => Self::Not(NotStored::OtherSize { size: info.size }),
            Some('-') => Self::Stored,
            // A link leads somewhere else, and a mode that is missing says nothing.
            _ => Self::Unknown,
        }
    }
}

/// Whether it is about the directory that was listed.
fn is_of_directory(error: &Error) -> bool {
    let error = error.gateway();
    error.is_some_and(|error| matches!(error.error_body(), ErrorBody::Reported { .. }))
}

impl Machine for Check {
    type Event = Infallible;
    type Output = Checked;

    fn poll(&mut self, now: Moment) -> Step<Infallible, Checked> {
        while let Some(call) = self.next_list(now) {
            match call.poll(now).split() {
                Ok(result) => self.listed(result),
                Err(step) => return step.within(|never| never),
            }
        }
        if std::mem::replace(&mut self.is_spent, true) {
            return Step::Idle;
        }
        Step::Done(self.end())
    }

    fn handle_response(&mut self, now: Moment, response: Response<Bytes>) {
        if let Some((_, _, call)) = &mut self.current {
            call.handle_response(now, response);
        }
    }

    fn handle_failure(&mut self, now: Moment, failure: TransportError) {
        if let Some((_, _, call)) = &mut self.current {
            call.handle_failure(now, failure);
        }
    }
}
