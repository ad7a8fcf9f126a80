//! Every type of problem, as every driver reports it. No gateway is brought into all these states;
//! a small server answers with each in turn.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;

use sorna::ClientOptions;
use sorna::core::machine::RetryPolicy;
use sorna::core::server::ProblemKind;
use sorna::core::{Authorize, Config, Info, KernelId};

use crate::drivers::Driver;
use crate::lab::{Check, Lab};

/// Answers one request on each connection with each problem in turn.
fn serve(listener: TcpListener) {
    for kind in ProblemKind::ALL {
        let (stream, _) = listener.accept().expect("a connection");
        let mut request = BufReader::new(&stream);
        let mut line = String::new();
        while request.read_line(&mut line).expect("a line") > 2 {
            line.clear();
        }
        let reply =
            kind.reply_with("for the test")
                .with_agent("agent-failure", "the agent's words", None);
        let (parts, body) = reply.into_response().into_parts();
        let mut answer = format!("HTTP/1.1 {} X\r\n", parts.status.as_u16()).into_bytes();
        answer.extend(b"Content-Type: application/problem+json\r\nConnection: close\r\n");
        answer.extend(format!("Content-Length: {}\r\n\r\n", body.len()).into_bytes());
        answer.extend(body);
        (&stream).write_all(&answer).expect("it reads");
    }
}

pub(crate) fn every_type_is_reported<D: Driver>(lab: &Lab<D>) -> Check<'_> {
    Box::pin(async {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let server = std::thread::spawn(move || serve(listener));
        let endpoint = format!("http://{address}").parse().expect("an endpoint");
        let config = Config::new(endpoint, lab.config.credentials().clone());
        let mut options = ClientOptions::default();
        options.retry = RetryPolicy::never();
        let driver = D::connect(config, options);
        for kind in ProblemKind::ALL {
            let kernel = KernelId::new("k").expect("an id");
            let error = driver.call(Info::new(kernel)).await.expect_err("refused");
            let refusal = error.gateway().expect("a refusal");
            assert_eq!(refusal.kind(), Some(kind.name()));
            assert_eq!(refusal.status(), kind.status());
            let text = error.to_string();
            assert!(text.contains("(for the test): the agent's words"), "{text}");
        }
        server.join().expect("it served all");
        assert!(
            driver.call(Authorize::new("")).await.is_err(),
            "nobody is there"
        );
    })
}
