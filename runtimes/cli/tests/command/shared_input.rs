//! Several snippets of one command share its standard input, as statements of one program do at home.

use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::thread;

use crate::support::{backend_at, gateway, here, sorna, sorna_at};
use sorna_test_tools::need;

/// A language, its tool, the snippets, the input, and what they print.
type Row = (
    &'static str,
    &'static str,
    &'static [&'static str],
    &'static [u8],
    &'static str,
);

/// Gives a command that uses a gateway.
type At = fn(&std::path::Path, &sorna_gateway::RunningGateway) -> Command;

const LINES: &[u8] = b"l1\nl2\nl3";
const NODE: &str = "const b = Buffer.alloc(1); let s = ''; while (fs.readSync(0, b) > 0 && b[0] != 10) s += b; console.log(s)";
const C: &str =
    "#include <unistd.h>\nint main(void) { char b[3]; return write(1, b, read(0, b, 3)) < 0; }";

#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("python3", "python3", &["print(input())", "print(input())"], LINES, "l1\nl2\n"),
    ("python3", "python3", &["1", "print(input())", "", "import sys; print(sys.stdin.read())"], LINES, "l1\nl2\nl3\n"),
    ("python3", "python3", &["import sys; print(sys.stdin.read(4))", "print(sys.stdin.read())", "print(repr(sys.stdin.read()))"], b"ab\ncdef", "ab\nc\ndef\n''\n"),
    ("python3", "python3", &["import sys; print(sys.stdin.buffer.readline())", "print(sys.stdin.buffer.read())"], b"a\xff\nb\xfe", "b'a\\xff\\n'\nb'b\\xfe'\n"),
    ("python3", "python3", &["import sys; print(len(sys.stdin.read()))", "print(repr(sys.stdin.read()))"], b"", "0\n''\n"),
    ("python3", "python3", &["print(input())", "import atexit; atexit.register(lambda: print(input()))"], LINES, "l1\nl2\n"),
    ("bash", "bash", &["read -r x; echo \"$x\"", "read -r -n 1 x; echo \"$x\"", "cat", "echo; read x; echo $?"], LINES, "l1\nl\n2\nl3\n1\n"),
    ("ruby", "ruby", &["puts gets", "puts STDIN.read(1)", "puts STDIN.read", "p STDIN.gets"], LINES, "l1\nl\n2\nl3\nnil\n"),
    ("ruby", "ruby", &["STDIN.each_line { |l| puts l; break }", "system('cat >/dev/null'); p 1", "p STDIN.gets"], b"l1\n", "l1\n1\nnil\n"),
    ("perl", "perl", &["print scalar <STDIN>;", "read STDIN, $x, 1; print \"$x\\n\";", "print <STDIN>;"], LINES, "l1\nl\n2\nl3"),
    ("php", "php", &["echo fgets(STDIN);", "echo fread(STDIN, 1), \"\\n\";", "echo stream_get_contents(STDIN);"], LINES, "l1\nl\n2\nl3"),
    ("lua", "lua", &["print(io.read())", "print(io.read(1))", "print(io.read('*a'))"], LINES, "l1\nl\n2\nl3\n"),
    ("nodejs", "node", &[NODE, "1", NODE, "console.log(fs.readFileSync(0, 'utf8'))"], LINES, "l1\nl2\nl3\n"),
    ("nodejs", "node", &["1", "process.stdin.on('data', (d) => console.log(String(d)))"], b"l1\nl2", "l1\n\nl2\n"),
    ("r", "R", &["cat(readline(), '\\n')", "cat(readline(), '\\n')", "cat(readline(), '\\n')"], LINES, "l1 \nl2 \nl3 \n"),
    ("c", "gcc", &[C, C, C], LINES, "l1\nl2\nl3"),
];

fn with_input(mut command: Command, input: &[u8]) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().expect("it runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = input.to_owned();
    let writer = thread::spawn(move || {
        // A program need not read all.
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().expect("it ends");
    writer.join().expect("a writer");
    output
}

fn run_at(mut command: Command) -> Command {
    command.arg("run");
    command
}

fn with_snippets(mut command: Command, lang: &str, snippets: &[&str]) -> Command {
    command.args(["-q", lang]);
    for snippet in snippets {
        command.args(["-c", snippet]);
    }
    command
}

fn check(command: impl Fn() -> Command) {
    let mut wrong = String::new();
    for (lang, tool, snippets, input, expected) in ROWS {
        if !need(tool) {
            continue;
        }
        let output = with_input(with_snippets(command(), lang, snippets), input);
        let printed = String::from_utf8_lossy(&output.stdout);
        if printed != *expected || !output.status.success() {
            let stderr = String::from_utf8_lossy(&output.stderr);
            wrong += &format!("{lang} {snippets:?}: {printed:?} {stderr}\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn snippets_share_the_input() {
    let directory = here();
    check(|| {
        let mut command = sorna(directory.path());
        command.args(["run", "--local"]);
        command
    });
}

#[test]
fn snippets_share_the_input_in_the_dialect_of_2017() {
    let (directory, gateway) = (here(), gateway());
    check(|| run_at(sorna_at(directory.path(), &gateway)));
}

#[test]
fn snippets_share_the_input_in_the_dialect_of_backend_ai() {
    let (directory, gateway) = (here(), gateway());
    check(|| run_at(backend_at(directory.path(), &gateway)));
}

#[test]
fn much_input_is_shared() {
    let (directory, gateway) = (here(), gateway());
    let lines: String = (0..300_000)
        .map(|number| format!("line {number}\n"))
        .collect();
    let rows: &[(&str, &str, &[&str])] = &[
        (
            "python3",
            "python3",
            &["print(input())", "import sys; print(len(sys.stdin.read()))"],
        ),
        ("bash", "bash", &["read -r x; echo \"$x\"", "wc -c"]),
        (
            "perl",
            "perl",
            &[
                "print scalar <STDIN>;",
                "$n += length while <STDIN>; print \"$n\\n\";",
            ],
        ),
    ];
    for (lang, tool, snippets) in rows {
        if need(tool) {
            let command =
                with_snippets(run_at(sorna_at(directory.path(), &gateway)), lang, snippets);
            let output = with_input(command, lines.as_bytes());
            let printed = String::from_utf8_lossy(&output.stdout);
            assert_eq!(printed, format!("line 0\n{}\n", lines.len() - 7), "{lang}");
        }
    }
}

#[test]
fn another_command_begins_with_its_own_input() {
    let (directory, gateway) = (here(), gateway());
    let rows: &[(&str, &str, &str)] = &[
        ("python3", "python3", "print(input())"),
        ("bash", "bash", "read -r x; echo \"$x\""),
        ("ruby", "ruby", "puts STDIN.gets"),
        ("perl", "perl", "print scalar <STDIN>;"),
        ("lua", "lua", "print(io.read())"),
    ];
    for (command, name) in [(sorna_at as At, "shared-v2"), (backend_at, "shared-ai")] {
        for (lang, tool, code) in rows {
            if !need(tool) {
                continue;
            }
            let run = |input: &[u8], snippets: &[&str]| {
                let mut command =
                    with_snippets(run_at(command(directory.path(), &gateway)), lang, snippets);
                command.args(["-t", &format!("{name}-{lang}")]);
                let output = with_input(command, input);
                let stderr = String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success(), "{stderr}");
                String::from_utf8_lossy(&output.stdout).into_owned()
            };
            assert_eq!(run(b"a1\na2\na3\n", &[code, code]), "a1\na2\n", "{lang}");
            assert_eq!(run(b"b1\nb2\n", &[code]), "b1\n", "{lang}");
        }
    }
}
