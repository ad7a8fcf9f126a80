//! Every type of problem, as every driver reports it. A small server sends each in turn, since no
//! gateway can easily be brought into all these states.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::thread::JoinHandle;

use sorna::protocol::server::ProblemReply;
use sorna::protocol::{Authorize, Info, ProblemKind};
use sorna::{ClientOptions, Config, Dialect, Endpoint, KernelId, RetryPolicy};

use crate::lab::{Check, Lab};
use sorna_tests::drivers::Driver;

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

pub(crate) fn every_type_is_reported<D: Driver>(lab: &Lab<D>) -> Check<'_> {
    Box::pin(async {
        let (endpoint, server) = serve_apart(ProblemKind::ALL.iter().map(|kind| {
            let reply = kind.reply_with("for the test");
            problem(reply.with_agent("agent-failure", "the agent's message", None))
        }));
        let config = Config::new(endpoint, lab.config.credentials().expect("keys").clone());
        let config = lab.speaking(config);
        let options = ClientOptions::new().with_retry(RetryPolicy::never());
        let driver = D::connect(config, options);
        for kind in ProblemKind::ALL {
            let kernel = KernelId::new("k").expect("an id");
            let error = driver
                .call(Info::new(kernel))
                .await
                .expect_err("an error response");
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
