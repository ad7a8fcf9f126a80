//! Text from gateways, for people: what could do anything to a terminal, or pass for a line of this program, is
//! replaced.

use std::fmt::{self, Display, Write};

use serde::Serialize;

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

/// A JSON text with escapes in place of what would act on a terminal, so that it stands for the same value. Control
/// characters of ASCII but DEL are escaped already.
pub(crate) fn json(value: &impl Serialize) -> serde_json::Result<String> {
    let text = serde_json::to_string(value)?;
    if text.bytes().all(|byte| byte.is_ascii() && byte != 0x7f) {
        return Ok(text);
    }
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match acts(character) {
            // None of them is outside of strings, or needs two units of UTF-16.
            true => escaped += &format!("\\u{:04x}", u32::from(character)),
            false => escaped.push(character),
        }
    }
    Ok(escaped)
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

    #[test]
    fn json_stands_for_the_same_value() {
        for text in [
            "é😀",
            "\u{9b}31m\u{7f}",
            "\u{202e}\u{2028}\u{61c}\"\\",
            "\x1b\n",
        ] {
            let value = serde_json::json!({ text: [text, 1] });
            let line = json(&value).unwrap();
            assert!(!line.contains(acts), "{line:?}");
            let same: serde_json::Value = serde_json::from_str(&line).unwrap();
            assert_eq!(same, value);
        }
        assert_eq!(json(&"\u{9b}é").unwrap(), r#""\u009bé""#);
    }
}
