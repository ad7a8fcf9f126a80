//! Where `sorna run` reads its code, and what it requests from the gateway.

mod support;

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;

use snapbox::str;

use sorna_test_tools::need;
use support::{check, check_output, gateway, here, sorna, sorna_at, stub, write};

fn run(mut command: Command, arguments: &[&str]) -> snapbox::cmd::OutputAssert {
    command.arg("run").args(arguments);
    check(command)
}

/// `sorna` with this on its standard input.
fn run_with_input(input: &[u8], arguments: &[&str]) -> snapbox::cmd::OutputAssert {
    let directory = here();
    let mut command = sorna(directory.path());
    command.arg("run").args(arguments).stdin(Stdio::piped());
    let mut child = command.spawn().expect("sorna runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(input).expect("it reads");
    drop(stdin);
    check_output(child.wait_with_output().expect("it ends"))
}

#[test]
fn snippets_share_a_kernel_and_run_in_order() {
    let directory = here();
    run(
        sorna(directory.path()),
        &[
            "--local", "-q", "python3", "-c", "x = 41", "-c", "x += 1", "-c", "print(x)",
        ],
    )
    .success()
    .stdout_eq("42\n")
    .stderr_eq("");
}

#[test]
fn the_first_snippet_that_fails_ends_it_with_its_exit_code() {
    let directory = here();
    for (failing, code) in [("raise SystemExit(3)", 3), ("1 / 0", 1)] {
        run(
            sorna(directory.path()),
            &[
                "--local", "python3", "-c", "print(1)", "-c", failing, "-c", "print(2)",
            ],
        )
        .code(code)
        .stdout_eq("1\n");
    }
}

#[test]
fn code_comes_from_standard_input() {
    run_with_input(
        b"import sys\nprint('hi', file=sys.stderr)\nprint('ho \xc3\xa9')\n",
        &["--local", "python3", "-"],
    )
    .success()
    .stdout_eq("ho é\n")
    .stderr_eq(str![[r#"
∙ Client session token: [TOKEN]
✔ Kernel (ID: [KERNEL]) is ready.
hi
✔ Cleaned up the kernel.

"#]]);
    run_with_input(b"exit 5", &["--local", "-q", "bash", "-"]).code(5);
    // Then the standard input is used up.
    run_with_input(b"input('name? ')", &["--local", "-q", "python3", "-"])
        .code(1)
        .stdout_eq("name? ")
        .stderr_eq(str![[r#"
...
EOFError: EOF when reading a line

"#]]);
}

#[test]
fn a_byte_order_mark_is_what_it_is_at_home() {
    let code = |text: &str| format!("\u{feff}{text}").into_bytes();
    for (lang, tool, text) in [
        ("python3", "python3", "print(1)"),
        ("nodejs", "node", "console.log(1)"),
        ("ruby", "ruby", "puts 1"),
        ("perl", "perl", "print 1, \"\\n\""),
        ("lua", "lua", "print(1)"),
    ] {
        if need(tool) {
            let run = run_with_input(&code(text), &["--local", "-q", lang, "-"]);
            run.success().stdout_eq("1\n").stderr_eq("");
        }
    }
    // PHP prints what precedes a tag.
    if need("php") {
        for (text, expected) in [
            ("\u{feff}<?php echo 1;", "\u{feff}1"),
            ("\n<?php echo __LINE__; ?>\nx", "\n2x"),
            ("a <?= 2 ?>", "a 2"),
            ("#!/usr/bin/php\n<?php echo __LINE__;", "2"),
            ("echo '<?php';", "<?php"),
        ] {
            let run = run_with_input(text.as_bytes(), &["--local", "-q", "php", "-"]);
            run.success().stdout_eq(expected).stderr_eq("");
        }
    }
    // For bash it is part of the first word.
    let run = run_with_input(&code("echo 1"), &["--local", "-q", "bash", "-"]);
    run.code(127).stdout_eq("");
}

#[test]
fn code_that_cannot_be_read_costs_no_kernel() {
    run_with_input(b"print('\xff')", &["--local", "python3", "-"])
        .code(1)
        .stderr_eq("✘ cannot read code from standard input: it is not UTF-8, as the code of a snippet must be: put it into a file, and run that (`sorna run python3 FILE`)\n");
    run_with_input(b"", &["--local", "python3", "-", "a.py"])
        .code(2)
        .stderr_eq(str![[r#"
error: `-`, code from standard input, cannot be used with files

Usage: sorna run [OPTIONS] <LANG> <FILES>... [-- <ARGS>...]
       sorna run [OPTIONS] <LANG> --code <CODE>...
       sorna run [OPTIONS] <LANG> < FILE

For more information, try '--help'.

"#]]);
    run_with_input(b"", &["--local", "c", "-", "-b", "make"])
        .code(2)
        .stderr_eq(str![[r#"
error: --build and --exec are for files and cannot be used with `-`, code from standard input
...
"#]]);
}

const PROJECT: &[(&str, &str)] = &[
    (".gitignore", "*.log\n"),
    (".sornaignore", "/data/\n"),
    (".env", ""),
    (".hidden/a", ""),
    ("data/big.csv", ""),
    ("src/main.py", ""),
    ("src/deep/er/lib.py", ""),
    ("src/debug.log", ""),
];

#[test]
fn directories_are_uploaded_without_hidden_and_ignored_files() {
    let directory = here();
    write(directory.path(), PROJECT);
    let list = |arguments: &[&str]| {
        let list = "find . -type f | grep -v runner | LC_ALL=C sort";
        let options = ["--local", "-q", "bash", "-b", "", "-e", list];
        run(sorna(directory.path()), &[&options, arguments].concat()).success()
    };
    list(&["."]).stdout_eq(str![[r#"
./src/deep/er/lib.py
./src/main.py

"#]]);
    list(&["src/deep", ".env", "data/big.csv"]).stdout_eq(str![[r#"
./.env
./data/big.csv
./src/deep/er/lib.py

"#]]);
    list(&["--no-ignore", "."]).stdout_eq(str![[r#"
./.env
./.gitignore
./.hidden/a
./.sornaignore
./data/big.csv
./src/debug.log
./src/deep/er/lib.py
./src/main.py

"#]]);
}

#[test]
fn more_files_than_one_request_takes() {
    let directory = here();
    for number in 0..100 {
        let name = format!("data/{}/{number}.txt", number % 7);
        write(directory.path(), &[(&name, "x")]);
    }
    run(
        sorna(directory.path()),
        &[
            "--local",
            "-q",
            "bash",
            "data",
            "-b",
            "",
            "-e",
            "cat data/*/*.txt | wc -c",
        ],
    )
    .success()
    .stdout_eq("100\n");
}

/// The body of the request to create a kernel, which is rejected.
fn body_of_create(arguments: &[&str]) -> serde_json::Value {
    let (send, bodies) = channel();
    let address = stub::stub(move |request| {
        send.send(request.body.clone()).expect("a test");
        Some((401, String::new()))
    });
    let directory = here();
    run(stub::at(sorna(directory.path()), address), arguments).code(1);
    let body = bodies.recv().expect("a request");
    serde_json::from_slice(&body).expect("JSON")
}

#[test]
fn limits_and_mounts_are_sent_in_the_protocol_s_units() {
    let body = body_of_create(&[
        "--exec-timeout",
        "1m30s",
        "--max-mem",
        "512MiB",
        "--mount",
        "data",
        "--mount",
        "models:input",
        "python3",
        "-c",
        "1",
    ]);
    assert_eq!(
        body["limits"],
        serde_json::json!({"maxMem": 524_288, "execTimeout": 90_000})
    );
    assert_eq!(body["mounts"], serde_json::json!(["data", "models:input"]));
    let body = body_of_create(&[
        "--max-mem=64m",
        "--exec-timeout=500ms",
        "python3",
        "-c",
        "1",
    ]);
    assert_eq!(
        body["limits"],
        serde_json::json!({"maxMem": 65_536, "execTimeout": 500})
    );
    let body = body_of_create(&["python3", "-c", "1"]);
    assert_eq!(
        body["limits"],
        serde_json::json!({"maxMem": 0, "execTimeout": 0})
    );
}

#[test]
fn the_time_limit_holds() {
    let directory = here();
    run(
        sorna(directory.path()),
        &[
            "--local",
            "-q",
            "--exec-timeout",
            "300ms",
            "python3",
            "-c",
            "while True: pass",
            "-c",
            "1",
        ],
    )
    .code(124)
    .stderr_eq(
        "✘ The program exceeded its time limit of 300 ms (--exec-timeout) and was killed.\n",
    );
}

#[test]
fn invalid_limits_are_errors() {
    let directory = here();
    let refuse = |arguments: &[&str]| {
        let arguments = [arguments, &["--local", "python3", "-c", "1"]].concat();
        run(sorna(directory.path()), &arguments).code(2)
    };
    refuse(&["--exec-timeout", "30"]).stderr_eq(str![[r#"
error: invalid value '30' for '--exec-timeout <TIME>': expected a number and a unit, such as 500ms, 30s or 2m
...
"#]]);
    refuse(&["--exec-timeout", "0s"]).stderr_eq(str![[r#"
error: invalid value '0s' for '--exec-timeout <TIME>': the minimum is 1ms
...
"#]]);
    refuse(&["--max-mem", "much"]).stderr_eq(str![[r#"
error: invalid value 'much' for '--max-mem <SIZE>': expected a number and a unit, such as 512MiB, 64m or 1g
...
"#]]);
    refuse(&["--max-mem", "0"]).stderr_eq(str![[r#"
error: invalid value '0' for '--max-mem <SIZE>': the minimum is 1k
...
"#]]);
    refuse(&["--mount", "a:b:c"]).stderr_eq(str![[r#"
error: invalid value 'a:b:c' for '--mount <NAME[:ALIAS]>': expected the folder's name, or name:alias
...
"#]]);
    let six: Vec<&str> = ["--mount", "data"].into_iter().cycle().take(12).collect();
    refuse(&six).stderr_eq("✘ too many mounts: 6 (limit 5)\n");
}

#[test]
fn a_gateway_without_folders_reports_that() {
    let directory = here();
    run(
        sorna(directory.path()),
        &["--local", "-q", "--mount", "data", "python3", "-c", "1"],
    )
    .code(1)
    .stderr_eq(str![[r#"
✘ the gateway responded with 500 kernel-creation-failed: [..]: this gateway has no folders to mount

"#]]);
}

#[test]
fn a_kernel_with_a_token_keeps_its_variables() {
    let gateway = gateway();
    let directory = here();
    let with = |code: &[&str]| {
        let arguments = [&["-q", "-t", "my-session", "python3"], code].concat();
        run(sorna_at(directory.path(), &gateway), &arguments)
    };
    with(&["-c", "x = 1", "-c", "raise SystemExit(9)"]).code(9);
    with(&["-c", "print(x)"]).success().stdout_eq("1\n");
    gateway.stop();
}

#[test]
fn programs_that_stop_waiting_go_on_while_nothing_is_typed() {
    let directory = here();
    for (lang, tool, code) in [
        ("bash", "bash", "read -t 2 -p 'p: ' x; echo \"<$x>\""),
        ("bash", "bash", "read -s -t 2 -p 'p: ' x; echo \"<$x>\""),
        (
            "python3",
            "python3",
            "import select, sys\nprint('<%s>' % ''.join(map(str, select.select([0], [], [], 2)[0])))",
        ),
        (
            "perl",
            "perl",
            "vec($r, 0, 1) = 1; select($r, undef, undef, 2) or print \"<>\\n\"",
        ),
    ] {
        if !need(tool) {
            continue;
        }
        let mut command = sorna(directory.path());
        command
            .args(["run", "--local", "-q", lang, "-c", code])
            .stdin(Stdio::piped());
        let mut child = command.spawn().expect("sorna runs");
        // Open, and empty.
        let stdin = child.stdin.take();
        check_output(child.wait_with_output().expect("it ends"))
            .success()
            .stdout_eq("<>\n");
        drop(stdin);
    }
}

#[test]
fn what_is_typed_too_late_is_for_what_reads_next() {
    let directory = here();
    let code = "read -t 1 x; echo \"<$x>\"; read y; echo \"<$y>\"";
    let mut command = sorna(directory.path());
    command
        .args(["run", "--local", "-q", "bash", "-c", code])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = command.spawn().expect("sorna runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    let mut shown = [0; 3];
    let stdout = child.stdout.as_mut().expect("a pipe");
    stdout.read_exact(&mut shown).expect("it goes on");
    assert_eq!(&shown, b"<>\n");
    stdin.write_all(b"late\n").expect("it reads");
    check_output(child.wait_with_output().expect("it ends"))
        .success()
        .stdout_eq("<late>\n");
}

/// A language, its tool, the name of a file, a program that ends although nothing is typed while it reads, and what comes of
/// it: its exit code, standard output and standard error.
type Row = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    (i32, &'static str, &'static str),
);

#[rustfmt::skip]
const GOES_ON: &[Row] = &[
    ("python3", "python3", "a.py", "import threading, os, time\ndef end():\n    time.sleep(1); print('gone', flush=True); os._exit(5)\nthreading.Thread(target=end).start()\ninput('q? ')", (5, "q? gone\n", "")),
    ("python3", "python3", "a.py", "import signal\ndef late(*_): raise TimeoutError('late')\nsignal.signal(signal.SIGALRM, late); signal.alarm(1)\ntry: input('q? ')\nexcept TimeoutError as error: print(error)", (0, "q? late\n", "")),
    ("python3", "python3", "a.py", "import asyncio, os\nasync def main():\n    try: await asyncio.wait_for(asyncio.get_running_loop().run_in_executor(None, input), 1)\n    except asyncio.TimeoutError: print('late', flush=True); os._exit(3)\nasyncio.run(main())", (3, "late\n", "")),
    ("python3", "python3", "a.py", "import getpass, threading, os, time\ndef end():\n    time.sleep(1); print('gone', flush=True); os._exit(5)\nthreading.Thread(target=end).start()\ngetpass.getpass('', open('/dev/null', 'w'))", (5, "gone\n", "")),
    ("bash", "bash", "a.sh", "(sleep 1; kill $$) & read -p 'q? ' x; echo no", (143, "", "q? Terminated\n")),
    ("bash", "bash", "a.sh", "trap 'echo gone; exit 4' USR1; (sleep 1; kill -USR1 $$) & read -sp 'q? ' x; echo no", (4, "gone\n", "q? ")),
    ("bash", "bash", "a.sh", "timeout 1 cat; echo $?", (0, "124\n", "")),
    ("perl", "perl", "a.pl", "$| = 1; $SIG{ALRM} = sub { print \"late\\n\"; exit 4 }; alarm 1; my $x = <STDIN>; print 'no'", (4, "late\n", "")),
    ("perl", "perl", "a.pl", "eval { local $SIG{ALRM} = sub { die \"late\\n\" }; alarm 1; my $x = <STDIN>; alarm 0 }; print \"got $@\"", (0, "got late\n", "")),
    ("ruby", "ruby", "a.rb", "require 'timeout'\nbegin; Timeout.timeout(1) { gets }; rescue Timeout::Error; puts 'late'; end", (0, "late\n", "")),
    ("ruby", "ruby", "a.rb", "Thread.new { sleep 1; puts 'gone'; $stdout.flush; exit! 3 }; gets", (3, "gone\n", "")),
];

/// `sorna` with a pipe as its standard input that is open and empty.
fn run_with_open_pipe(
    arguments: &[&str],
    program: Option<(&str, &str)>,
) -> snapbox::cmd::OutputAssert {
    let directory = here();
    if let Some((name, program)) = program {
        write(directory.path(), &[(name, program)]);
    }
    let mut command = sorna(directory.path());
    command
        .args(["run", "--local", "-q"])
        .args(arguments)
        .stdin(Stdio::piped());
    let mut child = command.spawn().expect("sorna runs");
    let stdin = child.stdin.take();
    let output = child.wait_with_output().expect("it ends");
    drop(stdin);
    check_output(output)
}

#[test]
fn programs_go_on_while_they_read_and_nothing_is_typed() {
    for (lang, tool, name, program, (code, stdout, stderr)) in GOES_ON {
        if !need(tool) {
            continue;
        }
        run_with_open_pipe(&[lang, "-c", program], None)
            .code(*code)
            .stdout_eq(*stdout)
            .stderr_eq(*stderr);
        run_with_open_pipe(&[lang, name], Some((name, program)))
            .code(*code)
            .stdout_eq(*stdout)
            .stderr_eq(*stderr);
    }
}

#[test]
fn what_is_shown_while_a_program_reads_is_seen_before_anything_is_typed() {
    let programs = [
        (
            "python3",
            "import threading\nthreading.Timer(1, print, ['seen'], {'flush': True}).start()\nprint(input())",
        ),
        ("bash", "(sleep 1; echo seen) & read x; echo $x"),
        ("bash", "(sleep 1; echo seen) & cat"),
    ];
    for (lang, code) in programs {
        if !need(lang) {
            continue;
        }
        let directory = here();
        let mut command = sorna(directory.path());
        command
            .args(["run", "--local", "-q", lang, "-c", code])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().expect("sorna runs");
        let mut stdin = child.stdin.take().expect("a pipe");
        let mut shown = [0; 5];
        let stdout = child.stdout.as_mut().expect("a pipe");
        stdout.read_exact(&mut shown).expect("it is shown");
        assert_eq!(&shown, b"seen\n");
        stdin.write_all(b"line\n").expect("it reads");
        drop(stdin);
        check_output(child.wait_with_output().expect("it ends"))
            .success()
            .stdout_eq("line\n");
    }
}

#[test]
fn what_is_typed_after_a_wait_has_ended_is_read_by_the_next_statement() {
    let programs = [
        "import select, sys; print(len(select.select([sys.stdin], [], [], 1)[0]), flush=True); print(input('next: '))",
        "import select, sys; print(len(select.select([sys.stdin], [], [], 1)[0]), flush=True); print('next:', sys.stdin.readline(), end='')",
        "import select, sys, os; print(len(select.select([sys.stdin], [], [], 1)[0]), flush=True); print('next:', os.read(0, 9).decode(), end='')",
        "import signal\ndef late(*_): raise TimeoutError\nsignal.signal(signal.SIGALRM, late); signal.alarm(1)\ntry: input()\nexcept TimeoutError: print(0, flush=True)\nprint('next:', input())",
    ];
    if !need("python3") {
        return;
    }
    for code in programs {
        let directory = here();
        let mut command = sorna(directory.path());
        command
            .args(["run", "--local", "-q", "python3", "-c", code])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().expect("sorna runs");
        let mut stdin = child.stdin.take().expect("a pipe");
        let mut shown = [0; 2];
        let stdout = child.stdout.as_mut().expect("a pipe");
        stdout.read_exact(&mut shown).expect("it goes on");
        assert_eq!(&shown, b"0\n", "{code}");
        stdin.write_all(b"yes\n").expect("it reads");
        // Open: the end of the input would end a wait, too.
        let output = child.wait_with_output().expect("it ends");
        drop(stdin);
        check_output(output).success().stdout_eq("next: yes\n");
    }
}
