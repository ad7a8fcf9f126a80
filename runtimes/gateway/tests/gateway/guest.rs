//! Another API on the same port.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response, StatusCode};
use sorna_core::{AccessKey, Credentials, SecretKey};
use sorna_gateway::{Admission, Guest, GuestUpgrade, RunningGateway};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::common::{Client, PATIENCE, gateway_with};

const KEY: &str = "AKIAGUEST";

/// Echoes bodies, and what comes over connections that are upgraded.
#[derive(Debug)]
struct Echo;

impl Guest for Echo {
    fn receive(&self, head: &Parts) -> Option<Admission> {
        // Those of the gateway do not get here.
        match head.uri.path() {
            "/echo" => Some(Admission::Admitted(KEY.to_owned())),
            "/refused" => Some(Admission::Refused(
                self.problem(StatusCode::FORBIDDEN, "no"),
            )),
            "/nobody" => Some(Admission::Admitted("AKIANOBODY".to_owned())),
            path if path.starts_with("/echo") => None,
            path => panic!("{path} is not for guests"),
        }
    }

    fn respond(
        &self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Response<Bytes>> + Send + '_>> {
        Box::pin(async move {
            if !request.headers().contains_key("upgrade") {
                return Response::new(request.into_body());
            }
            let upgrade = request.extensions().get::<GuestUpgrade>().unwrap().clone();
            tokio::spawn(async move {
                let mut stream = upgrade.open().await.unwrap();
                let mut bytes = [0; 100];
                while let Ok(count @ 1..) = stream.read(&mut bytes).await {
                    stream.write_all(&bytes[..count]).await.unwrap();
                }
                let _ = stream.write_all(b"over").await;
                let _ = stream.shutdown().await;
            });
            let mut response = Response::new(Bytes::new());
            *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            response
        })
    }

    fn problem(&self, status: StatusCode, reason: &str) -> Response<Bytes> {
        let mut response = Response::new(Bytes::from(format!("of the guest: {reason}")));
        *response.status_mut() = status;
        response
    }
}

fn pair(key: &str) -> Credentials {
    Credentials::new(AccessKey::new(key).unwrap(), SecretKey::new("s").unwrap())
}

fn house() -> RunningGateway {
    gateway_with(|config| {
        config
            .with_credentials([pair(KEY), pair("AKIAOTHER")])
            .with_max_requests_per_window(5)
            .with_guest(Arc::new(Echo))
    })
}

fn send(gateway: &RunningGateway, request: &str) -> TcpStream {
    let address = gateway.endpoint().strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    stream
}

/// The response to a request after which the connection is closed.
fn response(gateway: &RunningGateway, path: &str, body: &str) -> String {
    let length = body.len();
    let mut stream = send(
        gateway,
        &format!(
            "POST {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        ),
    );
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn guests_answer_where_the_gateway_knows_nothing() {
    let gateway = house();
    let answer = response(&gateway, "/echo?a=b", "hello");
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.ends_with("hello"),
        "{answer}"
    );
    let answer = response(&gateway, "/refused", "hello");
    assert!(
        answer.starts_with("HTTP/1.1 403") && answer.ends_with("of the guest: no"),
        "{answer}"
    );
    // What it leaves alone, and what is not for it, is answered as without a guest.
    let answer = response(&gateway, "/echoes", "");
    assert!(
        answer.starts_with("HTTP/1.1 404") && answer.contains("problem"),
        "{answer}"
    );
    for path in [
        "/",
        "/health",
        "/session",
        "/server/login",
        "/func/session",
        "/v2",
        "/v2/kernels",
    ] {
        let answer = response(&gateway, path, "");
        assert!(!answer.contains("of the guest"), "{path}: {answer}");
    }
    let client = Client::with_key(&gateway, 1);
    client.create("bash");
}

#[test]
fn limits_hold_for_guests() {
    let gateway = house();
    let answer = response(&gateway, "/nobody", "");
    assert!(
        answer.starts_with("HTTP/1.1 401") && answer.contains("of the guest: "),
        "{answer}"
    );
    let answer = response(&gateway, "/echo", &"x".repeat(1024 * 1024));
    assert!(
        answer.starts_with("HTTP/1.1 413") && answer.contains("of the guest: body of"),
        "{answer}"
    );
    let twice = "POST /echo HTTP/1.1\r\nhost: a\r\nhost: b\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    let mut answer = String::new();
    let mut stream = send(&gateway, twice);
    stream.read_to_string(&mut answer).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 400") && answer.contains("of the guest: "),
        "{answer}"
    );
    for number in 1..5 {
        let answer = response(&gateway, "/echo", "");
        assert!(answer.starts_with("HTTP/1.1 200"), "{number}: {answer}");
    }
    let answer = response(&gateway, "/echo", "");
    assert!(
        answer.starts_with("HTTP/1.1 429") && answer.contains("of the guest"),
        "{answer}"
    );
}

#[test]
fn connections_of_guests_end_with_their_key() {
    let gateway = house();
    let mut stream = send(
        &gateway,
        "GET /echo HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\nping",
    );
    let mut read = String::new();
    while !read.ends_with("\r\n\r\nping") {
        let mut bytes = [0; 100];
        let count = stream.read(&mut bytes).unwrap();
        assert!(count > 0, "{read}");
        read.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
    }
    assert!(read.starts_with("HTTP/1.1 101"), "{read}");
    gateway.keys().replace([pair("AKIAOTHER")]);
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "over");
}
