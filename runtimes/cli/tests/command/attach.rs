//! `sorna run --detach` and `sorna attach`, in both dialects.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use sorna_gateway::RunningGateway;
use sorna_test_tools::need;

use crate::support::{backend_at, check, eventually, gateway, here, sorna_at, stub, wait, write};

type At = fn(&Path, &RunningGateway) -> Command;

const TOKEN: &str = "a-session";

struct Lab {
    gateway: RunningGateway,
    directory: tempfile::TempDir,
    at: At,
    noun: &'static str,
}

impl Lab {
    fn both() -> [Self; 2] {
        [(sorna_at as At, "kernel"), (backend_at, "session")].map(|(at, noun)| Self {
            gateway: gateway(),
            directory: here(),
            at,
            noun,
        })
    }

    fn sorna(&self, arguments: &[&str]) -> Command {
        let mut command = (self.at)(self.directory.path(), &self.gateway);
        command.args(arguments);
        command
    }

    /// Starts code in a session of its language, and leaves it.
    fn detach(&self, lang: &str, code: &str) -> String {
        let token = format!("{TOKEN}-{lang}");
        check(self.sorna(&["run", "-t", &token, "--detach", lang, "-c", code]))
            .success()
            .stdout_eq("")
            .stderr_eq(format!(
                "...\n∙ The program runs in the {}. See it with `sorna attach {token}`.\n...",
                self.noun
            ));
        token
    }
}

fn signal(child: &Child) {
    signal_by(child, Signal::INT);
}

fn signal_by(child: &Child, signal: Signal) {
    let id = i32::try_from(child.id()).expect("an ID");
    kill_process(Pid::from_raw(id).expect("an ID"), signal).expect("it lives");
}

fn line(reader: &mut impl BufRead) -> String {
    let mut line = String::new();
    reader.read_line(&mut line).expect("text");
    line
}

#[test]
fn what_was_started_is_seen_later_with_its_exit_code() {
    for lab in Lab::both() {
        let sign = lab.directory.path().join("go");
        for (lang, code) in [
            (
                "python3",
                format!(
                    "import os, sys, time\nprint('out', flush=True); print('err', file=sys.stderr, flush=True)\nwhile not os.path.exists({sign:?}): time.sleep(.01)\nprint('late'); sys.exit(3)"
                ),
            ),
            (
                "bash",
                format!(
                    "echo out; echo err >&2; until [ -e {sign:?} ]; do sleep 0.01; done; echo late; exit 3"
                ),
            ),
        ] {
            let token = lab.detach(lang, &code);
            // Someone else's code has to wait, and is told who is there.
            let busy = ["run", "-q", "-t", &token, lang, "-c", "1"];
            check(lab.sorna(&busy)).code(1).stdout_eq("").stderr_eq(format!(
                "✘ the kernel is busy: a snippet has been running for [..] s, started by sorna on [..] (process [..])\n\
                 ∙ Nothing was executed. Wait for its end with --wait, see it with `sorna attach {token}`, or interrupt it with `sorna interrupt [..]`.\n",
            ));
            let mut attached = lab.sorna(&["attach", &token]).spawn().expect("sorna");
            let mut stdout = BufReader::new(attached.stdout.take().expect("a pipe"));
            assert_eq!(line(&mut stdout), "out\n", "{lang}");
            std::fs::write(&sign, "").expect("a file");
            assert_eq!(line(&mut stdout), "late\n", "{lang}");
            assert_eq!(wait(&mut attached).code(), Some(3), "{lang}");
            let mut errors = String::new();
            let mut stderr = attached.stderr.take().expect("a pipe");
            stderr.read_to_string(&mut errors).expect("text");
            assert!(
                errors.contains("Attached to") && errors.ends_with("err\n"),
                "{errors}"
            );
            std::fs::remove_file(&sign).expect("a file");
            check(lab.sorna(&["attach", &token])).code(125).stdout_eq("").stderr_eq(
                "✘ there is nothing to attach to in [..]: nothing runs, and all output was received\n",
            );
        }
        lab.gateway.stop();
    }
}

