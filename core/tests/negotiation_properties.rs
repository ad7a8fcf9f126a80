//! What holds for every negotiation, whatever the endpoint responds: it ends after few requests, and its result follows
//! from the responses alone.

use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use http::Response;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::Value;
use sorna_core::machine::{Machine, Negotiate, Step};
use sorna_core::*;

/// Few enough cases for a build without optimization.
fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 512,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// How an exchange ends.
#[derive(Clone, Debug)]
enum End {
    Response(u16, String),
    Failure(TransportErrorKind, Sent),
}

fn version() -> impl Strategy<Value = String> {
    let known = select(ApiVersion::ALL).prop_map(|version| version.to_string());
    prop_oneof![
        3 => known,
        2 => "v[0-9]{1,2}\\.20[12][0-9]{5}",
        1 => "v?[0-9.+v]{0,12}",
        1 => any::<String>(),
    ]
}

fn body() -> impl Strategy<Value = String> {
    let hello = (version(), any::<Option<String>>()).prop_map(|(version, manager)| {
        let mut hello = serde_json::json!({ "version": version });
        if let Some(manager) = manager {
            hello["manager"] = manager.into();
        }
        hello.to_string()
    });
    let problem = select(ProblemKind::ALL).prop_map(|kind| {
        let kind = kind.name();
        format!(r#"{{"type": "https://api.sorna.io/probs/{kind}"}}"#)
    });
    prop_oneof![4 => hello, 2 => problem, 1 => Just(String::new()), 1 => any::<String>()]
}

fn end() -> impl Strategy<Value = End> {
    let status = select(vec![
        200, 200, 200, 204, 302, 400, 401, 404, 429, 500, 502, 503,
    ]);
    let kinds = [
        TransportErrorKind::Connect,
        TransportErrorKind::Receive,
        TransportErrorKind::Tls,
    ];
    let sent = [Sent::Nothing, Sent::StaleConnection, Sent::Maybe];
    prop_oneof![
        4 => (status, body()).prop_map(|(status, body)| End::Response(status, body)),
        1 => (select(kinds.to_vec()), select(sent.to_vec()))
            .prop_map(|(kind, sent)| End::Failure(kind, sent)),
    ]
}

fn caller() -> Caller {
    let keys = Credentials::new(
        AccessKey::new("AKIAIOSFODNN7EXAMPLE").expect("a key"),
        SecretKey::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY").expect("a key"),
    );
    let endpoint = "http://127.0.0.1:8081".parse().expect("an endpoint");
    Caller::new(Signer::new(Config::new(endpoint, keys)))
}

/// Major version and date, read without `sorna-core`.
fn numbers(name: &str) -> Option<(u32, u32)> {
    let (major, date) = name.strip_prefix('v')?.split_once('.')?;
    let is_number = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    if !is_number(major) || !is_number(date) {
        return None;
    }
    Some((major.parse().ok()?, date.parse().ok()?))
}

/// The version in a body that says one.
fn said(end: Option<&End>) -> Option<(u32, u32)> {
    let Some(End::Response(200..300, body)) = end else {
        return None;
    };
    let body: Value = serde_json::from_str(body).ok()?;
    numbers(body["version"].as_str()?)
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_result_follows_from_the_last_responses(ends in vec(end(), 0..12), last in end()) {
        let mut now = Moment::new(UNIX_EPOCH, Instant::default(), u64::MAX / 3);
        let mut machine = Negotiate::new(caller());
        let mut ends = ends.into_iter();
        let (mut root, mut v2) = (None, None);
        let mut sent = 0;
        let result = loop {
            match machine.poll(now) {
                Step::Send(transmit) => {
                    sent += 1;
                    // Two requests, of at most five attempts each.
                    prop_assert!(sent <= 10);
                    let request = &transmit.request;
                    let end = ends.next().unwrap_or_else(|| last.clone());
                    let is_signed = request.headers().contains_key("authorization");
                    match request.uri().path() {
                        "/" => {
                            prop_assert!(v2.is_none() && !is_signed);
                            root = Some(end.clone());
                        }
                        "/v2" => {
                            prop_assert!(is_signed);
                            v2 = Some(end.clone());
                        }
                        other => prop_assert!(false, "{other}"),
                    }
                    now = now.after(Duration::from_millis(10));
                    match end {
                        End::Response(status, body) => {
                            let mut response = Response::new(Bytes::from(body));
                            *response.status_mut() = status.try_into().expect("a status");
                            machine.handle_response(now, response);
                        }
                        End::Failure(kind, sent) => {
                            machine.handle_failure(now, TransportError::new(kind, sent, "broken"));
                        }
                    }
                }
                Step::Wait(until) => now = now.after(until.saturating_duration_since(now.instant)),
                Step::Done(result) => break result,
                step => prop_assert!(false, "{step:?}"),
            }
        };
        prop_assert!(matches!(machine.poll(now), Step::Idle));
        let hello = said(root.as_ref()).filter(|(major, _)| *major > 2);
        let sorna = said(v2.as_ref()).is_some_and(|(major, _)| major == 2);
        match result {
            Ok(found) => {
                prop_assert_eq!(&found.version.to_string().parse(), &Ok(found.version));
                match found.dialect() {
                    Dialect::SornaV2 => prop_assert!(sorna && hello.is_none()),
                    _ => {
                        let offered = hello.expect("it said hello");
                        let own = numbers(found.version.as_str()).expect("a version");
                        prop_assert!(own <= offered && v2.is_none());
                        for other in ApiVersion::ALL {
                            let better = numbers(other.as_str()).expect("a version");
                            prop_assert!(better <= own || better > offered);
                        }
                    }
                }
            }
            Err(Error::Negotiation(error)) => match *error {
                NegotiationError::TooOld { .. } => {
                    prop_assert!(hello.expect("it said hello") < (6, 20_220_615));
                    prop_assert!(v2.is_none());
                }
                NegotiationError::Unknown { .. } => prop_assert!(!sorna && hello.is_none()),
                other => prop_assert!(false, "{other}"),
            },
            Err(error) => {
                prop_assert!(error.transport().is_some() || error.gateway().is_some());
                prop_assert!(!error.to_string().contains('\n'));
            }
        }
    }
}
