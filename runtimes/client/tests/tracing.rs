//! What feature `tracing` shows about requests, and what it leaves out.

#![cfg(all(feature = "tracing", feature = "tokio", feature = "ureq"))]

use std::io::{self, Read as _, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use sorna::protocol::{Authorize, Version};
use sorna::{
    AccessKey, ClientOptions, Config, Credentials, Error, KernelId, RetryPolicy, SecretKey,
    TerminalOptions,
};
use tracing::instrument::WithSubscriber as _;
use tracing::{Level, Subscriber};

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const ECHO: &str = "what-the-user-wrote";

/// Sends these responses, each on its own connection.
fn serve(responses: Vec<&'static str>) -> (SocketAddr, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let server = thread::spawn(move || {
        let answer = |response: &str| {
            let (mut stream, _) = listener.accept().expect("a connection");
            let mut request = [0; 16 * 1024];
            let read = stream.read(&mut request).expect("a request");
            stream.write_all(response.as_bytes()).expect("it reads");
            String::from_utf8_lossy(&request[..read]).into_owned()
        };
        responses.into_iter().map(answer).collect()
    });
    (address, server)
}

fn config(address: SocketAddr) -> Config {
    let keys = Credentials::new(
        AccessKey::new("AKIAIOSFODNN7EXAMPLE").expect("a key"),
        SecretKey::new(SECRET).expect("a key"),
    );
    let url = format!("http://{address}");
    Config::new(url.parse().expect("a URL"), keys).with_version(sorna::ApiVersion::V2_20170315)
}

fn options() -> ClientOptions {
    ClientOptions::new().with_retry(RetryPolicy::never())
}

/// What a subscriber wrote.
#[derive(Clone, Default)]
struct Shown(Arc<Mutex<Vec<u8>>>);

impl Shown {
    fn subscriber(&self) -> impl Subscriber + Send + Sync + use<> {
        let shown = self.clone();
        tracing_subscriber::fmt()
            .with_ansi(false)
            .without_time()
            .with_max_level(Level::TRACE)
            .with_writer(move || shown.clone())
            .finish()
    }

    fn lines(&self) -> Vec<String> {
        let shown = self.0.lock().expect("no panic inside");
        let text = String::from_utf8(shown.clone()).expect("text");
        text.lines()
            .filter(|line| line.contains(" sorna: "))
            .map(str::to_owned)
            .collect()
    }
}

impl Write for Shown {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic inside").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

const RESPONSES: [&str; 4] = [
    "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 27\r\n\r\n{\"version\": \"v2.20170315\"} ",
    "HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
    "",
];

/// All that a driver shows of four requests: whole, with an error, upgraded, and without a response.
fn check(shown: &Shown, requests: &[String]) {
    let lines = shown.lines();
    let expected = [
        "DEBUG request{method=\"GET\" target=\"/v2\" attempt=1}: sorna: response status=200 ms=",
        "DEBUG request{method=\"GET\" target=\"/v2/authorize\" attempt=1}: sorna: response status=401 ms=",
        "DEBUG request{method=\"GET\" target=\"/v2/stream/kernel/k1/pty\" attempt=1}: sorna: response status=404 ms=",
        "DEBUG request{method=\"GET\" target=\"/v2\" attempt=1}: sorna: no response error=127.0.0.1:",
    ];
    assert_eq!(lines.len(), expected.len(), "{lines:#?}");
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.trim_start().starts_with(expected), "{lines:#?}");
    }
    let all = String::from_utf8(shown.0.lock().expect("no panic inside").clone());
    let all = all.expect("text");
    for secret in [SECRET, ECHO, "AKIAIOSFODNN7EXAMPLE", "signMethod"] {
        assert!(!all.contains(secret), "{all}");
    }
    // The secrets were sent, so they could have been shown.
    assert!(requests[1].contains(ECHO) && requests[1].contains("signMethod"));
}

#[tokio::test]
async fn requests_of_the_async_driver_are_shown_without_secrets() {
    let (address, server) = serve(RESPONSES.to_vec());
    let shown = Shown::default();
    let work = async {
        let client = sorna::tokio::Client::with_options(config(address), options());
        client.version().await.expect("a version");
        client.authorize(ECHO).await.expect_err("401");
        let kernel = client.kernel(KernelId::new("k1").expect("an id"));
        let pty = kernel.stream_pty(TerminalOptions::default()).await;
        pty.expect_err("404");
        let streamed = client.stream(Version::new()).await;
        assert!(matches!(streamed, Err(Error::Transport(_))));
    };
    work.with_subscriber(shown.subscriber()).await;
    check(&shown, &server.join().expect("it served"));
}

#[test]
fn requests_of_the_blocking_driver_are_shown_without_secrets() {
    let (address, server) = serve(RESPONSES.to_vec());
    let shown = Shown::default();
    tracing::subscriber::with_default(shown.subscriber(), || {
        let client = sorna::blocking::Client::with_options(config(address), options());
        client.version().expect("a version");
        client.call(Authorize::new(ECHO)).expect_err("401");
        let kernel = client.kernel(KernelId::new("k1").expect("an id"));
        let pty = kernel.stream_pty(TerminalOptions::default());
        pty.expect_err("404");
        let streamed = client.stream(Version::new());
        assert!(matches!(streamed, Err(Error::Transport(_))));
    });
    check(&shown, &server.join().expect("it served"));
}
