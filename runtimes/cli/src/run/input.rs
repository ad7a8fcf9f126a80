//! Input for programs that ask for it.

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::os::fd::AsFd;
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread;

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

    /// The input for a program that asks: a line without its end, or as many lines as there are with their ends, if it
    /// `takes_lines`, or the mark that the input has ended. `None` if the program was sent that mark often enough, or a
    /// signal arrived.
    pub(super) fn answer(&mut self, hidden: bool, takes_lines: bool) -> io::Result<Option<String>> {
        // What follows a password may be for another program. What is typed comes line by line.
        let takes_lines = takes_lines && !hidden && !io::stdin().is_terminal();
        let line = self.line(hidden, takes_lines)?;
        Ok(match line {
            None if self.stopped || self.ends == most_ends() => None,
            None => {
                self.ends += 1;
                Some(END.to_owned())
            }
            line => {
                self.ends = 0;
                line
            }
        })
    }

    /// Reads a line, or lines. `None` at the end of the input, or when a signal arrived.
    fn line(&mut self, hidden: bool, takes_lines: bool) -> io::Result<Option<String>> {
        if self.stopped {
            return Ok(None);
        }
        let changed = hidden.then(tty::Changed::hidden).transpose()?;
        let wake = self.wake.clone();
        let source = Arc::clone(&self.source);
        thread::spawn(move || {
            let _ = wake.send(Wake::Line(read(&mut lock(&source), takes_lines)));
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
