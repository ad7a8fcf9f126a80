//! Prompts that languages show only on a terminal: on a pipe they are not part of the output, as at home.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::support::terminal::Terminal;
use crate::support::{backend_at, gateway, here, sorna_at, write};
use sorna_test_tools::need;

/// A language, its tool for files, the option for code, and a program that asks with `p: `.
type Row = (&'static str, &'static str, &'static str, &'static str);

#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("php", "php", "-r", "$x = readline('p: '); echo \"<$x>\\n\"; echo readline();"),
    ("php", "php", "-r", "while (($x = readline('p: ')) !== false) echo \"<$x>\\n\"; exit(3);"),
    ("php", "php", "-r", "echo 'q: '; $x = readline(); echo readline('p: '), $x;"),
    ("bash", "bash", "-c", "read -p 'p: ' x; echo \"<$x>\"; read -er -p 'p: ' y; echo \"$y\""),
    ("bash", "bash", "-c", "f() { local x; IFS= read -rsp 'p: ' x; echo \"<$x>\"; }; f; f"),
    ("bash", "bash", "-c", "while read -p 'p: ' x; do echo \"<$x>\"; done; exit 3"),
    ("ruby", "ruby", "-e", "require 'readline'; puts \"<#{Readline.readline('p: ', true)}>\""),
    ("ruby", "ruby", "-e", "require 'readline'; while x = Readline.readline('p: '); puts x; end; exit 3"),
    ("ruby", "ruby", "-e", "print 'q: '; x = gets; puts x"),
    // Shown at home as well.
    ("python3", "python3", "-c", "print('<%s>' % input('p: '))"),
    ("nodejs", "node", "-e", "const rl = require('readline').createInterface({ input: process.stdin, output: process.stdout }); rl.question('p: ', x => { console.log(`<${x}>`); rl.close(); })"),
    ("lua", "lua", "-e", "io.write('p: ') print(io.read())"),
];

/// Programs that read without any prompt.
#[rustfmt::skip]
const READING: &[Row] = &[
    ("r", "Rscript", "-e", "con <- file('stdin'); open(con); while (length(l <- readLines(con, n = 1)) > 0) cat('<', l, '>', sep = '')"),
    ("r", "Rscript", "-e", "x <- readLines('stdin'); y <- scan('stdin', ''); print(list(x, y))"),
    ("r", "Rscript", "-e", "x <- scan(file = 'stdin', what = '', n = 1, quiet = TRUE); print(x)"),
];

fn piped(mut command: Command) -> (String, String, Option<i32>) {
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().expect("it runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    // It need not read all.
    let _ = stdin.write_all(b"bob\nann\n");
    drop(stdin);
    let Output {
        status,
        stdout,
        stderr,
    } = child.wait_with_output().expect("it ends");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (text(stdout), text(stderr), status.code())
}

fn at_home(directory: &Path, tool: &str, arguments: &[&str]) -> (String, String, Option<i32>) {
    let mut command = Command::new(tool);
    command.current_dir(directory).args(arguments);
    piped(command)
}

#[test]
fn no_prompts_are_shown_where_the_input_is_a_pipe() {
    let directory = here();
    let gateway = gateway();
    let mut wrong = String::new();
    for (lang, tool, option, program) in ROWS.iter().chain(READING) {
        if !need(tool) {
            continue;
        }
        let text = match *tool {
            "php" => format!("<?php {program}"),
            _ => (*program).to_owned(),
        };
        write(directory.path(), &[("program", &text)]);
        let exec = format!("{tool} program");
        for (at_home_with, there_with) in [
            (vec![*option, program], ["-c", *program].as_slice()),
            (vec!["program"], &["program", "-e", &exec]),
        ] {
            let home = at_home(directory.path(), tool, &at_home_with);
            for at in [sorna_at, backend_at] {
                let mut command = at(directory.path(), &gateway);
                command.args(["run", "-q", lang]).args(there_with);
                let there = piped(command);
                if there != home {
                    wrong += &format!("{lang} {there_with:?}:\n  {home:?}\n  {there:?}\n");
                }
            }
        }
    }
    gateway.stop();
    assert!(wrong.is_empty(), "\n{wrong}");
}

/// At home, R asks no one then.
#[test]
fn after_readline_of_r_the_next_lines_are_for_what_reads_them() {
    if !need("Rscript") {
        return;
    }
    let directory = here();
    let gateway = gateway();
    for (program, shown) in [
        (
            "x <- readline(); y <- readLines('stdin'); cat(x, y, sep = '|')",
            "bob|ann",
        ),
        (
            "x <- readline(); cat(x, scan('stdin', '', quiet = TRUE), sep = '|')",
            "bob|ann",
        ),
        (
            "x <- readline(); con <- file('stdin'); open(con); cat(x, readLines(con, 1), length(readLines(con)), sep = '|')",
            "bob|ann|0",
        ),
        (
            "x <- readLines('stdin'); cat(x, readline(), sep = '|')",
            "bob|ann|",
        ),
        (
            "x <- readline(); y <- readline(); cat(x, y, readline(), length(readLines('stdin')), sep = '|')",
            "bob|ann||0",
        ),
    ] {
        for at in [sorna_at, backend_at] {
            let mut command = at(directory.path(), &gateway);
            command.args(["run", "-q", "r", "-c", program]);
            assert_eq!(
                piped(command),
                (shown.to_owned(), String::new(), Some(0)),
                "{program}"
            );
        }
    }
    gateway.stop();
}

#[test]
fn without_a_terminal_of_its_own_perl_reads_lines_from_the_pipe() {
    let directory = here();
    let gateway = gateway();
    let program = "use Term::ReadLine; my $t = Term::ReadLine->new('x'); my $x = $t->readline('p: '); print \"<$x>\\n\"; print {$t->OUT} \"out\\n\"";
    for at in [sorna_at, backend_at] {
        let mut command = at(directory.path(), &gateway);
        command.args(["run", "-q", "perl", "-c", program]);
        let expected = ("<bob>\nout\n".to_owned(), String::new(), Some(0));
        assert_eq!(piped(command), expected);
    }
    gateway.stop();
}

#[test]
fn people_see_the_prompts() {
    let directory = here();
    let gateway = gateway();
    for (lang, tool, _, program) in ROWS {
        if !need(tool) {
            continue;
        }
        let arguments = ["-q", lang, "-c", program];
        let mut terminal =
            Terminal::start_command("run", directory.path(), Some(&gateway), &arguments);
        let prompt = match program.contains("q: ") {
            true => "q: ",
            false => "p: ",
        };
        terminal.shows(prompt);
    }
    gateway.stop();
}
