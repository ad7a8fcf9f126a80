//! What sessions there are, what is said of one, and errors.

use std::time::{Duration, UNIX_EPOCH};

use serde_json::Value;
use sorna_core::events::SubscribeEvents;
use sorna_core::{
    Error, Info, KernelInfo, ListSessions, MatchSessions, Operation, ProblemKind, Restart,
    SessionPage,
};

use crate::support::{ApiVersion, V7, V9, id, message, names, response, signer};

fn info(name: &str) -> KernelInfo {
    let reply = Info::new(id("x")).read_response(V9, response(name));
    reply.expect(name).value
}

fn line<O: Operation>(operation: &O, version: ApiVersion) -> String {
    let request = operation.prepare(version).expect("a request");
    format!("{} {}", request.method(), request.path())
}

#[test]
fn requests_are_the_recorded_ones() {
    let uuid = "39d513e9-1d7b-48d4-9f24-1ee130b6d39b";
    for (ours, recorded) in [
        (line(&Info::new(id("cap-86981")), V7), "23.09.10/06-info"),
        (line(&Info::new(id(uuid)), V9), "26.9.6/80-info-uuid"),
        (
            line(&MatchSessions::new("cap-55847"), V9),
            "26.9.6/87-match",
        ),
        (line(&ListSessions::new(), V7), "23.09.10/22-list-graphql"),
        (line(&ListSessions::new(), V9), "26.9.6/83-gql"),
        (line(&SubscribeEvents::new(), V9), "26.9.6/189-events-all"),
    ] {
        let recorded = message(&format!("{recorded}.request"));
        assert_eq!(ours, recorded.line());
    }
}

#[test]
fn variables_are_those_of_the_official_client() {
    let list = ListSessions::new().with_statuses(["RUNNING"]);
    let request = list
        .request(
            &signer(V9, "127.0.0.1:8094"),
            UNIX_EPOCH + Duration::from_secs(1_795_755_895),
        )
        .expect("a request");
    let segments = request.body().segments();
    let [sorna_core::Segment::Bytes(body)] = segments else {
        panic!("{segments:?}")
    };
    let ours: Value = serde_json::from_slice(body).expect("JSON");
    for name in [
        "23.09.10/22-list-graphql.request",
        "26.9.6/82-client-list.request",
    ] {
        let theirs: Value = serde_json::from_slice(&message(name).content()).expect("JSON");
        assert_eq!(ours["variables"], theirs["variables"], "{name}");
    }
}

#[test]
fn information_of_both_releases_is_read() {
    for (name, status, status_info, created, slots) in [
        (
            "23.09.10/06-info",
            "RUNNING",
            None,
            "2026-11-24 02:23:02.168172+00:00",
            ["1", "268435456"],
        ),
        (
            "26.9.6/73-info-pending-or-later",
            "SCHEDULED",
            None,
            "2026-11-27T05:04:41.566692+00:00",
            ["1.000000", "268435456.000000"],
        ),
        (
            "26.9.6/78-client-info",
            "RUNNING",
            None,
            "2026-11-27T05:04:20.875225+00:00",
            ["1.000000", "268435456.000000"],
        ),
        (
            "26.9.6/80-info-uuid",
            "RUNNING",
            None,
            "2026-11-27T05:04:20.875225+00:00",
            ["1.000000", "268435456.000000"],
        ),
        (
            "26.9.6/258-recreate-info",
            "TERMINATING",
            Some("user-requested"),
            "2026-11-27T05:12:24.695503+00:00",
            ["1.000000", "268435456.000000"],
        ),
    ] {
        let info = info(name);
        assert_eq!(
            info.language(),
            Some("cr.backend.ai/stable/python:3.9-ubuntu20.04"),
            "{name}"
        );
        assert_eq!(info.image(), info.language());
        assert_eq!(
            (info.status(), info.status_info()),
            (Some(status), status_info),
            "{name}"
        );
        assert_eq!(info.creation_time(), Some(created), "{name}");
        assert_eq!(info.termination_time(), None);
        assert_eq!(info.executions(), Some(0));
        for map in [info.occupied_slots(), info.requested_slots()] {
            let map = map.expect(name);
            assert_eq!([map["cpu"].as_str(), &map["mem"]], slots, "{name}");
            assert_eq!(map.len(), 2);
        }
        assert_eq!(info.environ().expect(name).len(), 0);
        assert!(
            info.idle_checks()
                .expect(name)
                .contains_key("session_lifetime")
        );
        assert_eq!(
            info.extra()["resourceOpts"],
            "{'main1': {'shmem': 67108864}}"
        );
        assert_eq!(
            info.container_id().is_none(),
            status == "SCHEDULED",
            "{name}"
        );
    }
    assert_eq!(
        info("23.09.10/06-info").age(),
        Some(Duration::from_millis(2014))
    );
}

