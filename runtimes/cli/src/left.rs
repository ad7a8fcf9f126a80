//! Executions that a command has begun in a session that is kept, on this machine: a file for each, which
//! stays if the command is killed. Managers of Backend.AI would let all later executions in the session wait for that one, and
//! gateway 0.9.11 would take them for that one.
//!
//! A command that lives holds a lock on its file. What cannot be written is not kept: that alone is no failure.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use etcetera::BaseStrategy;
use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;
use sorna::blocking::Kernel;
use sorna::{Endpoint, GatewayError, KernelId};

use crate::chain::message;
use crate::reporter::Reporter;
use crate::settings::file_name;
use crate::signals::Stopped;
use crate::target::Target;

/// After this time a file is of no use: sessions do not live that long, or have been used from elsewhere.
const MAX_AGE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// An execution of this command.
#[derive(Debug)]
pub(crate) struct Record {
    path: PathBuf,
    /// Keeps the lock.
    _file: File,
}

impl Record {
    /// Keeps that this execution begins; `None` if that is not possible.
    pub(crate) fn begin(target: &Target, kernel: &KernelId, run_id: &str) -> Option<Self> {
        let folder = folder(target.client.config().endpoint())?;
        let name = prefix(kernel) + run_id;
        Self::write(&folder, &name, "").ok()
    }

    /// Writes a file and locks it.
    pub(crate) fn write(folder: &Path, name: &str, content: &str) -> io::Result<Self> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
        prune(folder);
        let path = folder.join(name);
        // Locked before it has its name, so that no other command takes it for one that was left behind.
        let new = folder.join(format!(".{}.new", std::process::id()));
        let _ = fs::remove_file(&new);
        let mut options = OpenOptions::new();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&new)?;
        let kept = flock(&file, FlockOperation::NonBlockingLockExclusive)
            .map_err(io::Error::from)
            .and_then(|()| file.write_all(content.as_bytes()))
            .and_then(|()| fs::rename(&new, &path));
        if kept.is_err() {
            let _ = fs::remove_file(&new);
        }
        kept.map(|()| Self { path, _file: file })
    }

    /// It has ended.
    pub(crate) fn end(self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Removes what is too old.
fn prune(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let modified = entry.metadata().and_then(|metadata| metadata.modified());
        let is_old = modified.is_ok_and(|time| time.elapsed().is_ok_and(|age| age > MAX_AGE));
        if is_old && lock(&entry.path()).is_some() {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// A session that no other command of this user on this machine executes anything in, for as long as this is kept.
/// Managers give the output of one execution to another, or to none, if there are two at once.
#[derive(Debug)]
pub(crate) struct Turn(#[expect(dead_code, reason = "keeps the lock")] Option<File>);

/// How often it is looked whether a session is free.
const LOOK: Duration = Duration::from_millis(100);

impl Turn {
    /// Waits for it, and says so once; `None` if the command is stopped before.
    pub(crate) fn take(
        target: &Target,
        kernel: &KernelId,
        reporter: &mut Reporter,
        stopped: &Stopped,
    ) -> Option<Self> {
        let Some(file) = open_lock(target, kernel) else {
            // Without a place for it there is no order.
            return Some(Self(None));
        };
        let mut is_said = false;
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Err(Errno::WOULDBLOCK) => {}
                Ok(()) => return Some(Self(Some(file))),
                Err(_) => return Some(Self(None)),
            }
            if stopped.signal().is_some() {
                return None;
            }
            if !std::mem::replace(&mut is_said, true) {
                reporter.advice(
                    "Another `sorna` on this machine is using the session; this one waits for it.",
                );
                reporter.wait("Waiting for the session...");
            }
            thread::sleep(LOOK);
        }
    }
}

fn open_lock(target: &Target, kernel: &KernelId) -> Option<File> {
    let folder = folder(target.client.config().endpoint())?;
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700).create(&folder).ok()?;
    let path = folder.join(prefix(kernel) + LOCK);
    let mut options = OpenOptions::new();
    options
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
    options.open(path).ok()
}

/// What the name of the file ends with that is locked.
const LOCK: &str = "lock";

/// What executions of this user on this machine make of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Free,
    /// What a killed command has left behind does not end.
    Blocked,
}

