//! Every type of problem, as every driver reports it. A small server sends each in turn, since no
//! gateway can easily be brought into all these states: in Sorna v2 made from the table of kinds, in Backend.AI as managers
//! 23.09.10 and 26.9.6 sent them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::thread::JoinHandle;

use serde_json::Value;
use sorna::protocol::server::ProblemReply;
use sorna::protocol::{Authorize, Info, ProblemKind};
use sorna::{ClientOptions, Config, Dialect, Endpoint, Error, KernelId, ListSessions, RetryPolicy};

use crate::lab::{Check, Lab};
use sorna_tests::drivers::{Driver, SessionDriver};

/// Responds to one request on each connection with a status, a header and a body.
fn serve(listener: &TcpListener, answers: impl IntoIterator<Item = (u16, &'static str, Vec<u8>)>) {
    for (status, header, body) in answers {
        let (stream, _) = listener.accept().expect("a connection");
        let mut request = BufReader::new(&stream);
        let mut line = String::new();
        let mut length = 0;
        while request.read_line(&mut line).expect("a line") > 2 {
            let header = line.to_ascii_lowercase();
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse().expect("a length");
            }
            line.clear();
        }
        request
            .take(length)
            .read_to_end(&mut Vec::new())
            .expect("a body");
        let mut answer = format!("HTTP/1.1 {status} X\r\n{header}\r\n").into_bytes();
        answer.extend(b"Connection: close\r\n");
        answer.extend(format!("Content-Length: {}\r\n\r\n", body.len()).into_bytes());
        answer.extend(body);
        (&stream).write_all(&answer).expect("it reads");
    }
}

/// The same, on a separate thread and port.
fn serve_apart<I>(answers: I) -> (Endpoint, JoinHandle<()>)
where
    I: IntoIterator<Item = (u16, &'static str, Vec<u8>)> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let server = std::thread::spawn(move || serve(&listener, answers));
    (
        format!("http://{address}").parse().expect("an endpoint"),
        server,
    )
}

fn problem(reply: ProblemReply) -> (u16, &'static str, Vec<u8>) {
    let (parts, body) = reply.into_response().into_parts();
    (
        parts.status.as_u16(),
        "Content-Type: application/problem+json",
        body,
    )
}

pub(crate) fn the_end_of_a_rate_limit_is_remembered<D: Driver>(lab: &Lab<D>) -> Check<'_> {
    Box::pin(async {
        let (endpoint, server) = serve_apart([
            (
                200,
                match lab.dialect() {
                    // In ms, and in s.
                    Dialect::SornaV2 => "X-RateLimit-Reset: 600000",
                    _ => "X-RateLimit-Reset: 600",
                },
                br#"{"authorized": "yes"}"#.to_vec(),
            ),
            problem(ProblemKind::RateLimitExceeded.reply()),
        ]);
        let config = Config::new(endpoint, lab.config.credentials().expect("keys").clone());
        let config = lab.speaking(config);
        let driver = D::connect(config, ClientOptions::default());
        driver.call(Authorize::new("")).await.expect("authorized");
        let error = driver
            .call(Authorize::new(""))
            .await
            .expect_err("an error response");
        // Ten minutes are more than a call may take: it does not retry, and reports why.
        let error_response = error.gateway().expect("an error response");
        assert!(error_response.is_rate_limited());
        let wait = error_response.retry_after().expect("it is known").as_secs();
        assert!((1..=600).contains(&wait), "{wait}");
        server.join().expect("it was asked twice");
    })
}

pub(crate) fn every_type_is_reported<D: SessionDriver>(lab: &Lab<D>) -> Check<'_> {
    match lab.dialect() {
        Dialect::SornaV2 => made(lab),
        _ => recorded(lab),
    }
}

fn made<D: Driver>(lab: &Lab<D>) -> Check<'_> {
    Box::pin(async {
        let (endpoint, server) = serve_apart(ProblemKind::ALL.iter().map(|kind| {
            let reply = kind.reply_with("for the test");
            problem(reply.with_agent("agent-failure", "the agent's message", None))
        }));
        let driver = connect(lab, endpoint);
        for kind in ProblemKind::ALL {
            let error = driver.call(info()).await.expect_err("an error response");
            let error_response = error.gateway().expect("an error response");
            assert_eq!(error_response.kind(), Some(*kind));
            assert_eq!(error_response.status(), kind.status());
            let text = error.to_string();
            assert!(
                text.contains("(for the test): the agent's message"),
                "{text}"
            );
        }
        server.join().expect("it served all");
        assert!(
            driver.call(Authorize::new("")).await.is_err(),
            "the server is gone"
        );
    })
}

