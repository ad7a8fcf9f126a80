//! A manager whose responses and messages are literal.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use sorna::{AccessKey, Config, Credentials, SecretKey};
use tungstenite::protocol::{CloseFrame, Role};
use tungstenite::{Message, WebSocket};

/// No server waits longer than this for a client; only a failing test reaches this limit.
const PATIENCE: Duration = Duration::from_secs(20);

/// What becomes of a request.
pub(crate) enum Reply {
    Response(u16, String),
    /// The connection is closed.
    Nothing,
    WebSocket(Box<dyn FnOnce(Socket) + Send>),
}

type Script = Box<dyn Fn(&str, &str) -> Reply + Send + Sync>;

/// A manager that carries out a script: its argument are the line and the body of a request.
pub(crate) struct Manager {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    script: Script,
    /// The requests but hello, and the messages of clients.
    seen: Mutex<Vec<String>>,
    stopped: AtomicBool,
}

impl Manager {
    /// A manager of this release.
    pub(crate) fn start(
        release: &'static str,
        script: impl Fn(&str, &str) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let script = move |line: &str, body: &str| match line {
            "GET /" => Reply::Response(
                200,
                format!(r#"{{"version": "v9.20250722", "manager": "{release}"}}"#),
            ),
            _ => script(line, body),
        };
        let shared = Arc::new(Shared {
            script: Box::new(script),
            seen: Mutex::default(),
            stopped: AtomicBool::new(false),
        });
        let server = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if server.stopped.load(Ordering::Relaxed) {
                    return;
                }
                let server = Arc::clone(&server);
                thread::spawn(move || server.serve(&stream.unwrap()));
            }
        });
        Self { address, shared }
    }

    /// One that executes over WebSockets with this script.
    pub(crate) fn streaming(socket: impl Fn(Socket) + Send + Sync + 'static) -> Self {
        let socket = Arc::new(socket);
        Self::start("26.9.6", move |line, _| match line {
            "GET /stream/session/k1/execute" => {
                let socket = Arc::clone(&socket);
                Reply::WebSocket(Box::new(move |peer| socket(peer)))
            }
            "POST /session/k1/interrupt" => Reply::Response(204, String::new()),
            _ => not_found(),
        })
    }

    pub(crate) fn config(&self) -> Config {
        let keys = Credentials::new(
            AccessKey::new("AKIAIOSFODNN7EXAMPLE").unwrap(),
            SecretKey::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY").unwrap(),
        );
        Config::new(format!("http://{}", self.address).parse().unwrap(), keys)
    }

    /// The lines of requests, and the messages over WebSockets, since the last time.
    pub(crate) fn seen(&self) -> Vec<String> {
        std::mem::take(&mut *self.shared.seen.lock().unwrap())
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
    }
}

pub(crate) fn not_found() -> Reply {
    let body = r#"{"type": "https://api.backend.ai/probs/url-not-found", "title": "Unknown URL."}"#;
    Reply::Response(404, body.to_owned())
}

/// A result, as over HTTP.
pub(crate) fn result(status: &str, stdout: &str) -> Reply {
    let result = message(status, stdout);
    Reply::Response(200, format!(r#"{{"result": {result}}}"#))
}

/// A result, as over a WebSocket.
pub(crate) fn message(status: &str, stdout: &str) -> String {
    let console = match stdout {
        "" => String::new(),
        text => format!(r#"["stdout", "{text}"]"#),
    };
    let code = if status.ends_with("finished") {
        "0"
    } else {
        "null"
    };
    format!(
        r#"{{"status": "{status}", "console": [{console}], "exitCode": {code}, "options": null, "files": []}}"#
    )
}

impl Shared {
    fn serve(self: &Arc<Self>, mut stream: &TcpStream) {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut reader = BufReader::new(stream);
        while let Some((line, headers)) = head(&mut reader) {
            let header = |name: &str| {
                let mut pairs = headers.iter().filter_map(|header| header.split_once(": "));
                pairs.find_map(|(other, value)| {
                    other.eq_ignore_ascii_case(name).then(|| value.to_owned())
                })
            };
            let length = header("content-length").map_or(0, |length| length.parse().unwrap());
            let mut body = String::new();
            reader
                .by_ref()
                .take(length)
                .read_to_string(&mut body)
                .unwrap();
            if line != "GET /" {
                self.seen.lock().unwrap().push(line.clone());
            }
            match (self.script)(&line, &body) {
                Reply::Response(status, body) => {
                    let length = body.len();
                    let response = format!(
                        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
                    );
                    if stream.write_all(response.as_bytes()).is_err() {
                        return;
                    }
                }
                Reply::Nothing => return,
                Reply::WebSocket(script) => {
                    let key = header("sec-websocket-key").unwrap();
                    let accept = tungstenite::handshake::derive_accept_key(key.as_bytes());
                    let head = format!(
                        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
                    );
                    stream.write_all(head.as_bytes()).unwrap();
                    let stream = stream.try_clone().unwrap();
                    return script(Socket {
                        socket: WebSocket::from_raw_socket(stream, Role::Server, None),
                        shared: Arc::clone(self),
                    });
                }
            }
        }
    }
}

/// Method and path of a request, and its headers; `None` at the end of the connection.
fn head(reader: &mut impl BufRead) -> Option<(String, Vec<String>)> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let first = lines.remove(0);
    Some((first.strip_suffix(" HTTP/1.1")?.to_owned(), lines))
}

/// The manager's end of a WebSocket.
pub(crate) struct Socket {
    socket: WebSocket<TcpStream>,
    shared: Arc<Shared>,
}

impl Socket {
    /// The next message of the client; `None` once that has closed the WebSocket.
    pub(crate) fn read(&mut self) -> Option<String> {
        loop {
            match self.socket.read().ok()? {
                Message::Text(text) => {
                    let text = text.as_str().to_owned();
                    self.shared.seen.lock().unwrap().push(text.clone());
                    return Some(text);
                }
                Message::Close(frame) => {
                    let code = frame.map(|frame| u16::from(frame.code));
                    let seen = format!("close {}", code.unwrap_or_default());
                    self.shared.seen.lock().unwrap().push(seen);
                }
                _ => {}
            }
        }
    }

    pub(crate) fn send(&mut self, text: &str) {
        // The client may be gone.
        let _ = self.socket.send(Message::text(text));
    }

    /// Closes the WebSocket, and waits for the client's reply.
    pub(crate) fn close(mut self, code: u16, reason: &'static str) {
        let frame = CloseFrame {
            code: code.into(),
            reason: reason.into(),
        };
        let _ = self.socket.close(Some(frame));
        while self.read().is_some() {}
    }
}