#[test]
fn output_that_cannot_be_written_is_left_for_the_next_one() {
    for lab in Lab::both() {
        let token = lab.detach("bash", "echo one; echo two >&2; exit 3");
        eventually("the end", || {
            let info = lab.sorna(&["info", "--json", &token]).output();
            !String::from_utf8_lossy(&info.expect("sorna runs").stdout).contains("\"busy\"")
        });
        let full = || std::fs::File::create("/dev/full").expect("a device");
        let closed = || {
            let (reader, writer) = std::io::pipe().expect("a pipe");
            drop(reader);
            writer
        };
        for json in [&[][..], &["--json"]] {
            let run = |stdout: Stdio| {
                let mut attach = lab.sorna(&["attach", "-q", &token]);
                attach.args(json).stdout(stdout);
                attach.output().expect("sorna runs").status.code()
            };
            assert_eq!(run(full().into()), Some(1));
            assert_eq!(run(closed().into()), Some(128 + 13));
        }
        check(lab.sorna(&["attach", "-q", &token]))
            .code(3)
            .stdout_eq("one\n")
            .stderr_eq("two\n");
        check(lab.sorna(&["attach", "-q", &token])).code(125);
        lab.gateway.stop();
    }
}

#[test]
fn a_build_that_failed_says_so() {
    if !need("gcc") {
        return;
    }
    let wrong = "int main(void) { return nothing; }\n";
    let failing = "int main(void) { return 1; }\n";
    for (name, text, options, end) in [
        (
            "main.c",
            wrong,
            &["c"][..],
            "✘ Build failed with exit code 1.\n",
        ),
        (
            "main.sh",
            "echo hi\n",
            &["--build", "exit 7", "--exec", "true", "bash"],
            "✘ Build failed with exit code 7.\n",
        ),
        // It is the program that fails.
        ("main.c", failing, &["c"], "✔ Build finished.\n"),
    ] {
        for lab in Lab::both() {
            write(lab.directory.path(), &[(name, text)]);
            let begin = ["run", "-q", "-t", TOKEN, "--detach"];
            check(lab.sorna(&[&begin, options, &[name]].concat())).success();
            let attached = lab.sorna(&["attach", TOKEN]).output().expect("sorna");
            let errors = String::from_utf8(attached.stderr).expect("text");
            assert!(errors.ends_with(end), "{options:?}: {errors}");
            assert_ne!(attached.status.code(), Some(0), "{options:?}");
            lab.gateway.stop();
        }
    }
}

#[test]
fn what_has_ended_meanwhile_is_shown_and_files_are_run() {
    for lab in Lab::both() {
        write(
            lab.directory.path(),
            &[("main.sh", "echo from a file; exit 5\n")],
        );
        check(lab.sorna(&["run", "-q", "-t", TOKEN, "--detach", "bash", "main.sh"]))
            .success()
            .stdout_eq("")
            .stderr_eq("");
        crate::support::eventually("it has ended", || {
            let log = lab.sorna(&["logs", TOKEN]).output().expect("sorna");
            log.stdout == b"from a file\n"
        });
        check(lab.sorna(&["attach", "-q", TOKEN]))
            .code(5)
            .stdout_eq("from a file\n")
            .stderr_eq("");
        lab.gateway.stop();
    }
}

#[test]
fn questions_are_answered_by_who_attaches() {
    for lab in Lab::both() {
        for (lang, code) in [
            ("python3", "name = input('name? '); print('hello', name)"),
            ("bash", "read -p 'name? ' name; echo hello $name"),
        ] {
            let token = lab.detach(lang, code);
            let mut attach = lab.sorna(&["attach", "-q", &token]);
            let mut attached = attach.stdin(Stdio::piped()).spawn().expect("sorna");
            let mut stdin = attached.stdin.take().expect("a pipe");
            stdin.write_all(b"world\n").expect("it reads");
            drop(stdin);
            let output = attached.wait_with_output().expect("output");
            let text = String::from_utf8_lossy(&output.stdout);
            assert!(text.ends_with("hello world\n"), "{lang}: {output:?}");
            assert!(output.status.success(), "{lang}: {output:?}");
        }
        lab.gateway.stop();
    }
}

