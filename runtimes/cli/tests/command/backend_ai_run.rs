//! `sorna run` in Backend.AI.

use std::io::{BufRead, BufReader, Read};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use snapbox::str;

use crate::support::stub::{self, Request};
use crate::support::{backend_at, check, gateway, here, sorna, sorna_at, write};

#[test]
fn a_session_has_the_environment_and_the_resources_that_were_asked_for() {
    let gateway = gateway();
    let directory = here();
    let mut command = backend_at(directory.path(), &gateway);
    command.args([
        "run",
        "-t",
        "work",
        "-e",
        "GREETING=hello world",
        "-e",
        "B=2",
    ]);
    command.args(["-r", "mem=512m", "-r", "cpu=1", "--max-wait", "30"]);
    command.args(["bash", "-c", "echo $GREETING $B"]);
    check(command).success().stdout_eq("hello world 2\n");
    let mut command = backend_at(directory.path(), &gateway);
    command.args(["run", "-q", "-t", "work", "bash", "-c", "echo $B"]);
    check(command).success().stdout_eq("2\n");
    let mut command = backend_at(directory.path(), &gateway);
    command.args(["run", "-q", "-t", "work", "perl", "-c", "1"]);
    check(command).failure().stderr_eq(str![[r#"
✘ the gateway responded with 400 session-already-exists: [..]
∙ A session of this name exists, with another image. To use that session, give its image, which `sorna ps` shows; for a new one, choose another name.

"#]]);
    gateway.stop();
}

#[test]
fn a_local_gateway_speaks_backend_ai_where_that_is_needed() {
    let directory = here();
    let mut command = sorna(directory.path());
    command.args([
        "run",
        "-q",
        "--local",
        "-e",
        "A=b",
        "bash",
        "-c",
        "echo $A; exit 3",
    ]);
    check(command).code(3).stdout_eq("b\n").stderr_eq("");
}

#[test]
fn files_are_built_and_executed_with_their_exit_codes() {
    let gateway = gateway();
    let directory = here();
    let run = |file: &str| {
        let mut command = backend_at(directory.path(), &gateway);
        command.args(["run", "-q", "c", file]);
        check(command)
    };
    let program = "#include <stdio.h>\nint main() { puts(\"built\"); return 3; }\n";
    write(
        directory.path(),
        &[("main.c", program), ("broken.c", "int main() {")],
    );
    run("main.c").code(3).stdout_eq("built\n").stderr_eq("");
    // As managers end a batch whose build fails.
    run("broken.c").code(127).stdout_eq("").stderr_eq(str![[r#"
...
[..]error: expected[..]
...
"#]]);
    gateway.stop();
}

#[test]
fn what_sorna_v2_lacks_is_an_error_before_anything_is_sent() {
    let gateway = gateway();
    let directory = here();
    for (arguments, what) in [
        (
            &["-e", "A=b", "bash", "-c", "1"][..],
            "environment variables",
        ),
        (&["-r", "cpu=2", "bash", "-c", "1"], "resources of kernels"),
        (&["--enqueue", "bash"], "[..]"),
        (&["--max-wait", "30s", "bash", "-c", "1"], "[..]"),
    ] {
        let mut command = sorna_at(directory.path(), &gateway);
        command.arg("run").args(arguments);
        check(command).code(2).stdout_eq("").stderr_eq(format!(
            "✘ version v2.20170315 of the API does not support {what}\n\
             ∙ Only Backend.AI has that. If the gateway speaks Backend.AI, use --api backend-ai, or put api = \"backend-ai\" into the profile.\n"
        ));
    }
    assert_eq!(gateway.stats().requests, 0);
    let mut command = backend_at(directory.path(), &gateway);
    command.args(["run", "--exec-timeout", "3s", "bash", "-c", "1"]);
    check(command).code(2).stderr_eq(
        "✘ version v9.20250722 of the API does not support time limits of executions\n...\n",
    );
    let mut command = backend_at(directory.path(), &gateway);
    command.args(["run", "-t", "no spaces", "bash", "-c", "1"]);
    check(command)
        .code(2)
        .stderr_eq("✘ \"no spaces\" cannot be the name of a session: [..]\n");
    gateway.stop();
}

/// A manager whose programs print nothing until the flag is set; then they end, and the flag is unset.
fn silent_manager(manager: &'static str, end: Arc<AtomicBool>) -> std::net::SocketAddr {
    stub::stub(move |request: &Request| {
        Some(match (request.method.as_str(), request.path.as_str()) {
            ("GET", "/") => (
                200,
                format!(r#"{{"version": "v9.20250722", "manager": "{manager}"}}"#),
            ),
            ("POST", "/session") => (
                201,
                format!(r#"{{"sessionId": "{UUID}", "status": "RUNNING", "created": true}}"#),
            ),
            ("GET", _) => (404, "{}".into()),
            ("DELETE", _) => (200, r#"{"stats": {"status": "terminated"}}"#.into()),
            _ => {
                let body: serde_json::Value = serde_json::from_slice(&request.body).expect("JSON");
                let run = body["run_id"].as_str().unwrap_or("r1");
                std::thread::sleep(Duration::from_millis(10));
                let (status, code) = match end.swap(false, Ordering::SeqCst) {
                    true => ("finished", "0"),
                    false => ("continued", "null"),
                };
                (
                    200,
                    format!(
                        r#"{{"result": {{"status": "{status}", "runId": "{run}", "exitCode": {code}, "options": null, "files": [], "console": []}}}}"#
                    ),
                )
            }
        })
    })
}

const SILENT: &str = "The program has printed nothing for 1 ms. It may still run, wait for another execution in its session, or have ended its interpreter, as os._exit() and crashes do: managers of Backend.AI never report that. Press Ctrl-C to stop it.";

#[test]
fn a_program_that_prints_nothing_is_mentioned_once_with_what_to_do() {
    let end = Arc::<AtomicBool>::default();
    let manager = silent_manager("26.9.6", Arc::clone(&end));
    let directory = here();
    let mut command = stub::at(sorna(directory.path()), manager);
    command.args(["run", "--api", "auto", "--silence", "1ms"]);
    command.args(["python", "-c", "import os; os._exit(3)", "-c", "1"]);
    let mut child = command.spawn().expect("sorna runs");
    let mut stderr = BufReader::new(child.stderr.take().expect("a pipe")).lines();
    let mut next = || stderr.next().expect("a line").expect("text");
    assert!(next().starts_with("∙ Session name: "));
    assert!(next().starts_with("✔ Session (ID: "));
    for _ in 0..2 {
        assert_eq!(next(), format!("∙ {SILENT}"));
        // The line appears once only.
        std::thread::sleep(Duration::from_millis(50));
        end.store(true, Ordering::SeqCst);
    }
    assert_eq!(next(), "✔ Cleaned up the session.");
    assert!(crate::support::wait(&mut child).success());
    assert!(stderr.next().is_none());
}

#[test]
fn a_kept_session_is_named_where_its_program_prints_nothing_and_json_has_an_event() {
    let end = Arc::<AtomicBool>::default();
    let manager = silent_manager("23.09.10", Arc::clone(&end));
    let directory = here();
    let run = |arguments: &[&str]| {
        let mut command = stub::at(sorna(directory.path()), manager);
        command.args(["run", "--api", "auto", "--silence", "1ms", "-t", "work"]);
        command.args(arguments).args(["python", "-c", "1"]);
        command.spawn().expect("sorna runs")
    };
    let text = format!(
        "{} it, and destroy the session with `sorna destroy work`.",
        SILENT.trim_end_matches(" it.")
    );
    let mut child = run(&["--json"]);
    let mut stdout = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let advice = stdout.by_ref().map(|line| line.expect("text"));
    let advice = advice.map(|line| serde_json::from_str::<serde_json::Value>(&line).expect("JSON"));
    let advice = advice.into_iter().find(|line| line["event"] == "advice");
    assert_eq!(advice.expect("advice")["message"], text);
    end.store(true, Ordering::SeqCst);
    assert!(crate::support::wait(&mut child).success());
    // Neither with --quiet,
    let mut child = run(&["-q"]);
    std::thread::sleep(Duration::from_millis(100));
    end.store(true, Ordering::SeqCst);
    assert!(crate::support::wait(&mut child).success());
    let mut stderr = String::new();
    let mut pipe = child.stderr.take().expect("a pipe");
    pipe.read_to_string(&mut stderr).expect("text");
    assert_eq!(stderr, "");
}

#[test]
fn a_silent_program_is_not_mentioned_where_ends_are_reported() {
    let directory = here();
    let quiet = |mut command: Command| {
        command.args(["run", "--silence", "1ms", "-t", "work"]);
        command.args(["bash", "-c", "sleep 0.2", "-c", "exec true"]);
        let output = command.output().expect("sorna runs");
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!stderr.contains("nothing"), "{stderr}");
    };
    let gateway = gateway();
    quiet(sorna_at(directory.path(), &gateway));
    quiet(backend_at(directory.path(), &gateway));
    gateway.stop();
}

#[test]
fn what_a_session_has_of_its_resources_is_told_if_it_is_not_what_was_asked_for() {
    let gateway = gateway();
    let directory = here();
    let run = |name: &str, resources: &[&str]| {
        let mut command = backend_at(directory.path(), &gateway);
        command.args(["run", "-t", name]);
        command.args(resources.iter().flat_map(|resource| ["-r", resource]));
        command.args(["bash", "-c", "echo ran"]);
        check(command)
    };
    run("large", &["mem=999999t", "cpu=100000"])
        .success()
        .stdout_eq("ran\n")
        .stderr_eq(str![[r#"
∙ Session name: large
✔ Session (ID: [..]) is ready, and new.
∙ The session has mem 1 GiB (asked for: 999999t), cpu [..] (asked for: 100000).

"#]]);
    run("fits", &["mem=512m", "cpu=1"])
        .success()
        .stderr_eq(str![[r#"
∙ Session name: fits
✔ Session (ID: [..]) is ready, and new.

"#]]);
    // One that exists keeps what it has, and nothing runs with less than was asked for.
    run("fits", &["mem=1g"])
        .code(2)
        .stdout_eq("")
        .stderr_eq(str![[r#"
∙ Session name: fits
✔ Session (ID: [..]) is ready.
✘ the session existed already and has mem 512 MiB (asked for: 1g), which cannot be changed: [..]

"#]]);
    for (resource, problem) in [
        ("mem=1", r#"mem: "1" is too little for bash (minimum 4m)"#),
        (
            "mem=4095k",
            r#"mem: "4095k" is too little for bash (minimum 4m)"#,
        ),
    ] {
        run("none", &[resource]).failure().stderr_eq(format!(
            "...\n✘ the gateway responded with 400 invalid-api-params: [..]{problem}\n"
        ));
    }
    gateway.stop();
}

#[test]
fn commands_and_variables_share_an_option() {
    let directory = here();
    let refused = |arguments: &[&str], message: &str| {
        let mut command = sorna(directory.path());
        command.args(["run", "--local"]).args(arguments);
        check(command)
            .code(2)
            .stderr_eq(format!("error: {message}\n...\n"));
    };
    refused(
        &["-e", "./a", "--exec", "./b", "c", "main.c"],
        "several commands to run the program: give --exec, or -e CMD, once",
    );
    refused(
        &["-e", "./a", "c", "-c", "1"],
        "the argument '-e <CMD>' cannot be used with '--code <CODE>'",
    );
    refused(
        &["-e", "HOME", "c", "-c", "1"],
        "-e: a variable needs a value, such as -e NAME=VALUE or -e NAME=\"$NAME\"",
    );
    refused(
        &["-e", "=x", "bash", "-c", "1"],
        "-e: there is no name before the `=`; expected NAME=VALUE",
    );
    refused(
        &["-e", "=x", "c", "main.c"],
        "-e: there is no name before the `=`; expected NAME=VALUE",
    );
    for name in ["my-var", "1A", "a.b"] {
        // Its value may be a secret.
        refused(
            &["-e", &format!("{name}=hunter2"), "c", "main.c"],
            &format!(
                "-e: `{name}` cannot be the name of a variable, which consists of letters, digits and `_`, and does not begin with a digit"
            ),
        );
    }
    refused(
        &["-e", "BAD NAME=hunter2", "c", "-c", "1"],
        "-e: what is before the `=` cannot be the name of a variable, which consists of letters, digits and `_`, and does not begin with a digit; and a command to run files, which this is otherwise, cannot be used with '--code <CODE>'",
    );
    for amount in ["cpu=abc", "mem=plenty"] {
        let (name, text) = amount.split_once('=').expect("both");
        refused(
            &["-r", amount, "bash", "-c", "1"],
            &format!(
                "-r: {text:?} is no amount of {name}; expected a number, such as cpu=2 or mem=4g"
            ),
        );
    }
    for (option, short) in [
        ("-r", "-r"),
        ("--resource", "-r"),
        ("--resource-opt", "--resource-opt"),
    ] {
        refused(
            &[option, "x=1", option, "x=2", "bash", "-c", "1"],
            &format!("{short} x is given twice, with different values"),
        );
    }
    refused(
        &["-r", "cpu", "bash", "-c", "1"],
        "invalid value 'cpu' for '--resource <NAME=AMOUNT>': expected a name and a value, such as cpu=2",
    );
}

#[test]
fn an_enqueued_session_is_kept_and_no_code_is_run() {
    let gateway = gateway();
    let directory = here();
    let mut command = backend_at(directory.path(), &gateway);
    command.args(["run", "--enqueue", "-t", "work", "bash"]);
    check(command).success().stdout_eq("").stderr_eq(str![[r#"
✔ Session work (ID: [..]) is enqueued.
∙ `sorna info work` shows its status, `sorna run -t work bash` runs code in it, and `sorna destroy work` ends it.

"#]]);
    let mut command = backend_at(directory.path(), &gateway);
    command.args(["run", "--json", "--enqueue", "-t", "work", "bash"]);
    check(command).success().stderr_eq("").stdout_eq(str![[r#"
{"v":1,"event":"session-enqueued","kernel":"[..]","token":"work"}
{"v":1,"event":"finished","exitCode":0}

"#]]);
    let mut command = backend_at(directory.path(), &gateway);
    command.args(["run", "--enqueue", "-t", "work", "bash", "-c", "1"]);
    check(command)
        .code(2)
        .stderr_eq("error: --enqueue only creates the session, [..]\n...\n");
    gateway.stop();
}

const UUID: &str = "7c548299-6be3-4613-8cf0-f11deb896755";

/// A manager whose session waits for resources, then for its image, and then runs.
fn slow_manager() -> std::net::SocketAddr {
    let asked = AtomicUsize::new(0);
    stub::stub(move |request: &Request| {
        let (method, path) = (request.method.as_str(), request.path.as_str());
        let body = String::from_utf8_lossy(&request.body);
        Some(match (method, path) {
            ("GET", "/") => (
                200,
                r#"{"version": "v9.20250722", "manager": "26.9.6"}"#.into(),
            ),
            ("POST", "/session") => (
                201,
                format!(
                    r#"{{"sessionId": "{UUID}", "sessionName": "work", "status": "PENDING", "created": true, "servicePorts": []}}"#
                ),
            ),
            ("GET", _) => {
                let (status, info) = match asked.fetch_add(1, Ordering::Relaxed) {
                    0 => ("PENDING", "no-available-instances"),
                    1 => ("PULLING", "None"),
                    _ => ("RUNNING", "None"),
                };
                (
                    200,
                    format!(r#"{{"status": "{status}", "statusInfo": "{info}"}}"#),
                )
            }
            ("DELETE", _) => (200, r#"{"stats": {"status": "terminated"}}"#.into()),
            _ => {
                let body: serde_json::Value = serde_json::from_str(&body).expect("JSON");
                let run = body["run_id"].as_str().unwrap_or("r1").to_owned();
                (
                    200,
                    format!(
                        r#"{{"result": {{"status": "finished", "runId": "{run}", "exitCode": 0, "options": null, "files": [], "console": [["stdout", "hi\n"]]}}}}"#
                    ),
                )
            }
        })
    })
}

/// A manager with a session that an earlier execution blocks.
fn blocked_manager() -> std::net::SocketAddr {
    stub::stub(|request: &Request| {
        let answer = match (request.method.as_str(), request.path.as_str()) {
            ("GET", "/") => (200, r#"{"version": "v7.20230615", "manager": "23.09.10"}"#),
            ("POST", "/session") => (
                201,
                r#"{"sessionId": "7c548299-6be3-4613-8cf0-f11deb896755", "status": "RUNNING", "created": false}"#,
            ),
            _ => (
                500,
                r#"{"type": "https://api.backend.ai/probs/kernel-execution-failed", "title": "Executing user code in the kernel has failed."}"#,
            ),
        };
        Some((answer.0, answer.1.to_owned()))
    })
}

#[test]
fn a_session_that_may_be_blocked_is_named_with_what_ends_it() {
    let directory = here();
    let mut command = stub::at(sorna(directory.path()), blocked_manager());
    command.args(["run", "-q", "--api", "auto", "-t", "work"]);
    command.args(["python", "-c", "1"]);
    check(command).failure().stderr_eq(str![[r#"
✘ [..]500 kernel-execution-failed: Executing user code in the kernel has failed.[..]
...
∙ Another execution may keep session [..] busy, or what one has left behind. If the next run fails as well, end the session with `sorna destroy [..]`.

"#]]);
}

#[test]
fn one_line_says_why_a_session_does_not_run_yet() {
    let directory = here();
    let mut command = stub::at(sorna(directory.path()), slow_manager());
    command.args([
        "run",
        "--api",
        "auto",
        "--max-wait",
        "2m",
        "python",
        "-c",
        "print('hi')",
    ]);
    check(command)
        .success()
        .stdout_eq("hi\n")
        .stderr_eq(str![[r#"
∙ Session name: [TOKEN]
∙ Waiting for the session: PENDING, for at most 2 min 0 s.
∙ Waiting for the session: PENDING (no-available-instances), for at most 2 min 0 s.
✔ Session (ID: [..]) is ready.
✔ Cleaned up the session.

"#]]);
    let mut command = stub::at(sorna(directory.path()), slow_manager());
    command.args([
        "run",
        "--api",
        "auto",
        "--json",
        "python",
        "-c",
        "print('hi')",
    ]);
    let output = command.output().expect("sorna runs");
    let text = String::from_utf8(output.stdout).expect("text");
    let pending: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .filter(|line: &serde_json::Value| line["event"] == "session-pending")
        .collect();
    let states: Vec<_> = pending
        .iter()
        .map(|line| (line["status"].as_str(), line["reason"].as_str()))
        .collect();
    let expected = [
        (Some("PENDING"), None),
        (Some("PENDING"), Some("no-available-instances")),
        (Some("PULLING"), None),
    ];
    assert_eq!(states, expected, "{text}");
    let schema: serde_json::Value =
        serde_json::from_str(include_str!("../../schema/run-v1.json")).expect("JSON");
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    for line in &pending {
        assert!(
            line["waitedMs"].is_u64() && validator.is_valid(line),
            "{line}"
        );
    }
}

#[test]
fn on_a_terminal_the_line_changes() {
    let address = slow_manager();
    let directory = here();
    let environment = stub::environment("http://address");
    let endpoint = format!("http://{address}");
    let mut environment = environment.to_vec();
    environment[0].1 = &endpoint;
    let arguments = ["run", "--api", "auto", "python", "-c", "print('hi')"];
    let mut terminal = crate::support::terminal::Terminal::open(
        directory.path(),
        None,
        90,
        &environment,
        &arguments,
    );
    let text = terminal.rest();
    assert!(
        text.contains("Waiting for the session: PENDING (no-available-instances) "),
        "{text}"
    );
    assert!(text.contains("Waiting for the session: PULLING "), "{text}");
    let screen = crate::support::terminal::screen(&text);
    assert!(!screen.contains("Waiting"), "{screen}");
}
