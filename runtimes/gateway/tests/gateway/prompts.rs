//! Prompts are shown and passwords hidden without a terminal, in snippets and in files.

use crate::common::{Client, Outcome, gateway};
use sorna_core::{Batch, KernelId, Restart};
use sorna_test_tools::need;

/// A language and its tool, a program, whether what is typed for it is hidden, and what it prints before it asks, and after
/// it has read `line`.
type Row = (
    (&'static str, &'static str),
    &'static str,
    bool,
    &'static str,
    &'static str,
);

const PYTHON: (&str, &str) = ("python3", "python3");
const BASH: (&str, &str) = ("bash", "bash");
const PERL: (&str, &str) = ("perl", "perl");
const RUBY: (&str, &str) = ("ruby", "ruby");
const NODE: (&str, &str) = ("nodejs", "node");
const PHP: (&str, &str) = ("php", "php");
const LUA: (&str, &str) = ("lua", "lua");

#[rustfmt::skip]
const ROWS: &[Row] = &[
    (PYTHON, "print('<%s>' % input('p: '))", false, "p: ", "<line>\n"),
    (PYTHON, "import readline\nprint('<%s>' % input('p: '))", false, "p: ", "<line>\n"),
    (PYTHON, "import sys\nprint('p', end=': ', flush=True)\nprint('<%s>' % sys.stdin.readline().strip())", false, "p: ", "<line>\n"),
    (PYTHON, "import getpass\nprint('<%s>' % getpass.getpass('p: '))", true, "p: ", "<line>\n"),
    (PYTHON, "from getpass import getpass\nprint('<%s>' % getpass())", true, "Password: ", "<line>\n"),
    (PYTHON, "import os\nos.system('stty -echo')\nprint('<%s>' % input('p: '))\nos.system('stty echo')", true, "p: ", "<line>\n"),
    (BASH, "read -p \"p: \" x; echo \"<$x>\"", false, "p: ", "<line>\n"),
    (BASH, "read -t 8 -p \"p: \" x; echo \"<$x>\"", false, "p: ", "<line>\n"),
    (BASH, "read -rsp \"p: \" x; echo \"<$x>\"", true, "p: ", "<line>\n"),
    (BASH, "set -eu; f() { local x; IFS= read -r -t 9 -s -p \"p: \" x; echo \"<$x>\"; }; f", true, "p: ", "<line>\n"),
    (BASH, "printf \"p: \"; old=$(stty -g); stty -echo; read x; stty \"$old\"; echo \"<$x>\"", true, "p: ", "<line>\n"),
    (BASH, "read -n 2 -p \"p: \" x; echo \"<$x>\"; IFS=: read -a y <<< \"1:2\"; echo \"${y[1]}\"", false, "p: ", "<li>\n2\n"),
    (PERL, "print 'p: '; my $x = <STDIN>; chomp $x; print \"<$x>\\n\"", false, "p: ", "<line>\n"),
    (PERL, "use Term::ReadLine; my $t = Term::ReadLine->new('x'); my $x = $t->readline('p: '); print \"<$x>\\n\"", false, "p: ", "<line>\n"),
    (PERL, "use Term::ReadLine; my $t = Term::ReadLine->new('x', \\*STDIN, \\*STDOUT); $t->ornaments(0); my $x = $t->readline('p: '); print \"<$x>\\n\"", false, "p: ", "<line>\n"),
    (PERL, "$| = 1; print 'p: '; system('stty', '-echo'); my $x = <STDIN>; system('stty', 'echo'); chomp $x; print \"<$x>\\n\"", true, "p: ", "<line>\n"),
    (PERL, "my $m = `stty -g`; `stty -echo`; print 'p: '; my $x = <STDIN>; system(\"stty $m\"); chomp $x; print \"<$x>\\n\"", true, "p: ", "<line>\n"),
    (RUBY, "print 'p: '; puts \"<#{gets.chomp}>\"", false, "p: ", "<line>\n"),
    (RUBY, "require 'readline'; puts \"<#{Readline.readline('p: ', true)}>\"", false, "p: ", "<line>\n"),
    (RUBY, "require 'reline'; puts \"<#{Reline.readline('p: ')}>\"", false, "p: ", "<line>\n"),
    (RUBY, "require 'io/console'; puts \"<#{$stdin.getpass('p: ')}>\"", true, "p: ", "<line>\n"),
    (RUBY, "require 'io/console'; print 'p: '; puts \"<#{STDIN.noecho(&:gets).chomp}>\"", true, "p: ", "<line>\n"),
    (RUBY, "print 'p: '; system('stty -echo'); x = gets.chomp; system('stty echo'); puts \"<#{x}>\"", true, "p: ", "<line>\n"),
    (NODE, "{ const rl = require('readline').createInterface({ input: process.stdin, output: process.stdout });\nrl.question('p: ', n => { console.log(`<${n}>`); rl.close(); }); }", false, "p: ", "<line>\n"),
    (NODE, "{ const rl = require('readline/promises').createInterface({ input: process.stdin, output: process.stdout });\nrl.question('p: ').then(n => { console.log(`<${n}>`); rl.close(); }); }", false, "p: ", "<line>\n"),
    (NODE, "process.stdout.write('p: '); process.stdin.once('data', d => { console.log(`<${String(d).trim()}>`); process.stdin.pause(); });", false, "p: ", "<line>\n"),
    (NODE, "{ const rl = require('readline').createInterface({ input: process.stdin, output: process.stdout });\nrl.stdoutMuted = true; rl.question('p: ', n => { console.log(`<${n}>`); rl.close(); });\nrl._writeToOutput = t => { if (!rl.stdoutMuted) rl.output.write(t); }; }", true, "p: ", "<line>\n"),
    (NODE, "{ const rl = require('readline').createInterface({ input: process.stdin, output: process.stdout });\nprocess.stdout.write('p: '); rl._writeToOutput = () => {}; rl.question('', n => { console.log(`<${n}>`); rl.close(); }); }", true, "p: ", "<line>\n"),
    (NODE, "{ const { Writable } = require('stream'); const output = new Writable({ write(chunk, encoding, done) { if (!this.muted) process.stdout.write(chunk, encoding); done(); } });\noutput.muted = false; const rl = require('readline').createInterface({ input: process.stdin, output });\nrl.question('p: ', n => { console.log(`<${n}>`); rl.close(); }); output.muted = true; }", true, "p: ", "<line>\n"),
    (PHP, "$x = readline('p: '); echo \"<$x>\\n\";", false, "p: ", "<line>\n"),
    (PHP, "echo 'p: '; echo '<' . trim(fgets(STDIN)) . \">\\n\";", false, "p: ", "<line>\n"),
    (PHP, "readline_add_history('x'); $x = readline('p: '); echo \"<$x>\\n\";", false, "p: ", "<line>\n"),
    (PHP, "echo 'p: '; system('stty -echo'); $x = trim(fgets(STDIN)); system('stty echo'); echo \"<$x>\\n\";", true, "p: ", "<line>\n"),
    (PHP, "$m = shell_exec('stty -g'); shell_exec('stty -echo'); $x = readline('p: '); shell_exec(\"stty $m\"); echo \"<$x>\\n\";", true, "p: ", "<line>\n"),
    (LUA, "io.write('p: '); print('<' .. io.read() .. '>')", false, "p: ", "<line>\n"),
    (LUA, "io.write('p: '); io.stdout:flush(); for l in io.lines() do print('<' .. l .. '>') break end", false, "p: ", "<line>\n"),
    (LUA, "io.write('p: '); os.execute('stty -echo'); local x = io.read(); os.execute('stty echo'); print('<' .. x .. '>')", true, "p: ", "<line>\n"),
];

