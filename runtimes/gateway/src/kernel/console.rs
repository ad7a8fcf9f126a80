//! Adding output to the console, in the program's order.

use sorna_core::Console;

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

/// Adds a record that a runner sent as JSON, `["html", "…"]`.
pub(crate) fn push_record(console: &mut Console, record: &[u8]) -> serde_json::Result<()> {
    let list = [b"[", record, b"]"].concat();
    let records: Console = sorna_core::server::read_json(&list)?;
    for record in &records {
        console.push(&record);
    }
    Ok(())
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
        push_record(&mut console, br#"["html", "<b>"]"#).unwrap();
        push_text(&mut console, Stream::Stderr, "e");
        let expected = json!([
            ["stdout", "abc"],
            ["stderr", "d"],
            ["html", "<b>"],
            ["stderr", "e"]
        ]);
        assert_eq!(serde_json::to_value(&console).unwrap(), expected);
        assert!(push_record(&mut console, b"\"x\", [").is_err());
        push_record(&mut console, br#"["html", "a\ud800"]"#).unwrap();
        let last = console.iter().last().unwrap();
        assert_eq!(
            serde_json::to_value(last).unwrap(),
            json!(["html", "a\u{fffd}"])
        );
    }
}