#[test]
fn what_a_program_printed_before_a_restart_is_shown_with_the_reason_of_its_end() {
    for lab in Lab::both() {
        for (lang, code) in [
            (
                "bash",
                "echo one; echo two >&2; echo three > there; sleep 600",
            ),
            (
                "python3",
                "import sys, time; print('one', flush=True); print('two', file=sys.stderr); open('there', 'w'); time.sleep(600)",
            ),
        ] {
            let token = lab.detach(lang, code);
            let there = || lab.sorna(&["ls", &token]).output().expect("sorna").stdout;
            while !String::from_utf8_lossy(&there()).contains("there") {
                std::thread::sleep(Duration::from_millis(20));
            }
            check(lab.sorna(&["restart", &token])).success();
            let attached = lab.sorna(&["attach", &token]).output().expect("sorna");
            let stderr = String::from_utf8_lossy(&attached.stderr);
            assert_eq!(
                String::from_utf8_lossy(&attached.stdout),
                "one\n",
                "{stderr}"
            );
            assert!(stderr.contains("two\n"), "{stderr}");
            assert!(stderr.contains("the kernel was restarted"), "{stderr}");
            assert!(!stderr.contains("may still run"), "{stderr}");
            assert_eq!(attached.status.code(), Some(1), "{stderr}");
        }
        lab.gateway.stop();
    }
}

#[test]
fn that_a_program_waits_is_said_where_its_prompt_has_been_shown_to_another() {
    for lab in Lab::both() {
        let code = "name = input('name? '); print('hello', name)";
        let token = lab.detach("python3", code);
        let mut first = lab.sorna(&["attach", "-q", "--detach-on-interrupt", &token]);
        let mut first = first.stdin(Stdio::piped()).spawn().expect("sorna");
        let mut prompt = [0; 6];
        let stdout = first.stdout.as_mut().expect("a pipe");
        stdout.read_exact(&mut prompt).expect("the prompt");
        assert_eq!(&prompt, b"name? ");
        signal(&first);
        assert_eq!(wait(&mut first).code(), Some(130));
        let mut second = lab.sorna(&["attach", &token]);
        let mut second = second.stdin(Stdio::piped()).spawn().expect("sorna");
        let mut stdin = second.stdin.take().expect("a pipe");
        stdin
            .write_all(
                b"world
",
            )
            .expect("it reads");
        drop(stdin);
        let output = second.wait_with_output().expect("output");
        let (stdout, stderr) = [&output.stdout, &output.stderr]
            .map(|text| String::from_utf8_lossy(text))
            .into();
        // Unless it is not known whether the first one has received it.
        let is_shown_again = stdout.starts_with("name? ");
        let is_said = stderr.contains("The program is waiting for input.");
        assert!(is_shown_again != is_said, "{output:?}");
        assert!(
            stdout.ends_with(
                "hello world
"
            ),
            "{output:?}"
        );
        lab.gateway.stop();
    }
}

