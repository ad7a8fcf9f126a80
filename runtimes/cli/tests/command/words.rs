//! Words of gateways: none of them acts on a terminal, or passes for a line of the command.

use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::support::server::answering_in_turn;
use crate::support::stub::{self, Request};
use crate::support::{here, sorna};

const UUID: &str = "7c548299-6be3-4613-8cf0-f11deb896755";
const HOSTILE: &str =
    "a\u{7f}\u{1b}[2J\u{1b}]0;title\u{7}\u{9b}31m\r\n✔ forged\u{202e}\u{2028}✘ forged\u{8}z";

const FORGED: &str = "✔ forged";

/// Responses whose every text is hostile, or error responses of that kind.
fn gateway(fails: bool) -> SocketAddr {
    stub::stub(move |request: &Request| {
        let path = request.path.split('?').next().unwrap_or_default();
        let last = path.rsplit('/').next().unwrap_or_default();
        let answer = match (request.method.as_str(), path) {
            ("GET", "/") => json!({"version": "v9.20250722", "manager": HOSTILE}),
            ("GET", "/v2") => json!({"version": "v2.20170315"}),
            _ if fails => {
                let problem = json!({"type": HOSTILE, "title": HOSTILE, "msg": HOSTILE,
                    "agent-details": {"errno": -1, "strerror": HOSTILE}, "error_code": HOSTILE});
                return Some((400, problem.to_string()));
            }
            ("POST", "/auth") | ("GET", "/v2/authorize") => {
                json!({"authorized": "yes", "echo": HOSTILE})
            }
            ("GET", "/v2/languages") => json!({"languages": [
                {"name": HOSTILE, "available": true, "aliases": [HOSTILE]},
                {"name": HOSTILE, "missing": HOSTILE},
            ]}),
            ("POST", "/admin/gql") => graphql(),
            ("POST", "/v2/kernel/create") => json!({"kernelId": "k1"}),
            ("POST", "/session") => json!({"sessionId": UUID, "sessionName": HOSTILE,
                "status": "RUNNING", "created": true, "servicePorts": []}),
            ("DELETE", _) => json!({"stats": {HOSTILE: HOSTILE}}),
            ("GET", "/session/_/match") => {
                json!({"matches": [{"id": UUID, "name": HOSTILE, "status": "RUNNING"}]})
            }
            ("GET", _) if last == "files" => {
                let files = json!([{"mode": HOSTILE, "size": 1, "filename": HOSTILE}]);
                json!({"files": files.to_string(), "errors": HOSTILE, "abspath": HOSTILE})
            }
            ("POST", _) if last == "complete" => {
                json!({"result": {"completions": [HOSTILE]}, "completions": [HOSTILE]})
            }
            ("GET", _) => json!({"status": "RUNNING", "lang": HOSTILE, "image": HOSTILE,
                "statusInfo": HOSTILE, "numQueriesExecuted": 1, "resultMessage": HOSTILE,
                "occupiedSlots": {HOSTILE: HOSTILE}, "environ": {HOSTILE: HOSTILE}, HOSTILE: HOSTILE}),
            ("POST", _) => {
                let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
                json!({"result": {"status": "finished", "runId": body["run_id"], "exitCode": 0,
                "options": null, "files": [], "console": [
                    ["media", [HOSTILE, HOSTILE]], ["html", HOSTILE], [HOSTILE, HOSTILE],
                    ["log", [HOSTILE, HOSTILE, HOSTILE, HOSTILE]], ["log", HOSTILE],
                    ["log", ["", "", "", FORGED]], ["log", ["", FORGED, "", ""]],
                ]}})
            }
            _ => json!({}),
        };
        let status = if path == "/session" || path == "/v2/kernel/create" {
            201
        } else {
            200
        };
        Some((status, answer.to_string()))
    })
}

fn graphql() -> Value {
    json!({"data": {
        "images": [{"name": HOSTILE, "tag": HOSTILE, "registry": HOSTILE, "architecture": HOSTILE,
            "aliases": [HOSTILE], "digest": HOSTILE, "installed": true}],
        "compute_session_list": {"total_count": 1, "items": [{"id": UUID, "session_id": UUID,
            "name": HOSTILE, "status": HOSTILE, "status_info": HOSTILE, "image": HOSTILE,
            "created_at": HOSTILE}]},
    }})
}

