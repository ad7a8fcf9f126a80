//! `sorna shell`, in a real terminal.

mod support;

use std::io::{Read, Write};
use std::path::Path;
use std::process::Child;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use pty_process::Size;
use pty_process::blocking::{Command, Pty, open};
use rustix::process::{Pid, Signal, kill_process};
use rustix::termios::{LocalModes, tcgetattr};
use snapbox::cmd::cargo_bin;
use sorna_gateway::RunningGateway;

use support::{PATIENCE, eventually, gateway, wait};

/// `sorna` in a terminal of its own.
struct Terminal {
    pty: Pty,
    child: Child,
    output: Receiver<Vec<u8>>,
    seen: String,
}

impl Terminal {
    fn start(directory: &Path, gateway: Option<&RunningGateway>, arguments: &[&str]) -> Self {
        Self::start_command("shell", directory, gateway, arguments)
    }

    fn start_command(
        command: &str,
        directory: &Path,
        gateway: Option<&RunningGateway>,
        arguments: &[&str],
    ) -> Self {
        let (pty, pts) = open().expect("a terminal");
        pty.resize(Size::new(30, 90)).expect("a size");
        let mut command = Command::new(cargo_bin!("sorna"))
            .arg(command)
            .args(arguments)
            .current_dir(directory)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("LANG", "C.UTF-8")
            .env("TMPDIR", directory);
        if let Some(gateway) = gateway {
            command = command
                .env("SORNA_ENDPOINT", gateway.endpoint())
                .env("SORNA_ACCESS_KEY", gateway.access_key())
                .env("SORNA_SECRET_KEY", gateway.secret_key());
        }
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
        }
    }

    fn types(&mut self, text: &str) {
        self.pty.write_all(text.as_bytes()).expect("it is there");
    }

    /// Waits until this was put out, and forgets what came before its end.
    #[track_caller]
    fn shows(&mut self, text: &str) {
        while !self.seen.contains(text) {
            match self.output.recv_timeout(PATIENCE) {
                Ok(bytes) => self.seen += &String::from_utf8_lossy(&bytes),
                Err(error) => panic!("{text:?}: {error} after {:?}", self.seen),
            }
        }
        let end = self.seen.find(text).expect("it is there") + text.len();
        self.seen.drain(..end);
    }

    fn shows_typing(&self) -> bool {
        let modes = tcgetattr(&self.pty).expect("modes").local_modes;
        modes.contains(LocalModes::ECHO | LocalModes::ICANON)
    }

    fn ends(&mut self) -> Option<i32> {
        wait(&mut self.child).code()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Only if the test has failed is it still there.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn here() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

#[test]
fn a_shell_on_this_machine_from_start_to_exit() {
    let directory = here();
    let mut terminal = Terminal::start(directory.path(), None, &["--local", "bash"]);
    terminal.shows("is ready.");
    terminal.shows("Leave with Ctrl-].");
    eventually("raw mode", || !terminal.shows_typing());
    terminal.types("echo $((6 * 7))\r");
    terminal.shows("42\r\n");
    // Ctrl-C is the program's.
    terminal.types("echo up-$((1 + 0)); sleep 1000\r");
    terminal.shows("up-1\r\n");
    // One that comes just before `sleep` starts is the shell's, so it is typed until it helps.
    let mut seen = String::new();
    eventually("the prompt", || {
        terminal.types("\x03");
        while let Ok(bytes) = terminal.output.recv_timeout(Duration::from_millis(50)) {
            seen += &String::from_utf8_lossy(&bytes);
        }
        seen.contains("# ")
    });
    terminal.types("echo still-$((1 + 1))\r");
    terminal.shows("still-2\r\n");
    terminal.types("exit\r");
    terminal.shows("The terminal is closed.");
    terminal.shows("Cleaned up the kernel.");
    assert_eq!(terminal.ends(), Some(0));
    assert!(terminal.shows_typing(), "the terminal is restored");
    let left = std::fs::read_dir(directory.path())
        .expect("a directory")
        .count();
    assert_eq!(left, 0, "nothing is left behind");
}

#[test]
fn the_window_s_size_is_passed_on() {
    let gateway = gateway();
    let directory = here();
    let mut terminal = Terminal::start(directory.path(), Some(&gateway), &["bash"]);
    terminal.shows("Leave with");
    terminal.types("stty size\r");
    terminal.shows("30 90\r\n");
    terminal.pty.resize(Size::new(41, 123)).expect("a size");
    let mut size = String::new();
    eventually("the new size", || {
        terminal.types("stty size\r");
        while let Ok(bytes) = terminal.output.recv_timeout(Duration::from_millis(50)) {
            size += &String::from_utf8_lossy(&bytes);
        }
        size.contains("41 123\r\n")
    });
    terminal.types("\x1d");
    terminal.shows("Detached.");
    assert_eq!(terminal.ends(), Some(0));
    assert_eq!(
        gateway.stats().kernels,
        0,
        "a temporary kernel is destroyed"
    );
    gateway.stop();
}

#[test]
fn a_kernel_with_a_token_goes_on_where_it_was_left() {
    let gateway = gateway();
    let directory = here();
    let mut first = Terminal::start(
        directory.path(),
        Some(&gateway),
        &["-t", "my-shell", "bash"],
    );
    first.shows("Leave with");
    first.types("x=kept; echo set-$x\r");
    first.shows("set-kept\r\n");
    first.types("\x1d");
    first.shows("Detached.");
    assert_eq!(first.ends(), Some(0));
    assert_eq!(gateway.stats().kernels, 1);

    let mut second = Terminal::start(
        directory.path(),
        Some(&gateway),
        &["-t", "my-shell", "bash"],
    );
    second.shows("Leave with");
    second.shows("set-kept\r\n");
    second.types("echo still-$x\r");
    second.shows("still-kept\r\n");
    second.types("exit\r");
    second.shows("The terminal is closed.");
    assert_eq!(second.ends(), Some(0));
    gateway.stop();
}

#[test]
fn signals_restore_the_terminal_and_destroy_the_kernel() {
    for (signal, code) in [(Signal::TERM, 143), (Signal::HUP, 129), (Signal::INT, 130)] {
        let gateway = gateway();
        let directory = here();
        let mut terminal = Terminal::start(directory.path(), Some(&gateway), &["bash"]);
        terminal.shows("Leave with");
        eventually("raw mode", || !terminal.shows_typing());
        let pid = i32::try_from(terminal.child.id()).expect("an id");
        kill_process(Pid::from_raw(pid).expect("an id"), signal).expect("it lives");
        assert_eq!(terminal.ends(), Some(code));
        assert!(terminal.shows_typing(), "the terminal is restored");
        assert_eq!(gateway.stats().kernels, 0);
        gateway.stop();
    }
}

#[test]
fn a_password_is_not_shown_and_the_terminal_restored() {
    let gateway = gateway();
    let directory = here();
    let code = "import getpass; print(len(getpass.getpass('word? ')), input('more? '))";
    let arguments = ["-q", "python3", "-c", code];
    let start = || Terminal::start_command("run", directory.path(), Some(&gateway), &arguments);
    let mut terminal = start();
    terminal.shows("word? ");
    eventually("hidden typing", || !terminal.shows_typing());
    terminal.types("hunter2\rtyped ahead\r");
    terminal.shows("more? ");
    terminal.shows("7 typed ahead\r\n");
    assert_eq!(terminal.ends(), Some(0));
    assert!(terminal.shows_typing());

    let mut terminal = start();
    terminal.shows("word? ");
    eventually("hidden typing", || !terminal.shows_typing());
    let pid = i32::try_from(terminal.child.id()).expect("an id");
    kill_process(Pid::from_raw(pid).expect("an id"), Signal::TERM).expect("it lives");
    assert_eq!(terminal.ends(), Some(143));
    assert!(terminal.shows_typing(), "the terminal is restored");
    assert_eq!(gateway.stats().kernels, 0);
    gateway.stop();
}

#[test]
fn a_kernel_that_goes_closes_the_terminal() {
    let gateway = gateway();
    let directory = here();
    let mut terminal = Terminal::start(directory.path(), Some(&gateway), &["python3"]);
    terminal.shows("Leave with");
    terminal.types("print(6 * 7)\r");
    terminal.shows("42\r\n");
    gateway.stop();
    // The gateway says goodbye, or is just gone: both end the terminal and restore it.
    assert!(terminal.ends().is_some());
    assert!(terminal.shows_typing(), "the terminal is restored");
}

#[test]
fn pipes_work_too() {
    let gateway = gateway();
    let directory = here();
    let mut command = support::sorna_at(directory.path(), &gateway);
    command
        .args(["shell", "-q", "bash"])
        .stdin(std::process::Stdio::piped());
    let mut child = command.spawn().expect("sorna runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(b"echo $((6 * 7))\n").expect("it reads");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success());
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("42\r\n"), "{text}");
    assert_eq!(gateway.stats().kernels, 0);
    gateway.stop();
}

#[test]
fn a_refused_kernel_is_told() {
    let gateway = gateway();
    let directory = here();
    let mut command = support::sorna_at(directory.path(), &gateway);
    command.args(["shell", "-q", "cobol"]);
    support::check(command).code(1).stderr_eq(snapbox::str![[r#"
✘ the gateway answered 500 kernel-creation-failed: Kernel creation has failed.: unknown language "cobol"; known are [..]
∙ Is the language's name right, and is it installed on the gateway?

"#]]);
    gateway.stop();
}
