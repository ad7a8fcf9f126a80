//! The blocking driver's requests, against hand-written servers: what is sent, and how
//! malformed responses are reported.

#![cfg(feature = "ureq")]

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use sorna::blocking::Client;
use sorna::net::{ProxyOptions, TlsOptions};
use sorna::protocol::{Authorize, Execute, Version};
use sorna::{
    AccessKey, ClientOptions, Config, Credentials, Error, ExecuteMode, KernelId, RetryPolicy,
    SecretKey, TransportErrorKind, UploadFile,
};

const VERSION: &str = "HTTP/1.1 200 OK\r\nContent-Length: 26\r\n\r\n{\"version\": \"v2.20170315\"}";

/// A server that handles this many connections, each on the same thread.
fn serve(
    connections: usize,
    mut handle: impl FnMut(TcpStream) + Send + 'static,
) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let server = thread::spawn(move || {
        for _ in 0..connections {
            handle(listener.accept().expect("a connection").0);
        }
    });
    (address, server)
}

/// Reads one request: a head that arrives in one piece, and as much body as its length says.
fn request(stream: &mut impl Read) -> io::Result<String> {
    let mut all = Vec::new();
    let mut buffer = [0; 64 * 1024];
    loop {
        let read = stream.read(&mut buffer)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        all.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&all);
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .map_or(0, |(_, length)| length.parse().expect("a length"));
        if body.len() >= length {
            return Ok(text.into_owned());
        }
    }
}

fn client(url: &str, change: impl FnOnce(ClientOptions) -> ClientOptions) -> Client {
    let keys = Credentials::new(
        AccessKey::new("AKIAIOSFODNN7EXAMPLE").expect("a key"),
        SecretKey::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY").expect("a key"),
    );
    let options = change(ClientOptions::new().with_retry(RetryPolicy::never()));
    let config = Config::new(url.parse().expect("a URL"), keys);
    Client::with_options(config.with_version(sorna::ApiVersion::V2_20170315), options)
}

fn plain(address: SocketAddr) -> Client {
    client(&format!("http://{address}"), |options| options)
}

fn client_of(address: SocketAddr, change: impl FnOnce(ClientOptions) -> ClientOptions) -> Client {
    client(&format!("http://{address}"), change)
}

fn execute() -> Execute {
    Execute::start(KernelId::new("k1").expect("an id"), ExecuteMode::query("1"))
}

#[track_caller]
fn kind(error: &Error) -> TransportErrorKind {
    error
        .transport()
        .expect("a failure of the transport")
        .kind()
}

#[test]
fn the_signed_request_arrives_as_it_was_signed_and_the_head_in_one_piece() {
    let (address, server) = serve(1, |mut stream| {
        let mut first = [0; 16 * 1024];
        let read = stream.read(&mut first).expect("a request");
        let head = String::from_utf8_lossy(&first[..read]).into_owned();
        assert!(head.starts_with("GET /v2/authorize HTTP/1.1\r\n"), "{head}");
        assert!(
            head.contains("\r\n\r\n"),
            "the whole head came in one piece: {head}"
        );
        let header = |name: &str| {
            let mut lines = head.lines().filter(|line| {
                line.split_once(':')
                    .is_some_and(|(n, _)| n.eq_ignore_ascii_case(name))
            });
            let value = lines
                .next()
                .map(|line| line.split_once(": ").expect("a value").1.to_owned());
            assert!(lines.next().is_none(), "more than one {name}");
            value
        };
        assert!(
            header("authorization")
                .expect("signed")
                .starts_with("Sorna signMethod=HMAC-SHA256")
        );
        assert!(header("date").expect("dated").ends_with(" GMT"));
        assert_eq!(header("content-type").as_deref(), Some("application/json"));
        assert_eq!(header("content-length").as_deref(), Some("13"));
        assert_eq!(header("x-sorna-version").as_deref(), Some("v2.20170315"));
        for never in ["accept-encoding", "expect", "transfer-encoding"] {
            assert_eq!(header(never), None);
        }
        let answer = "{\"authorized\": \"yes\", \"echo\": \"hi\"}";
        let length = answer.len();
        write!(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{answer}"
        )
        .expect("it reads");
    });
    let answer = plain(address).authorize("hi").expect("a response");
    assert_eq!(answer.echo.as_deref(), Some("hi"));
    server.join().expect("the server's checks");
}