/// A gateway that streams hostile events and results.
fn streams(status: &'static str) -> SocketAddr {
    stub::stub(move |request: &Request| {
        let path = request.path.split('?').next().unwrap_or_default();
        let last = path.rsplit('/').next().unwrap_or_default();
        let answer = match (request.method.as_str(), path) {
            // Such a manager is asked for executions over WebSockets.
            ("GET", "/") => json!({"version": "v9.20250722", "manager": "sorna-gateway 0.1.0"}),
            ("GET", "/session/_/match") => {
                json!({"matches": [{"id": UUID, "name": "a-session", "status": "RUNNING"}]})
            }
            ("GET", "/events/session") => {
                let fields = json!({"reason": HOSTILE, "sessionId": HOSTILE,
                    "sessionName": HOSTILE, "exitCode": HOSTILE, HOSTILE: HOSTILE});
                let name = HOSTILE.replace(['\r', '\n'], " ");
                let mut text = String::new();
                for data in [fields.to_string(), HOSTILE.replace(['\r', '\n'], " ")] {
                    text += &format!("event: {name}\r\ndata: {data}\r\n\r\n");
                }
                return Some((200, text));
            }
            ("GET", _) if last == "execute" => {
                let answer = json!({"status": status, "exitCode": 0, "files": [],
                    "options": {HOSTILE: HOSTILE}, "msg": HOSTILE, "console": [
                    ["media", [HOSTILE, HOSTILE]], ["html", HOSTILE], [HOSTILE, HOSTILE],
                    ["log", [HOSTILE, HOSTILE, HOSTILE, HOSTILE]], ["log", HOSTILE],
                ]});
                return Some((101, answer.to_string()));
            }
            ("POST", "/session") => {
                return Some((
                    201,
                    json!({"sessionId": UUID, "sessionName": HOSTILE,
                "status": "RUNNING", "created": true, "servicePorts": []})
                    .to_string(),
                ));
            }
            ("DELETE", _) => json!({"stats": {}}),
            ("GET", _) => json!({"status": "RUNNING", "image": HOSTILE}),
            _ => json!({"result": {"status": status, "exitCode": 0, "options": null, "files": [],
                "console": [["log", [HOSTILE, HOSTILE, HOSTILE, HOSTILE]]]}}),
        };
        Some((200, answer.to_string()))
    })
}

#[test]
fn no_stream_of_a_gateway_acts_on_a_terminal() {
    let directory = here();
    crate::support::write(directory.path(), &[("file.py", "x")]);
    let mut shown = 0;
    for status in ["finished", "error", HOSTILE] {
        let address = streams(status);
        for arguments in [
            &["events"][..],
            &["events", "--json"],
            &["run", "python3", "-c", "1"],
            &["run", "python3", "file.py"],
            &["run", "--json", "python3", "file.py"],
        ] {
            let mut command = stub::at(sorna(directory.path()), address);
            command.args(["--api", "backend-ai"]).args(arguments);
            let output = command.output().expect("sorna runs");
            for text in harmless(&format!("{status:?} {arguments:?}"), output) {
                shown += usize::from(text.contains("forged"));
            }
        }
    }
    assert!(shown > 9, "{shown} commands show them");
}

/// What a command has written, which must neither act on a terminal nor pass for a line of its own.
#[track_caller]
fn harmless(what: &str, output: Output) -> [String; 2] {
    [output.stdout, output.stderr].map(|stream| {
        let text = String::from_utf8(stream).expect("text");
        let acts = |c: char| {
            (c.is_control() && !"\n\t".contains(c)) || "\u{202e}\u{2028}\u{7f}".contains(c)
        };
        assert!(!text.contains(acts), "{what}: {text:?}");
        let is_forged =
            |line: &str| line.starts_with(['✔', '✘']) && line[3..].starts_with(" forged");
        assert!(!text.lines().any(is_forged), "{what}: {text}");
        text
    })
}

#[test]
fn no_word_of_a_gateway_acts_on_a_terminal() {
    let directory = here();
    crate::support::write(directory.path(), &[("file.txt", "x")]);
    let commands: &[&[&str]] = &[
        &["langs"],
        &["langs", "--json"],
        &["status"],
        &["ps"],
        &["ps", "-q"],
        &["ps", "--json"],
        &["ls", UUID],
        &["ls", "--json", UUID],
        &["info", UUID],
        &["info", "--json", UUID],
        &["info", "k1"],
        &["info", "--json", "k1"],
        &["interrupt", UUID],
        &["rename", UUID, "another"],
        &["restart", UUID],
        &["destroy", UUID],
        &["destroy", "k1"],
        &["events", UUID],
        &["download", UUID, "file.txt"],
        &["logs", "nobody"],
        &["complete", "python3", "pri"],
        &["upload", "-t", "work", "python3", "file.txt"],
        &["run", "python3", "-c", "1"],
        &["run", "-t", "work", "python3", "-c", "1"],
        &["run", "--json", "-t", "work", "python3", "-c", "1"],
        &["run", "--enqueue", "-t", "work", "python3"],
        &["run", "python3", "file.txt", "-e", "cat file.txt"],
    ];
    for fails in [false, true] {
        let address = gateway(fails);
        let mut shown = 0;
        for api in ["sorna", "backend-ai"] {
            // A terminal that is opened stays open.
            let shell: &[&[&str]] = if fails { &[&["shell", "python3"]] } else { &[] };
            for arguments in commands.iter().chain(shell) {
                let mut command = stub::at(sorna(directory.path()), address);
                command.args(["--api", api]).args(*arguments);
                let output = command.output().expect("sorna runs");
                for text in harmless(&format!("{api} {arguments:?}"), output) {
                    shown += usize::from(text.contains("forged"));
                }
            }
        }
        assert!(shown > 9, "{shown} commands show them");
    }
}

