//! Adding output to the console, in the program's order.

use serde::de::Error;
use sorna_core::Console;

/// From this size on, in bytes, a record is only read when there is room for it.
pub(crate) const LARGE: usize = 64 * 1024;

/// Why output is lost that no one came for, while there was no room for it.
pub(crate) const GONE: &str = "since its client had gone, and others needed the room";

/// One of the two text streams of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    Stdout,
    Stderr,
}

/// Adds text; consecutive text of one stream is one record.
pub(crate) fn push_text(console: &mut Console, stream: Stream, text: &str) {
    if text.is_empty() {
        return;
    }
    match stream {
        Stream::Stdout => console.push_stdout(text),
        Stream::Stderr => console.push_stderr(text),
    }
}

/// Says in the place of output that so much of it was lost.
pub(crate) fn push_lost(console: &mut Console, bytes: usize, why: &str) {
    push_text(console, Stream::Stderr, &lost(bytes, why));
}

/// The message that so much output was lost.
pub(crate) fn lost(bytes: usize, why: &str) -> String {
    format!("{bytes} bytes of output were lost, {why}\n")
}

/// Adds what is not text.
pub(crate) fn push_bytes(console: &mut Console, stream: Stream, bytes: &[u8]) {
    match stream {
        _ if bytes.is_empty() => {}
        Stream::Stdout => console.push_stdout_bytes(bytes),
        Stream::Stderr => console.push_stderr_bytes(bytes),
    }
}

/// Reads a record that a runner sent as JSON, `["html", "…"]`.
pub(crate) fn read_record(mut record: Vec<u8>) -> serde_json::Result<Console> {
    if record.len() > LARGE && !is_text(&record) {
        return Err(serde_json::Error::custom("a large record that is not text"));
    }
    record.insert(0, b'[');
    record.push(b']');
    sorna_core::server::read_json(&record)
}

/// Whether JSON is hardly anything but strings: other values may take many times as much memory as their JSON.
fn is_text(json: &[u8]) -> bool {
    let (mut others, mut in_string, mut is_escaped) = (0, false, false);
    for byte in json {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_string => is_escaped = true,
            b'"' => in_string = !in_string,
            _ if !in_string => others += 1,
            _ => {}
        }
    }
    others < 1024
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use serde_json::json;

    use super::*;

    #[test]
    fn text_of_one_stream_is_joined_and_order_kept() {
        let mut console = Console::new();
        push_text(&mut console, Stream::Stdout, "a");
        push_text(&mut console, Stream::Stdout, "b");
        push_text(&mut console, Stream::Stderr, "");
        push_text(&mut console, Stream::Stdout, "c");
        push_text(&mut console, Stream::Stderr, "d");
        console.append(read_record(br#"["html", "<b>"]"#.to_vec()).unwrap());
        push_text(&mut console, Stream::Stderr, "e");
        let expected = json!([
            ["stdout", "abc"],
            ["stderr", "d"],
            ["html", "<b>"],
            ["stderr", "e"]
        ]);
        assert_eq!(serde_json::to_value(&console).unwrap(), expected);
        assert!(read_record(b"\"x\", [".to_vec()).is_err());
        console.append(read_record(br#"["html", "a\ud800"]"#.to_vec()).unwrap());
        let last = console.iter().last().unwrap();
        assert_eq!(
            serde_json::to_value(last).unwrap(),
            json!(["html", "a\u{fffd}"])
        );
    }

    #[test]
    fn large_records_are_text() {
        let text = format!(r#"["media", ["image/png", "{}"]]"#, "\\\"[,".repeat(LARGE));
        assert!(read_record(text.into_bytes()).is_ok());
        let numbers = format!(r#"["x", [0{}]]"#, ",0".repeat(LARGE));
        assert!(read_record(numbers.into_bytes()).is_err());
    }
}
