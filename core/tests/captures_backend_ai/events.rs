//! What comes while it happens: events of sessions, and terminals.

use std::time::{Duration, UNIX_EPOCH};

use sorna_core::events::{EventStream, SessionEvent, SubscribeEvents};
use sorna_core::signing::{SigningKey, StringToSign, body_hash};
use sorna_core::terminal::{Frame, Outgoing, Terminal, TerminalEvent, TerminalOptions};
use sorna_core::{HashAlgorithm, Instant, Moment, Operation, ProblemKind};

use crate::support::{ApiVersion, V7, V9, frames, id, message, response};

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
