//! `--workdir`: where below the work directory of a session a program runs, in both dialects.

use std::path::Path;
use std::process::Command;

use sorna_gateway::RunningGateway;
use sorna_test_tools::need;

use crate::support::stub::{self, Request};
use crate::support::terminal::Terminal;
use crate::support::{backend_at, check, gateway, here, sorna, sorna_at, write};

type At = fn(&Path, &RunningGateway) -> Command;

const DIALECTS: [At; 2] = [sorna_at, backend_at];

#[test]
fn snippets_run_in_the_directory() {
    for at in DIALECTS {
        let (gateway, directory) = (gateway(), here());
        for (tool, language, code) in [
            ("python3", "python3", "print(open('n').read())"),
            ("bash", "bash", "cat n; echo"),
            (
                "node",
                "nodejs",
                "console.log(require('fs').readFileSync('n', 'utf8'))",
            ),
            ("ruby", "ruby", "puts File.read('n')"),
            (
                "perl",
                "perl",
                "open(my $f, '<', 'n') or die; print <$f>, \"\\n\";",
            ),
            ("php", "php", "echo file_get_contents('n'), \"\\n\";"),
            ("R", "r", "cat(readLines('n', warn = FALSE), sep = '\\n')"),
        ] {
            if !need(tool) {
                continue;
            }
            let sorna = |arguments: &[&str]| {
                let mut command = at(directory.path(), &gateway);
                command.args(arguments);
                check(command)
            };
            write(directory.path(), &[("it's d/n", "42")]);
            let token = format!("my-session-{language}");
            sorna(&["upload", "-t", &token, language, "it's d"]).success();
            let run = ["run", "-q", "-t", &token];
            sorna(&[&run[..], &["-w", "it's d", language, "-c", code]].concat())
                .success()
                .stdout_eq("42\n")
                .stderr_eq("");
            // Wherever the interpreter is by now.
            sorna(&[&run[..], &["-w", "it's d", language, "-c", code]].concat())
                .success()
                .stdout_eq("42\n")
                .stderr_eq("");
            let above = sorna(&[&run[..], &["-w", ".", language, "-c", code]].concat());
            assert_ne!(above.get_output().stdout, b"42\n", "{language}");
            sorna(&[&run[..], &["-w", "./it's d/", language, "-c", code]].concat())
                .success()
                .stdout_eq("42\n")
                .stderr_eq("");
            sorna(&[&run[..], &["--workdir", "none/such", language, "-c", code]].concat())
                .code(1)
                .stdout_eq("")
                .stderr_eq("✘ cannot use none/such as the directory of the program: [..]No such file or directory[..]\n");
        }
        gateway.stop();
    }
}

#[test]
fn programs_of_files_run_in_the_directory() {
    for at in DIALECTS {
        let (gateway, directory) = (gateway(), here());
        write(
            directory.path(),
            &[
                ("data/2026/n", "42"),
                ("main.py", "import helper\nprint(open('n').read())"),
                ("read me.py", "import helper\nprint(open('n').read())"),
                ("helper.py", ""),
                (
                    "main.c",
                    "#include <stdio.h>\nint main() { FILE *f = fopen(\"n\", \"r\"); return f ? puts(\"42\") < 0 : 3; }",
                ),
            ],
        );
        for (language, files, options) in [
            ("python3", &["main.py", "helper.py"][..], &[][..]),
            ("python3", &["main.py", "helper.py"], &["--exec", "*"]),
            (
                "python3",
                &["read me.py", "helper.py"],
                &["--exec", "python3 '../../read me.py'"],
            ),
            ("c", &["main.c"], &[]),
            ("bash", &["main.py"], &["--exec", "cat n; echo"]),
        ] {
            let run = |place: &str| {
                let mut command = at(directory.path(), &gateway);
                command.args(["run", "-q", "-w", place]).args(options);
                command.arg(language).args(files).arg("data");
                check(command)
            };
            run("data/2026").success().stdout_eq("42\n").stderr_eq("");
            run("none")
                .code(1)
                .stdout_eq("")
                .stderr_eq("[..]cd: [..]none: No such file or directory\n");
        }
        gateway.stop();
    }
}

