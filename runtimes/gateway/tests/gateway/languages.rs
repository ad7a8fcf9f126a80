//! What all languages have in common, as one table, over a real socket.

use crate::common::{Client, PATIENCE, gateway, gateway_with};
use sorna_core::{Batch, CreateKernel, ExecutionStatus, SessionToken};
use sorna_test_tools::{need, need_one_of};

struct Case {
    /// The names under which kernels are created.
    names: &'static [&'static str],
    /// Required programs: one of each group.
    tools: &'static [&'static [&'static str]],
    /// Prints `hé😀` and a line end on stdout, and `err` and a line end on stderr.
    hello: &'static str,
    /// Two snippets; the second prints `42` by using what the first has set. Empty: no state is kept.
    state: &'static [&'static str; 2],
    /// Fails with this text on stderr and this exit code.
    failure: (&'static str, &'static str, i64),
    /// Code that cannot be compiled, and a text about it on stderr.
    nonsense: (&'static str, &'static str),
    /// Prints `name? `, reads a line and prints it in `<…>`.
    asks: &'static str,
    /// Ends with exit code 3.
    exit: &'static str,
    /// Files, with which the default batch prints `batch` and ends with exit code 4.
    batch: &'static [(&'static str, &'static str)],
    /// Whether that batch has a build.
    builds: bool,
}

const NO_STATE: &[&str; 2] = &["", ""];

