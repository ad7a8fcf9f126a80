//! Output of executions whose clients are gone: the next command in the kernel shows it, apart from its own.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use sorna_gateway::RunningGateway;

use crate::support::{backend_at, check, gateway, here, sorna_at, wait};

type At = fn(&Path, &RunningGateway) -> Command;

const BEFORE: &str =
    "∙ Output that earlier executions have left here, and no client is known to have received:\n";
const AFTER: &str = "∙ That was the output of earlier executions; what follows is this one's.\n";

fn command(at: At, directory: &Path, gateway: &RunningGateway, lang: &str, code: &str) -> Command {
    let mut command = at(directory, gateway);
    let token = format!("kernel-of-{lang}");
    command.args(["run", "-q", "-t", &token]);
    command.args([lang, "-c", code]);
    command
}

/// Starts a program, and waits until it has printed this line.
fn begin(mut command: Command, line: &str) -> (Child, impl BufRead + use<>) {
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::null()).spawn().expect("sorna runs");
    let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut text = String::new();
    stdout.read_line(&mut text).expect("text");
    assert_eq!(text, line);
    (child, stdout)
}

/// Ends a command that this test has started.
fn kill(child: &mut Child, signal: Signal) {
    let id = i32::try_from(child.id()).expect("an id");
    kill_process(Pid::from_raw(id).expect("an id"), signal).expect("it lives");
    wait(child);
}

/// What prints a line, and more when a file is there or it is interrupted; and what prints "next".
fn programs(sign: &Path) -> [(&'static str, String, &'static str); 3] {
    [
        (
            "python3",
            format!(
                "import os, sys, time\nprint('begun', flush=True)\ntry:\n while not os.path.exists({sign:?}): time.sleep(.01)\nexcept KeyboardInterrupt: pass\nprint('out')\nprint('err', file=sys.stderr)"
            ),
            "import sys; print('next'); sys.exit(3)",
        ),
        (
            "bash",
            format!(
                "trap 'touch {sign:?}' INT; echo begun; until [ -e {sign:?} ] || [ -e stop ]; do sleep 0.01 || touch stop; done; echo out; echo err >&2"
            ),
            "echo next; exit 3",
        ),
        (
            "nodejs",
            format!(
                "var fs = require('fs'); console.log('begun'); process.once('SIGINT', () => {{}}); var t = setInterval(() => {{ if (!fs.existsSync({sign:?})) return; clearInterval(t); console.log('out'); console.error('err'); }}, 10)"
            ),
            "console.log('next'); process.exit(3)",
        ),
    ]
}

/// What a command says of earlier executions on standard error, and that its own output and exit code are right.
fn next(mut command: Command) -> String {
    let output = command.output().expect("sorna runs");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "next\n");
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    String::from_utf8(output.stderr).expect("text")
}

/// What is between the lines that tell it apart. The first line may have been received, if its client was killed before it
/// asked for more.
fn unclaimed(stderr: &str) -> &str {
    let (_, rest) = stderr.split_once(BEFORE).expect(stderr);
    let (text, own) = rest.split_once(AFTER).expect(stderr);
    assert_eq!(own, "");
    text.strip_prefix("begun\n").unwrap_or(text)
}

#[test]
fn what_a_killed_command_did_not_receive_is_shown_by_the_next_one() {
    let gateway = gateway();
    let directory = here();
    let directory = directory.path();
    let sign = directory.join("go");
    for (lang, code, code_of_next) in programs(&sign) {
        let of = |code: &str| command(sorna_at, directory, &gateway, lang, code);
        let (mut killed, _) = begin(of(&code), "begun\n");
        kill(&mut killed, Signal::KILL);
        // It still runs, and the next one says so.
        check(of(code_of_next)).code(1).stdout_eq("");
        std::fs::write(&sign, "").expect("a file");
        let mut waiting = of(code_of_next);
        waiting.arg("--wait");
        assert_eq!(unclaimed(&next(waiting)), "out\nerr\n", "{lang}");
        // Nothing is shown twice.
        assert_eq!(next(of(code_of_next)), "", "{lang}");
        std::fs::remove_file(&sign).expect("a file");
    }
    gateway.stop();
}

