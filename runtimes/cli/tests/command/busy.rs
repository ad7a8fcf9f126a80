//! Two commands at once in one kernel that is kept.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use sorna_gateway::RunningGateway;

use crate::support::{backend_at, check, gateway, here, sorna_at, wait, write};

type At = fn(&Path, &RunningGateway) -> Command;

const DIALECTS: [At; 2] = [sorna_at, backend_at];

/// What runs until a file is there, in each way to run something: the arguments, and the standard input.
fn ways(directory: &Path) -> Vec<(Vec<String>, Option<String>)> {
    let sign = directory.join("go");
    let python = format!(
        "import os, time\nprint('begun', flush=True)\nwhile not os.path.exists({sign:?}): time.sleep(0.01)\nprint('end')\n"
    );
    let shell = format!("echo begun; until [ -e {sign:?} ]; do sleep 0.01; done; echo end");
    write(directory, &[("f.py", &python), ("data", "")]);
    let all = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    vec![
        (all(&["python3", "-c", &python]), None),
        (all(&["python3", "f.py"]), None),
        (
            all(&["python3", "data", "-b", "true", "--exec", &shell]),
            None,
        ),
        (all(&["python3"]), Some(python)),
    ]
}

fn command(at: At, directory: &Path, gateway: &RunningGateway, options: &[&str]) -> Command {
    let mut command = at(directory, gateway);
    command.args(["run", "-q", "-t", "a-session"]).args(options);
    command
}

/// Starts a program that runs until the test ends it, and waits until it has printed that it runs.
fn begin(
    mut command: Command,
    way: &(Vec<String>, Option<String>),
) -> (Child, impl BufRead + use<>) {
    command.args(&way.0).stdin(Stdio::piped());
    let mut child = command.spawn().expect("sorna runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin
        .write_all(way.1.as_deref().unwrap_or_default().as_bytes())
        .expect("a reader");
    drop(stdin);
    let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut line = String::new();
    stdout.read_line(&mut line).expect("text");
    assert_eq!(line, "begun\n", "{way:?}");
    (child, stdout)
}

#[test]
fn the_second_command_says_that_the_kernel_is_busy_or_waits_and_the_first_loses_nothing() {
    for (at, dialect) in DIALECTS.into_iter().zip(["Sorna v2", "Backend.AI"]) {
        let gateway = gateway();
        let directory = here();
        let directory = directory.path();
        let ways = ways(directory);
        for (number, way) in ways.iter().enumerate() {
            eprintln!("{dialect}: {:?}", way.0);
            let (mut first, mut rest) = begin(command(at, directory, &gateway, &[]), way);
            let mut second = command(at, directory, &gateway, &[]);
            second.args(["python3", "-c", "print('other')"]);
            check(second).code(1).stdout_eq("").stderr_eq(
                "✘ the kernel is busy: a [..] has been running for [..] s, started by sorna on [..] (process [..])\n\
                 ∙ Nothing was executed. Wait for its end with --wait, see it with `sorna attach [..]`, or [..]\n",
            );
            let mut limited = command(at, directory, &gateway, &["--wait=100ms"]);
            limited.args(["python3", "-c", "print('other')"]);
            check(limited).code(1).stdout_eq("").stderr_eq(
                "∙ The [..] is busy: a [..] has been running for [..] s, started by sorna on [..] (process [..]). This command waits until that has ended.\n\
                 ✘ the kernel is busy: a [..] has been running for [..] s, started by sorna on [..] (process [..])\n\
                 ∙ Nothing was executed. Wait for its end with --wait, see it with `sorna attach [..]`, or [..]\n",
            );
            // One that waits can be stopped, and then has no effect.
            let other = &ways[(number + 1) % ways.len()];
            let mut stopped = waiting(command(at, directory, &gateway, &["--wait"]), other);
            let id = i32::try_from(stopped.id()).expect("an id");
            kill_process(Pid::from_raw(id).expect("an id"), Signal::INT).expect("it lives");
            assert_eq!(wait(&mut stopped).code(), Some(130));

            let third = waiting(command(at, directory, &gateway, &["--wait"]), other);
            std::fs::write(directory.join("go"), "").expect("a file");
            let mut end = String::new();
            rest.read_to_string(&mut end).expect("text");
            assert_eq!(end, "end\n", "{way:?}");
            assert!(wait(&mut first).success());
            let output = third.wait_with_output().expect("an end");
            let stdout = String::from_utf8_lossy(&output.stdout);
            assert_eq!(stdout, "begun\nend\n", "{other:?}");
            std::fs::remove_file(directory.join("go")).expect("a file");
        }
        gateway.stop();
    }
}

/// A command that waits for another one.
fn waiting(mut command: Command, way: &(Vec<String>, Option<String>)) -> Child {
    command.args(&way.0).stdin(Stdio::piped());
    let mut child = command.spawn().expect("sorna runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    let code = way.1.as_deref().unwrap_or_default();
    stdin.write_all(code.as_bytes()).expect("a reader");
    drop(stdin);
    let mut stderr = BufReader::new(child.stderr.take().expect("a pipe"));
    let mut text = String::new();
    while !text.contains("This command waits") {
        assert_ne!(stderr.read_line(&mut text).expect("text"), 0, "{text}");
    }
    // Read to the end, so that nothing waits for it.
    std::thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::sink()));
    child
}
