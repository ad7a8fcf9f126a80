//! `sorna` in its own terminal.

use std::io::{Read, Write};
use std::path::Path;
use std::process::Child;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use pty_process::Size;
use pty_process::blocking::{Command, Pts, Pty, open};
use rustix::process::{Pid, Signal, kill_process};
use rustix::termios::{LocalModes, tcgetattr};
use snapbox::cmd::cargo_bin;
use sorna_gateway::RunningGateway;

use super::{CACHE, PATIENCE, wait};

pub(crate) struct Terminal {
    pub(crate) pty: Pty,
    child: Child,
    pub(crate) output: Receiver<Vec<u8>>,
    seen: String,
    /// All that was printed, whether it was dropped or not.
    all: String,
}

impl Terminal {
    /// `sorna shell` in 30 rows of 90 columns.
    pub(crate) fn start(
        directory: &Path,
        gateway: Option<&RunningGateway>,
        arguments: &[&str],
    ) -> Self {
        Self::start_command("shell", directory, gateway, arguments)
    }

    pub(crate) fn start_command(
        command: &str,
        directory: &Path,
        gateway: Option<&RunningGateway>,
        arguments: &[&str],
    ) -> Self {
        Self::open(
            directory,
            gateway,
            90,
            &[],
            &[&[command], arguments].concat(),
        )
    }

    /// `sorna` with these arguments, in a window of this many columns, with this environment besides the
    /// usual.
    pub(crate) fn open(
        directory: &Path,
        gateway: Option<&RunningGateway>,
        columns: u16,
        environment: &[(&str, &str)],
        arguments: &[&str],
    ) -> Self {
        let command = Command::new(cargo_bin!("sorna")).args(arguments);
        Self::of(command, directory, gateway, columns, environment)
    }

    /// Any command, for instance what a program does on a terminal without `sorna`.
    pub(crate) fn of(
        command: Command,
        directory: &Path,
        gateway: Option<&RunningGateway>,
        columns: u16,
        environment: &[(&str, &str)],
    ) -> Self {
        let (pty, pts) = open().expect("a terminal");
        pty.resize(Size::new(30, columns)).expect("a size");
        let mut command = command
            .current_dir(directory)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("LANG", "C.UTF-8")
            .env("TERM", "xterm-256color")
            .env("TMPDIR", directory)
            .env("XDG_STATE_HOME", directory.join(".state"))
            .env("XDG_CACHE_HOME", CACHE);
        if let Some(gateway) = gateway {
            command = command
                .env("SORNA_ENDPOINT", gateway.endpoint())
                .env("SORNA_ACCESS_KEY", gateway.access_key())
                .env("SORNA_SECRET_KEY", gateway.secret_key());
        }
        for (name, value) in environment {
            command = command.env(name, value);
        }
        Self::begin(command, pty, pts)
    }

    /// A line of a shell, in which `sorna` speaks this dialect with this gateway, without colors and spinners, in a wide
    /// window.
    pub(crate) fn in_shell(
        directory: &Path,
        gateway: &RunningGateway,
        is_backend: bool,
        line: &str,
    ) -> Self {
        let (pty, pts) = open().expect("a terminal");
        pty.resize(Size::new(30, 300)).expect("a size");
        let path = std::env::var("PATH").expect("it is set");
        let binaries = cargo_bin!("sorna").parent().expect("a directory");
        let prefix = if is_backend { "BACKEND" } else { "SORNA" };
        let command = Command::new("bash")
            .args(["--norc", "-c", line])
            .current_dir(directory)
            .env_clear()
            .env("PATH", format!("{}:{path}", binaries.display()))
            .env("LANG", "C.UTF-8")
            .env("TERM", "xterm-256color")
            .env("NO_COLOR", "1")
            .env("CI", "1")
            .env("TMPDIR", directory)
            .env("XDG_STATE_HOME", directory.join(".state"))
            .env("XDG_CACHE_HOME", CACHE)
            .env(format!("{prefix}_ENDPOINT"), gateway.endpoint())
            .env(format!("{prefix}_ACCESS_KEY"), gateway.access_key())
            .env(format!("{prefix}_SECRET_KEY"), gateway.secret_key());
        Self::begin(command, pty, pts)
    }