#[test]
fn redirects_are_not_followed() {
    let (address, server) = serve(1, |mut stream| {
        request(&mut stream).expect("a request");
        let answer =
            "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n";
        stream.write_all(answer.as_bytes()).expect("it reads");
    });
    let error = plain(address)
        .version()
        .expect_err("a redirect is an error response");
    assert_eq!(error.gateway().expect("an error response").status(), 302);
    server.join().expect("it served");
}

#[test]
fn malformed_responses_are_errors_of_their_kind() {
    for (answer, expected) in [
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"ver",
            TransportErrorKind::Receive,
        ),
        ("HTTP/1.1 200 OK\r\nContent-Le", TransportErrorKind::Receive),
        ("hello, this is SMTP\r\n", TransportErrorKind::Receive),
        ("", TransportErrorKind::Receive),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n",
            TransportErrorKind::TooLarge,
        ),
    ] {
        let (address, server) = serve(1, move |mut stream| {
            request(&mut stream).expect("a request");
            stream.write_all(answer.as_bytes()).expect("it reads");
            if answer.contains("2000") {
                let _ = stream.write_all(&[b' '; 2000]);
            }
        });
        let client = client(&format!("http://{address}"), |options| {
            options.with_max_body(1000)
        });
        let error = client.version().expect_err(answer);
        assert_eq!(kind(&error), expected, "{answer:?}: {error}");
        server.join().expect("it served");
    }
}

#[test]
fn a_head_that_is_too_large_is_an_error() {
    let (address, server) = serve(1, |mut stream| {
        request(&mut stream).expect("a request");
        let long = "x".repeat(8 * 1024);
        let _ = write!(
            stream,
            "HTTP/1.1 200 OK\r\nX-Long: {long}\r\nContent-Length: 0\r\n\r\n"
        );
    });
    let client = client(&format!("http://{address}"), |options| {
        options.with_max_head(4 * 1024)
    });
    let error = client.version().expect_err("too large");
    assert_eq!(kind(&error), TransportErrorKind::TooLarge, "{error}");
    server.join().expect("it served");
}

#[test]
fn timeout_is_reported_as_such() {
    let (address, server) = serve(1, |mut stream| {
        request(&mut stream).expect("a request");
        // Sends nothing until the client gives up.
        let _ = stream.read(&mut [0; 1]);
    });
    let client = client(&format!("http://{address}"), |options| {
        options.with_request_timeout(Duration::from_millis(200))
    });
    let error = client.call(execute()).expect_err("too slow");
    assert!(matches!(error, Error::MayHaveRun(_)), "{error:?}");
    assert_eq!(kind(&error), TransportErrorKind::Timeout);
    drop(client);
    server.join().expect("it served");
}

#[test]
fn unsent_requests_are_distinguished_from_those_that_may_have_run() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let closed = listener.local_addr().expect("an address");
    drop(listener);
    let error = plain(closed)
        .call(execute())
        .expect_err("the port is closed");
    assert!(matches!(error, Error::Transport(_)), "{error:?}");
    assert_eq!(kind(&error), TransportErrorKind::Connect);

    let (address, server) = serve(1, |mut stream| {
        request(&mut stream).expect("a request");
    });
    let error = plain(address).call(execute()).expect_err("no response");
    assert!(matches!(error, Error::MayHaveRun(_)), "{error:?}");
    server.join().expect("it served");
}

#[test]
fn stale_connection_is_replaced_at_once_for_repeatable_requests() {
    let mut served = 0;
    let (address, server) = serve(2, move |mut stream| {
        served += 1;
        request(&mut stream).expect("a request");
        stream.write_all(VERSION.as_bytes()).expect("it reads");
        if served == 1 {
            // The next request arrives, and the connection ends without a byte of a response.
            request(&mut stream).expect("a request");
        }
    });
    let client = client(&format!("http://{address}"), |options| {
        options.with_retry(RetryPolicy::default().with_attempts(2))
    });
    client.version().expect("the first response");
    client
        .version()
        .expect("the second one, on a new connection");
    drop(client);
    server.join().expect("it served");
}