#[test]
fn ctrl_c_interrupts_and_the_session_keeps_its_state() {
    for lab in Lab::both() {
        let (define, use_it) = ("x=41", "echo $((x + 1))");
        let token = format!("{TOKEN}-bash");
        check(lab.sorna(&["run", "-q", "-t", &token, "bash", "-c", define])).success();
        lab.detach("bash", "echo begun; sleep 1000; echo not reached");
        let mut attached = lab.sorna(&["attach", "-q", &token]).spawn().expect("sorna");
        let mut stdout = BufReader::new(attached.stdout.take().expect("a pipe"));
        assert_eq!(line(&mut stdout), "begun\n");
        signal(&attached);
        assert_eq!(wait(&mut attached).code(), Some(130));
        let mut rest = String::new();
        stdout.read_to_string(&mut rest).expect("text");
        assert_eq!(rest, "");
        check(lab.sorna(&["run", "-q", "-t", &token, "bash", "-c", use_it]))
            .success()
            .stdout_eq("42\n");
        // Or it is left, and goes on.
        let sign = lab.directory.path().join("go");
        lab.detach(
            "bash",
            &format!("echo begun; until [ -e {sign:?} ]; do sleep 0.01; done; echo late"),
        );
        let mut attached = lab.sorna(&["attach", "--detach-on-interrupt", &token]);
        let mut attached = attached.spawn().expect("sorna");
        let mut stdout = BufReader::new(attached.stdout.take().expect("a pipe"));
        assert_eq!(line(&mut stdout), "begun\n");
        signal(&attached);
        assert_eq!(wait(&mut attached).code(), Some(130));
        let mut errors = String::new();
        let mut stderr = attached.stderr.take().expect("a pipe");
        stderr.read_to_string(&mut errors).expect("text");
        assert!(
            errors.contains(&format!("See it with `sorna attach {token}`")),
            "{errors}"
        );
        std::fs::write(&sign, "").expect("a file");
        let again = lab
            .sorna(&["attach", "-q", &token])
            .output()
            .expect("sorna");
        assert!(again.status.success(), "{again:?}");
        assert!(again.stdout.ends_with(b"late\n"), "{again:?}");
        lab.gateway.stop();
    }
}

#[test]
fn who_is_told_to_go_leaves_what_runs() {
    if !need("python3") {
        return;
    }
    for lab in Lab::both() {
        let token = lab.detach(
            "python3",
            "import time\nwhile True: print('out', flush=True); time.sleep(.05)",
        );
        for (gone, code) in [(Signal::HUP, 129), (Signal::TERM, 143)] {
            let mut attached = lab.sorna(&["attach", &token]);
            let mut attached = attached
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .expect("it runs");
            let mut stderr = BufReader::new(attached.stderr.take().expect("a pipe"));
            assert!(line(&mut stderr).contains("Attached to"));
            signal_by(&attached, gone);
            assert_eq!(wait(&mut attached).code(), Some(code));
        }
        check(lab.sorna(&["interrupt", &token])).success();
        let attached = lab.sorna(&["attach", &token]).output().expect("it runs");
        assert_eq!(attached.status.code(), Some(130), "{attached:?}");
        lab.gateway.stop();
    }
}

#[test]
fn what_was_interrupted_is_received_once() {
    if !need("python3") {
        return;
    }
    for lab in Lab::both() {
        let code = "import time; print('out', flush=True); time.sleep(1000)";
        let mut running = lab.sorna(&["run", "-t", TOKEN, "python3", "-c", code]);
        let mut running = running
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it runs");
        assert_eq!(
            line(&mut BufReader::new(running.stdout.take().expect("a pipe"))),
            "out\n"
        );
        signal(&running);
        let output = running.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(130));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("KeyboardInterrupt"), "{said}");
        check(lab.sorna(&["attach", TOKEN])).code(125).stdout_eq("");
        lab.gateway.stop();
    }
}

