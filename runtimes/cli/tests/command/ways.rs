//! Programs do the same whichever way they are run: at home by `COMMAND FILE <INPUT`, and by `sorna run` as a snippet, as the
//! snippet of a kernel that is kept, as a file and as a file of a kernel that is kept, with both APIs. One row a line.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use sorna_gateway::RunningGateway;
use sorna_test_tools::need;

use crate::support::{backend_at, gateway, here, sorna_at};

/// A language, its command, the name of a file, the program, and its standard input.
type Row = (
    &'static str,
    &'static [&'static str],
    &'static str,
    &'static str,
    &'static str,
);

const PYTHON: &[&str] = &["python3"];
const BASH: &[&str] = &["bash"];
const PERL: &[&str] = &["perl"];
const RUBY: &[&str] = &["ruby"];
const NODE: &[&str] = &["node"];
const LUA: &[&str] = &["lua"];
const PHP: &[&str] = &["php"];
const R: &[&str] = &["Rscript"];

/// Text as Windows writes it, and without an end of its last line.
const INPUT: &str = "one\r\ntwo\n\nlast: é";

#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("python3", PYTHON, "a.py", "import sys\nprint(repr(sys.stdin.buffer.read()))\n", INPUT),
    ("python3", PYTHON, "a.py", "try:\n    while True: print(repr(input()))\nexcept EOFError: print('end')\n", INPUT),
    ("python3", PYTHON, "a.py", "import sys\nfor line in sys.stdin: print(repr(line))\nsys.exit(3)\n", INPUT),
    ("python3", PYTHON, "a.py", "import sys, select\nwhile select.select([sys.stdin], [], [])[0]:\n    line = sys.stdin.readline()\n    if not line: break\n    print(repr(line))\n", "a\nb\n"),
    ("python3", PYTHON, "a.py", "import getpass, warnings\nprint(input('name: '))\nprint('x' * 100000)\nprint(input(), end='')\n", "me\nyou\n"),
    ("python3", PYTHON, "a.py", "print(input())\nprint(input())\n", ""),
    ("python3", PYTHON, "a.py", "import getpass, traceback\ntry: getpass.getpass()\nexcept EOFError: print('sitecustomize' in traceback.format_exc())\n", ""),
    ("python3", PYTHON, "a.py", "import asyncio, sys\nasync def main():\n    reader = asyncio.StreamReader()\n    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)\n    while line := await reader.readline(): print(line)\nasyncio.run(main())\n", "a\nb\n"),
    ("bash", BASH, "a.sh", "od -An -c", INPUT),
    ("bash", BASH, "a.sh", "while IFS= read -r line; do echo \"[$line]\"; done; echo \"rest: $line\"; exit 4", INPUT),
    ("bash", BASH, "a.sh", "read -t 8 -p 'p: ' x; echo \"$x\"; cat | wc -c", INPUT),
    ("bash", BASH, "a.sh", "cat; echo end; false", ""),
    ("bash", BASH, "a.sh", "type -t read; read -r x; echo $x; read -q 2>/dev/null; echo $?", INPUT),
    ("bash", BASH, "a.sh", "ask() { read -p 'p: ' \"$1\"; }; ask x; echo \"$x $LINENO\"", "a\n"),
    ("bash", BASH, "a.sh", "read -rp 'p: ' x; read -s y; read -u 77 -p 'q' z 2>/dev/null; echo \"$x $y $?\"", "a\nb\n"),
    ("perl", PERL, "a.pl", "binmode STDIN; local $/; my $x = <STDIN>; print length $x, \"\\n\"; print $x", INPUT),
    ("perl", PERL, "a.pl", "while (<STDIN>) { print \"$.: $_\" } exit 5;", INPUT),
    ("perl", PERL, "a.pl", "$| = 1; print 'ask: '; my $x = <STDIN>; chomp $x; print \"got $x\\n\"; print eof(STDIN) ? 'end' : 'more'", "x\n"),
    ("perl", PERL, "a.pl", "use IO::Select; my $s = IO::Select->new(\\*STDIN); while ($s->can_read) { sysread(STDIN, my $x, 1) or last; print \"<$x>\" }", "ab\n"),
    ("ruby", RUBY, "a.rb", "p $stdin.binmode.read", INPUT),
    ("ruby", RUBY, "a.rb", "while line = gets do p line end; exit 6", INPUT),
    ("ruby", RUBY, "a.rb", "p IO.select([$stdin]).first.size; p $stdin.readline; p $stdin.gets, $stdin.eof?", "a\n"),
    ("nodejs", NODE, "a.js", "const b = require('fs').readFileSync(0); console.log(b.length, b.toString('latin1'))", INPUT),
    ("nodejs", NODE, "a.js", "const r = require('readline').createInterface({ input: process.stdin }); r.on('line', (l) => console.log(JSON.stringify(l))); r.on('close', () => { console.log('end'); process.exitCode = 7 })", "one\ntwo\n\nlast: é"),
    ("nodejs", NODE, "a.js", "let n = 0; process.stdin.on('data', (d) => n += d.length).on('end', () => console.log(n))", INPUT),
    ("lua", LUA, "a.lua", "local x = io.read('a') print(#x) io.write(x)", INPUT),
    ("lua", LUA, "a.lua", "for line in io.lines() do print('[' .. line .. ']') end os.exit(8)", INPUT),
    ("lua", LUA, "a.lua", "print(io.read('n')) print(io.read('l')) print(io.read())", "12 rest\n"),
    ("php", PHP, "a.php", "<?php echo bin2hex(stream_get_contents(STDIN)), \"\\n\";", INPUT),
    ("php", PHP, "a.php", "<?php while (($line = fgets(STDIN)) !== false) echo json_encode($line), \"\\n\"; exit(9);", INPUT),
    ("php", PHP, "a.php", "<?php fscanf(STDIN, '%d %d', $a, $b); echo $a + $b, \"\\n\"; var_dump(fgets(STDIN));", "3 4\n"),
    ("php", PHP, "a.php", "<?php $r = [STDIN]; $w = $e = []; echo stream_select($r, $w, $e, null), fgets(STDIN), fgets(STDIN);", "a\nb\n"),
    ("r", R, "a.R", "for (line in readLines(file('stdin'), warn = FALSE)) cat('[', line, ']\\n', sep = '')", "one\ntwo\n\nlast: é"),
    ("r", R, "a.R", "x <- scan(file('stdin'), quiet = TRUE); cat(sum(x), '\\n'); quit(status = 11)", "1 2\n3\n"),
    ("r", R, "a.R", "con <- file('stdin', 'r'); cat(readLines(con, 1), '\\n'); cat(length(readLines(con)), '\\n')", "a\nb\nc\n"),
];