#[test]
fn changed_file_is_named_in_the_error() {
    let (address, server) = serve(1, |mut stream| {
        // The request breaks off.
        let _ = io::copy(&mut stream, &mut io::sink());
    });
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("shrinks.bin");
    std::fs::write(&path, "short").expect("a file");
    let file = UploadFile::from_file("shrinks.bin", &path, 500).expect("a file");
    let client = plain(address);
    let kernel = client.kernel(KernelId::new("k1").expect("an id"));
    let error = kernel.upload(vec![file]).expect_err("it is shorter");
    assert_eq!(kind(&error), TransportErrorKind::LocalFile);
    assert!(error.to_string().contains("shrinks.bin"), "{error}");
    drop((client, kernel));
    server.join().expect("it served");
}

/// A certificate for 127.0.0.1 and the authority that signed it.
fn certificate() -> (Arc<rustls::ServerConfig>, String) {
    let ca_key = rcgen::KeyPair::generate().expect("a key");
    let mut ca = rcgen::CertificateParams::default();
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let pem = ca.self_signed(&ca_key).expect("a certificate").pem();
    let issuer = rcgen::Issuer::new(ca, &ca_key);
    let key = rcgen::KeyPair::generate().expect("a key");
    let certificate = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()])
        .expect("a name")
        .signed_by(&key, &issuer)
        .expect("a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).expect("a key"),
        )
        .expect("a configuration");
    (Arc::new(config), pem)
}

fn serve_tls(connections: usize) -> (SocketAddr, JoinHandle<()>, String) {
    let (config, pem) = certificate();
    let (address, server) = serve(connections, move |stream| {
        let session = rustls::ServerConnection::new(Arc::clone(&config)).expect("a session");
        let mut stream = rustls::StreamOwned::new(session, stream);
        // A client that does not trust the certificate fails here.
        if request(&mut stream).is_ok() {
            stream.write_all(VERSION.as_bytes()).expect("it reads");
            let _ = stream.read(&mut [0; 1]);
        }
    });
    (address, server, pem)
}

#[test]
fn private_authority_is_trusted_only_if_named() {
    let (address, server, pem) = serve_tls(2);
    let url = format!("https://{address}");
    let error = client(&url, |options| options)
        .version()
        .expect_err("this authority is unknown");
    assert_eq!(kind(&error), TransportErrorKind::Tls, "{error}");
    let trusting = client(&url, |options| {
        options.with_tls(TlsOptions::new().with_ca_pem(pem.clone()))
    });
    trusting.version().expect("a version");
    drop(trusting);
    server.join().expect("it served");
}

/// A proxy that connects this many clients to their targets, if they have the password.
fn proxy(connections: usize) -> (SocketAddr, JoinHandle<()>) {
    serve(connections, |mut client| {
        let head = request(&mut client).expect("a request");
        let target = head
            .strip_prefix("CONNECT ")
            .and_then(|rest| rest.split(' ').next())
            .expect("CONNECT");
        // me:pass word
        if !head.contains("proxy-authorization: Basic bWU6cGFzcyB3b3Jk\r\n") {
            let answer = "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n";
            client.write_all(answer.as_bytes()).expect("it reads");
            return;
        }
        let mut server = TcpStream::connect(target).expect("the target");
        client
            .write_all(b"HTTP/1.1 200 OK\r\n\r\n")
            .expect("it reads");
        let mut back = (
            server.try_clone().expect("a clone"),
            client.try_clone().expect("a clone"),
        );
        thread::spawn(move || {
            let _ = io::copy(&mut back.0, &mut back.1);
            let _ = back.1.shutdown(std::net::Shutdown::Both);
        });
        let _ = io::copy(&mut client, &mut server);
        let _ = server.shutdown(std::net::Shutdown::Both);
    })
}

#[test]
fn proxy_is_used_with_and_without_tls() {
    let (plain_address, plain_server) = serve(1, |mut stream| {
        request(&mut stream).expect("a request");
        stream.write_all(VERSION.as_bytes()).expect("it reads");
        let _ = stream.read(&mut [0; 1]);
    });
    let (tls_address, tls_server, pem) = serve_tls(1);
    let (proxy_address, proxy_server) = proxy(2);
    let through = |url: String| {
        client(&url, |options| {
            let proxy = format!("http://me:pass%20word@{proxy_address}");
            options
                .with_proxy(ProxyOptions::url(&proxy).expect("a proxy"))
                .with_tls(TlsOptions::new().with_ca_pem(pem.clone()))
        })
    };
    through(format!("http://{plain_address}"))
        .version()
        .expect("a version");
    through(format!("https://{tls_address}"))
        .version()
        .expect("a version");
    for server in [plain_server, tls_server, proxy_server] {
        server.join().expect("it served");
    }
}

