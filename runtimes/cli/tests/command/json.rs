//! `sorna run --json`: every line of real runs conforms to the published schema.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use snapbox::cmd::cargo_bin;
use sorna_gateway::GatewayConfig;

use crate::support::{
    backend_at, check, gateway, gateway_with, here, program, sorna, sorna_at, stub, wait, write,
};

fn schema() -> Value {
    serde_json::from_str(include_str!("../../schema/run-v1.json")).expect("JSON")
}

/// Checks that the line conforms to the schema, and has no field that the schema does not define.
#[track_caller]
fn check_line(line: &Value) {
    let schema = schema();
    if let Err(error) = jsonschema::validate(&schema, line) {
        panic!("{line}: {error}");
    }
    let event = line["event"].as_str().expect("a name");
    let known = &schema["$defs"][event]["properties"];
    for field in line.as_object().expect("an object").keys() {
        assert!(known.get(field).is_some(), "{event} has {field}: {line}");
    }
}

#[track_caller]
fn lines(stdout: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(stdout).expect("text");
    assert!(text.ends_with('\n'), "{text:?}");
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    lines.iter().for_each(check_line);
    lines
}

/// The lines, and the exit code, which the last line also contains.
#[track_caller]
fn run(mut command: Command, arguments: &[&str]) -> (Vec<Value>, i32) {
    command.args(["run", "--json"]).args(arguments);
    let output = command.output().expect("sorna runs");
    let lines = lines(&output.stdout);
    let code = output.status.code().expect("a code");
    let last = lines.last().expect("a line");
    assert_eq!(
        *last,
        json!({"v": 1, "event": "finished", "exitCode": code})
    );
    (lines, code)
}

fn events(lines: &[Value]) -> Vec<&str> {
    let names = lines.iter().map(|line| line["event"].as_str());
    names.map(|name| name.expect("a name")).collect()
}

#[track_caller]
fn find<'l>(lines: &'l [Value], event: &str) -> &'l Value {
    let found = lines.iter().find(|line| line["event"] == event);
    found.unwrap_or_else(|| panic!("no {event} in {lines:?}"))
}

#[test]
fn the_printed_schema_is_valid() {
    let directory = here();
    let mut command = sorna(directory.path());
    command.args(["run", "--json-schema"]);
    check(command)
        .success()
        .stdout_eq(include_str!("../../schema/run-v1.json"))
        .stderr_eq("");
    jsonschema::meta::validate(&schema()).expect("a schema");
    let wrong = json!({"v": 1, "event": "finished", "exitCode": "0"});
    assert!(jsonschema::validate(&schema(), &wrong).is_err());
    let unknown = json!({"v": 1, "event": "exploded"});
    assert!(jsonschema::validate(&schema(), &unknown).is_err());
}

#[test]
fn snippets_and_all_kinds_of_output() {
    let directory = here();
    let output = "import sys, _sorna_runner as runner\n\
        print('out')\n\
        print('err', file=sys.stderr)\n\
        runner.record('log', 'INFO', '2017-11-24T00:00:00Z', 'me', 'a message')\n\
        runner.record('html', '<b>bold</b>')\n\
        runner.record('media', ['image/png', 'data:image/png;base64,iVBORw=='])\n\
        runner.record('hologram', 3, {'a': None})\n";
    let arguments = [
        "--local",
        "python3",
        "-c",
        output,
        "-c",
        "raise SystemExit(3)",
        "-c",
        "1",
    ];
    let (lines, code) = run(sorna(directory.path()), &arguments);
    assert_eq!(code, 3);
    assert_eq!(
        events(&lines),
        [
            "kernel-ready",
            "execution-started",
            "stdout",
            "stderr",
            "log",
            "media",
            "media",
            "record",
            "execution-finished",
            "execution-started",
            "execution-finished",
            "cleaning-up",
            "cleaned-up",
            "finished"
        ]
    );
    assert_eq!(lines[0]["temporary"], true);
    assert_eq!(lines[2]["text"], "out\n");
    assert_eq!(lines[4]["message"], "a message");
    assert_eq!(
        lines[5],
        json!({"v": 1, "event": "media", "type": "text/html", "content": "<b>bold</b>"})
    );
    assert_eq!(lines[6]["content"], "data:image/png;base64,iVBORw==");
    assert_eq!(lines[7]["values"], json!([3, {"a": null}]));
    assert_eq!(lines[10]["index"], 1);
    assert_eq!(lines[10]["exitCode"], 3);
    assert_eq!(lines[12]["result"], "destroyed");
    assert_eq!(lines[12]["kernel"], lines[0]["kernel"]);
}

