//! WebSockets, and server-sent events.

use std::io::{Read, Write};
use std::net::TcpStream;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::client::{Client, Signing, gateway, gateway_with, read_head, read_some, text};

/// A WebSocket of a client, frame by frame.
pub(crate) struct Socket {
    stream: TcpStream,
    received: Vec<u8>,
}

const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

impl Socket {
    pub(crate) fn open(client: &Client, target: &str) -> Result<Self, (u16, Value)> {
        let signing = Signing {
            media_type: None,
            ..Signing::default()
        };
        let extra = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
            Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
        let mut stream = client.connect();
        let head = client.head("GET", target, 0, &signing, extra);
        stream.write_all(head.as_bytes()).unwrap();
        let (head, mut received) = read_head(&mut stream);
        if head.status() == 101 {
            assert_eq!(
                head.headers()["sec-websocket-accept"],
                "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
            );
            return Ok(Self { stream, received });
        }
        let length: usize = head.headers()["content-length"]
            .to_str()
            .unwrap()
            .parse()
            .unwrap();
        let mut rest = vec![0; length - received.len()];
        stream.read_exact(&mut rest).unwrap();
        received.extend(rest);
        Err((
            head.status().as_u16(),
            serde_json::from_slice(&received).unwrap(),
        ))
    }

    pub(crate) fn send(&mut self, text: &str) {
        self.send_frame(TEXT, text.as_bytes());
    }

    fn send_frame(&mut self, kind: u8, content: &[u8]) {
        // Masked with zeros, which leaves the content as it is.
        let length = u16::try_from(content.len()).unwrap();
        let mut frame = vec![0x80 | kind];
        match u8::try_from(length) {
            Ok(length @ ..126) => frame.push(0x80 | length),
            _ => {
                frame.push(0x80 | 126);
                frame.extend(length.to_be_bytes());
            }
        }
        frame.extend([0; 4]);
        frame.extend(content);
        self.stream.write_all(&frame).unwrap();
    }

    /// The next frame: its kind and content.
    fn next(&mut self) -> (u8, Vec<u8>) {
        let kind = self.take(1)[0] & 0x0f;
        let length = match self.take(1)[0] {
            126 => {
                let bytes = self.take(2);
                usize::from(u16::from_be_bytes([bytes[0], bytes[1]]))
            }
            127 => {
                let bytes: [u8; 8] = self.take(8).try_into().unwrap();
                usize::try_from(u64::from_be_bytes(bytes)).unwrap()
            }
            length => usize::from(length),
        };
        (kind, self.take(length))
    }

    fn take(&mut self, count: usize) -> Vec<u8> {
        let mut chunk = [0; 4096];
        while self.received.len() < count {
            let read = read_some(&mut self.stream, &mut chunk);
            assert!(read > 0, "the connection ended");
            self.received.extend_from_slice(&chunk[..read]);
        }
        let rest = self.received.split_off(count);
        std::mem::replace(&mut self.received, rest)
    }

    pub(crate) fn json(&mut self) -> Value {
        let (kind, content) = self.next();
        assert_eq!(kind, TEXT, "{:?}", String::from_utf8_lossy(&content));
        serde_json::from_slice(&content).unwrap()
    }
}

/// The first message of an execution whose client says what it has received.
fn confirmed(code: &str, id: &str) -> Value {
    let run = json!({"id": id, "request": 0, "unclaimed": true, "persists": true});
    json!({"mode": "query", "code": code, "options": {"run": run}})
}

