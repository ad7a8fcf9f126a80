//! What happens around the program, told on the standard error.

use std::fmt::Display;
use std::io::{IsTerminal, Write};

use anstyle::{AnsiColor, Style};

/// Status lines, in the original client's signs. They go to the standard error; where that is no
/// terminal there are no colours, and the waiting lines, which the next line takes away, are left
/// out.
#[derive(Debug)]
pub(crate) struct Status {
    quiet: bool,
    terminal: bool,
    waiting: bool,
}

impl Status {
    /// Quiet: failures only.
    pub(crate) fn new(quiet: bool) -> Self {
        Self {
            quiet,
            terminal: std::io::stderr().is_terminal(),
            waiting: false,
        }
    }

    /// A fact.
    pub(crate) fn info(&mut self, text: impl Display) {
        if !self.quiet {
            self.line('∙', AnsiColor::BrightCyan, &text);
        }
    }

    /// Something succeeded.
    pub(crate) fn done(&mut self, text: impl Display) {
        if !self.quiet {
            self.line('✔', AnsiColor::BrightGreen, &text);
        }
    }

    /// Something failed. Shown even when quiet.
    pub(crate) fn fail(&mut self, text: impl Display) {
        self.line('✘', AnsiColor::BrightRed, &text);
    }

    /// What to do about a failure. Shown even when quiet.
    pub(crate) fn advice(&mut self, text: impl Display) {
        self.line('∙', AnsiColor::BrightCyan, &text);
    }

    /// Something is under way. Shown until the next line.
    pub(crate) fn wait(&mut self, text: impl Display) {
        if self.quiet || !self.terminal {
            return;
        }
        self.clear();
        let style = colour(AnsiColor::BrightYellow);
        // The terminal may be gone; what was to be told then interests nobody.
        let mut stderr = anstream::stderr();
        let _ = write!(stderr, "{style}⋯ {text}{style:#}");
        let _ = stderr.flush();
        self.waiting = true;
    }

    /// Takes the waiting line away, before something else is written.
    pub(crate) fn clear(&mut self) {
        if self.waiting {
            let _ = write!(std::io::stderr(), "\r\x1b[2K");
            self.waiting = false;
        }
    }

    fn line(&mut self, sign: char, of: AnsiColor, text: &dyn Display) {
        self.clear();
        let style = colour(of);
        let _ = writeln!(anstream::stderr(), "{style}{sign} {text}{style:#}");
    }
}

fn colour(of: AnsiColor) -> Style {
    Style::new().fg_color(Some(of.into()))
}
