//! A client of the API that sends what it is told to.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use tungstenite::client::IntoClientRequest;
use tungstenite::http::HeaderValue;
use tungstenite::{Message, WebSocket};

use crate::support::served::Served;
use crate::support::{here, sorna};

/// Only a failing test waits this long.
const PATIENCE: Duration = Duration::from_secs(60);
pub(crate) const TOKEN: &str = "a-token-that-no-one-may-see-0123";
pub(crate) const V1: &str = "v1.kernel.websocket.jupyter.org";

/// A gateway with this API.
pub(crate) struct House {
    pub(crate) served: Served,
    pub(crate) directory: TempDir,
}

impl House {
    pub(crate) fn open() -> Self {
        Self::with(|command| command)
    }

    pub(crate) fn with(change: impl FnOnce(&mut Command) -> &mut Command) -> Self {
        let directory = here();
        let mut command = sorna(directory.path());
        command
            .args(["serve", "--jupyter", "--log", "debug"])
            .env("SORNA_JUPYTER_TOKEN", TOKEN);
        let log = File::create(directory.path().join("log")).expect("a file");
        command.stderr(log);
        change(&mut command);
        Self {
            served: Served::start(command),
            directory,
        }
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).expect("a log")
    }

    pub(crate) fn url(&self) -> &str {
        &self.served.settings()["JUPYTER_GATEWAY_URL"]
    }

    pub(crate) fn address(&self) -> &str {
        self.url().strip_prefix("http://").expect("HTTP")
    }

    /// The status, head and body of the response to a request with these lines in its head.
    pub(crate) fn raw(&self, request: &str, lines: &str, body: &str) -> (u16, String, String) {
        let mut stream = TcpStream::connect(self.address()).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
        let (host, length) = (self.address(), body.len());
        let text = format!(
            "{request} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: {length}\r\n{lines}\r\n{body}"
        );
        stream.write_all(text.as_bytes()).expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("a response");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        let status = head.split(' ').nth(1).and_then(|it| it.parse().ok());
        (
            status.expect("a status"),
            head.to_lowercase(),
            body.to_owned(),
        )
    }

    /// The status and the JSON of the response to a request with the token.
    pub(crate) fn call(&self, request: &str, body: &str) -> (u16, Value) {
        let lines = format!("authorization: token {TOKEN}\r\n");
        let (status, _, body) = self.raw(request, &lines, body);
        (status, serde_json::from_str(&body).unwrap_or(Value::Null))
    }

    /// The ID of a new kernel.
    pub(crate) fn start(&self, name: &str) -> String {
        let body = json!({"name": name}).to_string();
        let (status, model) = self.call("POST /api/kernels", &body);
        assert_eq!(status, 201, "{model}");
        model["id"].as_str().expect("an ID").to_owned()
    }

    /// A WebSocket at a kernel, in this subprotocol.
    pub(crate) fn channels(&self, kernel: &str, session: &str, protocol: Option<&str>) -> Channels {
        let path = format!("/api/kernels/{kernel}/channels?session_id={session}&token={TOKEN}");
        let mut request = format!("ws://{}{path}", self.address())
            .into_client_request()
            .expect("a request");
        if let Some(protocol) = protocol {
            let value = HeaderValue::from_str(protocol).expect("a value");
            request
                .headers_mut()
                .insert("sec-websocket-protocol", value);
        }
        let stream = TcpStream::connect(self.address()).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
        let (socket, response) = tungstenite::client(request, stream).expect("a WebSocket");
        let chosen = response.headers().get("sec-websocket-protocol");
        let is_v1 = chosen.is_some_and(|it| it == V1);
        assert_eq!(is_v1, protocol == Some(V1));
        Channels {
            socket,
            is_v1,
            session: session.to_owned(),
            count: 0,
        }
    }
}

/// The channels of a kernel.
pub(crate) struct Channels {
    pub(crate) socket: WebSocket<TcpStream>,
    is_v1: bool,
    session: String,
    count: u64,
}

/// A message in parts, after their offsets.
pub(crate) fn parts(channel: &str, texts: [&str; 4]) -> Vec<u8> {
    let all = [channel, texts[0], texts[1], texts[2], texts[3]];
    let mut offset = 8 * 7_u64;
    let mut message = Vec::new();
    message.extend(6_u64.to_le_bytes());
    message.extend(offset.to_le_bytes());
    for part in all {
        offset += part.len() as u64;
        message.extend(offset.to_le_bytes());
    }
    for part in all {
        message.extend(part.as_bytes());
    }
    message
}