#[test]
fn more_is_sent_when_what_was_on_its_way_has_arrived() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    client.create("much", "python3");
    let mut socket = Socket::open(&client, "/stream/session/much/execute").unwrap();
    let code = "import time\nprint('x' * 700_000, flush=True)\nfor i in range(20): print(i, flush=True); time.sleep(0.02)";
    socket.send(&confirmed(code, "first").to_string());
    let mut bytes = 0;
    loop {
        match socket.next() {
            (PING, content) => socket.send_frame(PONG, &content),
            (TEXT, content) => {
                let message: Value = serde_json::from_slice(&content).unwrap();
                for record in message["console"].as_array().unwrap() {
                    bytes += record[1].as_str().unwrap().len();
                }
                if message["status"] == "finished" {
                    break;
                }
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(bytes, 700_001 + 50);
}

#[test]
fn what_a_client_has_not_received_that_breaks_off_is_for_that_which_attaches() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    client.create("broken", "bash");
    for number in 0..30 {
        let mut socket = Socket::open(&client, "/stream/session/broken/execute").unwrap();
        let code = format!("echo one{number}; sleep 0.05; echo two{number}; sleep 0.1; echo three");
        socket.send(&confirmed(&code, &format!("a{number}")).to_string());
        let mut first = String::new();
        while !first.contains("one") {
            if let (TEXT, content) = socket.next() {
                first += &String::from_utf8(content).unwrap();
            }
        }
        std::thread::sleep(std::time::Duration::from_millis(number * 5));
        // What it has not read makes this a reset.
        drop(socket);
        let id = format!("b{number}");
        let run = json!({"id": id, "request": 0, "unclaimed": true, "attach": true});
        let attach = json!({"mode": "query", "code": "", "run_id": id, "options": {"run": run}});
        let mut result = client.execute("broken", &attach);
        let mut output = text(&result, "stdout");
        let mut request = 0;
        while result["status"] != "finished" {
            request += 1;
            let run = json!({"id": id, "request": request});
            let next =
                json!({"mode": "continue", "code": "", "run_id": id, "options": {"run": run}});
            result = client.execute("broken", &next);
            output += &text(&result, "stdout");
        }
        // It has confirmed nothing.
        assert_eq!(output, format!("one{number}\ntwo{number}\nthree\n"));
    }
}

#[test]
fn what_does_not_reach_a_client_of_text_is_kept_as_bytes_for_others() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    client.create("exact", "bash");
    let mut socket = Socket::open(&client, "/stream/session/exact/execute").unwrap();
    let code = r"printf 'a\xffb\n'; until [ -e go ]; do sleep 0.005; done";
    socket.send(&confirmed(code, "first").to_string());
    let shown = loop {
        // It gives no sign that it has received this.
        if let (TEXT, content) = socket.next()
            && let text = String::from_utf8(content).unwrap()
            && text.contains('a')
            && text.contains("stdout")
        {
            break text;
        }
    };
    assert!(shown.contains("a\u{fffd}b"), "{shown}");
    drop(socket);
    let mut second = Socket::open(&client, "/stream/session/exact/execute").unwrap();
    let attach = json!({"id": "second", "request": 0, "attach": true, "persists": true});
    let start = json!({"mode": "query", "code": "", "bytes": true, "options": {"run": attach}});
    second.send(&start.to_string());
    let console = loop {
        if let (TEXT, content) = second.next() {
            let message: Value = serde_json::from_slice(&content).unwrap();
            if message["console"] != json!([]) {
                break message["console"].clone();
            }
        }
    };
    assert_eq!(console, json!([["stdout-bytes", "Yf9iCg=="]]));
}

#[test]
fn a_run_is_streamed_to_its_end() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    client.create("stream", "python");
    let mut socket = Socket::open(&client, "/stream/session/stream/execute").unwrap();
    socket.send(&json!({"mode": "query", "code": "print(6 * 7)", "options": {}}).to_string());
    let expected = json!({"status": "finished", "exitCode": 0, "options": null, "files": [], "console": [["stdout", "42\n"]]});
    assert_eq!(socket.json(), expected);
    assert_eq!(socket.next(), (CLOSE, vec![3, 232]));

    let mut socket = Socket::open(&client, "/stream/session/stream/execute").unwrap();
    let code = "print('a', flush=True)\nn = input('? ')\nprint(n)\nexit(4)";
    socket.send(&json!({"mode": "query", "code": code}).to_string());
    let mut output = String::new();
    loop {
        let message = socket.json();
        for record in message["console"].as_array().unwrap() {
            output += record[1].as_str().unwrap();
        }
        match message["status"].as_str().unwrap() {
            "waiting-input" => socket.send("typed"),
            "finished" => {
                assert_eq!(message["exitCode"], 4);
                break;
            }
            _ => {}
        }
    }
    assert_eq!(output, "a\n? typed\n");
    assert_eq!(socket.next().0, CLOSE);
}

