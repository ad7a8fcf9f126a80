//! Responses that do not follow the protocol.

use std::error::Error as StdError;
use std::fmt;

use bytes::Bytes;
use http::StatusCode;

/// A successful response whose content could not be understood. The response is kept whole.
#[derive(Debug)]
pub struct ParseError {
    expected: &'static str,
    status: StatusCode,
    body: Bytes,
    source: Option<serde_json::Error>,
}

impl ParseError {
    pub(crate) fn new(
        expected: &'static str,
        status: StatusCode,
        body: &Bytes,
        source: Option<serde_json::Error>,
    ) -> Self {
        Self {
            expected,
            status,
            body: body.clone(),
            source,
        }
    }

    /// The response's status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The response's body as received.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the gateway's response (status {}) is not {}: {}",
            self.status.as_u16(),
            self.expected,
            excerpt(&self.body)
        )
    }
}

impl StdError for ParseError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source
            .as_ref()
            .map(|source| source as &(dyn StdError + 'static))
    }
}

/// The first 200 characters of a body on one line, for messages.
pub(super) fn excerpt(body: &[u8]) -> String {
    line(body, 200)
}

/// The first characters of a text on one line, with control characters replaced.
pub(crate) fn line(text: &[u8], most: usize) -> String {
    let text = String::from_utf8_lossy(&text[..text.len().min(most.saturating_mul(4))]);
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(most) {
        Some((end, _)) => line[..end].chars().map(visible).collect::<String>() + "…",
        None if line.is_empty() => "(empty)".to_owned(),
        None => line.chars().map(visible).collect(),
    }
}

/// Replaces characters that a terminal would act on: text from a server must not send it escape
/// sequences, nor reverse the line around it (the bidirectional controls of Unicode Standard Annex
/// 9).
fn visible(c: char) -> char {
    match c {
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            '\u{fffd}'
        }
        c if c.is_control() => '\u{fffd}',
        c => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excerpts_are_short_single_lines_without_control_characters() {
        assert_eq!(excerpt(b""), "(empty)");
        assert_eq!(excerpt(b"<html>\n  <b>502</b>"), "<html> <b>502</b>");
        assert_eq!(excerpt(b" \n\t"), "(empty)");
        assert_eq!(excerpt(b"\x1b[31mred"), "\u{fffd}[31mred");
        assert_eq!(excerpt("a\u{202e}b".as_bytes()), "a\u{fffd}b");
        assert_eq!(excerpt("é".repeat(1000).as_bytes()).chars().count(), 201);
    }
}
