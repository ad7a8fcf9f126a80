//! Requests through a hand-written proxy.

use std::net::{SocketAddr, TcpListener};

use futures_util::{AsyncReadExt as _, AsyncWriteExt as _};
use http::Uri;
use sorna::TransportErrorKind;
use sorna::engine::HttpTransport;
use sorna::net::{NetOptions, ProxyOptions, TlsOptions};
use sorna::protocol::Sent;
use sorna::runtime::Runtime;

use super::lab::{chain, get, post};
use super::server::{Peer, Server};
use super::tls::Authority;

on_every_driver!(
    plain_requests_are_forwarded_in_absolute_form,
    a_proxy_connection_is_reused,
    https_goes_through_a_tunnel,
    a_tunnel_for_other_protocols_is_made_for_plain_targets_too,
    bypassed_hosts_are_reached_directly,
    missing_credentials_are_a_proxy_error,
    a_refused_tunnel_is_a_proxy_error,
    proxy_that_speaks_first_is_rejected,
    a_proxy_that_is_down_is_a_proxy_error,
);

const SECRETS: [&str; 3] = ["p@ss", "p%40ss", "dXNlcjpwQHNz"];

fn through<R: Runtime>(runtime: R, proxy: SocketAddr, user: &str) -> HttpTransport<R> {
    let proxy = ProxyOptions::url(&format!("http://{user}{proxy}")).unwrap();
    HttpTransport::new(runtime, NetOptions::new().with_proxy(proxy))
}

/// A proxy whose tunnels all lead to one address, whatever target is requested.
fn tunnel(to: SocketAddr, authorization: Option<&'static str>) -> Server {
    Server::start(move |_, mut peer| {
        let Some(request) = peer.request() else {
            return;
        };
        if request.header("proxy-authorization") != authorization {
            return peer.answer("407 Proxy Authentication Required", "who?");
        }
        let first = request.head.lines().next().unwrap();
        let target = first.strip_prefix("CONNECT ").unwrap();
        let target = target.strip_suffix(" HTTP/1.1").unwrap();
        assert_eq!(request.header("host"), Some(target));
        assert_eq!(request.header("authorization"), None);
        peer.send("HTTP/1.0 200 Connection established\r\nProxy-Agent: test\r\n\r\n");
        peer.forward(to);
    })
}

fn check_forwarded(peer: &mut Peer, authorization: Option<&str>) -> Option<()> {
    let request = peer.request()?;
    let first = request.head.lines().next().unwrap();
    assert_eq!(first, "POST http://gateway.example:8081/v2/x?y HTTP/1.1");
    assert_eq!(request.header("host"), Some("gateway.example:8081"));
    assert_eq!(request.header("proxy-authorization"), authorization);
    peer.answer("200 OK", &request.body);
    Some(())
}

async fn plain_requests_are_forwarded_in_absolute_form<R: Runtime>(runtime: R) {
    for (user, authorization) in [("", None), ("user:p%40ss@", Some("Basic dXNlcjpwQHNz"))] {
        let proxy = Server::start(move |_, mut peer| {
            check_forwarded(&mut peer, authorization).unwrap();
        });
        let client = through(runtime.clone(), proxy.address(), user);
        let url = "http://gateway.example:8081/v2/x?y";
        let response = post(&client, url, b"body".to_vec()).await.unwrap();
        assert_eq!(response.body(), "body");
        let shown = format!("{client:?}");
        assert!(SECRETS.iter().all(|secret| !shown.contains(secret)));
    }
}

async fn a_proxy_connection_is_reused<R: Runtime>(runtime: R) {
    let proxy = Server::start(|_, mut peer| while check_forwarded(&mut peer, None).is_some() {});
    let client = through(runtime, proxy.address(), "");
    for _ in 0..3 {
        let url = "http://gateway.example:8081/v2/x?y";
        post(&client, url, b"body".to_vec()).await.unwrap();
    }
    assert_eq!(proxy.connections(), 1);
}