const CASES: &[Case] = &[
    Case {
        names: &["perl", "perl5"],
        tools: &[&["perl"]],
        hello: "print \"hé😀\\n\"; print STDERR \"err\\n\";",
        state: &[
            "use strict; my $x = 40; my @l = (1, 1); sub f { $x + $_[0] }",
            "print f(scalar @l), \"\\n\"; # comment",
        ],
        failure: ("print 'a';\ndie 'broken'", "broken at -e line 2.", 255),
        nonsense: ("my $y = ;", "syntax error at -e line 1"),
        asks: "print 'name? '; my $n = <STDIN>; chomp $n; print \"<$n>\\n\";",
        exit: "exit 3",
        batch: &[("main.pl", "print \"batch\\n\"; exit 4;")],
        builds: false,
    },
    Case {
        names: &["ruby"],
        tools: &[&["ruby"]],
        hello: "puts 'hé😀'; warn 'err'",
        state: &["x = 40\ndef f(a) = a + 2", "puts f(x)"],
        failure: ("q = 1\nraise 'broken'", "-e:2:in `<main>': broken", 1),
        nonsense: ("def (", "syntax error"),
        asks: "print 'name? '; n = gets.chomp; puts \"<#{n}>\"",
        exit: "exit 3",
        batch: &[("main.rb", "puts 'batch'; exit 4")],
        builds: false,
    },
    Case {
        names: &["nodejs", "node", "nodejs6", "nodejs8", "javascript"],
        tools: &[&["node", "nodejs"]],
        hello: "console.log('hé😀'); console.error('err')",
        state: &[
            "let x = 40; const g = 1; class A {}; async function f(a) { return a + 2 }",
            "const g = await f(x); setTimeout(() => console.log(g), 20)",
        ],
        failure: ("let q = 1;\nthrow new Error('broken')", "Error: broken", 1),
        nonsense: ("let = = 1", "SyntaxError"),
        asks: "process.stdout.write('name? ');\
            { const fs = require('fs'); const b = Buffer.alloc(100); const n = fs.readSync(0, b);\
            console.log(`<${b.toString('utf8', 0, n).trim()}>`) }",
        exit: "process.exit(3)",
        batch: &[("main.js", "console.log('batch'); process.exitCode = 4")],
        builds: false,
    },
    Case {
        names: &["lua", "lua5"],
        tools: &[&["lua", "lua5.4", "lua5.3", "luajit"]],
        hello: "print('hé😀') io.stderr:write('err\\n')",
        state: &["x = 40\nfunction f(a) return a + 2 end", "print(f(x))"],
        failure: ("q = 1\nerror('broken')", "lua: snippet:2: broken\n", 1),
        nonsense: ("x = = 1", "lua: snippet:1: unexpected symbol"),
        asks: "io.write('name? ') local n = io.read() print('<' .. n .. '>')",
        exit: "os.exit(3)",
        batch: &[("main.lua", "print('batch') os.exit(4)")],
        builds: false,
    },
    Case {
        names: &["php", "php8"],
        tools: &[&["php"]],
        hello: "<?php echo \"hé😀\\n\"; fwrite(STDERR, \"err\\n\");",
        state: &[
            "$x = 40; function f($a) { return $a + 2; }",
            "echo f($x), \"\\n\";",
        ],
        failure: (
            "$q = 1;\nthrow new Exception('broken');",
            "Uncaught Exception: broken in snippet:2\n",
            255,
        ),
        nonsense: ("$x = ;", "syntax error"),
        asks: "echo 'name? '; $n = trim(fgets(STDIN)); echo \"<$n>\\n\";",
        exit: "exit(3);",
        batch: &[("main.php", "<?php echo \"batch\\n\"; exit(4);")],
        builds: false,
    },
    Case {
        names: &["r", "R"],
        tools: &[&["R"]],
        hello: "cat('hé😀\\n'); message('err')",
        state: &[
            "x <- 40; f <- function(a) a + 2",
            "y <- f(x); cat(y); invisible(1); cat('\\n')",
        ],
        failure: ("q <- 1\nstop('broken')", "Error: broken\n", 1),
        nonsense: ("x <- )", "unexpected ')'"),
        asks: "n <- readline('name? '); cat('<', n, '>\\n', sep = '')",
        exit: "quit('no', 3)",
        batch: &[("main.R", "cat('batch\\n'); quit('no', 4)")],
        builds: false,
    },
    Case {
        names: &["cpp", "c++", "cpp17", "g++"],
        tools: &[&["g++", "c++", "clang++"]],
        hello: "#include <iostream>\nint main() { std::cout << \"hé😀\\n\"; std::cerr << \"err\\n\"; }",
        state: NO_STATE,
        failure: (
            "#include <cstdlib>\nint main() { std::abort(); }",
            "Aborted\n",
            134,
        ),
        nonsense: ("int main() { return x; }", "input.cpp:1"),
        asks: "#include <iostream>\n#include <string>\n\
            int main() { std::string n; std::cout << \"name? \"; std::cin >> n;\
            std::cout << '<' << n << \">\\n\"; }",
        exit: "int main() { return 3; }",
        batch: &[
            (
                "main.cpp",
                "#include <iostream>\n#include \"lib/l.h\"\nint main() { std::cout << \"batch\\n\"; return four(); }",
            ),
            ("lib/l.h", "int four();\n"),
            ("lib/l.cc", "int four() { return 4; }\n"),
        ],
        builds: true,
    },
    Case {
        names: &["rust", "rs"],
        tools: &[&["rustc"], &["cc", "gcc"]],
        hello: "println!(\"hé😀\");\neprintln!(\"err\");",
        state: NO_STATE,
        failure: ("fn main() {\npanic!(\"broken\") }", "broken", 101),
        nonsense: ("let x: u8 = \"\";", "input.rs:1"),
        asks: "use std::io::Write; print!(\"name? \"); std::io::stdout().flush().unwrap();\
            let mut n = String::new(); std::io::stdin().read_line(&mut n).unwrap();\
            println!(\"<{}>\", n.trim());",
        exit: "std::process::exit(3)",
        batch: &[(
            "main.rs",
            "fn main() { println!(\"batch\"); std::process::exit(4) }",
        )],
        builds: true,
    },
    Case {
        names: &["go", "golang"],
        tools: &[&["go"]],
        hello: "package main\nimport (\"fmt\"; \"os\")\n\
            func main() { fmt.Println(\"hé😀\"); fmt.Fprintln(os.Stderr, \"err\") }",
        state: NO_STATE,
        failure: (
            "package main\nfunc main() { panic(\"broken\") }",
            "broken",
            2,
        ),
        nonsense: ("package main\nfunc main() { x }", "input.go:2"),
        asks: "package main\nimport \"fmt\"\n\
            func main() { var n string; fmt.Print(\"name? \"); fmt.Scanln(&n); fmt.Printf(\"<%s>\\n\", n) }",
        exit: "package main\nimport \"os\"\nfunc main() { os.Exit(3) }",
        batch: &[(
            "main.go",
            "package main\nimport (\"fmt\"; \"os\")\nfunc main() { fmt.Println(\"batch\"); os.Exit(4) }",
        )],
        builds: true,
    },
    Case {
        names: &["java", "openjdk:17"],
        tools: &[&["javac"]],
        hello: "class Main { public static void main(String[] a) {\
            System.out.println(\"hé😀\"); System.err.println(\"err\"); } }",
        state: NO_STATE,
        failure: (
            "class Main { public static void main(String[] a) { throw new RuntimeException(\"broken\"); } }",
            "broken",
            1,
        ),
        nonsense: ("class Main { int x = ; }", "Main.java:1"),
        asks: "class Main { public static void main(String[] a) { System.out.print(\"name? \");\
            System.out.println(\"<\" + new java.util.Scanner(System.in).nextLine() + \">\"); } }",
        exit: "class Main { public static void main(String[] a) { System.exit(3); } }",
        batch: &[
            (
                "Main.java",
                "class Main { public static void main(String[] a) { System.out.println(\"batch\"); System.exit(lib.Four.four()); } }",
            ),
            (
                "lib/Four.java",
                "package lib; public class Four { public static int four() { return 4; } }",
            ),
        ],
        builds: true,
    },
];

