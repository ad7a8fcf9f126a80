//! What `sorna run` runs: one file of any name, directories, arguments of programs, and code from standard input.

use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use sorna_test_tools::need;

use crate::support::{here, sorna, write};

struct Ran {
    stdout: String,
    stderr: String,
    code: Option<i32>,
}

/// `sorna run --local -q` with this standard input.
fn run(directory: &Path, stdin: &str, arguments: &[&str]) -> Ran {
    let mut command = sorna(directory);
    command.args(["run", "--local", "-q"]).args(arguments);
    let mut child = command.stdin(Stdio::piped()).spawn().expect("sorna runs");
    // A command that reads nothing closes the pipe.
    let _ = child
        .stdin
        .take()
        .expect("a pipe")
        .write_all(stdin.as_bytes());
    let output = child.wait_with_output().expect("it ends");
    Ran {
        stdout: String::from_utf8(output.stdout).expect("text"),
        stderr: String::from_utf8(output.stderr).expect("text"),
        code: output.status.code(),
    }
}

#[track_caller]
fn prints(directory: &Path, arguments: &[&str], expected: &str) {
    let ran = run(directory, "", arguments);
    assert_eq!(ran.stdout, expected, "{arguments:?}: {}", ran.stderr);
    assert_eq!(ran.code, Some(0), "{arguments:?}: {}", ran.stderr);
}

const ARGUMENTS: [&str; 6] = ["one", "two  three", "", "it's", "-x", "$HOME"];

#[test]
fn one_file_of_any_name_runs_with_arguments_in_every_language() {
    let directory = here();
    for (tool, lang, file, code) in [
        (
            "python3",
            "python3",
            "args.py",
            "import sys\nprint('|'.join(sys.argv[1:]))\n",
        ),
        ("bash", "bash", "args.bash", "IFS='|'; echo \"$*\"\n"),
        (
            "perl",
            "perl",
            "args.pl",
            "print join('|', @ARGV), \"\\n\";\n",
        ),
        ("ruby", "ruby", "args.rb", "puts ARGV.join('|')\n"),
        (
            "node",
            "nodejs",
            "args.js",
            "console.log(process.argv.slice(2).join('|'))\n",
        ),
        ("lua", "lua", "args.lua", "print(table.concat(arg, '|'))\n"),
        (
            "php",
            "php",
            "args.php",
            "<?php echo implode('|', array_slice($argv, 1)), \"\\n\";\n",
        ),
        (
            "gcc",
            "c",
            "args.c",
            "#include <stdio.h>\nint main(int c, char **v) { for (int i = 1; i < c; i++) printf(i > 1 ? \"|%s\" : \"%s\", v[i]); puts(\"\"); }\n",
        ),
        (
            "g++",
            "cpp",
            "args.cpp",
            "#include <iostream>\nint main(int c, char **v) { for (int i = 1; i < c; i++) std::cout << (i > 1 ? \"|\" : \"\") << v[i]; std::cout << \"\\n\"; }\n",
        ),
        (
            "rustc",
            "rust",
            "args.rs",
            "fn main() { println!(\"{}\", std::env::args().skip(1).collect::<Vec<_>>().join(\"|\")); }\n",
        ),
        (
            "go",
            "go",
            "args.go",
            "package main\nimport (\"fmt\"; \"os\"; \"strings\")\nfunc main() { fmt.Println(strings.Join(os.Args[1:], \"|\")) }\n",
        ),
        (
            "javac",
            "java",
            "Args.java",
            "public class Args { public static void main(String[] a) { System.out.println(String.join(\"|\", a)); } }\n",
        ),
        (
            "R",
            "r",
            "args.R",
            "cat(paste(commandArgs(TRUE), collapse = '|'), '\\n', sep = '')\n",
        ),
    ] {
        if !need(tool) {
            continue;
        }
        write(directory.path(), &[(file, code)]);
        prints(directory.path(), &[lang, file], "\n");
        let arguments = [&[lang, file, "--"][..], &ARGUMENTS].concat();
        prints(
            directory.path(),
            &arguments,
            "one|two  three||it's|-x|$HOME\n",
        );
    }
}

#[test]
fn a_file_runs_whose_name_does_not_say_what_it_is() {
    let directory = here();
    let c = "#include <stdio.h>\nint main(void) { return puts(\"42\") < 0; }\n";
    let java = "public class Hello { public static void main(String[] a) { System.out.println(42 + a.length); } }\n";
    for (tool, lang, file, code) in [
        ("gcc", "c", "program", c),
        ("gcc", "c", "a b.txt", c),
        ("g++", "cpp", "program", c),
        ("g++", "cpp", "main.C", c),
        ("g++", "cpp", "main.cp", c),
        (
            "rustc",
            "rust",
            "my program",
            "fn main() { println!(\"42\"); }\n",
        ),
        (
            "rustc",
            "rust",
            "program",
            "fn main() { println!(\"42\"); }\n",
        ),
        ("javac", "java", "other.java", java),
        ("javac", "java", "Main.java", java),
    ] {
        if !need(tool) {
            continue;
        }
        write(directory.path(), &[(file, code)]);
        prints(directory.path(), &[lang, file], "42\n");
    }
    if need("javac") {
        prints(
            directory.path(),
            &["java", "other.java", "--", "one"],
            "43\n",
        );
    }
}

