//! Text from gateways, for people: what could do anything to a terminal, or pass for a line of this program, is
//! replaced.

use std::fmt::{self, Display, Write};

/// Text for a part of a line, such as a cell of a table: none of it can act on a terminal, or begin a line.
pub(crate) fn safe(text: &str) -> String {
    text.chars()
        .map(|character| match acts(character) {
            true => char::REPLACEMENT_CHARACTER,
            false => character,
        })
        .collect()
}

/// A text of one or more lines. What acts on a terminal is escaped, and all lines but the first are indented, so that none
/// passes for a line of this program.
pub(crate) fn lines(text: impl Display) -> String {
    let mut lines = Lines(String::new());
    // Writing to a string does not fail.
    let _ = write!(lines, "{text}");
    lines.0
}

struct Lines(String);

impl Write for Lines {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            match character {
                '\n' => self.0.push_str("\n  "),
                '\t' => self.0.push('\t'),
                _ if acts(character) => self.0.extend(character.escape_default()),
                _ => self.0.push(character),
            }
        }
        Ok(())
    }
}

/// Control characters, those that separate lines, and those that change the direction of the text that follows.
fn acts(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{2028}' | '\u{2029}')
        || matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}')
        || matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_on_a_terminal_is_replaced() {
        assert_eq!(
            safe("a\x1b[31m\r\n\t\u{9b}é"),
            "a\u{fffd}[31m\u{fffd}\u{fffd}\u{fffd}\u{fffd}é"
        );
        assert_eq!(
            safe("\u{202e}fdp\u{2069}\u{2028}"),
            "\u{fffd}fdp\u{fffd}\u{fffd}"
        );
        assert_eq!(
            lines("a\x1b[31mb\r\n✔ c\u{9b}é\t\u{202e}"),
            "a\\u{1b}[31mb\\r\n  ✔ c\\u{9b}é\t\\u{202e}"
        );
    }
}