/// The same for a web server, at which users log in.
fn web(command: &mut Command, address: SocketAddr) -> &mut Command {
    command
        .env("BACKEND_ENDPOINT", format!("http://{address}"))
        .env("BACKEND_ENDPOINT_TYPE", "session")
}

/// A command with this standard input.
fn output_of(command: &mut Command, input: &str) -> Output {
    let mut child = command.stdin(Stdio::piped()).spawn().expect("sorna runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    // It may have ended already.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    child.wait_with_output().expect("it ends")
}

#[test]
fn no_word_of_a_web_server_acts_on_a_terminal() {
    const JSON: &str = "200 OK\nContent-Type: application/json";
    let hello = json!({"version": "v7.20230615", "manager": HOSTILE}).to_string();
    let rejected = json!({"authenticated": false,
        "data": {"type": HOSTILE, "title": HOSTILE, "details": HOSTILE}});
    let failed = json!({"type": HOSTILE, "title": HOSTILE, "msg": HOSTILE});
    let accepted = json!({"authenticated": true,
        "data": {"access_key": HOSTILE, "role": HOSTILE, "status": HOSTILE}});
    let cookie = format!("{JSON}\nSet-Cookie: AIOHTTP_SESSION=5f0c; HttpOnly; Path=/");
    let mut shown = 0;
    for (head, body) in [
        (JSON, &rejected),
        ("400 X\nContent-Type: application/json", &failed),
        (cookie.as_str(), &accepted),
    ] {
        let directory = here();
        let body = body.to_string();
        let address = answering_in_turn(&[(JSON, &hello), (head, &body)]);
        let login = &["login", "--user", "me", "--password-stdin"][..];
        for arguments in [login, &["config"], &["status"], &["ps"], &["logout"]] {
            let mut command = sorna(directory.path());
            let command = web(&mut command, address).args(arguments);
            let texts = harmless(&format!("{arguments:?}"), output_of(command, "secret\n"));
            shown += usize::from(texts.iter().any(|text| text.contains("forged")));
        }
    }
    assert!(shown > 2, "{shown} commands show them");
}

#[test]
fn no_place_that_a_gateway_names_acts_on_a_terminal() {
    let directory = here();
    let mut shown = 0;
    for place in [
        "https://a.example/x",
        "https://a.example\u{202e}\u{9b}31m/x",
        "https://a.example:80\u{2028}✘ forged/x",
        "\u{9b}31m",
        "https://u\u{9b}:p@a.example/x",
    ] {
        let head = format!("302 Found\nLocation: {place}");
        let address = answering_in_turn(&[(&head, "")]);
        for api in ["sorna", "backend-ai", "auto"] {
            for arguments in [&["langs"][..], &["status"], &["run", "bash", "-c", "1"]] {
                let mut command = stub::at(sorna(directory.path()), address);
                command.args(["--api", api]).args(arguments);
                let output = command.output().expect("sorna runs");
                assert!(!output.status.success());
                let texts = harmless(&format!("{place:?} {api} {arguments:?}"), output);
                shown += usize::from(texts.iter().any(|text| text.contains("a.example")));
            }
        }
    }
    assert!(shown > 2, "{shown} commands show them");
}

#[test]
fn no_setting_acts_on_a_terminal() {
    // TOML has no DEL in texts, but as an escape.
    let quoted = Value::from(HOSTILE)
        .to_string()
        .replace('\u{7f}', "\\u007f");
    let one = |name: &str| {
        let values = [
            ("endpoint", "\"http://127.0.0.1:1\""),
            ("access_key", "\"AKIAIOSFODNN7EXAMPLE\""),
            ("secret_key", "\"a-secret\""),
            ("api", "\"backend-ai\""),
        ];
        let mut lines = "[profiles.default]\n".to_owned();
        for (key, value) in values.into_iter().filter(|(key, _)| *key != name) {
            lines += &format!("{key} = {value}\n");
        }
        lines + &format!("{name} = {quoted}\n")
    };
    let names = [
        "endpoint",
        "endpoint_type",
        "access_key",
        "secret_key",
        "ca_file",
        "api",
        "domain",
        "group",
    ];
    let profile = format!(
        "default_profile = {quoted}\n[profiles.{quoted}]\nendpoint = \"http://127.0.0.1:1\"\n"
    );
    let unknown = format!("[profiles.default]\n{quoted} = 1\n");
    let files = names.map(one).into_iter().chain([profile, unknown]);
    let mut shown = 0;
    for file in files {
        let directory = here();
        crate::support::write(directory.path(), &[("settings.toml", &file)]);
        for arguments in [&["config"][..], &["status"], &["ps"]] {
            let mut command = sorna(directory.path());
            command.args(["--config", "settings.toml"]).args(arguments);
            let output = command.output().expect("sorna runs");
            let texts = harmless(&format!("{file} {arguments:?}"), output);
            shown += usize::from(texts.iter().any(|text| text.contains("forged")));
        }
    }
    assert!(shown > 3, "{shown} commands show them");
}
