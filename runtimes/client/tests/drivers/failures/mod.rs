//! All drivers report a failure alike: its kind, hop, cause and text, for requests and for
//! terminals.

#![cfg(all(
    feature = "tokio",
    feature = "smol",
    feature = "async-std",
    feature = "ureq"
))]

mod drivers;
mod servers;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use sorna::net::{ProxyOptions, TlsOptions};
use sorna::protocol::{Hop, TransportCause};
use sorna::{ClientOptions, RetryPolicy, TransportErrorKind};

use drivers::{Work, failures};
use servers::{
    certificates, close, closed, reset, resetting, saying, sending, serve, silent, tunneling,
};

fn options() -> ClientOptions {
    ClientOptions::new().with_retry(RetryPolicy::never())
}

fn trusting(ca: &str) -> ClientOptions {
    options().with_tls(TlsOptions::new().with_ca_pem(ca))
}

/// What all drivers must report.
struct Expected {
    kind: TransportErrorKind,
    hop: Hop,
    cause: Option<TransportCause>,
    text: String,
}

fn check(endpoint: &str, options: &ClientOptions, works: &[Work], expected: &Expected) {
    for (name, work, error) in failures(endpoint, options, works) {
        let failure = error.transport().unwrap_or_else(|| panic!("{error:?}"));
        assert_eq!(
            (
                failure.kind(),
                failure.hop(),
                failure.cause(),
                failure.to_string()
            ),
            (
                expected.kind,
                expected.hop,
                expected.cause,
                expected.text.clone()
            ),
            "{name}, {work:?}: {failure:?}"
        );
    }
}

const BOTH: [Work; 2] = [Work::Request, Work::Terminal];