fn recorded<D: SessionDriver>(lab: &Lab<D>) -> Check<'_> {
    Box::pin(async {
        let problems: Vec<Recorded> = ["23.09.10", "26.9.6"].iter().flat_map(all_of).collect();
        assert!(problems.len() > 30, "{} problems", problems.len());
        let responses = problems.iter().map(Recorded::response);
        let (endpoint, server) = serve_apart(responses.collect::<Vec<_>>());
        let driver = connect(lab, endpoint);
        for recorded in &problems {
            let error = match recorded.status {
                // Only GraphQL has errors with it.
                200 => driver.list(ListSessions::new()).await.map(|_| ()),
                _ => driver.call(info()).await.map(|_| ()),
            };
            recorded.check(&error.expect_err("an error response"));
        }
        server.join().expect("it served all");
    })
}

fn connect<D: Driver>(lab: &Lab<D>, endpoint: Endpoint) -> D {
    let config = Config::new(endpoint, lab.config.credentials().expect("keys").clone());
    let options = ClientOptions::new().with_retry(RetryPolicy::never());
    D::connect(lab.speaking(config), options)
}

fn info() -> Info {
    Info::new(KernelId::new("k").expect("an id"))
}

/// An error response of a manager.
struct Recorded {
    name: String,
    status: u16,
    body: Vec<u8>,
    json: Value,
}

/// The error responses that a release was seen to send, among them the one to a query.
fn all_of(release: &&str) -> Vec<Recorded> {
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../core/tests/data/captures-backend-ai"
    );
    let files = std::fs::read_dir(format!("{folder}/{release}")).expect("recorded exchanges");
    let files = files.map(|file| file.expect("it can be listed").path());
    let responses = files.filter(|file| file.to_string_lossy().ends_with(".response.http"));
    let read = responses.filter_map(|file| {
        let bytes = std::fs::read(&file).expect("it can be read");
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let status: u16 = head.split(' ').nth(1)?.parse().ok()?;
        let body = bytes[end + 4..].to_vec();
        let json: Value = serde_json::from_slice(&body).unwrap_or_default();
        let is_error = status >= 400 || json["errors"].is_array() && json["data"].is_null();
        let name = file.to_string_lossy().into_owned();
        is_error.then_some(Recorded {
            name,
            status,
            body,
            json,
        })
    });
    read.collect()
}

impl Recorded {
    fn response(&self) -> (u16, &'static str, Vec<u8>) {
        let media_type = "Content-Type: application/problem+json; charset=utf-8";
        (self.status, media_type, self.body.clone())
    }

    /// Nothing of what the manager said is lost.
    fn check(&self, error: &Error) {
        let Self { name, json, .. } = self;
        let response = error.gateway();
        let response = response.unwrap_or_else(|| panic!("{name}: {error:?}"));
        assert_eq!(response.status(), self.status, "{name}");
        assert_eq!(*response.body(), self.body, "{name}");
        let text = error.to_string();
        let kind = json["type"].as_str().and_then(|uri| uri.rsplit('/').next());
        assert_eq!(response.kind_name(), kind, "{name}");
        assert_eq!(
            response.kind().is_some(),
            kind.is_some(),
            "{name}: {kind:?}"
        );
        assert_eq!(response.error_code(), json["error_code"].as_str(), "{name}");
        assert_eq!(
            response.data(),
            json.get("data").filter(|it| !it.is_null()),
            "{name}"
        );
        let said = [
            &json["msg"],
            &json["agent-details"]["exception"],
            &json["errors"][0]["message"],
        ];
        for said in said.into_iter().filter_map(Value::as_str) {
            // Texts are shortened.
            let begin: String = said.chars().take(100).collect();
            assert!(text.contains(&begin), "{name}: {text}");
        }
    }
}
