//! How a terminal is opened, and how that fails.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use sorna::net::ProxyOptions;
use sorna::protocol::Sent;
use sorna::protocol::terminal::Command;
use sorna::{ClientOptions, RetryPolicy, TerminalOptions, TransportErrorKind};
use tungstenite::handshake::derive_accept_key;

use super::gateway::{Gateway, chain, kernel_at, output, trusting};
use super::tls::{Authority, authority};

/// Reads one head. A client must not send anything after it yet.
fn head(tcp: &mut TcpStream) -> String {
    let mut head = vec![0; 16 * 1024];
    let read = tcp.read(&mut head).unwrap();
    head.truncate(read);
    let head = String::from_utf8(head).unwrap();
    assert!(head.ends_with("\r\n\r\n"), "not one whole head: {head:?}");
    head
}

#[test]
fn the_handshake_is_signed_and_the_size_is_sent_first() {
    for secure in [false, true] {
        let gateway = Gateway::either(secure, |mut peer| {
            assert_eq!(peer.path, "/v2/stream/kernel/zuF1OzMIhFknyjUl7Apbvg/pty");
            let authorization = peer.headers["authorization"].to_str().unwrap();
            assert!(
                authorization.starts_with("Sorna signMethod=HMAC-SHA256, credential="),
                "{authorization}"
            );
            assert_eq!(peer.headers["x-sorna-version"], "v2.20170315");
            assert!(peer.headers.contains_key("date"));
            peer.expect(Command::Resize { rows: 5, cols: 7 });
            peer.drain();
        });
        let options = TerminalOptions::new().with_size(5, 7);
        let pty = gateway.kernel().stream_pty(options).unwrap();
        pty.close().unwrap();
        gateway.join();
    }
}

#[test]
fn error_response_in_two_segments_keeps_its_text() {
    let gateway = Gateway::raw(|mut tcp| {
        head(&mut tcp);
        let body = r#"{"type": "https://api.sorna.io/probs/kernel-not-found", "title": "Gone."}"#;
        let answer = format!(
            "HTTP/1.1 404 Not Found\r\nContent-Type: application/problem+json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let (one, two) = answer.as_bytes().split_at(answer.len() - 30);
        tcp.write_all(one).unwrap();
        thread::sleep(Duration::from_millis(50));
        tcp.write_all(two).unwrap();
        tcp.read_to_end(&mut Vec::new()).unwrap();
    });
    let error = gateway.error_response();
    assert!(error.is_not_found());
    assert!(chain(&error).ends_with("Gone."), "{error}");
    gateway.join();
}

#[test]
fn first_message_may_come_with_the_response() {
    let gateway = Gateway::raw(|mut tcp| {
        let head = head(&mut tcp);
        let key = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            let wanted = name.eq_ignore_ascii_case("sec-websocket-key");
            wanted.then(|| value.to_owned())
        });
        let accept = derive_accept_key(key.unwrap().as_bytes());
        let text = r#"{"type":"out","data":"aGk="}"#;
        let mut answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
             Transfer-Encoding: chunked\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
        )
        .into_bytes();
        answer.extend([0x81, text.len() as u8]);
        answer.extend(text.as_bytes());
        tcp.write_all(&answer).unwrap();
        // The client's first message. It is masked, so only its arrival is checked.
        assert!(tcp.read(&mut [0; 1024]).unwrap() > 0);
    });
    let mut pty = gateway.open();
    assert_eq!(output(pty.next_event().unwrap()), b"hi");
    gateway.join();
}

#[test]
fn accept_header_of_another_handshake_is_refused() {
    let gateway = Gateway::raw(|mut tcp| {
        head(&mut tcp);
        let answer = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n\
                      Upgrade: websocket\r\nSec-WebSocket-Accept: c29tZWJvZHkgZWxzZQ==\r\n\r\n";
        tcp.write_all(answer.as_bytes()).unwrap();
    });
    let error = gateway.error_response();
    assert!(
        chain(&error).contains("invalid Sec-WebSocket-Accept"),
        "{error}"
    );
    gateway.join();
}

#[test]
fn closing_or_absent_gateway_is_an_error() {
    let gateway = Gateway::raw(|mut tcp| {
        head(&mut tcp);
    });
    let error = gateway.error_response();
    let failure = error.transport().unwrap();
    assert_eq!(failure.kind(), TransportErrorKind::Receive);
    assert!(chain(&error).contains("without a response"), "{error}");
    gateway.join();

    // Nothing listens there.
    let kernel = kernel_at("http://127.0.0.1:1", ClientOptions::default());
    let error = kernel.stream_pty(TerminalOptions::default()).unwrap_err();
    let failure = error.transport().unwrap();
    assert_eq!(failure.kind(), TransportErrorKind::Connect);
    assert_eq!(failure.sent(), Sent::Nothing);
    assert_eq!(failure.to_string(), "could not connect to 127.0.0.1:1");
}

