//! What happens around the program, told on the standard error.

use std::fmt::{self, Display, Write as _};
use std::io::{self, Write as _};

use anstyle::AnsiColor;
use sorna::core::Error;

use crate::json::{self, Event};
use crate::progress::{self, Progress};
use crate::style;

/// Status lines, in the original client's signs. They go to the standard error; the waiting lines,
/// which the next line takes away, only where that is a terminal.
#[derive(Debug)]
pub(crate) struct Reporter {
    quiet: bool,
    /// Whether there are waiting lines.
    moves: bool,
    /// Whether the program's output stands before our lines with a line that has not ended.
    unfinished: bool,
    /// What the gateway answered, for the next failure.
    refusal: Option<(u16, Option<String>)>,
}

impl Reporter {
    /// Quiet: failures only.
    pub(crate) fn new(quiet: bool) -> Self {
        Self {
            quiet,
            moves: !quiet && style::may_move(),
            unfinished: false,
            refusal: None,
        }
    }

    /// Whether there are waiting lines.
    pub(crate) fn moves(&self) -> bool {
        self.moves
    }

    /// A fact.
    pub(crate) fn info(&mut self, text: impl Display) {
        if !self.quiet {
            self.line(style::signs().info, AnsiColor::BrightCyan, &text);
        }
    }

    /// Something succeeded.
    pub(crate) fn done(&mut self, text: impl Display) {
        if !self.quiet {
            self.line(style::signs().done, AnsiColor::BrightGreen, &text);
        }
    }

    /// Something failed. Shown even when quiet.
    pub(crate) fn fail(&mut self, text: impl Display) {
        let refusal = self.refusal.take();
        let (status, problem) = refusal.unzip();
        // Whether anybody reads the lines is found out by those who write the program's output.
        let _ = json::emit(&Event::Failed {
            message: &text.to_string(),
            status,
            problem: problem.flatten().as_deref(),
        });
        self.line(style::signs().fail, AnsiColor::BrightRed, &text);
    }

    /// What to do about a failure, or something that must not be missed. Shown even when quiet.
    pub(crate) fn advice(&mut self, text: impl Display) {
        let _ = json::emit(&Event::Advice {
            message: &text.to_string(),
        });
        self.line(style::signs().info, AnsiColor::BrightCyan, &text);
    }

    /// Something is under way. Shown until the next line.
    pub(crate) fn wait(&mut self, text: impl Display) {
        if self.moves {
            self.end_line();
            progress::show(text.to_string(), None);
        }
    }

    /// Something is under way and has come so far. Shown until the next line.
    pub(crate) fn progress(&mut self, text: impl Display, progress: Progress) {
        if self.moves {
            self.end_line();
            progress::show(text.to_string(), Some(progress));
        }
    }

    /// Takes the waiting line away, before something else is written.
    pub(crate) fn clear(&mut self) {
        if self.moves {
            progress::erase();
        }
    }

    /// The program has put this where our lines go.
    pub(crate) fn note_output(&mut self, text: &str) {
        if let Some(last) = text.as_bytes().last() {
            self.unfinished = *last != b'\n';
        }
    }

    /// The next failure is about this refusal, if it is one.
    pub(crate) fn note_error(&mut self, error: &Error) {
        self.refusal = error.gateway().map(|refusal| {
            (
                refusal.status().as_u16(),
                refusal.kind_name().map(str::to_owned),
            )
        });
    }

    /// Begins a new line, where the program has left one unfinished.
    pub(crate) fn end_line(&mut self) {
        if std::mem::take(&mut self.unfinished) {
            let _ = io::stderr().write_all(b"\n");
        }
    }

    /// Writes a line that stays, in one write.
    fn line(&mut self, sign: char, color: AnsiColor, text: &dyn Display) {
        progress::erase();
        self.end_line();
        let style = style::color(color);
        let mut line = format!("{style}{sign} ");
        let _ = write!(Harmless(&mut line), "{text}");
        let _ = writeln!(line, "{style:#}");
        // The terminal may be gone; what was to be told then interests nobody.
        let _ = io::stderr().write_all(line.as_bytes());
    }
}

/// Text that may hold words of a gateway: control characters, which could do anything to a terminal,
/// are written out.
struct Harmless<'l>(&'l mut String);

impl fmt::Write for Harmless<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            if character.is_control() && !matches!(character, '\n' | '\t') {
                self.0.extend(character.escape_default());
            } else {
                self.0.push(character);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_written_out() {
        let mut line = String::new();
        write!(Harmless(&mut line), "a\x1b[31mb\r\nc\u{9b}é\t").unwrap();
        assert_eq!(line, "a\\u{1b}[31mb\\r\nc\\u{9b}é\t");
    }
}
