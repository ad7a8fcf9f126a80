//! What sessions there are, what is said of one, their events and terminals, and errors.

use std::time::{Duration, UNIX_EPOCH};

use serde_json::Value;
use sorna_core::events::{EventStream, SessionEvent, SubscribeEvents};
use sorna_core::signing::{SigningKey, StringToSign, body_hash};
use sorna_core::terminal::{Frame, Outgoing, Terminal, TerminalEvent, TerminalOptions};
use sorna_core::{
    Error, HashAlgorithm, Info, Instant, KernelId, KernelInfo, ListSessions, MatchSessions, Moment,
    Operation, ProblemKind, Restart, SessionPage,
};

use crate::support::{ApiVersion, frames, message, names, response, signer};

const V7: ApiVersion = ApiVersion::V7_20230615;
const V9: ApiVersion = ApiVersion::V9_20250722;

fn id(id: &str) -> KernelId {
    KernelId::new(id).expect("an ID")
}

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
fn the_target_is_signed_with_its_star() {
    for name in [
        "23.09.10/32-events-sse",
        "26.9.6/189-events-all",
        "26.9.6/190-events-named",
    ] {
        let request = message(&format!("{name}.request"));
        let header = |name| request.header(name).expect("a header");
        let (method, target) = request.line().split_once(' ').expect("a target");
        let string = StringToSign {
            method,
            target,
            date: header("date"),
            host: header("host"),
            media_type: "application/octet-stream",
            version_header: "x-backendai-version",
            version: header("x-backendai-version"),
            body_hash: &body_hash(HashAlgorithm::Sha256, b""),
        };
        let day = header("date")[..10].replace('-', "");
        let day = day.as_bytes().try_into().expect("eight digits");
        let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
        let key = SigningKey::derive(HashAlgorithm::Sha256, secret, day, header("host"));
        let (_, signature) = header("authorization")
            .rsplit_once(':')
            .expect("a signature");
        assert_eq!(key.sign(&string).to_string(), signature, "{name}");
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
            1_795_486_982,
            ["1", "268435456"],
        ),
        (
            "26.9.6/73-info-pending-or-later",
            "SCHEDULED",
            None,
            1_795_755_881,
            ["1.000000", "268435456.000000"],
        ),
        (
            "26.9.6/78-client-info",
            "RUNNING",
            None,
            1_795_755_860,
            ["1.000000", "268435456.000000"],
        ),
        (
            "26.9.6/80-info-uuid",
            "RUNNING",
            None,
            1_795_755_860,
            ["1.000000", "268435456.000000"],
        ),
        (
            "26.9.6/258-recreate-info",
            "TERMINATING",
            Some("user-requested"),
            1_795_756_344,
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
        let since = info.created_at().expect(name).duration_since(UNIX_EPOCH);
        assert_eq!(since.expect("after 1970").as_secs(), created, "{name}");
        assert_eq!(info.terminated_at(), None);
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

fn events(stream: &mut EventStream, name: &str) -> Vec<SessionEvent> {
    let body = message(&format!("{name}.response")).content();
    stream.handle_bytes(&body).expect("events");
    std::iter::from_fn(|| stream.poll_event()).collect()
}

fn event_names(events: &[SessionEvent]) -> Vec<&str> {
    events.iter().map(|event| event.name.as_str()).collect()
}

#[test]
fn events_of_both_releases_are_read() {
    let ended = events(&mut EventStream::new(), "23.09.10/32-events-sse");
    assert_eq!(
        event_names(&ended),
        [
            "session_terminating",
            "kernel_terminating",
            "kernel_terminated",
            "kernel_terminated",
            "session_terminated",
        ]
    );
    assert_eq!(ended[1].exit_code, Some(-1));
    assert_eq!(ended[1].cluster_index, Some(1));
    assert!(ended[4].is_terminated());
    for event in &ended {
        assert_eq!(event.session_name.as_deref(), Some("cap-86981"));
        assert_eq!(event.reason, "user-requested");
        assert_eq!(event.extra.len(), 1);
    }

    let named = events(&mut EventStream::new(), "26.9.6/190-events-named");
    assert_eq!(
        event_names(&named),
        ["session_terminating", "session_terminated"]
    );
}

#[test]
fn events_of_one_session_are_picked_out_of_all() {
    let all = "26.9.6/189-events-all";
    let session = id("6f168640-dd6d-47f7-b973-42925f33fc0d");
    let mut stream = SubscribeEvents::new().with_session_id(session).stream();
    let events_of_one = events(&mut stream, all);
    assert_eq!(
        event_names(&events_of_one),
        [
            "session_pending",
            "session_scheduled",
            "session_preparing",
            "session_prepared",
            "kernel_preparing",
            "kernel_creating",
            "kernel_started",
            "session_creating",
            "session_started",
            "session_terminating",
            "kernel_terminated",
            "session_terminated",
        ]
    );
    let started: Vec<&SessionEvent> = events_of_one
        .iter()
        .filter(|event| event.is_started())
        .collect();
    assert_eq!((started.len(), started[1].kernel_id.as_deref()), (2, None));
    assert_eq!(started[0].cluster_role.as_deref(), Some("main"));
    assert!(
        events_of_one
            .iter()
            .all(|event| !event.is_failure() && event.raw.is_none())
    );

    let everything = events(&mut EventStream::new(), all);
    assert!(everything.len() > events_of_one.len() + 3);
    assert!(
        everything
            .iter()
            .any(|event| event.session_name.as_deref() == Some(""))
    );
}

#[test]
fn an_unknown_scope_is_rejected() {
    let error = SubscribeEvents::new()
        .read_response(V9, response("26.9.6/193-events-bad-scope"))
        .expect_err("an error response");
    let error = error.gateway().expect("an error response");
    assert_eq!(error.kind(), Some(ProblemKind::InvalidApiParams));
    assert_eq!(error.message(), Some("Invalid scope: nope"));
}

/// What a terminal shows of recorded frames, and how it ends.
fn terminal(name: &str, version: ApiVersion) -> (String, Vec<TerminalEvent>) {
    let mut now = Moment::new(UNIX_EPOCH, Instant::default(), 0);
    let mut terminal = Terminal::new(TerminalOptions::default(), now).with_version(version);
    let mut shown = Vec::new();
    let mut others = Vec::new();
    for (index, (kind, body)) in frames(name).into_iter().enumerate() {
        match kind {
            1 => {
                let text = String::from_utf8(body.to_vec()).expect("text");
                terminal.handle_frame(now, Frame::Text(text));
            }
            2 => terminal.handle_frame(now, Frame::Binary(body)),
            8 => terminal.handle_close(Some(u16::from_be_bytes([body[0], body[1]])), ""),
            other => panic!("a frame of kind {other}"),
        }
        if index == 0 {
            // As the clients of the recordings did.
            terminal.stdin(b"echo $((6*7))\n");
            now = now.after(Duration::from_secs(1));
            while let Outgoing::Send(frame) = terminal.poll_outgoing(now) {
                assert!(matches!(frame, Frame::Text(_)));
            }
        }
        while let Some(event) = terminal.poll_event() {
            match event {
                TerminalEvent::Output(bytes) => shown.extend_from_slice(&bytes),
                event => others.push(event),
            }
        }
    }
    (String::from_utf8(shown).expect("text"), others)
}

#[test]
fn terminals_of_both_releases_are_read() {
    let closed = TerminalEvent::Closed {
        code: Some(1000),
        reason: String::new(),
    };
    let lost = (
        "work$ ".to_owned(),
        vec![TerminalEvent::InputLost, closed.clone()],
    );
    assert_eq!(terminal("23.09.10/25-stream-pty-ws", V7), lost);
    for name in [
        "26.9.6/172-client-stream-pty-terminal",
        "26.9.6/173-stream-pty-terminal",
    ] {
        // Spoken to as v7, it is not taken for the release that loses input.
        for version in [V7, V9] {
            let (shown, others) = terminal(name, version);
            assert_eq!(shown, "work$ echo $((6*7))\r\n42\r\nwork$ ", "{name}");
            assert!(
                others.iter().all(|event| *event == closed),
                "{name}: {others:?}"
            );
        }
    }
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
