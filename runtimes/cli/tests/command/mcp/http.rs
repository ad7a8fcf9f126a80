//! `sorna mcp --http`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use snapbox::cmd::cargo_bin;
use tempfile::TempDir;

use super::client::{files_of, local};
use crate::support::{eventually, here, program, wait};

/// A server that listens.
pub(crate) struct Served {
    child: Child,
    pub(crate) url: String,
    /// As far as it was printed.
    token: Option<String>,
    directory: TempDir,
}

impl Served {
    pub(crate) fn start(change: impl FnOnce(&mut Command)) -> Self {
        Self::start_at("127.0.0.1:0", change)
    }

    fn start_at(address: &str, change: impl FnOnce(&mut Command)) -> Self {
        let directory = here();
        let mut command = local(directory.path(), &["--http", address]);
        change(&mut command);
        let mut child = command.spawn().expect("sorna runs");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut line = || {
            let mut text = String::new();
            lines.read_line(&mut text).expect("text");
            text.trim().to_owned()
        };
        let url = line();
        let url = url
            .strip_prefix("export SORNA_MCP_URL=")
            .expect("the URL")
            .to_owned();
        let url = url.trim_matches('\'').to_owned();
        let is_random = !command
            .get_envs()
            .any(|(name, _)| name == "SORNA_MCP_TOKEN")
            && !command.get_args().any(|it| it == "--token-file");
        let token = is_random.then(|| {
            let token = line();
            token
                .strip_prefix("export SORNA_MCP_TOKEN=")
                .expect("the token")
                .to_owned()
        });
        Self {
            child,
            url,
            token,
            directory,
        }
    }

    /// With a token that the test knows.
    pub(crate) fn known() -> Self {
        Self::start(|command| {
            command.env("SORNA_MCP_TOKEN", TOKEN);
        })
    }

    fn address(&self) -> &str {
        let address = self.url.strip_prefix("http://").expect("a URL");
        address.strip_suffix("/mcp").expect("the path")
    }

    /// Sends a request, and does not wait.
    fn begin(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address()).expect("it listens");
        let mut head = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        if !headers.iter().any(|(name, _)| *name == "Host") {
            head += &format!("Host: {}\r\n", self.address());
        }
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        let text = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
        stream.write_all(text.as_bytes()).expect("it reads");
        stream
    }

    /// Sends a request, and returns the status and the whole response.
    fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> (u16, String) {
        let mut stream = self.begin(method, path, headers, body);
        let mut response = String::new();
        stream.read_to_string(&mut response).expect("text");
        let status = response.split(' ').nth(1).and_then(|it| it.parse().ok());
        (status.expect("a status"), response)
    }

    /// Posts a message, of the last revision, with this token, and does not wait.
    fn begin_post(
        &self,
        token: &str,
        method: &str,
        name: &str,
        mut parameters: Value,
    ) -> TcpStream {
        parameters["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters});
        let bearer = format!("Bearer {token}");
        let mut headers = vec![
            ("Authorization", bearer.as_str()),
            ("Content-Type", "application/json"),
            ("Accept", "application/json, text/event-stream"),
            ("MCP-Protocol-Version", "2026-07-28"),
            ("Mcp-Method", method),
        ];
        if !name.is_empty() {
            headers.push(("Mcp-Name", name));
        }
        self.begin("POST", "/mcp", &headers, &message.to_string())
    }

    /// The message that answers it.
    fn post(&self, token: &str, method: &str, name: &str, parameters: Value) -> Value {
        let mut response = String::new();
        let mut stream = self.begin_post(token, method, name, parameters);
        stream.read_to_string(&mut response).expect("text");
        message(&response)
    }

    /// Begins as clients of earlier revisions do.
    fn shake_hands(&self) -> Guest<'_> {
        let mut guest = Guest {
            served: self,
            id: String::new(),
        };
        let parameters = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
        let response = guest.send(
            "POST",
            &json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": parameters}),
        );
        assert_eq!(
            message(&response)["result"]["protocolVersion"],
            "2025-11-25"
        );
        let head = response.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("mcp-session-id").then_some(value)
        });
        guest.id = head.expect("an ID").to_owned();
        guest.send(
            "POST",
            &json!({"jsonrpc": "2.0", "method": "notifications/initialized"}),
        );
        guest
    }

    pub(crate) fn end(mut self) {
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(id.expect("an ID"), Signal::TERM).expect("it is there");
        assert!(wait(&mut self.child).success());
        assert_eq!(files_of(self.directory.path()), Vec::<String>::new());
    }
}

