//! Kernels and sessions that exist already, by `-t`.

use std::process::Command;

use sorna_gateway::RunningGateway;

use snapbox::str;

use crate::support::terminal::Terminal;
use crate::support::{backend_at, check, gateway, here, sorna, sorna_at};

/// The ID in a message such as `Session (ID: …) is ready.`
fn id_in(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let (_, rest) = text.split_once("(ID: ").expect("an ID");
    rest.split_once(')').expect("its end").0.to_owned()
}

#[test]
fn an_id_names_the_kernel_that_exists() {
    type At = fn(&std::path::Path, &RunningGateway) -> Command;
    for at in [sorna_at as At, backend_at] {
        let gateway = gateway();
        let directory = here();
        let run = |token: &str, lang: &str, code: &str| {
            let mut command = at(directory.path(), &gateway);
            command.args(["run", "-t", token, lang, "-c", code]);
            command.output().expect("sorna runs")
        };
        let id = id_in(&run("my-session", "python", "x = 41").stderr);
        let again = run(&id, "python3", "print(x + 1)");
        assert_eq!(String::from_utf8_lossy(&again.stdout), "42\n");
        assert_eq!(id_in(&again.stderr), id);
        assert_eq!(gateway.stats().kernels_created, 1);
        let mut command = at(directory.path(), &gateway);
        command.args(["destroy", &id]);
        check(command).success();
        if at as usize == backend_at as At as usize {
            // With a new session of this name, no one would find it.
            let mut command = at(directory.path(), &gateway);
            command.args(["run", "-t", &id, "python3", "-c", "1"]);
            check(command)
                .code(1)
                .stderr_eq("✘ no session has a name or ID that is or starts with [..]\n∙ [..]\n");
        }
        gateway.stop();
    }
}

