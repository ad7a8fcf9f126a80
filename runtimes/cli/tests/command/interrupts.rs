//! `sorna interrupt`, in both dialects.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use sorna_gateway::RunningGateway;
use sorna_test_tools::need;

use crate::support::{backend_at, check, gateway, here, sorna, sorna_at, stub, wait};

type At = fn(&Path, &RunningGateway) -> Command;

/// Presses Ctrl-C.
fn signal(child: &Child) {
    let id = i32::try_from(child.id()).expect("an ID");
    kill_process(Pid::from_raw(id).expect("an ID"), Signal::INT).expect("it lives");
}

#[test]
fn ctrl_c_interrupts_a_program_that_has_printed_nothing() {
    for at in [sorna_at, backend_at] {
        let gateway = gateway();
        let directory = here();
        let sorna = |arguments: &[&str]| {
            let mut command = at(directory.path(), &gateway);
            command.args(arguments);
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
            command
        };
        for (lang, define, long, use_it) in [
            (
                "python3",
                "x = 41",
                "open('begun', 'w').close()\nwhile True: pass",
                "print(x + 1)",
            ),
            ("bash", "x=41", "touch begun; sleep 1000", "echo $((x + 1))"),
            (
                "nodejs",
                "x = 41",
                "require('fs').writeFileSync('begun', ''); for (;;);",
                "console.log(x + 1)",
            ),
        ] {
            if !need(if lang == "nodejs" { "node" } else { lang }) {
                continue;
            }
            let token = format!("silent-of-{lang}");
            let mut running = sorna(&["run", "-t", &token, lang, "-c", define, "-c", long])
                .spawn()
                .expect("sorna runs");
            crate::support::eventually("it runs", || {
                let listed = sorna(&["ls", &token]).output().expect("sorna runs");
                String::from_utf8_lossy(&listed.stdout).contains("begun")
            });
            signal(&running);
            assert_eq!(wait(&mut running).code(), Some(130), "{lang}");
            check(sorna(&["run", "-q", "-t", &token, lang, "-c", use_it]))
                .success()
                .stdout_eq("42\n");
        }
        gateway.stop();
    }
}

