//! All drivers report a failure alike: its kind, hop, cause and text, for requests and for
//! terminals.

#![cfg(all(
    feature = "tokio",
    feature = "smol",
    feature = "async-std",
    feature = "ureq"
))]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::future::Future;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use sorna::net::{ProxyOptions, TlsOptions};
use sorna::protocol::{AccessKey, Config, Credentials, Hop, KernelId, SecretKey, TransportCause};
use sorna::{ClientOptions, Error, RetryPolicy, TerminalOptions, TransportErrorKind};

/// What a client does when it fails.
#[derive(Clone, Copy, Debug)]
enum Work {
    Request,
    Terminal,
    /// A terminal, which is open already.
    Reading,
}

type Driver = fn(Config, ClientOptions, Work) -> Error;

const DRIVERS: [(&str, Driver); 4] = [
    ("tokio", on_tokio),
    ("smol", on_smol),
    ("async-std", on_async_std),
    ("blocking", blocking),
];

fn id() -> KernelId {
    KernelId::new("k").unwrap()
}

macro_rules! on {
    ($name:ident, $driver:ident, $block_on:path) => {
        fn $name(config: Config, options: ClientOptions, work: Work) -> Error {
            let client = sorna::$driver::Client::with_options(config, options);
            $block_on(async {
                let kernel = client.kernel(id());
                match work {
                    Work::Request => client.version().await.unwrap_err(),
                    Work::Terminal => {
                        let pty = kernel.stream_pty(TerminalOptions::default()).await;
                        pty.err().unwrap()
                    }
                    Work::Reading => {
                        let pty = kernel.stream_pty(TerminalOptions::default()).await;
                        pty.unwrap().next_event().await.unwrap_err()
                    }
                }
            })
        }
    };
}

on!(on_tokio, tokio, tokio_block_on);
on!(on_smol, smol, smol::block_on);
on!(on_async_std, async_std, async_std::task::block_on);

fn tokio_block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Runtime::new().unwrap().block_on(future)
}

fn blocking(config: Config, options: ClientOptions, work: Work) -> Error {
    let client = sorna::blocking::Client::with_options(config, options);
    let terminal = || client.kernel(id()).stream_pty(TerminalOptions::default());
    match work {
        Work::Request => client.version().unwrap_err(),
        Work::Terminal => terminal().unwrap_err(),
        Work::Reading => terminal().unwrap().next_event().unwrap_err(),
    }
}

/// A server that runs this script for every connection.
fn serve(script: impl Fn(TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let script = Arc::new(script);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let script = Arc::clone(&script);
            let stream = stream.unwrap();
            thread::spawn(move || script(stream));
        }
    });
    address
}

/// A server that sends this text after the client's first message, and closes the connection.
fn saying(text: &'static str) -> SocketAddr {
    serve(move |mut stream| {
        let _ = stream.read(&mut [0; 16 * 1024]);
        let _ = stream.write_all(text.as_bytes());
    })
}

fn silent() -> SocketAddr {
    serve(|mut stream| while stream.read(&mut [0; 1024]).is_ok_and(|n| n > 0) {})
}

fn closed() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// A certificate for the loopback address, or as changed, and the CA that issued it.
struct Certificates {
    server: SocketAddr,
    ca: String,
}

fn certificates(
    name: &str,
    of_the_ca: bool,
    change: impl FnOnce(&mut CertificateParams),
) -> Certificates {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new([name.to_owned()]).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_certificate = ca.self_signed(&ca_key).unwrap();
    let pem = ca_certificate.pem();
    let (certificate, key) = if of_the_ca {
        (ca_certificate.der().clone(), ca_key.serialize_der())
    } else {
        let issuer = Issuer::new(ca, ca_key);
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        change(&mut params);
        let certificate = params.signed_by(&key, &issuer).unwrap();
        (certificate.der().clone(), key.serialize_der())
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate],
            PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key)),
        )
        .unwrap();
    let config = Arc::new(config);
    let server = serve(move |stream| {
        let session = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
        let mut stream = rustls::StreamOwned::new(session, stream);
        let _ = stream.read(&mut [0; 1024]);
    });
    Certificates { server, ca: pem }
}

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
    let keys = Credentials::new(AccessKey::new("AK").unwrap(), SecretKey::new("SK").unwrap());
    let config = Config::new(endpoint.parse().unwrap(), keys);
    for (name, driver) in DRIVERS {
        for work in works {
            let error = driver(config.clone(), options.clone(), *work);
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

    let address = saying("SSH-2.0-OpenSSH_9.2\r\n");
    let text = format!("{address} sent something that is not HTTP");
    let expected = gateway(Receive, Some(TransportCause::NotHttp), text);
    check(&at(address), &options(), &BOTH, &expected);

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
        ("SSH-2.0-OpenSSH_9.2\r\n", Some(TransportCause::NotHttp)),
        ("HTTP/1.1 200 OK\r\n\r\nHello!", None),
    ] {
        let address = saying(response);
        let text = format!("the proxy {address} made no connection to gateway.example:443");
        let options = through(&address.to_string());
        check(endpoint, &options, &BOTH, &proxy(Proxy, cause, text));
    }

    let address = silent();
    let options = through(&address.to_string()).with_connect_timeout(Duration::from_millis(80));
    let text = format!(
        "no connection to the proxy {address} within 80ms: time ran out while waiting for the proxy"
    );
    check(endpoint, &options, &BOTH, &proxy(Timeout, None, text));
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