#[test]
fn silent_gateway_times_out() {
    for (secure, drips) in [(false, false), (false, true), (true, false)] {
        let gateway = Gateway::raw(move |mut tcp| {
            // Each byte arrives in time, the whole response does not.
            if drips {
                tcp.write_all(b"HTTP/1.1 101 Soon\r\nX-Slow: ").unwrap();
            }
            while drips && tcp.write_all(b"z").is_ok() {
                thread::sleep(Duration::from_millis(20));
            }
            let _reset = tcp.read_to_end(&mut Vec::new());
        });
        let scheme = if secure { "https" } else { "http" };
        let retry = RetryPolicy::default().with_attempt_limit(Duration::from_millis(300));
        let options = trusting(authority()).with_retry(retry);
        let kernel = kernel_at(&format!("{scheme}://{}", gateway.address), options);
        let error = kernel.stream_pty(TerminalOptions::default()).unwrap_err();
        let failure = error.transport().unwrap();
        assert!(failure.is_timeout(), "{}", chain(&error));
        let address = gateway.address;
        let (what, doing) = match (secure, drips) {
            (true, _) => ("connection to", "setting up TLS"),
            (false, true) => ("complete response from", "receiving the response"),
            (false, false) => ("complete response from", "waiting for the response"),
        };
        assert_eq!(
            failure.to_string(),
            format!("no {what} {address} within 300ms: time ran out while {doing}")
        );
        gateway.join();
    }
}

#[test]
fn an_unknown_authority_is_refused() {
    let gateway = Gateway::raw(|tcp| {
        let mut stream = authority().accept(tcp);
        assert!(stream.read(&mut [0; 1]).is_err());
    });
    let kernel = kernel_at(
        &format!("https://{}", gateway.address),
        trusting(&Authority::new()),
    );
    let error = kernel.stream_pty(TerminalOptions::default()).unwrap_err();
    let failure = error.transport().unwrap();
    assert_eq!(failure.kind(), TransportErrorKind::Tls);
    assert!(
        failure
            .to_string()
            .contains("its certificate is not trusted")
    );
    gateway.join();
}

#[test]
fn ipv6_address_works() {
    let Ok(gateway) = Gateway::raw_on("[::1]:0", |mut tcp| {
        let head = head(&mut tcp);
        assert!(
            head.to_ascii_lowercase().contains("\r\nhost: [::1]:"),
            "{head}"
        );
        tcp.write_all(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")
            .unwrap();
    }) else {
        // This machine has no such address.
        return;
    };
    let error = gateway.error_response();
    assert_eq!(error.gateway().unwrap().status(), 503);
    gateway.join();
}

#[test]
fn host_name_works() {
    let gateway = Gateway::plain(|mut peer| {
        peer.expect_size();
        peer.drain();
    });
    let url = format!("http://localhost:{}", gateway.address.port());
    // It may have two addresses, one of which does not respond.
    let kernel = kernel_at(&url, ClientOptions::default());
    let pty = kernel.stream_pty(TerminalOptions::default()).unwrap();
    pty.close().unwrap();
    gateway.join();
}

/// A proxy for one connection; its thread returns the head that it got, once everything is passed on.
fn proxy(
    answer: &'static str,
    target: Option<std::net::SocketAddr>,
) -> (String, thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://us%3Aer:p%40ss@{}", listener.local_addr().unwrap());
    let thread = thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let head = head(&mut client);
        client.write_all(answer.as_bytes()).unwrap();
        if let Some(target) = target {
            let mut server = TcpStream::connect(target).unwrap();
            let (mut from, mut to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
            let back = thread::spawn(move || {
                io::copy(&mut from, &mut to).ok();
                to.shutdown(Shutdown::Write).ok();
            });
            io::copy(&mut client, &mut server).ok();
            server.shutdown(Shutdown::Write).ok();
            back.join().unwrap();
        }
        head
    });
    (url, thread)
}

#[test]
fn a_proxy_is_asked_to_connect_with_credentials() {
    for secure in [false, true] {
        let gateway = Gateway::either(secure, |mut peer| {
            peer.expect_size();
            assert!(!peer.headers.contains_key("proxy-authorization"));
            peer.show(b"through");
            peer.drain();
        });
        let (url, proxy) = proxy("HTTP/1.1 200 Go on\r\n\r\n", Some(gateway.address));
        let kernel =
            gateway.kernel_with(|options| options.with_proxy(ProxyOptions::url(&url).unwrap()));
        let mut pty = kernel.stream_pty(TerminalOptions::default()).unwrap();
        assert_eq!(output(pty.next_event().unwrap()), b"through");
        pty.close().unwrap();
        let head = proxy.join().unwrap();
        let first = format!("CONNECT {} HTTP/1.1\r\n", gateway.address);
        assert!(head.starts_with(&first), "{head}");
        assert!(
            head.contains("\r\nproxy-authorization: Basic dXM6ZXI6cEBzcw==\r\n"),
            "{head}"
        );
        gateway.join();
    }
}

#[test]
fn refusing_proxy_is_named_without_its_credentials() {
    for (answer, words) in [
        (
            "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 2\r\n\r\nno",
            "refused: 407 proxy authentication required; check the user name and password",
        ),
        (
            "HTTP/1.1 200 OK\r\n\r\nHi!",
            "made no connection to 127.0.0.1:1",
        ),
        ("garbage\r\n\r\n", "made no connection to 127.0.0.1:1"),
    ] {
        let (url, proxy) = proxy(answer, None);
        let options = ClientOptions::new().with_proxy(ProxyOptions::url(&url).unwrap());
        let kernel = kernel_at("http://127.0.0.1:1", options);
        let error = kernel.stream_pty(TerminalOptions::default()).unwrap_err();
        let failure = error.transport().unwrap();
        assert_eq!(failure.kind(), TransportErrorKind::Proxy);
        assert_eq!(failure.sent(), Sent::Nothing);
        let text = chain(&error);
        assert!(text.contains(words), "{text}");
        assert!(!text.contains("p@ss") && !text.contains("p%40ss"), "{text}");
        proxy.join().unwrap();
    }
}
