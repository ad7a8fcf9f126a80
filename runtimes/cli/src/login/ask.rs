//! Asks for names and passwords.

use std::io::{self, IsTerminal, Write};

use rustix::io::Errno;
use zeroize::Zeroizing;

use crate::failure::Failure;
use crate::tty;

/// The most bytes of a line.
const LIMIT: usize = 4096;

/// Whether what is typed is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Echo {
    Shown,
    Hidden,
}

/// Where names and passwords come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// The user, who is asked.
    Terminal,
    /// The lines of standard input.
    Lines,
}

impl Source {
    /// Lines of standard input if that was asked for, else the user's terminal.
    pub(super) fn choose(lines: bool) -> Result<Self, Failure> {
        if io::stdin().is_terminal() {
            Ok(Self::Terminal)
        } else if lines {
            Ok(Self::Lines)
        } else {
            Err(Failure::usage(
                "the password cannot be asked for: standard input is no terminal".to_owned(),
            )
            .with_advice("To pass it by a pipe, use --user NAME --password-stdin."))
        }
    }

    /// A line that must be there.
    pub(super) fn required(self, what: &str, echo: Echo) -> Result<Zeroizing<String>, Failure> {
        let line = self.line(what, echo)?.filter(|line| !line.is_empty());
        line.ok_or_else(|| {
            let what = what.to_lowercase();
            Failure::usage(format!("the {what} is empty"))
        })
    }

    /// The next line; `None` at the end.
    pub(super) fn line(self, what: &str, echo: Echo) -> Result<Option<Zeroizing<String>>, Failure> {
        let failed = |error| Failure::System("cannot read from standard input", error);
        if self == Self::Lines {
            return read_line().map_err(failed);
        }
        let mut stderr = io::stderr();
        let hidden = match echo {
            Echo::Hidden => Some(tty::Changed::hidden().map_err(failed)?),
            Echo::Shown => None,
        };
        // After the echo is off: anyone who sees the question may type at once.
        let asked = write!(stderr, "{what}: ").and_then(|()| stderr.flush());
        asked.map_err(|error| Failure::System("cannot write to standard error", error))?;
        let line = read_line();
        if hidden.is_some() {
            drop(hidden);
            // The line end that was typed was not echoed either.
            let _ = writeln!(stderr);
        }
        line.map_err(failed)
    }
}

/// Reads a line, without its end, and nothing after it. No buffer keeps a copy.
fn read_line() -> io::Result<Option<Zeroizing<String>>> {
    let mut line = Zeroizing::new(Vec::with_capacity(LIMIT));
    let mut byte = Zeroizing::new([0]);
    let is_end = loop {
        match rustix::io::read(io::stdin(), &mut byte[..]) {
            Ok(0) => break line.is_empty(),
            Ok(_) if byte[0] == b'\n' => break false,
            Ok(_) if line.len() == LIMIT => {
                return Err(io::Error::other(format!(
                    "a line of more than {LIMIT} bytes"
                )));
            }
            Ok(_) => line.push(byte[0]),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    };
    if is_end {
        return Ok(None);
    }
    let text = std::str::from_utf8(&line);
    let text = text.map_err(|_| io::Error::other("what was read is not valid UTF-8"))?;
    Ok(Some(Zeroizing::new(text.trim_end_matches('\r').to_owned())))
}
