//! Events of sessions, in Backend.AI: a stream of Server-Sent Events.
//!
//! The input is the body of the response. What holds:
//!
//! - However the bytes are cut, the same events come.
//! - They are those that another reader finds, which takes the whole text by the letter of the standard.
//! - Nothing of an event is lost: its data is in its fields, or kept as it came.
//! - Those of one session are some of all, in the same order.

#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};
use sorna_core::KernelId;
use sorna_core::events::{EventStream, SessionEvent};

fuzz_target!(|data: &[u8]| {
    let (whole, retry) = read(EventStream::new(), [data]);
    let (bytewise, _) = read(EventStream::new(), data.chunks(1));
    assert_eq!(bytewise, whole);
    let third = data.len() / 3;
    let (first, rest) = data.split_at(third);
    let (cut, _) = read(EventStream::new(), [first, &rest[..third], &rest[third..]]);
    assert_eq!(cut, whole);

    let (expected, expected_retry) = by_the_standard(data);
    assert_eq!(retry, expected_retry);
    assert_eq!(whole.len(), expected.len());
    for (event, (name, data)) in whole.iter().zip(&expected) {
        assert_eq!(&event.name, name);
        check(event, data);
    }

    let Some(id) = whole.iter().find_map(|event| event.session_id.clone()) else {
        return;
    };
    let Ok(wanted) = KernelId::new(id.clone()) else {
        return;
    };
    let (some, _) = read(EventStream::new().with_session_id(wanted), [data]);
    let is_other = |other: &String| !other.eq_ignore_ascii_case(&id);
    let mut all = whole;
    all.retain(|event| !event.session_id.as_ref().is_some_and(is_other));
    assert_eq!(some, all);
});

fn read<'b>(
    mut stream: EventStream,
    pieces: impl IntoIterator<Item = &'b [u8]>,
) -> (Vec<SessionEvent>, Option<Duration>) {
    let mut events = Vec::new();
    for piece in pieces {
        stream.handle_bytes(piece).expect("inputs are short");
        events.extend(std::iter::from_fn(|| stream.poll_event()));
    }
    (events, stream.retry_after())
}

/// The names and data of the events, and the last `retry` in ms.
fn by_the_standard(data: &[u8]) -> (Vec<(String, String)>, Option<Duration>) {
    let text = String::from_utf8_lossy(data);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut lines: Vec<&str> = text.split('\n').collect();
    // What follows the last end of a line is no line.
    lines.pop();
    let mut events = Vec::new();
    let mut retry = None;
    let mut name = "";
    let mut data: Vec<&str> = Vec::new();
    for line in lines {
        if line.is_empty() {
            let name = std::mem::take(&mut name);
            let data = std::mem::take(&mut data);
            if !data.is_empty() {
                let name = if name.is_empty() { "message" } else { name };
                events.push((name.to_owned(), data.join("\n")));
            }
            continue;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => name = value,
            "data" => data.push(value),
            "retry" if value.chars().all(|c| c.is_ascii_digit()) => {
                retry = value.parse().ok().map(Duration::from_millis).or(retry);
            }
            _ => {}
        }
    }
    (events, retry)
}

/// The event has all of its data.
fn check(event: &SessionEvent, data: &str) {
    let Ok(fields) = serde_json::from_str::<Map<String, Value>>(data) else {
        assert_eq!(event.raw.as_deref(), Some(data));
        return;
    };
    assert_eq!(event.raw, None);
    let texts = [
        ("sessionId", &event.session_id),
        ("sessionName", &event.session_name),
        ("kernelId", &event.kernel_id),
        ("clusterRole", &event.cluster_role),
    ];
    for (name, value) in fields {
        let kept = match texts.iter().find(|(known, _)| *known == name) {
            Some((_, Some(text))) => Some(Value::from(text.as_str())),
            _ => match name.as_str() {
                "reason" if value.is_string() => Some(event.reason.as_str().into()),
                "exitCode" => event.exit_code.map(Value::from),
                "clusterIdx" => event.cluster_index.map(Value::from),
                _ => None,
            },
        };
        let kept = kept.or_else(|| event.extra.get(&name).cloned());
        assert_eq!(kept.unwrap_or_default(), value, "{name}");
    }
}
