//! Which version is spoken with servers whose responses were recorded.

use std::time::UNIX_EPOCH;

use http::Response;
use sorna_core::machine::{Machine, Negotiate, Negotiated, Step};
use sorna_core::{Caller, Config, Error, Instant, Moment, NegotiationError, Signer};

use crate::support::{ApiVersion, V7, V9, message, response, signer};

/// Negotiates with a server whose responses are recorded, and also returns what it was sent.
fn negotiate(recorded: &[&str]) -> (Result<Negotiated, Error>, Vec<String>) {
    negotiate_by(signer(ApiVersion::default(), "127.0.0.1:8094"), recorded)
}

fn negotiate_by(signer: Signer, recorded: &[&str]) -> (Result<Negotiated, Error>, Vec<String>) {
    let now = Moment::new(UNIX_EPOCH, Instant::default(), 7);
    let mut machine = Negotiate::new(Caller::new(signer));
    let mut recorded = recorded.iter();
    let mut sent = Vec::new();
    loop {
        match machine.poll(now) {
            Step::Send(transmit) => {
                let request = transmit.request;
                sent.push(format!("{} {}", request.method(), request.uri().path()));
                let name = recorded.next().expect("a response");
                machine.handle_response(now, response(name));
            }
            Step::Done(result) => {
                assert!(recorded.next().is_none(), "more was recorded");
                return (result, sent);
            }
            step => panic!("{step:?}"),
        }
    }
}

#[test]
fn managers_say_hello() {
    for (name, version, manager) in [
        ("23.09.10/01-hello", V7, "23.09.10"),
        ("26.9.6/02-hello", V9, "26.9.6"),
    ] {
        assert_eq!(message(&format!("{name}.request")).line(), "GET /");
        let (found, sent) = negotiate(&[name]);
        let found = found.expect(name);
        assert_eq!((found.version, found.manager()), (version, Some(manager)));
        assert_eq!(sent, ["GET /"]);
    }
}

#[test]
fn a_web_server_passes_hello_on() {
    let config = Config::of_web_server("http://127.0.0.1:18090".parse().expect("an endpoint"));
    let (found, sent) = negotiate_by(Signer::new(config), &["web-23.09.10/hello"]);
    assert_eq!(found.expect("a version").version, V7);
    assert_eq!(sent, ["GET /func/"]);
}

#[test]
fn the_original_gateway_is_found_below_v2() {
    let (found, sent) = negotiate(&[
        "../captures-sorna/29-not-json-400-invalid-url",
        "../captures-sorna/01-version",
    ]);
    let found = found.expect("a version");
    assert_eq!(found.version, ApiVersion::V2_20170315);
    assert_eq!(
        (found.manager(), sent),
        (None, vec!["GET /".to_owned(), "GET /v2".to_owned()])
    );
}

#[test]
fn what_is_below_v2_of_a_manager_is_not_sorna() {
    assert_eq!(message("26.9.6/35-v2-signed.request").line(), "GET /v2");
    let (found, _) = negotiate(&["26.9.6/39-url-not-found", "26.9.6/35-v2-signed"]);
    let Err(Error::Negotiation(error)) = found else {
        panic!("{found:?}")
    };
    let text = error.to_string();
    let NegotiationError::Unknown { v2, .. } = *error else {
        panic!("{error:?}")
    };
    assert_eq!(v2.status(), 404);
    let recorded: Response<_> = response("26.9.6/35-v2-signed");
    assert_eq!(v2.body(), recorded.body());
    assert!(
        text.contains("api.backend.ai/probs/url-not-found"),
        "{text}"
    );
}

#[test]
fn keys_that_a_gateway_rejects_are_reported_as_such() {
    let (found, sent) = negotiate(&[
        "../captures-sorna/29-not-json-400-invalid-url",
        "../captures-sorna/21-wrong-secret",
    ]);
    assert!(found.expect_err("an error").is_auth());
    assert_eq!(sent.len(), 2);
}
