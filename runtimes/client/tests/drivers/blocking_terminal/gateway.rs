//! Gateways that run a script for one connection.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use http::HeaderMap;
use sorna::blocking::{Client, Kernel, Pty};
use sorna::net::TlsOptions;
use sorna::protocol::terminal::Command;
use sorna::{
    AccessKey, ClientOptions, Config, Credentials, Error, KernelId, SecretKey, TerminalEvent,
    TerminalOptions,
};
use tungstenite::handshake::server::{Request, Response};
use tungstenite::{Message, WebSocket};

use super::tls::{Authority, authority};

/// No gateway waits longer than this for a client; only a failing test reaches this limit.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) trait Stream: Read + Write + Send {}

impl<T: Read + Write + Send> Stream for T {}

/// The gateway's end of a terminal.
pub(crate) struct Peer {
    pub(crate) socket: WebSocket<Box<dyn Stream>>,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
}

/// A gateway for one connection.
pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    secure: bool,
    thread: Option<JoinHandle<()>>,
}

impl Gateway {
    /// Runs the script with the bare connection.
    pub(crate) fn raw(script: impl FnOnce(TcpStream) + Send + 'static) -> Self {
        Self::raw_on("127.0.0.1:0", script).unwrap()
    }

    pub(crate) fn raw_on(
        address: &str,
        script: impl FnOnce(TcpStream) + Send + 'static,
    ) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        Ok(Self {
            address: listener.local_addr()?,
            secure: false,
            thread: Some(thread::spawn(move || {
                let (tcp, _) = listener.accept().unwrap();
                tcp.set_read_timeout(Some(PATIENCE)).unwrap();
                tcp.set_write_timeout(Some(PATIENCE)).unwrap();
                tcp.set_nodelay(true).unwrap();
                script(tcp);
            })),
        })
    }

    /// Opens a terminal and runs the script with it.
    pub(crate) fn plain(script: impl FnOnce(Peer) + Send + 'static) -> Self {
        Self::raw(|tcp| script(Peer::accept(Box::new(tcp))))
    }

    /// As `plain`, encrypted.
    pub(crate) fn encrypted(script: impl FnOnce(Peer) + Send + 'static) -> Self {
        let mut this = Self::raw(|tcp| script(Peer::accept(Box::new(authority().accept(tcp)))));
        this.secure = true;
        this
    }

    /// As `encrypted` or `plain`, for tests that run on both.
    pub(crate) fn either(secure: bool, script: impl FnOnce(Peer) + Send + 'static) -> Self {
        match secure {
            true => Self::encrypted(script),
            false => Self::plain(script),
        }
    }

    pub(crate) fn kernel(&self) -> Kernel {
        self.kernel_with(|options| options)
    }

    pub(crate) fn kernel_with(
        &self,
        change: impl FnOnce(ClientOptions) -> ClientOptions,
    ) -> Kernel {
        self.kernel_trusting(authority(), change)
    }

    pub(crate) fn kernel_trusting(
        &self,
        authority: &Authority,
        change: impl FnOnce(ClientOptions) -> ClientOptions,
    ) -> Kernel {
        let scheme = if self.secure { "https" } else { "http" };
        let url = format!("{scheme}://{}", self.address);
        kernel_at(&url, change(trusting(authority)))
    }

    pub(crate) fn open(&self) -> Pty {
        self.kernel()
            .stream_pty(TerminalOptions::default())
            .unwrap()
    }

    pub(crate) fn error_response(&self) -> Error {
        let opened = self.kernel().stream_pty(TerminalOptions::default());
        opened.expect_err("an error response")
    }

    /// Waits for the script's end, and passes on its panic.
    pub(crate) fn join(mut self) {
        if let Err(panic) = self.thread.take().expect("it is joined once").join() {
            std::panic::resume_unwind(panic);
        }
    }
}

pub(crate) fn trusting(authority: &Authority) -> ClientOptions {
    ClientOptions::new().with_tls(TlsOptions::new().with_ca_pem(authority.pem.clone()))
}

pub(crate) fn kernel_at(url: &str, options: ClientOptions) -> Kernel {
    let keys = Credentials::new(
        AccessKey::new("AKIAIOSFODNN7EXAMPLE").unwrap(),
        SecretKey::new("wJalrXUtnFEMI").unwrap(),
    );
    let config =
        Config::new(url.parse().unwrap(), keys).with_version(sorna::ApiVersion::V2_20170315);
    let id = KernelId::new("zuF1OzMIhFknyjUl7Apbvg").unwrap();
    Client::with_options(config, options).kernel(id)
}

impl Peer {
    #[expect(
        clippy::result_large_err,
        reason = "tungstenite's callback is like that"
    )]
    fn accept(stream: Box<dyn Stream>) -> Self {
        let (mut path, mut headers) = (String::new(), HeaderMap::new());
        let note = |request: &Request, response: Response| {
            path = request.uri().to_string();
            headers = request.headers().clone();
            Ok(response)
        };
        let socket = tungstenite::accept_hdr(stream, note).unwrap();
        Self {
            socket,
            path,
            headers,
        }
    }

    /// The next message of the client; none after its close frame.
    pub(crate) fn command(&mut self) -> Option<Command> {
        loop {
            match self.socket.read().unwrap() {
                Message::Text(text) => {
                    return Some(Command::decode(&text).expect("a client's message"));
                }
                Message::Close(_) => return None,
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("{other} is no message of a terminal"),
            }
        }
    }

    #[track_caller]
    pub(crate) fn expect(&mut self, command: Command) {
        assert_eq!(self.command(), Some(command));
    }

    pub(crate) fn expect_size(&mut self) {
        self.expect(Command::Resize { rows: 24, cols: 80 });
    }

    pub(crate) fn say(&mut self, text: &str) {
        self.socket.send(Message::text(text)).unwrap();
    }

    pub(crate) fn show(&mut self, output: &[u8]) {
        let output = sorna::protocol::terminal::Message::Out(output.to_vec().into());
        self.say(&output.encode());
    }

    /// Reads until the client has closed the connection; returns whether it sent a close frame before.
    pub(crate) fn drain(mut self) -> bool {
        let mut goodbye = false;
        loop {
            match self.socket.read() {
                Ok(Message::Close(_)) => goodbye = true,
                Ok(_) => {}
                Err(tungstenite::Error::Io(error)) => {
                    use std::io::ErrorKind::{TimedOut, WouldBlock};
                    let late = [TimedOut, WouldBlock].contains(&error.kind());
                    assert!(!late, "the client does not close the connection");
                    break;
                }
                Err(_) => break,
            }
        }
        // The WebSocket may end before the connection does.
        let mut rest = [0; 4096];
        while self.socket.get_mut().read(&mut rest).is_ok_and(|n| n > 0) {}
        goodbye
    }
}

/// The next event, which must be output.
#[track_caller]
pub(crate) fn output(event: Option<TerminalEvent>) -> Vec<u8> {
    match event {
        Some(TerminalEvent::Output(bytes)) => bytes.to_vec(),
        other => panic!("{other:?} is no output"),
    }
}

pub(crate) fn closed(code: impl Into<Option<u16>>, reason: &str) -> Option<TerminalEvent> {
    Some(TerminalEvent::Closed {
        code: code.into(),
        reason: reason.to_owned(),
    })
}

/// The error and everything below it, as a user would see it.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}