#[test]
fn bytes_that_no_one_has_received_come_as_they_were_written() {
    let code = "import sys; sys.stdout.buffer.write(bytes(range(256)) * 4)";
    let all: Vec<u8> = (0..1024).map(|index| (index % 256) as u8).collect();
    for lab in Lab::both() {
        let attach = |arguments: &[&str]| {
            let mut command = lab.sorna(&["attach", "-q", TOKEN]);
            command.args(arguments).output().expect("sorna runs")
        };
        let file = lab.directory.path().join("bytes.py");
        std::fs::write(&file, format!("{code}\n")).expect("a file");
        for what in [&["-c", code][..], &["bytes.py"]] {
            let begin = [&["run", "-q", "-t", TOKEN, "--detach", "python3"], what].concat();
            check(lab.sorna(&begin)).success();
            assert!(attach(&[]).stdout == all, "{} {what:?}", lab.noun);

            check(lab.sorna(&begin)).success();
            let lines = attach(&["--json"]).stdout;
            let lines = String::from_utf8(lines).expect("text");
            let mut bytes = Vec::new();
            for line in lines.lines() {
                let event: Value = serde_json::from_str(line).expect("JSON");
                if let Some(encoded) = event["base64"].as_str() {
                    bytes.extend(STANDARD.decode(encoded).expect("Base64"));
                } else if event["event"] == "stdout" {
                    bytes.extend(event["text"].as_str().expect("text").bytes());
                }
            }
            assert!(bytes == all, "{}: {lines}", lab.noun);
        }
        // While it is still running.
        let sign = lab.directory.path().join("go");
        let live = format!(
            "import os, time; {code}; sys.stdout.flush()\nwhile not os.path.exists({sign:?}): time.sleep(.01)\nsys.stdout.buffer.write(b'\\xff')"
        );
        check(lab.sorna(&["run", "-q", "-t", TOKEN, "--detach", "python3", "-c", &live])).success();
        let mut command = lab.sorna(&["attach", "-q", TOKEN]);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("sorna runs");
        let mut stdout = child.stdout.take().expect("a pipe");
        let mut bytes = vec![0; 1024];
        stdout.read_exact(&mut bytes).expect("bytes");
        std::fs::write(&sign, "").expect("a file");
        stdout.read_to_end(&mut bytes).expect("the rest");
        assert!(wait(&mut child).success());
        assert!(bytes == [&all[..], b"\xff"].concat(), "{}", lab.noun);
        lab.gateway.stop();
    }
}

#[test]
fn input_that_a_detached_program_does_not_get_is_mentioned() {
    const ADVICE: &str = "∙ Standard input was not passed on to the program, which runs without this command. Let it read a file instead, which `sorna upload` brings there, or give it the input by `sorna attach a-session`.\n";
    for lab in Lab::both() {
        let input = lab.directory.path().join("input");
        std::fs::write(&input, "hello\n").expect("a file");
        let file = || std::fs::File::open(&input).expect("a file");
        let pipe = || {
            let (reader, mut writer) = std::io::pipe().expect("a pipe");
            writer.write_all(b"hello\n").expect("it is empty");
            reader
        };
        let at_end = || {
            let mut file = file();
            std::io::copy(&mut file, &mut std::io::sink()).expect("a file");
            file
        };
        let empty = || std::io::pipe().expect("a pipe").0;
        let begin = |stdin: Stdio, what: &[&str]| {
            let mut command = lab.sorna(&["run", "-t", TOKEN, "--detach", "bash"]);
            let output = command.args(what).stdin(stdin).output();
            let stderr = String::from_utf8(output.expect("sorna runs").stderr).expect("text");
            check(lab.sorna(&["attach", "-q", TOKEN]))
                .success()
                .stdout_eq("end\n");
            stderr
        };
        let code = ["-c", "echo end"];
        for stdin in [Stdio::from(file()), pipe().into()] {
            let stderr = begin(stdin, &code);
            assert!(stderr.contains(ADVICE), "{stderr}");
        }
        for stdin in [Stdio::from(at_end()), empty().into(), Stdio::null()] {
            let stderr = begin(stdin, &code);
            assert!(!stderr.contains("Standard input"), "{stderr}");
        }
        // Code is passed on.
        std::fs::write(&input, "echo end\n").expect("a file");
        let stderr = begin(file().into(), &[]);
        assert!(!stderr.contains("Standard input"), "{stderr}");
        lab.gateway.stop();
    }
}

