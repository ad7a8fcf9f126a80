//! A server whose responses are literal.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use sorna::{AccessKey, Config, Credentials, Endpoint, SecretKey};
use tungstenite::Message;
use tungstenite::protocol::Role;

pub(crate) const HELLO_23: &str = r#"{"version": "v7.20230615", "manager": "23.09.10"}"#;
pub(crate) const HELLO_26: &str = r#"{"version": "v9.20250722", "manager": "26.9.6"}"#;

/// What a server does with a request of this line: a status and a body; 101 opens a terminal.
pub(crate) type Script = fn(&str) -> (u16, &'static str);

/// A request.
struct Seen {
    line: String,
    version: Option<String>,
    cookie: Option<String>,
}

/// What a terminal does with what is typed.
#[derive(Clone, Copy)]
pub(crate) enum Typed {
    /// It closes, with code 1000.
    Closes,
    /// Nothing.
    Ignored,
}

pub(crate) struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    script: Mutex<Script>,
    typed: Typed,
    seen: Mutex<Vec<Seen>>,
    stopped: AtomicBool,
}

impl Server {
    pub(crate) fn start(script: Script) -> Self {
        Self::with_terminals(script, Typed::Ignored)
    }

    pub(crate) fn with_terminals(script: Script, typed: Typed) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            script: Mutex::new(script),
            typed,
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

    /// From now on, another script.
    pub(crate) fn becomes(&self, script: Script) {
        *self.shared.script.lock().unwrap() = script;
    }

    pub(crate) fn config(&self) -> Config {
        let keys = Credentials::new(
            AccessKey::new("AKIAIOSFODNN7EXAMPLE").unwrap(),
            SecretKey::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY").unwrap(),
        );
        Config::new(self.endpoint(), keys)
    }

    /// The lines of the requests since the last time.
    pub(crate) fn seen(&self) -> Vec<String> {
        let seen = std::mem::take(&mut *self.shared.seen.lock().unwrap());
        seen.into_iter().map(|seen| seen.line).collect()
    }

    /// The version headers of the requests since the last time, those without one left out.
    pub(crate) fn versions(&self) -> Vec<String> {
        let seen = std::mem::take(&mut *self.shared.seen.lock().unwrap());
        seen.into_iter().filter_map(|seen| seen.version).collect()
    }
}

impl Server {
    /// The URL.
    pub(crate) fn endpoint(&self) -> Endpoint {
        format!("http://{}", self.address).parse().unwrap()
    }

    /// The cookies of the requests since the last time, those without one left out.
    pub(crate) fn cookies(&self) -> Vec<String> {
        let seen = std::mem::take(&mut *self.shared.seen.lock().unwrap());
        seen.into_iter().filter_map(|seen| seen.cookie).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
    }
}

/// The status of a script for a request that gets no response.
pub(crate) const SILENCE: u16 = 0;

impl Shared {
    fn serve(&self, mut stream: &TcpStream) {
        let mut reader = BufReader::new(stream);
        while let Some((line, headers)) = head(&mut reader) {
            let header = |name: &str| {
                let mut pairs = headers.iter().filter_map(|header| header.split_once(": "));
                pairs.find_map(|(other, value)| {
                    other.eq_ignore_ascii_case(name).then(|| value.to_owned())
                })
            };
            let length = header("content-length").map_or(0, |length| length.parse().unwrap());
            reader
                .by_ref()
                .take(length)
                .read_to_end(&mut Vec::new())
                .unwrap();
            let version = header("x-backendai-version").or_else(|| header("x-sorna-version"));
            self.seen.lock().unwrap().push(Seen {
                line: line.clone(),
                version,
                cookie: header("cookie"),
            });
            let script = *self.script.lock().unwrap();
            let (status, body) = script(&line);
            match status {
                SILENCE => continue,
                101 => {
                    let key = header("sec-websocket-key").unwrap();
                    let accept = tungstenite::handshake::derive_accept_key(key.as_bytes());
                    let head = format!(
                        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
                    );
                    stream.write_all(head.as_bytes()).unwrap();
                    return self.terminal(stream);
                }
                _ => {}
            }
            let cookie = match line.as_str() {
                "POST /server/login" => "Set-Cookie: AIOHTTP_SESSION=5f0c; HttpOnly; Path=/\r\n",
                _ => "",
            };
            let response = format!(
                "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n{cookie}Content-Length: {}\r\n\r\n{body}",
                body.len()
            );
            if stream.write_all(response.as_bytes()).is_err() {
                return;
            }
        }
    }

    fn terminal(&self, stream: &TcpStream) {
        let stream = stream.try_clone().unwrap();
        let mut socket = tungstenite::WebSocket::from_raw_socket(stream, Role::Server, None);
        while let Ok(message) = socket.read() {
            let is_typed = matches!(&message, Message::Text(text) if text.contains("stdin"));
            if is_typed && matches!(self.typed, Typed::Closes) {
                let normal = tungstenite::protocol::CloseFrame {
                    code: 1000.into(),
                    reason: "".into(),
                };
                let _ = socket.close(Some(normal));
            }
        }
    }
}

/// Method and target of a request, and its headers; `None` at the end of the connection.
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
