//! Marked executions in sessions: what is busy, and responses that are lost. `marked.rs` above has more of them.

use std::io::Write;

use serde_json::{Value, json};

use super::client::{Client, Signing, gateway, text};
use super::files::upload;
use super::streams::Socket;

const LONG: &str = "echo begun; until [ -e go ]; do sleep 0.005; done; echo end";

fn marked(mode: &str, code: &str, id: &str, number: u32) -> Value {
    let run = json!({"id": id, "request": number});
    let options = match mode {
        "batch" => json!({"build": "", "exec": code, "run": run}),
        _ => json!({"run": run}),
    };
    let code = if mode == "batch" { "" } else { code };
    json!({"mode": mode, "code": code, "run_id": id, "options": options})
}

/// Starts what prints `begun`, and continues until it has: the last request, and its result.
fn begin(client: &Client, session: &str, mode: &str, code: &str) -> (u32, Value) {
    let mut result = client.execute(session, &marked(mode, code, "first", 0));
    let mut number = 0;
    while !text(&result, "stdout").contains("begun\n") {
        number += 1;
        result = client.execute(session, &marked("continue", "", "first", number));
    }
    (number, result)
}

/// Continues from the request with this number: all output.
fn rest(client: &Client, session: &str, id: &str, number: u32, mut result: Value) -> String {
    let mut output = text(&result, "stdout");
    let mut number = number;
    while result["status"] != "finished" {
        number += 1;
        result = client.execute(session, &marked("continue", "", id, number));
        output += &text(&result, "stdout");
    }
    output
}

#[test]
fn a_session_that_is_busy_says_so_at_once() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    for mode in ["query", "batch"] {
        client.create(mode, "bash");
        let (number, begun) = begin(&client, mode, mode, LONG);
        let target = format!("/session/{mode}");
        for other in ["query", "batch"] {
            let (status, problem) =
                client.json("POST", &target, &marked(other, "echo other", "second", 0));
            assert_eq!((status, &problem["data"]["mode"]), (409, &json!(mode)));
            let mut socket = Socket::open(&client, &format!("/stream{target}/execute")).unwrap();
            socket.send(&marked(other, "echo other", "third", 0).to_string());
            let message = socket.json();
            assert_eq!(message["status"], "error");
            assert_eq!(message["type"], problem["type"]);
            assert_eq!(message["data"]["mode"], mode);
        }
        upload(&client, mode, &[("go", b"")]).unwrap();
        let output = rest(&client, mode, "first", number, begun);
        assert_eq!(output, "begun\nend\n");
        let after = client.execute(mode, &marked("query", "echo after", "fourth", 0));
        assert_eq!(rest(&client, mode, "fourth", 0, after), "after\n");
    }
}

#[test]
fn a_session_may_be_waited_for_over_a_websocket() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    client.create("wait", "bash");
    begin(&client, "wait", "query", LONG);
    let mut start = marked("query", "echo second", "second", 0);
    start["options"]["run"]["wait"] = json!(true);
    let mut socket = Socket::open(&client, "/stream/session/wait/execute").unwrap();
    socket.send(&start.to_string());
    upload(&client, "wait", &[("go", b"")]).unwrap();
    // The gateway may also give up waiting, if this is slow.
    let mut message = socket.json();
    while message["status"] == "error" {
        socket = Socket::open(&client, "/stream/session/wait/execute").unwrap();
        socket.send(&start.to_string());
        message = socket.json();
    }
    assert_eq!(text(&message, "stdout"), "second\n");
}

#[test]
fn a_request_that_comes_once_more_does_nothing() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    for mode in ["query", "batch"] {
        client.create(mode, "bash");
        let target = format!("/session/{mode}");
        let code = "echo begun; read x; echo $x >>log; cat log";
        let (mut body, mut number, mut output) = (marked(mode, code, "first", 0), 0, String::new());
        loop {
            let mut connection = client.connect();
            let bytes = body.to_string();
            let head = client.head("POST", &target, bytes.len(), &Signing::default(), "");
            connection.write_all((head + &bytes).as_bytes()).unwrap();
            drop(connection);
            let result = client.execute(mode, &body);
            assert_eq!(client.execute(mode, &body), result);
            output += &text(&result, "stdout");
            number += 1;
            body = match result["status"].as_str().unwrap() {
                "finished" => break,
                "waiting-input" => marked("input", "42", "first", number),
                _ => marked("continue", "", "first", number),
            };
        }
        assert_eq!(output, "begun\n42\n", "{mode}");
        let (_, log) = client.json("GET", &format!("{target}/logs"), &Value::Null);
        assert_eq!(log["result"]["logs"], "begun\n42\n", "{mode}");
    }
}