/// The last message of a response.
fn message(response: &str) -> Value {
    assert!(response.starts_with("HTTP/1.1 200"), "{response}");
    let start = response
        .rfind("{\"jsonrpc\"")
        .unwrap_or_else(|| panic!("no message: {response}"));
    let mut messages = serde_json::Deserializer::from_str(&response[start..]).into_iter();
    messages.next().expect("a message").expect("JSON")
}

/// A client that began with a handshake.
struct Guest<'s> {
    served: &'s Served,
    id: String,
}

impl Guest<'_> {
    fn send(&self, method: &str, message: &Value) -> String {
        let bearer = format!("Bearer {TOKEN}");
        let mut headers = vec![
            ("Authorization", bearer.as_str()),
            ("Content-Type", "application/json"),
            ("Accept", "application/json, text/event-stream"),
            ("MCP-Protocol-Version", "2025-11-25"),
        ];
        if !self.id.is_empty() {
            headers.push(("Mcp-Session-Id", &self.id));
        }
        let body = message.to_string();
        self.served.request(method, "/mcp", &headers, &body).1
    }

    /// What a tool has for programs.
    fn call(&self, tool: &str, arguments: Value) -> Value {
        let parameters = json!({"name": tool, "arguments": arguments});
        let request =
            json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": parameters});
        let answer = message(&self.send("POST", &request));
        assert_eq!(answer["result"]["isError"], false, "{answer}");
        answer["result"]["structuredContent"].clone()
    }

    fn run(&self, code: &str) -> (Value, Value) {
        let ran = self.call("run_code", json!({"language": "python3", "code": code}));
        (ran["session"].clone(), ran["value"].clone())
    }

    /// Its sessions, and how many others there are.
    fn sessions(&self) -> (Vec<Value>, u64) {
        let listed = self.call("list_sessions", json!({}));
        let own = listed["sessions"].as_array().expect("a list");
        let names = own.iter().map(|it| it["session"].clone()).collect();
        (names, listed["others"].as_u64().unwrap_or_default())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) const TOKEN: &str = "a-token-that-no-one-may-see-in-mcp";

#[test]
fn only_those_with_the_token_are_served() {
    let served = Served::known();
    for headers in [
        &[][..],
        &[("Authorization", "Bearer a-token-that-no-one-may-see-in-mcq")],
        &[("Authorization", "Basic a-token-that-no-one-may-see-in-mcp")],
    ] {
        for path in ["/mcp", "/", "/other"] {
            let (status, response) = served.request("POST", path, headers, "{}");
            assert_eq!(status, 401, "{response}");
            assert!(
                response
                    .to_ascii_lowercase()
                    .contains("www-authenticate: bearer"),
                "{response}"
            );
        }
    }
    let bearer = format!("Bearer {TOKEN}");
    let with = |more: &[(&str, &str)]| {
        let mut headers = vec![("Authorization", bearer.as_str())];
        headers.extend_from_slice(more);
        let path = if more.is_empty() { "/other" } else { "/mcp" };
        served.request("POST", path, &headers, "{}").0
    };
    assert_eq!(with(&[]), 404);
    // What a page of the web could send.
    for (name, value) in [
        ("Origin", "https://example.com"),
        ("Origin", "null"),
        ("Host", "example.com"),
        ("Host", "127.0.0.1.example.com"),
    ] {
        assert_eq!(with(&[(name, value)]), 403, "{name}: {value}");
    }
    served.end();
}

/// They are ended at once where there are as many connections as there may be.
#[test]
fn those_that_say_nothing_make_room() {
    let served = Served::known();
    let languages = || json!({"name": "list_languages", "arguments": {}});
    let slow = json!({
        "name": "run_code",
        "arguments": {"language": "bash", "code": "sleep 2; echo done"},
    });
    let mut waiting = served.begin_post(TOKEN, "tools/call", "run_code", slow);
    let strangers: Vec<_> = (0..300)
        .map(|_| TcpStream::connect(served.address()).expect("it listens"))
        .collect();
    let answer = served.post(TOKEN, "tools/call", "list_languages", languages());
    assert!(answer["result"]["content"].is_array(), "{answer}");
    // A client with the token keeps its connection.
    let mut response = String::new();
    waiting.read_to_string(&mut response).expect("text");
    assert!(response.contains("done"), "{response}");
    drop(strangers);
    served.end();
}