#[test]
fn a_program_made_of_files() {
    let directory = here();
    write(
        directory.path(),
        &[(
            "main.c",
            "#include <stdio.h>\nint main(void) { puts(\"hi\"); }\n",
        )],
    );
    let (lines, code) = run(sorna(directory.path()), &["--local", "c", "main.c"]);
    assert_eq!(code, 0);
    let uploaded = find(&lines, "uploaded");
    assert_eq!(
        (&uploaded["files"], &uploaded["totalFiles"]),
        (&json!(1), &json!(1))
    );
    find(&lines, "upload-progress");
    let step = find(&lines, "step-finished");
    assert_eq!(
        (&step["status"], &step["exitCode"]),
        (&json!("build-finished"), &json!(0))
    );
    assert_eq!(find(&lines, "stdout")["text"], "hi\n");
}

#[test]
fn saved_media_are_replaced_by_the_file_s_name() {
    let directory = here();
    let code = "import _sorna_runner as runner\n\
        runner.record('media', ['image/png', 'data:image/png;base64,iVBORw=='])";
    let arguments = ["--local", "--media-dir", "out", "python3", "-c", code];
    let (lines, _) = run(sorna(directory.path()), &arguments);
    let media = find(&lines, "media");
    assert_eq!(media["file"], "out/output-1.png");
    assert_eq!(media.get("content"), None);
    let saved = std::fs::read(directory.path().join("out/output-1.png")).expect("a file");
    assert_eq!(saved, b"\x89PNG");
}

#[test]
fn files_that_are_made_and_saved_are_events() {
    let directory = here();
    let code = "mkdir out; printf 12345 > out/five; : > 'a b'";
    let arguments = ["--local", "--show-files", "--output", "made", "bash"];
    let (lines, code) = run(
        sorna(directory.path()),
        &[&arguments[..], &["-c", code]].concat(),
    );
    assert_eq!(code, 0);
    let of = |event: &str| {
        let lines = lines.iter().filter(|line| line["event"] == event);
        lines.cloned().collect::<Vec<_>>()
    };
    assert_eq!(
        of("made"),
        [
            json!({"v": 1, "event": "made", "path": "a b", "bytes": 0}),
            json!({"v": 1, "event": "made", "path": "out"}),
            json!({"v": 1, "event": "made", "path": "out/five", "bytes": 5}),
        ]
    );
    let mut saved = of("saved");
    saved.sort_by_key(|line| line["path"].to_string());
    assert_eq!(
        saved,
        [
            json!({"v": 1, "event": "saved", "path": "made/a b", "bytes": 0}),
            json!({"v": 1, "event": "saved", "path": "made/out/five", "bytes": 5}),
        ]
    );
}

#[test]
fn failures_have_the_gateway_s_message_and_problem_type() {
    let directory = here();
    let (lines, code) = run(sorna(directory.path()), &["--local", "cobol", "-c", "1"]);
    assert_eq!(code, 1);
    let failed = find(&lines, "failed");
    assert_eq!(failed["status"], 500);
    assert_eq!(failed["problem"], "kernel-creation-failed");
    find(&lines, "advice");
    assert_eq!(find(&lines, "cleaned-up")["result"], "none");

    // Failures before there is a run.
    let (lines, code) = run(sorna(directory.path()), &["python3", "-c", "1"]);
    assert_eq!(code, 2);
    assert_eq!(events(&lines), ["failed", "advice", "finished"]);
    let (lines, code) = run(sorna(directory.path()), &["--local", "c", "missing.c"]);
    assert_eq!((events(&lines), code), (vec!["failed", "finished"], 2));
}

