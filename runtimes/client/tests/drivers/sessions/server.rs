//! A manager whose responses are literal.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use sorna::{AccessKey, ApiVersion, Config, Credentials, SecretKey, SessionCookie};

/// A response.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    pub(crate) body: Vec<u8>,
    /// After the body, more follows for as long as the client reads.
    pub(crate) is_endless: bool,
}

impl Answer {
    pub(crate) fn json(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            content_type: "application/json",
            body: body.into(),
            is_endless: false,
        }
    }

    /// A download of these archives.
    pub(crate) fn multipart(archives: &[Vec<u8>]) -> Self {
        let mut body = Vec::new();
        for archive in archives {
            body.extend_from_slice(b"--b\r\nContent-Encoding: identity\r\n\r\n");
            body.extend_from_slice(archive);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"--b--\r\n");
        Self {
            status: 200,
            content_type: "multipart/mixed; boundary=b",
            body,
            is_endless: false,
        }
    }

    pub(crate) fn events(text: &str) -> Self {
        Self {
            status: 200,
            content_type: "text/event-stream",
            body: text.into(),
            is_endless: false,
        }
    }
}

/// The response to a request of this line and body.
pub(crate) type Script = fn(&str, &str) -> Answer;

pub(crate) struct Server {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
    stopped: Arc<AtomicBool>,
}

impl Server {
    pub(crate) fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            seen: Arc::default(),
            stopped: Arc::default(),
        };
        let (seen, stopped) = (Arc::clone(&server.seen), Arc::clone(&server.stopped));
        thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                let seen = Arc::clone(&seen);
                thread::spawn(move || serve(&stream.unwrap(), script, &seen));
            }
        });
        server
    }

    pub(crate) fn config(&self, version: ApiVersion) -> Config {
        self.config_to_negotiate().with_version(version)
    }

    /// The version is found out.
    pub(crate) fn config_to_negotiate(&self) -> Config {
        let keys = Credentials::new(AccessKey::new("AK").unwrap(), SecretKey::new("SK").unwrap());
        let endpoint = format!("http://{}", self.address).parse().unwrap();
        Config::new(endpoint, keys)
    }

    /// In a session with a web server.
    pub(crate) fn web_config(&self, version: ApiVersion) -> Config {
        let endpoint = format!("http://{}", self.address).parse().unwrap();
        Config::of_web_server(endpoint)
            .with_session(SessionCookie::new("5f0c").unwrap())
            .with_version(version)
    }

    /// The lines of the requests since the last time.
    pub(crate) fn seen(&self) -> Vec<String> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(mut stream: &TcpStream, script: Script, seen: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream);
    while let Some((line, length)) = head(&mut reader) {
        let mut body = String::new();
        reader
            .by_ref()
            .take(length)
            .read_to_string(&mut body)
            .unwrap();
        seen.lock().unwrap().push(line.clone());
        let answer = script(&line, &body);
        let length = match answer.is_endless {
            true => String::new(),
            false => format!("Content-Length: {}\r\n", answer.body.len()),
        };
        let head = format!(
            "HTTP/1.1 {} X\r\nContent-Type: {}\r\n{length}\r\n",
            answer.status, answer.content_type,
        );
        if stream.write_all(head.as_bytes()).is_err() || stream.write_all(&answer.body).is_err() {
            return;
        }
        if answer.is_endless {
            while stream.write_all(b"more").is_ok() {
                thread::sleep(Duration::from_millis(5));
            }
            return;
        }
    }
}

/// Method and target of a request, and the length of its body; `None` at the end of the connection.
fn head(reader: &mut impl BufRead) -> Option<(String, u64)> {
    let (mut first, mut length) = (None, 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end().to_ascii_lowercase() + "\n" + line.trim_end();
        let (lower, line) = line.split_once('\n')?;
        if line.is_empty() {
            return Some((first?, length));
        }
        if let Some(value) = lower.strip_prefix("content-length: ") {
            length = value.parse().unwrap();
        }
        first.get_or_insert_with(|| line.trim_end_matches(" HTTP/1.1").to_owned());
    }
}
