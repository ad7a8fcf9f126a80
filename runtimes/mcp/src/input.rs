//! The input of a program, given as a whole before it runs.

/// The line that ends a program's input: Ctrl-D. After other text, it takes the place of a line end.
const END: &str = "\u{4}";
/// How many times a program may be told that its input has ended. Some ask once more, and some never stop.
const MOST_ENDS: u32 = 8;
/// How much is given at a time: the rest of a request is far smaller than what is left of 1 MiB, also when this is escaped.
const PIECE: usize = 128 * 1024;

/// What is left of it.
#[derive(Debug)]
pub(crate) struct Input {
    rest: String,
    ends: u32,
}

impl Input {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self {
            rest: text.into(),
            ends: 0,
        }
    }

    /// The answer for a program that asks; `None` if there is none, and it cannot be told so, or was told often enough.
    pub(crate) fn answer(&mut self, takes_lines: bool, takes_end: bool) -> Option<String> {
        if self.rest.is_empty() {
            self.ends += 1;
            return (takes_end && self.ends <= MOST_ENDS).then(|| END.to_owned());
        }
        if !takes_lines {
            let (line, length) = match self.rest.find('\n') {
                Some(end) => (&self.rest[..end], end + 1),
                None => (&*self.rest, self.rest.len()),
            };
            let line = line.strip_suffix('\r').unwrap_or(line).to_owned();
            self.rest.drain(..length);
            return Some(line);
        }
        let mut end = PIECE.min(self.rest.len());
        while !self.rest.is_char_boundary(end) {
            end -= 1;
        }
        let mut piece: String = self.rest.drain(..end).collect();
        // Otherwise the gateway adds a line end.
        if !piece.ends_with('\n') {
            piece.push_str(END);
        }
        Some(piece)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_given_one_by_one_or_at_once() {
        let mut input = Input::new("a\r\nb");
        assert_eq!(input.answer(false, true).as_deref(), Some("a"));
        assert_eq!(input.answer(true, true).as_deref(), Some("b\u{4}"));
        assert_eq!(input.answer(true, true).as_deref(), Some("\u{4}"));
        let mut input = Input::new("é\n".repeat(PIECE));
        let piece = input.answer(true, true).expect("a piece");
        assert!(piece.len() <= PIECE + 1 && input.rest.len() + piece.len() >= 3 * PIECE);
    }

    #[test]
    fn the_end_is_not_told_forever() {
        let mut input = Input::new("");
        assert_eq!(input.answer(false, false), None);
        let told = std::iter::from_fn(|| input.answer(true, true)).count();
        assert_eq!(told, 7);
    }
}