/// Standard output and exit code.
type Outcome = (String, Option<i32>);

fn outcome(mut command: Command, input: &str) -> (Outcome, String) {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("it runs");
    let _ = child
        .stdin
        .take()
        .expect("a pipe")
        .write_all(input.as_bytes());
    let output = child.wait_with_output().expect("it ends");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (
        (text(output.stdout), output.status.code()),
        text(output.stderr),
    )
}

/// Runs the rows of a language, and reports all that differ.
#[track_caller]
fn all_are_the_same(language: &str) {
    let rows = || ROWS.iter().filter(|row| row.0 == language);
    assert!(rows().count() >= 3);
    let command = rows().next().expect("a row").1;
    if !need(command[0]) {
        return;
    }
    let gateway = gateway();
    let directory = here();
    let directory = directory.path();
    let mut differences = String::new();
    for (number, (_, _, file, program, input)) in rows().enumerate() {
        fs::write(directory.join(file), program).expect("a file");
        let mut home = Command::new(command[0]);
        home.args(&command[1..]).arg(file).current_dir(directory);
        let (expected, _) = outcome(home, input);
        let snippet = program.strip_prefix("<?php ").unwrap_or(program);
        let tokens = ["snippet", "file"].map(|way| format!("{way}-{language}-{number}"));
        let ways: [&[&str]; 4] = [
            &[language, "-c", snippet],
            &["-t", &tokens[0], language, "-c", snippet],
            &[language, file],
            &["-t", &tokens[1], language, file],
        ];
        for (way, arguments) in ways.iter().enumerate() {
            let at: fn(&Path, &RunningGateway) -> Command = match (way + number) % 2 {
                0 => sorna_at,
                _ => backend_at,
            };
            let mut run = at(directory, &gateway);
            run.args(["run", "-q"]).args(*arguments);
            let (seen, said) = outcome(run, input);
            if seen != expected {
                differences += &format!(
                    "{program}\n  at home: {expected:?}\n  {arguments:?}:\n           {seen:?}\n           {said}\n"
                );
            }
        }
    }
    gateway.stop();
    assert!(differences.is_empty(), "\n{differences}");
}

#[test]
fn python() {
    all_are_the_same("python3");
}

#[test]
fn bash() {
    all_are_the_same("bash");
}

#[test]
fn perl() {
    all_are_the_same("perl");
}

#[test]
fn ruby() {
    all_are_the_same("ruby");
}

#[test]
fn nodejs() {
    all_are_the_same("nodejs");
}

#[test]
fn lua() {
    all_are_the_same("lua");
}

#[test]
fn php() {
    all_are_the_same("php");
}

#[test]
fn r() {
    all_are_the_same("r");
}