#[test]
fn the_end_of_an_execution_says_what_it_has_used_in_both_dialects() {
    let gateway = gateway();
    let directory = here();
    let program = r#"#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
int main() {
    char *held = malloc(200 << 20);
    memset(held, 1, 200 << 20);
    while (clock() < 300 * (CLOCKS_PER_SEC / 1000)) held[0]++;
    fputs("abc", stderr);
    return puts("abc") < 0 || held[5] != 1;
}
"#;
    write(directory.path(), &[("main.c", program)]);
    let number = |line: &Value, field: &str| line[field].as_f64().expect(field);
    for at in [sorna_at, backend_at] {
        let (lines, code) = run(at(directory.path(), &gateway), &["c", "main.c"]);
        assert_eq!(code, 0, "{lines:?}");
        let end = find(&lines, "execution-finished");
        assert!(number(end, "cpuMs") >= 250.0, "{end}");
        assert!(number(end, "wallMs") >= 250.0, "{end}");
        assert!(end["peakMemory"].as_u64() >= Some(200 << 20), "{end}");
        assert_eq!(end["outputBytes"], 7, "{end}");
        // The compiler's.
        let built = find(&lines, "step-finished");
        assert!(number(built, "wallMs") > 0.0, "{built}");
        assert!(built["peakMemory"].as_u64() < Some(200 << 20), "{built}");
        let (lines, _) = run(
            at(directory.path(), &gateway),
            &["bash", "-c", "echo x; sleep 0.3"],
        );
        let end = find(&lines, "execution-finished");
        assert!(number(end, "cpuMs") < 250.0, "{end}");
        assert!(number(end, "wallMs") >= 300.0, "{end}");
        assert_eq!(end["outputBytes"], 2, "{end}");
    }
    gateway.stop();
}

#[test]
fn a_program_that_writes_too_much_is_cut_off() {
    let gateway = gateway();
    let directory = here();
    write(directory.path(), &[("main.sh", "yes 0123456789")]);
    for at in [sorna_at, backend_at] {
        for program in [&["-c", "yes 0123456789"][..], &["main.sh"]] {
            let arguments = [&["--max-output", "1k", "bash"], program].concat();
            let (lines, code) = run(at(directory.path(), &gateway), &arguments);
            assert_eq!(code, 137, "{lines:?}");
            let printed = lines.iter().filter(|line| line["event"] == "stdout");
            let printed = printed.map(|line| line["text"].as_str().expect("text").len());
            assert_eq!(printed.sum::<usize>(), 1024, "{lines:?}");
            let end = find(&lines, "execution-finished");
            assert_eq!(
                (&end["limit"], &end["limitMax"]),
                (&json!("output"), &json!(1024))
            );
            assert_eq!(
                (&end["status"], &end["exitCode"]),
                (&json!("finished"), &json!(137))
            );
            assert!(end["outputBytes"].as_u64() > Some(1024), "{end}");
            let failed = find(&lines, "failed");
            assert_eq!(
                failed["message"],
                "The program exceeded its output limit of 1 KiB (--max-output) and was killed."
            );
        }
        // As much as it may.
        let arguments = [
            "--max-output",
            "4",
            "bash",
            "-c",
            "printf abcd",
            "-c",
            "printf efgh >&2",
        ];
        let (lines, code) = run(at(directory.path(), &gateway), &arguments);
        assert_eq!(code, 0, "{lines:?}");
        assert_eq!(find(&lines, "stdout")["text"], "abcd");
        assert_eq!(find(&lines, "stderr")["text"], "efgh");
    }
    let mut command = sorna_at(directory.path(), &gateway);
    command.args([
        "run",
        "-q",
        "--max-output",
        "9",
        "python3",
        "-c",
        "while True: print('ab')",
    ]);
    check(command).code(137).stdout_eq("ab\nab\nab\n").stderr_eq(
        "killed: the program exceeded its output limit of 9 bytes\n\
         \u{2718} The program exceeded its output limit of 9 bytes (--max-output) and was killed.\n",
    );
    gateway.stop();
}

