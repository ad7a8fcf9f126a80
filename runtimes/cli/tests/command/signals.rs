//! `sorna run` leaves no kernel behind, however it is stopped.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use snapbox::str;
use sorna_gateway::RunningGateway;

use crate::support::terminal::{Terminal, screen};
use crate::support::{
    check, eventually, gateway, here, is_full, sorna, sorna_at, stub, wait, write,
};

/// Starts a program that runs until it is stopped, and waits until it runs.
fn start(mut command: Command, directory: &Path, arguments: &[&str]) -> Child {
    // Found in the process table, since kernels cannot write to a place that the test can read.
    let sign = directory.file_name().expect("a name").to_string_lossy();
    let command_line = format!("sleep 1000; : {sign}");
    let code = format!("import subprocess\nsubprocess.run(['sh', '-c', '{command_line}'])");
    command
        .arg("run")
        .args(arguments)
        .args(["python3", "-c", &code]);
    let child = command.spawn().expect("sorna runs");
    eventually("the program", || runs(&format!("sh\0-c\0{command_line}")));
    child
}

/// Whether a process was started by this command line.
fn runs(command_line: &str) -> bool {
    let processes = std::fs::read_dir("/proc").expect("processes").flatten();
    processes
        .filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok())
        .any(|text| text.starts_with(command_line.as_bytes()))
}

fn signal(child: &Child, signal: Signal) {
    let pid = i32::try_from(child.id()).expect("an id");
    kill_process(Pid::from_raw(pid).expect("an id"), signal).expect("it lives");
}

fn stderr(child: &mut Child) -> String {
    let mut text = String::new();
    let mut stderr = child.stderr.take().expect("a pipe");
    stderr.read_to_string(&mut text).expect("text");
    text
}

fn check_empty(gateway: RunningGateway) {
    let stats = gateway.stats();
    assert_eq!((stats.kernels_created, stats.kernels), (1, 0));
    gateway.stop();
}

#[test]
fn each_signal_destroys_the_kernel_and_has_its_exit_code() {
    for (name, code) in [
        (Signal::INT, 130),
        (Signal::TERM, 143),
        (Signal::HUP, 129),
        (Signal::QUIT, 131),
    ] {
        let gateway = gateway();
        let directory = here();
        let mut child = start(sorna_at(directory.path(), &gateway), directory.path(), &[]);
        signal(&child, name);
        assert_eq!(wait(&mut child).code(), Some(code));
        let text = stderr(&mut child);
        assert!(text.ends_with("✔ Cleaned up the kernel.\n"), "{text}");
        check_empty(gateway);
    }
}

#[test]
fn a_reader_that_does_not_read_delays_no_end() {
    for arguments in [&["run"][..], &["run", "--json"]] {
        for stream in ["stdout", "stderr"] {
            let gateway = gateway();
            let directory = here();
            let code = format!("import sys\nwhile True: print('x' * 1000, file=sys.{stream})");
            let mut command = sorna_at(directory.path(), &gateway);
            command.args(arguments).args(["python3", "-c", &code]);
            let mut child = command.spawn().expect("sorna runs");
            match stream {
                "stderr" if arguments.len() == 1 => {
                    is_full(child.stderr.as_ref().expect("a pipe"));
                }
                _ => is_full(child.stdout.as_ref().expect("a pipe")),
            }
            signal(&child, Signal::TERM);
            assert_eq!(wait(&mut child).code(), Some(143));
            check_empty(gateway);
        }
    }
}

#[test]
fn a_signal_at_an_input_request() {
    let gateway = gateway();
    let directory = here();
    let mut command = sorna_at(directory.path(), &gateway);
    command
        .args(["run", "python3", "-c", "input('name? ')"])
        .stdin(std::process::Stdio::piped());
    let mut child = command.spawn().expect("sorna runs");
    let mut prompt = [0; 6];
    let stdout = child.stdout.as_mut().expect("a pipe");
    stdout.read_exact(&mut prompt).expect("a prompt");
    signal(&child, Signal::INT);
    assert_eq!(wait(&mut child).code(), Some(130));
    check_empty(gateway);
}

