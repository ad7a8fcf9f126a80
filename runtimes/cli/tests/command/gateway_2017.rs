//! What gateway 0.9.11 does, and no other: see `core/tests/captures.rs` for bytes of it.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::stub::{self, Request};
use crate::support::{here, sorna, write};

/// It has no kernel but `k1`, which executes everything at once.
fn gateway() -> SocketAddr {
    stub::stub(|request: &Request| {
        let path = request.path.as_str();
        // It restores escaped characters that need no escape before it verifies the signature.
        let restores = |escape: &str| {
            u8::from_str_radix(&escape[..2], 16).is_ok_and(|byte| b"!$&'()*+,:;=@".contains(&byte))
        };
        if path.split('%').skip(1).any(restores) {
            let problem = json!({"type": "https://api.sorna.io/probs/auth-failed", "title": "Credential/signature mismatch."});
            return Some((401, problem.to_string()));
        }
        Some(match (request.method.as_str(), path) {
            ("GET", "/v2") => (200, json!({"version": "v2.20170315"}).to_string()),
            ("POST", "/v2/kernel/create") => (201, json!({"kernelId": "k1"}).to_string()),
            ("GET", "/v2/kernel/k1") => {
                let info = json!({"lang": "python3", "age": 17000.5, "idle": 13_800_000, "numQueriesExecuted": 7});
                (200, info.to_string())
            }
            ("POST", "/v2/kernel/k1") => {
                let console = json!([["stdout", "before\n"], ["log", "text"], ["log", "a line\n"]]);
                let result =
                    json!({"status": "finished", "console": console, "options": {}, "files": []});
                (200, json!({ "result": result }).to_string())
            }
            ("DELETE", "/v2/kernel/k1") => (204, String::new()),
            _ => {
                let problem = json!({"type": "https://api.sorna.io/probs/kernel-not-found", "title": "No such kernel."});
                (404, problem.to_string())
            }
        })
    })
}