#[test]
fn of_backend_ai_it_goes_on_as_well() {
    let gateway = gateway();
    let directory = here();
    let directory = directory.path();
    let sign = directory.join("go");
    for (lang, code, code_of_next) in programs(&sign).into_iter().take(2) {
        let of = |code: &str| command(backend_at, directory, &gateway, lang, code);
        let (mut killed, _) = begin(of(&code), "begun\n");
        kill(&mut killed, Signal::KILL);
        check(of(code_of_next)).code(1).stdout_eq("");
        std::fs::write(&sign, "").expect("a file");
        let mut waiting = of(code_of_next);
        waiting.arg("--wait");
        let stderr = next(waiting);
        assert!(unclaimed(&stderr).contains("out\n"), "{lang}: {stderr}");
        assert_eq!(next(of(code_of_next)), "", "{lang}");
        std::fs::remove_file(&sign).expect("a file");
    }
    gateway.stop();
}

#[test]
fn the_exit_code_of_a_detached_program_is_said_with_its_output() {
    let gateway = gateway();
    let directory = here();
    for at in [sorna_at as At, backend_at] {
        let of = |code: &str| command(at, directory.path(), &gateway, "bash", code);
        let detach = |code: &str| {
            let mut command = of(code);
            command.arg("--detach").stdin(Stdio::null());
            check(command).success();
        };
        // The second one says that the first is still running, or waits.
        let next = |code: &str, json: bool| {
            let mut command = of(code);
            command.arg("--wait").args(json.then_some("--json"));
            let output = command.output().expect("sorna runs");
            assert_eq!(output.status.code(), Some(0), "{output:?}");
            let text = |bytes| String::from_utf8(bytes).expect("text");
            (text(output.stdout), text(output.stderr))
        };
        detach("echo out; exit 5");
        let (stdout, stderr) = next("echo mine", false);
        assert_eq!(stdout, "mine\n");
        assert_eq!(
            stderr,
            format!(
                "{BEFORE}out\n{}",
                AFTER.replace("executions;", "executions, which ended with exit code 5;")
            )
        );
        // It is said once.
        assert_eq!(next("echo mine", false).1, "");
        detach("echo out; exit 6");
        let (stdout, _) = next("echo mine", true);
        let line = stdout.lines().find(|line| line.contains("\"unclaimed\""));
        let line: serde_json::Value = serde_json::from_str(line.expect(&stdout)).expect("JSON");
        assert_eq!(line["exitCode"], 6);
        assert_eq!(
            line["records"],
            serde_json::json!([["stdout", "out\n"], ["ended", 6]])
        );
        detach("exit 7");
        assert_eq!(
            next("echo mine", false).1,
            "∙ What was started here before, and whose end no client is known to have received, ended with exit code 7.\n"
        );
        // Success is nothing to mention.
        detach("true");
        assert_eq!(next("echo mine", false).1, "");
        detach("echo out");
        let (_, stderr) = next("echo mine", false);
        assert_eq!(stderr, format!("{BEFORE}out\n{AFTER}"));
    }
    gateway.stop();
}

#[test]
fn json_has_it_apart() {
    let gateway = gateway();
    let directory = here();
    let directory = directory.path();
    let sign = directory.join("go");
    let [(lang, code, _), ..] = programs(&sign);
    let of = |code: &str| command(sorna_at, directory, &gateway, lang, code);
    let (mut killed, _) = begin(of(&code), "begun\n");
    kill(&mut killed, Signal::KILL);
    std::fs::write(&sign, "").expect("a file");
    let mut json = of("print('next')");
    json.args(["--json", "--wait"]);
    let output = json.output().expect("sorna runs");
    let text = String::from_utf8(output.stdout).expect("text");
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| line.contains(r#""out\n""#))
        .collect();
    let [line] = lines[..] else { panic!("{text}") };
    assert!(
        line.contains(r#""event":"unclaimed","records":["#),
        "{line}"
    );
    gateway.stop();
}
