//! Passwords are asked for as on a terminal at home: their prompt is there, nothing of them is seen while they are typed, and
//! what the screen shows then is the same. Each row is run by its language's own command in a terminal, and by `sorna run` in
//! another one: as a snippet, as a file, and as both in a kernel that is kept.

mod support;

use std::path::Path;

use pty_process::blocking::Command;
use sorna_gateway::RunningGateway;
use sorna_test_tools::need;

use support::terminal::Terminal;
use support::{eventually, gateway, here, write};

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
    ("ruby", "system('bash', '-c', 'read -s -p pw: x; echo got $x')"),
    ("ruby", "puts `python3 -c 'import getpass; print(getpass.getpass(\"p: \"))'`"),
    ("ruby", "system('ruby', '-e', 'require \"io/console\"; print \"p: \"; puts STDIN.noecho(&:gets)')"),
    ("perl", "system('stty', '-echo'); $| = 1; print 'p: '; my $x = <STDIN>; system('stty', 'echo'); print \"\\n<$x>\""),
    ("perl", "system('bash', '-c', 'read -s -p pw: x; echo \"<$x>\"'); print \"end\\n\""),
    ("perl", "print `python3 -c 'import getpass; print(getpass.getpass())'`; print \"end\\n\""),
    ("perl", "exec 'bash', '-c', 'read -s -p pw: x; echo; echo \"<$x>\"'"),
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