#[test]
fn refusing_proxy_is_named_without_its_password() {
    let (proxy_address, proxy_server) = proxy(1);
    let client = client("http://127.0.0.1:9/", |options| {
        let proxy = format!("http://me:wrong-password@{proxy_address}");
        options.with_proxy(ProxyOptions::url(&proxy).expect("a proxy"))
    });
    let error = client.call(execute()).expect_err("407");
    assert!(
        matches!(error, Error::Transport(_)),
        "nothing has run: {error:?}"
    );
    assert_eq!(kind(&error), TransportErrorKind::Proxy);
    assert!(
        error.to_string().contains(&proxy_address.to_string()),
        "{error}"
    );
    let all = format!("{error} {error:?} {client:?} {:?}", client.options());
    assert!(!all.contains("wrong-password"), "{all}");
    proxy_server.join().expect("it served");
}

#[test]
fn errors_contain_no_secrets() {
    let (address, server) = serve(1, |mut stream| {
        request(&mut stream).expect("a request");
    });
    let error = plain(address)
        .call(Authorize::new(""))
        .expect_err("no response");
    let all = format!("{error} {error:?}");
    assert!(
        !all.contains("wJalrXUtnFEMI") && !all.contains("credential="),
        "{all}"
    );
    server.join().expect("it served");
}

/// The clean-up of a dropped guard has 5 s, though a single request may take minutes.
#[test]
fn dropped_guard_does_not_wait_long_for_a_silent_gateway() {
    let (address, server) = serve(1, |mut stream| {
        request(&mut stream).expect("the creation");
        let created = "HTTP/1.1 201 Created\r\nContent-Length: 17\r\n\r\n{\"kernelId\":\"k1\"}";
        stream.write_all(created.as_bytes()).expect("written");
        assert!(
            request(&mut stream)
                .expect("the clean-up")
                .starts_with("DELETE")
        );
        // Sends nothing until the client hangs up.
        let _ = stream.read(&mut [0]);
    });
    let kernel = plain(address).temporary("python3").expect("a kernel");
    let start = Instant::now();
    drop(kernel);
    let elapsed = start.elapsed();
    assert!(elapsed >= Duration::from_secs(4), "{elapsed:?}");
    assert!(elapsed < Duration::from_secs(30), "{elapsed:?}");
    server.join().expect("the server");
}

/// A client of a server that sends these bytes after the request on every connection.
fn streamed(wire: &'static str) -> (Client, JoinHandle<()>) {
    let (address, server) = serve(1, move |mut stream| {
        request(&mut stream).expect("a request");
        stream.write_all(wire.as_bytes()).expect("the response");
    });
    (plain(address), server)
}

#[test]
fn body_is_read_as_it_arrives_and_leaves_its_connection() {
    let (go_on, wait) = std::sync::mpsc::channel();
    let (address, server) = serve(1, move |mut stream| {
        request(&mut stream).expect("a request");
        let head = "HTTP/1.1 200 OK\r\nX-Y: z\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n";
        stream.write_all(head.as_bytes()).expect("the head");
        wait.recv().expect("the client has the first bytes");
        stream
            .write_all(b"6\r\ntwosix\r\n0\r\n\r\n")
            .expect("the rest");
        request(&mut stream).expect("the next request, on the same connection");
        stream.write_all(VERSION.as_bytes()).expect("a response");
    });
    let client = plain(address);
    let mut response = client.stream(Version::new()).expect("a head");
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["x-y"], "z");
    assert_eq!(response.chunk().expect("bytes").expect("bytes"), "one");
    go_on.send(()).expect("the server waits");
    let mut two = [0; 3];
    response.read_exact(&mut two).expect("bytes");
    assert_eq!(&two, b"two");
    let mut rest = String::new();
    response.read_to_string(&mut rest).expect("the rest");
    assert_eq!(rest, "six");
    assert!(response.next().is_none());
    client.version().expect("a version");
    server.join().expect("it ended");
}