/// The kernel is kept, so only its own end ends the request that the run is waiting for.
#[test]
fn a_silent_program_in_a_kept_kernel_does_not_delay_the_end() {
    let gateway = gateway();
    let directory = here();
    let arguments = ["-t", "my-session", "--detach-on-interrupt"];
    let mut child = start(
        sorna_at(directory.path(), &gateway),
        directory.path(),
        &arguments,
    );
    signal(&child, Signal::INT);
    assert_eq!(wait(&mut child).code(), Some(130));
    assert_eq!(gateway.stats().kernels, 1, "a kernel with a token is kept");
    let text = stderr(&mut child);
    let (_, kernel) = text.split_once("Kernel (ID: ").expect("a kernel");
    let (kernel, text) = kernel
        .split_once(") is ready, and new.\n")
        .expect("a kernel");
    assert_eq!(
        text,
        format!(
            "∙ The program is still running in kernel {kernel}, which is busy until it ends. See it with `sorna attach my-session`, or stop it with `sorna interrupt {kernel}`.\n"
        )
    );
    gateway.stop();
}

#[test]
fn the_next_run_says_that_a_program_is_still_running() {
    let gateway = gateway();
    let directory = here();
    let with = |code: &str| {
        let mut command = sorna_at(directory.path(), &gateway);
        command.args(["run", "-t", "my-session", "--detach-on-interrupt"]);
        command.args(["python3", "-c", code]);
        command
    };
    let sign = directory.path().join("go");
    let code = format!(
        "import os, time\nprint('start', end='', flush=True)\nwhile not os.path.exists({sign:?}): time.sleep(0.01)\nprint('went')"
    );
    let mut child = with(&code).spawn().expect("sorna runs");
    let stdout = child.stdout.as_mut().expect("a pipe");
    stdout.read_exact(&mut [0; 5]).expect("output");
    signal(&child, Signal::INT);
    assert_eq!(wait(&mut child).code(), Some(130));
    let text = stderr(&mut child);
    assert!(
        text.contains("The program is still running in kernel "),
        "{text}"
    );
    let busy = with("print('own')").output().expect("sorna runs");
    let said = String::from_utf8_lossy(&busy.stderr);
    assert!(said.contains("the kernel is busy: a snippet"), "{said}");
    assert_eq!((busy.status.code(), &*busy.stdout), (Some(1), &b""[..]));
    std::fs::write(sign, "").expect("a file");
    let mut next = with("print('own')");
    next.arg("--wait");
    check(next).success().stdout_eq("own\n");
    // A program that waits for input: a password prompt shows by the terminal's mode.
    let code = "import getpass\nprint(f'<{getpass.getpass()}>')";
    let arguments = [
        "-t",
        "my-session",
        "--detach-on-interrupt",
        "python3",
        "-c",
        code,
    ];
    let mut terminal = Terminal::start_command("run", directory.path(), Some(&gateway), &arguments);
    eventually("hidden typing", || !terminal.shows_typing());
    terminal.signal(Signal::INT);
    terminal.shows("The program is waiting for input in kernel ");
    assert_eq!(terminal.ends(), Some(130));
    let busy = with("code").output().expect("sorna runs");
    let said = String::from_utf8_lossy(&busy.stderr);
    assert!(said.contains(" and waits for input\n"), "{said}");
    let kernel = said.split_once("(ID: ").expect("a kernel").1;
    let kernel = kernel.split_once(')').expect("a kernel").0;
    let mut interrupt = sorna_at(directory.path(), &gateway);
    interrupt.args(["interrupt", kernel]);
    check(interrupt).success();
    let mut next = with("1");
    next.arg("--wait");
    check(next).success();
    // After a program has ended there is nothing to report.
    check(with("1")).success().stderr_eq(str![[r#"
∙ Client session token: my-session
✔ Kernel (ID: [KERNEL]) is ready.

"#]]);
    gateway.stop();
}

#[test]
fn a_local_gateway_leaves_nothing_behind() {
    let directory = here();
    let temporary = here();
    let mut command = sorna(directory.path());
    command.env("TMPDIR", temporary.path());
    let mut child = start(command, directory.path(), &["--local"]);
    signal(&child, Signal::INT);
    assert_eq!(wait(&mut child).code(), Some(130));
    let left: Vec<_> = std::fs::read_dir(temporary.path())
        .expect("a directory")
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_closed_pipe_ends_it_quietly() {
    let gateway = gateway();
    let directory = here();
    let mut command = sorna_at(directory.path(), &gateway);
    let code = "import time\nwhile True:\n print('x' * 1000)\n time.sleep(0.001)";
    command.args(["run", "-q", "python3", "-c", code]);
    let mut child = command.spawn().expect("sorna runs");
    let mut stdout = child.stdout.take().expect("a pipe");
    stdout.read_exact(&mut [0; 100]).expect("output");
    drop(stdout);
    assert_eq!(wait(&mut child).code(), Some(141));
    assert_eq!(stderr(&mut child), "");
    check_empty(gateway);
}

#[test]
fn a_second_signal_quits_at_once() {
    let (stopping, is_stopping) = mpsc::channel();
    let directory = here();
    let address = stub::stub(move |request| {
        if request.method == "DELETE" {
            stopping.send(()).expect("the test waits");
        }
        stubborn(request)
    });
    let mut command = stub::at(sorna(directory.path()), address);
    command
        .args(["run", "python3", "-c", "1"])
        .stdin(Stdio::piped());
    let mut child = command.spawn().expect("sorna runs");
    // The program's prompt: the kernel exists.
    let stdout = child.stdout.as_mut().expect("a pipe");
    stdout.read_exact(&mut [0; 6]).expect("output");
    signal(&child, Signal::INT);
    // The first signal destroys the kernel, and waits for the response.
    is_stopping.recv().expect("a request");
    assert_eq!(child.try_wait().expect("a status"), None);
    signal(&child, Signal::TERM);
    assert_eq!(wait(&mut child).code(), Some(143));
    let text = stderr(&mut child);
    let words = "∙ The temporary kernel k1 may still be there. Destroy it with `sorna destroy k1`; otherwise the next `sorna run` with this endpoint does.\n";
    assert!(text.ends_with(words), "{text}");
}

#[test]
fn a_second_signal_before_there_is_a_kernel_says_that_there_may_be_one() {
    let (creating, is_creating) = mpsc::channel();
    let directory = here();
    let address = stub::stub(move |request| {
        if request.path == "/v2/kernel/create" {
            creating.send(()).expect("the test waits");
        }
        None
    });
    for command in ["run", "shell"] {
        let mut child = stub::at(sorna(directory.path()), address);
        child.args(["--api", "sorna", command, "python3"]);
        if command == "run" {
            child.args(["-c", "1"]);
        }
        let mut child = child.spawn().expect("sorna runs");
        is_creating.recv().expect("a request");
        // The same signal twice at once is one.
        signal(&child, Signal::QUIT);
        signal(&child, Signal::QUIT);
        std::thread::sleep(Duration::from_millis(50));
        assert_eq!(child.try_wait().expect("a status"), None);
        signal(&child, Signal::TERM);
        assert_eq!(wait(&mut child).code(), Some(143));
        let text = stderr(&mut child);
        assert!(
            text.ends_with("It ends when the gateway's idle timeout has passed.\n"),
            "{text}"
        );
    }
}

/// GNU `timeout` sends a signal to its child and then to the group.
#[test]
fn a_signal_that_comes_twice_at_once_is_one() {
    for name in [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT] {
        for _ in 0..5 {
            let gateway = gateway();
            let directory = here();
            let mut child = start(sorna_at(directory.path(), &gateway), directory.path(), &[]);
            signal(&child, name);
            signal(&child, name);
            assert!(!wait(&mut child).success());
            check_empty(gateway);
        }
    }
}

/// At every moment: the command ends, and the gateway has no kernel left.
#[test]
fn ctrl_c_at_fifty_moments_leaves_no_kernel() {
    let gateway = gateway();
    let directory = here();
    write(directory.path(), &[("main.sh", "echo started\n")]);
    let start = || {
        let mut command = sorna_at(directory.path(), &gateway);
        command.args([
            "run",
            "bash",
            "main.sh",
            "-b",
            "sh main.sh",
            "-e",
            "sh main.sh",
        ]);
        command.spawn().expect("sorna runs")
    };
    // The duration of a whole run on this machine, over which the moments are spread.
    let begin = Instant::now();
    assert!(wait(&mut start()).success());
    let whole = begin.elapsed();
    for moment in moments(50) {
        interrupt(start(), whole.mul_f64(moment));
    }
    eventually("an empty gateway", || gateway.stats().kernels == 0);
    gateway.stop();
}

#[test]
fn ctrl_c_at_fifty_moments_leaves_no_file_of_a_local_gateway() {
    let directory = here();
    let temporary = here();
    let start = || {
        let mut command = sorna(directory.path());
        command.env("TMPDIR", temporary.path()).args([
            "run",
            "--local",
            "bash",
            "-c",
            "echo started",
        ]);
        command.spawn().expect("sorna runs")
    };
    let begin = Instant::now();
    assert!(wait(&mut start()).success());
    let whole = begin.elapsed();
    for moment in moments(50) {
        interrupt(start(), whole.mul_f64(moment));
        let is_empty = || {
            let mut left = std::fs::read_dir(temporary.path()).expect("a directory");
            left.next().is_none()
        };
        // On a busy machine the gateway may stop waiting; then its watchdog cleans up.
        eventually("an empty directory", is_empty);
    }
}

#[test]
fn a_request_survives_ctrl_z_and_fg() {
    // The state of the process, as the system reports it.
    let state = |pid: u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it lives");
        let (_, rest) = stat.rsplit_once(") ").expect("a state");
        rest.chars().next()
    };
    let (asked, is_asked) = mpsc::channel();
    let (go_on, may_answer) = mpsc::channel();
    let may_answer = Mutex::new(may_answer);
    let address = stub::stub(move |_| {
        asked.send(()).expect("the test waits");
        may_answer
            .lock()
            .expect("one at a time")
            .recv()
            .expect("a word");
        Some((200, r#"{"lang": "bash"}"#.to_owned()))
    });
    let directory = here();
    let mut command = stub::at(sorna(directory.path()), address);
    let child = command
        .args(["info", "hnR0Bq9IGTWp2RSO5xQv4w"])
        .spawn()
        .expect("sorna runs");
    is_asked.recv().expect("a request");
    for _ in 0..3 {
        eventually("it waits", || state(child.id()) == Some('S'));
        signal(&child, Signal::STOP);
        eventually("it is stopped", || state(child.id()) == Some('T'));
        signal(&child, Signal::CONT);
        eventually("it keeps running", || state(child.id()) != Some('T'));
    }
    go_on.send(()).expect("the gateway waits");
    let output = child.wait_with_output().expect("it ends");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    assert_eq!(text, "");
}

/// Fractions of a duration, from 0 to 1, spread by a small generator (xorshift) with a fixed seed.
fn moments(number: usize) -> impl Iterator<Item = f64> {
    let mut state: u32 = 20_170_315;
    let next = move || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        f64::from(state) / f64::from(u32::MAX)
    };
    std::iter::repeat_with(next).take(number)
}

/// Ctrl-C after this time, and a clean end.
#[track_caller]
fn interrupt(mut child: Child, after: Duration) {
    std::thread::sleep(after);
    // It may already have ended.
    let pid = i32::try_from(child.id()).expect("an id");
    let _ = kill_process(Pid::from_raw(pid).expect("an id"), Signal::INT);
    let status = wait(&mut child);
    let text = stderr(&mut child);
    // Killed before it watches for signals; stopped; or at its end already.
    let end = status.code().unwrap_or(-1);
    assert!(
        [-1, 0, 130].contains(&end),
        "{status} after {after:?}: {text}"
    );
    assert!(!text.contains('✘'), "after {after:?}: {text}");
}

#[test]
fn ctrl_c_during_an_upload_leaves_a_clean_line() {
    let gateway = gateway();
    let directory = here();
    for number in 0..60 {
        let name = format!("data/{number}.txt");
        write(directory.path(), &[(&name, &"x".repeat(100_000))]);
    }
    let arguments = ["run", "bash", "data", "-b", "", "-e", "sleep 1000"];
    let mut terminal = Terminal::open(directory.path(), Some(&gateway), 90, &[], &arguments);
    terminal.shows("19/60 files");
    terminal.types("\x03");
    let rest = terminal.rest();
    assert_eq!(terminal.ends(), Some(130));
    let shown = screen(&rest);
    let last = shown.lines().last().expect("a line");
    assert_eq!(last, "✔ Cleaned up the kernel.", "{rest:?}");
    assert!(!shown.contains('⋯'), "{shown}");
    assert_eq!(gateway.stats().kernels, 0);
    gateway.stop();
}

/// A gateway whose kernel asks for a password, and never ends.
fn stubborn(request: &stub::Request) -> stub::Answer {
    match (request.method.as_str(), request.path.as_str()) {
        ("POST", "/v2/kernel/create") => Some((201, r#"{"kernelId": "k1"}"#.to_owned())),
        ("POST", _) => {
            let result = r#"{"result": {"status": "waiting-input", "console": [["stdout", "word? "]], "options": {"is_password": true}}}"#;
            Some((200, result.to_owned()))
        }
        _ => None,
    }
}

/// A signal that comes again within 200 ms is the same one.
fn until_it_is_no_repetition() {
    std::thread::sleep(std::time::Duration::from_millis(300));
}

#[test]
fn a_second_signal_at_a_password_prompt_restores_echo() {
    let (stopping, is_stopping) = mpsc::channel();
    let address = stub::stub(move |request| {
        if request.method == "DELETE" {
            stopping.send(()).expect("the test waits");
        }
        stubborn(request)
    });
    let directory = here();
    let endpoint = format!("http://{address}");
    let environment = stub::environment(&endpoint);
    let arguments = ["run", "-q", "python3", "-c", "1"];
    for (second, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let mut terminal = Terminal::open(directory.path(), None, 90, &environment, &arguments);
        terminal.shows("word? ");
        eventually("hidden typing", || !terminal.shows_typing());
        terminal.signal(Signal::INT);
        // The first signal destroys the kernel, and waits for the response.
        is_stopping.recv().expect("a request");
        assert!(terminal.is_running());
        until_it_is_no_repetition();
        terminal.signal(second);
        assert_eq!(terminal.ends(), Some(code));
        assert!(terminal.shows_typing(), "the terminal is restored");
    }
}

#[test]
fn a_second_signal_erases_the_progress_line() {
    let directory = here();
    let endpoint = format!("http://{}", stub::stub(|_| None));
    let environment = stub::environment(&endpoint);
    let arguments = ["run", "python3", "-c", "1"];
    let mut terminal = Terminal::open(directory.path(), None, 90, &environment, &arguments);
    terminal.shows("Creating a temporary kernel... ⠋");
    terminal.signal(Signal::INT);
    terminal.shows("Stopping... (press Ctrl-C again to quit now)");
    assert!(terminal.is_running());
    until_it_is_no_repetition();
    terminal.signal(Signal::INT);
    let rest = terminal.rest();
    assert_eq!(terminal.ends(), Some(130));
    let (_, words) = rest.rsplit_once("\r\x1b[2K").expect("it is erased");
    assert!(
        words.contains("A temporary kernel may have been created."),
        "{rest:?}"
    );
}

#[test]
fn a_kernel_that_cannot_be_destroyed_is_reported() {
    let directory = here();
    let address = stub::stub(|request| match request.method.as_str() {
        "DELETE" => Some((500, String::new())),
        _ if request.path.ends_with("/create") => Some((201, r#"{"kernelId": "k1"}"#.to_owned())),
        _ => Some((200, r#"{"result": {"status": "finished"}}"#.to_owned())),
    });
    let mut command = stub::at(sorna(directory.path()), address);
    command.args(["run", "-q", "python3", "-c", "1"]);
    check(command).code(1).stderr_eq(str![[r#"
✘ The kernel k1 could not be destroyed: the gateway responded with 500 Internal Server Error: (empty)
∙ It ends when the gateway's idle timeout has passed.

"#]]);
}

#[test]
fn a_closed_pipe_ends_json_quietly() {
    let gateway = gateway();
    let directory = here();
    let mut command = sorna_at(directory.path(), &gateway);
    let code = "import time\nwhile True:\n print('x' * 1000)\n time.sleep(0.001)";
    command.args(["run", "--json", "python3", "-c", code]);
    let mut child = command.spawn().expect("sorna runs");
    let mut stdout = child.stdout.take().expect("a pipe");
    stdout.read_exact(&mut [0; 100]).expect("output");
    drop(stdout);
    assert_eq!(wait(&mut child).code(), Some(141));
    assert_eq!(stderr(&mut child), "");
    check_empty(gateway);
}
