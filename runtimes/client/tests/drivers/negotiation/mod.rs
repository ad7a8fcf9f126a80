//! Which version of the API clients speak, and how many requests they need to find it out, in all drivers.

#![cfg(all(
    feature = "tokio",
    feature = "smol",
    feature = "async-std",
    feature = "ureq"
))]

mod abandoned;
mod drivers;
mod server;

use sorna::{
    ApiVersion, BuildError, Cleanup, Config, Dialect, Ending, Error, NegotiationError,
    TerminalEvent,
};

use drivers::{AsyncStd, Blocking, Driver, Smol, Tokio};
use server::{HELLO_23, HELLO_26, Server, Typed};

/// Runs a check for each driver.
macro_rules! each {
    ($($check:ident)*) => {$(
        #[test]
        fn $check() {
            checks::$check::<Blocking>();
            checks::$check::<Tokio>();
            checks::$check::<Smol>();
            checks::$check::<AsyncStd>();
        }
    )*};
}

each! {
    a_fixed_version_sends_no_request
    a_manager_is_asked_once
    a_gateway_of_sorna_is_found
    requests_at_the_same_time_share_one_negotiation
    a_failure_is_not_remembered
    what_the_version_lacks_is_not_sent
    every_kind_of_request_uses_the_version
    a_run_that_cannot_begin_reports_why
    a_terminal_that_loses_input_says_so
    a_user_of_a_web_server_logs_in
}

/// They wait for 10 s, so they do it at the same time.
#[test]
fn a_terminal_that_shows_nothing_says_so() {
    std::thread::scope(|scope| {
        scope.spawn(checks::a_terminal_that_shows_nothing_says_so::<Blocking>);
        scope.spawn(checks::a_terminal_that_shows_nothing_says_so::<Tokio>);
        scope.spawn(checks::a_terminal_that_shows_nothing_says_so::<Smol>);
        scope.spawn(checks::a_terminal_that_shows_nothing_says_so::<AsyncStd>);
    });
}

fn manager_23(line: &str) -> (u16, &'static str) {
    match line {
        "GET /" => (200, HELLO_23),
        _ => manager(line),
    }
}

fn manager_26(line: &str) -> (u16, &'static str) {
    match line {
        "GET /" => (200, HELLO_26),
        _ => manager(line),
    }
}

