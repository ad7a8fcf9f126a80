//! Hostile clients: what they can make the gateway hold, and whether others are served meanwhile.
//!
//! The gateway runs in the test's own process, and is alone there: one test does all of it.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use common::{Client, gateway_with};
use sorna_core::{Authorize, KernelId};
use sorna_gateway::RunningGateway;

const MIB: u64 = 1024 * 1024;
/// How much more memory the process may take during an attack.
const ROOM: u64 = 64 * MIB;

/// The memory of this process, in bytes.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let words = line.unwrap().split_whitespace();
    words.rev().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// Has a request served, at the third attempt at the latest: a connection that is new and silent may be closed to make
/// room for hundreds of others.
fn serve(client: &Client) {
    let request = client.bytes_of(&Authorize::new("x"), SystemTime::now());
    let is_served = (0..3).any(|_| {
        let mut stream = client.connect();
        let mut start = [0; 12];
        let sent = stream.write_all(&request);
        sent.and_then(|()| stream.read_exact(&mut start)).is_ok() && &start == b"HTTP/1.1 200"
    });
    assert!(is_served, "an honest client is not served");
}

/// Runs an attack from some threads, while an honest client is served and memory is watched.
fn under_attack(what: &str, gateway: &RunningGateway, threads: usize, attack: impl Fn() + Sync) {
    let honest = Client::new(gateway);
    serve(&honest);
    let before = memory();
    let is_over = AtomicBool::new(false);
    let most = std::thread::scope(|scope| {
        let served = scope.spawn(|| {
            let mut most = 0;
            let mut rounds = 0;
            while !is_over.load(Ordering::Relaxed) || rounds < 5 {
                serve(&honest);
                most = most.max(memory());
                rounds += 1;
            }
            most
        });
        let attackers: Vec<_> = (0..threads).map(|_| scope.spawn(&attack)).collect();
        for attacker in attackers {
            attacker.join().unwrap();
        }
        is_over.store(true, Ordering::Relaxed);
        served.join().unwrap()
    });
    let more = most.saturating_sub(before);
    assert!(more < ROOM, "{what}: {} MiB", more / MIB);
}

/// Sends as much as the gateway takes. It may close the connection.
fn send(stream: &mut TcpStream, piece: &[u8], times: usize) {
    for _ in 0..times {
        if stream.write_all(piece).is_err() {
            return;
        }
    }
}

fn form(client: &Client, kernel: &KernelId, start: &str, length: usize) -> Vec<u8> {
    let target = format!("/v2/kernel/{kernel}/upload");
    let media_type = "multipart/form-data; boundary=XyZ";
    let request = client.raw_bytes("POST", &target, media_type, &vec![b'.'; length]);
    let head = request.windows(4).position(|it| it == b"\r\n\r\n");
    [&request[..head.unwrap() + 4], start.as_bytes()].concat()
}

#[test]
fn memory_is_bounded_and_others_are_served() {
    let gateway = gateway_with(|config| config.with_max_connections(256));
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    let piece = vec![b'.'; 64 * 1024];

    let preamble = form(&client, &kernel, "", 19 << 20);
    let head = "--XyZ\r\nContent-Disposition: form-data; name=\"src\"; filename=\"";
    let head = form(&client, &kernel, head, 19 << 20);
    for (what, request) in [("a preamble", preamble), ("the head of a part", head)] {
        under_attack(what, &gateway, 30, || {
            let mut stream = client.connect();
            stream.write_all(&request).unwrap();
            send(&mut stream, &piece, 300);
            let _ = stream.shutdown(Shutdown::Write);
            let mut response = String::new();
            let _ = stream.read_to_string(&mut response);
            assert!(
                response.is_empty() || response.contains("larger than 16384 bytes"),
                "{what}: {response}"
            );
        });
    }

    // Bodies of a key that is known, before their signature can be checked: none of them ends.
    let body = vec![b'x'; (1 << 20) - 1];
    let request = client.raw_bytes("GET", "/v2/authorize", "application/json", &body);
    under_attack("bodies of strangers", &gateway, 200, || {
        let mut stream = client.connect();
        let _ = stream.write_all(&request[..request.len() - 1]);
        stream
            .set_read_timeout(Some(Duration::from_secs(2)))
            .unwrap();
        let _ = stream.read(&mut [0; 1]);
    });

    let half = b"GET /v2 HTTP/1.1\r\nHost: x\r\n";
    under_attack("idle connections", &gateway, 4, || {
        let mut streams = Vec::new();
        for _ in 0..200 {
            let mut stream = client.connect();
            let _ = stream.write_all(half);
            streams.push(stream);
        }
        // There is room for a new one all the same.
        for _ in 0..5 {
            serve(&client);
        }
    });
}