#[test]
fn bytes_are_streamed_and_come_in_binary_frames() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    client.create("bytes", "bash");
    for (asks, expected) in [
        (true, json!([["stdout-bytes", "/w0K6Q=="]])),
        (false, json!([["stdout", "\u{fffd}\r\n\u{fffd}"]])),
    ] {
        let mut socket = Socket::open(&client, "/stream/session/bytes/execute").unwrap();
        socket.send(&json!({"mode": "query", "code": "head -c 4", "bytes": asks}).to_string());
        while socket.json()["status"] != "waiting-input" {}
        socket.send_frame(BINARY, b"\xff\r");
        while socket.json()["status"] != "waiting-input" {}
        socket.send_frame(BINARY, b"\n\xe9");
        let last = socket.json();
        assert_eq!(
            (&last["status"], &last["console"]),
            (&json!("finished"), &expected)
        );
        assert_eq!(socket.next().0, CLOSE);
    }
}

#[test]
fn a_program_that_has_gone_on_without_input_is_streamed_on() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    client.create("goes-on", "bash");
    // Nothing is typed.
    let open = |code: &str| {
        let mut socket = Socket::open(&client, "/stream/session/goes-on/execute").unwrap();
        socket.send(&json!({"mode": "query", "code": code}).to_string());
        while socket.json()["status"] != "waiting-input" {}
        socket
    };
    let mut output = String::new();
    let mut rest = |mut socket: Socket, until: &str| loop {
        let message = socket.json();
        for record in message["console"].as_array().unwrap() {
            output += record[1].as_str().unwrap();
        }
        if message["status"] == until {
            return socket;
        }
    };
    rest(open("read -t 1 x; echo \"<$x>\""), "finished");
    let code = "read -t 1 x; echo \"<$x>\"; sleep 3; read -t 20 x; echo \"<$x>\"";
    // What is typed late is for the next question.
    let mut socket = rest(open(code), "waiting-input");
    socket.send("typed");
    rest(socket, "finished");
    assert_eq!(output, "<>\n<>\n<typed>\n");
}

#[test]
fn a_batch_is_streamed_step_by_step() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    client.create("steps", "bash");
    let mut socket = Socket::open(&client, "/stream/session/steps/execute").unwrap();
    let options = json!({"clean": "", "build": "echo b", "exec": "exit 3"});
    socket.send(&json!({"mode": "batch", "code": "", "options": options}).to_string());
    let mut reports = Vec::new();
    while reports
        .last()
        .is_none_or(|(status, _)| status != "finished")
    {
        let message = socket.json();
        reports.push((
            message["status"].as_str().unwrap().to_owned(),
            message["exitCode"].clone(),
        ));
    }
    reports.retain(|(status, _)| status != "continued");
    let report = |status: &str, code: i32| (status.to_owned(), json!(code));
    let expected = [
        report("clean-finished", 0),
        report("build-finished", 0),
        report("finished", 3),
    ];
    assert_eq!(reports, expected);
}

#[test]
fn a_run_whose_client_leaves_does_not_block_the_session() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    client.create("left", "python");
    for code in [
        "x = 1\nprint('begun', flush=True)\ninput()",
        "print('begun', flush=True)\nwhile True: pass",
    ] {
        let mut socket = Socket::open(&client, "/stream/session/left/execute").unwrap();
        socket.send(&json!({"mode": "query", "code": code}).to_string());
        assert!(
            socket.json()["console"][0][1]
                .as_str()
                .unwrap()
                .starts_with("begun")
        );
        drop(socket);
        assert_eq!(text(&client.run("left", "print(x)"), "stdout"), "1\n");
    }
    // A batch goes on with its next step only once the end of the one before is collected.
    let hangs = "echo begun; sleep 1000";
    for options in [
        json!({"clean": hangs, "build": "sleep 1000", "exec": "sleep 1000"}),
        json!({"build": hangs, "exec": "sleep 1000"}),
        json!({"build": "true", "exec": hangs}),
    ] {
        let mut socket = Socket::open(&client, "/stream/session/left/execute").unwrap();
        let start = json!({"mode": "batch", "code": "", "options": options});
        socket.send(&start.to_string());
        while socket.json()["console"].as_array().unwrap().is_empty() {}
        drop(socket);
        assert_eq!(text(&client.run("left", "print(x)"), "stdout"), "1\n");
    }
    // What was sent too early is kept.
    let mut socket = Socket::open(&client, "/stream/session/left/execute").unwrap();
    socket.send(&json!({"mode": "query", "code": "print(input(), input())"}).to_string());
    socket.send("early");
    socket.send("bird");
    let mut output = String::new();
    while !output.contains('\n') {
        for record in socket.json()["console"].as_array().unwrap() {
            output += record[1].as_str().unwrap();
        }
    }
    assert_eq!(output, "early bird\n");
}

