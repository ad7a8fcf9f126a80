//! What the programs of a session have written.

/// The most text that is kept, in bytes.
const LIMIT: usize = 64 * 1024;

/// How a mark begins; 16 digits, a word and perhaps an exit code follow.
const MARK: &str = "\u{1e}sorna-";
const LONGEST_MARK: usize = 40;

/// The last output.
#[derive(Debug, Default)]
pub(super) struct Log(String);

impl Log {
    pub(super) fn push(&mut self, text: &str) {
        self.0.push_str(text);
        let surplus = self.0.len().saturating_sub(LIMIT);
        if surplus > 0 {
            // Up to the next whole line, if there is one.
            let at = (surplus..=self.0.len()).find(|at| self.0.is_char_boundary(*at));
            let at = at.unwrap_or(self.0.len());
            let line = self.0[at..].find('\n').map_or(at, |end| at + end + 1);
            self.0.drain(..line);
        }
    }

    /// What is not text, as text with U+FFFD. Nothing is done with what would not be kept.
    pub(super) fn push_bytes(&mut self, bytes: &[u8]) {
        let last = &bytes[bytes.len().saturating_sub(LIMIT)..];
        self.push(&String::from_utf8_lossy(last));
    }

    /// The output, without the marks of [`Batch`](sorna_core::Batch)es: clients of this project tell the end of a build
    /// by them, and nothing else has the character that they begin with before `sorna-`.
    pub(super) fn text(&self) -> String {
        let mut text = String::with_capacity(self.0.len());
        let mut rest = self.0.as_str();
        while let Some(at) = rest.find(MARK) {
            text.push_str(&rest[..at]);
            rest = &rest[at..];
            let line = rest.find('\n').map_or(rest.len(), |end| end + 1);
            // A mark is short, and one that is not is not ours.
            let end = if line <= LONGEST_MARK {
                line
            } else {
                MARK.len()
            };
            if end == MARK.len() {
                text.push_str(MARK);
            }
            rest = &rest[end..];
        }
        text.push_str(rest);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_of_batches_are_not_shown() {
        let mut log = Log::default();
        let nonce = "0123456789abcdef";
        log.push(&format!("built\n\u{1e}sorna-{nonce} bui"));
        log.push("lt 0\nran\n");
        log.push(&format!("\u{1e}sorna-{nonce} native\nend"));
        assert_eq!(log.text(), "built\nran\nend");
        let mut log = Log::default();
        let other = format!("\u{1e}sorna-{}\n", "x".repeat(50));
        log.push(&other);
        assert_eq!(log.text(), other);
    }

    #[test]
    fn only_the_last_lines_are_kept() {
        let mut log = Log::default();
        log.push("first\nsecond\n");
        assert_eq!(log.text(), "first\nsecond\n");
        log.push(&"é".repeat(LIMIT / 2 - 4));
        assert!(log.text().starts_with("second\né"), "{}", log.text().len());
        log.push(&"é".repeat(LIMIT));
        assert!(log.text().len() <= LIMIT);
        log.push_bytes(&[0xff; 3 * LIMIT]);
        assert_eq!(log.text(), "\u{fffd}".repeat(LIMIT / 3));
        log.push_bytes(b"\n\xe9t\xe9\n");
        assert_eq!(log.text(), "\u{fffd}t\u{fffd}\n");
    }
}
