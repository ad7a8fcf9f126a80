//! Sessions of Backend.AI that do not run yet.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::stub::{self, Request};
use crate::support::{check, here, sorna, wait};

const UUID: &str = "7c548299-6be3-4613-8cf0-f11deb896755";

/// A manager whose only session never runs. Once, it goes on starting it after it was destroyed.
#[derive(Clone, Default)]
struct Manager {
    destroyed: Arc<AtomicUsize>,
    asked_since: Arc<AtomicUsize>,
}

impl Manager {
    fn serve(&self) -> SocketAddr {
        let this = self.clone();
        stub::stub(move |request| Some(this.respond(request)))
    }

    fn respond(&self, request: &Request) -> (u16, String) {
        let status = |name: &str| (200, format!(r#"{{"status": "{name}"}}"#));
        match (request.method.as_str(), request.path.as_str()) {
            ("GET", "/") => (
                200,
                r#"{"version": "v9.20250722", "manager": "26.9.6"}"#.into(),
            ),
            ("POST", _) => (
                201,
                format!(
                    r#"{{"sessionId": "{UUID}", "sessionName": "work", "status": "PENDING", "created": true, "servicePorts": []}}"#
                ),
            ),
            ("DELETE", _) => {
                self.destroyed.fetch_add(1, Ordering::SeqCst);
                self.asked_since.store(0, Ordering::SeqCst);
                (200, r#"{"stats": {"status": "terminated"}}"#.into())
            }
            _ => {
                let asked = self.asked_since.fetch_add(1, Ordering::SeqCst);
                match (self.destroyed.load(Ordering::SeqCst), asked) {
                    (0, _) => status("PREPARING"),
                    (1, 0) => status("TERMINATING"),
                    (1, _) => status("PREPARED"),
                    _ => (
                        404,
                        r#"{"type": "https://api.backend.ai/probs/entity-not-found"}"#.into(),
                    ),
                }
            }
        }
    }

    fn sorna(&self, arguments: &[&str]) -> (tempfile::TempDir, Command) {
        let directory = here();
        let mut command = stub::at(sorna(directory.path()), self.serve());
        command.args(["--api", "auto"]).args(arguments);
        (directory, command)
    }

    fn destroyed(&self) -> usize {
        self.destroyed.load(Ordering::SeqCst)
    }
}

#[test]
fn a_temporary_session_that_goes_on_starting_is_destroyed_again() {
    let manager = Manager::default();
    let arguments = ["run", "-q", "--max-wait", "1s", "python", "-c", "1"];
    let (_directory, command) = manager.sorna(&arguments);
    check(command)
        .code(1)
        .stderr_eq("✘ session [..] does not run after 1 s (PREPARING)\n∙ [..]\n");
    assert_eq!(manager.destroyed(), 2);
}

#[test]
fn destroying_a_session_that_does_not_run_yet_is_made_sure_of() {
    let manager = Manager::default();
    let (_directory, command) = manager.sorna(&["destroy", UUID]);
    check(command)
        .success()
        .stderr_eq(format!("✔ Destroyed session {UUID}.\n"));
    assert_eq!(manager.destroyed(), 2);
}

/// What is printed by a command that is interrupted while its session starts.
fn interrupted(manager: &Manager, arguments: &[&str]) -> String {
    let (directory, mut command) = manager.sorna(arguments);
    crate::support::write(directory.path(), &[("data.csv", "1,2\n")]);
    let mut child = command.spawn().expect("sorna runs");
    let mut stderr = BufReader::new(child.stderr.take().expect("a pipe"));
    let mut text = String::new();
    while !text.contains("Waiting for the session: ") {
        assert_ne!(stderr.read_line(&mut text).expect("text"), 0, "{text}");
    }
    let pid = i32::try_from(child.id()).expect("an ID");
    kill_process(Pid::from_raw(pid).expect("an ID"), Signal::INT).expect("it lives");
    assert_eq!(wait(&mut child).code(), Some(130));
    stderr.read_to_string(&mut text).expect("text");
    text
}

#[test]
fn a_kept_session_that_still_starts_is_named_after_ctrl_c() {
    let commands: [&[&str]; 3] = [
        &["run", "-t", "work", "python", "-c", "1"],
        &["shell", "-t", "work", "python"],
        &["upload", "-t", "work", "python", "data.csv"],
    ];
    for arguments in commands {
        let manager = Manager::default();
        let text = interrupted(&manager, arguments);
        let expected = "∙ Session work is kept, and may still start. `sorna info work` shows its status, and `sorna destroy work` ends it.\n";
        assert!(text.ends_with(expected), "{text}");
        assert_eq!(manager.destroyed(), 0);
    }
}

#[test]
fn a_temporary_session_that_still_starts_is_destroyed_after_ctrl_c() {
    let commands: [&[&str]; 2] = [&["run", "python", "-c", "1"], &["shell", "python"]];
    for arguments in commands {
        let manager = Manager::default();
        let text = interrupted(&manager, arguments);
        assert!(text.ends_with("✔ Cleaned up the session.\n"), "{text}");
        assert!(manager.destroyed() >= 2);
    }
}

#[test]
fn nothing_is_created_to_complete_code_where_nothing_completes() {
    let manager = Manager::default();
    let (_directory, command) = manager.sorna(&["complete", "-t", "work", "python", "-c", "pri"]);
    check(command)
        .success()
        .stdout_eq("")
        .stderr_eq("∙ Managers of Backend.AI have no candidates, so nothing was asked for.\n");
}

#[test]
fn every_command_that_waits_for_a_session_says_so() {
    let commands: [&[&str]; 3] = [
        &["upload", "-t", "work", "python", "data.csv"],
        &["shell", "-t", "work", "python"],
        &["shell", "python"],
    ];
    for arguments in commands {
        let manager = Manager::default();
        let (directory, mut command) = manager.sorna(arguments);
        crate::support::write(directory.path(), &[("data.csv", "1,2\n")]);
        let mut child = command.spawn().expect("sorna runs");
        let mut stderr = BufReader::new(child.stderr.take().expect("a pipe"));
        let mut text = String::new();
        while !text.contains("∙ Waiting for the session: PENDING, for at most 10 min 0 s.\n") {
            assert_ne!(stderr.read_line(&mut text).expect("text"), 0, "{text}");
        }
        child.kill().expect("it lives");
        wait(&mut child);
    }
}
