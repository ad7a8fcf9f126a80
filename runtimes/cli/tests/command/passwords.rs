//! Passwords are asked for as on a terminal at home: their prompt is there, nothing of them is seen while they are typed, and
//! what the screen shows then is the same. Each row is run by its language's own command in a terminal, and by `sorna run` in
//! another one: as a snippet, as a file, and as both in a kernel that is kept.

use std::path::Path;

use pty_process::blocking::Command;
use sorna_gateway::RunningGateway;
use sorna_test_tools::need;

use crate::support::terminal::Terminal;
use crate::support::{eventually, gateway, here, write};

/// A language, and a program that asks for one password.
type Row = (&'static str, &'static str);

#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("bash", "read -rsp 'p: ' x; echo \"<$x>\""),
    ("bash", "printf 'p: '; stty -echo; read -r x; stty echo; echo; echo \"<$x>\""),
    ("bash", "bash -c 'read -s -p p: x; echo; echo \"<$x>\"'"),
    ("bash", "python3 -c 'import getpass; print(getpass.getpass(\"p: \"))'; echo end"),
    ("bash", "(perl -e 'system \"stty -echo\"; $| = 1; print \"p: \"; print scalar <STDIN>; system \"stty echo\"')"),
    ("python3", "import getpass\nprint(getpass.getpass('p: '))"),
    ("python3", "import os\nos.system('bash -c \"read -s -p p: x; echo; echo \\$x\"')"),
    ("python3", "import subprocess, sys\nsubprocess.run([sys.executable, '-c', 'import getpass; print(getpass.getpass())'])"),
    ("python3", "import subprocess\nsubprocess.run(['ruby', '-rio/console', '-e', 'p $stdin.getpass(\"p: \")'])\nprint('end')"),
    ("python3", "import subprocess\nsubprocess.call('stty -echo', shell=True)\nprint(input('p: '))\nsubprocess.call('stty echo', shell=True)"),
    ("ruby", "require 'io/console'; puts $stdin.getpass('p: ')"),
    ("ruby", "require 'io/console'; print 'p: '; puts $stdin.noecho(&:gets)"),
    ("ruby", "require 'io/console'; print 'p: '; $stdin.echo = false; x = gets; $stdin.echo = true; puts x, $stdin.echo?"),
    ("ruby", "system('bash', '-c', 'read -s -p pw: x; echo got $x')"),
    ("ruby", "puts `python3 -c 'import getpass; print(getpass.getpass(\"p: \"))'`"),
    ("ruby", "system('ruby', '-e', 'require \"io/console\"; print \"p: \"; puts STDIN.noecho(&:gets)')"),
    ("perl", "system('stty', '-echo'); $| = 1; print 'p: '; my $x = <STDIN>; system('stty', 'echo'); print \"\\n<$x>\""),
    ("perl", "system('bash', '-c', 'read -s -p pw: x; echo \"<$x>\"'); print \"end\\n\""),
    ("perl", "print `python3 -c 'import getpass; print(getpass.getpass())'`; print \"end\\n\""),
    ("perl", "exec 'bash', '-c', 'read -s -p pw: x; echo; echo \"<$x>\"'"),
    ("perl", "use POSIX; my $t = POSIX::Termios->new; $t->getattr(0); my $f = $t->getlflag; $t->setlflag($f & ~ECHO); $t->setattr(0, TCSANOW); $| = 1; print 'p: '; my $x = <STDIN>; $t->setlflag($f); $t->setattr(0, TCSANOW); print \"\\n<$x>\""),
    ("perl", "require POSIX; my $t = POSIX::Termios->new; print defined $t->getattr ? 'on' : 'off'; $t->setlflag($t->getlflag & ~POSIX::ECHO()); $t->setattr(0, POSIX::TCSAFLUSH()); print scalar <STDIN>; $t->setlflag($t->getlflag | POSIX::ECHO()); $t->setattr(0)"),
    ("perl", "use POSIX qw(:termios_h); my $t = POSIX::Termios->new; $t->getattr(fileno STDIN); $t->setlflag($t->getlflag & ~(ECHO | ECHOK)); $t->setattr(fileno(STDIN), TCSANOW); system 'read x; echo; echo $x; stty echo'; $t->getattr(0); print $t->getlflag & ECHO ? 1 : 0"),
    ("php", "echo 'p: '; shell_exec('stty -echo'); echo fgets(STDIN); shell_exec('stty echo');"),
    ("php", "passthru('bash -c \"read -s -p p: x; echo got \\$x\"');"),
    ("php", "system('python3 -c \"import getpass; print(getpass.getpass())\"'); echo \"end\\n\";"),
    ("php", "$p = proc_open(['bash', '-c', 'read -s -p pw: x; echo; echo $x'], [STDIN, STDOUT, STDERR], $pipes); proc_close($p);"),
    ("nodejs", "require('child_process').spawnSync('bash', ['-c', 'read -s -p pw: x; echo; echo \"<$x>\"'], { stdio: 'inherit' })"),
    ("nodejs", "require('child_process').execSync('python3 -c \"import getpass; print(getpass.getpass())\"', { stdio: 'inherit' })"),
    ("nodejs", "require('child_process').spawn('ruby', ['-rio/console', '-e', 'puts $stdin.getpass(\"p: \")'], { stdio: 'inherit' }).on('exit', (c) => console.log('code ' + c))"),
    ("lua", "os.execute(\"bash -c 'read -s -p pw: x; echo; echo $x'\")"),
    ("lua", "os.execute('python3 -c \"import getpass; print(getpass.getpass())\"') print('end')"),
    ("lua", "io.write('p: ') io.flush() os.execute('stty -echo') local x = io.read() os.execute('stty echo') print('\\n' .. x)"),
    ("r", "invisible(system(\"bash -c 'read -s -p pw: x; echo; echo $x'\"))"),
    ("r", "invisible(system2('python3', c('-c', shQuote('import getpass; print(getpass.getpass())')))); cat('end\\n')"),
    ("r", "invisible(system('stty -echo; printf p:; read x; stty echo; echo; echo $x'))"),
];

