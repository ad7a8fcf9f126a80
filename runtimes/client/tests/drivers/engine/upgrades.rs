//! Connections that switch to another protocol.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{AsyncReadExt as _, AsyncWriteExt as _};
use http::Request;
use sorna::TransportErrorKind;
use sorna::engine::HttpTransport;
use sorna::net::{NetOptions, ProxyOptions, UpgradeTransport, Upgraded};
use sorna::protocol::{Body, Sent};
use sorna::runtime::Runtime;

use super::lab::{LONG, client, get};
use super::server::Server;

on_every_driver!(
    connection_speaks_the_other_protocol_afterwards,
    any_other_response_is_returned,
    connection_is_never_shared,
    upgrade_has_a_time_limit,
    connection_that_ends_is_an_error,
    plain_proxy_is_asked_for_a_tunnel,
);

fn request(url: &str) -> Request<Body> {
    let request = Request::get(url)
        .header("connection", "Upgrade")
        .header("upgrade", "echo");
    request.body(Body::empty()).unwrap()
}

const SWITCHED: &str =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n";

async fn connection_speaks_the_other_protocol_afterwards<R: Runtime>(runtime: R) {
    let server = Server::start(|_, mut peer| {
        let request = peer.request().unwrap();
        assert_eq!(request.header("upgrade"), Some("echo"));
        assert_eq!(request.header("connection"), Some("Upgrade"));
        peer.send(format!("{SWITCHED}early"));
        while peer.input.len() < 5 {
            assert!(peer.read());
        }
        assert_eq!(peer.input, b"hello");
        peer.send("world");
    });
    // Through an `Arc`, which passes it on.
    let client = Arc::new(client(runtime));
    let upgraded = client.upgrade(request(&server.url("/")), LONG).await;
    let Upgraded::Switched {
        head,
        mut io,
        read_ahead,
    } = upgraded.unwrap()
    else {
        panic!("not switched");
    };
    assert_eq!(head.status(), 101);
    assert_eq!(head.headers()["upgrade"], "echo");
    io.write_all(b"hello").await.unwrap();
    io.flush().await.unwrap();
    let mut rest = read_ahead.to_vec();
    io.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest, b"earlyworld");
}

async fn any_other_response_is_returned<R: Runtime>(runtime: R) {
    for status in ["200 OK", "404 Not Found", "500 Internal Server Error"] {
        let server = Server::start(move |_, mut peer| {
            peer.request().unwrap();
            peer.answer(status, "no");
        });
        let client = client(runtime.clone());
        let upgraded = client.upgrade(request(&server.url("/")), LONG).await;
        let Upgraded::Refused(response) = upgraded.unwrap() else {
            panic!("switched by {status}");
        };
        assert!(status.starts_with(response.status().as_str()));
        assert_eq!(response.body(), "no");
    }
}

async fn connection_is_never_shared<R: Runtime>(runtime: R) {
    let server = Server::start(|_, mut peer| {
        while let Some(request) = peer.request() {
            match request.header("upgrade") {
                Some(_) => peer.answer("404 Not Found", "no"),
                None => peer.answer("200 OK", ""),
            }
        }
    });
    let client = client(runtime);
    get(&client, &server.url("/")).await.unwrap();
    let upgraded = client.upgrade(request(&server.url("/")), LONG).await;
    assert!(matches!(upgraded.unwrap(), Upgraded::Refused(_)));
    get(&client, &server.url("/")).await.unwrap();
    assert_eq!(server.connections(), 2);
}

async fn upgrade_has_a_time_limit<R: Runtime>(runtime: R) {
    let server = Server::start(|_, mut peer| {
        peer.request().unwrap();
        peer.drain();
    });
    let limit = Duration::from_millis(200);
    let client = client(runtime);
    let upgraded = client.upgrade(request(&server.url("/")), limit).await;
    let error = upgraded.unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Timeout);
    assert_eq!(error.sent(), Sent::Maybe);
}

async fn connection_that_ends_is_an_error<R: Runtime>(runtime: R) {
    for answer in ["", "HTTP/1.1 101 Switching Protocols\r\n", "SSH-2.0-x\r\n"] {
        let server = Server::start(move |_, mut peer| {
            peer.request().unwrap();
            peer.send(answer);
        });
        let client = client(runtime.clone());
        let upgraded = client.upgrade(request(&server.url("/")), LONG).await;
        let error = upgraded.unwrap_err();
        assert_eq!(error.kind(), TransportErrorKind::Receive, "{answer}");
    }
}

async fn plain_proxy_is_asked_for_a_tunnel<R: Runtime>(runtime: R) {
    let server = Server::start(|_, mut peer| {
        peer.request().unwrap();
        peer.send(SWITCHED);
    });
    let address = server.address();
    let proxy = Server::start(move |_, mut peer| {
        let head = peer.head().unwrap();
        assert!(head.starts_with("CONNECT gateway.example:80 HTTP/1.1\r\n"));
        peer.send("HTTP/1.1 200 OK\r\n\r\n");
        peer.forward(address);
    });
    let through = ProxyOptions::url(&format!("http://{}", proxy.address())).unwrap();
    let options = NetOptions::new().with_proxy(through);
    let client = HttpTransport::new(runtime, options);
    let upgraded = client
        .upgrade(request("http://gateway.example/"), LONG)
        .await;
    assert!(matches!(upgraded.unwrap(), Upgraded::Switched { .. }));
}