#[test]
fn what_a_session_that_exists_does_not_take_over_is_told() {
    let gateway = gateway();
    let directory = here();
    let run = |options: &[&str]| {
        let mut command = backend_at(directory.path(), &gateway);
        command
            .args(["run", "-t", "work"])
            .args(options)
            .arg("bash");
        if !options.contains(&"--enqueue") {
            command.args(["-c", "echo $A"]);
        }
        command
    };
    let options = ["-e", "A=1", "-r", "mem=512m", "--resource-opt", "shmem=64m"];
    check(run(&options))
        .success()
        .stdout_eq("1\n")
        .stderr_eq(str![[r#"
∙ Session name: work
✔ Session (ID: [..]) is ready, and new.

"#]]);
    check(run(&[])).success().stderr_eq(str![[r#"
∙ Session name: work
✔ Session (ID: [..]) is ready.

"#]]);
    let options = [
        "-e",
        "A=2",
        "-e",
        "B=2",
        "--resource-opt",
        "shmem=32m",
        "--max-mem",
        "512m",
    ];
    const REMARKS: &str = "\
        ∙ The session existed already and keeps what it was created with, so these have no effect: -e A, -e B, --resource-opt shmem. To apply them, destroy the session first, or choose another name.\n";
    check(run(&options))
        .success()
        .stdout_eq("1\n")
        .stderr_eq(format!(
            "∙ Session name: work\n✔ Session (ID: [..]) is ready.\n{REMARKS}"
        ));
    let mut command = run(&options);
    command.arg("--json");
    let output = command.output().expect("sorna runs");
    let text = String::from_utf8(output.stdout).expect("text");
    for remark in REMARKS.lines().filter_map(|line| line.strip_prefix("∙ ")) {
        assert!(text.contains(remark), "{text}");
    }
    // Nothing runs with other limits than were asked for.
    for (options, words) in [
        (["--max-mem", "64m"], "mem 512 MiB (asked for: 64 MiB)"),
        (["-r", "mem=1g"], "mem 512 MiB (asked for: 1g)"),
        (["-r", "cpu=2"], "cpu 1 (asked for: 2)"),
    ] {
        check(run(&options)).code(2).stdout_eq("").stderr_eq(format!(
            "∙ Session name: work\n✔ Session (ID: [..]) is ready.\n✘ the session existed already and has {words}, which cannot be changed: leave that out, destroy the session first, or choose another name\n"
        ));
    }
    check(run(&["--enqueue", "-r", "mem=1g"]))
        .code(2)
        .stderr_eq(
            "...\n✘ the session existed already and has mem 512 MiB (asked for: 1g), which [..]\n",
        );
    check(run(&["--enqueue", "-e", "A=3"])).success().stderr_eq(str![[r#"
✔ Session work (ID: [..]) exists already.
∙ `sorna info work` shows its status, [..]
∙ The session existed already and keeps [..]: -e A. To apply them, destroy the session first, or choose another name.

"#]]);
    gateway.stop();
}

#[test]
fn limits_of_a_kernel_of_sorna_v2_that_exists_are_compared() {
    let gateway = gateway();
    let directory = here();
    let run = |options: &[&str]| {
        let mut command = sorna_at(directory.path(), &gateway);
        command
            .args(["run", "-q", "-t", "my-session"])
            .args(options);
        command.args(["bash", "-c", "true"]);
        check(command).success()
    };
    run(&["--max-mem", "128m", "--exec-timeout", "20s"]).stderr_eq("");
    run(&["--max-mem", "128m", "--exec-timeout", "20s"]).stderr_eq("");
    run(&["--exec-timeout", "5s"]).stderr_eq("");
    let with = |options: &[&str]| {
        let mut command = sorna_at(directory.path(), &gateway);
        command.args(["run", "-q", "-t", "my-session"]);
        command.args(options);
        check(command)
    };
    for asked in ["64m", "256m", "1g"] {
        with(&["--max-mem", asked, "bash", "-c", "echo ran"])
            .code(2)
            .stdout_eq("")
            .stderr_eq("✘ the kernel existed already and has a memory limit of 128 MiB (asked for: [..]), which cannot be changed: leave that out, destroy the kernel first, or choose another name\n");
    }
    // The time limit is that of the execution, whatever it is.
    for code in ["sleep 1000", "while true; do :; done", "sleep 1000 | cat"] {
        with(&["--exec-timeout", "300ms", "bash", "-c", code])
            .code(124)
            .stderr_eq(
                "✘ The program exceeded its time limit of 300 ms (--exec-timeout) and was killed.\n\
                 ∙ Its interpreter was killed with it: variables are lost, and files are kept.\n",
            );
    }
    with(&["--mount", "data", "bash", "-c", "true"])
        .code(1)
        .stderr_eq("✘ [..]this gateway has no folders to mount\n");
    gateway.stop();
}

#[test]
fn more_memory_than_this_machine_has_is_not_promised() {
    let directory = here();
    for (options, remark) in [
        (
            ["-r", "mem=900t"],
            "∙ The session has mem [..] GiB (asked for: 900t).\n",
        ),
        (
            ["--max-mem", "900000g"],
            "∙ The kernel has a memory limit of [..] GiB (asked for: 900000 GiB).\n",
        ),
    ] {
        let mut command = sorna(directory.path());
        command.args(["run", "-q", "--local"]).args(options);
        command.args(["bash", "-c", "echo ran"]);
        check(command)
            .success()
            .stdout_eq("ran\n")
            .stderr_eq(remark);
    }
}

#[test]
fn less_than_was_asked_for_is_no_reason_to_refuse_the_same_again() {
    type At = fn(&std::path::Path, &RunningGateway) -> Command;
    for at in [sorna_at as At, backend_at] {
        let (gateway, directory) = (gateway(), here());
        for _ in 0..2 {
            let mut command = at(directory.path(), &gateway);
            command.args(["run", "-q", "-t", "my-session", "--max-mem", "2g"]);
            command.args(["bash", "-c", "echo ran"]);
            check(command)
                .success()
                .stdout_eq("ran\n")
                .stderr_eq("∙ The [..]1 GiB (asked for: 2 GiB).[..]\n");
        }
        gateway.stop();
    }
}

/// Runs a line in a shell or at a prompt that starts, and leaves it.
fn asks(mut terminal: Terminal, command: &str, line: &str, answer: &str) {
    // That a prompt reads keys.
    const READS: &str = "\x1b[?2004h";
    let is_shell = command == "shell";
    terminal.shows(if is_shell { "Leave with" } else { READS });
    terminal.types(line);
    terminal.types("\r");
    terminal.shows(answer);
    if !is_shell {
        terminal.shows(READS);
    }
    terminal.types(if is_shell { "\x1d" } else { "\x04" });
    assert_eq!(terminal.ends(), Some(0));
}

#[test]
fn shells_and_prompts_have_variables_and_say_what_has_no_effect() {
    let (gateway, directory) = (gateway(), here());
    std::fs::write(directory.path().join("env"), "B=of a file\n").expect("a file");
    for (command, name, is_new) in [
        ("shell", "shells", true),
        ("shell", "shells", false),
        ("repl", "prompts", true),
        ("repl", "prompts", false),
    ] {
        let arguments = [
            "--api",
            "backend-ai",
            "-t",
            name,
            "-e",
            "A=1",
            "--env-file",
            "env",
            "bash",
        ];
        let mut terminal =
            Terminal::start_command(command, directory.path(), Some(&gateway), &arguments);
        if !is_new {
            terminal.shows("environment variables and resources have no effect");
        }
        asks(terminal, command, "echo \"$A-$B\"", "1-of a file");
    }
    gateway.stop();
    // Sorna v2 has no variables; --local has.
    for command in ["shell", "repl"] {
        let arguments = ["--local", "-e", "A=41", "bash"];
        let terminal = Terminal::start_command(command, directory.path(), None, &arguments);
        asks(terminal, command, "echo $((A+1))", "42");
        let mut command = sorna(directory.path());
        command.args(["shell", "--api", "sorna", "-e", "A=1", "bash"]);
        check(command).code(2);
    }
}

#[test]
fn a_prompt_is_refused_other_limits_than_its_session_has() {
    let (gateway, directory) = (gateway(), here());
    for (api, options, words) in [
        ("sorna", ["--max-mem", "256m"], "a memory limit of 128 MiB"),
        ("backend-ai", ["--max-mem", "256m"], "mem 128 MiB"),
        ("backend-ai", ["-r", "cpu=2"], "cpu 1"),
    ] {
        let name = format!("my-{api}");
        let mut command = sorna_at(directory.path(), &gateway);
        command.args(["run", "-q", "--api", api, "-t", &name, "--max-mem", "128m"]);
        command.args(["bash", "-c", "true"]);
        check(command).success();
        let arguments = ["--api", api, "-t", &name, options[0], options[1], "bash"];
        let mut terminal =
            Terminal::start_command("repl", directory.path(), Some(&gateway), &arguments);
        terminal.shows(&format!("existed already and has {words} (asked for: "));
        assert_eq!(terminal.ends(), Some(2));
    }
    gateway.stop();
}
