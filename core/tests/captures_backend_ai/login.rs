//! Sessions with web server 23.09.10, which was recorded in front of a stand-in for a manager.

use std::time::UNIX_EPOCH;

use sorna_core::{Config, Error, Info, Login, Logout, Operation, SessionCookie, Signer};

use crate::support::{V7, id, message, response};

fn recorded(name: &str) -> String {
    format!("web-23.09.10/{name}")
}

/// Checks that an operation sends what was recorded.
fn sends(operation: &impl Operation, config: Config, name: &str) {
    let request = operation
        .request(&Signer::new(config), UNIX_EPOCH)
        .expect("a request");
    let recorded = message(&format!("{}.request", recorded(name)));
    let line = format!("{} {}", request.method(), request.uri().path());
    assert_eq!(line, recorded.line());
    assert_eq!(request.body().as_bytes().unwrap_or_default(), recorded.body);
    for name in [
        "host",
        "x-backendai-version",
        "content-type",
        "cookie",
        "authorization",
    ] {
        let sent = request
            .headers()
            .get(name)
            .map(|value| value.to_str().expect("text"));
        assert_eq!(sent, recorded.header(name), "{name}");
    }
}

fn config() -> Config {
    Config::of_web_server("http://127.0.0.1:18090".parse().expect("an endpoint"))
}

#[test]
fn a_user_logs_in_and_out() {
    let login = Login::new("a@example.com", "hunter2");
    sends(&login, config(), "login");
    let session = login
        .read_response(V7, response(&recorded("login")))
        .expect("a session")
        .value;
    assert_eq!(session.cookie.expose(), "47f47d9c2ec142ee9c533ee03ad7ef42");
    assert_eq!(session.access_key.as_deref(), Some("AKIAIOSFODNN7EXAMPLE"));

    sends(
        &Logout::new(),
        config().with_session(session.cookie),
        "logout",
    );
    Logout::new()
        .read_response(V7, response(&recorded("logout")))
        .expect("it is over");
}

#[test]
fn rejected_logins_and_requests_without_one_are_told_apart() {
    let wrong = Login::new("a@example.com", "wrong");
    sends(&wrong, config(), "login-wrong");
    let read = |name| {
        wrong
            .read_response(V7, response(&recorded(name)))
            .expect_err("an error")
    };
    let Error::Login(error) = read("login-wrong") else {
        panic!("it is rejected")
    };
    assert_eq!(
        error.to_string(),
        "the login was rejected: Credential/signature mismatch: User credential mismatch."
    );
    let Error::Login(error) = read("login-blocked") else {
        panic!("it is rejected")
    };
    assert!(error.is_blocked(), "{error}");
    assert!(matches!(read("login-no-password"), Error::Gateway(_)));

    let info = Info::new(id("k1"));
    sends(&info, config(), "unauthorized");
    let error = info.read_response(V7, response(&recorded("unauthorized")));
    assert!(error.expect_err("an error").is_auth());
}

#[test]
fn a_session_that_is_over_is_no_cookie() {
    // The web server deletes it by an empty value.
    assert!(SessionCookie::new("").is_err());
    let login = Login::new("a", "b").read_response(V7, response(&recorded("logout")));
    assert!(login.is_err());
}
