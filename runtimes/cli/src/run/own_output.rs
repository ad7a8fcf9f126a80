//! A limit on what a program writes that the command keeps itself, with gateways that do not.

use sorna::{Console, Record};

/// Counts what a program writes to standard output and standard error.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct OwnOutput {
    written: u64,
    most: Option<u64>,
}

impl OwnOutput {
    pub(super) fn new(most: Option<u64>) -> Self {
        Self { written: 0, most }
    }

    /// A program starts.
    pub(super) fn restart(&mut self) {
        self.written = 0;
    }

    /// The limit, if the program has written more.
    pub(super) fn exceeded(&self) -> Option<u64> {
        self.most.filter(|most| self.written > *most)
    }

    /// Counts output, and returns what of it the program may write. No character is cut in two.
    pub(super) fn cut(&mut self, console: Console) -> Console {
        let Some(most) = self.most else {
            return console;
        };
        let mut passed = Console::new();
        for record in console.iter_exact() {
            if self.written > most {
                break;
            }
            let room = usize::try_from(most - self.written).unwrap_or(usize::MAX);
            match &record {
                Record::Stdout(text) => passed.push_stdout(self.text(text, room)),
                Record::Stderr(text) => passed.push_stderr(self.text(text, room)),
                Record::StdoutBytes(bytes) => passed.push_stdout_bytes(self.bytes(bytes, room)),
                Record::StderrBytes(bytes) => passed.push_stderr_bytes(self.bytes(bytes, room)),
                other => passed.push(other),
            }
        }
        passed
    }

    fn text<'t>(&mut self, text: &'t str, room: usize) -> &'t str {
        let room = self.bytes(text.as_bytes(), room).len();
        let end = (0..=room).rev().find(|at| text.is_char_boundary(*at));
        &text[..end.unwrap_or(0)]
    }

    fn bytes<'b>(&mut self, bytes: &'b [u8], room: usize) -> &'b [u8] {
        self.written = self.written.saturating_add(bytes.len() as u64);
        &bytes[..room.min(bytes.len())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_beyond_the_limit_is_cut() {
        let mut console = Console::new();
        console.push_stdout("abc");
        console.push_stderr("d\u{e9}f");
        console.push_stdout("g");
        let mut own = OwnOutput::new(Some(5));
        let passed = own.cut(console.clone());
        assert_eq!((&*passed.stdout(), &*passed.stderr()), ("abc", "d"));
        assert_eq!(own.exceeded(), Some(5));
        assert!(own.cut(console.clone()).is_empty());
        own.restart();
        assert_eq!(own.exceeded(), None);
        let mut exact = OwnOutput::new(Some(8));
        assert_eq!(exact.cut(console.clone()), console);
        assert_eq!(exact.exceeded(), None);
        assert_eq!(OwnOutput::default().cut(console.clone()), console);
    }
}
