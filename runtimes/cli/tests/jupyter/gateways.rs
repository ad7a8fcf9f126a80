//! Gateways other than those of `sorna serve`, as far as kernels see them: what they respond was recorded, and is in
//! `core/tests/data` as well.

use std::net::SocketAddr;
use std::sync::Mutex;

use serde_json::{Value, json};
use sorna_test_tools::need_jupyter;

use crate::support::stub::{self, Request};
use crate::support::{here, program, sorna, write};
use crate::{Lab, shown};

/// Of Python itself, as the gateway of 2017 shows it.
const PLAIN: &str = "Traceback (most recent call last):\n  File \"<input>\", line 1, in <module>\nZeroDivisionError: division by zero\n";
/// Of IPython, as a manager of Backend.AI 23.09.10 shows it.
const COLORED: &str = "\u{1b}[0;31m---------------------------------------------------------------------------\u{1b}[0m\n\u{1b}[0;31mZeroDivisionError\u{1b}[0m                         Traceback (most recent call last)\nCell \u{1b}[0;32mIn[4], line 1\u{1b}[0m\n\u{1b}[0;32m----> 1\u{1b}[0m \u{1b}[38;5;241;43m1\u{1b}[39;49m\u{1b}[38;5;241;43m/\u{1b}[39;49m\u{1b}[38;5;241;43m0\u{1b}[39;49m\n\n\u{1b}[0;31mZeroDivisionError\u{1b}[0m: division by zero";

/// What a program has done since the last request, and how far it is.
fn act(code: &str, step: usize, traceback: &str) -> (&'static str, Value) {
    let out = |text: &str| json!([["stdout", text]]);
    let error = json!(["stderr", traceback]);
    if let (Some(begin), 0) = (code.find("answer-"), step) {
        // A question of the kernel, while something else prints: the answer comes after what it names.
        let begin = &code[begin..];
        let begin = &begin[..begin.find('"').expect("the end of a text")];
        let text = format!("late\n\u{1e}{begin}5479706521.\nlater\n");
        return ("finished", out(&text));
    }
    match (code, step) {
        ("fails", 0) => ("finished", json!([["stdout", "before\n"], error])),
        ("shows", 0) => ("finished", json!([error, ["stdout", "after\n"]])),
        ("warns", 0) => ("finished", json!([["stderr", "Traceback: none\n"]])),
        ("slow", 0) => ("continued", out("one\n")),
        ("slow", _) => ("finished", out("two\n")),
        ("slowly fails", 0) => ("continued", json!([error])),
        ("slowly fails", _) => ("finished", json!([])),
        ("asks", 0) => ("waiting-input", out("name? ")),
        ("asks", _) => ("finished", out("née\n")),
        ("endless", 0) => ("continued", out("on\n")),
        ("endless", _) => {
            // As it waits for output.
            std::thread::sleep(std::time::Duration::from_millis(20));
            ("continued", json!([]))
        }
        ("interrupted", _) => {
            let error = traceback.replace("ZeroDivisionError", "KeyboardInterrupt");
            let error = error.replace("division by zero", "");
            ("finished", json!([["stderr", error]]))
        }
        _ => ("finished", json!([])),
    }
}

/// The program that runs, and how many requests there were for it.
#[derive(Default)]
struct Program(Mutex<(String, usize)>);

impl Program {
    fn begin(&self, code: &str) {
        *self.0.lock().expect("no panic") = (code.to_owned(), 0);
    }

    fn next(&self, traceback: &str) -> (&'static str, Value) {
        let mut program = self.0.lock().expect("no panic");
        program.1 += 1;
        let (code, step) = (program.0.clone(), program.1 - 1);
        drop(program);
        act(&code, step, traceback)
    }
}