fn list(name: &str) -> Result<SessionPage, Error> {
    let reply = ListSessions::new().read_response(V9, response(name))?;
    Ok(reply.value)
}

#[test]
fn lists_of_both_releases_are_read() {
    let page = list("26.9.6/83-gql").expect("a page");
    let of = |page: &SessionPage| -> Vec<(String, String, String)> {
        let of = page.sessions.iter();
        of.map(|s| (s.id.to_string(), s.name.clone(), s.status.clone()))
            .collect()
    };
    let running = |id: &str, name: &str| (id.to_owned(), name.to_owned(), "RUNNING".to_owned());
    assert_eq!(
        of(&page),
        [
            running(
                "7c548299-6be3-4613-8cf0-f11deb896755",
                "01a21b47-c9f0-799d-b5c3-f19ac4b5e0bc"
            ),
            running("c54777c4-ca5d-4f34-8a78-50173e462110", ""),
            running("39d513e9-1d7b-48d4-9f24-1ee130b6d39b", "cap-55847"),
        ]
    );
    assert_eq!(page.total_count, 3);
    assert!(ListSessions::new().next(&page).is_none());

    // The official client's queries have other fields, and `id`.
    let page = list("26.9.6/82-client-list").expect("a page");
    assert_eq!(
        of(&page)[2],
        running("39d513e9-1d7b-48d4-9f24-1ee130b6d39b", "")
    );
    let page = list("23.09.10/22-list-graphql").expect("a page");
    assert_eq!(
        of(&page),
        [running("640133fd-e52d-4b07-b24c-78a4fcf27251", "")]
    );
    let session = &page.sessions[0];
    assert_eq!(
        session.image.as_deref(),
        Some("cr.backend.ai/stable/python:3.9-ubuntu20.04")
    );
    assert_eq!(session.extra["type"], "INTERACTIVE");
}

#[test]
fn a_rejected_query_says_why() {
    let error = list("26.9.6/85-gql-error").expect_err("a rejected query");
    assert_eq!(
        error.to_string(),
        "the gateway rejected the query: Cannot query field 'nope' on type 'Query'. Did you mean 'node'?"
    );
    assert!(error.gateway().is_some());
}

#[test]
fn a_match_is_read() {
    let reply = MatchSessions::new("cap-55847").read_response(V9, response("26.9.6/87-match"));
    let sessions = reply.expect("a list").value;
    assert_eq!(sessions.len(), 1);
    assert_eq!(
        sessions[0].id.as_str(),
        "39d513e9-1d7b-48d4-9f24-1ee130b6d39b"
    );
    assert_eq!(
        (&*sessions[0].name, &*sessions[0].status),
        ("cap-55847", "RUNNING")
    );
}

