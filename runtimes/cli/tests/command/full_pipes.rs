//! Commands whose output pipes are full and not read: each must end at the first signal, and leave no kernel behind.

use std::fs::File;
use std::io::Write;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::support::{
    PATIENCE, backend_at, eventually, gateway, here, sorna, sorna_at, stub, wait,
};

/// A pipe that takes nothing more, and its other end.
fn full() -> (OwnedFd, File) {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).expect("a pipe");
    let flags = fcntl_getfl(&writer).expect("flags");
    fcntl_setfl(&writer, flags | OFlags::NONBLOCK).expect("a mode");
    let mut writer = File::from(writer);
    for piece in [4096, 1] {
        while writer.write(&vec![b'x'; piece]).is_ok() {}
    }
    fcntl_setfl(&writer, flags).expect("a mode");
    (reader, writer)
}

/// A command whose standard output or standard error is full.
struct Blocked {
    child: Child,
    _reader: OwnedFd,
}

impl Blocked {
    fn start(mut command: Command, stream: &str) -> Self {
        let (reader, writer) = full();
        match stream {
            "stdout" => command.stdout(writer),
            _ => command.stderr(writer),
        };
        // What would be typed never comes.
        command.stdin(Stdio::piped());
        Self {
            child: command.spawn().expect("sorna runs"),
            _reader: reader,
        }
    }

    fn pid(&self) -> Pid {
        let id = i32::try_from(self.child.id()).expect("an id");
        Pid::from_raw(id).expect("an id")
    }

    /// Waits until signals are caught, and a moment more, until it may be blocked.
    #[track_caller]
    fn catches(&self) {
        let process = self.child.id();
        eventually("a handler", || {
            let status = std::fs::read_to_string(format!("/proc/{process}/status"));
            let status = status.unwrap_or_default();
            let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
            let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
            caught.is_some_and(|mask| mask & 1 << (Signal::TERM.as_raw() - 1) != 0)
        });
        thread::sleep(Duration::from_millis(500));
    }

    /// Ends on this signal, and on no more than one.
    #[track_caller]
    fn ends_on(mut self, what: &str, signal: Signal, code: Option<i32>) {
        kill_process(self.pid(), signal).expect("it lives");
        eventually(what, || self.child.try_wait().expect("a status").is_some());
        let status = wait(&mut self.child);
        if code.is_some() {
            assert_eq!(status.code(), code, "{what}");
        }
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        // It still runs only if the test has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn serve_ends_on_the_first_signal() {
    for stream in ["stdout", "stderr"] {
        for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
            let directory = here();
            let mut command = sorna(directory.path());
            command.args(["serve", "--listen", "127.0.0.1:0", "--log", "trace"]);
            // What is said of it is on standard error.
            command.env("BACKEND_ENDPOINT", "http://127.0.0.1:1");
            let blocked = Blocked::start(command, stream);
            blocked.catches();
            blocked.ends_on(&format!("{stream} {signal:?}"), signal, Some(0));
        }
    }
}

#[test]
fn runs_and_terminals_end_on_the_first_signal_and_leave_no_kernel() {
    let program: &[&str] = &["bash", "-c", "sleep 1000"];
    for arguments in [
        &["run"][..],
        &["run", "--json"],
        &["run", "-t", "a-session"],
        &["shell"],
        &["shell", "-t", "a-session"],
    ] {
        let program = if arguments[0] == "run" {
            program
        } else {
            &program[..1]
        };
        for api in ["sorna", "backend-ai"] {
            for (stream, signal) in [("stdout", Signal::INT), ("stderr", Signal::TERM)] {
                let what = format!("{arguments:?} {api} {stream}");
                let gateway = gateway();
                let directory = here();
                let command = match api {
                    "sorna" => sorna_at,
                    _ => backend_at,
                };
                let mut command = command(directory.path(), &gateway);
                command.args(["--api", api]).args(arguments).args(program);
                let blocked = Blocked::start(command, stream);
                blocked.catches();
                blocked.ends_on(&what, signal, Some(128 + signal.as_raw()));
                let kept = u64::from(arguments.contains(&"-t"));
                assert!(gateway.stats().kernels <= kept, "{what}");
                gateway.stop();
            }
        }
    }
}