#[test]
fn truncated_body_ends_with_an_error() {
    for wire in [
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    ] {
        let (client, server) = streamed(wire);
        let mut response = client.stream(Version::new()).expect("a head");
        let first = response.chunk().expect("bytes").expect("bytes");
        assert_eq!(first, "half");
        let error = response.chunk().expect_err("it is truncated");
        assert_eq!(kind(&error), TransportErrorKind::Receive, "{error}");
        assert!(response.chunk().expect("the end").is_none());
        server.join().expect("it ended");
    }
}

#[test]
fn streamed_response_may_be_longer_than_whole_ones() {
    let (client, server) = streamed("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nonetwo");
    let response = client.stream(Version::new()).expect("a head");
    let error = response.with_size_limit(5).chunk().expect_err("too long");
    assert_eq!(kind(&error), TransportErrorKind::TooLarge);
    server.join().expect("it ended");

    let (address, server) = serve(1, |mut stream| {
        request(&mut stream).expect("a request");
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 20000000\r\n\r\n";
        stream.write_all(head.as_bytes()).expect("the head");
        stream.write_all(&vec![b'x'; 20_000_000]).expect("the body");
    });
    let client = client_of(address, |options| options.with_max_body(10));
    let response = client.stream(Version::new()).expect("a head");
    let total: usize = response.map(|chunk| chunk.expect("bytes").len()).sum();
    assert_eq!(total, 20_000_000);
    server.join().expect("it ended");
}

#[test]
fn time_limit_of_a_streamed_response_is_for_its_head() {
    const LIMIT: Duration = Duration::from_millis(300);
    let (address, server) = serve(1, |mut stream| {
        request(&mut stream).expect("a request");
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n";
        stream.write_all(head.as_bytes()).expect("the head");
        thread::sleep(2 * LIMIT);
        stream.write_all(b"one").expect("the body");
    });
    let retry = RetryPolicy::never().with_attempt_limit(LIMIT);
    let client = client_of(address, |options| options.with_retry(retry));
    let mut response = client.stream(Version::new()).expect("a head");
    let mut all = String::new();
    response.read_to_string(&mut all).expect("the body");
    assert_eq!(all, "one");
    server.join().expect("it ended");

    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = silent.local_addr().expect("an address");
    let client = client_of(address, |options| options.with_retry(retry));
    let began = Instant::now();
    let error = client.stream(Version::new());
    assert_eq!(
        kind(&error.expect_err("no head")),
        TransportErrorKind::Timeout
    );
    assert!(began.elapsed() >= LIMIT);
}

#[test]
fn silent_body_times_out() {
    let (address, server) = serve(1, |mut stream| {
        request(&mut stream).expect("a request");
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf";
        stream.write_all(head.as_bytes()).expect("the head");
        let _ = stream.read(&mut [0]);
    });
    let idle = Duration::from_millis(200);
    let client = client_of(address, move |options| options.with_idle_timeout(idle));
    let mut response = client.stream(Version::new()).expect("a head");
    assert_eq!(response.chunk().expect("bytes").expect("bytes"), "half");
    let error = response.chunk().expect_err("silence");
    assert_eq!(kind(&error), TransportErrorKind::Timeout, "{error}");
    server.join().expect("it ended");
}

#[test]
fn dropped_body_closes_its_connection() {
    let (address, server) = serve(1, |mut stream| {
        request(&mut stream).expect("a request");
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf";
        stream.write_all(head.as_bytes()).expect("the head");
        assert_eq!(stream.read(&mut [0]).expect("the end"), 0);
    });
    let response = plain(address).stream(Version::new());
    drop(response.expect("a head"));
    server.join().expect("it ended");
}

#[test]
fn error_response_to_a_stream_is_a_gateway_error() {
    let (client, server) = streamed(
        "HTTP/1.1 404 Not Found\r\nContent-Length: 65\r\n\r\n\
         {\"type\":\"https://api.sorna.io/probs/kernel-not-found\",\"title\":\"\"}",
    );
    let error = client.stream(Version::new());
    assert!(error.expect_err("an error response").is_not_found());
    server.join().expect("it ended");
}