/// Version 0.9.11: executes without exit codes, and cannot interrupt or complete.
fn of_2017() -> SocketAddr {
    let program = Program::default();
    stub::stub(move |request: &Request| {
        Some(match (request.method.as_str(), request.path.as_str()) {
            ("GET", "/v2") => (200, json!({"version": "v2.20170315"}).to_string()),
            ("POST", "/v2/kernel/create") => (201, json!({"kernelId": "k1"}).to_string()),
            ("PATCH", "/v2/kernel/k1") => {
                program.begin("");
                (204, String::new())
            }
            ("DELETE", "/v2/kernel/k1") => (204, String::new()),
            ("POST", "/v2/kernel/k1") => {
                let body: Value = serde_json::from_slice(&request.body).expect("JSON");
                let code = body["code"].as_str().expect("text");
                if body["mode"] == "complete" {
                    let problem = json!({"type": "https://api.sorna.io/probs/internal-server-error", "title": "Internal server error."});
                    return Some((500, problem.to_string()));
                }
                // A continuation, or an answer.
                if !code.is_empty() && !code.starts_with("née") {
                    program.begin(code);
                }
                let (status, console) = program.next(PLAIN);
                let options = match status {
                    "finished" => json!({}),
                    "waiting-input" => json!({"is_password": false}),
                    _ => Value::Null,
                };
                let result =
                    json!({"status": status, "console": console, "options": options, "files": []});
                (200, json!({ "result": result }).to_string())
            }
            _ => {
                let problem = json!({"type": "https://api.sorna.io/probs/generic-not-found", "title": "Unknown URL path."});
                (404, problem.to_string())
            }
        })
    })
}

/// A manager, version 23.09.10: exceptions have exit code 0.
fn of_2023() -> SocketAddr {
    let program = Program::default();
    stub::stub(move |request: &Request| {
        let path = request.path.as_str();
        Some(match request.method.as_str() {
            "GET" if path == "/" => (
                200,
                json!({"version": "v7.20230615", "manager": "23.09.10"}).to_string(),
            ),
            "POST" if path == "/session" => {
                let id = "640133fd-e52d-4b07-b24c-78a4fcf27251";
                let session = json!({"sessionId": id, "sessionName": "x", "status": "RUNNING", "servicePorts": [], "created": true});
                (201, session.to_string())
            }
            "POST" if path.contains("/interrupt") => {
                program.begin("interrupted");
                (204, String::new())
            }
            "DELETE" => (200, json!({"stats": {"status": "terminated"}}).to_string()),
            "POST" if path.starts_with("/session/") => {
                let body: Value = serde_json::from_slice(&request.body).expect("JSON");
                let run = body["runId"].as_str().or_else(|| body["run_id"].as_str());
                if body["mode"] == "query" {
                    program.begin(body["code"].as_str().expect("text"));
                }
                let (status, console) = program.next(COLORED);
                let code = if status == "finished" {
                    json!(0)
                } else {
                    Value::Null
                };
                let options = match status {
                    "waiting-input" => json!({"is_password": false}),
                    _ => Value::Null,
                };
                let result = json!({"status": status, "runId": run.unwrap_or("r1"), "exitCode": code, "options": options,
                    "files": [], "console": console});
                (200, json!({ "result": result }).to_string())
            }
            _ => {
                let problem = json!({"type": "https://api.backend.ai/probs/url-not-found", "title": "Unknown URL path."});
                (404, problem.to_string())
            }
        })
    })
}

fn cells_run_on(name: &str, gateway: fn() -> SocketAddr, prefix: &str) {
    let Some(python) = need_jupyter() else {
        return;
    };
    let lab = Lab {
        directory: here(),
        python,
    };
    let mut install = lab.prepared(sorna(lab.path()));
    let installed = install.args(["jupyter", "install", "python3"]).output();
    assert!(installed.expect("sorna runs").status.success());
    write(lab.path(), &[("script.py", include_str!("gateways.py"))]);
    let mut client = lab.prepared(program(&lab.python, lab.path()));
    for (name, value) in stub::environment(&format!("http://{}", gateway())) {
        client.env(name.replace("SORNA", prefix), value);
    }
    let output = client.args(["script.py", name]).output();
    let output = output.expect("python runs");
    assert!(output.status.success(), "{}", shown(&output));
}

#[test]
fn cells_run_on_the_gateway_of_2017() {
    cells_run_on("2017", of_2017, "SORNA");
}

#[test]
fn cells_run_on_a_manager_of_backend_ai_23_09() {
    cells_run_on("23.09", of_2023, "BACKEND");
}