#[test]
fn any_address_of_this_machine_is_served() {
    let served = Served::start_at("127.0.0.2:0", |command| {
        command.env("SORNA_MCP_TOKEN", TOKEN);
    });
    let listed = served.post(TOKEN, "tools/list", "", json!({}));
    assert_eq!(listed["result"]["tools"][0]["name"], "run_code", "{listed}");
    // Pages of this machine are no strangers.
    let bearer = format!("Bearer {TOKEN}");
    for (origin, is_own) in [
        ("http://127.0.0.2:3000", true),
        ("http://localhost:3000", true),
        ("http://[::1]", true),
        ("http://127.0.0.3:3000", false),
        ("http://127.0.0.2.example.com", false),
    ] {
        let headers = [("Authorization", bearer.as_str()), ("Origin", origin)];
        let (status, _) = served.request("POST", "/mcp", &headers, "{}");
        assert_eq!(status != 403, is_own, "{origin}");
    }
    served.end();
}

#[test]
fn a_body_that_is_no_message_gets_an_answer() {
    let served = Served::known();
    let guest = served.shake_hands();
    let bearer = format!("Bearer {TOKEN}");
    let send = |kind: &str, body: &str| {
        let headers = [
            ("Authorization", bearer.as_str()),
            ("Content-Type", kind),
            ("Accept", "application/json, text/event-stream"),
            ("Mcp-Session-Id", &guest.id),
        ];
        served.request("POST", "/mcp", &headers, body)
    };
    let lone = r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"\ud800"}}"#;
    for (body, code, id) in [
        ("no JSON", -32700, Value::Null),
        ("", -32700, Value::Null),
        (lone, -32700, json!(7)),
        ("{\"id\": 8}", -32600, json!(8)),
    ] {
        let (status, response) = send("application/json; charset=utf-8", body);
        assert_eq!(status, 400, "{response}");
        let (_, answer) = response.split_once("\r\n\r\n").expect("a body");
        let answer: Value = serde_json::from_str(answer).expect("JSON");
        assert_eq!(
            (&answer["error"]["code"], &answer["id"]),
            (&json!(code), &id),
            "{answer}"
        );
    }
    assert_eq!(send("text/plain", "{}").0, 415);
    let long = " ".repeat(16 * 1024 * 1024 + 1);
    assert_eq!(send("application/json", &long).0, 413);
    served.end();
}

#[test]
fn clients_do_not_meet_by_accident() {
    let served = Served::known();
    let (one, other) = (served.shake_hands(), served.shake_hands());
    assert_eq!(one.run("x = 1").0, "python3");
    assert_eq!(
        other.run("'x' in globals()"),
        (json!("python3-2"), json!("False"))
    );
    assert_eq!(one.run("x"), (json!("python3"), json!("1")));
    assert_eq!(one.sessions(), (vec![json!("python3")], 1));
    assert_eq!(other.sessions(), (vec![json!("python3-2")], 1));
    // Files are of the session that the same client has used last.
    let written = other.call("write_file", json!({"path": "f", "content": ""}));
    assert_eq!(written["session"], "python3-2");
    // Requests without a handshake are of others, again.
    let arguments = json!({"language": "python3", "code": "'x' in globals()"});
    let parameters = json!({"name": "run_code", "arguments": arguments});
    let called = served.post(TOKEN, "tools/call", "run_code", parameters);
    let called = &called["result"]["structuredContent"];
    assert_eq!(
        (&called["session"], &called["value"]),
        (&json!("python3-3"), &json!("False"))
    );
    // They may meet by a name.
    let arguments = json!({"language": "python3", "code": "x", "session": "python3"});
    assert_eq!(other.call("run_code", arguments)["value"], "1");
    assert_eq!(
        other.sessions(),
        (vec![json!("python3"), json!("python3-2")], 1)
    );
    assert_eq!(other.run("1").0, "python3-2");
    // What no one else has used ends with a client that says that it goes.
    let response = other.send("DELETE", &Value::Null);
    assert!(response.starts_with("HTTP/1.1 204"), "{response}");
    assert_eq!(one.sessions(), (vec![json!("python3")], 1));
    assert_eq!(one.run("x").1, "1");
    let response = other.send(
        "POST",
        &json!({"jsonrpc": "2.0", "id": 3, "method": "tools/list"}),
    );
    assert!(response.starts_with("HTTP/1.1 404"), "{response}");
    served.end();
}