#[test]
fn what_cannot_be_streamed_is_an_error() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    client.create("wrong", "bash");
    for message in [
        "{",
        r#"{"mode": "nope"}"#,
        r#"{"mode": "continue", "runId": "x"}"#,
    ] {
        let mut socket = Socket::open(&client, "/stream/session/wrong/execute").unwrap();
        socket.send(message);
        let answer = socket.json();
        assert_eq!(answer["status"], "error", "{message}");
        assert!(!answer["msg"].as_str().unwrap().is_empty());
        assert_eq!(socket.next(), (CLOSE, vec![3, 232]));
    }
    let (status, _) = Socket::open(&client, "/stream/session/none/execute")
        .err()
        .unwrap();
    assert_eq!(status, 404);
    let (status, _) = Socket::open(&client, "/stream/session/none/pty")
        .err()
        .unwrap();
    assert_eq!(status, 404);
    let (status, problem) = client.json("GET", "/stream/session/wrong/pty", &Value::Null);
    assert_eq!(status, 400, "{problem}");
}

#[test]
fn a_terminal_sends_binary_frames() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    client.create("terminal", "bash");
    let mut socket = Socket::open(&client, "/stream/session/terminal/pty").unwrap();
    for message in [
        json!({"type": "resize", "rows": 40, "cols": 100}),
        json!({"type": "ping"}),
    ] {
        socket.send(&message.to_string());
    }
    let typed = STANDARD.encode("stty size; echo $((6*7))\n");
    socket.send(&json!({"type": "stdin", "chars": typed}).to_string());
    let mut screen = String::new();
    while !(screen.contains("40 100\r\n") && screen.contains("\n42\r\n")) {
        let (kind, content) = socket.next();
        assert_eq!(kind, BINARY);
        let message: Value = serde_json::from_slice(&content).unwrap();
        assert_eq!(message["type"], "out");
        let bytes = STANDARD.decode(message["data"].as_str().unwrap()).unwrap();
        screen += &String::from_utf8_lossy(&bytes);
    }
    socket.send(&json!({"type": "stdin", "chars": STANDARD.encode("exit\n")}).to_string());
    while socket.next().0 != CLOSE {}
}

/// The events that arrive, until there is one of this name.
fn events(client: &Client, target: &str, act: impl FnOnce(), last: &str) -> Vec<(String, Value)> {
    let signing = Signing {
        media_type: None,
        ..Signing::default()
    };
    let mut stream = client.connect();
    stream
        .write_all(client.head("GET", target, 0, &signing, "").as_bytes())
        .unwrap();
    let (head, received) = read_head(&mut stream);
    assert_eq!(head.status(), 200);
    assert_eq!(head.headers()["content-type"], "text/event-stream");
    assert_eq!(head.headers()["transfer-encoding"], "chunked");
    assert!(head.headers().contains_key("x-ratelimit-reset"));
    act();
    let mut text = String::from_utf8(received).unwrap();
    let mut chunk = [0; 4096];
    loop {
        let lines: Vec<&str> = text.split("\r\n").collect();
        let named = lines.iter().enumerate();
        let events: Vec<(String, Value)> = named
            .filter_map(|(at, line)| {
                let name = line.strip_prefix("event: ")?;
                // The last line may not be there as a whole.
                let data = lines.get(at + 1)?.strip_prefix("data: ")?;
                Some((name.to_owned(), serde_json::from_str(data).ok()?))
            })
            .collect();
        if events.iter().any(|(name, _)| name == last) {
            return events;
        }
        let read = read_some(&mut stream, &mut chunk);
        assert!(read > 0, "the stream ended: {text}");
        text += std::str::from_utf8(&chunk[..read]).unwrap();
    }
}

