//! Connecting, and how long things may take.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use http::Request;
use sorna::TransportErrorKind;
use sorna::engine::HttpTransport;
use sorna::net::{NetOptions, Transport};
use sorna::protocol::{Body, Sent};
use sorna::runtime::Runtime;
use sorna_test_tools::need_that;

use super::lab::{Lab, chain, client, get, post};
use super::server::Server;

on_every_driver!(
    a_refused_connection_names_the_endpoint,
    unknown_name_is_a_resolve_error,
    a_name_is_resolved,
    ipv6_works,
    all_addresses_of_a_name_are_tried,
    a_silent_address_does_not_hold_up_the_next,
    connecting_has_a_time_limit,
    a_call_has_a_time_limit,
    silence_has_a_time_limit,
    slow_response_is_not_silence,
    upload_that_is_not_read_times_out,
);

/// An address on which nothing listens.
fn closed_port() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

fn with_limits<R: Runtime>(
    runtime: R,
    set: impl FnOnce(NetOptions) -> NetOptions,
) -> HttpTransport<R> {
    HttpTransport::new(runtime, set(NetOptions::new()))
}

async fn a_refused_connection_names_the_endpoint<R: Runtime>(runtime: R) {
    let address = closed_port();
    let error = get(&client(runtime), &format!("http://{address}/")).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Connect);
    assert_eq!(error.sent(), Sent::Nothing);
    assert!(error.is_unreachable());
    let message = format!("could not connect to {address}");
    assert_eq!(error.to_string(), message);
    assert!(std::error::Error::source(&error).is_some());
}

async fn unknown_name_is_a_resolve_error<R: Runtime>(runtime: R) {
    let error = get(&client(runtime), "http://no-such-host.invalid/").await;
    let error = error.unwrap_err();
    assert_eq!(
        error.kind(),
        TransportErrorKind::Resolve,
        "{}",
        chain(&error)
    );
    assert_eq!(error.sent(), Sent::Nothing);
    assert!(error.to_string().contains("no-such-host.invalid"));
}

async fn a_name_is_resolved<R: Runtime>(runtime: R) {
    let server = Server::echo();
    let port = server.address().port();
    let url = format!("http://localhost:{port}/");
    get(&client(runtime), &url).await.unwrap();
}

async fn ipv6_works<R: Runtime>(runtime: R) {
    if !need_that(TcpListener::bind("[::1]:0").is_ok(), "IPv6") {
        return;
    }
    let server = Server::start_on("[::1]:0", |_, mut peer| {
        let request = peer.request().unwrap();
        let host = request.header("host").unwrap().to_owned();
        peer.answer("200 OK", host);
    });
    let response = get(&client(runtime), &server.url("/")).await.unwrap();
    assert_eq!(response.body(), server.address().to_string().as_str());
}

async fn all_addresses_of_a_name_are_tried<R: Runtime>(runtime: R) {
    let server = Server::echo();
    let mut lab = Lab::new(runtime);
    lab.addresses = vec![
        closed_port(),
        closed_port(),
        "[::1]:1".parse().unwrap(),
        server.address(),
    ];
    let client = HttpTransport::new(lab.clone(), NetOptions::default());
    get(&client, "http://gateway.example/").await.unwrap();
    assert_eq!(lab.log.lock().unwrap().connects.len(), 4);

    lab.addresses = vec![closed_port(), closed_port()];
    let client = HttpTransport::new(lab, NetOptions::default());
    let error = get(&client, "http://gateway.example/").await.unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Connect);
    let message = "could not connect to gateway.example:80";
    assert_eq!(error.to_string(), message);
}

