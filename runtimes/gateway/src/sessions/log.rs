//! What the programs of a session have written.

/// The most text that is kept, in bytes.
const LIMIT: usize = 64 * 1024;

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

    pub(super) fn text(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_lines_are_kept() {
        let mut log = Log::default();
        log.push("first\nsecond\n");
        assert_eq!(log.text(), "first\nsecond\n");
        log.push(&"é".repeat(LIMIT / 2 - 4));
        assert!(log.text().starts_with("second\né"), "{}", log.text().len());
        log.push(&"é".repeat(LIMIT));
        assert!(log.text().len() <= LIMIT);
    }
}
