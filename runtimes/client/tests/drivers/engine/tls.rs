//! Encrypted connections, with a certificate authority made for the test.

use std::net::TcpStream;
use std::sync::Arc;

use futures_util::{AsyncReadExt as _, AsyncWriteExt as _};
use http::Uri;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use sorna::engine::HttpTransport;
use sorna::net::{NetOptions, TlsOptions};
use sorna::protocol::Sent;
use sorna::runtime::Runtime;
use sorna::{TransportError, TransportErrorKind};

use super::lab::{Lab, chain, get, post};
use super::server::{Peer, Server};

on_every_driver!(
    a_private_authority_is_trusted_and_connections_are_reused,
    a_large_body_is_sent_in_both_directions,
    an_unknown_authority_is_refused,
    a_certificate_for_another_name_is_refused,
    a_server_without_tls_is_an_error,
    response_without_close_notify_is_truncated,
    an_encrypted_connection_for_another_protocol,
);

/// A certificate authority.
pub(crate) struct Authority {
    certificate: rcgen::Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self {
            certificate: params.self_signed(&key).unwrap(),
            issuer: Issuer::new(params, key),
        }
    }

    pub(crate) fn pem(&self) -> String {
        self.certificate.pem()
    }

    fn acceptor(
        &self,
        name: &str,
    ) -> impl Fn(TcpStream) -> StreamOwned<ServerConnection, TcpStream> + use<> {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
            );
        let config = Arc::new(config.unwrap());
        move |tcp| {
            let tls = ServerConnection::new(Arc::clone(&config)).unwrap();
            StreamOwned::new(tls, tcp)
        }
    }

    /// A server under this name that runs the script once it is encrypted.
    fn serve(&self, name: &str, script: impl Fn(Peer) + Send + Sync + 'static) -> Server {
        let accept = self.acceptor(name);
        Server::start(move |_, mut peer| {
            peer.encrypt(&accept);
            script(peer);
        })
    }

    /// A server that responds to every request with the request's body.
    pub(crate) fn server(&self, name: &str) -> Server {
        self.serve(name, |mut peer| {
            while let Some(request) = peer.request() {
                peer.answer("200 OK", &request.body);
            }
        })
    }
}

/// A client that trusts the authority and finds every name at the server.
fn client<R: Runtime>(runtime: R, authority: &Authority, server: &Server) -> HttpTransport<Lab<R>> {
    let mut lab = Lab::new(runtime);
    lab.addresses = vec![server.address()];
    let tls = TlsOptions::new().with_ca_pem(authority.pem());
    HttpTransport::new(lab, NetOptions::new().with_tls(tls))
}

fn assert_refused(error: &TransportError) {
    let text = chain(error);
    assert_eq!(error.kind(), TransportErrorKind::Tls, "{text}");
    assert_eq!(error.sent(), Sent::Nothing);
    assert!(
        text.starts_with("could not set up TLS with gateway.example:443"),
        "{text}"
    );
}

async fn a_private_authority_is_trusted_and_connections_are_reused<R: Runtime>(runtime: R) {
    let authority = Authority::new();
    let server = authority.server("gateway.example");
    let client = client(runtime, &authority, &server);
    for n in 0..5 {
        let body = n.to_string().into_bytes();
        let response = post(&client, "https://gateway.example/v2", body.clone()).await;
        assert_eq!(response.unwrap().body(), &body);
    }
    assert_eq!(server.connections(), 1);

    let by_address = authority.server("127.0.0.1");
    let url = format!("https://{}/", by_address.address());
    get(&client, &url).await.unwrap();
}

async fn a_large_body_is_sent_in_both_directions<R: Runtime>(runtime: R) {
    let authority = Authority::new();
    let server = authority.server("gateway.example");
    let client = client(runtime, &authority, &server);
    let body: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    let response = post(&client, "https://gateway.example/", body.clone()).await;
    assert!(
        response.unwrap().body() == &body,
        "the body came back different"
    );
}

async fn an_unknown_authority_is_refused<R: Runtime>(runtime: R) {
    let server = Authority::new().server("gateway.example");
    let client = client(runtime, &Authority::new(), &server);
    let error = get(&client, "https://gateway.example/").await.unwrap_err();
    assert_refused(&error);
    assert!(error.to_string().contains("its certificate is not trusted"));
}

async fn a_certificate_for_another_name_is_refused<R: Runtime>(runtime: R) {
    let authority = Authority::new();
    let server = authority.server("other.example");
    let client = client(runtime, &authority, &server);
    let error = get(&client, "https://gateway.example/").await.unwrap_err();
    assert_refused(&error);
}

async fn a_server_without_tls_is_an_error<R: Runtime>(runtime: R) {
    let server = Server::start(|_, mut peer| {
        peer.read();
        peer.send("HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    let client = client(runtime, &Authority::new(), &server);
    let error = get(&client, "https://gateway.example/").await.unwrap_err();
    assert_refused(&error);
}

async fn response_without_close_notify_is_truncated<R: Runtime>(runtime: R) {
    // Only the close marks the end of the body, and an attacker could have closed the connection.
    let authority = Authority::new();
    let server = authority.serve("gateway.example", |mut peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\n\r\nhalf of it");
        peer.finish();
        peer.drain();
    });
    let client = client(runtime, &authority, &server);
    let error = get(&client, "https://gateway.example/").await.unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Receive);
    assert_eq!(error.sent(), Sent::Maybe);
}

async fn an_encrypted_connection_for_another_protocol<R: Runtime>(runtime: R) {
    let authority = Authority::new();
    let server = authority.serve("gateway.example", |mut peer| {
        while peer.input.len() < 5 {
            assert!(peer.read());
        }
        peer.send("world");
        peer.drain();
    });
    let client = client(runtime, &authority, &server);
    let uri = Uri::from_static("wss://gateway.example/v2/stream");
    let mut connection = client.connect(&uri).await.unwrap();
    assert!(connection.is_secure());
    connection.write_all(b"hello").await.unwrap();
    connection.flush().await.unwrap();
    let mut answer = [0; 5];
    connection.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"world");
}
