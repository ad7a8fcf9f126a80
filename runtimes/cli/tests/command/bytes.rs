//! Standard input and output that are not text: exactly as they are where the gateway carries bytes, and never changed
//! silently elsewhere.

use std::fs;
use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};

use crate::support::stub::{self, Request};
use crate::support::{backend_at, gateway, here, sorna, sorna_at};
use sorna_test_tools::need;

/// The output of a command with this on its standard input: a pipe, into which it is written in these pieces.
fn with_input(mut command: Command, input: &[u8], piece: usize) -> Output {
    command.stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("sorna runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = input.to_owned();
    let writer = thread::spawn(move || {
        for piece in input.chunks(piece) {
            // A program need not read everything.
            let _ = stdin.write_all(piece);
        }
    });
    let output = child.wait_with_output().expect("it ends");
    writer.join().expect("a writer");
    output
}

/// Bytes that look random, and are the same each time.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..length).map(|_| next()).collect()
}

fn inputs() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("noise", noise(1000)),
        ("much noise", noise(300_000)),
        ("Latin-1", b"\xe9t\xe9 \xfc\n\xe0 la carte\n".to_vec()),
        ("CRLF", b"a\r\nb\r\n".to_vec()),
        ("no line end", "é\r\nlast é".into()),
        ("half a character", b"a\n\xc3".to_vec()),
        ("zeros without a line end", vec![0; 200_000]),
        ("a long line", "é".repeat(100_001).into()),
        ("Ctrl-D", b"a\x04\x04".to_vec()),
    ]
}

#[track_caller]
fn assert_same(output: &Output, expected: &[u8], what: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{what}: {stderr}");
    let (length, expected_length) = (output.stdout.len(), expected.len());
    assert!(
        output.stdout == expected,
        "{what}: {length} bytes for {expected_length}: {stderr}"
    );
}

#[test]
fn snippets_and_files_read_and_write_bytes() {
    for api in ["sorna", "backend-ai"] {
        for (name, input) in inputs() {
            for way in ["snippet", "file", "build"] {
                if way != "snippet" && input.len() > 10_000 {
                    continue;
                }
                let directory = here();
                fs::write(directory.path().join("f.sh"), "cat").expect("a file");
                let mut command = sorna(directory.path());
                command.args(["--api", api, "run", "--local", "-q", "bash"]);
                command.args(match way {
                    "snippet" => &["-c", "cat"][..],
                    "file" => &["f.sh"],
                    _ => &["f.sh", "-b", "printf x", "-e", "bash f.sh"],
                });
                let output = with_input(command, &input, 1000);
                let expected = match way {
                    "build" => [b"x", &input[..]].concat(),
                    _ => input.clone(),
                };
                assert_same(&output, &expected, &format!("{api} {name} {way}"));
            }
        }
    }
}

#[test]
fn kernels_that_are_kept_carry_bytes_too() {
    type At = fn(&std::path::Path, &sorna_gateway::RunningGateway) -> Command;
    for at in [sorna_at as At, backend_at] {
        let gateway = gateway();
        for (name, input) in inputs() {
            let directory = here();
            let mut command = at(directory.path(), &gateway);
            command.args(["run", "-q", "-t", "kept-kernel", "bash", "-c", "cat"]);
            assert_same(&with_input(command, &input, 5000), &input, name);
        }
        assert_eq!(gateway.stats().kernels_created, 1);
    }
}

#[test]
fn every_language_reads_and_writes_bytes() {
    let input = noise(100_000);
    for (lang, tool, code) in [
        (
            "python3",
            "python3",
            "import sys, shutil; shutil.copyfileobj(sys.stdin.buffer, sys.stdout.buffer)",
        ),
        (
            "perl",
            "perl",
            "binmode STDIN; binmode STDOUT; $/ = \\4096; print while <STDIN>",
        ),
        ("ruby", "ruby", "IO.copy_stream($stdin, $stdout)"),
        ("nodejs", "node", "process.stdin.pipe(process.stdout)"),
        (
            "lua",
            "lua",
            "for b in function() return io.read(4096) end do io.write(b) end",
        ),
        (
            "php",
            "php",
            "while (($b = fread(STDIN, 8192)) !== false && $b !== '') fwrite(STDOUT, $b);",
        ),
        (
            "r",
            "Rscript",
            "i <- file('stdin', 'rb', raw = TRUE); o <- pipe('cat', 'wb'); while (length(b <- readBin(i, 'raw', 65536)) > 0) writeBin(b, o); close(o)",
        ),
        (
            "c",
            "cc",
            "#include <stdio.h>\nint main() { int c; while ((c = getchar()) != EOF) putchar(c); return 0; }",
        ),
    ] {
        if !need(tool) {
            continue;
        }
        let directory = here();
        let mut command = sorna(directory.path());
        command.args(["run", "--local", "-q", lang, "-c", code]);
        assert_same(&with_input(command, &input, 4096), &input, lang);
    }
}