#[test]
fn errors_have_a_kind_and_a_message() {
    for (name, status, kind, code, message) in [
        (
            "23.09.10/34-session-not-found",
            404,
            ProblemKind::ObjectNotFound,
            None,
            "Session (id=cap-86981) does not exist.",
        ),
        (
            "26.9.6/41-session-not-found",
            404,
            ProblemKind::EntityNotFound,
            Some("session_read_not-found"),
            "No SessionRow matches the given key",
        ),
        (
            "26.9.6/42-session-not-found-uuid",
            404,
            ProblemKind::ObjectNotFound,
            Some("session_read_not-found"),
            "Session (id=01a21b47-c9f0-799d-b5c3-f19ac4b5e0bc) does not exist.",
        ),
        (
            "26.9.6/94-other-users-session",
            404,
            ProblemKind::EntityNotFound,
            Some("session_read_not-found"),
            "No SessionRow matches the given key",
        ),
        (
            "26.9.6/251-info-destroyed",
            404,
            ProblemKind::EntityNotFound,
            Some("session_read_not-found"),
            "No SessionRow matches the given key",
        ),
        (
            "26.9.6/39-url-not-found",
            404,
            ProblemKind::UrlNotFound,
            Some("api_read_not-found"),
            "Unknown URL path.",
        ),
        (
            "26.9.6/266-limit-5",
            429,
            ProblemKind::RateLimitExceeded,
            Some("api_access_unavailable"),
            "You have reached your API query rate limit.",
        ),
    ] {
        let error = Info::new(id("x"))
            .read_response(V9, response(name))
            .expect_err(name);
        assert_eq!(error.is_not_found(), status == 404, "{name}");
        let error = error.gateway().expect(name);
        assert_eq!(error.status().as_u16(), status, "{name}");
        assert_eq!(
            (error.kind(), error.error_code()),
            (Some(kind), code),
            "{name}"
        );
        assert_eq!(error.message(), Some(message), "{name}");
        assert_eq!(error.is_rate_limited(), status == 429);
    }
    let invalid = Info::new(id("x")).read_response(V7, response("23.09.10/29-invalid-params"));
    let invalid = invalid.expect_err("an error response");
    let data = invalid.gateway().and_then(|error| error.data());
    assert!(
        data.expect("fields")["name"]
            .as_str()
            .is_some_and(|why| why.contains("pattern"))
    );
    let path = Info::new(id("x")).read_response(V9, response("26.9.6/39-url-not-found"));
    let path = path.expect_err("an error response");
    assert_eq!(
        path.gateway().and_then(|error| error.data()),
        Some(&"/session/nope/nope".into())
    );
}

#[test]
fn what_is_not_supported_any_more_is_known_as_that() {
    let error = Restart::new(id("x"))
        .read_response(V7, response("26.9.6/181-restart-v7"))
        .expect_err("an error response");
    assert!(!error.is_retryable() && !error.may_have_acted());
    let error = error.gateway().expect("an error response");
    assert!(error.is_unsupported() && !error.is_unavailable());
    assert_eq!(error.error_code(), Some("api_generic_not-implemented"));
}

/// Whatever the operation, an error response has a known kind, and predicates that fit its status.
#[test]
fn all_error_responses_are_understood() {
    let mut count = 0;
    for release in ["23.09.10", "26.9.6"] {
        for name in names(release) {
            let response = response(&name);
            let status = response.status();
            if !status.is_client_error() && !status.is_server_error() {
                continue;
            }
            count += 1;
            let error = Info::new(id("x"))
                .read_response(V9, response)
                .expect_err(&name);
            let error = error.gateway().expect(&name);
            assert!(error.kind().is_some(), "{name}: {error}");
            assert_eq!(error.error_code().is_some(), release == "26.9.6", "{name}");
            assert_eq!(error.is_auth(), status == 401, "{name}");
            assert_eq!(error.is_unsupported(), status == 501, "{name}");
            assert!(
                error.is_conclusive() && !error.is_clock_skew() && !error.is_quota_exceeded(),
                "{name}"
            );
        }
    }
    assert!(count > 20, "{count}");
}