fn check(name: &str) {
    let case = CASES.iter().find(|case| case.names[0] == name).unwrap();
    let missing = case.tools.iter().find(|group| need_one_of(group).is_none());
    // Some compilers take long on a busy machine, which must not end their program.
    let gateway = gateway_with(|config| config.with_exec_timeout(PATIENCE));
    let client = Client::new(&gateway);
    if let Some(missing) = missing {
        if std::ptr::eq(*missing, case.tools[0]) {
            let token = SessionToken::from_random(crate::common::random());
            let error = client.error_of(&CreateKernel::new(name, token));
            assert_eq!(error, (500, "kernel-creation-failed".to_owned()));
        }
        return;
    }
    for alias in &case.names[1..] {
        let kernel = client.create(alias);
        client.destroy(&kernel);
    }
    let kernel = client.create(name);

    let outcome = client.run(&kernel, case.hello);
    assert_eq!(outcome.exit_code(), Some(0), "{outcome:?}");
    let hello = ("hé😀\n".to_owned(), "err\n".to_owned());
    assert_eq!(outcome.finished(), hello);

    let has_state = !case.state[0].is_empty();
    if has_state {
        let (_, stderr) = client.run(&kernel, case.state[0]).finished();
        assert_eq!(stderr, "");
    }
    let (failing, text, code) = case.failure;
    for (snippet, text, code) in [
        (failing, text, Some(code)),
        (case.nonsense.0, case.nonsense.1, None),
    ] {
        let outcome = client.run(&kernel, snippet);
        assert!(outcome.stderr.contains(text), "{outcome:?}");
        for ours in ["Sorna", "runners", "xpcall", "session"] {
            assert!(!outcome.stderr.contains(ours), "{outcome:?}");
        }
        match code {
            Some(code) => assert_eq!(outcome.exit_code(), Some(code), "{outcome:?}"),
            None => assert_ne!(outcome.exit_code(), Some(0), "{outcome:?}"),
        }
        outcome.finished();
    }
    // Twice, since definitions may be repeated.
    for _ in 0..if has_state { 2 } else { 0 } {
        let outcome = client.run(&kernel, case.state[1]);
        assert_eq!(outcome.exit_code(), Some(0), "{outcome:?}");
        assert_eq!(outcome.finished(), ("42\n".to_owned(), String::new()));
    }

    for input in ["Bob", "Éva\nleft over"] {
        let asked = client.run(&kernel, case.asks);
        assert_eq!(asked.asks(), Some(false), "{asked:?}");
        assert_eq!(asked.stdout, "name? ");
        let expected = format!("<{}>\n", input.lines().next().unwrap());
        let (stdout, stderr) = client.input(&kernel, input).finished();
        // This snippet of Node reads all that is there, not just a line.
        if name != "nodejs" || input == "Bob" {
            assert_eq!((stdout, stderr), (expected, String::new()));
        }
    }
    let asked = client.run(&kernel, case.asks);
    assert_eq!(
        asked.asks(),
        Some(false),
        "unread input must not be kept: {asked:?}"
    );
    // The kernel survives the end of input, whatever the snippet does then.
    client.input(&kernel, "\u{4}").finished();
    let asked = client.run(&kernel, case.asks);
    assert_eq!(asked.asks(), Some(false), "after the end: {asked:?}");
    let (stdout, _) = client.input(&kernel, "x").finished();
    assert_eq!(stdout, "<x>\n");

    let outcome = client.run(&kernel, case.exit);
    assert_eq!(outcome.exit_code(), Some(3), "{outcome:?}");
    assert_eq!(outcome.finished(), (String::new(), String::new()));
    assert_eq!(client.run(&kernel, case.hello).finished(), hello);

    let files: Vec<_> = case
        .batch
        .iter()
        .map(|(name, content)| (*name, content.as_bytes()))
        .collect();
    client.upload(&kernel, &files).unwrap();
    for _ in 0..2 {
        let (statuses, outcome) = client.batch(&kernel, Batch::new());
        let expected = [ExecutionStatus::BuildFinished, ExecutionStatus::Finished];
        assert_eq!(
            statuses,
            &expected[usize::from(!case.builds)..],
            "{outcome:?}"
        );
        assert_eq!(outcome.exit_code(), Some(4), "{outcome:?}");
        assert_eq!(outcome.finished(), ("batch\n".to_owned(), String::new()));
    }
    // A batch does not affect queries.
    assert_eq!(client.run(&kernel, case.hello).finished(), hello);
    client.destroy(&kernel);
}