#[test]
fn archives_go_through_both_streams() {
    let source = here();
    for number in 0..40 {
        let file = source.path().join(format!("file {number} é"));
        fs::write(file, noise(number * 997)).expect("a file");
    }
    let tar = |arguments: &[&str]| {
        let mut command = Command::new("tar");
        command.args(arguments).current_dir(source.path());
        command
    };
    let archive = tar(&["-c", "."]).output().expect("tar runs").stdout;
    for api in ["sorna", "backend-ai"] {
        for code in [
            "mkdir x && tar -x -C x && tar -c -C x .",
            "tar -xf - && gzip -c $(ls | head -n 1 | cut -c 1-4)* >/dev/null; tar -c . | gzip -c | gunzip -c",
        ] {
            let directory = here();
            let mut command = sorna(directory.path());
            command.args(["--api", api, "run", "--local", "-q", "bash", "-c", code]);
            let output = with_input(command, &archive, 10_000);
            assert!(output.status.success(), "{output:?}");
            let target = here();
            let mut unpack = Command::new("tar");
            unpack.arg("-x").current_dir(target.path());
            assert!(with_input(unpack, &output.stdout, 65_536).status.success());
            for entry in fs::read_dir(source.path()).expect("a directory") {
                let name = entry.expect("an entry").file_name();
                let [here, there] =
                    [&source, &target].map(|it| fs::read(it.path().join(&name)).expect("a file"));
                assert!(here == there, "{api} {code}: {name:?}");
            }
        }
    }
}

#[test]
fn events_have_the_bytes_beside_the_text() {
    let directory = here();
    let mut command = sorna(directory.path());
    command.args(["run", "--local", "--json", "bash", "-c"]);
    command.arg(r"printf 'text\n'; sleep 0.2; printf '\351\n'; printf '\377' >&2");
    let output = with_input(command, b"", 1);
    let events = String::from_utf8(output.stdout).expect("JSON");
    let events: Vec<Value> = events
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .filter(|event: &Value| event["event"] == "stdout" || event["event"] == "stderr")
        .collect();
    let expected = [
        json!({"v": 1, "event": "stdout", "text": "text\n"}),
        json!({"v": 1, "event": "stdout", "text": "\u{fffd}\n", "base64": "6Qo="}),
        json!({"v": 1, "event": "stderr", "text": "\u{fffd}", "base64": "/w=="}),
    ];
    assert_eq!(events, expected);
}

/// A command with a gateway that carries only text, asks for input until its end, and prints this; the requests that
/// it gets after the creation.
fn elsewhere(printed: &str) -> (Command, Arc<Mutex<Vec<String>>>, tempfile::TempDir) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let requests = Arc::clone(&seen);
    let printed = printed.to_owned();
    let address = stub::stub(move |request: &Request| {
        let created = || (201, json!({"kernelId": "k1"}).to_string());
        Some(match (request.method.as_str(), request.path.as_str()) {
            ("GET", "/v2") => (200, json!({"version": "v2.20170315"}).to_string()),
            ("POST", "/v2/kernel/create") => created(),
            ("DELETE", _) => {
                requests.lock().expect("no panic").push("DELETE".to_owned());
                (204, String::new())
            }
            _ => {
                let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
                let code = body["code"].as_str().unwrap_or_default().to_owned();
                assert_eq!(body.get("bytes"), None);
                let is_end = code == "3" || code == "only print";
                let mut requests = requests.lock().expect("no panic");
                requests.push(code);
                let status = if is_end { "finished" } else { "waiting-input" };
                let result = json!({"status": status, "console": [["stdout", printed]]});
                (200, json!({ "result": result }).to_string())
            }
        })
    });
    let directory = here();
    let mut command = stub::at(sorna(directory.path()), address);
    command.args(["--api", "sorna", "run", "-q", "python3", "-c"]);
    (command, seen, directory)
}

