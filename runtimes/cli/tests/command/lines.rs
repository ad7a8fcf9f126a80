//! Standard input as a program in a kernel reads it: all of it, as it is, and fast.

use std::fs::File;
use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::support::stub::{self, Request};
use crate::support::{here, sorna, write};
use sorna_test_tools::need;

/// The output of a command with this on its standard input.
fn with_input(mut command: Command, input: &str) -> Output {
    command.stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("sorna runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = input.to_owned();
    let writer = thread::spawn(move || {
        // A program need not read everything.
        let _ = stdin.write_all(input.as_bytes());
    });
    let output = child.wait_with_output().expect("it ends");
    writer.join().expect("a writer");
    output
}

/// Lines, and a last one without an end.
fn lines(number: usize) -> String {
    let lines = (0..number).map(|number| format!("line {number} é\n"));
    lines.collect::<String>() + "\ta\r\nlast"
}

/// What a program was given by a gateway that asks until the end, and in how many requests. The end is a mark only where the
/// gateway is known to take that.
fn given(options: &Value, input: &str) -> (Vec<String>, Output) {
    given_by(options, |command| with_input(command, input))
}

/// The same, of a command that is run like this.
fn given_by(options: &Value, run: impl FnOnce(Command) -> Output) -> (Vec<String>, Output) {
    let answers = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&answers);
    let is_told = options["takes_lines"] == true;
    let options = options.clone();
    let address = stub::stub(move |request: &Request| {
        Some(match (request.method.as_str(), request.path.as_str()) {
            ("GET", "/v2") => (200, json!({"version": "v2.20170315"}).to_string()),
            ("POST", "/v2/kernel/create") => (201, json!({"kernelId": "k1"}).to_string()),
            ("POST", _) => {
                let body: Value = serde_json::from_slice(&request.body).expect("JSON");
                // What other gateways reject.
                assert!(request.body.len() < 1024 * 1024);
                let mut code = body["code"].as_str().expect("code").to_owned();
                if body["encoding"] == "base64" {
                    let bytes = STANDARD.decode(&code).expect("base64");
                    code = String::from_utf8(bytes).expect("text");
                }
                let mut seen = seen.lock().expect("no panic");
                let is_end = code == "\u{4}";
                seen.push(code);
                let result = match is_end {
                    true => json!({"status": "finished", "console": [], "options": {}}),
                    false => json!({"status": "waiting-input", "console": [], "options": options}),
                };
                (200, json!({ "result": result }).to_string())
            }
            _ => (204, String::new()),
        })
    });
    let directory = here();
    let mut command = stub::at(sorna(directory.path()), address);
    command.args(["--api", "sorna", "run", "-q", "python3", "-c", "code"]);
    let output = run(command);
    let mut answers = answers.lock().expect("no panic").clone();
    assert_eq!(answers.remove(0), "code");
    if is_told {
        assert_eq!(answers.pop().as_deref(), Some("\u{4}"));
    }
    (answers, output)
}

#[test]
fn a_gateway_that_takes_lines_is_given_as_many_as_there_are() {
    let input = lines(50_000);
    let options = json!({"is_password": false, "takes_lines": true});
    let (answers, output) = given(&options, &input);
    assert!(output.status.success(), "{output:?}");
    // Pipes hand over 4 KiB at least, as far as there is so much.
    let most = input.len() / 2048;
    assert!(answers.len() < most, "{} requests", answers.len());
    assert!(answers.iter().all(|answer| answer.len() < 64 * 1024));
    let (last, rest) = answers.split_last().expect("an answer");
    assert!(rest.iter().all(|answer| answer.ends_with('\n')));
    assert_eq!(
        rest.concat() + last.strip_suffix('\u{4}').expect("no line end"),
        input
    );
}

#[test]
fn a_gateway_that_takes_bytes_is_given_large_pieces() {
    let options = json!({"is_password": false, "takes_lines": true, "takes_bytes": true});
    let directory = here();
    for (what, line) in [
        ("text", "line é\n"),
        ("quotes", "\"\"\"\"\"\"\"\"\\\\\n"),
        ("control characters", "\u{1}\u{2}\u{1b}\0\n"),
    ] {
        let input = line.repeat(2_000_000 / line.len()) + "last";
        write(directory.path(), &[("input", &input)]);
        // All of a file is there.
        let file = File::open(directory.path().join("input")).expect("a file");
        let (answers, output) = given_by(&options, |mut command| {
            command.stdin(file).output().expect("it ends")
        });
        assert!(output.status.success(), "{what}: {output:?}");
        assert_eq!(answers.len(), 5, "{what}");
        let all = answers.concat();
        let all = all.strip_suffix('\u{4}').expect("no line end");
        assert!(all == input, "{what}");
    }
}

#[test]
fn other_gateways_and_passwords_are_given_one_line_at_a_time() {
    for options in [
        json!({"is_password": false}),
        json!({"is_password": true, "takes_lines": true}),
        json!(null),
    ] {
        let (answers, output) = given(&options, "one\r\n\ntwo\nlast");
        let is_told = options["takes_lines"] == true;
        assert_eq!(
            output.status.code(),
            Some(i32::from(!is_told)),
            "{output:?}"
        );
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(
            !is_told,
            stderr.contains("cannot tell programs so"),
            "{stderr}"
        );
        assert_eq!(answers, ["one", "", "two", "last"], "{options}");
    }
}