#[test]
fn an_interrupt_ends_what_runs_and_keeps_the_interpreter() {
    for at in [sorna_at, backend_at] {
        let gateway = gateway();
        let directory = here();
        let run = |lang: &str, code: &str| {
            let mut command = at(directory.path(), &gateway);
            let token = format!("a-session-of-{lang}");
            command.args(["run", "-t", &token, lang, "-c", code]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
            command
        };
        for (lang, define, long, use_it) in [
            (
                "python3",
                "x = 41",
                "print('begun', flush=True)\nwhile True: pass",
                "print(x + 1)",
            ),
            (
                "bash",
                "x=41",
                "echo begun; sleep 1000; echo not reached",
                "echo $((x + 1))",
            ),
            (
                "ruby",
                "$x = 41",
                "puts 'begun'; $stdout.flush; sleep",
                "puts $x + 1",
            ),
            (
                "nodejs",
                "x = 41",
                "console.log('begun'); for (;;);",
                "console.log(x + 1)",
            ),
            (
                "perl",
                "$main::x = 41",
                "$| = 1; print \"begun\\n\"; sleep 1000",
                "print $main::x + 1, \"\\n\"",
            ),
            (
                "php",
                "$x = 41;",
                "echo \"begun\\n\"; while (true) usleep(1000);",
                "echo $x + 1, \"\\n\";",
            ),
        ] {
            if !need(if lang == "nodejs" { "node" } else { lang }) {
                continue;
            }
            let output = run(lang, define).output().expect("sorna runs");
            assert!(output.status.success(), "{lang}: {output:?}");
            let text = String::from_utf8(output.stderr).expect("text");
            let id = text.split("(ID: ").nth(1).expect("an ID");
            let id = id.split(')').next().expect("its end").to_owned();

            let mut running = run(lang, long).spawn().expect("sorna runs");
            let mut stdout = BufReader::new(running.stdout.take().expect("a pipe"));
            let mut line = String::new();
            stdout.read_line(&mut line).expect("text");
            assert_eq!(line, "begun\n", "{lang}");
            let mut interrupt = at(directory.path(), &gateway);
            interrupt.args(["interrupt", &id]);
            check(interrupt)
                .success()
                .stderr_eq("✔ Interrupted [..].\n");
            let mut rest = String::new();
            stdout.read_to_string(&mut rest).expect("text");
            assert_eq!(rest, "", "{lang}");
            // As of a program that an interrupt has ended.
            assert_eq!(wait(&mut running).code(), Some(130), "{lang}");
            check(run(lang, use_it)).success().stdout_eq("42\n");
            // Where nothing runs, nothing happens.
            let mut interrupt = at(directory.path(), &gateway);
            interrupt.args(["interrupt", &id]);
            check(interrupt).success();
            check(run(lang, use_it)).success().stdout_eq("42\n");
        }
        gateway.stop();
    }
}

#[test]
fn ctrl_c_interrupts_what_runs_in_a_kernel_that_is_kept() {
    for at in [sorna_at, backend_at] {
        let gateway = gateway();
        let directory = here();
        let run = |lang: &str, code: &str| {
            let mut command = at(directory.path(), &gateway);
            let token = format!("a-session-of-{lang}");
            command.args(["run", "-q", "-t", &token, lang, "-c", code]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
            command
        };
        for (lang, define, long, traces, use_it) in [
            (
                "python3",
                "x = 41",
                "import time\ntry:\n    print('begun', flush=True); time.sleep(1000)\nfinally: print('cleaned up')",
                ("cleaned up\n", "KeyboardInterrupt"),
                "print(x + 1)",
            ),
            (
                "bash",
                "x=41",
                "trap 'echo trapped' INT; echo begun; sleep 1000",
                ("trapped\n", ""),
                "trap - INT; echo $((x + 1))",
            ),
            (
                "ruby",
                "$x = 41",
                "puts 'begun'; $stdout.flush; sleep",
                ("", "Interrupt"),
                "puts $x + 1",
            ),
        ] {
            check(run(lang, define)).success();
            let mut running = run(lang, long).spawn().expect("sorna runs");
            let mut stdout = BufReader::new(running.stdout.take().expect("a pipe"));
            let mut line = String::new();
            stdout.read_line(&mut line).expect("text");
            assert_eq!(line, "begun\n", "{lang}");
            signal(&running);
            let (mut rest, mut errors) = (String::new(), String::new());
            stdout.read_to_string(&mut rest).expect("text");
            let mut stderr = running.stderr.take().expect("a pipe");
            stderr.read_to_string(&mut errors).expect("text");
            assert_eq!(wait(&mut running).code(), Some(130), "{lang}");
            assert_eq!(rest, traces.0, "{lang}: {errors}");
            assert!(errors.contains(traces.1), "{lang}: {errors}");
            assert!(!errors.contains("still running"), "{lang}: {errors}");
            check(run(lang, use_it)).success().stdout_eq("42\n");
        }
        gateway.stop();
    }
}

#[test]
fn a_second_ctrl_c_leaves_a_program_that_goes_on() {
    for (at, noun) in [(sorna_at as At, "kernel"), (backend_at, "session")] {
        let gateway = gateway();
        let directory = here();
        let mut command = at(directory.path(), &gateway);
        command.args(["run", "-t", "a-session", "python3", "-c"]);
        command.arg(
            "import signal, time\nsignal.signal(signal.SIGINT, lambda *_: print('ignored', flush=True))\nprint('begun', flush=True)\nwhile True: time.sleep(0.05)",
        );
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut running = command.spawn().expect("sorna runs");
        let mut stdout = BufReader::new(running.stdout.take().expect("a pipe"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("text");
        assert_eq!(line, "begun\n");
        signal(&running);
        line.clear();
        stdout.read_line(&mut line).expect("text");
        assert_eq!(line, "ignored\n");
        // Signals within 200 ms are one.
        std::thread::sleep(std::time::Duration::from_millis(300));
        signal(&running);
        assert_eq!(wait(&mut running).code(), Some(130));
        let mut errors = String::new();
        let mut stderr = running.stderr.take().expect("a pipe");
        stderr.read_to_string(&mut errors).expect("text");
        assert!(errors.contains(&format!("in {noun} ")), "{errors}");
        assert!(errors.contains("`sorna interrupt "), "{errors}");
        gateway.stop();
    }
}

#[test]
fn a_program_cannot_be_left_with_a_manager() {
    let directory = here();
    let address = stub::stub(|request| {
        assert_eq!(request.path, "/");
        let manager = r#"{"version": "v7.20230615", "manager": "23.09.10"}"#;
        Some((200, manager.to_owned()))
    });
    let mut command = sorna(directory.path());
    command
        .env("BACKEND_ENDPOINT", format!("http://{address}"))
        .env("BACKEND_ACCESS_KEY", "AK")
        .env("BACKEND_SECRET_KEY", "SK");
    command.args(["run", "-t", "a-session", "--detach-on-interrupt"]);
    command.args(["bash", "-c", "echo ran"]);
    check(command)
        .code(2)
        .stdout_eq("")
        .stderr_eq("✘ --detach-on-interrupt does not work with managers of Backend.AI, [..]\n");
}

#[test]
fn a_program_can_be_left_in_backend_ai_with_our_gateway() {
    let gateway = gateway();
    let directory = here();
    let mut command = backend_at(directory.path(), &gateway);
    command.args(["run", "-t", "a-session", "--detach-on-interrupt"]);
    command.args(["bash", "-c", "echo begun; sleep 1000"]);
    let mut running = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("sorna runs");
    let mut stdout = BufReader::new(running.stdout.take().expect("a pipe"));
    let mut line = String::new();
    stdout.read_line(&mut line).expect("text");
    assert_eq!(line, "begun\n");
    signal(&running);
    assert_eq!(wait(&mut running).code(), Some(130));
    let mut errors = String::new();
    let mut stderr = running.stderr.take().expect("a pipe");
    stderr.read_to_string(&mut errors).expect("text");
    assert!(errors.contains("`sorna attach a-session`"), "{errors}");
    // It still runs.
    let mut command = backend_at(directory.path(), &gateway);
    command.args(["info", "--json", "a-session"]);
    let output = command.output().expect("sorna runs");
    let info = String::from_utf8(output.stdout).expect("text");
    assert!(info.contains(r#""busy":{"#), "{info}");
    gateway.stop();
}

#[test]
fn what_cannot_be_interrupted_is_said() {
    let directory = here();
    let gateway = gateway();
    let mut command = sorna_at(directory.path(), &gateway);
    command.args(["interrupt", "no-such-kernel"]);
    check(command).code(1).stderr_eq(
        "∙ Kernel no-such-kernel:\n\
         ✘ [..]\n\
         ∙ [..]\n",
    );
    gateway.stop();

    // A gateway of 2017 names no extensions. It must not be asked for what it does not have.
    let address = stub::stub(|request| {
        assert!(["/", "/v2"].contains(&request.path.as_str()));
        Some((200, r#"{"version": "v2.20170315"}"#.to_owned()))
    });
    let mut command = stub::at(sorna(directory.path()), address);
    command.args(["--api", "auto", "interrupt", "some-kernel"]);
    check(command).code(2).stderr_eq(
        "✘ the gateway does not offer interrupts: they are an extension of `sorna-gateway`, and no part of any API\n\
         ∙ Stop what runs with `sorna restart some-kernel`, which keeps the files and loses variables.\n",
    );
}