impl Channels {
    /// Sends a request, and returns its ID.
    pub(crate) fn send(&mut self, channel: &str, kind: &str, content: &Value) -> String {
        self.try_send(channel, kind, content).expect("it reads")
    }

    /// The same to a server that may have closed the connection.
    pub(crate) fn try_send(
        &mut self,
        channel: &str,
        kind: &str,
        content: &Value,
    ) -> Result<String, tungstenite::Error> {
        self.count += 1;
        let id = format!("{}-{}", self.session, self.count);
        let header = json!({
            "msg_id": id, "msg_type": kind, "session": self.session, "username": "", "version": "5.3",
            "date": "2026-01-01T00:00:00Z",
        });
        let message = match self.is_v1 {
            true => {
                let texts = [&header.to_string(), "{}", "{}", &content.to_string()];
                Message::binary(parts(channel, texts))
            }
            false => {
                let message = json!({
                    "channel": channel, "header": header, "parent_header": {}, "metadata": {}, "content": content,
                    "buffers": [],
                });
                Message::text(message.to_string())
            }
        };
        self.socket.send(message)?;
        Ok(id)
    }

    pub(crate) fn execute(&mut self, code: &str) -> String {
        let content = json!({
            "code": code, "silent": false, "store_history": true, "user_expressions": {}, "allow_stdin": true,
            "stop_on_error": true,
        });
        self.send("shell", "execute_request", &content)
    }

    /// The next message.
    pub(crate) fn next(&mut self) -> Value {
        // The server asks for signs of life, which end no wait for the socket.
        let until = Instant::now() + PATIENCE;
        loop {
            assert!(Instant::now() < until, "no message came");
            match self.socket.read().expect("a message") {
                Message::Text(text) => {
                    assert!(!self.is_v1);
                    return serde_json::from_str(&text).expect("JSON");
                }
                Message::Binary(bytes) => {
                    assert!(self.is_v1);
                    return read(&bytes);
                }
                _ => {}
            }
        }
    }

    /// The next message of this type.
    pub(crate) fn wait(&mut self, kind: &str) -> Value {
        loop {
            let message = self.next();
            if message["header"]["msg_type"] == kind {
                return message;
            }
        }
    }

    /// What follows from a request until the kernel has answered and is idle, in the order in which it comes: the types of
    /// messages, and the texts in them.
    pub(crate) fn follow(&mut self, id: &str) -> Vec<(String, String)> {
        let (mut all, mut is_answered) = (Vec::new(), false);
        loop {
            let message = self.next();
            if message["parent_header"]["msg_id"] != id {
                continue;
            }
            let kind = message["header"]["msg_type"].as_str().expect("a type");
            let content = &message["content"];
            let texts = [
                &content["text"],
                &content["execution_state"],
                &content["status"],
                &content["ename"],
                &content["data"]["text/plain"],
            ];
            let text = texts.iter().find_map(|it| it.as_str()).unwrap_or_default();
            all.push((kind.to_owned(), text.to_owned()));
            is_answered |= kind.ends_with("_reply");
            if kind == "status" && text == "idle" && is_answered {
                return all;
            }
        }
    }

    /// The texts of a stream that a cell prints.
    pub(crate) fn run(&mut self, code: &str) -> String {
        let id = self.execute(code);
        let all = self.follow(&id);
        let streams = all.into_iter().filter(|(kind, _)| kind == "stream");
        streams.map(|(_, text)| text).collect()
    }
}

fn read(bytes: &[u8]) -> Value {
    let number = |at: usize| {
        let bytes = bytes[8 * at..8 * at + 8].try_into().expect("eight");
        usize::try_from(u64::from_le_bytes(bytes)).expect("an offset")
    };
    let part = |at: usize| &bytes[number(at + 1)..number(at + 2)];
    let json = |at| serde_json::from_slice::<Value>(part(at)).expect("JSON");
    assert_eq!(number(number(0)), bytes.len());
    json!({
        "channel": String::from_utf8_lossy(part(0)), "header": json(1), "parent_header": json(2), "metadata": json(3),
        "content": json(4),
    })
}
