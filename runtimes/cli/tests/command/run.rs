//! `sorna run`, as a person sees it: real gateway, real interpreters.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use snapbox::str;
use sorna_gateway::GatewayConfig;

use crate::support::{check, check_output, gateway, gateway_with, here, sorna, sorna_at, write};

const C_PROGRAM: &[(&str, &str)] = &[
    (
        "main.c",
        "#include <stdio.h>\n#include \"mylib.h\"\nint main(void) { printf(\"myvalue is %d\\n\", myvalue()); }\n",
    ),
    (
        "mylib.c",
        "#include \"mylib.h\"\nint myvalue(void) { return 42; }\n",
    ),
    ("mylib.h", "int myvalue(void);\n"),
];

fn run(mut command: Command, arguments: &[&str]) -> snapbox::cmd::OutputAssert {
    command.arg("run").args(arguments);
    check(command)
}

#[test]
fn a_snippet_on_this_machine() {
    let directory = here();
    run(
        sorna(directory.path()),
        &["--local", "python3", "-c", "print('hello world')"],
    )
    .success()
    .stdout_eq(str![[r#"
hello world

"#]])
    .stderr_eq(str![[r#"
∙ Client session token: [TOKEN]
✔ Kernel (ID: [KERNEL]) is ready.
✔ Cleaned up the kernel.

"#]]);
}

#[test]
fn a_c_program_of_three_files_on_this_machine() {
    let directory = here();
    write(directory.path(), C_PROGRAM);
    run(
        sorna(directory.path()),
        &["--local", "c", "main.c", "mylib.c", "mylib.h"],
    )
    .success()
    .stdout_eq(str![[r#"
myvalue is 42

"#]])
    .stderr_eq(str![[r#"
∙ Client session token: [TOKEN]
✔ Kernel (ID: [KERNEL]) is ready.
✔ Uploaded 3 files.
✔ Build finished.
✔ Cleaned up the kernel.

"#]]);
}

#[test]
fn a_c_program_on_the_gateway_of_the_environment() {
    let gateway = gateway();
    let directory = here();
    write(directory.path(), C_PROGRAM);
    run(
        sorna_at(directory.path(), &gateway),
        &["c", "main.c", "mylib.c", "mylib.h"],
    )
    .success()
    .stdout_eq("myvalue is 42\n")
    .stderr_eq(str![[r#"
∙ Client session token: [TOKEN]
✔ Kernel (ID: [KERNEL]) is ready.
✔ Uploaded 3 files.
✔ Build finished.
✔ Cleaned up the kernel.

"#]]);
    let stats = gateway.stats();
    assert_eq!((stats.kernels_created, stats.kernels), (1, 0));
    gateway.stop();
}

#[test]
fn quiet_shows_only_the_program() {
    let directory = here();
    run(
        sorna(directory.path()),
        &["--local", "-q", "bash", "-c", "echo out; echo err >&2"],
    )
    .success()
    .stdout_eq("out\n")
    .stderr_eq("err\n");
}

#[test]
fn output_is_unchanged() {
    let directory = here();
    let code = "import sys\n\
        sys.stdout.write('é 😀\\r\\n\\x1b[1mbold\\x1b[0m\\ttab\\0nul ' + 'x' * 300000)\n\
        sys.stderr.write('no line end')";
    let mut expected = "é 😀\r\n\x1b[1mbold\x1b[0m\ttab\0nul ".to_owned();
    expected.push_str(&"x".repeat(300_000));
    let mut command = sorna(directory.path());
    command.args(["run", "--local", "-q", "python3", "-c", code]);
    let output = command.output().expect("sorna runs");
    assert!(output.status.success());
    assert!(
        output.stdout == expected.as_bytes(),
        "{}",
        output.stdout.len()
    );
    assert_eq!(output.stderr, b"no line end");
}

#[test]
fn a_kernel_with_a_token_is_kept_and_found_again() {
    let gateway = gateway();
    let directory = here();
    let with = |code: &str| {
        run(
            sorna_at(directory.path(), &gateway),
            &["-t", "my-session", "python3", "-c", code],
        )
    };
    with("x = 41").success().stdout_eq("").stderr_eq(str![[r#"
∙ Client session token: my-session
✔ Kernel (ID: [KERNEL]) is ready, and new.

"#]]);
    with("print(x + 1)").success().stdout_eq("42\n");
    let stats = gateway.stats();
    assert_eq!((stats.kernels_created, stats.kernels), (1, 1));
    gateway.stop();
}

#[test]
fn build_and_exec_commands_of_the_user() {
    let directory = here();
    write(directory.path(), &[("src/a.txt", "one\ntwo\n")]);
    run(
        sorna(directory.path()),
        &[
            "--local",
            "-q",
            "bash",
            "src/a.txt",
            "-b",
            "wc -l < src/a.txt > n",
            "-e",
            "cat n",
        ],
    )
    .success()
    .stdout_eq("2\n")
    .stderr_eq("");
}

#[test]
fn a_failed_build_is_reported_with_its_exit_code() {
    let directory = here();
    write(
        directory.path(),
        &[("main.c", "int main(void) { return nothing; }\n")],
    );
    run(sorna(directory.path()), &["--local", "c", "main.c"])
        .code(1)
        .stdout_eq("")
        .stderr_eq(str![[r#"
∙ Client session token: [TOKEN]
✔ Kernel (ID: [KERNEL]) is ready.
✔ Uploaded 1 file.
...
[..]nothing[..]undeclared[..]
...
✘ Build failed with exit code 1.
✔ Cleaned up the kernel.

"#]]);
}

#[test]
fn the_exit_code_is_the_program_s() {
    let directory = here();
    write(
        directory.path(),
        &[
            ("main.c", "int main(void) { return 7; }\n"),
            (
                "killed.c",
                "#include <signal.h>\nint main(void) { raise(SIGKILL); }\n",
            ),
        ],
    );
    for (arguments, code) in [
        (&["python3", "-c", "raise SystemExit(3)"][..], 3),
        (&["python3", "-c", "1 / 0"], 1),
        (&["bash", "-c", "(exit 42)"], 42),
        (&["c", "main.c"], 7),
        (&["c", "killed.c"], 137),
        (&["bash", "-c", "exit 255"], 255),
    ] {
        let mut all = vec!["--local", "-q"];
        all.extend(arguments);
        run(sorna(directory.path()), &all).code(code);
    }
}

#[test]
fn a_program_past_its_time_limit_is_killed() {
    let config = GatewayConfig::new().with_exec_timeout(Duration::from_millis(300));
    let gateway = gateway_with(config);
    let directory = here();
    run(
        sorna_at(directory.path(), &gateway),
        &["-q", "python3", "-c", "while True: pass"],
    )
    .code(124)
    .stderr_eq(
        "✘ The program exceeded its time limit of 300 ms, which the gateway sets, and was killed.\n\
         ∙ Ask for more with --exec-timeout, such as --exec-timeout 5m.\n",
    );
    assert_eq!(gateway.stats().kernels, 0);
    gateway.stop();
}

#[test]
fn a_program_past_another_limit_is_said_to_be() {
    let config = GatewayConfig::new()
        .with_max_memory(150 << 20)
        .with_max_files(500);
    let gateway = gateway_with(config);
    let directory = here();
    let memory = "import os, time\n\
        for _ in range(6):\n    \
          if os.fork() == 0:\n        \
            x = bytearray(os.urandom(1)) * (60 << 20)\n        \
            time.sleep(30)\n        \
            os._exit(0)\n\
        time.sleep(30)";
    let files = "import time\nfor i in range(600): open(f'f{i}', 'w').close()\ntime.sleep(30)";
    for (arguments, stderr) in [
        (
            &["python3", "-c", memory][..],
            "...\n✘ The program exceeded its memory limit of 150 MiB, which the gateway sets, and was killed.\n\
             ∙ Ask for more with --max-mem, such as --max-mem 2g.\n",
        ),
        (
            &["--max-mem", "120m", "python3", "-c", memory],
            "...\n✘ The program exceeded its memory limit of 120 MiB (--max-mem) and was killed.\n",
        ),
        (
            &["-t", "kept-session", "python3", "-c", memory],
            "...\n✘ The program exceeded its memory limit of 150 MiB, which the gateway sets, and was killed.\n\
             ∙ Ask for more with --max-mem, such as --max-mem 2g, when the kernel is created: destroy it first, or choose another name.\n\
             ∙ Its interpreter was killed with it: variables are lost, and files are kept.\n",
        ),
        (
            &["python3", "-c", files],
            "...\n✘ The program exceeded its limit of 500 files and directories, which the gateway sets, and was killed.\n\
             ∙ Who runs the gateway sets this limit (`sorna serve --max-files`).\n",
        ),
    ] {
        let mut all = vec!["-q"];
        all.extend(arguments);
        run(sorna_at(directory.path(), &gateway), &all)
            .code(137)
            .stderr_eq(stderr);
    }
    // A program that says so has not exceeded it.
    let words = "import sys; print('killed: the kernel exceeded its memory limit', file=sys.stderr); sys.exit(137)";
    for (code, limit) in [
        (
            memory,
            r#""exitCode":137,"limit":"memory","limitMax":157286400,"wallMs":"#,
        ),
        (words, r#""exitCode":137,"wallMs":"#),
    ] {
        let mut command = sorna_at(directory.path(), &gateway);
        command.args(["run", "--json", "python3", "-c", code]);
        let output = command.output().expect("sorna runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let end = format!(
            r#"{{"v":1,"event":"execution-finished","index":0,"status":"finished",{limit}"#
        );
        assert!(text.lines().any(|line| line.starts_with(&end)), "{text}");
    }
    gateway.stop();
}

/// Runs with lines on the standard input.
fn run_with_input(input: &str, arguments: &[&str]) -> snapbox::cmd::OutputAssert {
    let directory = here();
    let mut command = sorna(directory.path());
    command.arg("run").args(arguments).stdin(Stdio::piped());
    let mut child = command.spawn().expect("sorna runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(input.as_bytes()).expect("it reads");
    drop(stdin);
    check_output(child.wait_with_output().expect("it ends"))
}

#[test]
fn input_comes_from_standard_input() {
    let code = "import getpass\n\
        name = input('name? ')\n\
        empty = input()\n\
        word = getpass.getpass('word? ')\n\
        print([name, empty, word])";
    run_with_input(
        "lablup\n\nsecret é\r\nmore\n",
        &["--local", "-q", "python3", "-c", code],
    )
    .success()
    .stdout_eq("name? ['lablup', '', 'secret é']\n")
    .stderr_eq("word? ");
}

#[test]
fn a_c_program_reads_its_input() {
    let directory = here();
    write(
        directory.path(),
        &[(
            "main.c",
            "#include <stdio.h>\nint main(void) { int a, b; if (scanf(\"%d %d\", &a, &b) != 2) return 9; printf(\"%d\\n\", a + b); }\n",
        )],
    );
    let mut command = sorna(directory.path());
    command
        .args(["run", "--local", "-q", "c", "main.c"])
        .stdin(Stdio::piped());
    let mut child = command.spawn().expect("sorna runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(b"40\n2\n").expect("it reads");
    check_output(child.wait_with_output().expect("it ends"))
        .success()
        .stdout_eq("42\n");
}

#[test]
fn programs_read_standard_input_to_its_end() {
    let lines = "import sys\nfor line in sys.stdin: print('>', line, end='')\nprint('end')";
    let whole = "import sys\nprint(sys.stdin.read().split())";
    for (lang, code, output) in [
        ("bash", "cat; echo end", "a\nb\nc\nend\n"),
        (
            "bash",
            "while read x; do echo \"<$x>\"; done",
            "<a>\n<b>\n<c>\n",
        ),
        ("bash", "sort -r | head -n 2", "c\nb\n"),
        ("python3", lines, "> a\n> b\n> c\nend\n"),
        ("python3", whole, "['a', 'b', 'c']\n"),
    ] {
        run_with_input("a\nb\nc\n", &["--local", "-q", lang, "-c", code])
            .success()
            .stdout_eq(output.to_owned())
            .stderr_eq("");
    }
    // Each snippet sees the end of the input.
    run_with_input(
        "a\n",
        &["--local", "-q", "bash", "-c", "cat", "-c", "cat; echo end"],
    )
    .success()
    .stdout_eq("a\nend\n");
}

#[test]
fn a_c_program_reads_to_the_end() {
    let directory = here();
    let program = "#include <stdio.h>\nint main(void) { char line[99]; int n = 0; while (fgets(line, 99, stdin)) n++; printf(\"%d\\n\", n); }\n";
    write(
        directory.path(),
        &[("main.c", program), ("in.txt", "1\n2\n3\n")],
    );
    let mut command = sorna(directory.path());
    let input = std::fs::File::open(directory.path().join("in.txt")).expect("a file");
    command.stdin(input);
    run(command, &["--local", "-q", "c", "main.c"])
        .success()
        .stdout_eq("3\n")
        .stderr_eq("");
}

#[test]
fn a_program_may_handle_the_end_of_its_input() {
    let code = "try: input('name? ')\nexcept EOFError: print('nobody')";
    run_with_input("", &["--local", "-q", "python3", "-c", code])
        .success()
        .stdout_eq("name? nobody\n")
        .stderr_eq("");
}

#[test]
fn a_program_that_ignores_the_end_of_its_input_is_stopped() {
    let code = "while True:\n  try: input('name? ')\n  except EOFError: pass";
    run_with_input("", &["--local", "python3", "-c", code])
        .code(1)
        .stdout_eq("name? ".repeat(9))
        .stderr_eq(str![[r#"
∙ Client session token: [TOKEN]
✔ Kernel (ID: [KERNEL]) is ready.
✘ the program asks for input, but standard input has ended
✔ Cleaned up the kernel.

"#]]);
}

#[test]
fn a_single_file_of_an_interpreted_language_runs_whatever_its_name() {
    let directory = here();
    write(
        directory.path(),
        &[
            ("hello.py", "print('hello')\n"),
            ("it's a/script.sh", "echo \"$0\"\n"),
        ],
    );
    let local = |arguments: &[&str]| {
        let arguments = [&["--local", "-q"], arguments].concat();
        run(sorna(directory.path()), &arguments)
    };
    local(&["python3", "hello.py"])
        .success()
        .stdout_eq("hello\n");
    local(&["bash", "it's a/script.sh"])
        .success()
        .stdout_eq("it's a/script.sh\n");
    // The user's own command takes precedence, even `*`, which means the default.
    local(&["python3", "hello.py", "-e", "echo mine"]).stdout_eq("mine\n");
    local(&["python3", "hello.py", "-e", "*"]).code(2);
}

#[test]
fn several_files_without_a_main_file_get_advice() {
    let directory = here();
    write(
        directory.path(),
        &[("hello.py", "print('hello')\n"), ("lib.py", "")],
    );
    run(
        sorna(directory.path()),
        &["--local", "-q", "python3", "hello.py", "lib.py"],
    )
    .code(2)
    .stderr_eq(str![[r#"
[..]main.py[..]
∙ python3 kernels run main.py by default, and no file has that name. Choose one with -e 'python3 hello.py'.

"#]]);
}