fn manager(line: &str) -> (u16, &'static str) {
    match line {
        "GET /session/k1" => (200, r#"{"lang": "python"}"#),
        "POST /session/k1/upload" => (204, ""),
        "GET /stream/session/k1/pty" => (101, ""),
        _ => (
            404,
            r#"{"type": "https://api.backend.ai/probs/url-not-found", "title": "Unknown URL path."}"#,
        ),
    }
}

fn web_server(line: &str) -> (u16, &'static str) {
    match line {
        "GET /func/" => (200, HELLO_26),
        "POST /server/login" => (
            200,
            r#"{"authenticated": true, "data": {"access_key": "AK", "role": "user"}}"#,
        ),
        "GET /func/session/k1" => (200, r#"{"lang": "python"}"#),
        "GET /func/stream/session/k1/pty" => (101, ""),
        _ => (404, "<html>"),
    }
}

fn sorna(line: &str) -> (u16, &'static str) {
    match line {
        "GET /v2" => (200, r#"{"version": "v2.20170315"}"#),
        "GET /v2/kernel/k1" => (200, r#"{"lang": "python3"}"#),
        _ => (
            400,
            r#"{"type": "https://api.sorna.io/probs/generic-bad-request"}"#,
        ),
    }
}

fn other(_: &str) -> (u16, &'static str) {
    (404, "<html>Not Found")
}

mod checks {
    use super::*;

    pub(super) fn a_fixed_version_sends_no_request<D: Driver>() {
        let server = Server::start(manager_26);
        let fixed = ApiVersion::V7_20230615;
        let client = D::connect(server.config().with_version(fixed));
        D::block_on(async {
            let found = client.negotiated().await.unwrap();
            assert_eq!((found.version, found.info.as_ref()), (fixed, None));
            assert_eq!(server.seen(), [""; 0]);
            client.info().await.unwrap();
        });
        assert_eq!(server.versions(), ["v7.20230615"], "{}", D::NAME);
    }

    pub(super) fn a_manager_is_asked_once<D: Driver>() {
        let server = Server::start(manager_23);
        let client = D::connect(server.config());
        D::block_on(async {
            assert_eq!(client.info().await.unwrap().language(), Some("python"));
            assert_eq!(server.seen(), ["GET /", "GET /session/k1"]);
            client.clone().info().await.unwrap();
            assert_eq!(server.versions(), ["v7.20230615"]);
            let found = client.negotiated().await.unwrap();
            assert_eq!(found.version, ApiVersion::V7_20230615);
            assert_eq!(found.dialect(), Dialect::BackendAi);
            assert_eq!(found.manager(), Some("23.09.10"));
            assert_eq!(server.seen(), [""; 0]);
            // This asks the gateway each time.
            assert_eq!(client.version().await.unwrap(), "v7.20230615");
            assert_eq!(server.seen(), ["GET /"]);
            let other = D::connect(server.config());
            assert_eq!(other.version().await.unwrap(), "v7.20230615");
            assert_eq!(server.seen(), ["GET /"]);
        });
    }

    pub(super) fn a_gateway_of_sorna_is_found<D: Driver>() {
        let server = Server::start(sorna);
        let client = D::connect(server.config());
        D::block_on(async {
            client.info().await.unwrap();
            client.info().await.unwrap();
            let info = "GET /v2/kernel/k1";
            assert_eq!(server.seen(), ["GET /", "GET /v2", info, info]);
            let found = client.negotiated().await.unwrap();
            assert_eq!(found.version, ApiVersion::V2_20170315);
            assert_eq!((found.dialect(), found.manager()), (Dialect::SornaV2, None));
        });
    }

    pub(super) fn requests_at_the_same_time_share_one_negotiation<D: Driver>() {
        for (script, expected) in [(manager_26 as server::Script, true), (other, false)] {
            let server = Server::start(script);
            let client = D::connect(server.config());
            for result in D::block_on(client.infos()) {
                match result {
                    Ok(_) => assert!(expected),
                    Err(error) => assert!(matches!(error, Error::Negotiation(_)), "{error}"),
                }
            }
            let hellos = server.seen().iter().filter(|line| *line == "GET /").count();
            // Those that come after a failure try again.
            assert!(hellos == 1 || !expected, "{}: {hellos}", D::NAME);
        }
    }

    pub(super) fn a_failure_is_not_remembered<D: Driver>() {
        let server = Server::start(other);
        let client = D::connect(server.config());
        D::block_on(async {
            let error = client.info().await.unwrap_err();
            assert_eq!(
                error.to_string(),
                "the endpoint is neither Backend.AI nor Sorna v2: it responded to GET / with 404: a web page, and GET /v2 with 404: a web page"
            );
            assert!(!error.may_have_acted() && !error.is_retryable());
            assert_eq!(server.seen(), ["GET /", "GET /v2"]);
            server.becomes(|_| (200, r#"{"version": "v5.20191215", "manager": "20.03.2"}"#));
            let Error::Negotiation(error) = client.execute().await.unwrap_err() else {
                panic!("it is too old")
            };
            let NegotiationError::TooOld {
                offered, manager, ..
            } = *error
            else {
                panic!("{error:?}")
            };
            assert_eq!(
                (offered.as_str(), manager.as_deref()),
                ("v5.20191215", Some("20.03.2"))
            );
            server.becomes(manager_26);
            client.info().await.unwrap();
            assert_eq!(server.seen(), ["GET /", "GET /", "GET /session/k1"]);
        });
    }

    pub(super) fn what_the_version_lacks_is_not_sent<D: Driver>() {
        let server = Server::start(manager_26);
        let client = D::connect(server.config());
        let error = D::block_on(client.create_limited()).unwrap_err();
        let Error::Build(BuildError::Unsupported { version, .. }) = error else {
            panic!("{error}")
        };
        assert_eq!(version, ApiVersion::V9_20250722);
        assert_eq!(server.seen(), ["GET /"]);
    }

    pub(super) fn every_kind_of_request_uses_the_version<D: Driver>() {
        let server = Server::start(manager_26);
        let hello = "GET /";
        // Each as the first request of a client.
        let client = || D::connect(server.config());
        D::block_on(async {
            client().upload().await.unwrap();
            // It is looked whether the manager has stored the files.
            let list = "GET /session/k1/files?path=.";
            assert_eq!(server.seen(), [hello, "POST /session/k1/upload", list]);
            assert_eq!(client().stream().await.unwrap(), br#"{"lang": "python"}"#);
            assert_eq!(server.seen(), [hello, "GET /session/k1"]);
            assert!(client().execute().await.unwrap_err().is_not_found());
            assert_eq!(server.seen(), [hello, "POST /session/k1"]);
            let report = client().run().await;
            assert!(matches!(report.ending, Ending::Failed(Error::Gateway(_))));
            assert_eq!(server.versions(), ["v9.20250722"]);
        });
    }

    pub(super) fn a_run_that_cannot_begin_reports_why<D: Driver>() {
        let server = Server::start(other);
        let report = D::block_on(D::connect(server.config()).run());
        let Ending::Failed(Error::Negotiation(_)) = report.ending else {
            panic!("{:?}", report.ending)
        };
        assert!(matches!(report.cleanup, Cleanup::NoKernel));
        assert_eq!(server.seen(), ["GET /", "GET /v2"]);
    }

    pub(super) fn a_terminal_that_loses_input_says_so<D: Driver>() {
        let server = Server::with_terminals(manager_23, Typed::Closes);
        let client = D::connect(server.config());
        let closed = TerminalEvent::Closed {
            code: Some(1000),
            reason: String::new(),
        };
        let events = D::block_on(client.terminal(closed.clone())).unwrap();
        assert_eq!(events, [TerminalEvent::InputLost, closed], "{}", D::NAME);
        assert_eq!(server.seen(), ["GET /", "GET /stream/session/k1/pty"]);
    }

    pub(super) fn a_user_of_a_web_server_logs_in<D: Driver>() {
        let server = Server::with_terminals(web_server, Typed::Closes);
        let config = Config::of_web_server(server.endpoint());
        D::block_on(async {
            let session = D::connect(config.clone()).login().await.unwrap();
            assert_eq!(server.seen(), ["GET /func/", "POST /server/login"]);
            let client = D::connect(config.with_session(session.cookie));
            client.info().await.unwrap();
            assert_eq!(server.cookies(), ["AIOHTTP_SESSION=5f0c"]);
            let found = client.negotiated().await.unwrap();
            assert_eq!(found.version, ApiVersion::V9_20250722);
            let closed = TerminalEvent::Closed {
                code: Some(1000),
                reason: String::new(),
            };
            assert_eq!(client.terminal(closed.clone()).await.unwrap(), [closed]);
            assert_eq!(server.cookies(), ["AIOHTTP_SESSION=5f0c"]);
        });
    }

    pub(super) fn a_terminal_that_shows_nothing_says_so<D: Driver>() {
        let server = Server::with_terminals(manager_26, Typed::Ignored);
        let client = D::connect(server.config());
        let events = D::block_on(client.terminal(TerminalEvent::Silent)).unwrap();
        assert_eq!(events, [TerminalEvent::Silent], "{}", D::NAME);
    }
}