macro_rules! languages {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                check(stringify!($name));
            }
        )*

        #[test]
        fn every_case_is_checked() {
            let names: Vec<&str> = CASES.iter().map(|case| case.names[0]).collect();
            assert_eq!(names, [$(stringify!($name)),*]);
        }
    };
}

languages! { perl ruby nodejs lua php r cpp rust go java }

#[test]
fn packages_are_built_by_their_own_tools() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let cargo: &[(&str, &[u8])] = &[
        (
            "Cargo.toml",
            b"[package]\nname = \"p\"\nversion = \"0.1.0\"\nedition = \"2021\"\n",
        ),
        (
            "src/main.rs",
            b"fn main() { println!(\"package\"); std::process::exit(4) }",
        ),
    ];
    let module: &[(&str, &[u8])] = &[
        ("go.mod", b"module p\n\ngo 1.18\n"),
        ("p.go", b"package main\nimport (\"fmt\"; \"os\"; \"p/q\")\nfunc main() { fmt.Println(\"package\"); os.Exit(q.Four) }"),
        ("q/q.go", b"package q\nconst Four = 4\n"),
    ];
    for (name, tool, files) in [("rust", "cargo", cargo), ("go", "go", module)] {
        if !need(tool) {
            continue;
        }
        let kernel = client.create(name);
        client.upload(&kernel, files).unwrap();
        let (_, outcome) = client.batch(&kernel, Batch::new());
        assert_eq!(outcome.exit_code(), Some(4), "{outcome:?}");
        assert_eq!(outcome.finished().0, "package\n");
    }
}

#[test]
fn long_snippets_and_output_arrive_whole() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    for (name, tool, print) in [
        ("perl", "perl", "print '@', \"\\n\";"),
        ("ruby", "ruby", "puts '@'"),
        ("nodejs", "node", "console.log('@')"),
        ("lua", "lua", "print('@')"),
        ("php", "php", "echo '@', \"\\n\";"),
        ("r", "R", "cat('@', '\\n', sep = '')"),
    ] {
        if !need(tool) {
            continue;
        }
        let text = "é".repeat(200_000);
        let kernel = client.create(name);
        let (stdout, stderr) = client.run(&kernel, &print.replace('@', &text)).finished();
        assert_eq!(stderr, "", "{name}");
        assert!(stdout == format!("{text}\n"), "{name}: {}", stdout.len());
    }
}
