//! Temporary kernels of commands on this machine: a file for each, which stays if the command is killed, or its kernel
//! cannot be destroyed. The next command destroys what was left behind.
//!
//! Files and locks are those of [`left`].

use std::fs::{self, File};
use std::io::Read;
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use sorna::blocking::Client;
use sorna::{Cleanup, Dialect, Error, GatewayError, KernelId, RunReport, SessionToken};

use crate::advice::left_after;
use crate::chain::message;
use crate::left::{self, Record};
use crate::reporter::Reporter;
use crate::signals::LastWords;
use crate::target::Target;
use crate::terms::Terms;
use crate::threads::start;

/// What the names of the files begin with.
const PREFIX: &str = "temporary.";

/// The most bytes of a file.
const MOST: u64 = 4096;

/// A temporary kernel of this command.
#[derive(Debug, Default)]
pub(crate) struct Temporary {
    record: Option<Record>,
    /// What is said of the kernel if the command is ended before it can destroy it.
    words: LastWords,
}

impl Temporary {
    /// Keeps that a session of this name is about to be created, where sessions are found by their names.
    pub(crate) fn named(
        target: &Target,
        token: &SessionToken,
        dialect: Dialect,
        words: LastWords,
    ) -> Self {
        let record = match dialect {
            Dialect::SornaV2 => None,
            _ => Self::keep(target, token.as_str()),
        };
        let this = Self { record, words };
        // The gateway of --local ends with the command.
        if target.settings.is_some() {
            this.words.set(match dialect {
                Dialect::SornaV2 => {
                    "A temporary kernel may have been created. It ends when the gateway's idle timeout has passed.".to_owned()
                }
                _ => may_be_left(dialect, token.as_str()),
            });
        }
        this
    }

    /// Keeps the kernel's ID, if it was not kept by its name.
    pub(crate) fn created(&mut self, target: &Target, kernel: &KernelId, dialect: Dialect) {
        if self.record.is_none() {
            self.record = Self::keep(target, kernel.as_str());
        }
        if target.settings.is_some() {
            self.words.set(may_be_left(dialect, kernel.as_str()));
        }
    }

    fn keep(target: &Target, kernel: &str) -> Option<Record> {
        // The gateway of --local ends with the command.
        let kept = target.settings.is_some().then(|| {
            let folder = left::folder(target.client.config().endpoint())?;
            let owner = target.owner().unwrap_or_default();
            let name = format!("{PREFIX}{}", left::plain(kernel));
            Record::write(&folder, &name, &format!("{kernel}\n{owner}\n")).ok()
        });
        kept.flatten()
    }

    /// There is no such kernel any more.
    pub(crate) fn is_gone(&mut self) {
        self.words.clear();
        if let Some(record) = self.record.take() {
            record.end();
        }
    }
}

fn may_be_left(dialect: Dialect, kernel: &str) -> String {
    let noun = Terms::of(dialect).kernel;
    format!(
        "The temporary {noun} {kernel} may still be there. Destroy it with `sorna destroy {kernel}`; otherwise the next `sorna run` with this endpoint does."
    )
}

/// Whether the run has left no temporary kernel that later commands are to destroy. If its access key is refused, they cannot.
pub(crate) fn has_ended(report: &RunReport) -> bool {
    match &report.cleanup {
        Cleanup::Failed(error) => error.is_auth(),
        cleanup => !matches!(cleanup, Cleanup::Unknown),
    }
}

/// How long a command waits at its end until what was left behind is destroyed. The next one goes on with it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Destroys what killed commands have left behind, as far as it is of the same user, and reports it. Meanwhile, the command
/// does its work.
#[derive(Debug)]
pub(crate) struct Sweep(Option<Receiver<()>>);