#[test]
fn a_program_that_takes_too_much_memory_is_named() {
    let directory = here();
    let code = "x = []\nwhile True: x.append(b'x' * (8 << 20))";
    let arguments = ["--local", "--max-mem", "100m", "python3", "-c", code];
    let (lines, exit) = run(sorna(directory.path()), &arguments);
    assert_eq!(exit, 137, "{lines:?}");
    let end = find(&lines, "execution-finished");
    assert_eq!(
        (&end["limit"], &end["limitMax"]),
        (&json!("memory"), &json!(100 << 20))
    );
    assert!(end["peakMemory"].as_u64() >= Some(100 << 20), "{end}");
}

#[test]
fn a_wrong_command_line_ends_with_finished_too() {
    let directory = here();
    let usage = "Usage: sorna run [OPTIONS] <LANG> <FILES>... [-- <ARGS>...]";
    for (arguments, message, usage) in [
        (
            &["--local", "python3", "-", "a.py"][..],
            "`-`, code from standard input, cannot be used with files",
            usage,
        ),
        (
            &["--local", "python3", "-", "-e", "x"],
            "--build and --exec are for files and cannot be used with `-`, code from standard input",
            usage,
        ),
        (
            &["a.py"],
            "the first argument is the language: sorna run python3 a.py",
            usage,
        ),
        (
            &["python3", "a.py", "-c", "1"],
            "the argument '[FILES]...' cannot be used with '--code <CODE>'",
            usage,
        ),
        (
            &["--exec-timeout", "30", "python3", "-c", "1"],
            "invalid value '30' for '--exec-timeout <TIME>': expected a number and a unit, such as 500ms, 30s or 2m",
            "try '--help'",
        ),
        (
            &["--locla", "python3", "-c", "1"],
            "unexpected argument '--locla' found",
            usage,
        ),
    ] {
        let mut command = sorna(directory.path());
        command.args(["run", "--json"]).args(arguments);
        let output = command.output().expect("sorna runs");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let lines = lines(&output.stdout);
        assert_eq!(lines[0]["event"], "failed", "{lines:?}");
        assert_eq!(lines[0]["message"], message);
        let last = lines.last().expect("a line");
        assert_eq!(last["event"], "finished", "{lines:?}");
        assert_eq!(last["exitCode"], 2);
        let stderr = String::from_utf8(output.stderr).expect("text");
        assert!(stderr.starts_with("error: "), "{stderr}");
        assert!(stderr.contains(usage), "{stderr}");
        // Where the mistake comes first as well.
        let mut command = sorna(directory.path());
        command.arg("run").args(arguments).arg("--json");
        let output = command.output().expect("sorna runs");
        assert_eq!(self::lines(&output.stdout), lines, "{arguments:?}");
    }
    // Without the option nothing is printed.
    let mut command = sorna(directory.path());
    command.args(["run", "python3", "-c", "--json", "--locla"]);
    check(command).code(2).stdout_eq("");
}

#[test]
fn a_wrong_command_line_of_a_shortcut_ends_with_finished_too() {
    let directory = here();
    for (arguments, usage) in [
        (&["-", "a.py"][..], "Usage: lpython [OPTIONS] [FILES]..."),
        (&["--locla"], "Usage: lpython --json --local [FILES]..."),
    ] {
        let mut command = program(cargo_bin!("lpython"), directory.path());
        command.arg("--json").args(arguments);
        let output = command.output().expect("lpython runs");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let lines = lines(&output.stdout);
        let last = lines.last().expect("a line");
        assert_eq!(last["event"], "finished", "{lines:?}");
        let stderr = String::from_utf8(output.stderr).expect("text");
        assert!(stderr.contains(usage), "{stderr}");
    }
}

