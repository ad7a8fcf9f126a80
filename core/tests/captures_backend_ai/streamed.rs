//! Executions over a WebSocket, through the machine.

use std::time::{Duration, UNIX_EPOCH};

use sorna_core::machine::{
    Execution, ExecutionEvent, Machine, Negotiated, Step, Streaming, Transmit,
};
use sorna_core::{
    AbortReason, Caller, Error, ExecuteMode, ExecutionResult, Frame, Instant, Moment,
};

use super::support::{ApiVersion, V7, V9, frames, id, message, signer};

/// What an execution sent and reported.
struct Replay {
    target: String,
    sent: Vec<String>,
    shown: String,
    asked: Vec<bool>,
    end: Result<ExecutionResult, Error>,
}

/// Gives the recorded messages of the manager to an execution, and answers with `input`.
fn replay(name: &str, version: ApiVersion, mode: ExecuteMode, input: &str) -> Replay {
    let request = message(&format!("{name}.request"));
    let host = request.header("host").expect("a host").to_owned();
    let session = request.line().split('/').nth(3).expect("a session");
    let caller = Caller::new(signer(version, &host));
    let streaming = Streaming::of(&Negotiated::fixed(version));
    let mut execution = Execution::new(id(session), mode, caller).with_streaming(streaming);
    let now = Moment::new(
        UNIX_EPOCH + Duration::from_secs(1_795_486_930),
        Instant::default(),
        7,
    );
    let mut received = frames(name).into_iter();
    let (mut sent, mut shown, mut asked) = (Vec::new(), String::new(), Vec::new());
    let mut target = String::new();
    loop {
        match execution.poll(now) {
            Step::Open(Transmit { request, .. }) => {
                target = request.uri().path().to_owned();
                execution.handle_open(now);
            }
            Step::SendFrame(Frame::Text(text)) => sent.push(text),
            Step::Wait(_) => match received.next().expect("the end comes first") {
                (1, body) => {
                    let text = String::from_utf8(body.to_vec()).expect("text");
                    execution.handle_frame(now, Frame::Text(text));
                }
                (kind, _) => panic!("a frame of kind {kind}"),
            },
            Step::Event(ExecutionEvent::Console(console)) => shown += &console.stdout(),
            Step::Event(ExecutionEvent::InputRequested { is_password, .. }) => {
                asked.push(is_password);
                execution.answer(input).expect("it is asked for");
            }
            Step::Close => {}
            Step::Done(end) => {
                return Replay {
                    target,
                    sent,
                    shown,
                    asked,
                    end,
                };
            }
            step => panic!("{step:?}"),
        }
    }
}

/// The messages that a client sent: masked, as clients must.
fn typed(name: &str) -> Vec<String> {
    let body = message(&format!("{name}.request")).body;
    let mut typed = Vec::new();
    let mut rest = &body[..];
    while let [kind, length, after @ ..] = rest {
        let (length, after) = match length & 127 {
            126 => (
                usize::from(u16::from_be_bytes([after[0], after[1]])),
                &after[2..],
            ),
            length => (usize::from(length), after),
        };
        let (mask, after) = after.split_at(4);
        let unmask = |(index, byte): (usize, &u8)| byte ^ mask[index % 4];
        let plain: Vec<u8> = after[..length].iter().enumerate().map(unmask).collect();
        if kind & 15 == 1 {
            typed.push(String::from_utf8(plain).expect("text"));
        }
        rest = &after[length..];
    }
    typed
}

#[test]
fn executions_of_both_releases_are_read_and_sent_as_recorded() {
    for (name, version, shown, asks) in [
        ("23.09.10/24-stream-execute-ws", V7, "? abab\n", true),
        ("26.9.6/165-client-stream-execute", V9, "? abab\n", true),
        ("26.9.6/166-stream-execute", V9, "42\n", false),
    ] {
        let recorded = typed(name);
        let first: serde_json::Value = serde_json::from_str(&recorded[0]).expect("JSON");
        let code = first["code"].as_str().expect("code");
        let input = recorded.get(1).map_or("", String::as_str);
        let replay = replay(name, version, code.into(), input);
        assert_eq!(replay.end.expect("it ended").exit_code(), Some(0), "{name}");
        assert_eq!(
            (&*replay.shown, replay.asked.len()),
            (shown, usize::from(asks))
        );
        let line = message(&format!("{name}.request")).line().to_owned();
        assert_eq!(format!("GET {}", replay.target), line);
        let sent: serde_json::Value = serde_json::from_str(&replay.sent[0]).expect("JSON");
        for field in ["mode", "code"] {
            assert_eq!(sent[field], first[field], "{name}");
        }
        assert_eq!(replay.sent[1..], recorded[1..], "{name}");
    }
}

#[test]
fn what_a_manager_says_of_its_failure_is_reported() {
    let replay = replay("26.9.6/167-stream-execute-bad-mode", V9, "1".into(), "");
    let Err(Error::Aborted(aborted)) = replay.end else {
        panic!("{:?}", replay.end);
    };
    let AbortReason::Reported(message) = &aborted.reason else {
        panic!("{aborted:?}");
    };
    assert!(message.contains("InvalidStreamMode(400)"), "{message}");
}