/// Frees the session from executions whose commands were killed, and reports it.
pub(crate) fn free(target: &Target, kernel: &Kernel, reporter: &mut Reporter) -> State {
    let mut state = State::Free;
    for path in of(target, kernel.id()) {
        // That of a living command is left alone.
        let Some(_lock) = lock(&path) else {
            continue;
        };
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let run_id = name.rsplit('.').next().unwrap_or_default();
        reporter.wait("Ending an execution that was left behind...");
        match kernel.free(run_id) {
            Ok(()) => {
                let _ = fs::remove_file(&path);
                reporter.done(
                    "Freed the session from an execution that a killed command had left behind.",
                );
            }
            Err(error) if error.gateway().is_some_and(GatewayError::is_not_found) => {
                let _ = fs::remove_file(&path);
            }
            Err(error) => {
                reporter.clear();
                reporter.fail(format_args!(
                    "an execution that a killed command had left behind blocks session {}: {}",
                    kernel.id(),
                    message(&error)
                ));
                state = State::Blocked;
            }
        }
    }
    state
}

/// An execution whose command has ended before it.
#[derive(Debug)]
pub(crate) struct Abandoned {
    path: PathBuf,
    id: String,
    /// Keeps the lock.
    _lock: File,
}

impl Abandoned {
    /// What it was named after.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// It has ended.
    pub(crate) fn forget(self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// The session's executions whose commands have ended.
pub(crate) fn abandoned(target: &Target, kernel: &KernelId) -> Vec<Abandoned> {
    let abandoned = |path: PathBuf| {
        let lock = lock(&path)?;
        let name = path.file_name()?.to_string_lossy();
        let id = name.rsplit('.').next()?.to_owned();
        Some(Abandoned {
            path,
            id,
            _lock: lock,
        })
    };
    of(target, kernel)
        .into_iter()
        .filter_map(abandoned)
        .collect()
}

/// What to do about a session that is blocked.
pub(crate) fn blocked(kernel: &KernelId) -> String {
    format!(
        "Try again when its program has ended, or end the session with `sorna destroy {kernel}`."
    )
}

/// What was executed in the session has ended, as after a restart.
pub(crate) fn forget_executions(target: &Target, kernel: &KernelId) {
    for path in of(target, kernel) {
        let _ = fs::remove_file(path);
    }
}

/// The session is gone, and what was executed in it.
pub(crate) fn forget(target: &Target, kernel: &KernelId) {
    forget_executions(target, kernel);
    if let Some(folder) = folder(target.client.config().endpoint()) {
        let _ = fs::remove_file(folder.join(prefix(kernel) + LOCK));
    }
}

/// The files of a session's executions.
fn of(target: &Target, kernel: &KernelId) -> Vec<PathBuf> {
    let Some(folder) = folder(target.client.config().endpoint()) else {
        return Vec::new();
    };
    let prefix = prefix(kernel);
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let is_one = |name: &str| name.strip_prefix(&prefix).is_some_and(|id| id != LOCK);
    entries
        .filter(|entry| is_one(&entry.file_name().to_string_lossy()))
        .map(|entry| entry.path())
        .collect()
}

/// The lock of a command that has ended without removing its file.
pub(crate) fn lock(path: &Path) -> Option<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(flags.bits().cast_signed());
    let file = options.open(path).ok()?;
    flock(&file, FlockOperation::NonBlockingLockExclusive).ok()?;
    Some(file)
}

pub(crate) fn folder(endpoint: &Endpoint) -> Option<PathBuf> {
    let strategy = etcetera::choose_base_strategy().ok()?;
    let state = strategy.state_dir().unwrap_or_else(|| strategy.data_dir());
    Some(state.join("sorna").join("runs").join(file_name(endpoint)))
}

/// What the names of the session's files begin with. IDs of Backend.AI have none of the characters that paths have.
fn prefix(kernel: &KernelId) -> String {
    format!("{}.", plain(kernel.as_str()))
}

/// A part of a file's name.
pub(crate) fn plain(id: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    id.replace(|c| !is_plain(c), "_")
}
