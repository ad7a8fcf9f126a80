//! Gateways that misbehave, for tests of errors.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::thread;

use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// Responds to every request with this, as long as the test program runs. `head` is the status and, on
/// lines of their own, headers; the length of the body is added.
pub(crate) fn answering(head: &str, body: &str) -> SocketAddr {
    answering_in_turn(&[(head, body)])
}

/// The same with one response per request of a connection; the last one is repeated.
pub(crate) fn answering_in_turn(answers: &[(&str, &str)]) -> SocketAddr {
    let answers: Vec<_> = answers
        .iter()
        .map(|(head, body)| bytes(head, body))
        .collect();
    serve(move |stream| converse(stream, &answers))
}

fn bytes(head: &str, body: &str) -> String {
    let head = head.replace('\n', "\r\n");
    format!(
        "HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// The same under TLS, with a certificate of an authority whose certificate is written to this file.
pub(crate) fn answering_under_tls(head: &str, body: &str, authority: &Path) -> SocketAddr {
    let answers = [bytes(head, body)];
    let ca_key = rcgen::KeyPair::generate().expect("a key");
    let mut ca = rcgen::CertificateParams::default();
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let pem = ca.self_signed(&ca_key).expect("a certificate").pem();
    std::fs::write(authority, pem).expect("a file");
    let issuer = rcgen::Issuer::new(ca, &ca_key);
    let key = rcgen::KeyPair::generate().expect("a key");
    let names = vec!["127.0.0.1".to_owned()];
    let certificate = rcgen::CertificateParams::new(names)
        .and_then(|params| params.signed_by(&key, &issuer))
        .expect("a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("TLS")
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        )
        .expect("a key that fits");
    let config = Arc::new(config);
    serve(move |stream| {
        let session = ServerConnection::new(Arc::clone(&config)).expect("a session");
        converse(StreamOwned::new(session, stream), &answers);
    })
}

fn serve(handle: impl Fn(TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let handle = Arc::new(handle);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let handle = Arc::clone(&handle);
            let stream = stream.expect("a connection");
            thread::spawn(move || handle(stream));
        }
    });
    address
}

/// Reads requests until the client hangs up.
fn converse(stream: impl Read + Write, answers: &[String]) {
    let mut answers = answers.iter();
    let mut answer = "";
    let mut stream = BufReader::new(stream);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            match stream.read_line(&mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
            let line = line.trim_end().to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().expect("a length");
            }
            if line.is_empty() {
                break;
            }
        }
        answer = answers.next().map_or(answer, String::as_str);
        let mut body = vec![0; length];
        let read = stream.read_exact(&mut body);
        let write = stream.get_mut().write_all(answer.as_bytes());
        if read.is_err() || write.and_then(|()| stream.get_mut().flush()).is_err() {
            return;
        }
    }
}
