//! Input for programs that ask for it: a line, typed on the terminal in its usual mode.

use std::io;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use zeroize::Zeroizing;

use crate::streams::{self, Stream};
use crate::tty;

/// How often it is looked whether the program was stopped.
const LOOK: Duration = Duration::from_millis(100);

/// How long a program is left alone that may go on without input.
const MOMENT: Duration = Duration::from_secs(1);

/// What there is for a program that asks.
#[derive(Debug)]
pub(super) enum Answer {
    /// A line without its end.
    Line(Zeroizing<Vec<u8>>),
    /// Ctrl-D, or there is no terminal any more.
    End,
    /// Nothing yet: the program may have gone on without it.
    NotYet,
    /// It was stopped meanwhile.
    Stopped,
}

/// What is typed for programs.
#[derive(Debug, Default)]
pub(super) struct Keyboard {
    /// While that is not to be shown.
    hidden: Option<tty::Changed>,
}

impl Keyboard {
    /// Waits for a line.
    pub(super) fn ask(
        &mut self,
        is_hidden: bool,
        may_go_on: bool,
        is_stopped: impl Fn() -> bool,
    ) -> io::Result<Answer> {
        match is_hidden {
            true if self.hidden.is_none() => self.hidden = Some(tty::Changed::hidden()?),
            true => {}
            false => self.hidden = None,
        }
        let begin = Instant::now();
        while !is_readable()? {
            if is_stopped() {
                self.hidden = None;
                return Ok(Answer::Stopped);
            }
            if may_go_on && begin.elapsed() > MOMENT {
                return Ok(Answer::NotYet);
            }
        }
        let line = read_line();
        if self.hidden.take().is_some() {
            // The line end that was typed was not echoed either.
            let _ = streams::write(Stream::Stderr, b"\n");
        }
        Ok(line?.map_or(Answer::End, Answer::Line))
    }

    /// The program has gone on without what is being typed.
    pub(super) fn is_withdrawn(&mut self) {
        self.hidden = None;
    }
}

/// Whether a whole line was typed, or the end.
fn is_readable() -> io::Result<bool> {
    let stdin = io::stdin();
    let mut polled = [PollFd::new(&stdin, PollFlags::IN)];
    let look = Timespec {
        tv_sec: 0,
        tv_nsec: i64::from(LOOK.subsec_nanos()),
    };
    match poll(&mut polled, Some(&look)) {
        Ok(ready) => Ok(ready > 0),
        Err(Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Reads a line that was typed, and nothing after it. No buffer keeps a copy.
fn read_line() -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    let mut line = Zeroizing::new(Vec::with_capacity(4096));
    let mut byte = Zeroizing::new([0]);
    loop {
        match rustix::io::read(io::stdin(), &mut byte[..]) {
            Ok(0) | Err(Errno::IO) => return Ok((!line.is_empty()).then_some(line)),
            Ok(_) if byte[0] == b'\n' => return Ok(Some(line)),
            Ok(_) => line.push(byte[0]),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
