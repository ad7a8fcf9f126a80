//! A terminal of gateway 0.9.11 after a restart, with every driver: its first input is lost, whatever it is, and nothing is
//! shown until then. The times are tested in core, in virtual time.

use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use sorna::protocol::terminal::{Command, Message as Shown};
use sorna::{
    AccessKey, ApiVersion, ClientOptions, Config, Credentials, KernelId, SecretKey, TerminalOptions,
};
use sorna_tests::drivers::{Driver, PtyDriver, read_until};
use tungstenite::{Message, WebSocket};

/// Echoes what is typed, except for the first input after a restart. Returns all input at the end.
fn serve(tcp: TcpStream) -> Vec<u8> {
    tcp.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut socket: WebSocket<TcpStream> = tungstenite::accept(tcp).unwrap();
    let mut all = Vec::new();
    let mut loses = false;
    loop {
        let text = match socket.read() {
            Ok(Message::Text(text)) => text,
            Ok(Message::Close(_)) | Err(_) => return all,
            Ok(_) => continue,
        };
        match Command::decode(&text).unwrap() {
            Command::Restart => {
                loses = true;
                // What the old kernel had shown comes late.
                let stale = Shown::Out("stale".into()).encode();
                socket.send(Message::text(stale)).unwrap();
            }
            Command::Stdin(_) if loses => loses = false,
            Command::Stdin(bytes) => {
                all.extend_from_slice(&bytes);
                socket
                    .send(Message::text(Shown::Out(bytes).encode()))
                    .unwrap();
            }
            _ => {}
        }
    }
}

fn shows<'t>(text: &'t str) -> impl Fn(&[u8]) -> bool + 't {
    move |all| all.windows(text.len()).any(|part| part == text.as_bytes())
}

async fn types<D: Driver>(client: D) {
    let kernel = KernelId::new("k").unwrap();
    let opened = client.stream_pty(kernel, TerminalOptions::default()).await;
    let mut pty = opened.unwrap();
    pty.write(b"before ").await.unwrap();
    read_until(&mut pty, shows("before")).await;
    for _ in 0..2 {
        pty.restart().await.unwrap();
        pty.write(b"after ").await.unwrap();
        read_until(&mut pty, shows("after")).await;
    }
    // Reading alone is enough for the empty input to be sent.
    pty.restart().await.unwrap();
    read_until(&mut pty, shows("stale")).await;
    pty.write(b"end").await.unwrap();
    read_until(&mut pty, shows("end")).await;
    pty.close().await.unwrap();
}

fn check<D: Driver>() {
    let _watchdog = sorna_test_tools::watch("a restart", Duration::from_secs(120));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let gateway = thread::spawn(move || serve(listener.accept().unwrap().0));
    let keys = Credentials::new(AccessKey::new("AK").unwrap(), SecretKey::new("SK").unwrap());
    let config = Config::new(endpoint.parse().unwrap(), keys).with_version(ApiVersion::V2_20170315);
    D::block_on(types(D::connect(config, ClientOptions::default())));
    assert_eq!(gateway.join().unwrap(), b"before after after end");
}

sorna_tests::with_every_driver!(check);