    fn begin(command: Command, pty: Pty, pts: Pts) -> Self {
        let child = command.spawn(pts).expect("sorna runs");
        let (send, output) = channel();
        let mut reader =
            std::fs::File::from(rustix::io::fcntl_dupfd_cloexec(&pty, 0).expect("a descriptor"));
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = reader.read(&mut buffer) {
                if send.send(buffer[..read].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self {
            pty,
            child,
            output,
            seen: String::new(),
            all: String::new(),
        }
    }

    fn note(&mut self, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        self.seen += &text;
        self.all += &text;
    }

    /// All that was printed so far.
    pub(crate) fn transcript(&self) -> &str {
        &self.all
    }

    pub(crate) fn types(&mut self, text: &str) {
        self.pty.write_all(text.as_bytes()).expect("it is there");
    }

    /// Types this many characters, and waits until all were read, but not forever.
    #[track_caller]
    pub(crate) fn types_much(&self, characters: usize) {
        let keyboard = rustix::io::fcntl_dupfd_cloexec(&self.pty, 0).expect("a descriptor");
        let (send, done) = channel();
        std::thread::spawn(move || {
            let text = vec![b'x'; characters];
            let _ = send.send(std::fs::File::from(keyboard).write_all(&text));
        });
        let typed = done.recv_timeout(PATIENCE).expect("it reads");
        typed.expect("it is there");
    }

    /// Waits until this was printed, and drops everything up to its end.
    #[track_caller]
    pub(crate) fn shows(&mut self, text: &str) {
        self.shown(text);
    }

    /// The same, and returns what is dropped.
    #[track_caller]
    pub(crate) fn shown(&mut self, text: &str) -> String {
        while !self.seen.contains(text) {
            match self.output.recv_timeout(PATIENCE) {
                Ok(bytes) => self.note(&bytes),
                Err(error) => panic!("{text:?}: {error} after {:?}", self.seen),
            }
        }
        let end = self.seen.find(text).expect("it is there") + text.len();
        self.seen.drain(..end).collect()
    }

    /// Waits for its end; returns everything that was not dropped.
    #[track_caller]
    pub(crate) fn rest(&mut self) -> String {
        wait(&mut self.child);
        // The terminal's other end is closed with the process, and then the reader ends.
        while let Ok(bytes) = self.output.recv_timeout(Duration::from_secs(10)) {
            self.note(&bytes);
        }
        std::mem::take(&mut self.seen)
    }

    pub(crate) fn shows_typing(&self) -> bool {
        let modes = tcgetattr(&self.pty).expect("modes").local_modes;
        modes.contains(LocalModes::ECHO | LocalModes::ICANON)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).expect("an id");
        kill_process(Pid::from_raw(pid).expect("an id"), signal).expect("it lives");
    }

    /// How often the thread of this name has gone to sleep.
    pub(crate) fn sleeps_of(&self, thread: &str) -> u64 {
        let tasks = format!("/proc/{}/task", self.child.id());
        let tasks = std::fs::read_dir(tasks).expect("threads").flatten();
        let read = |path: &Path, file| std::fs::read_to_string(path.join(file)).unwrap_or_default();
        let task = tasks
            .map(|task| task.path())
            .find(|path| read(path, "comm").trim() == thread)
            .expect("a thread");
        let status = read(&task, "status");
        let sleeps = status
            .lines()
            .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        sleeps.expect("a line").trim().parse().expect("a number")
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a status").is_none()
    }

    #[track_caller]
    pub(crate) fn ends(&mut self) -> Option<i32> {
        wait(&mut self.child).code()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It is still running only if the test has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The text that a user finally sees: carriage returns and erased lines applied, colors removed.
pub(crate) fn screen(text: &str) -> String {
    let mut lines = vec![String::new()];
    let mut column = 0;
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        let line = lines.last_mut().expect("a line");
        match character {
            '\r' => column = 0,
            '\n' => {
                lines.push(String::new());
                column = 0;
            }
            '\x1b' => {
                let sequence: String = rest
                    .by_ref()
                    .take_while(|c| !c.is_ascii_alphabetic())
                    .collect();
                // Of the sequences that we write only erasing matters here; its letter was consumed.
                match sequence.as_str() {
                    "[2" => line.clear(),
                    "[" => *line = line.chars().take(column).collect(),
                    _ => {}
                }
            }
            _ => {
                let mut characters: Vec<char> = line.chars().collect();
                characters.resize(characters.len().max(column + 1), ' ');
                characters[column] = character;
                *line = characters.into_iter().collect();
                column += 1;
            }
        }
    }
    lines.join("\n")
}