#[test]
fn local_runs_end_on_the_first_signal() {
    for arguments in [
        &["run", "--local", "bash", "-c", "sleep 1000"][..],
        &["run", "--local", "--json", "bash", "-c", "sleep 1000"],
        &["shell", "--local", "bash"],
    ] {
        for (stream, signal) in [("stdout", Signal::TERM), ("stderr", Signal::INT)] {
            let directory = here();
            let mut command = sorna(directory.path());
            command.args(arguments).env("TMPDIR", directory.path());
            let blocked = Blocked::start(command, stream);
            blocked.catches();
            let what = format!("{arguments:?} {stream}");
            blocked.ends_on(&what, signal, Some(128 + signal.as_raw()));
        }
    }
}

/// A gateway that speaks both APIs, answers nothing else, and says when it was asked.
fn silent(asked_for: &'static [&'static str]) -> (SocketAddr, Receiver<()>) {
    let (send, asked) = channel();
    let address = stub::stub(move |request| {
        let path = request.path.split('?').next().unwrap_or_default();
        let answer = match (request.method.as_str(), path) {
            ("GET", "/") => json!({"version": "v9.20250722", "manager": "25.1.0"}),
            ("GET", "/v2") => json!({"version": "v2.20170315"}),
            ("GET", "/session/_/match") => json!({"matches": [{
                "id": "7c548299-6be3-4613-8cf0-f11deb896755", "name": "a-session", "status": "RUNNING"}]}),
            _ => {
                if asked_for.is_empty() || asked_for.contains(&path) {
                    let _ = send.send(());
                }
                return None;
            }
        };
        if asked_for.contains(&path) {
            let _ = send.send(());
            return None;
        }
        Some((200, answer.to_string()))
    });
    (address, asked)
}

#[test]
fn commands_that_wait_for_an_answer_end_on_the_first_signal() {
    const ID: &str = "7c548299-6be3-4613-8cf0-f11deb896755";
    let directory = here();
    crate::support::write(directory.path(), &[("file.txt", "x")]);
    let mut all = Vec::new();
    for (api, arguments) in [
        ("sorna", &["info", "k1"][..]),
        ("sorna", &["destroy", "k1"]),
        ("sorna", &["restart", "k1"]),
        ("sorna", &["langs"]),
        (
            "sorna",
            &["complete", "-t", "a-session", "bash", "-c", "ec"],
        ),
        ("sorna", &["upload", "-t", "a-session", "bash", "file.txt"]),
        (
            "backend-ai",
            &["run", "--enqueue", "-t", "a-session", "bash"],
        ),
        (
            "backend-ai",
            &["upload", "-t", "a-session", "bash", "file.txt"],
        ),
        ("backend-ai", &["info", ID]),
        ("backend-ai", &["destroy", ID]),
        ("backend-ai", &["interrupt", ID]),
        ("backend-ai", &["logs", ID]),
        ("backend-ai", &["ls", ID]),
        ("backend-ai", &["events", ID]),
        ("backend-ai", &["download", ID, "file.txt"]),
        ("backend-ai", &["ps"]),
    ] {
        for (stream, signal) in [("stdout", Signal::TERM), ("stderr", Signal::INT)] {
            let (address, asked) = silent(&[]);
            let mut command = stub::at(sorna(directory.path()), address);
            command.args(["--api", api]).args(arguments);
            let what = format!("{api} {arguments:?} {stream}");
            all.push((Blocked::start(command, stream), asked, what, signal));
        }
    }
    for (blocked, asked, what, signal) in all {
        // One that says something first is blocked by that, and does not ask.
        let _ = asked.recv_timeout(Duration::from_secs(2));
        blocked.ends_on(&what, signal, None);
    }
}

#[test]
fn a_command_that_has_not_begun_ends_on_the_first_signal() {
    for arguments in [
        &["run", "bash", "-c", "true"][..],
        &["run", "--json", "bash", "-c", "true"],
        &["run", "--enqueue", "-t", "a-session", "bash"],
        &["shell", "bash"],
    ] {
        let directory = here();
        let (address, asked) = silent(&["/", "/v2"]);
        let mut command = stub::at(sorna(directory.path()), address);
        command.args(["--api", "auto"]).args(arguments);
        let blocked = Blocked::start(command, "stderr");
        asked.recv_timeout(PATIENCE).expect("a request");
        blocked.ends_on(&format!("{arguments:?}"), Signal::INT, Some(130));
    }
}