impl Sweep {
    pub(crate) fn start(target: &Target, dialect: Dialect, reporter: &Reporter) -> Self {
        let left = left_behind(target);
        if left.is_empty() {
            return Self(None);
        }
        let client = target.client.clone();
        let mut reporter = reporter.clone();
        let (done, is_done) = mpsc::channel();
        let sweep = move || {
            for one in left {
                one.destroy(&client, dialect, &mut reporter);
            }
            let _ = done.send(());
        };
        // If there can be no thread, the next command does it.
        Self(start("sweep", sweep).is_ok().then_some(is_done))
    }

    pub(crate) fn finish(self, reporter: &mut Reporter) {
        if let Some(is_done) = self.0 {
            reporter.wait("Destroying what was left behind...");
            let _ = is_done.recv_timeout(PATIENCE);
            reporter.clear();
        }
    }
}

/// A kernel of a killed command.
#[derive(Debug)]
struct Left {
    path: PathBuf,
    kernel: String,
    /// No other command destroys it as well.
    _lock: File,
}

/// The kernels of this user that were left behind.
fn left_behind(target: &Target) -> Vec<Left> {
    let folder = left::folder(target.client.config().endpoint());
    let folder = folder.filter(|_| target.settings.is_some());
    let entries = folder.and_then(|folder| fs::read_dir(folder).ok());
    let owner = target.owner().unwrap_or_default();
    let mut all = Vec::new();
    for entry in entries.into_iter().flatten().flatten() {
        let is_one = entry.file_name().to_string_lossy().starts_with(PREFIX);
        let path = entry.path();
        let Some(lock) = is_one.then(|| left::lock(&path)).flatten() else {
            continue;
        };
        match read(&lock) {
            Some((kernel, of)) if of == owner => all.push(Left {
                path,
                kernel,
                _lock: lock,
            }),
            Some(_) => {}
            None => drop(fs::remove_file(&path)),
        }
    }
    all
}

impl Left {
    fn destroy(self, client: &Client, dialect: Dialect, reporter: &mut Reporter) {
        let terms = Terms::of(dialect);
        let (noun, kernel) = (terms.kernel, &self.kernel);
        match destroy(client, dialect, kernel) {
            Ok(was_there) => {
                let _ = fs::remove_file(&self.path);
                if was_there {
                    reporter.remark(format_args!(
                        "Destroyed temporary {noun} {kernel}, which an earlier command had left behind."
                    ));
                }
            }
            Err(error) => {
                if error.is_auth() {
                    // Said once: it would not be otherwise the next time.
                    let _ = fs::remove_file(&self.path);
                }
                reporter.advice(format_args!(
                    "Temporary {noun} {kernel}, which an earlier command had left behind, could not be destroyed ({}). {}",
                    message(&error),
                    left_after(terms, kernel, &error)
                ));
            }
        }
    }
}

/// The kernel's name or ID, and whose it is.
fn read(file: &File) -> Option<(String, String)> {
    let mut text = String::new();
    file.take(MOST).read_to_string(&mut text).ok()?;
    let mut lines = text.lines();
    let kernel = lines.next().filter(|kernel| !kernel.is_empty())?;
    Some((
        kernel.to_owned(),
        lines.next().unwrap_or_default().to_owned(),
    ))
}

/// Whether it was still there.
fn destroy(client: &Client, dialect: Dialect, kernel: &str) -> Result<bool, Error> {
    let result = match dialect {
        Dialect::SornaV2 => {
            let id = KernelId::new(kernel)?;
            client.kernel(id).destroy().map(drop)
        }
        _ => {
            let mut found = client.find(kernel)?;
            found.retain(|session| session.name == kernel || session.id.as_str() == kernel);
            let Some(session) = found.pop() else {
                return Ok(false);
            };
            client.kernel(session.id).destroy_until_gone()
        }
    };
    match result {
        Ok(_) => Ok(true),
        Err(error) if error.gateway().is_some_and(GatewayError::is_not_found) => Ok(false),
        Err(error) => Err(error),
    }
}
