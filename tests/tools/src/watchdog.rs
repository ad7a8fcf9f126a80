//! Tests that do not end. `cargo test` would wait for them forever and never say which they are.

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use std::{fs, thread};

/// The tests that are watched now, and since when.
static RUNNING: Mutex<Vec<(String, Instant)>> = Mutex::new(Vec::new());

/// A test that is watched until this is dropped.
#[derive(Debug)]
#[must_use]
pub struct Watchdog {
    name: String,
    start: Instant,
    /// Dropping it ends the watching thread.
    _ended: Sender<()>,
}

/// Watches a test: if it takes longer than this, prints its name and what the process is waiting for, and ends the
/// process with a failure. There is no other way to end a thread that hangs.
pub fn watch(name: impl Into<String>, limit: Duration) -> Watchdog {
    let name = name.into();
    let start = Instant::now();
    running().push((name.clone(), start));
    let (ended, wait) = channel();
    let watched = name.clone();
    thread::spawn(move || {
        if wait.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
            // Not `eprintln!`, whose text `cargo test` would keep for the end of the test.
            let mut error = std::io::stderr();
            let _ = writeln!(
                error,
                "HANGS: {watched} has not ended after {limit:?}\n{}",
                state()
            );
            std::process::exit(101);
        }
    });
    Watchdog {
        name,
        start,
        _ended: ended,
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        let this = (self.name.as_str(), self.start);
        running().retain(|(name, start)| (name.as_str(), *start) != this);
    }
}

fn running() -> std::sync::MutexGuard<'static, Vec<(String, Instant)>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is known about this process from outside: the watched tests, its threads, its children, and its TCP
/// connections with what waits in them. Nothing on systems without `/proc`.
#[must_use]
pub fn state() -> String {
    let mut state = String::new();
    for (name, start) in running().iter() {
        let _ = writeln!(state, "running: {name}, for {:?}", start.elapsed());
    }
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten();
    for task in tasks.flatten() {
        let folder = task.path().display().to_string();
        let _ = writeln!(state, "thread {}", waits(&folder));
        let children = fs::read_to_string(format!("{folder}/children")).unwrap_or_default();
        for child in children.split_whitespace() {
            let _ = writeln!(state, "child {child} {}", waits(&format!("/proc/{child}")));
        }
    }
    for connection in connections() {
        let _ = writeln!(state, "{connection}");
    }
    state
}

/// A thread's or a process's name, state, where in the kernel it waits, and its system call.
fn waits(folder: &str) -> String {
    let read = |file: &str| fs::read_to_string(format!("{folder}/{file}")).unwrap_or_default();
    let status = read("status");
    let state = status.lines().find_map(|line| line.strip_prefix("State:"));
    let what = [
        read("comm"),
        state.unwrap_or_default().to_owned(),
        read("wchan"),
        read("syscall"),
    ];
    let what = what.iter().map(|part| part.trim());
    what.collect::<Vec<_>>().join(" | ")
}

/// The lines of the kernel's table for this process's own sockets.
fn connections() -> Vec<String> {
    let links = fs::read_dir("/proc/self/fd").into_iter().flatten();
    let links = links
        .flatten()
        .filter_map(|entry| fs::read_link(entry.path()).ok());
    let inodes: Vec<String> = links
        .filter_map(|link| {
            let inode = link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?;
            Some(inode.to_owned())
        })
        .collect();
    let table = fs::read_to_string("/proc/self/net/tcp").unwrap_or_default();
    let ours = table.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, local, remote, state, queues, ..] = fields[..] else {
            return None;
        };
        let is_ours = inodes
            .iter()
            .any(|inode| Some(&inode.as_str()) == fields.get(9));
        is_ours
            .then(|| format!("tcp {local} - {remote} | state {state} | to send:to read {queues}"))
    });
    ours.collect()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    const REQUEST: &str = "SORNA_TEST_HANGS";

    /// Only hangs in the process of the test below.
    #[test]
    fn hangs_on_request() {
        if std::env::var_os(REQUEST).is_some() {
            drop(watch("another", Duration::from_secs(3600)));
            let _watchdog = watch("this one", Duration::from_millis(100));
            loop {
                thread::park();
            }
        }
    }

    #[test]
    fn a_test_that_does_not_end_is_named_and_ends_the_process() {
        let this = std::env::current_exe().expect("this program");
        let mut child = Command::new(this);
        child.args(["--exact", "watchdog::tests::hangs_on_request"]);
        let output = child.env(REQUEST, "1").output().expect("it ends");
        assert_eq!(output.status.code(), Some(101));
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(
            error.contains("HANGS: this one has not ended after 100ms\nrunning: this one"),
            "{error}"
        );
        assert!(!error.contains("another"), "{error}");
        if cfg!(target_os = "linux") {
            assert!(error.contains("thread watchdog::tests"), "{error}");
        }
    }
}
