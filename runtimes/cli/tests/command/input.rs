//! Where `sorna run` reads its code, and what it requests from the gateway.

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;

use snapbox::str;

use crate::support::{check, check_output, gateway, here, sorna, sorna_at, stub, write};
use sorna_test_tools::need;

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
    run_with_input(b"// \xff", &["--local", "c", "-"])
        .code(1)
        .stderr_eq("✘ cannot read code from standard input: it is not UTF-8, as the code of a snippet must be: put it into a file, and run that (`sorna run c FILE`)\n");
    run_with_input(b"", &["--local", "c", "-", "--", "a"])
        .code(2)
        .stderr_eq("✘ it is not known how c kernels run code from standard input with arguments\n∙ Save it as a file: sorna run c FILE -- ARGS.\n");
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
fn links_to_nothing_are_left_out_and_named() {
    use std::os::unix::fs::symlink;

    let directory = here();
    let place = directory.path();
    write(place, &[("a/main.sh", "ls -A a"), ("b/c/x.txt", "x")]);
    symlink("nowhere", place.join("a/gone")).expect("a link");
    symlink("x.txt/y", place.join("b/c/none")).expect("a link");
    symlink("/no/such/file", place.join("b/other")).expect("a link");
    let said = |arguments: &[&str], text: &str| {
        let options = ["--local", "bash", "-e", "ls -A *", "-b", ""];
        let ran = run(sorna(place), &[&options, arguments].concat()).success();
        let error = String::from_utf8(ran.get_output().stderr.clone()).expect("UTF-8");
        let first = error.lines().next().unwrap_or_default();
        assert_eq!(first, text, "{error}");
        ran
    };
    said(
        &["a"],
        "∙ Left out a/gone, a link to nowhere, which does not exist.",
    )
    .stdout_eq("main.sh\n");
    said(
        &["b"],
        "∙ Left out b/c/none, a link to x.txt/y, which does not exist, and 1 other link like it.",
    )
    .stdout_eq("c\n");
    said(&["-q", "b", "a"], "").stdout_eq("a:\nmain.sh\n\nb:\nc\n");
    // One that is named was meant.
    run(sorna(place), &["--local", "bash", "a/gone"]).code(2);
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