#[test]
fn a_directory_runs_as_its_program() {
    let directory = here();
    write(
        directory.path(),
        &[
            (
                "proj/main.py",
                "import sys, lib\nprint(lib.x, sys.argv[1:])\n",
            ),
            ("proj/lib.py", "x = 6\n"),
            ("pack/__main__.py", "print('pack')\n"),
            ("one/tool.py", "print('tool')\n"),
            ("one/data.csv", "1,2\n"),
            ("app/index.js", "console.log(require('./lib').x)\n"),
            ("app/lib.js", "exports.x = 7\n"),
            ("named/package.json", r#"{"main": "./lib/start"}"#),
            (
                "named/lib/start.js",
                "console.log('start', process.argv[2])\n",
            ),
            ("named/index.js", "console.log('not this')\n"),
            ("plain/package.json", r#"{"name": "plain"}"#),
            ("plain/index.js", "console.log('index')\n"),
            ("two/a.py", ""),
            ("two/b.py", ""),
        ],
    );
    prints(directory.path(), &["python3", "proj"], "6 []\n");
    prints(
        directory.path(),
        &["python3", "proj/", "--", "a b"],
        "6 ['a b']\n",
    );
    prints(directory.path(), &["python3", "pack"], "pack\n");
    prints(directory.path(), &["python3", "one"], "tool\n");
    if need("node") {
        prints(directory.path(), &["nodejs", "app"], "7\n");
        let named = ["nodejs", "named", "--", "x"];
        prints(directory.path(), &named, "start x\n");
        prints(directory.path(), &["nodejs", "plain"], "index\n");
    }
    let ran = run(directory.path(), "", &["python3", "two"]);
    assert_ne!(ran.code, Some(0));
    let advice = "Choose one with -e 'python3 two/a.py'.";
    assert!(ran.stderr.contains(advice), "{}", ran.stderr);
    let ran = run(directory.path(), "", &["python3", "two", "--", "x"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains(advice), "{}", ran.stderr);
}

#[test]
fn directories_of_compiled_languages_run_as_their_program() {
    let directory = here();
    write(
        directory.path(),
        &[
            (
                "j/src/a/b/App.java",
                "package a.b;\nclass App { public static void main(String[] a) { System.out.println(Util.x()); } }\n",
            ),
            (
                "j/src/a/b/Util.java",
                "package a.b;\nclass Util { static int x() { return 4; } }\n",
            ),
            (
                "j/lower.java",
                "class Odd { public static void main(String... a) { System.out.println(\"odd\"); } }\n",
            ),
            (
                "j/m/Main.java",
                "public class Main { public static void main(String[] a) { System.out.println(\"main\" + a.length); } }\n",
            ),
            (
                "r/src/prog.rs",
                "mod helper;\nfn main() { println!(\"{}\", helper::x()); }\n",
            ),
            ("r/src/helper.rs", "pub fn x() -> i32 { 5 }\n"),
            (
                "r/pack/Cargo.toml",
                "[package]\nname = \"pack\"\nversion = \"0.1.0\"\nedition = \"2021\"\n",
            ),
            (
                "r/pack/src/main.rs",
                "fn main() { println!(\"{:?}\", std::env::args().skip(1).collect::<Vec<_>>()); }\n",
            ),
            (
                "g/plain/a.go",
                "package main\nimport \"fmt\"\nfunc main() { fmt.Println(f()) }\n",
            ),
            ("g/plain/b.go", "package main\nfunc f() int { return 3 }\n"),
            ("g/module/go.mod", "module x\ngo 1.19\n"),
            ("g/module/a.go", "package main\nfunc main() { println() }\n"),
        ],
    );
    let below = |name: &str| directory.path().join(name);
    if need("javac") {
        prints(&below("j"), &["java", "src"], "4\n");
        prints(&below("j"), &["java", "lower.java"], "odd\n");
        prints(&below("j"), &["java", "m"], "main0\n");
        prints(&below("j"), &["java", "m", "--", "a b", "c"], "main2\n");
        let ran = run(&below("j"), "", &["java", "."]);
        assert_eq!(ran.code, Some(1));
        let message = "several files have a main method, and none is Main.java: lower.java m/Main.java src/a/b/App.java";
        assert!(ran.stderr.contains(message), "{}", ran.stderr);
    }
    if need("rustc") {
        prints(&below("r"), &["rust", "src"], "5\n");
        prints(&below("r"), &["rust", "pack", "--", "a b"], "[\"a b\"]\n");
    }
    if need("go") {
        prints(&below("g"), &["go", "plain"], "3\n");
        prints(&below("g"), &["go", "module"], "");
    }
}

#[test]
fn standard_input_is_the_code_where_nothing_else_is() {
    let directory = here();
    for (arguments, code, expected) in [
        (&["python3"][..], "print(5)", "5\n"),
        (&["python3", "-"], "print(6)\n", "6\n"),
        (&["bash"], "echo $((3 + 4))", "7\n"),
        (&["perl"], "print 8", "8"),
        (&["python3"], "", ""),
    ] {
        let ran = run(directory.path(), code, arguments);
        assert_eq!(
            (ran.stdout.as_str(), ran.code),
            (expected, Some(0)),
            "{}",
            ran.stderr
        );
    }
    let code = "import sys; print(sys.argv)";
    let ran = run(directory.path(), code, &["python3", "-", "--", "x"]);
    assert_eq!(ran.stdout, "['-', 'x']\n", "{}", ran.stderr);
}

#[test]
fn a_forgotten_separator_is_pointed_out() {
    let directory = here();
    write(directory.path(), &[("args.py", "print(1)\n")]);
    let ran = run(
        directory.path(),
        "",
        &["python3", "args.py", "one", "two words"],
    );
    assert_eq!(ran.code, Some(2));
    let advice =
        "Put arguments of the program after `--`: sorna run python3 args.py -- one 'two words'";
    assert!(ran.stderr.contains(advice), "{}", ran.stderr);
    // Where the first file is missing, that is all there is to say.
    let ran = run(directory.path(), "", &["python3", "missing.py", "one"]);
    assert!(!ran.stderr.contains("after `--`"), "{}", ran.stderr);
}