#[test]
fn failures_of_the_gateway() {
    let at = |address: SocketAddr| format!("http://{address}");
    let gateway = |kind, cause, text: String| Expected {
        kind,
        hop: Hop::Gateway,
        cause,
        text,
    };
    use TransportErrorKind::{Connect, Receive, Resolve, Timeout};

    let address = closed();
    let text = format!("could not connect to {address}");
    check(
        &at(address),
        &options(),
        &BOTH,
        &gateway(Connect, None, text),
    );

    let text = "could not find the address of no-such-host.invalid".to_owned();
    let expected = gateway(Resolve, None, text);
    check("http://no-such-host.invalid", &options(), &BOTH, &expected);

    let address = saying("");
    let text = format!("{address} closed the connection without a response");
    let expected = gateway(Receive, Some(TransportCause::NoResponse), text);
    check(&at(address), &options(), &BOTH, &expected);

    let address = resetting();
    let text = format!("the connection to {address} broke while waiting for the response");
    let expected = gateway(Receive, Some(TransportCause::NoResponse), text);
    check(&at(address), &options(), &BOTH, &expected);

    let address = saying("* OK IMAP4rev1 ready\r\n");
    let text = format!("{address} sent something that is not HTTP");
    let expected = gateway(Receive, Some(TransportCause::NotHttp), text);
    check(&at(address), &options(), &BOTH, &expected);

    for (bytes, cause, text) in [
        (
            &b"\x15\x03\x01\x00\x02\x02\x28"[..],
            TransportCause::ExpectsTls,
            "expects TLS",
        ),
        (
            b"SSH-2.0-OpenSSH_9.2\r\n",
            TransportCause::OtherProtocol,
            "is an SSH server",
        ),
        (
            b"\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\x64\0\0\0\x07",
            TransportCause::OtherProtocol,
            "speaks HTTP/2 only",
        ),
    ] {
        let address = sending(bytes);
        let expected = gateway(Receive, Some(cause), format!("{address} {text}"));
        check(&at(address), &options(), &BOTH, &expected);
    }

    let address = saying("HTTP/1.1 200 OK\r\nContent-Le");
    let text = format!("{address} closed the connection in the middle of a response's head");
    check(
        &at(address),
        &options(),
        &BOTH,
        &gateway(Receive, None, text),
    );

    let address = saying("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    let text = format!("{address} closed the connection 6 bytes before the end of its response");
    check(
        &at(address),
        &options(),
        &BOTH,
        &gateway(Receive, None, text),
    );

    let address = silent();
    let limited = options().with_idle_timeout(Duration::from_millis(80));
    let text = format!("no data to or from {address} for 80ms while waiting for the response");
    check(&at(address), &limited, &BOTH, &gateway(Timeout, None, text));
    let limited = options().with_request_timeout(Duration::from_millis(80));
    let text = format!(
        "no complete response from {address} within 80ms: time ran out while waiting for the response"
    );
    check(&at(address), &limited, &BOTH, &gateway(Timeout, None, text));
    let limited = options().with_connect_timeout(Duration::from_millis(80));
    let text = format!("no connection to {address} within 80ms: time ran out while setting up TLS");
    let expected = gateway(Timeout, None, text);
    check(&format!("https://{address}"), &limited, &BOTH, &expected);
}

#[test]
fn failures_of_tls() {
    let check = |server: SocketAddr, options: &ClientOptions, cause, hint: &str| {
        let expected = Expected {
            kind: TransportErrorKind::Tls,
            hop: Hop::Gateway,
            cause: Some(cause),
            text: format!("could not set up TLS with {server}: {hint}"),
        };
        check(&format!("https://{server}"), options, &BOTH, &expected);
    };

    let plain = saying("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    let hint = "its response is not TLS; check the port, or use http";
    check(plain, &options(), TransportCause::NotTls, hint);

    let hint = "the connection was closed during the handshake";
    check(
        saying(""),
        &options(),
        TransportCause::HandshakeClosed,
        hint,
    );
    let hint = "the connection was reset during the handshake";
    let cause = TransportCause::HandshakeClosed;
    check(resetting(), &options(), cause, hint);

    let refusing = sending(b"\x15\x03\x03\x00\x02\x02\x28");
    let hint = "it refused the handshake";
    let cause = TransportCause::HandshakeRefused;
    check(refusing, &options(), cause, hint);

    let good = certificates("127.0.0.1", false, |_| ());
    let hint = "its certificate is not trusted; add the CA that issued it";
    let cause = TransportCause::UntrustedCertificate;
    check(good.server, &options(), cause, hint);

    let authority = certificates("127.0.0.1", true, |_| ());
    let hint = "it presents the certificate of a CA; give it a server certificate";
    let cause = TransportCause::CaCertificate;
    check(authority.server, &trusting(&authority.ca), cause, hint);

    let other = certificates("other.example", false, |_| ());
    let hint = "its certificate is for another name";
    let cause = TransportCause::CertificateName;
    check(other.server, &trusting(&other.ca), cause, hint);

    let hint = "its certificate has expired or is not valid yet";
    let cause = TransportCause::CertificateExpired;
    let expired = certificates("127.0.0.1", false, |params| {
        params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    });
    check(expired.server, &trusting(&expired.ca), cause, hint);
    let early = certificates("127.0.0.1", false, |params| {
        params.not_before = rcgen::date_time_ymd(3000, 1, 1);
        params.not_after = rcgen::date_time_ymd(3001, 1, 1);
    });
    check(early.server, &trusting(&early.ca), cause, hint);
}

#[test]
fn failures_of_a_proxy() {
    let through = |proxy: &str| {
        let proxy = ProxyOptions::url(&format!("http://user:pass@{proxy}")).unwrap();
        options().with_proxy(proxy)
    };
    let proxy = |kind, cause, text: String| Expected {
        kind,
        hop: Hop::Proxy,
        cause,
        text,
    };
    use TransportErrorKind::{Proxy, Timeout};
    let endpoint = "https://gateway.example";

    let address = closed();
    let text = format!("could not connect to the proxy {address}");
    let expected = proxy(Proxy, None, text);
    let options = through(&address.to_string());
    check(endpoint, &options, &BOTH, &expected);
    // Some drivers would send the proxy this request, others would ask it for a tunnel.
    check("http://gateway.example", &options, &BOTH, &expected);

    let text = "could not find the address of the proxy no-such-proxy.invalid".to_owned();
    let options = through("no-such-proxy.invalid:8080");
    check(endpoint, &options, &BOTH, &proxy(Proxy, None, text));

    for (response, text) in [
        (
            "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n",
            "407 proxy authentication required; check the user name and password in the proxy's URL",
        ),
        (
            "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n",
            "502 bad gateway",
        ),
    ] {
        let address = saying(response);
        let text = format!("the proxy {address} refused: {text}");
        let options = through(&address.to_string());
        check(endpoint, &options, &BOTH, &proxy(Proxy, None, text));
    }

    for (response, cause) in [
        ("", Some(TransportCause::NoResponse)),
        (
            "SSH-2.0-OpenSSH_9.2\r\n",
            Some(TransportCause::OtherProtocol),
        ),
        ("+OK POP3 ready\r\n", Some(TransportCause::NotHttp)),
        ("HTTP/1.1 200 OK\r\n\r\nHello!", None),
    ] {
        let address = saying(response);
        let text = format!("the proxy {address} made no connection to gateway.example:443");
        let options = through(&address.to_string());
        check(endpoint, &options, &BOTH, &proxy(Proxy, cause, text));
    }

    let address = resetting();
    let text = format!("the proxy {address} made no connection to gateway.example:443");
    let options = through(&address.to_string());
    let cause = Some(TransportCause::NoResponse);
    check(endpoint, &options, &BOTH, &proxy(Proxy, cause, text));

    let address = silent();
    let options = through(&address.to_string()).with_connect_timeout(Duration::from_millis(80));
    let text = format!(
        "no connection to the proxy {address} within 80ms: time ran out while waiting for the proxy"
    );
    check(endpoint, &options, &BOTH, &proxy(Timeout, None, text));
}

/// Some drivers send the proxy a plain request, others ask it for a tunnel.
#[test]
fn proxy_that_does_not_answer_is_named_however_it_is_asked() {
    for (address, cause) in [
        (saying(""), TransportCause::NoResponse),
        (resetting(), TransportCause::NoResponse),
        (serve(drop), TransportCause::NoResponse),
        (saying("+OK POP3 ready\r\n"), TransportCause::NotHttp),
        (
            sending(b"\x15\x03\x01\x00\x02\x02\x28"),
            TransportCause::ExpectsTls,
        ),
    ] {
        let proxy = ProxyOptions::url(&format!("http://{address}")).unwrap();
        let options = options().with_proxy(proxy);
        for endpoint in ["http://gateway.example", "https://gateway.example"] {
            for (name, work, failure) in failures(endpoint, &options, &BOTH) {
                let case = format!("{endpoint}, {name}, {work:?}: {failure:?}");
                let failure = failure.transport().expect(&case);
                assert_eq!(failure.hop(), Hop::Proxy, "{case}");
                assert_eq!(failure.cause(), Some(cause), "{case}");
                let text = failure.to_string();
                assert!(text.contains(&format!("the proxy {address}")), "{case}");
            }
        }
    }
}

#[test]
fn failures_beyond_a_proxy_name_it_too() {
    let hint = "the connection was closed during the handshake";
    for (script, cause, hint) in [
        (
            close as fn(TcpStream),
            TransportCause::HandshakeClosed,
            hint,
        ),
        (
            reset,
            TransportCause::HandshakeClosed,
            "the connection was reset during the handshake",
        ),
        (
            |mut stream| {
                let _ = stream.read(&mut [0; 16 * 1024]);
                let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
            },
            TransportCause::NotTls,
            "its response is not TLS; check the port, or use http",
        ),
    ] {
        let address = tunneling(script);
        let proxy = ProxyOptions::url(&format!("http://{address}")).unwrap();
        let expected = Expected {
            kind: TransportErrorKind::Tls,
            hop: Hop::Gateway,
            cause: Some(cause),
            text: format!(
                "could not set up TLS with gateway.example:443 (through the proxy {address}): {hint}"
            ),
        };
        let options = options().with_proxy(proxy);
        check("https://gateway.example", &options, &BOTH, &expected);
    }
    // Terminals have a tunnel with every driver.
    let address = tunneling(close);
    let proxy = ProxyOptions::url(&format!("http://{address}")).unwrap();
    let expected = Expected {
        kind: TransportErrorKind::Receive,
        hop: Hop::Gateway,
        cause: Some(TransportCause::NoResponse),
        text: format!(
            "gateway.example:80 (through the proxy {address}) closed the connection without a response"
        ),
    };
    check(
        "http://gateway.example",
        &options().with_proxy(proxy),
        &[Work::Terminal],
        &expected,
    );
}

/// The bytes that make a difference must come first on a new connection.
#[test]
fn other_protocol_behind_a_response_is_only_not_http() {
    let address = serve(|mut stream| {
        let mut buffer = [0; 16 * 1024];
        let _ = stream.read(&mut buffer);
        let head = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n";
        let _ = stream.write_all(head);
        let _ = stream.read(&mut buffer);
        let _ = stream.write_all(b"\x15\x03\x01\x00\x02\x02\x28");
    });
    let retry = RetryPolicy::never()
        .with_attempts(2)
        .with_backoff(Duration::from_millis(1), Duration::from_millis(1));
    let expected = Expected {
        kind: TransportErrorKind::Receive,
        hop: Hop::Gateway,
        cause: Some(TransportCause::NotHttp),
        text: format!("{address} sent something that is not HTTP"),
    };
    let options = ClientOptions::new().with_retry(retry);
    let endpoint = format!("http://{address}");
    check(&endpoint, &options, &[Work::Request], &expected);
}

#[test]
fn connection_that_breaks_under_an_open_terminal() {
    let address = serve(|stream| drop(tungstenite::accept(stream)));
    let expected = Expected {
        kind: TransportErrorKind::Receive,
        hop: Hop::Gateway,
        cause: None,
        text: format!("the terminal's connection to {address} broke"),
    };
    check(
        &format!("http://{address}"),
        &options(),
        &[Work::Reading],
        &expected,
    );
}
