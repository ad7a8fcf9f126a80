//! A gateway that responds as a test requires, or not at all.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::thread;

/// A request.
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) body: Vec<u8>,
    /// What the response to a WebSocket handshake must contain.
    accept: Option<String>,
}

/// A response's status and body; or none, and the request hangs. With 101, the body is the one message of a WebSocket.
pub(crate) type Answer = Option<(u16, String)>;

/// Starts it; it ends with the test program. Its terminals stay open, and nothing is read from them.
pub(crate) fn stub(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> SocketAddr {
    stub_with_terminals(answer, |_| {
        loop {
            thread::park();
        }
    })
}

/// The same with something to do once a terminal is open, whose connection ends with it.
pub(crate) fn stub_with_terminals(
    answer: impl Fn(&Request) -> Answer + Send + Sync + 'static,
    terminal: impl Fn(&mut BufReader<TcpStream>) + Send + Sync + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let acts = Arc::new((answer, terminal));
    thread::spawn(move || {
        for connection in listener.incoming() {
            let acts = Arc::clone(&acts);
            thread::spawn(move || serve(connection.expect("a connection"), &acts.0, &acts.1));
        }
    });
    address
}

fn serve(
    connection: TcpStream,
    answer: &impl Fn(&Request) -> Answer,
    terminal: &impl Fn(&mut BufReader<TcpStream>),
) {
    let mut reader = BufReader::new(connection);
    while let Some(request) = read(&mut reader) {
        if let Some(accept) = request
            .accept
            .as_ref()
            .filter(|_| request.path.ends_with("/pty"))
        {
            let _ = reader.get_mut().write_all(switching(accept).as_bytes());
            return terminal(&mut reader);
        }
        let Some((status, body)) = answer(&request) else {
            // Until the client gives up.
            let _ = reader.read(&mut [0]);
            return;
        };
        if let (101, Some(accept)) = (status, &request.accept) {
            let _ = reader.get_mut().write_all(switching(accept).as_bytes());
            let role = tungstenite::protocol::Role::Server;
            let stream = reader.into_inner();
            let mut socket = tungstenite::WebSocket::from_raw_socket(stream, role, None);
            // A client says first what it wants.
            let _ = socket.read();
            let _ = socket.send(tungstenite::Message::text(body));
            let _ = socket.close(None);
            while socket.read().is_ok() {}
            return;
        }
        let kind = match body.as_str() {
            // A download has parts, between lines of this boundary.
            body if body.starts_with("--b\r\n") => "multipart/mixed; boundary=b",
            body if body.starts_with("event: ") => "text/event-stream",
            _ => "application/json",
        };
        let head = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        if reader
            .get_mut()
            .write_all((head + &body).as_bytes())
            .is_err()
        {
            return;
        }
    }
}

/// The response to a WebSocket handshake.
fn switching(accept: &str) -> String {
    format!(
        "HTTP/1.1 101 X\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: {accept}\r\n\r\n"
    )
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split(' ');
    let method = words.next()?.to_owned();
    let path = words.next()?.to_owned();
    let mut length = 0;
    let mut accept = None;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().ok()?,
            "sec-websocket-key" => {
                accept = Some(tungstenite::handshake::derive_accept_key(
                    value.trim().as_bytes(),
                ));
            }
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request {
        method,
        path,
        body,
        accept,
    })
}

/// Makes `sorna` talk to it.
pub(crate) fn at(mut command: Command, address: SocketAddr) -> Command {
    command.envs(environment(&format!("http://{address}")));
    command
}

/// What `sorna` needs to know of it.
pub(crate) fn environment(endpoint: &str) -> [(&str, &str); 3] {
    [
        ("SORNA_ENDPOINT", endpoint),
        ("SORNA_ACCESS_KEY", "AKIAIOSFODNN7EXAMPLE"),
        ("SORNA_SECRET_KEY", "a-secret-that-must-not-be-shown"),
    ]
}
