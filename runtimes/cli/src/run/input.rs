//! Input for programs that ask for it.

use std::io::{self, IsTerminal, Write};
use std::sync::mpsc::{Receiver, Sender};
use std::thread;

use crate::tty;

/// What the command can wait for besides the gateway.
#[derive(Debug)]
pub(super) enum Wake {
    /// A line from standard input; `None` at its end.
    Line(io::Result<Option<String>>),
    /// A signal arrived, and the run is cancelled.
    Stopped,
}

/// The line that ends a program's input: Ctrl-D.
const END: &str = "\u{4}";

/// Standard input. Lines are read on another thread, so that a signal can end the wait.
#[derive(Debug)]
pub(super) struct Input {
    wake: Sender<Wake>,
    woken: Receiver<Wake>,
    stopped: bool,
    /// The last input that the program received was the end of its input.
    ended: bool,
    /// The last line was typed on the terminal that shows the output, and so has ended a line there.
    typed: bool,
}

impl Input {
    pub(super) fn new(wake: Sender<Wake>, woken: Receiver<Wake>) -> Self {
        Self {
            wake,
            woken,
            stopped: false,
            ended: false,
            typed: false,
        }
    }

    /// Another program is started.
    pub(super) fn restart(&mut self) {
        self.ended = false;
    }

    /// Whether the last line was typed, and so has ended the line of the program's prompt.
    pub(super) fn was_typed(&self) -> bool {
        self.typed
    }

    /// The input for a program that asks: a line without its end, or the mark that the input has ended.
    /// `None` if the program was sent that mark already, or a signal arrived.
    pub(super) fn answer(&mut self, hidden: bool) -> io::Result<Option<String>> {
        let line = self.line(hidden)?;
        let knows = std::mem::replace(&mut self.ended, line.is_none());
        Ok(match line {
            None if knows || self.stopped => None,
            line => Some(line.unwrap_or_else(|| END.to_owned())),
        })
    }

    /// Reads a line, without its end. `None` at the end of the input, or when a signal arrived.
    fn line(&mut self, hidden: bool) -> io::Result<Option<String>> {
        if self.stopped {
            return Ok(None);
        }
        let changed = hidden.then(tty::Changed::hidden).transpose()?;
        let wake = self.wake.clone();
        thread::spawn(move || {
            let _ = wake.send(Wake::Line(read_line()));
        });
        let woken = self.woken.recv();
        let is_terminal = io::stdin().is_terminal() && io::stderr().is_terminal();
        let is_line = matches!(woken, Ok(Wake::Line(Ok(Some(_)))));
        self.typed = is_terminal && (is_line || changed.is_some());
        if self.typed && changed.is_some() {
            // The line end that was typed was not echoed either.
            let _ = writeln!(io::stderr());
        }
        match woken {
            Ok(Wake::Line(line)) => line,
            Ok(Wake::Stopped) | Err(_) => {
                self.stopped = true;
                Ok(None)
            }
        }
    }
}

fn read_line() -> io::Result<Option<String>> {
    let mut bytes = Vec::new();
    io::BufRead::read_until(&mut io::stdin().lock(), b'\n', &mut bytes)?;
    if bytes.is_empty() {
        return Ok(None);
    }
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
    }
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}
