//! Negotiations, and logins to a web server: what comes before everything else.
//!
//! The scene is `N` for a negotiation, `Nw` for one through a web server, and `L` for a login. Each event is the response
//! to the request in flight (see [`respond`]), or `,` for a second.
//!
//! - `GET /v2` follows only a `GET /` that said nothing of Backend.AI, and is not sent to a web server.
//! - A version is found only in the last response, and is not newer than what that says.
//! - A login that may have arrived is not sent again, and neither the password nor the cookie is shown.

use std::fmt::Debug;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http::header::{AUTHORIZATION, SET_COOKIE};
use serde_json::{Value, json};
use sorna_core::machine::{Call, Machine, Negotiate, Step, Transmit};
use sorna_core::{
    Caller, Config, Dialect, Instant, Login, Moment, Sent, Signer, TransportError,
    TransportErrorKind,
};
use sorna_fuzz::{check_error, signer};

/// More steps than any of them needs.
const ENOUGH: usize = 500;
const PASSWORD: &str = "correct-horse";
const COOKIE: &str = "battery-staple";

/// What went over the wire.
#[derive(Default)]
struct Wire {
    requests: Vec<String>,
    /// The JSON of the last response.
    said: Value,
    /// Whether a request may have been acted on without a response that says so.
    may_have_acted: bool,
}

fn web_server() -> Signer {
    let endpoint = "http://127.0.0.1:8090".parse().expect("it is a URL");
    Signer::new(Config::of_web_server(endpoint))
}

pub(crate) fn fuzz(scene: &[u8], events: &[u8]) {
    let mut wire = Wire::default();
    if scene.starts_with(b"L") {
        let login = Call::new(Login::new("user", PASSWORD), Caller::new(web_server()));
        match play(login, &mut wire, events) {
            Ok(reply) => {
                assert!(wire.said["authenticated"] == true);
                is_secret(&reply);
            }
            Err(error) => {
                check_error(&error);
                is_secret(&error);
                is_secret(&error.to_string());
            }
        }
        return;
    }
    let is_web = scene.contains(&b'w');
    let signer = if is_web { web_server() } else { signer() };
    let negotiate = Negotiate::new(Caller::new(signer));
    let result = play(negotiate, &mut wire, events);
    let root = if is_web { "GET /func/" } else { "GET /" };
    let hellos = wire.requests.iter().take_while(|line| *line == root);
    let rest = &wire.requests[hellos.count()..];
    assert!(rest.iter().all(|line| line == "GET /v2" && !is_web));
    match result {
        Ok(found) => {
            let is_old = found.dialect() == Dialect::SornaV2;
            assert_eq!(is_old, !rest.is_empty(), "{found:?}");
            let said = wire.said["version"].as_str().expect("it says a version");
            let ours = found.version.to_string();
            let major = |version: &str| -> Option<u32> {
                version.strip_prefix('v')?.split('.').next()?.parse().ok()
            };
            assert!(major(&ours) <= major(said), "{ours} of {said}");
        }
        Err(error) => check_error(&error),
    }
}

fn is_secret(shown: &impl Debug) {
    let shown = format!("{shown:?}");
    assert!(
        !shown.contains(PASSWORD) && !shown.contains(COOKIE),
        "{shown}"
    );
}

impl Wire {
    fn sends(&mut self, transmit: &Transmit) {
        let request = &transmit.request;
        let line = format!("{} {}", request.method(), request.uri().path());
        let is_signed = request.headers().contains_key(AUTHORIZATION);
        assert_eq!(is_signed, line == "GET /v2", "{line}");
        if line == "POST /server/login" {
            assert!(!self.may_have_acted, "the login is sent again");
        }
        self.requests.push(line);
    }
}

/// What a letter means as the end of an exchange.
fn respond(letter: u8, wire: &mut Wire) -> Option<Result<Response<Bytes>, TransportError>> {
    let problem = |kind: &str| json!({"type": format!("https://api.backend.ai/probs/{kind}")});
    let broken = |kind, sent| Err(TransportError::new(kind, sent, "it broke"));
    let hello = |version: &str| json!({"version": version, "manager": "x"});
    let (status, said) = match letter {
        b'h' => (200, hello("v9.20250722")),
        b'H' => (200, hello("v7.20230615")),
        b'f' => (200, hello("v12.20991231")),
        b't' => (200, hello("v5.20191215")),
        b'2' => (200, json!({"version": "v2.20170315"})),
        b'v' => (200, json!({"version": "garbled"})),
        b'e' => (200, json!({})),
        b'p' => (200, json!("a page")),
        b'o' | b'4' => (404, problem("url-not-found")),
        b'r' => (302, Value::Null),
        b'1' => (401, problem("auth-failed")),
        b'd' => (400, problem("invalid-auth-params")),
        b'3' => (503, problem("service-unavailable")),
        b'5' => (500, problem("internal-server-error")),
        b'9' => (429, problem("rate-limit-exceeded")),
        b'y' | b'c' => (
            200,
            json!({"authenticated": true, "data": {"access_key": "AK"}}),
        ),
        b'n' => (
            200,
            json!({"authenticated": false, "data": {"title": "no", "details": "why"}}),
        ),
        b'm' => {
            wire.may_have_acted = true;
            return Some(broken(TransportErrorKind::Receive, Sent::Maybe));
        }
        b'u' => return Some(broken(TransportErrorKind::Connect, Sent::Nothing)),
        _ => return None,
    };
    let mut response = Response::builder().status(status);
    if letter == b'y' {
        let cookie = format!("AIOHTTP_SESSION={COOKIE}; HttpOnly; Path=/");
        response = response.header(SET_COOKIE, cookie);
    }
    // Any response but a rejection may belong to a login that took place.
    wire.may_have_acted = !matches!(status, 429 | 503);
    wire.said = said.clone();
    let body = response.body(said.to_string().into());
    Some(Ok(body.expect("a response")))
}

/// Drives it to its end.
fn play<M: Machine>(mut machine: M, wire: &mut Wire, events: &[u8]) -> M::Output {
    let start = sorna_fuzz::at(1_795_486_930);
    let mut now = Moment::new(start, Instant::default(), u64::MAX / 3);
    let mut in_flight = false;
    for letter in events.iter().chain(std::iter::repeat_n(&b'o', ENOUGH)) {
        match machine.poll(now) {
            Step::Send(transmit) => {
                assert!(!in_flight, "two requests are in flight");
                in_flight = true;
                wire.sends(&transmit);
            }
            Step::Wait(until) => {
                assert!(!in_flight && until > now.instant);
                now = now.after(until.saturating_duration_since(now.instant));
                continue;
            }
            Step::Done(output) => {
                assert!(!in_flight);
                assert!(matches!(machine.poll(now), Step::Idle));
                return output;
            }
            Step::Idle => assert!(in_flight, "it is stuck"),
            _ => unreachable!("neither has events"),
        }
        if *letter == b',' {
            now = now.after(Duration::from_secs(1));
        } else if let Some(outcome) = respond(*letter, wire) {
            in_flight = false;
            match outcome {
                Ok(response) => machine.handle_response(now, response),
                Err(failure) => machine.handle_failure(now, failure),
            }
        }
    }
    panic!("it does not end");
}
