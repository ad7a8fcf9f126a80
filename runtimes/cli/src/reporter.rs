//! Status lines on standard error.

use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use anstyle::AnsiColor;
use sorna::Error;

use crate::harmless;
use crate::json::{self, Event};
use crate::progress::{self, Progress};
use crate::streams::{self, Stream};
use crate::style;

/// Writes status lines to standard error, with the original client's signs. Progress lines, which the
/// next line replaces, are shown only on a terminal.
#[derive(Clone, Debug)]
pub(crate) struct Reporter {
    quiet: bool,
    /// Whether progress lines are shown.
    moves: bool,
    /// Whether the program's output on this terminal ended in the middle of a line. Shared by clones.
    unfinished: Arc<AtomicBool>,
    /// Status and problem type of the gateway's error response, for the next failure.
    response: Option<(u16, Option<String>)>,
}

impl Reporter {
    /// `quiet`: failures and advice only.
    pub(crate) fn new(quiet: bool) -> Self {
        Self {
            quiet,
            moves: !quiet && style::may_move(),
            unfinished: Arc::default(),
            response: None,
        }
    }

    /// Whether progress lines are shown.
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
        let (status, problem) = self.response.take().unzip();
        // A closed standard output is handled where the program's output is written.
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

    /// A fact about what is in progress, whose line is still shown after it.
    pub(crate) fn remark(&mut self, text: impl Display) {
        let progress = progress::take();
        self.info(text);
        progress::restore(progress);
    }

    /// Something is in progress. Shown until the next line.
    pub(crate) fn wait(&mut self, text: impl Display) {
        if self.moves {
            self.end_line();
            progress::show(text.to_string(), None);
        }
    }

    /// As [`wait`](Self::wait), with a clock that shows how long it takes so far.
    pub(crate) fn wait_since(&mut self, text: impl Display, waited: Duration) {
        if self.moves {
            self.end_line();
            progress::show_since(text.to_string(), waited);
        }
    }

    /// Something is in progress, with this progress. Shown until the next line.
    pub(crate) fn progress(&mut self, text: impl Display, progress: Progress) {
        if self.moves {
            self.end_line();
            progress::show(text.to_string(), Some(progress));
        }
    }

    /// Erases the progress line, before something else is written.
    pub(crate) fn clear(&mut self) {
        if self.moves {
            progress::erase();
        }
    }

    /// Notes that the program has written this where status lines go.
    pub(crate) fn note_output(&mut self, text: &str) {
        if let Some(last) = text.as_bytes().last() {
            self.unfinished.store(*last != b'\n', Relaxed);
        }
    }

    /// Notes an error response, which the next failure is about.
    pub(crate) fn note_error(&mut self, error: &Error) {
        self.response = error.gateway().map(|response| {
            (
                response.status().as_u16(),
                response.kind_name().map(str::to_owned),
            )
        });
    }

    /// Starts a new line if the program has left one unfinished.
    pub(crate) fn end_line(&mut self) {
        if self.unfinished.swap(false, Relaxed) {
            let _ = streams::write(Stream::Stderr, b"\n");
        }
    }

    /// Writes a line that stays, in one write.
    fn line(&mut self, sign: char, color: AnsiColor, text: &dyn Display) {
        progress::erase();
        self.end_line();
        let style = style::color(color);
        let line = format!("{style}{sign} {}{style:#}\n", harmless::lines(text));
        // The terminal may be gone; then there is no one to read the line.
        let _ = streams::write(Stream::Stderr, line.as_bytes());
    }
}
