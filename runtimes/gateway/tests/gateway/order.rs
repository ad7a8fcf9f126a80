//! The order of what programs write to standard output and standard error, without buffering and as fast as they can.

use crate::common::{Client, gateway};
use sorna_core::{Batch, Console, Continuation, Execute, ExecuteMode, ExecutionStatus, Record};
use sorna_test_tools::need;

/// How often each program is run.
const RUNS: usize = 10;
/// How many lines it writes to each stream in turn.
const LINES: usize = 20;

/// A language, and how to run a program in it.
struct Case {
    language: &'static str,
    /// What must be installed.
    tool: &'static str,
    /// Writes `o1`, `e1`, `o2`, `e2`, …, each as a line.
    program: &'static str,
    /// The name of its file.
    file: &'static str,
    exec: &'static str,
}

const CASES: &[Case] = &[
    Case {
        language: "bash",
        tool: "bash",
        program: "for i in {1..20}; do echo o$i; echo e$i >&2; done",
        file: "p.sh",
        exec: "bash p.sh",
    },
    Case {
        language: "perl",
        tool: "perl",
        program: "$| = 1; for (1..20) { print \"o$_\\n\"; print STDERR \"e$_\\n\" }",
        file: "p.pl",
        exec: "perl p.pl",
    },
    Case {
        language: "python3",
        tool: "python3",
        program: "import os\nfor i in range(1, 21): os.write(1, b'o%d\\n' % i); os.write(2, b'e%d\\n' % i)",
        file: "p.py",
        exec: "python3 p.py",
    },
    Case {
        language: "python3",
        tool: "python3",
        program: "import sys\nfor i in range(1, 21):\n  print(f'o{i}', flush=True)\n  print(f'e{i}', file=sys.stderr)",
        file: "p.py",
        exec: "python3 p.py",
    },
    Case {
        language: "ruby",
        tool: "ruby",
        program: "$stdout.sync = true\n(1..20).each { |i| puts \"o#{i}\"; $stderr.puts \"e#{i}\" }",
        file: "p.rb",
        exec: "ruby p.rb",
    },
    Case {
        language: "nodejs",
        tool: "node",
        program: "for (let i = 1; i < 21; i++) { console.log(`o${i}`); console.error(`e${i}`) }",
        file: "p.js",
        exec: "node p.js",
    },
    Case {
        language: "lua",
        tool: "lua",
        program: "io.stdout:setvbuf('no')\nfor i = 1, 20 do print('o' .. i) io.stderr:write('e' .. i .. '\\n') end",
        file: "p.lua",
        exec: "lua p.lua",
    },
    Case {
        language: "php",
        tool: "php",
        program: "<?php for ($i = 1; $i < 21; $i++) { echo \"o$i\\n\"; fwrite(STDERR, \"e$i\\n\"); }",
        file: "p.php",
        exec: "php p.php",
    },
    Case {
        language: "c",
        tool: "gcc",
        program: "#include <stdio.h>\n#include <unistd.h>\nint main(void) { char b[9]; for (int i = 1; i < 21; i++) {\n\
                  int n = sprintf(b, \"o%d\\n\", i); write(1, b, n); b[0] = 'e'; write(2, b, n); } }",
        file: "p.c",
        exec: "gcc -o p p.c && ./p",
    },
];

/// The text of both streams in the order of the records.
fn text(console: &Console) -> String {
    let text = |record| match record {
        Record::Stdout(text) | Record::Stderr(text) => text.into_owned(),
        other => panic!("{other:?}"),
    };
    console.iter().map(text).collect()
}

fn run(client: &Client, execute: &Execute) -> Console {
    let mut result = client.call(execute).unwrap();
    let mut all = Console::new();
    loop {
        all.append(result.console);
        if result.status == ExecutionStatus::Finished {
            return all;
        }
        result = client
            .call(&execute.proceed(Continuation::Continue))
            .unwrap();
    }
}

/// How many of the runs were in another order.
fn disordered(mut run: impl FnMut() -> Console) -> usize {
    let expected: String = (1..=LINES).map(|i| format!("o{i}\ne{i}\n")).collect();
    let is_other = |console: Console| {
        let text = text(&console);
        assert_eq!(text.len(), expected.len(), "more than the order: {text}");
        text != expected
    };
    (0..RUNS).filter(|_| is_other(run())).count()
}

#[test]
fn two_streams_keep_their_order() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let mut lost = Vec::new();
    for case in CASES.iter().filter(|case| need(case.tool)) {
        let kernel = client.create(case.language);
        let query = Execute::start(kernel.clone(), ExecuteMode::query(case.program));
        lost.push((
            case.language,
            "snippet",
            disordered(|| run(&client, &query)),
        ));
        client
            .upload(&kernel, &[(case.file, case.program.as_bytes())])
            .unwrap();
        let batch = Batch::new().without_build().with_exec(case.exec);
        let batch = Execute::start(kernel.clone(), batch.into());
        lost.push((case.language, "batch", disordered(|| run(&client, &batch))));
        client.destroy(&kernel);
    }
    lost.retain(|(.., count)| *count > 0);
    assert_eq!(lost, [], "of {RUNS} runs each");
}

/// Prints as much as fits into neither pipe, nor into one response, with a few lines on the other stream.
#[test]
fn floods_are_complete() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    for (language, code) in [
        (
            "bash",
            "seq 100000; echo e >&2; stdbuf -oL seq 20000; echo e >&2",
        ),
        (
            "bash",
            "head -c 3000000 /dev/zero | tr '\\0' x; echo; echo e >&2; echo o",
        ),
        (
            "python3",
            "import os\nfor i in range(30000): os.write(1, b'o%d\\n' % i); i % 1000 or os.write(2, b'e\\n')",
        ),
    ] {
        if !need(language) {
            continue;
        }
        let kernel = client.create(language);
        let outcome = client.run(&kernel, code);
        let (stdout, stderr) = outcome.finished();
        let home = std::process::Command::new(language)
            .arg("-c")
            .arg(code)
            .output()
            .unwrap();
        assert_eq!(stdout.len(), home.stdout.len(), "{code}");
        assert!(stdout.as_bytes() == home.stdout, "{code}");
        assert_eq!(stderr.as_bytes(), home.stderr, "{code}");
    }
}
