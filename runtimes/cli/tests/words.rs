//! Words of gateways: none of them acts on a terminal, or passes for a line of the command.

mod support;

use std::net::SocketAddr;

use serde_json::{Value, json};

use support::stub::{self, Request};
use support::{here, sorna};

const UUID: &str = "7c548299-6be3-4613-8cf0-f11deb896755";
const HOSTILE: &str =
    "a\u{1b}[2J\u{1b}]0;title\u{7}\u{9b}31m\r\n✔ forged\u{202e}\u{2028}✘ forged\u{8}z";

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

#[test]
fn no_word_of_a_gateway_acts_on_a_terminal() {
    let directory = here();
    support::write(directory.path(), &[("file.txt", "x")]);
    let commands: &[&[&str]] = &[
        &["langs"],
        &["status"],
        &["ps"],
        &["ps", "-q"],
        &["ls", UUID],
        &["info", UUID],
        &["info", "k1"],
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
                for stream in [output.stdout, output.stderr] {
                    let text = String::from_utf8(stream).expect("text");
                    let acts = |c: char| {
                        (c.is_control() && !"\n\t".contains(c)) || "\u{202e}\u{2028}".contains(c)
                    };
                    assert!(!text.contains(acts), "{api} {arguments:?}: {text:?}");
                    let is_forged = |line: &str| {
                        line.starts_with(['✔', '✘']) && line[3..].starts_with(" forged")
                    };
                    assert!(!text.lines().any(is_forged), "{api} {arguments:?}: {text}");
                    shown += usize::from(text.contains("forged"));
                }
            }
        }
        assert!(shown > 9, "{shown} commands show them");
    }
}
