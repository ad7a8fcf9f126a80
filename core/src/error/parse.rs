//! Answers that are not the protocol.

use std::error::Error as StdError;
use std::fmt;

use bytes::Bytes;
use http::StatusCode;

/// A successful answer whose content could not be understood. The answer is kept whole.
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

    /// The answer's status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The answer's body as it came.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the gateway's answer (status {}) is not {}: {}",
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
    const MOST: usize = 200;
    let text = String::from_utf8_lossy(&body[..body.len().min(4 * MOST)]);
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    // Whatever the server sent must not reach a terminal as escape sequences.
    let clean = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    match line.char_indices().nth(MOST) {
        Some((end, _)) => line[..end].chars().map(clean).collect::<String>() + "…",
        None if body.is_empty() => "(empty)".to_owned(),
        None => line.chars().map(clean).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excerpts_are_short_single_lines_without_control_characters() {
        assert_eq!(excerpt(b""), "(empty)");
        assert_eq!(excerpt(b"<html>\n  <b>502</b>"), "<html> <b>502</b>");
        assert_eq!(excerpt(b"\x1b[31mred"), "\u{fffd}[31mred");
        assert_eq!(excerpt("é".repeat(1000).as_bytes()).chars().count(), 201);
    }
}
