//! Servers that misbehave.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// A server that runs this script for every connection.
pub(crate) fn serve(script: impl Fn(TcpStream) + Send + Sync + 'static) -> SocketAddr {
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
pub(crate) fn saying(text: &'static str) -> SocketAddr {
    serve(move |mut stream| {
        let _ = stream.read(&mut [0; 16 * 1024]);
        let _ = stream.write_all(text.as_bytes());
    })
}

/// A server that sends these bytes after the client's first message, and closes the connection.
pub(crate) fn sending(bytes: &'static [u8]) -> SocketAddr {
    serve(move |mut stream| {
        let _ = stream.read(&mut [0; 16 * 1024]);
        let _ = stream.write_all(bytes);
    })
}

/// Waits for a message and closes the connection without reading it, so that the client sees a reset.
pub(crate) fn reset(stream: TcpStream) {
    let _ = stream.peek(&mut [0]);
}

/// Reads a message, and closes the connection.
pub(crate) fn close(mut stream: TcpStream) {
    let _ = stream.read(&mut [0; 16 * 1024]);
}

/// A server that resets a connection after the client's first message.
pub(crate) fn resetting() -> SocketAddr {
    serve(reset)
}

pub(crate) fn silent() -> SocketAddr {
    serve(|mut stream| while stream.read(&mut [0; 1024]).is_ok_and(|n| n > 0) {})
}

pub(crate) fn closed() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// A certificate for the loopback address, or as changed, and the CA that issued it.
pub(crate) struct Certificates {
    pub(crate) server: SocketAddr,
    pub(crate) ca: String,
}

pub(crate) fn certificates(
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

/// A proxy that says that there is a tunnel, and hands the connection to this script.
pub(crate) fn tunneling(script: fn(TcpStream)) -> SocketAddr {
    serve(move |mut stream| {
        let _ = stream.read(&mut [0; 16 * 1024]);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        script(stream);
    })
}