#[test]
fn a_prompt_begins_in_the_directory() {
    let (gateway, directory) = (gateway(), here());
    write(directory.path(), &[("data/n", "42")]);
    let mut command = sorna_at(directory.path(), &gateway);
    command.args(["upload", "-t", "my-session", "python3", "data"]);
    check(command).success();
    let arguments = ["-t", "my-session", "-w", "data", "python3"];
    let mut terminal =
        Terminal::start_command("repl", directory.path(), Some(&gateway), &arguments);
    terminal.shows("\x1b[?2004h");
    terminal.types("open('n').read()\r");
    terminal.shows("'42'");
    terminal.shows("\x1b[?2004h");
    terminal.types("\x04");
    assert_eq!(terminal.ends(), Some(0));
    let arguments = ["-t", "my-session", "-w", "none", "python3"];
    let mut terminal =
        Terminal::start_command("repl", directory.path(), Some(&gateway), &arguments);
    terminal.shows("cannot use none as the directory of the program");
    assert_eq!(terminal.ends(), Some(1));
    gateway.stop();
}

#[test]
fn events_count_the_executions_of_the_user() {
    const USED: [&str; 4] = ["wallMs", "cpuMs", "peakMemory", "outputBytes"];
    let (gateway, directory) = (gateway(), here());
    write(directory.path(), &[("data/n", "42")]);
    let mut command = sorna_at(directory.path(), &gateway);
    command.args(["upload", "-t", "my-session", "bash", "data"]);
    check(command).success();
    let events = |options: &[&str]| {
        let mut command = sorna_at(directory.path(), &gateway);
        command.args(["run", "--json", "-t", "my-session"]);
        command
            .args(options)
            .args(["bash", "-c", "true", "-c", "(exit 3)"]);
        let output = command.output().expect("sorna runs");
        assert_eq!(output.status.code(), Some(3));
        let text = String::from_utf8(output.stdout).expect("text");
        let events = text.lines().map(|line| {
            let mut event: serde_json::Value = serde_json::from_str(line).expect("JSON");
            let fields = event.as_object_mut().expect("an object");
            fields.retain(|name, _| !USED.contains(&name.as_str()));
            event
        });
        events.collect::<Vec<_>>()
    };
    // Where nothing is called differently, all is the same but for what was used.
    assert_eq!(events(&["-w", "data"]), events(&[]));
}

#[test]
fn what_cannot_be_a_directory_or_be_changed_to_is_refused() {
    let directory = here();
    write(directory.path(), &[("a.cob", ""), ("main.c", "")]);
    for (arguments, words) in [
        (&["-w", "/etc", "bash", "-c", "1"][..], "below it"),
        (&["-w", "../x", "bash", "-c", "1"], "below it"),
        (&["-w", "", "bash", "-c", "1"], "expected a directory"),
        (
            &["-w", "x", "c", "-c", "int main() {}"],
            "no effect on snippets of c",
        ),
        (
            &["-w", "x", "lua", "-c", "1"],
            "no effect on snippets of lua",
        ),
        (&["-w", "x", "cobol", "a.cob"], "with --exec"),
    ] {
        let mut command = sorna(directory.path());
        command.args(["run", "--local"]).args(arguments);
        let output = command.output().expect("sorna runs");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let text = String::from_utf8(output.stderr).expect("text");
        assert!(text.contains(words), "{arguments:?}: {text}");
    }
}

#[test]
fn a_kernel_that_is_new_and_stays_is_named_if_an_option_is_refused() {
    for at in DIALECTS {
        let (gateway, directory) = (gateway(), here());
        for (token, options, words) in [
            (
                "missing-directory",
                ["-w", "none"],
                "put the directory into it with `sorna upload`, or end it",
            ),
            ("long-timeout", ["--idle-timeout", "9000h"], "end it"),
        ] {
            let run = || {
                let mut command = at(directory.path(), &gateway);
                command.args(["run", "-t", token]).args(options);
                command.args(["bash", "-c", "echo ran"]);
                check(command).code(1).stdout_eq("")
            };
            run().stderr_eq(format!(
                "...\n✔ [..] is ready, and new.\n✘ [..]\n∙ The [..] is new and stays: {words} with `sorna destroy [..]`.\n"
            ));
            // Of one that was there, this is known.
            run().stderr_eq("...\n✔ [..] is ready.\n✘ [..]\n");
        }
        let mut shell = at(directory.path(), &gateway);
        shell.args([
            "shell",
            "-t",
            "long-shell",
            "--idle-timeout",
            "9000h",
            "bash",
        ]);
        check(shell).code(1).stderr_eq(
            "...\n✘ [..]\n∙ The [..] is new and stays: end it with `sorna destroy [..]`.\n",
        );
        gateway.stop();
    }
}

