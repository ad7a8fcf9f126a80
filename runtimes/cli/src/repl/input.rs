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

/// How soon it is looked at whether a program has gone on that may do so without input, at first and as long as it prints
/// something. While nothing happens, the time grows.
const FIRST_MOMENT: Duration = Duration::from_millis(50);
/// The longest time.
const LAST_MOMENT: Duration = Duration::from_secs(1);

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

/// What is to be seen of what is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Echo {
    All,
    LineEnd,
    Nothing,
}

/// What is typed for programs.
#[derive(Debug)]
pub(super) struct Keyboard {
    /// While that is not to be shown.
    hidden: Option<tty::Changed>,
    /// When it is looked at again whether the program that asks has gone on.
    moment: Duration,
}

impl Default for Keyboard {
    fn default() -> Self {
        Self {
            hidden: None,
            moment: FIRST_MOMENT,
        }
    }
}

impl Keyboard {
    /// Waits for a line.
    pub(super) fn ask(
        &mut self,
        echo: Echo,
        may_go_on: bool,
        is_stopped: impl Fn() -> bool,
    ) -> io::Result<Answer> {
        match echo != Echo::All {
            true if self.hidden.is_none() => self.hidden = Some(tty::Changed::hidden()?),
            true => {}
            false => self.hidden = None,
        }
        let begin = Instant::now();
        while !is_readable(self.moment.min(LOOK))? {
            if is_stopped() {
                self.hidden = None;
                return Ok(Answer::Stopped);
            }
            if may_go_on && begin.elapsed() >= self.moment {
                self.moment = (self.moment * 3 / 2).min(LAST_MOMENT);
                return Ok(Answer::NotYet);
            }
        }
        self.moment = FIRST_MOMENT;
        let line = read_line();
        if self.hidden.take().is_some() && echo == Echo::LineEnd {
            // The line end that was typed was not echoed either.
            let _ = streams::write(Stream::Stderr, b"\n");
        }
        Ok(line?.map_or(Answer::End, Answer::Line))
    }

    /// The program does something: it has printed, say, or gone on without what is being typed. It may still ask.
    pub(super) fn has_news(&mut self, still_asks: bool) {
        self.moment = FIRST_MOMENT;
        if !still_asks {
            self.hidden = None;
        }
    }
}

/// Whether a whole line was typed, or the end, waiting for that for some time below a second.
pub(super) fn is_readable(time: Duration) -> io::Result<bool> {
    let stdin = io::stdin();
    let mut polled = [PollFd::new(&stdin, PollFlags::IN)];
    let look = Timespec {
        tv_sec: 0,
        tv_nsec: i64::from(time.subsec_nanos()),
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
