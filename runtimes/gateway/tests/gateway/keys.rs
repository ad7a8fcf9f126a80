//! Key pairs that are withdrawn while the gateway serves.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::SystemTime;

use crate::common::{Client, gateway_with, read_response, wait_until};
use sorna_core::{AccessKey, Authorize, Credentials, Info, SecretKey};
use sorna_gateway::RunningGateway;

fn pair(access: &str, secret: &str) -> Credentials {
    let access = AccessKey::new(access).unwrap();
    Credentials::new(access, SecretKey::new(secret).unwrap())
}

fn one() -> Credentials {
    pair("AKIAONE", "secret-one")
}

fn two() -> Credentials {
    pair("AKIATWO", "secret-two")
}

fn gateway() -> RunningGateway {
    gateway_with(|config| config.with_credentials([one(), two()]))
}

/// Reads what comes until the connection ends.
fn rest(stream: &mut TcpStream) -> usize {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Ok(count) => count,
        // It was closed while something was on the way.
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => 0,
        Err(error) => panic!("{error}"),
    }
}

/// A connection whose request was answered.
fn idle(client: &Client) -> TcpStream {
    let mut stream = client.connect();
    let request = client.bytes_of(&Authorize::new("x"), SystemTime::now());
    stream.write_all(&request).unwrap();
    assert_eq!(read_response(&mut stream).status(), 200);
    stream
}

/// A connection with the terminal of a kernel.
fn terminal(client: &Client, kernel: &sorna_core::KernelId) -> TcpStream {
    let mut stream = client.connect();
    stream.write_all(&client.terminal_bytes(kernel)).unwrap();
    let mut head = [0; 12];
    stream.read_exact(&mut head).unwrap();
    assert_eq!(&head, b"HTTP/1.1 101");
    stream
}

fn is_open(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let read = stream.peek(&mut [0]);
    stream.set_nonblocking(false).unwrap();
    !matches!(read, Ok(0))
}

#[test]
fn all_that_belongs_to_a_revoked_key_ends_and_nothing_else() {
    let gateway = gateway();
    let (first, second) = (Client::with_key(&gateway, 0), Client::with_key(&gateway, 1));
    let kernels = [
        first.create("bash"),
        first.create("bash"),
        first.create("bash"),
    ];
    let kept = second.create("bash");
    second.run(&kept, "x=kept").finished();
    let (_, running) = first.query(&kernels[1], "sleep 1000");
    assert!(!running.status.is_end());
    let mut ending = [idle(&first), terminal(&first, &kernels[2])];
    let staying = [idle(&second), terminal(&second, &kept)];

    let changes = gateway.keys().replace([two()]);
    assert_eq!(changes.revoked, [one().access_key().clone()]);
    assert!(changes.added.is_empty() && changes.changed.is_empty());
    assert_eq!(
        first.error_of(&Authorize::new("x")),
        (401, "auth-failed".into())
    );
    for stream in &mut ending {
        rest(stream);
    }
    wait_until("its kernels end", || gateway.stats().kernels == 1);
    assert!(staying.iter().all(is_open));
    assert_eq!(second.run(&kept, "echo $x").finished().0, "kept\n");

    // It is accepted again, and has none of its kernels.
    let changes = gateway.keys().replace([two(), one()]);
    assert_eq!(changes.added, [one().access_key().clone()]);
    for kernel in &kernels {
        assert_eq!(first.error_of(&Info::new(kernel.clone())).0, 404);
    }
    let new = first.create("bash");
    assert_eq!(first.run(&new, "echo new").finished().0, "new\n");
}

#[test]
fn a_key_with_another_secret_keeps_its_kernels_but_no_connection() {
    let gateway = gateway();
    let client = Client::with_key(&gateway, 0);
    let kernel = client.create("bash");
    client.run(&kernel, "x=kept").finished();
    let mut ending = [idle(&client), terminal(&client, &kernel)];
    let changed = pair("AKIAONE", "another");
    let changes = gateway.keys().replace([changed.clone(), two()]);
    assert_eq!(changes.changed, [one().access_key().clone()]);
    for stream in &mut ending {
        rest(stream);
    }
    assert_eq!(
        client.error_of(&Authorize::new("x")),
        (401, "auth-failed".into())
    );
    let client = Client::with_credentials(&gateway, changed);
    assert_eq!(client.run(&kernel, "echo $x").finished().0, "kept\n");
    assert_eq!(gateway.stats().kernels, 1);
}

#[test]
fn kernels_that_are_being_created_when_their_key_is_revoked_end_as_well() {
    let gateway = gateway();
    let client = Client::with_key(&gateway, 0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let token = sorna_core::SessionToken::from_random(crate::common::random());
                // Whether it is too late for that depends.
                let _ = client.call(&sorna_core::CreateKernel::new("bash", token));
            });
        }
        wait_until("some kernel", || gateway.stats().kernels_created > 0);
        gateway.keys().replace([two()]);
    });
    wait_until("they end", || gateway.stats().kernels == 0);
}