/// The command of a language, its option for code, and the name of a file.
fn command(language: &str) -> (&'static str, &'static str, &'static str) {
    match language {
        "bash" => ("bash", "-c", "a.sh"),
        "python3" => ("python3", "-c", "a.py"),
        "ruby" => ("ruby", "-e", "a.rb"),
        "perl" => ("perl", "-e", "a.pl"),
        "php" => ("php", "-r", "a.php"),
        "nodejs" => ("node", "-e", "a.js"),
        "lua" => ("lua", "-e", "a.lua"),
        "r" => ("Rscript", "-e", "a.R"),
        other => panic!("{other} is not known here"),
    }
}

/// All that a terminal shows of this, if a password is typed as soon as nothing of it would be seen.
#[track_caller]
fn screen(mut terminal: Terminal, what: &str) -> String {
    eventually(&format!("a hidden question of {what}"), || {
        let ended = !terminal.is_running();
        ended || !terminal.shows_typing()
    });
    terminal.types("secret\n");
    terminal.ends();
    let _ = terminal.rest();
    terminal.transcript().replace('\r', "")
}

#[track_caller]
fn compare(language: &str) {
    let (tool, option, file) = command(language);
    let all = [tool, "bash", "python3", "perl", "ruby"];
    if !all.into_iter().all(need) {
        return;
    }
    let rows = ROWS.iter().filter(|(other, _)| *other == language);
    let gateway: RunningGateway = gateway();
    let directory = here();
    let here: &Path = directory.path();
    let mut differences = String::new();
    for (_, program) in rows {
        let home = Command::new(tool).args([option, program]);
        let home = screen(Terminal::of(home, here, None, 90, &[]), program);
        let start = if language == "php" { "<?php " } else { "" };
        write(here, &[(file, &format!("{start}{program}\n"))]);
        let kept = format!("passwords-{language}");
        for way in [
            &["-c", *program] as &[&str],
            &[file],
            &["-t", &kept, "-c", program],
            &["-t", &kept, file],
        ] {
            let (kernel, code) = way.split_at(if way[0] == "-t" { 2 } else { 0 });
            let arguments = [&["run", "-q"], kernel, &[language], code].concat();
            let there = Terminal::open(here, Some(&gateway), 90, &[], &arguments);
            let there = screen(there, &format!("{arguments:?}"));
            if there != home {
                differences +=
                    &format!("{arguments:?}\n  at home: {home:?}\n  there:   {there:?}\n");
            }
        }
    }
    assert!(differences.is_empty(), "\n{differences}");
}

#[test]
fn bash_asks_for_passwords_as_at_home() {
    compare("bash");
}

#[test]
fn python3_asks_for_passwords_as_at_home() {
    compare("python3");
}

#[test]
fn ruby_asks_for_passwords_as_at_home() {
    compare("ruby");
}

#[test]
fn perl_asks_for_passwords_as_at_home() {
    compare("perl");
}

#[test]
fn php_asks_for_passwords_as_at_home() {
    compare("php");
}

#[test]
fn nodejs_asks_for_passwords_as_at_home() {
    compare("nodejs");
}

#[test]
fn lua_asks_for_passwords_as_at_home() {
    compare("lua");
}

#[test]
fn r_asks_for_passwords_as_at_home() {
    compare("r");
}

/// A way to run a C program in a directory, and its files.
type CRow = (
    &'static [&'static str],
    &'static [(&'static str, &'static str)],
);

#[rustfmt::skip]
const C_ROWS: &[CRow] = &[
    (&["c", "a.c"], &[("a.c", "#include <stdio.h>\n#include <unistd.h>\nint main(void) { printf(\"<%s>\\n\", getpass(\"p: \")); }\n")]),
    (&["cpp", "a.cpp"], &[("a.cpp", "#include <iostream>\n#include <unistd.h>\nstruct S { char *getpass(const char *p) { return ::getpass(p); } };\nint main() { S s; std::cout << s.getpass(\"p: \") << std::endl; }\n")]),
    (&["c", "-b", "make", "-e", "./a", "Makefile", "a.c"], &[("Makefile", "a: a.c\n\t@$(CC) -O2 -Wall -Werror -o $@ $<\n"), ("a.c", "#include <unistd.h>\n#include <stdio.h>\nint main(void) { char *(*ask)(const char *) = getpass; puts(getpass(\"one: \")); return ask == 0; }\n")]),
];

#[test]
fn c_asks_for_passwords_as_at_home() {
    if !["cc", "c++", "make"].into_iter().all(need) {
        return;
    }
    let gateway = gateway();
    for (arguments, files) in C_ROWS {
        let directory = here();
        let here: &Path = directory.path();
        write(here, files);
        let (file, _) = files.last().expect("a file");
        let compiler = if file.ends_with(".c") { "cc" } else { "c++" };
        let built = std::process::Command::new(compiler)
            .args(["-o", "program", file])
            .current_dir(here)
            .status();
        assert!(built.expect("a compiler").success());
        let home = Command::new(here.join("program"));
        let home = screen(Terminal::of(home, here, None, 90, &[]), file);
        let arguments = [&["run", "-q"], *arguments].concat();
        let there = Terminal::open(here, Some(&gateway), 90, &[], &arguments);
        assert_eq!(screen(there, file), home, "{arguments:?}");
    }
}