#[test]
fn snippets_show_prompts_and_hide_passwords() {
    all(|client, kernel, _, program| client.run(kernel, program));
}

#[test]
fn files_show_prompts_and_hide_passwords() {
    all(|client, kernel, tool, program| {
        let start = if tool == "php" { "<?php " } else { "" };
        let program = format!("{start}{program}");
        client
            .upload(kernel, &[("program", program.as_bytes())])
            .unwrap();
        let batch = Batch::new().with_exec(format!("{tool} program"));
        client.batch(kernel, batch).1
    });
}

#[test]
fn r_reads_lines_without_a_word_about_its_input() {
    if !need("R") {
        return;
    }
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("r");
    let quiet = |text: &str| (text.to_owned(), String::new());
    for (code, answer, printed) in [
        (
            "x <- readline('p: '); cat('<', x, '>\\n', sep = '')",
            "line",
            "<line>\n",
        ),
        // As with `printf line`, which has no line end.
        (
            "cat('p: '); cat('<', readline(), '>\\n', sep = '')",
            "line\u{4}",
            "<line>\n",
        ),
        (
            "f <- function() readline('p: '); nchar(f())",
            "\u{4}",
            "[1] 0\n",
        ),
        (
            "cat('p: '); readLines(stdin(), 1)",
            "line",
            "[1] \"line\"\n",
        ),
        (
            "cat('p: '); readLines(n = 1L)",
            "line\u{4}",
            "[1] \"line\"\n",
        ),
        (
            "cat('p: '); readLines('stdin', 1)",
            "line",
            "[1] \"line\"\n",
        ),
    ] {
        let asked = client.run(&kernel, code);
        assert_eq!(
            (asked.asks(), &*asked.stdout),
            (Some(false), "p: "),
            "{code}"
        );
        let mut answered = client.input(&kernel, answer);
        if answered.asks().is_some() {
            answered = client.input(&kernel, "\u{4}");
        }
        assert_eq!(answered.finished(), quiet(printed), "{code}");
    }
    // In files, as at home: no one is asked.
    for (program, printed) in [
        (
            "x <- readline('p: '); cat('<', x, '>\\n', sep = '')",
            "p: \n<>\n",
        ),
        ("cat(nchar(readline()), '\\n')", "\n0 \n"),
        (
            "f <- function() readline('a'); f(); invisible(f())",
            "a\n[1] \"\"\na\n",
        ),
    ] {
        client
            .upload(&kernel, &[("main.R", program.as_bytes())])
            .unwrap();
        let batch = Batch::new().with_exec("*".to_owned());
        assert_eq!(
            client.batch(&kernel, batch).1.finished(),
            quiet(printed),
            "{program}"
        );
    }
}

#[track_caller]
fn all(run: impl Fn(&Client, &KernelId, &str, &str) -> Outcome) {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let mut wrong = String::new();
    let mut kernels: Vec<(&str, KernelId)> = Vec::new();
    for ((language, tool), program, hidden, before, after) in ROWS {
        if !need(tool) {
            continue;
        }
        let kernel = match kernels.iter().find(|(other, _)| other == language) {
            Some((_, kernel)) => kernel.clone(),
            None => {
                kernels.push((language, client.create(language)));
                kernels[kernels.len() - 1].1.clone()
            }
        };
        let asked = run(&client, &kernel, tool, program);
        let output = asked.stdout.clone() + &asked.stderr;
        if (asked.asks(), &*output) != (Some(*hidden), *before) {
            wrong += &format!("{program}: {:?}, {output:?}\n", asked.asks());
        }
        let answered = client.input(&kernel, "line");
        let outputs = (answered.asks(), &*answered.stdout, &*answered.stderr);
        if outputs != (None, *after, "") {
            wrong += &format!("{program}: {outputs:?} after the answer\n");
            client.call(&Restart::new(kernel.clone())).unwrap();
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}