/// What was requested before the kernel was destroyed, which it was.
fn before_the_end(requests: &Mutex<Vec<String>>) -> Vec<String> {
    let requests = requests.lock().expect("no panic");
    let end = requests.iter().position(|request| request == "DELETE");
    requests[..end.expect("it is destroyed")].to_vec()
}

#[test]
fn elsewhere_bytes_are_rejected_before_anything_runs() {
    for (input, byte) in [
        (b"ab\xff\n".to_vec(), "byte 0xff at offset 2"),
        (noise(1000), "is not UTF-8"),
        (b"text\n\xe9t\xe9\n".to_vec(), "byte 0xe9 at offset 5"),
    ] {
        for from_file in [true, false] {
            let (mut command, requests, directory) = elsewhere("");
            command.arg("code");
            let output = if from_file {
                let path = directory.path().join("input");
                fs::write(&path, &input).expect("a file");
                command.stdin(fs::File::open(&path).expect("the file"));
                command.output().expect("sorna runs")
            } else {
                // All of it is there from the beginning.
                let (reader, mut writer) = std::io::pipe().expect("a pipe");
                writer.write_all(&input).expect("room");
                drop(writer);
                command.stdin(reader);
                command.output().expect("sorna runs")
            };
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(1), "{stderr}");
            assert!(stderr.contains(byte), "{stderr}");
            assert!(
                stderr.contains("nothing was run") && stderr.contains("sorna upload"),
                "{stderr}"
            );
            assert_eq!(before_the_end(&requests), [""; 0]);
        }
    }
}

#[test]
fn elsewhere_bytes_after_text_end_the_run_and_are_not_changed() {
    let text = "line é\n".repeat(10);
    let (mut command, requests, _directory) = elsewhere("");
    command.arg("code");
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    let sent = text.clone();
    let seen = Arc::clone(&requests);
    let late = thread::spawn(move || {
        writer.write_all(sent.as_bytes()).expect("room");
        // The rest comes once the program runs.
        while seen.lock().expect("no panic").len() < 5 {
            thread::yield_now();
        }
        writer.write_all(b"ok\nno\xff\n").expect("room");
    });
    command.stdin(reader);
    let output = command.output().expect("sorna runs");
    drop(command);
    late.join().expect("no panic");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    let offset = text.len() + 5;
    assert!(
        stderr.contains(&format!("byte 0xff at offset {offset}"))
            && stderr.contains("only what comes before"),
        "{stderr}"
    );
    let mut expected = vec!["code"];
    expected.extend(["line é"; 10]);
    expected.push("ok");
    assert_eq!(before_the_end(&requests), expected);
}

#[test]
fn elsewhere_text_is_not_rejected_and_nothing_is_taken_that_nothing_asks_for() {
    for input in ["é\n", "é", "a\r\nb\r\n", ""] {
        let (mut command, _, directory) = elsewhere("");
        command.arg("only print");
        let path = directory.path().join("input");
        fs::write(&path, input).expect("a file");
        let mut file = fs::File::open(&path).expect("the file");
        command.stdin(file.try_clone().expect("a copy"));
        assert!(command.status().expect("sorna runs").success());
        let rest = std::io::read_to_string(&mut file).expect("text");
        assert_eq!(rest, input);

        let (mut command, _, _directory) = elsewhere("");
        command.arg("only print");
        let (mut reader, mut writer) = std::io::pipe().expect("a pipe");
        writer.write_all(input.as_bytes()).expect("room");
        drop(writer);
        command.stdin(reader.try_clone().expect("a copy"));
        assert!(command.status().expect("sorna runs").success());
        let rest = std::io::read_to_string(&mut reader).expect("text");
        assert_eq!(rest, input);
    }
}

#[test]
fn elsewhere_replaced_output_is_mentioned_once() {
    for (printed, warnings) in [("a\u{fffd}b", 1), ("é", 0), ("", 0)] {
        for json in [false, true] {
            let (mut command, _, _directory) = elsewhere(printed);
            if json {
                command.args(["code", "--json"]);
            } else {
                command.arg("code");
            }
            let output = with_input(command, b"1\n2\n3\n", 10);
            let [stdout, stderr] =
                [&output.stdout, &output.stderr].map(|it| String::from_utf8_lossy(it));
            assert!(output.status.success(), "{stderr}");
            let said = |text: &str| text.matches("carries only text").count();
            assert_eq!(said(&stderr), warnings, "{stderr}");
            assert_eq!(said(&stdout), if json { warnings } else { 0 }, "{stdout}");
        }
    }
}