#[test]
fn who_finds_a_session_closed_by_another_client_is_told() {
    let served = Served::known();
    let (one, other) = (served.shake_hands(), served.shake_hands());
    one.run("x = 1");
    other.call("close_session", json!({"session": "python3"}));
    let arguments = json!({"language": "python3", "code": "'x' in globals()"});
    let called = one.call("run_code", arguments);
    assert_eq!(called["value"], "False", "{called}");
    assert_eq!(called["state_lost"], true, "{called}");
    let notes = called["notes"].to_string();
    assert!(notes.contains("another client has closed it"), "{notes}");
    served.end();
}

#[test]
fn sessions_are_shared_by_requests_without_state() {
    let served = Served::start(|_| ());
    let token = served.token.clone().expect("it was printed");
    assert!(token.len() >= 16);
    let discovered = served.post(&token, "server/discover", "", json!({}));
    let versions = discovered["result"]["supportedVersions"]
        .as_array()
        .expect("a list");
    assert!(versions.contains(&json!("2026-07-28")), "{discovered}");
    let run = |code: &str| {
        let arguments = json!({"language": "python3", "code": code});
        let called = served.post(
            &token,
            "tools/call",
            "run_code",
            json!({"name": "run_code", "arguments": arguments}),
        );
        called["result"]["structuredContent"]["value"].clone()
    };
    run("x = 6");
    assert_eq!(run("x * 7"), "42");
    served.end();
}

#[test]
fn a_client_that_goes_away_interrupts_its_program() {
    let served = Served::known();
    let arguments = json!({"language": "python3", "code": "x = 1\nopen('begun', 'w').close()\nimport time\nwhile True: time.sleep(0.01)"});
    let parameters = json!({"name": "run_code", "arguments": arguments});
    let stream = served.begin_post(TOKEN, "tools/call", "run_code", parameters);
    let running = || {
        let listed = served.post(
            TOKEN,
            "tools/call",
            "list_sessions",
            json!({"name": "list_sessions"}),
        );
        listed["result"]["structuredContent"]["sessions"][0]["running"].clone()
    };
    let files = || {
        served.post(
            TOKEN,
            "tools/call",
            "list_files",
            json!({"name": "list_files"}),
        )
    };
    eventually("its start", || files().to_string().contains("begun"));
    assert_eq!(running(), "r1");
    drop(stream);
    eventually("its end", || running() == Value::Null);
    let arguments = json!({"language": "python3", "code": "x"});
    let parameters = json!({"name": "run_code", "arguments": arguments});
    let called = served.post(TOKEN, "tools/call", "run_code", parameters);
    assert_eq!(
        called["result"]["structuredContent"]["value"], "1",
        "{called}"
    );
    served.end();
}

#[test]
fn tokens_come_from_files_and_are_not_printed() {
    let served = Served::start(|command| {
        let file = command
            .get_current_dir()
            .expect("a directory")
            .join("token");
        std::fs::write(&file, format!("{TOKEN}\n")).expect("a file");
        command.arg("--token-file").arg(file);
    });
    assert_eq!(served.token, None);
    let listed = served.post(TOKEN, "tools/list", "", json!({}));
    assert_eq!(listed["result"]["tools"][0]["name"], "run_code", "{listed}");
    served.end();
}

#[test]
fn a_shell_evaluates_what_is_printed() {
    let directory = here();
    let mut command = program(Path::new("bash"), directory.path());
    command.env("SORNA", cargo_bin!("sorna"));
    command.args(["-c", "eval \"$($SORNA mcp --local --http 127.0.0.1:0 & echo SERVER=$!)\"; echo $SORNA_MCP_URL ${#SORNA_MCP_TOKEN}; kill $SERVER"]);
    let output = command.output().expect("bash runs");
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(
        stdout.starts_with("http://127.0.0.1:") && stdout.ends_with("/mcp 32\n"),
        "{output:?}"
    );
}

#[test]
fn addresses_and_tokens_are_checked() {
    for (arguments, token, words) in [
        (
            &["--http", "0.0.0.0:0"][..],
            TOKEN,
            "other machines could reach that",
        ),
        (
            &["--http", "127.0.0.1:0"],
            "short",
            "at least 16 characters",
        ),
        (&["--token-file", "x"], TOKEN, "--http"),
        (
            &["--http", "127.0.0.1:0", "--token-file", "/no/such"],
            TOKEN,
            "/no/such",
        ),
    ] {
        let directory = here();
        let mut command = local(directory.path(), arguments);
        let output = command
            .env("SORNA_MCP_TOKEN", token)
            .output()
            .expect("sorna runs");
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(stderr.contains(words), "{stderr}");
        assert!(!stderr.contains(TOKEN), "{stderr}");
    }
}