#[test]
fn shells_start_in_the_directory() {
    for at in DIALECTS {
        let (gateway, directory) = (gateway(), here());
        write(directory.path(), &[("it's d/n", "42"), ("other/n", "43")]);
        let mut upload = at(directory.path(), &gateway);
        upload.args(["upload", "-t", "my-session", "bash", "it's d", "other"]);
        check(upload).success();
        let shell = |dir: &str| {
            let mut command = at(directory.path(), &gateway);
            command.args(["shell", "-t", "my-session", "-w", dir, "bash"]);
            command
        };
        check(shell("none"))
            .code(1)
            .stderr_eq("...\n✘ [..]No such file or directory: 'none'[..]\n...\n");
        check(shell("other/n"))
            .code(1)
            .stderr_eq("...\n✘ [..]Not a directory: 'other/n'[..]\n...\n");
        for outside in ["..", "/etc", "a/../.."] {
            check(shell(outside)).code(2);
        }
        let is_backend = at(directory.path(), &gateway)
            .get_envs()
            .any(|(name, _)| name == "BACKEND_ENDPOINT");
        let open = |dir: &str| {
            let line = format!("exec sorna shell -t my-session -w \"{dir}\" bash");
            Terminal::in_shell(directory.path(), &gateway, is_backend, &line)
        };
        let mut terminal = open("it's d");
        terminal.shows("Leave with");
        terminal.types("cat n; echo; ln -s ../../../../etc out\r");
        terminal.shows("42\r\n");
        terminal.types("\x1d");
        assert_eq!(terminal.ends(), Some(0));
        // The shell runs on.
        check(shell("other"))
            .code(1)
            .stderr_eq("...\n✘ [..]was started in \"it's d\"[..]\n...\n");
        check(shell("it's d/out"))
            .code(1)
            .stderr_eq("...\n✘ [..]is not in the work directory[..]\n...\n");
        let mut terminal = open("./it's d/");
        terminal.types("cat n; echo; exit\r");
        terminal.shows("42\r\n");
        assert_eq!(terminal.ends(), Some(0));
        let mut terminal = open("other");
        terminal.types("cat n; echo; exit\r");
        terminal.shows("43\r\n");
        assert_eq!(terminal.ends(), Some(0));
        gateway.stop();
    }
}

#[test]
fn foreign_gateways_start_shells_in_the_work_directory_only() {
    let directory = here();
    for (version, api) in [
        (r#"{"version": "v2.20170315"}"#, "sorna"),
        (
            r#"{"version": "v9.20250722", "manager": "26.9.6"}"#,
            "backend-ai",
        ),
    ] {
        // Nothing but this is asked, so nothing is created.
        let address = stub::stub(move |request: &Request| {
            let is_version =
                request.method == "GET" && matches!(&*request.path, "/" | "/v2" | "/v2/");
            Some(match is_version {
                true => (200, version.to_owned()),
                false => (500, format!("{} {}", request.method, request.path)),
            })
        });
        let mut shell = stub::at(sorna(directory.path()), address);
        shell.args(["shell", "--api", api, "-t", "my-session", "-w", "d", "bash"]);
        check(shell)
            .code(2)
            .stderr_eq("✘ the gateway at http://[..] starts terminals in the work directory only: leave out --workdir, and use `cd` there\n");
    }
    // A temporary kernel has no directories.
    for arguments in [
        &["-w", "d"][..],
        &["--local", "-w", "d"],
        &["--local", "-t", "my-session", "-w", "d"],
    ] {
        let mut shell = sorna(directory.path());
        shell.arg("shell").args(arguments).arg("bash");
        check(shell).code(2);
    }
}
