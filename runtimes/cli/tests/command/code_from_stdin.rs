//! Code from standard input runs as `interpreter < file` does at home: what follows its end in it may be read, names and
//! arguments are the same, and so is what comes of errors.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::{backend_at, gateway, here, sorna_at};
use sorna_test_tools::need;

/// A language, the command at home, what follows the language in a kernel, and the program.
type Row = (
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
    &'static [u8],
);

#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("ruby", &["ruby", "-", "a", "b c"], &["-", "--", "a", "b c"], b"puts DATA.read\nputs __FILE__, $0\np ARGV, $stdin.gets\n__END__\nd1\nd2\n"),
    ("ruby", &["ruby"], &[], b"puts DATA.read\np gets\nraise 'x'\n__END__\nd1"),
    ("ruby", &["ruby", "-"], &["-"], b"p $stdin.gets\nfoo(\n"),
    ("perl", &["perl", "-", "a", "it's"], &["--", "a", "it's"], b"print <DATA>; print __FILE__, \" $0 @ARGV\\n\"; print <STDIN>;\ndie 'x';\n__END__\nd1\nd2\n"),
    ("perl", &["perl"], &[], b"print scalar <STDIN>; warn \"w\";\n__DATA__\nd1\nd2\n"),
    ("perl", &["perl"], &["-"], b"print while <DATA>; print \"\xe9\"\n__DATA__\nlast"),
    ("bash", &["bash"], &[], b"read x\nhello\necho \"got $x\"\ncat\nrest $0\n$x"),
    ("bash", &["bash", "-s", "a", "b"], &["-", "--", "a", "b"], b"echo $0 $# $2\nnosuch\nfoo(\n"),
    ("bash", &["bash"], &["-"], b"while read l; do echo \"<$l>\"; [ $l = b ] && break; done\na\nb\nexit 3\n"),
    ("python3", &["python3", "-", "a", "b"], &["-", "--", "a", "b"], b"import sys\nprint(sys.argv, __name__, globals().get('__file__'))\nprint(input())\n"),
    ("python3", &["python3"], &[], b"import sys\nprint(sys.argv, repr(sys.stdin.read()))\ndef f(): 1 / 0\nf()"),
    ("python3", &["python3"], &[], b"# \xe9\nprint(1)"),
    ("nodejs", &["node", "-", "a", "b"], &["-", "--", "a", "b"], b"console.log(process.argv.slice(1), __filename, require('fs').readFileSync(0, 'utf8'))"),
    ("nodejs", &["node"], &[], b"console.log(1)\nconst x = ;"),
    ("php", &["php", "--", "a", "b"], &["-", "--", "a", "b"], b"<?php var_dump($argv, __FILE__, __LINE__);"),
    ("php", &["php"], &[], b"\n<?php throw new Exception('x');"),
    ("lua", &["lua", "-", "a", "b"], &["-", "--", "a", "b"], b"print(arg[0], arg[2], io.read())\nerror('x')"),
    ("lua", &["lua", "-"], &[], b"print(1)\nlocal x = = 1"),
    ("r", &["Rscript", "-", "a", "b"], &["-", "--", "a", "b"], b"x <- readline()\nx\ncat(commandArgs(TRUE))\nstop('x')"),
    ("r", &["Rscript", "-"], &[], b"x <- 1:3\nx\nprint(commandArgs(TRUE))"),
];

/// What comes of a command with this file as its standard input.
fn outcome(mut command: Command, directory: &Path, input: &Path) -> (String, String, Option<i32>) {
    command.current_dir(directory);
    command.stdin(Stdio::from(fs::File::open(input).expect("it is there")));
    let output = command.output().expect("it runs");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (
        text(output.stdout),
        text(output.stderr),
        output.status.code(),
    )
}

/// Compares all rows of what is run by these commands of `sorna`, with these options.
fn compare(command: impl Fn(&Path) -> Command, options: &[&str]) {
    let (directory, elsewhere) = (here(), here());
    let file = elsewhere.path().join("program");
    let mut wrong = String::new();
    for (lang, at_home, there, program) in ROWS {
        if !need(at_home[0]) {
            continue;
        }
        fs::write(&file, program).expect("it is written");
        let mut known = Command::new(at_home[0]);
        known.args(&at_home[1..]);
        let at_home = outcome(known, directory.path(), &file);
        let mut sorna = command(directory.path());
        sorna
            .args(["run", "-q"])
            .args(options)
            .arg(lang)
            .args(*there);
        let there = outcome(sorna, directory.path(), &file);
        if at_home != there {
            let program = String::from_utf8_lossy(program);
            wrong += &format!("{lang} {program:?}\n  at home: {at_home:?}\n  there: {there:?}\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn code_from_standard_input_is_as_at_home() {
    compare(crate::support::sorna, &["--local"]);
}

#[test]
fn code_from_standard_input_is_as_at_home_on_gateways() {
    let gateway = gateway();
    compare(|directory| sorna_at(directory, &gateway), &[]);
    compare(|directory| backend_at(directory, &gateway), &[]);
}

#[test]
fn a_large_program_reads_what_follows_it_and_leaves_no_file() {
    let (directory, gateway) = (here(), gateway());
    let file = directory.path().join("program");
    let lines = "x\n".repeat(200_000);
    for (lang, tool, head) in [
        ("bash", "bash", "ls -A | wc -l; wc -l\n"),
        (
            "ruby",
            "ruby",
            "p Dir.children('.').size, DATA.each_line.count\n__END__\n",
        ),
        (
            "perl",
            "perl",
            "print scalar(() = glob('.* *')) - 2, \"\\n\"; @a = <DATA>; print scalar @a, \"\\n\"\n__END__\n",
        ),
    ] {
        if !need(tool) {
            continue;
        }
        fs::write(&file, format!("{head}{lines}")).expect("it is written");
        // What interpreters of a kernel have in the work directory is there without it, too.
        let mut sorna = sorna_at(directory.path(), &gateway);
        sorna.args(["run", "-q", lang]);
        let (printed, problem, code) = outcome(sorna, directory.path(), &file);
        let numbers: Vec<&str> = printed.split_whitespace().collect();
        assert_eq!(
            (numbers, code),
            (vec!["0", "200000"], Some(0)),
            "{lang} {problem}"
        );
    }
}

#[test]
fn a_kernel_that_is_kept_shares_its_variables_with_code_from_standard_input() {
    let (directory, gateway) = (here(), gateway());
    let file = directory.path().join("program");
    let run = |code: &str, arguments: &[&str]| {
        fs::write(&file, code).expect("it is written");
        let mut sorna = sorna_at(directory.path(), &gateway);
        sorna
            .args(["run", "-q", "-t", "code-from-stdin", "ruby"])
            .args(arguments);
        outcome(sorna, directory.path(), &file).0
    };
    if need("ruby") {
        assert_eq!(run("x = 41", &[]), "");
        assert_eq!(run("p x + 1", &["-"]), "42\n");
        // These are programs of their own.
        assert_eq!(
            run("p defined?(x), ARGV", &["-", "--", "a"]),
            "nil\n[\"a\"]\n"
        );
        assert_eq!(run("p DATA.read\n__END__\nd", &[]), "\"d\"\n");
        assert_eq!(run("p x", &[]), "41\n");
    }
}