#[test]
fn a_value_that_is_missing_before_the_option_is_not_the_option() {
    let directory = here();
    for (line, asks) in [
        ("python3 -t --json", true),
        ("python3 -vt --json", true),
        ("python3 --client-token --json", true),
        ("python3 --profile --json", true),
        ("python3 --exec-timeout --json -c 1", true),
        ("python3 --color --json -c 1", true),
        ("python3 -c 1 --json=yes", true),
        ("python3 -c 1 --json=", true),
        ("python3 -c -- --bad --json", true),
        ("python3 -c -c --bad --json", true),
        ("python3 -c --json --bad", false),
        ("python3 -vc --json --bad", false),
        ("python3 -c --json=yes --bad", false),
        ("python3 -t -- --json", false),
    ] {
        for (path, before) in [
            (cargo_bin!("sorna"), &["run"][..]),
            (cargo_bin!("lcc"), &[]),
            (cargo_bin!("lpython"), &[]),
        ] {
            let mut command = program(path, directory.path());
            command.args(before).args(line.split(' '));
            let output = command.output().expect("it runs");
            assert_eq!(output.status.code(), Some(2), "{line}");
            let stdout = str::from_utf8(&output.stdout).expect("text");
            if asks {
                let lines = lines(&output.stdout);
                let finished = json!({"v": 1, "event": "finished", "exitCode": 2});
                assert_eq!(lines.last(), Some(&finished), "{path:?} {line}");
            } else {
                assert_eq!(stdout, "", "{path:?} {line}");
            }
        }
    }
}

#[test]
fn what_became_of_the_kernel() {
    let directory = here();
    let at = |answer: fn(&stub::Request) -> stub::Answer| {
        let address = stub::stub(answer);
        run(
            stub::at(sorna(directory.path()), address),
            &["python3", "-c", "1"],
        )
    };
    let (lines, code) = at(|request| match request.method.as_str() {
        "DELETE" => Some((500, String::new())),
        _ if request.path.ends_with("/create") => Some((201, r#"{"kernelId": "k1"}"#.to_owned())),
        _ => Some((200, r#"{"result": {"status": "finished"}}"#.to_owned())),
    });
    assert_eq!(code, 1);
    assert_eq!(find(&lines, "execution-finished")["exitCode"], Value::Null);
    assert_eq!(find(&lines, "failed")["status"], 500);
    assert_eq!(find(&lines, "cleaned-up")["result"], "failed");
    assert_eq!(find(&lines, "cleaned-up")["kernel"], "k1");
    // The response may have been about a new kernel.
    let (lines, code) = at(|_| Some((201, "garbled".to_owned())));
    assert_eq!(code, 1);
    let end = find(&lines, "cleaned-up");
    assert_eq!(
        (&end["result"], &end["kernel"]),
        (&json!("unknown"), &Value::Null)
    );
}

#[test]
fn a_timeout() {
    let config = GatewayConfig::new().with_exec_timeout(Duration::from_millis(300));
    let gateway = gateway_with(config);
    let directory = here();
    let arguments = ["-t", "my-session", "python3", "-c", "while True: pass"];
    let (lines, code) = run(sorna_at(directory.path(), &gateway), &arguments);
    assert_eq!(code, 124);
    assert_eq!(find(&lines, "execution-finished")["status"], "exec-timeout");
    assert_eq!(find(&lines, "cleaned-up")["result"], "kept");
    assert_eq!(find(&lines, "kernel-ready")["token"], "my-session");
    gateway.stop();
}

#[test]
fn a_signal_during_an_input_request() {
    let gateway = gateway();
    let directory = here();
    let mut command = sorna_at(directory.path(), &gateway);
    let code = "import getpass\nprint(input('name? '))\ngetpass.getpass('word? ')";
    command
        .args(["run", "--json", "python3", "-c", code])
        .stdin(Stdio::piped());
    let mut child = command.spawn().expect("sorna runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut seen = Vec::new();
    for line in stdout.lines() {
        let line: Value = serde_json::from_str(&line.expect("text")).expect("JSON");
        check_line(&line);
        if line["event"] == "input-requested" {
            if line["password"] == true {
                let pid = i32::try_from(child.id()).expect("an id");
                kill_process(Pid::from_raw(pid).expect("an id"), Signal::INT).expect("it lives");
            } else {
                stdin.write_all(b"lablup\n").expect("it reads");
            }
        }
        seen.push(line);
    }
    assert_eq!(wait(&mut child).code(), Some(130));
    assert!(
        seen.iter().any(|line| line["text"] == "lablup\n"),
        "{seen:?}"
    );
    assert_eq!(find(&seen, "cleaned-up")["result"], "destroyed");
    assert_eq!(find(&seen, "finished")["exitCode"], 130);
    assert_eq!(gateway.stats().kernels, 0);
    gateway.stop();
}