fn sorna_says(arguments: &[&str]) -> (Option<i32>, String, String) {
    let directory = here();
    let mut command = stub::at(sorna(directory.path()), gateway());
    command.args(["--api", "sorna"]).args(arguments);
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().expect("sorna runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn a_log_that_is_text_alone_is_shown() {
    let (code, stdout, stderr) = sorna_says(&["run", "-q", "python3", "-c", "1"]);
    assert_eq!((code, stdout.as_str()), (Some(0), "before\n"), "{stderr}");
    assert_eq!(stderr, "text\na line\n");
    let (_, stdout, _) = sorna_says(&["run", "--json", "python3", "-c", "1"]);
    assert!(stdout.contains(r#""message":"text""#), "{stdout}");
}

#[test]
fn the_time_without_use_is_never_longer_than_the_age() {
    let (code, stdout, stderr) = sorna_says(&["info", "k1"]);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(
        stdout.contains("13.8 s") && !stdout.contains("3 h"),
        "{stdout}"
    );
    let (_, stdout, _) = sorna_says(&["info", "--json", "k1"]);
    assert!(stdout.contains(r#""idle":13800"#), "{stdout}");
}

#[test]
fn unknown_kernels_are_not_found_whatever_their_ids() {
    for id in "!$&'()*+,:;=@%?#^ \"".chars().map(|c| format!("a{c}b")) {
        for command in ["info", "restart", "destroy"] {
            let (code, _, stderr) = sorna_says(&[command, &id]);
            assert_eq!(code, Some(1), "{id}: {stderr}");
            assert!(!stderr.contains("401"), "{id}: {stderr}");
            assert!(
                stderr.contains("not found") || stderr.contains("404"),
                "{id}: {stderr}"
            );
        }
    }
}

#[test]
fn logs_are_refused_with_words() {
    for arguments in [
        &["logs", "k1"][..],
        &["logs", "-f", "k1"],
        &["logs", "-n", "3", "a-token"],
    ] {
        let (code, stdout, stderr) = sorna_says(arguments);
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{stderr}");
        assert!(
            stderr.contains("the gateway does not offer logs"),
            "{stderr}"
        );
        assert!(
            stderr.contains("Gateways of `sorna serve` have it"),
            "{stderr}"
        );
    }
}

/// Stores the files of an upload in this directory, without making directories. False if one could not be stored.
fn store(form: &[u8], directory: &Path) -> bool {
    let form = String::from_utf8(form.to_vec()).expect("text");
    let (boundary, _) = form.split_once("\r\n").expect("a boundary");
    form.split(boundary).all(|part| {
        let Some((head, content)) = part.split_once("\r\n\r\n") else {
            return true;
        };
        let (_, name) = head.split_once("filename=\"").expect("a name");
        let (name, _) = name.split_once('"').expect("a name");
        let content = content.strip_suffix("\r\n").expect("a line end");
        fs::write(directory.join(name), content).is_ok()
    })
}

/// A gateway with one kernel, whose work directory this is.
fn gateway_with_files(work: &Path) -> SocketAddr {
    let work = work.to_owned();
    let pending = Mutex::new(None);
    stub::stub(move |request: &Request| {
        Some(match (request.method.as_str(), request.path.as_str()) {
            ("GET", "/v2") => (200, json!({"version": "v2.20170315"}).to_string()),
            ("POST", "/v2/kernel/create") => (201, json!({"kernelId": "k1"}).to_string()),
            ("POST", "/v2/kernel/k1/upload") if store(&request.body, &work) => (204, String::new()),
            ("POST", "/v2/kernel/k1/upload") => {
                let problem = json!({"type": "https://api.sorna.io/probs/kernel-execution-failed",
                    "title": "Executing user code in the kernel has failed.",
                    "agent-details": {"type": "https://api.sorna.io/probs/agent-failure", "title": null,
                        "exception": "FileNotFoundError(2, 'No such file or directory')"}});
                (500, problem.to_string())
            }
            ("POST", "/v2/kernel/k1") => {
                let body: Value = serde_json::from_slice(&request.body).expect("JSON");
                let mut pending = pending.lock().expect("no panic");
                let (status, command) = match pending.take() {
                    Some(exec) => ("finished", exec),
                    None => {
                        let option = |name: &str| {
                            body["options"][name]
                                .as_str()
                                .unwrap_or_default()
                                .to_owned()
                        };
                        *pending = Some(option("exec"));
                        ("build-finished", option("build"))
                    }
                };
                let output = Command::new("sh")
                    .args(["-c", command.trim_matches('*')])
                    .current_dir(&work)
                    .output();
                let output = output.expect("it runs");
                let text = |bytes| String::from_utf8(bytes).expect("text");
                let console = json!([
                    ["stdout", text(output.stdout)],
                    ["stderr", text(output.stderr)]
                ]);
                let result =
                    json!({"status": status, "console": console, "options": {}, "files": []});
                (200, json!({ "result": result }).to_string())
            }
            _ => (204, String::new()),
        })
    })
}

#[test]
fn files_in_directories_run_though_it_makes_none() {
    let (directory, work) = (here(), here());
    write(
        directory.path(),
        &[
            ("main.py", "x"),
            ("pkg/a b.py", "y"),
            ("pkg/it's/c.py", "z"),
        ],
    );
    let address = gateway_with_files(work.path());
    let mut command = stub::at(sorna(directory.path()), address);
    command.args([
        "--api",
        "sorna",
        "run",
        "-q",
        "python3",
        ".",
        "-e",
        "cat main.py 'pkg/a b.py' pkg/it*s/c.py; ls | tr '\n' ' '",
    ]);
    let output = command.output().expect("sorna runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    assert_eq!(text(output.stderr), "");
    assert_eq!(text(output.stdout), "xyzmain.py pkg ");
}

#[test]
fn files_that_it_cannot_store_are_one_sentence_with_advice() {
    let (directory, work) = (here(), here());
    let names: Vec<String> = (0..30).map(|number| format!("pkg/{number}.py")).collect();
    let files: Vec<_> = names.iter().map(|name| (name.as_str(), "x")).collect();
    write(directory.path(), &files);
    let address = gateway_with_files(work.path());
    let mut command = stub::at(sorna(directory.path()), address);
    command.args(["--api", "sorna", "upload", "-q", "k1", "."]);
    let output = command.output().expect("sorna runs");
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).expect("text");
    assert_eq!(text.lines().count(), 2, "{text}");
    assert_eq!(text.matches("500").count(), 1, "{text}");
    assert!(text.contains("Run the files with `sorna run`"), "{text}");
}

/// A gateway with one kernel, whose answers to executions these are, from the codes so far; and the codes.
fn executing(
    answer: impl Fn(&[String]) -> Value + Send + Sync + 'static,
) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let codes = Arc::<Mutex<Vec<String>>>::default();
    let seen = Arc::clone(&codes);
    let address = stub::stub(move |request: &Request| {
        Some(match (request.method.as_str(), request.path.as_str()) {
            ("GET", "/v2") => (200, json!({"version": "v2.20170315"}).to_string()),
            ("POST", "/v2/kernel/create") => (201, json!({"kernelId": "k1"}).to_string()),
            ("POST", "/v2/kernel/k1") => {
                let body: Value = serde_json::from_slice(&request.body).expect("JSON");
                let mut codes = seen.lock().expect("no panic");
                codes.push(body["code"].as_str().unwrap_or_default().to_owned());
                (200, json!({"result": answer(&codes)}).to_string())
            }
            ("GET", "/v2/kernel/k1") => (200, json!({"queryTimeout": 0}).to_string()),
            _ => (204, String::new()),
        })
    });
    (address, codes)
}

fn run(address: SocketAddr, arguments: &[&str], input: &str) -> (Option<i32>, String, String) {
    let directory = here();
    write(directory.path(), &[("main.py", "x"), ("input", input)]);
    let mut command = stub::at(sorna(directory.path()), address);
    command.args(["--api", "sorna", "run"]).args(arguments);
    command.stdin(fs::File::open(directory.path().join("input")).expect("it is there"));
    let output = command.output().expect("sorna runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn a_program_that_reads_past_the_end_is_stopped_since_it_would_read_a_character() {
    let snippet = ["-q", "python3", "-c", "code"];
    let file = ["-q", "python3", "main.py"];
    for (arguments, input, is_password) in [
        (&snippet[..], "", false),
        (&snippet, "one\n", true),
        (&file, "one\ntwo", false),
    ] {
        let (address, codes) = executing(move |_| {
            let options = json!({ "is_password": is_password });
            json!({"status": "waiting-input", "console": [["stdout", "? "]], "options": options})
        });
        let (code, stdout, stderr) = run(address, arguments, input);
        assert_eq!(code, Some(1), "{stderr}");
        assert_eq!(stdout, "? ".repeat(1 + input.lines().count()));
        assert!(stderr.contains("cannot tell programs so"), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        let codes = codes.lock().expect("no panic");
        assert_eq!(codes[1..], input.lines().collect::<Vec<_>>());
    }
}

#[test]
fn code_from_standard_input_is_a_snippet_there() {
    for lang in ["python3", "nodejs", "ruby"] {
        for code in ["first\nsecond", "print(1)\n"] {
            let (address, codes) =
                executing(|_| json!({"status": "finished", "console": [["stdout", "done"]]}));
            let (exit, stdout, stderr) = run(address, &["-q", lang], code);
            assert_eq!((exit, stdout.as_str()), (Some(0), "done"), "{stderr}");
            assert_eq!(*codes.lock().expect("no panic"), [code]);
        }
    }
}

#[test]
fn the_command_keeps_a_time_limit_that_it_does_not() {
    let long = |codes: &[String]| {
        thread::sleep(Duration::from_millis(200));
        let is_over = codes.len() > 100;
        let status = if is_over { "finished" } else { "continued" };
        json!({"status": status, "console": [["stdout", format!("{} ", codes.len())]]})
    };
    let limit = ["--exec-timeout", "300ms", "python3"];
    let kept = [&["-t", "my-kernel"], &limit[..], &["-c", "code"]].concat();
    let json = [&["--json"], &limit[..], &["-c", "code"]].concat();
    for arguments in [
        &[&limit[..], &["-c", "code"]].concat(),
        &[&limit[..], &["main.py"]].concat(),
        &kept,
        &json,
    ] {
        let (address, _) = executing(long);
        let (code, stdout, stderr) = run(address, arguments, "");
        assert_eq!(code, Some(124), "{arguments:?}: {stdout} {stderr}");
        assert!(stdout.contains("1 "), "{stdout}");
        let why = "The program exceeded its time limit of 300 ms (--exec-timeout), which this gateway does not keep.";
        assert!(stderr.contains(why), "{arguments:?}: {stderr}");
        let is_kept = arguments == &kept;
        assert_eq!(is_kept, stderr.contains("`sorna restart k1`"), "{stderr}");
    }

    // One that ends in time.
    let (address, _) = executing(|_| json!({"status": "finished", "console": []}));
    let minute = ["--exec-timeout", "1m", "python3", "-c", "code"];
    assert_eq!(run(address, &minute, "").0, Some(0));
}

#[test]
fn the_command_keeps_a_limit_on_output_that_it_does_not() {
    let endless = |_: &[String]| json!({"status": "continued", "console": [["stdout", "0123456789"], ["stderr", "x"]]});
    let limit = ["--max-output", "25", "python3", "-c", "code"];
    let (address, _) = executing(endless);
    let (code, stdout, stderr) = run(address, &limit, "");
    assert_eq!(
        (code, stdout.as_str()),
        (Some(137), "01234567890123456789012"),
        "{stderr}"
    );
    assert!(
        stderr.starts_with("xx") || stderr.contains("xx"),
        "{stderr}"
    );
    let why = "The program exceeded its output limit of 25 bytes (--max-output), which this gateway does not keep.";
    assert!(stderr.contains(why), "{stderr}");

    let (address, _) = executing(endless);
    let (code, stdout, _) = run(address, &[&["--json"], &limit[..]].concat(), "");
    assert_eq!(code, Some(137));
    let lines = stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let end = lines
        .into_iter()
        .find(|line| line["event"] == "execution-finished");
    let expected = json!({"v": 1, "event": "execution-finished", "index": 0, "status": "cancelled", "exitCode": null, "limit": "output", "limitMax": 25});
    assert_eq!(end, Some(expected), "{stdout}");

    // One that prints no more than that; what it has used is not known.
    let (address, _) = executing(|_| json!({"status": "finished", "console": [["stdout", "x"]]}));
    let (code, stdout, stderr) = run(address, &[&["--json"], &limit[..]].concat(), "");
    assert_eq!(code, Some(0), "{stderr}");
    let end = stdout
        .lines()
        .find(|line| line.contains("execution-finished"));
    let expected =
        r#"{"v":1,"event":"execution-finished","index":0,"status":"finished","exitCode":null}"#;
    assert_eq!(end, Some(expected));
}

/// A gateway whose one program runs until it is continued this often after its first response, and then ends. Later ones end at
/// once, and print their code.
fn busy(continued: usize) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    executing(move |codes| {
        let result = |status: &str, text: &str| json!({"status": status, "console": [["stdout", text]], "options": {}});
        match codes.len() {
            1 => result("continued", "up-1\n"),
            number if number <= continued => {
                thread::sleep(Duration::from_millis(100));
                result("continued", "")
            }
            number if number == continued + 1 => result("finished", "late\n"),
            _ => result("finished", codes.last().expect("a code")),
        }
    })
}

#[test]
fn code_is_not_taken_for_a_continuation_of_what_was_left_running() {
    use std::io::BufRead;
    for (arguments, signal) in [
        (["-c", "first"].as_slice(), rustix::process::Signal::INT),
        (&["main.py"], rustix::process::Signal::INT),
        (&["-c", "first"], rustix::process::Signal::KILL),
    ] {
        let (address, codes) = busy(40);
        let directory = here();
        write(directory.path(), &[("main.py", "x")]);
        let run = |arguments: &[&str]| {
            let mut command = stub::at(sorna(directory.path()), address);
            command.env("XDG_STATE_HOME", directory.path().join("state"));
            command.args(["--api", "sorna", "run", "-q", "-t", "my-kernel", "python3"]);
            command.args(arguments).stdin(std::process::Stdio::null());
            command
        };
        let mut first = run(arguments);
        first.stdout(std::process::Stdio::piped());
        let mut first = first.spawn().expect("sorna runs");
        let mut line = String::new();
        let stdout = first.stdout.as_mut().expect("a pipe");
        std::io::BufReader::new(stdout)
            .read_line(&mut line)
            .expect("text");
        assert_eq!(line, "up-1\n");
        let id = rustix::process::Pid::from_child(&first);
        rustix::process::kill_process(id, signal).expect("it lives");
        assert!(!first.wait().expect("it ends").success());

        let output = run(&["-c", "second"]).output().expect("sorna runs");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.stdout, b"second", "{stderr}");
        assert!(stderr.contains("late\n"), "{stderr}");
        assert!(stderr.contains("`sorna restart k1`"), "{stderr}");
        let codes = codes.lock().expect("no panic");
        assert_eq!(codes.iter().filter(|code| *code == "second").count(), 1);
    }
}

#[test]
fn code_is_not_taken_for_the_input_of_what_was_left_waiting() {
    let (address, codes) = executing(|_| {
        let options = json!({"is_password": false});
        json!({"status": "waiting-input", "console": [], "options": options})
    });
    let directory = here();
    let run = |code: &str| {
        let mut command = stub::at(sorna(directory.path()), address);
        command.env("XDG_STATE_HOME", directory.path().join("state"));
        command.args(["--api", "sorna", "run", "-q", "-t", "my-kernel"]);
        command.args(["python3", "-c", code]);
        command.stdin(std::process::Stdio::null());
        let output = command.output().expect("sorna runs");
        String::from_utf8(output.stderr).expect("text")
    };
    assert!(run("first").contains("cannot tell programs so"));
    for code in ["second", "third"] {
        let stderr = run(code);
        assert!(stderr.contains("nothing was run"), "{stderr}");
        assert!(stderr.contains("`sorna restart k1`"), "{stderr}");
    }
    assert_eq!(*codes.lock().expect("no panic"), ["first"]);
}