async fn https_goes_through_a_tunnel<R: Runtime>(runtime: R) {
    let authority = Authority::new();
    let server = authority.server("gateway.example");
    let proxy = tunnel(server.address(), Some("Basic dXNlcjpwQHNz"));
    let url = format!("http://user:p%40ss@{}", proxy.address());
    let options = NetOptions::new()
        .with_tls(TlsOptions::new().with_ca_pem(authority.pem()))
        .with_proxy(ProxyOptions::url(&url).unwrap());
    let client = HttpTransport::new(runtime, options);
    for _ in 0..2 {
        let body = b"secret code".to_vec();
        let response = post(&client, "https://gateway.example/v2", body).await;
        assert_eq!(response.unwrap().body(), "secret code");
    }
    assert_eq!((proxy.connections(), server.connections()), (1, 1));
}

async fn a_tunnel_for_other_protocols_is_made_for_plain_targets_too<R: Runtime>(runtime: R) {
    let server = Server::start(|_, mut peer| {
        while peer.input.len() < 5 {
            assert!(peer.read());
        }
        assert_eq!(peer.input, b"hello");
        peer.send("world");
    });
    let proxy = tunnel(server.address(), None);
    let client = through(runtime, proxy.address(), "");
    let uri = Uri::from_static("ws://gateway.example/v2/stream");
    let mut connection = client.connect(&uri).await.unwrap();
    assert!(!connection.is_secure());
    connection.write_all(b"hello").await.unwrap();
    connection.flush().await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "world");
}

async fn bypassed_hosts_are_reached_directly<R: Runtime>(runtime: R) {
    let server = Server::echo();
    let proxy = ProxyOptions::url(&format!("http://{}", closed_port())).unwrap();
    let options = NetOptions::new().with_proxy(proxy.with_bypass("127.0.0.0/8"));
    let client = HttpTransport::new(runtime, options);
    get(&client, &server.url("/")).await.unwrap();
    let error = get(&client, "http://gateway.example/").await.unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Proxy);
}

async fn missing_credentials_are_a_proxy_error<R: Runtime>(runtime: R) {
    let proxy = Server::start(|_, mut peer| {
        while peer.request().is_some() {
            peer.answer("407 Proxy Authentication Required", "who?");
        }
    });
    let client = through(runtime, proxy.address(), "user:p%40ss@");
    for url in ["http://gateway.example/", "https://gateway.example/"] {
        let error = get(&client, url).await.unwrap_err();
        assert_eq!(error.kind(), TransportErrorKind::Proxy);
        assert_eq!(error.sent(), Sent::Nothing);
        let text = format!("{} {error:?}", chain(&error));
        let proxy = proxy.address();
        let start = format!("the proxy {proxy} refused: 407 proxy authentication required");
        assert!(text.starts_with(&start), "{text}");
        assert!(
            SECRETS.iter().all(|secret| !text.contains(secret)),
            "{text}"
        );
    }
}

async fn a_refused_tunnel_is_a_proxy_error<R: Runtime>(runtime: R) {
    let proxy = Server::start(|_, mut peer| {
        peer.request();
        peer.answer("403 Forbidden", "not there");
    });
    let client = through(runtime, proxy.address(), "");
    let error = get(&client, "https://gateway.example/").await.unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Proxy);
    assert_eq!(error.sent(), Sent::Nothing);
    let message = format!("the proxy {} refused: 403 forbidden", proxy.address());
    assert_eq!(error.to_string(), message);
    let uri = Uri::from_static("http://gateway.example/");
    let error = client.connect(&uri).await.unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Proxy);
}

async fn proxy_that_speaks_first_is_rejected<R: Runtime>(runtime: R) {
    for answer in [
        "HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nHalf",
        "",
        "SSH-2.0-OpenSSH_9.2\r\n",
    ] {
        let proxy = Server::start(move |_, mut peer| {
            peer.request();
            peer.send(answer);
        });
        let client = through(runtime.clone(), proxy.address(), "");
        let error = get(&client, "https://gateway.example/").await.unwrap_err();
        assert_eq!(error.kind(), TransportErrorKind::Proxy, "{answer}");
        assert_eq!(error.sent(), Sent::Nothing, "{answer}");
    }
}

async fn a_proxy_that_is_down_is_a_proxy_error<R: Runtime>(runtime: R) {
    let address = closed_port();
    let client = through(runtime, address, "user:p%40ss@");
    let error = get(&client, "http://gateway.example/").await.unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Proxy);
    assert_eq!(error.sent(), Sent::Nothing);
    let message = format!("could not connect to the proxy {address}");
    assert_eq!(error.to_string(), message);
}

fn closed_port() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}