async fn a_silent_address_does_not_hold_up_the_next<R: Runtime>(runtime: R) {
    let server = Server::echo();
    let mut lab = Lab::new(runtime);
    let silent: SocketAddr = "[2001:db8::1]:80".parse().unwrap();
    lab.silent = vec![silent];
    lab.addresses = vec![silent, server.address()];
    let client = HttpTransport::new(lab.clone(), NetOptions::default());
    get(&client, "http://gateway.example/").await.unwrap();
    let connects = lab.log.lock().unwrap().connects.clone();
    assert_eq!(connects, [silent, server.address()]);
}

async fn connecting_has_a_time_limit<R: Runtime>(runtime: R) {
    let mut lab = Lab::new(runtime);
    let silent: SocketAddr = "192.0.2.1:80".parse().unwrap();
    lab.silent = vec![silent];
    let client = with_limits(lab, |options| {
        options.with_connect_timeout(Duration::from_millis(50))
    });
    let error = get(&client, "http://192.0.2.1/").await.unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Timeout);
    assert_eq!(error.sent(), Sent::Nothing);
    assert_eq!(
        error.to_string(),
        "no connection to 192.0.2.1:80 within 50ms: time ran out while connecting"
    );
}

async fn a_call_has_a_time_limit<R: Runtime>(runtime: R) {
    let server = Server::start(|_, mut peer| {
        peer.request();
        peer.drain();
    });
    // The caller's limit, and the general one where it is lower.
    for (general, own) in [(None, 50), (Some(50), 30_000)] {
        let client = with_limits(runtime.clone(), |options| match general {
            Some(ms) => options.with_request_timeout(Duration::from_millis(ms)),
            None => options,
        });
        let request = Request::post(server.url("/")).body(Body::from(vec![b'x']));
        let limit = Duration::from_millis(own);
        let error = client.send(request.unwrap(), limit).await.unwrap_err();
        assert_eq!(error.kind(), TransportErrorKind::Timeout);
        assert_eq!(error.sent(), Sent::Maybe);
        assert_eq!(
            error.to_string(),
            format!(
                "no complete response from {} within 50ms: time ran out while waiting for the response",
                server.address()
            )
        );
    }
    // Both connections were closed with their requests.
    assert_eq!(server.connections(), 2);
}

async fn silence_has_a_time_limit<R: Runtime>(runtime: R) {
    let server = Server::start(|_, mut peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
        peer.drain();
    });
    let client = with_limits(runtime, |options| {
        options.with_idle_timeout(Duration::from_millis(80))
    });
    let error = get(&client, &server.url("/")).await.unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Timeout);
    assert_eq!(
        error.to_string(),
        format!(
            "no data to or from {} for 80ms while receiving the response",
            server.address()
        )
    );
}

async fn slow_response_is_not_silence<R: Runtime>(runtime: R) {
    let server = Server::start(|_, mut peer| {
        peer.request();
        for byte in "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes".bytes() {
            peer.send([byte]);
            std::thread::sleep(Duration::from_millis(50));
        }
        peer.drain();
    });
    let client = with_limits(runtime, |options| {
        // Half of what the whole response takes, and far more than one byte does.
        options.with_idle_timeout(Duration::from_secs(1))
    });
    let response = get(&client, &server.url("/")).await.unwrap();
    assert_eq!(response.body(), "yes");
}

async fn upload_that_is_not_read_times_out<R: Runtime>(runtime: R) {
    let given_up = Arc::new(AtomicBool::new(false));
    let server = Server::start({
        let given_up = Arc::clone(&given_up);
        move |_, mut peer| {
            peer.head().unwrap();
            while !given_up.load(SeqCst) {
                std::thread::sleep(Duration::from_millis(5));
            }
            peer.drain();
        }
    });
    let client = with_limits(runtime, |options| {
        options.with_idle_timeout(Duration::from_millis(150))
    });
    let error = post(&client, &server.url("/"), vec![0; 32 << 20]).await;
    given_up.store(true, SeqCst);
    let error = error.unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Timeout);
    assert_eq!(error.sent(), Sent::Maybe);
    assert!(error.to_string().ends_with("while sending the request"));
}
