//! `sorna shell`, in a real terminal.

use std::io::{BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pty_process::Size;
use rustix::process::{Pid, Signal, kill_process};

use crate::support::terminal::Terminal;
use crate::support::{eventually, gateway, here, is_full, sorna_at, stub, wait};

#[test]
fn a_shell_on_this_machine_from_start_to_exit() {
    let directory = here();
    let mut terminal = Terminal::start(directory.path(), None, &["--local", "bash"]);
    terminal.shows("is ready.");
    terminal.shows("Leave with Ctrl-].");
    eventually("raw mode", || !terminal.shows_typing());
    terminal.types("echo $((6 * 7))\r");
    terminal.shows("42\r\n");
    // Ctrl-C goes to the program. The program itself prints that it runs: between fork and exec, bash has a
    // moment in which a Ctrl-C reaches neither process.
    terminal.types("sh -c 'echo up-$((1 + 0)); exec sleep 1000'\r");
    terminal.shows("up-1\r\n");
    terminal.types("\x03");
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
fn the_end_of_the_input_reaches_every_program_that_reads() {
    let directory = here();
    for (language, input, output) in [
        ("python3", "", ""),
        ("python3", "print(6 * 7)\n", "42"),
        // `cat` reads to the end, and then bash does.
        (
            "bash",
            "cat | tr a b; echo on-$((6 * 7))\na line\n",
            "on-42",
        ),
    ] {
        let mut shell = std::process::Command::new(env!("CARGO_BIN_EXE_sorna"))
            .args(["shell", "--local", "-q", language])
            .current_dir(directory.path())
            .env("TMPDIR", directory.path())
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("sorna runs");
        let mut stdin = shell.stdin.take().expect("a pipe");
        stdin.write_all(input.as_bytes()).expect("input");
        drop(stdin);
        let shown = shell.wait_with_output().expect("it ends");
        assert!(shown.status.success(), "{language}: {shown:?}");
        let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
        assert!(shown.contains(output), "{language}: {shown}");
    }
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
    terminal.shows("Left the terminal.");
    assert_eq!(terminal.ends(), Some(0));
    assert_eq!(
        gateway.stats().kernels,
        0,
        "a temporary kernel is destroyed"
    );
    gateway.stop();
}

#[test]
fn a_shell_with_a_token_is_reattached() {
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
    first.shows("∙ Detached. Reattach with `sorna shell -t my-shell bash`.");
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
        terminal.signal(signal);
        assert_eq!(terminal.ends(), Some(code));
        assert!(terminal.shows_typing(), "the terminal is restored");
        assert_eq!(gateway.stats().kernels, 0);
        gateway.stop();
    }
}

/// Detaches in the middle of a full-screen program.
fn left(
    directory: &std::path::Path,
    options: &[&str],
    leave: impl FnOnce(&mut Terminal),
) -> String {
    let arguments = [options, &["--local", "--color", "never", "bash"]].concat();
    let mut terminal = Terminal::start(directory, None, &arguments);
    eventually("raw mode", || !terminal.shows_typing());
    terminal.types("printf '\\e[?1049h\\e[?1002hfu''ll'; exec sleep 1000\r");
    terminal.shows("full");
    leave(&mut terminal);
    terminal.rest()
}

#[test]
fn every_exit_resets_the_screen_and_starts_a_line() {
    let directory = here();
    let reset =
        "\x1b7\x1b[?1049l\x1b[?1000;1002;1003;1006;1004;2004l\x1b[?1l\x1b>\x1b[?25h\x1b[0m\r\n";
    let detach = |terminal: &mut Terminal| terminal.types("\x1d");
    let text = left(directory.path(), &[], detach);
    assert!(
        text.contains(&format!("{reset}∙ Left the terminal.\r\n")),
        "{text:?}"
    );
    let text = left(directory.path(), &["-q"], detach);
    assert_eq!(text, reset);
    let text = left(directory.path(), &["-q"], |terminal| {
        terminal.signal(Signal::TERM)
    });
    assert_eq!(text, reset);
}

#[test]
fn a_password_is_not_echoed_and_the_terminal_is_restored() {
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
    terminal.signal(Signal::TERM);
    assert_eq!(terminal.ends(), Some(143));
    assert!(terminal.shows_typing(), "the terminal is restored");
    assert_eq!(gateway.stats().kernels, 0);
    gateway.stop();
}

#[test]
fn a_kernel_that_ends_closes_the_terminal() {
    let gateway = gateway();
    let directory = here();
    let mut terminal = Terminal::start(directory.path(), Some(&gateway), &["python3"]);
    terminal.shows("Leave with");
    terminal.types("print(6 * 7)\r");
    terminal.shows("42\r\n");
    gateway.stop();
    // The gateway closes the terminal, or is just gone: both end the command and restore the terminal.
    assert!(terminal.ends().is_some());
    assert!(terminal.shows_typing(), "the terminal is restored");
}

#[test]
fn pipes_work_too() {
    let gateway = gateway();
    let directory = here();
    let mut command = crate::support::sorna_at(directory.path(), &gateway);
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
    assert!(!text.contains("\x1b[?1049l"), "no terminal: {text}");
    assert_eq!(gateway.stats().kernels, 0);
    gateway.stop();
}

#[test]
fn a_slow_screen_makes_the_program_wait_and_delays_no_end() {
    let gateway = gateway();
    let directory = here();
    let mut command = sorna_at(directory.path(), &gateway);
    command.args(["shell", "bash"]).stdin(Stdio::piped());
    let mut child = command.spawn().expect("sorna runs");
    let mut keys = child.stdin.take().expect("a pipe");
    keys.write_all(b"yes\n").expect("it reads");
    is_full(child.stdout.as_ref().expect("a pipe"));
    // Long enough for hundreds of MB.
    std::thread::sleep(Duration::from_secs(3));
    let status = format!("/proc/{}/status", child.id());
    let status = std::fs::read_to_string(status).expect("it runs");
    let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let memory = memory.and_then(|line| line.trim().strip_suffix(" kB"));
    let memory: u64 = memory.expect("a line").parse().expect("a number");
    assert!(memory < 64 * 1024, "{memory} KiB");
    let pid = i32::try_from(child.id()).expect("an id");
    kill_process(Pid::from_raw(pid).expect("an id"), Signal::TERM).expect("it lives");
    assert_eq!(wait(&mut child).code(), Some(143));
    assert_eq!(gateway.stats().kernels, 0);
    gateway.stop();
}

#[test]
fn a_kernel_that_cannot_be_created_is_reported() {
    let gateway = gateway();
    let directory = here();
    let mut command = crate::support::sorna_at(directory.path(), &gateway);
    command.args(["shell", "-q", "cobol"]);
    crate::support::check(command).code(1).stderr_eq(snapbox::str![[r#"
✘ the gateway responded with 500 kernel-creation-failed: Kernel creation has failed: unknown language "cobol" (known: [..])
∙ List the gateway's languages with `sorna langs`.

"#]]);
    gateway.stop();
}

#[test]
fn a_temporary_kernel_whose_creation_got_a_garbled_response_is_found_and_destroyed() {
    let requests = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&requests);
    let address = stub::stub(move |request| {
        let mut log = log.lock().expect("no panic");
        log.push(format!("{} {}", request.method, request.path));
        match (request.method.as_str(), log.len()) {
            ("DELETE", _) => Some((204, String::new())),
            ("POST", 1) => Some((201, "garbled".to_owned())),
            ("POST", _) => Some((201, r#"{"kernelId": "k1"}"#.to_owned())),
            _ => None,
        }
    });
    let directory = here();
    let endpoint = format!("http://{address}");
    let environment = stub::environment(&endpoint);
    let mut terminal = Terminal::open(directory.path(), None, 90, &environment, &["shell", "bash"]);
    terminal.shows("Kernel (ID: k1) is ready.");
    terminal.shows("Leave with");
    terminal.signal(Signal::TERM);
    terminal.shows("Cleaned up the kernel.");
    assert_eq!(terminal.ends(), Some(143));
    let requests = requests.lock().expect("no panic");
    assert_eq!(
        requests.last().map(String::as_str),
        Some("DELETE /v2/kernel/k1"),
        "{requests:?}"
    );
}

/// A gateway that opens a terminal and then does not read.
fn stalled(request: &stub::Request) -> stub::Answer {
    match (request.method.as_str(), request.path.as_str()) {
        ("POST", "/v2/kernel/create") => Some((201, r#"{"kernelId": "k1"}"#.to_owned())),
        ("DELETE", _) => Some((204, String::new())),
        _ => None,
    }
}

/// `sorna shell` with a gateway that does not read, after more was typed than the connection can buffer.
fn stuffed(directory: &std::path::Path, arguments: &[&str]) -> Terminal {
    let endpoint = format!("http://{}", stub::stub(stalled));
    let environment = stub::environment(&endpoint);
    let arguments = [&["shell"], arguments, &["bash"]].concat();
    let mut terminal = Terminal::open(directory, None, 90, &environment, &arguments);
    terminal.shows("Leave with");
    eventually("raw mode", || !terminal.shows_typing());
    terminal.types_much(8 * 1024 * 1024);
    terminal
}

#[test]
fn the_detach_key_works_while_the_gateway_does_not_read() {
    let directory = here();
    let mut terminal = stuffed(directory.path(), &["-t", "my-session"]);
    terminal.types("\x1d");
    terminal.shows("Detached. Reattach");
    assert_eq!(terminal.ends(), Some(0));
    assert!(terminal.shows_typing(), "the terminal is restored");
}

#[test]
fn a_signal_works_while_a_new_window_size_cannot_be_sent() {
    let directory = here();
    let mut terminal = stuffed(directory.path(), &[]);
    // Its thread wakes up to send the size, and sleeps again because nothing can be sent.
    let before = terminal.sleeps_of("window");
    for columns in [50, 60, 70] {
        terminal.pty.resize(Size::new(20, columns)).expect("a size");
        terminal.signal(Signal::WINCH);
    }
    eventually("the size waits to be sent", || {
        terminal.sleeps_of("window") > before
    });
    assert!(terminal.is_running());
    terminal.signal(Signal::TERM);
    terminal.shows("Cleaned up the kernel.");
    assert_eq!(terminal.ends(), Some(143));
    assert!(terminal.shows_typing(), "the terminal is restored");
}

#[test]
fn a_connection_that_breaks_says_how_to_reattach() {
    let address = stub::stub_with_terminals(stalled, |_| {});
    let endpoint = format!("http://{address}");
    let directory = here();
    let open = |arguments: &[&str]| {
        let environment = stub::environment(&endpoint);
        Terminal::open(directory.path(), None, 90, &environment, arguments)
    };
    let mut terminal = open(&["shell", "-t", "my session", "bash"]);
    terminal.shows("✘ ");
    terminal.shows("∙ Reattach with `sorna shell -t 'my session' bash`.");
    assert_eq!(terminal.ends(), Some(1));
    // A temporary kernel is gone.
    let mut terminal = open(&["shell", "bash"]);
    terminal.shows("Cleaned up the kernel.");
    assert!(!terminal.rest().contains("Reattach"));
}

/// A manager with one session.
fn manager(request: &stub::Request, hello: &str) -> stub::Answer {
    const CREATED: &str = r#"{"sessionId": "7c548299-6be3-4613-8cf0-f11deb896755", "sessionName": "my-session", "status": "RUNNING", "servicePorts": [], "created": true}"#;
    match (request.method.as_str(), request.path.as_str()) {
        ("GET", "/") => Some((200, hello.to_owned())),
        ("POST", "/session") => Some((201, CREATED.to_owned())),
        _ => Some((404, "{}".to_owned())),
    }
}

fn shell_at(address: std::net::SocketAddr, directory: &std::path::Path) -> Terminal {
    let endpoint = format!("http://{address}");
    let environment = stub::environment(&endpoint);
    let arguments = [
        "shell",
        "--api",
        "backend-ai",
        "-t",
        "my-session",
        "python:3",
    ];
    let mut terminal = Terminal::open(directory, None, 200, &environment, &arguments);
    terminal.shows("Leave with");
    eventually("raw mode", || !terminal.shows_typing());
    terminal
}

#[test]
fn input_that_a_manager_loses_is_reported() {
    const HELLO: &str = r#"{"version": "v7.20230615", "manager": "23.09.10"}"#;
    let closes_at_input = |terminal: &mut BufReader<TcpStream>| {
        // Frames of a client: two bytes, of which the second is the length with the highest bit, a mask of four
        // bytes, and the content.
        loop {
            let mut head = [0; 6];
            if terminal.read_exact(&mut head).is_err() {
                return;
            }
            let mut content = vec![0; usize::from(head[1] & 0x7f)];
            terminal.read_exact(&mut content).expect("the content");
            for (byte, mask) in content.iter_mut().zip(head[2..].iter().cycle()) {
                *byte ^= mask;
            }
            if String::from_utf8_lossy(&content).contains("stdin") {
                break;
            }
        }
        let close = [0x88, 2, 0x03, 0xe8];
        terminal.get_mut().write_all(&close).expect("a client");
        let _ = terminal.read(&mut [0; 64]);
    };
    let address = stub::stub_with_terminals(|request| manager(request, HELLO), closes_at_input);
    let directory = here();
    let mut terminal = shell_at(address, directory.path());
    terminal.types("x");
    terminal.shows("✘ The manager has closed the terminal at the first input, as releases 22.09 to 25.8 do. Use `sorna repl` instead, which needs no terminal.");
    assert_eq!(terminal.ends(), Some(1));
    assert!(terminal.shows_typing(), "the terminal is restored");
}

#[test]
fn a_terminal_that_shows_nothing_is_reported() {
    const HELLO: &str = r#"{"version": "v9.20250722", "manager": "26.9.6"}"#;
    let address = stub::stub(|request| manager(request, HELLO));
    let directory = here();
    let mut terminal = shell_at(address, directory.path());
    terminal.types("x");
    terminal.shows("∙ The terminal shows nothing. Those of managers from 25.9 on do not work, nor those of 22.09 to 25.8 through a web server: leave with Ctrl-], and use `sorna repl` instead, which needs none.");
    assert!(terminal.is_running());
    terminal.types("\x1d");
    terminal.shows("Reattach with `sorna shell -t my-session python:3`.");
    assert_eq!(terminal.ends(), Some(0));
}

#[test]
fn a_shell_in_a_session_of_backend_ai() {
    let directory = here();
    let arguments = ["--local", "--api", "backend-ai", "bash"];
    let mut terminal = Terminal::start(directory.path(), None, &arguments);
    terminal.shows("Leave with Ctrl-].");
    eventually("raw mode", || !terminal.shows_typing());
    terminal.types("echo $((6 * 7))\r");
    terminal.shows("42\r\n");
    terminal.types("\x1d");
    terminal.shows("Cleaned up the session.");
    assert_eq!(terminal.ends(), Some(0));
}