#[test]
fn every_line_reaches_the_program_in_each_language() {
    let input = lines(20_000);
    let lines = input.lines().count();
    for (lang, tool, code) in [
        (
            "python3",
            "python3",
            "import sys\nn = 0\nfor line in sys.stdin: n += 1\nprint(n)",
        ),
        (
            "python3",
            "python3",
            "n = 0\ntry:\n  while True:\n    input(); n += 1\nexcept EOFError: print(n)",
        ),
        ("bash", "bash", "awk 'END { print NR }'"),
        ("perl", "perl", "$n++ while <STDIN>; print \"$n\\n\""),
        ("ruby", "ruby", "n = 0; n += 1 while gets; puts n"),
        (
            "nodejs",
            "node",
            "let n = 0; require('readline').createInterface({input: process.stdin}).on('line', () => n++).on('close', () => console.log(n))",
        ),
        (
            "lua",
            "lua",
            "local n = 0; for _ in io.lines() do n = n + 1 end; print(n)",
        ),
        (
            "php",
            "php",
            "$n = 0; while (fgets(STDIN) !== false) $n++; echo \"$n\\n\";",
        ),
    ] {
        if !need(tool) {
            continue;
        }
        for api in ["sorna", "backend-ai"] {
            let directory = here();
            let mut command = sorna(directory.path());
            command.args(["--api", api, "run", "--local", "-q", lang, "-c", code]);
            let output = with_input(command, &input);
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            assert_eq!(
                text,
                format!("{lines}\n"),
                "{api} {lang} {code}: {output:?}"
            );
        }
    }
}

#[test]
fn the_c_library_reads_blocks_and_still_shows_prompts_first() {
    let count =
        "local reads = tonumber(io.open('/proc/self/io'):read('*a'):match('syscr: (%d+)'))\n";
    let lua = format!(
        "{count}io.write('name? ') local n = 0; for _ in io.lines() do n = n + 1 end\n{}print(n, reads < 2000)\n",
        count.replace("local reads = ", "reads = -reads + ")
    );
    let c = "#include <stdio.h>\n\
        static long reads(void) { char line[99]; long count = -1; FILE *f = fopen(\"/proc/self/io\", \"r\");\n\
        while (fgets(line, 99, f)) sscanf(line, \"syscr: %ld\", &count); fclose(f); return count; }\n\
        int main(void) { char line[99]; int n = 0; long before = reads(); printf(\"name? \");\n\
        while (fgets(line, 99, stdin)) n++; printf(\"%d\\t%s\\n\", n, reads() - before < 2000 ? \"true\" : \"false\"); }\n";
    let directory = here();
    write(directory.path(), &[("main.lua", &lua), ("main.c", c)]);
    let input = "line é\n".repeat(20_000);
    for (tool, arguments) in [
        ("lua", &["lua", "main.lua"][..]),
        ("lua", &["lua", "-c", &lua]),
        ("cc", &["c", "main.c"]),
        ("cc", &["c", "-c", c]),
    ] {
        if !need(tool) {
            continue;
        }
        let mut command = sorna(directory.path());
        command.args(["run", "--local", "-q"]).args(arguments);
        let output = with_input(command, &input);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(text, "name? 20000\ttrue\n", "{arguments:?}: {output:?}");
    }
}

#[test]
fn bytes_are_as_they_were_in_snippets_and_files() {
    let input = lines(5000);
    let directory = here();
    write(
        directory.path(),
        &[(
            "main.py",
            "import sys\nsys.stdout.write(sys.stdin.buffer.read().decode())\n",
        )],
    );
    for arguments in [
        &["bash", "-c", "cat"][..],
        &[
            "python3",
            "-c",
            "import sys; sys.stdout.write(sys.stdin.buffer.read().decode())",
        ],
        &["python3", "main.py"],
    ] {
        let mut command = sorna(directory.path());
        command.args(["run", "--local", "-q"]).args(arguments);
        let output = with_input(command, &input);
        assert!(
            output.stdout == input.as_bytes(),
            "{arguments:?}: {:?}",
            output.stderr
        );
    }
}

#[test]
fn programs_that_read_in_different_ways_share_the_input() {
    let input = "one\nsecret\nthree\nfour\n";
    for arguments in [
        &[
            "python3",
            "-c",
            "import getpass, sys\na = input(); b = getpass.getpass(''); c = sys.stdin.readline().strip(); print(a, b, c, input())",
        ],
        &[
            "bash",
            "-c",
            "read a; read -s b; read c; read d; echo $a $b $c $d",
        ],
        &[
            "bash",
            "-c",
            "read a; b=$(bash -c 'read x; echo $x'); read c; read d; echo $a $b $c $d",
        ],
    ] {
        let directory = here();
        let mut command = sorna(directory.path());
        command.args(["run", "--local", "-q"]).args(arguments);
        let output = with_input(command, input);
        assert_eq!(
            output.stdout, b"one secret three four\n",
            "{arguments:?}: {output:?}"
        );
    }
}