#[test]
fn a_gateway_stops_with_all_streams_open_and_leaves_nothing() {
    let parent = tempfile::tempdir().unwrap();
    let gateway = gateway_with(|config| config.with_directory(parent.path()));
    let client = Client::new(&gateway);
    client.create("open", "python");
    let mut terminal = Socket::open(&client, "/stream/session/open/pty").unwrap();
    assert_eq!(terminal.next().0, BINARY);
    let mut run = Socket::open(&client, "/stream/session/open/execute").unwrap();
    run.send(
        &json!({"mode": "query", "code": "print(1, flush=True)\nwhile True: pass"}).to_string(),
    );
    assert_eq!(run.json()["status"], "continued");
    let signing = Signing {
        media_type: None,
        ..Signing::default()
    };
    let mut events = client.connect();
    let head = client.head("GET", "/events/session?scope=*", 0, &signing, "");
    events.write_all(head.as_bytes()).unwrap();
    assert_eq!(read_head(&mut events).0.status(), 200);
    // One that is being created, and a download that is not read.
    let pending = json!({"name": "slow", "image": "bash", "enqueueOnly": true, "bootstrap_script": "sleep 1000"});
    assert_eq!(client.json("POST", "/session", &pending).0, 201);
    let code = "import os; os.truncate(os.open('large', os.O_CREAT | os.O_WRONLY), 50_000_000)";
    client.create("file", "python");
    assert_eq!(client.run("file", code)["exitCode"], 0);
    let mut download = client.connect();
    let head = client.head(
        "GET",
        "/session/file/download_single?file=large",
        0,
        &signing,
        "",
    );
    download.write_all(head.as_bytes()).unwrap();
    assert_eq!(
        read_head(&mut download).0.headers()["content-length"],
        "50000000"
    );
    gateway.stop();
    assert_eq!(std::fs::read_dir(parent.path()).unwrap().count(), 0);
}

#[test]
fn the_life_of_a_session_is_told() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let act = || {
        client.create("told", "bash");
        client.json("DELETE", "/session/told", &Value::Null);
    };
    let all = events(
        &client,
        "/events/session?sessionName=*&scope=*",
        act,
        "session_terminated",
    );
    let names: Vec<&str> = all.iter().map(|(name, _)| name.as_str()).collect();
    let expected = [
        "session_pending",
        "session_scheduled",
        "session_preparing",
        "kernel_creating",
        "kernel_started",
        "session_started",
        "session_terminating",
        "kernel_terminated",
        "session_terminated",
    ];
    assert_eq!(names, expected);
    let (_, data) = &all[8];
    let id = &data["sessionId"];
    let expected = json!({
        "reason": "user-requested", "sessionName": "told", "ownerAccessKey": gateway.access_key(), "sessionId": id,
        "exitCode": null,
    });
    assert_eq!(data, &expected);
    assert_eq!(
        (&all[4].1["kernelId"], &all[4].1["clusterRole"]),
        (id, &json!("main"))
    );
}

#[test]
fn one_session_s_events_are_only_its_own() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let id = client.create("mine", "bash");
    let act = || {
        client.create("other", "bash");
        client.json("DELETE", "/session/other", &Value::Null);
        client.json("DELETE", "/session/mine", &Value::Null);
    };
    let target = format!("/events/session?sessionId={id}&scope=kernel");
    let mine = events(&client, &target, act, "kernel_terminated");
    let names: Vec<&str> = mine.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["kernel_terminated"]);
    assert_eq!(mine[0].1["sessionName"], "mine");
    assert_eq!(
        client
            .json("GET", "/events/session?scope=nope", &Value::Null)
            .0,
        400
    );
    assert_eq!(
        client
            .json("GET", "/events/session?sessionName=none", &Value::Null)
            .0,
        404
    );
}
