//! Input for programs that ask for it.

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::os::fd::AsFd;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::lock::lock;
use crate::tty;

/// What the command can wait for besides the gateway.
#[derive(Debug)]
pub(super) enum Wake {
    /// A line from standard input; `None` at its end.
    Line(io::Result<Option<String>>),
    /// A signal arrived, and the run is cancelled.
    Stopped,
}

/// The line that ends a program's input: Ctrl-D. After other text, it takes the place of a line end.
const END: &str = "\u{4}";

/// How many times a program may be told that its input has ended. After that, it is taken for one that never stops asking. Some
/// ask once more, such as python3 after a last line without an end.
const MOST_ENDS: u32 = 8;

/// The same for this standard input. On a terminal, each end has to be typed, and one is enough.
fn most_ends() -> u32 {
    match io::stdin().is_terminal() {
        true => 1,
        false => MOST_ENDS,
    }
}

/// About how many bytes of lines one request carries. As much fits into an empty pipe, and escaped into a request.
const MOST: usize = 60 * 1024;

/// How often it is looked at whether a program still waits that may go on without input.
const LOOK: Duration = Duration::from_secs(1);

/// What there is for a program that asks.
#[derive(Debug)]
pub(super) enum Answer {
    /// A line without its end, lines, or the mark that the input has ended.
    Given(String),
    /// Nothing yet: the program may have gone on without it.
    NotYet,
    /// The program was sent the mark of the end often enough, or a signal arrived.
    None,
}

/// Standard input. Lines are read on another thread, so that a signal can end the wait.
#[derive(Debug)]
pub(super) struct Input {
    wake: Sender<Wake>,
    woken: Receiver<Wake>,
    /// Opened when it is first read.
    source: Arc<Mutex<Option<BufReader<File>>>>,
    stopped: bool,
    /// How often the program was sent the end of its input since it was last sent a line.
    ends: u32,
    /// Whether a line is being read that no program has got yet.
    pending: bool,
    /// While that is not to be shown.
    hidden: Option<tty::Changed>,
    /// The last line was typed on the terminal that shows the output, and so has ended a line there.
    typed: bool,
}

impl Input {
    pub(super) fn new(wake: Sender<Wake>, woken: Receiver<Wake>) -> Self {
        Self {
            wake,
            woken,
            source: Arc::default(),
            stopped: false,
            ends: 0,
            pending: false,
            hidden: None,
            typed: false,
        }
    }

    /// Another program is started.
    pub(super) fn restart(&mut self) {
        self.ends = 0;
    }

    /// Whether the last line was typed, and so has ended the line of the program's prompt.
    pub(super) fn was_typed(&self) -> bool {
        self.typed
    }

    /// Whether a program has asked that has got nothing yet.
    pub(super) fn is_pending(&self) -> bool {
        self.pending
    }

    /// The program has gone on without what is being typed, which is for what reads next.
    pub(super) fn is_withdrawn(&mut self) {
        self.hidden = None;
    }

    /// The input for a program that asks: a line without its end, or as many lines as there are with their ends, if it
    /// `takes_lines`. If it `may_go_on` without input, that may take some time more.
    pub(super) fn answer(
        &mut self,
        hidden: bool,
        takes_lines: bool,
        may_go_on: bool,
    ) -> io::Result<Answer> {
        // What follows a password may be for another program. What is typed comes line by line.
        let takes_lines = takes_lines && !hidden && !io::stdin().is_terminal();
        let Some(line) = self.line(hidden, takes_lines, may_go_on)? else {
            return Ok(Answer::NotYet);
        };
        Ok(match line {
            None if self.stopped || self.ends == most_ends() => Answer::None,
            None => {
                self.ends += 1;
                Answer::Given(END.to_owned())
            }
            Some(line) => {
                self.ends = 0;
                Answer::Given(line)
            }
        })
    }

    /// Reads a line, or lines: `Some(None)` at the end of the input, or when a signal arrived. `None` if there is none within
    /// some time, and the program `may_go_on`.
    #[allow(
        clippy::option_option,
        reason = "the outer one says that there is nothing yet"
    )]
    fn line(
        &mut self,
        hidden: bool,
        takes_lines: bool,
        may_go_on: bool,
    ) -> io::Result<Option<Option<String>>> {
        if self.stopped {
            return Ok(Some(None));
        }
        match hidden {
            true if self.hidden.is_none() => self.hidden = Some(tty::Changed::hidden()?),
            true => {}
            false => self.hidden = None,
        }
        if !self.pending {
            self.pending = true;
            let wake = self.wake.clone();
            let source = Arc::clone(&self.source);
            thread::spawn(move || {
                let _ = wake.send(Wake::Line(read(&mut lock(&source), takes_lines)));
            });
        }
        let woken = match may_go_on {
            true => self.woken.recv_timeout(LOOK),
            false => self.woken.recv().map_err(RecvTimeoutError::from),
        };
        if let Err(RecvTimeoutError::Timeout) = woken {
            return Ok(None);
        }
        self.pending = false;
        let changed = self.hidden.take();
        let is_terminal = io::stdin().is_terminal() && io::stderr().is_terminal();
        let is_line = matches!(woken, Ok(Wake::Line(Ok(Some(_)))));
        self.typed = is_terminal && (is_line || changed.is_some());
        if self.typed && changed.is_some() {
            // The line end that was typed was not echoed either.
            let _ = writeln!(io::stderr());
        }
        match woken {
            Ok(Wake::Line(line)) => line.map(Some),
            Ok(Wake::Stopped) | Err(_) => {
                self.stopped = true;
                Ok(Some(None))
            }
        }
    }
}

/// Reads from standard input, which nothing else reads meanwhile.
fn read(source: &mut Option<BufReader<File>>, takes_lines: bool) -> io::Result<Option<String>> {
    let source = match source {
        Some(source) => source,
        None => {
            let file = io::stdin().as_fd().try_clone_to_owned()?.into();
            source.insert(BufReader::with_capacity(MOST, file))
        }
    };
    let bytes = match takes_lines {
        true => read_lines(source)?,
        false => read_line(source)?,
    };
    Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

/// A line without its end.
fn read_line(source: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    source.read_until(b'\n', &mut bytes)?;
    if bytes.is_empty() {
        return Ok(None);
    }
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
    }
    Ok(Some(bytes))
}

/// A line, and all whole lines after it that are there already and fit into one request. The mark of the end follows a last
/// line without an end.
fn read_lines(source: &mut BufReader<File>) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    source.read_until(b'\n', &mut bytes)?;
    if bytes.is_empty() {
        return Ok(None);
    }
    if bytes.last() != Some(&b'\n') {
        bytes.extend_from_slice(END.as_bytes());
        return Ok(Some(bytes));
    }
    while bytes.len() < MOST {
        if source.buffer().is_empty() && !is_readable(source.get_ref()) {
            break;
        }
        let there = source.fill_buf()?;
        let room = there.len().min(MOST - bytes.len());
        let Some(end) = there[..room].iter().rposition(|byte| *byte == b'\n') else {
            break;
        };
        bytes.extend_from_slice(&there[..=end]);
        source.consume(end + 1);
    }
    Ok(Some(bytes))
}

/// Whether a read would not have to wait.
fn is_readable(file: &File) -> bool {
    let mut polled = [PollFd::new(file, PollFlags::IN)];
    let at_once = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    poll(&mut polled, Some(&at_once)).is_ok_and(|ready| ready > 0)
}
