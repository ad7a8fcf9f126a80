//! Executions that a command has left behind in a session of Backend.AI.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::stub::{self, Request};
use sorna_gateway::RunningGateway;

use crate::support::{backend_at, check, eventually, gateway, here, sorna, sorna_at, wait};

const SESSION: &str = "7c548299-6be3-4613-8cf0-f11deb896755";

/// The bodies of the requests to execute something.
type Executed = Arc<Mutex<Vec<Value>>>;

/// A manager whose session is busy with the code `hang` until a query comes with the same run ID.
fn manager() -> (SocketAddr, Executed) {
    manager_that("finished")
}

/// One that responds so to all that is executed, but not to `hang`.
fn manager_that(status: &'static str) -> (SocketAddr, Executed) {
    let executed = Executed::default();
    let seen = Arc::clone(&executed);
    let address = stub::stub(move |request: &Request| {
        let created =
            format!(r#"{{"sessionId": "{SESSION}", "status": "RUNNING", "created": false}}"#);
        let hello = r#"{"version": "v9.20250722", "manager": "26.9.6"}"#;
        let path = request.path.as_str();
        match (request.method.as_str(), path) {
            ("GET", "/") => return Some((200, hello.to_owned())),
            ("POST", "/session") => return Some((201, created)),
            ("GET", path) if path == format!("/session/{SESSION}") => {
                return Some((200, r#"{"status": "RUNNING"}"#.to_owned()));
            }
            ("DELETE", _) => return Some((200, r#"{"stats": {}}"#.to_owned())),
            ("GET", _) => {
                let gone =
                    r#"{"type": "https://api.backend.ai/probs/object-not-found", "title": "gone"}"#;
                return Some((404, gone.to_owned()));
            }
            _ if path.ends_with("/interrupt") => return Some((204, String::new())),
            _ => {}
        }
        let body: Value = serde_json::from_slice(&request.body).expect("JSON");
        seen.lock().expect("a lock").push(body.clone());
        if body["code"] == "hang" {
            return None;
        }
        let run = body["run_id"].as_str().expect("a run ID");
        let end = format!(
            r#"{{"result": {{"status": "{status}", "runId": "{run}", "exitCode": 0, "options": null, "files": [], "console": []}}}}"#
        );
        Some((200, end))
    });
    (address, executed)
}

/// What was executed, in order.
fn codes(executed: &[Value]) -> Vec<&str> {
    let codes = executed.iter().map(|body| body["code"].as_str().unwrap());
    codes.collect()
}

fn at(directory: &Path, address: SocketAddr, arguments: &[&str]) -> Command {
    let mut command = stub::at(sorna(directory), address);
    command
        .arg(arguments[0])
        .args(["--api", "auto"])
        .args(&arguments[1..]);
    command
}

fn run(directory: &Path, address: SocketAddr, code: &str) -> Command {
    at(
        directory,
        address,
        &["run", "-t", "work", "python", "-c", code],
    )
}

/// The files of executions.
fn records(directory: &Path) -> Vec<PathBuf> {
    let folders = std::fs::read_dir(directory.join(".state/sorna/runs"));
    let folders = folders
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path());
    let files = folders.flat_map(|folder| std::fs::read_dir(folder).unwrap());
    let files = files.map(|entry| entry.unwrap().path());
    // Locks of sessions may stay.
    files
        .filter(|path| path.extension().is_none_or(|it| it != "lock"))
        .collect()
}

/// A command that executes something.
fn begun(directory: &Path, address: SocketAddr, executed: &Executed) -> Child {
    let child = run(directory, address, "hang").spawn().expect("sorna runs");
    eventually("the execution", || {
        !executed.lock().expect("a lock").is_empty()
    });
    child
}

fn kill(mut child: Child) {
    child.kill().expect("a signal");
    child.wait().expect("an end");
}

#[test]
fn the_next_command_frees_the_session_from_one_that_was_killed() {
    let directory = here();
    let (address, executed) = manager();
    let child = begun(directory.path(), address, &executed);
    let files = records(directory.path());
    assert_eq!(files.len(), 1);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(
        (mode(&files[0]), mode(files[0].parent().unwrap())),
        (0o600, 0o700)
    );
    kill(child);

    check(run(directory.path(), address, "1"))
        .success()
        .stderr_eq(
            "∙ Session name: work\n\
         ✔ Session (ID: [..]) is ready.\n\
         ✔ Freed the session from an execution that a killed command had left behind.\n",
        );
    let executed = executed.lock().expect("a lock");
    let sent = codes(&executed);
    assert_eq!(sent, ["hang", "", "1"]);
    assert_eq!(executed[0]["run_id"], executed[1]["run_id"]);
    assert_ne!(executed[0]["run_id"], executed[2]["run_id"]);
    assert_eq!(records(directory.path()), Vec::<PathBuf>::new());
}

#[test]
fn a_command_waits_for_another_one_in_the_session() {
    let directory = here();
    let (address, executed) = manager();
    let child = begun(directory.path(), address, &executed);
    // It can be stopped while it waits, and has no effect then.
    let mut stopped = waiting(directory.path(), address);
    let pid = i32::try_from(stopped.id()).unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::INT).unwrap();
    assert_eq!(wait(&mut stopped).code(), Some(130));
    assert_eq!(executed.lock().expect("a lock").len(), 1);

    let mut second = waiting(directory.path(), address);
    assert_eq!(executed.lock().expect("a lock").len(), 1);
    kill(child);
    assert!(wait(&mut second).success());
    let executed = executed.lock().expect("a lock");
    let sent = codes(&executed);
    assert_eq!(sent, ["hang", "", "1"]);
}

/// A command that waits for another one.
fn waiting(directory: &Path, address: SocketAddr) -> Child {
    let mut child = run(directory, address, "1").spawn().expect("sorna runs");
    let mut stderr = BufReader::new(child.stderr.take().expect("a pipe"));
    let mut text = String::new();
    while !text.contains("this one waits for it") {
        assert_ne!(stderr.read_line(&mut text).expect("text"), 0, "{text}");
    }
    // Read to the end, so that nothing waits for it.
    std::thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::sink()));
    child
}

#[test]
fn interrupting_frees_the_session_and_destroying_forgets_the_execution() {
    for (arguments, said) in [
        (
            ["interrupt", SESSION],
            "✔ Freed the session from an execution that a killed command had left behind.\n\
             ✔ Interrupted session [..].\n",
        ),
        (["destroy", SESSION], "✔ Destroyed session [..].\n"),
    ] {
        let directory = here();
        let (address, executed) = manager();
        kill(begun(directory.path(), address, &executed));
        check(at(directory.path(), address, &arguments))
            .success()
            .stderr_eq(said);
        assert_eq!(
            records(directory.path()),
            Vec::<PathBuf>::new(),
            "{arguments:?}"
        );
    }
}

#[test]
fn nothing_is_executed_in_a_session_that_stays_blocked() {
    let directory = here();
    let (address, executed) = manager_that("continued");
    kill(begun(directory.path(), address, &executed));
    let blocked =
        "✘ an execution that a killed command had left behind blocks session [..]: [..]\n";
    let advice = format!(
        "∙ Try again when its program has ended, or end the session with `sorna destroy {SESSION}`.\n"
    );
    check(run(directory.path(), address, "next"))
        .code(1)
        .stderr_eq(format!(
            "∙ Session name: work\n✔ Session (ID: [..]) is ready.\n{blocked}{advice}"
        ));
    check(at(directory.path(), address, &["interrupt", SESSION]))
        .code(1)
        .stderr_eq(format!("{blocked}✔ Interrupted session [..].\n{advice}"));
    let executed = executed.lock().expect("a lock");
    assert!(executed.iter().all(|body| body["code"] != "next"));
    assert_eq!(records(directory.path()).len(), 1);
}

#[test]
fn without_a_place_for_it_the_command_works() {
    let directory = here();
    let (address, _) = manager();
    std::fs::write(directory.path().join(".state"), "").unwrap();
    check(run(directory.path(), address, "1")).success();
}

#[test]
fn the_next_command_destroys_temporary_kernels_of_commands_that_were_killed() {
    type At = fn(&Path, &RunningGateway) -> Command;
    for (at, noun) in [(sorna_at as At, "kernel"), (backend_at, "session")] {
        let gateway = gateway();
        let directory = here();
        let at = |arguments: &[&str]| {
            let mut command = at(directory.path(), &gateway);
            command.args(arguments);
            command
        };
        let mut killed = at(&["run", "bash", "-c", "echo begun; sleep 1000"]);
        let mut killed = killed.spawn().expect("sorna runs");
        let mut stdout = BufReader::new(killed.stdout.take().expect("a pipe"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("text");
        assert_eq!(line, "begun\n");
        // Of a command that lives, nothing is destroyed.
        check(at(&["run", "-q", "bash", "-c", "echo 1"]))
            .success()
            .stderr_eq("");
        assert_eq!(records(directory.path()).len(), 1);
        kill(killed);

        // Nor what another user of this machine has left behind.
        let mut other = at(&["run", "-q", "bash", "-c", "echo 1"]);
        for prefix in ["SORNA", "BACKEND"] {
            other.env_remove(format!("{prefix}_ACCESS_KEY"));
            other.env_remove(format!("{prefix}_SECRET_KEY"));
        }
        let [names, keys] = match noun {
            "kernel" => [["SORNA_ACCESS_KEY", "SORNA_SECRET_KEY"], OTHER],
            _ => [["BACKEND_ACCESS_KEY", "BACKEND_SECRET_KEY"], OTHER],
        };
        other.envs(names.into_iter().zip(keys));
        check(other).code(1);
        assert_eq!(records(directory.path()).len(), 1);

        let run = at(&["run", "-t", "a-session", "bash", "-c", "echo 1"]);
        let printed = check(run).success().get_output().stderr.clone();
        let printed = String::from_utf8(printed).expect("text");
        let said = format!("∙ Destroyed temporary {noun} ");
        assert!(printed.contains(&said), "{printed}");
        assert_eq!(records(directory.path()), Vec::<PathBuf>::new());
        assert_eq!(gateway.stats().kernels, 1, "{noun}");
        gateway.stop();
    }
}

/// Keys that no gateway knows.
const OTHER: [&str; 2] = ["AKIAOTHER", "another-secret-that-no-one-may-see"];
