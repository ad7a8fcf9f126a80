//! WebSockets.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, SystemTime};

use sorna::KernelId;
use sorna::protocol::Signer;
use sorna::protocol::terminal::OpenTerminal;
use sorna_test_tools::need;

use crate::attack::{connect, serve, under_attack};
use crate::support::here;
use crate::support::served::Served;

/// Opens a terminal, and returns its connection after the response.
fn open(served: &Served, kernel: &KernelId) -> TcpStream {
    let signer = Signer::new(served.client().config().clone());
    let open = OpenTerminal::new(kernel.clone());
    let request = open.request(&signer, SystemTime::now()).expect("a request");
    let mut bytes = format!("GET {} HTTP/1.1\r\n", request.uri().path()).into_bytes();
    for (name, value) in request.headers() {
        bytes.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    bytes.extend_from_slice(b"connection: upgrade\r\nupgrade: websocket\r\n");
    bytes.extend_from_slice(b"sec-websocket-version: 13\r\n");
    bytes.extend_from_slice(b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
    let mut stream = connect(served);
    stream.write_all(&bytes).expect("it is sent");
    let (mut response, mut byte) = (Vec::new(), [0]);
    while !response.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).expect("a response");
        response.push(byte[0]);
    }
    assert!(response.starts_with(b"HTTP/1.1 101"));
    stream
}

/// A message as clients send it, without its last bytes: the mask is zero, and so changes nothing.
fn begun(text: &[u8], length: u64) -> Vec<u8> {
    let mut frame = vec![0x81, 0x80 | 127];
    frame.extend(length.to_be_bytes());
    frame.extend([0; 4]);
    frame.extend(text);
    frame
}

#[test]
fn sockets_that_nobody_reads_make_their_programs_wait() {
    if !need("bash") {
        return;
    }
    let directory = here();
    let served = Served::start(serve(directory.path()));
    let client = served.client();
    let kernels: Vec<_> = (0..8)
        .map(|_| client.create("bash").expect("a kernel"))
        .collect();
    let typed = br#"{"type": "stdin", "chars": "eWVzCg=="}"#;
    under_attack("unread terminals", &served, || {
        let mut streams = Vec::new();
        for number in 0..400 {
            let mut stream = open(&served, kernels[number % 8].id());
            if number < 8 {
                let mut frame = vec![0x81, 0x80 | u8::try_from(typed.len()).expect("short")];
                frame.extend([0; 4]);
                frame.extend(typed);
                stream.write_all(&frame).expect("it is sent");
            }
            streams.push(stream);
        }
        thread::sleep(Duration::from_secs(3));
    });
}

#[test]
fn messages_that_do_not_end_are_held_within_a_limit() {
    if !need("bash") {
        return;
    }
    let directory = here();
    let served = Served::start(serve(directory.path()));
    let kernel = served.client().create("bash").expect("a kernel");
    let text = vec![b' '; 1_000_000];
    under_attack("messages that do not end", &served, || {
        let mut streams = Vec::new();
        for _ in 0..300 {
            let mut stream = open(&served, kernel.id());
            let time = Some(Duration::from_secs(2));
            stream.set_write_timeout(time).expect("a time");
            // It may have to leave.
            let _ = stream.write_all(&begun(&text, 1_048_000));
            streams.push(stream);
        }
        thread::sleep(Duration::from_secs(1));
    });
}