#[test]
fn bytes_that_are_lost_are_counted_as_they_were_written() {
    const ALL: usize = 3_000_000;
    for lab in Lab::both() {
        let code = format!("head -c {ALL} /dev/zero | tr '\\0' '\\377'; exit 4");
        let token = lab.detach("bash", &code);
        // As long as it is not over, there is more to come.
        let attached = lab.sorna(&["attach", "-q", &token]);
        let output = { attached }.output().expect("sorna runs");
        assert_eq!(output.status.code(), Some(4));
        let stderr = String::from_utf8(output.stderr).expect("text");
        let lost: usize = stderr
            .lines()
            .filter_map(|line| line.split_once(" bytes of output were lost"))
            .map(|(count, _)| count.parse::<usize>().expect(&stderr))
            .sum();
        assert_eq!(output.stdout.len() + lost, ALL, "{}: {stderr}", lab.noun);
        lab.gateway.stop();
    }
}

#[test]
fn json_has_events_of_both() {
    for lab in Lab::both() {
        let events = |command: &mut Command| {
            let output = command.output().expect("sorna runs");
            let text = String::from_utf8(output.stdout).expect("text");
            let lines = text.lines();
            lines
                .map(|line| serde_json::from_str(line).expect("JSON"))
                .collect::<Vec<Value>>()
        };
        let code = "echo out; exit 3";
        let run = ["run", "--json", "-t", TOKEN, "--detach", "bash", "-c", code];
        let run = events(&mut lab.sorna(&run));
        let detached = run.iter().find(|it| it["event"] == "detached");
        let detached = detached.unwrap_or_else(|| panic!("{run:?}"));
        assert_eq!(detached["token"], TOKEN);
        let last = run.last().expect("a line");
        assert_eq!(
            (&last["event"], &last["exitCode"]),
            (&"finished".into(), &0.into())
        );
        let attach = events(&mut lab.sorna(&["attach", "--json", TOKEN]));
        assert_eq!(attach[0]["event"], "attached", "{attach:?}");
        assert_eq!(attach[0]["kernel"], detached["kernel"]);
        let text = attach.iter().filter(|it| it["event"] == "stdout");
        let text: String = text.filter_map(|it| it["text"].as_str()).collect();
        assert_eq!(text, "out\n", "{attach:?}");
        let last = attach.last().expect("a line");
        assert_eq!(
            (&last["event"], &last["exitCode"]),
            (&"finished".into(), &3.into())
        );
        lab.gateway.stop();
    }
}

#[test]
fn what_cannot_be_detached_or_attached_is_said() {
    let [lab, _other] = Lab::both();
    check(lab.sorna(&["run", "--detach", "bash", "-c", "1"]))
        .code(2)
        .stderr_eq("...\n[..]--detach needs -t NAME: a temporary kernel is destroyed when the command ends, and the program with it\n...\n");
    for option in ["--local", "--show-files", "--detach-on-interrupt"] {
        check(lab.sorna(&["run", "-t", TOKEN, "--detach", option, "bash", "-c", "1"])).code(2);
    }
    assert_eq!(lab.gateway.stats().requests, 0);
    check(lab.sorna(&["attach", "nothing-here"]))
        .code(1)
        .stderr_eq("✘ [..]\n∙ There is no kernel with the ID or the session token nothing-here.\n");
    // The gateway of 2017.
    let address = stub::stub(|request| {
        Some(match (request.method.as_str(), request.path.as_str()) {
            ("GET", "/v2") => (200, r#"{"version": "v2.20170315"}"#.to_owned()),
            ("POST", "/v2/kernel/create") => (201, r#"{"kernelId": "k1"}"#.to_owned()),
            _ => (
                404,
                r#"{"type": "https://api.sorna.io/probs/kernel-not-found", "title": "No."}"#
                    .to_owned(),
            ),
        })
    });
    for (arguments, what, code) in [
        (&["attach", "k1"][..], "attaching to what runs", 2),
        (
            &["run", "-q", "-t", TOKEN, "--detach", "bash", "-c", "1"],
            "executions without a client",
            1,
        ),
    ] {
        let mut command = stub::at(crate::support::sorna(lab.directory.path()), address);
        command.args(["--api", "sorna"]).args(arguments);
        check(command).code(code).stderr_eq(format!(
            "✘ the gateway does not offer {what}[..]\n∙ Gateways of `sorna serve` have it; others do not.\n"
        ));
    }
    lab.gateway.stop();
}
