//! What gateway 0.9.11 does, and no other: see `core/tests/captures.rs` for bytes of it.

mod support;

use std::net::SocketAddr;
use std::process::Output;

use serde_json::json;

use support::stub::{self, Request};
use support::{here, sorna};

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
