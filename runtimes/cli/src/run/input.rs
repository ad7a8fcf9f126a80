//! Input for programs that ask for it.

use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use super::finish::Stop;
use super::peek::first_invalid;
use super::source::{Amount, Source, read};
use crate::lock::lock;
use crate::streams::{self, Stream};
use crate::tty;

/// What the command can wait for besides the gateway.
#[derive(Debug)]
pub(super) enum Wake {
    /// Standard input, as far as it was read; `None` at its end.
    Read(io::Result<Option<Vec<u8>>>),
    /// A signal arrived, and the run is cancelled.
    Stopped,
}

/// What there is for a program that asks.
#[derive(Debug)]
pub(super) enum Answer {
    Given(Given),
    /// Nothing yet: the program may have gone on without it.
    NotYet,
    /// The input has ended, and the program cannot be told so, or was told often enough; or a signal arrived.
    None,
}

/// What a program is given.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Given {
    Text(String),
    /// For gateways that take them.
    Bytes(Vec<u8>),
}

/// How a program asks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    /// Whether what is typed must not be shown.
    pub(super) is_hidden: bool,
    /// Whether not even the end of that line is to be seen.
    pub(super) hides_line_end: bool,
    /// Whether the gateway takes many lines at once.
    pub(super) takes_lines: bool,
    /// Whether it takes what is not text.
    pub(super) takes_bytes: bool,
    /// Whether the gateway knows the mark of the end: programs of others read it as a line.
    pub(super) takes_end: bool,
    /// Whether the program may go on without input.
    pub(super) may_go_on: bool,
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

/// The most that text may be when escaped: the rest of a request, of less than 1 MiB, is far smaller than what is left.
const MOST_ESCAPED: usize = 1000 * 1000;

/// How soon it is looked at whether a program has gone on that may do so without input, at first and as long as it prints
/// something. While nothing happens, the time grows.
const FIRST_LOOK: Duration = Duration::from_millis(50);
/// The longest time.
const LAST_LOOK: Duration = Duration::from_secs(1);

/// What has come of reading.
enum Woken {
    Read(Vec<u8>),
    /// There is nothing yet, and the program may have gone on without.
    NotYet,
    /// The input has ended, or a signal arrived.
    End,
}

/// Standard input. It is read on another thread, so that a signal can end the wait.
#[derive(Debug)]
pub(super) struct Input {
    wake: Sender<Wake>,
    woken: Receiver<Wake>,
    /// Opened when it is first read.
    source: Arc<Mutex<Option<Source>>>,
    stopped: bool,
    /// How often the program was sent the end of its input since it was last sent a line.
    ends: u32,
    /// What is being read that no program has got yet.
    pending: Option<Amount>,
    /// While that is not to be shown.
    hidden: Option<tty::Changed>,
    /// The last line was typed on the terminal that shows the output, and so has ended a line there.
    typed: bool,
    /// How many bytes were read so far.
    offset: u64,
    /// When it is looked at again whether the program that asks has gone on.
    look: Duration,
}

impl Input {
    pub(super) fn new(wake: Sender<Wake>, woken: Receiver<Wake>) -> Self {
        Self {
            wake,
            woken,
            source: Arc::default(),
            stopped: false,
            ends: 0,
            pending: None,
            hidden: None,
            typed: false,
            offset: 0,
            look: FIRST_LOOK,
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
        self.pending.is_some()
    }

    /// The program does something: it has printed, say, or gone on without what is being typed, which is for what reads next
    /// then. It may still ask.
    pub(super) fn has_news(&mut self, still_asks: bool) {
        self.look = FIRST_LOOK;
        if !still_asks {
            self.hidden = None;
        }
    }

    /// For a gateway that takes only text, before anything runs: whether what is there is text, as far as that can be seen
    /// without taking it.
    pub(super) fn check_ahead(&self) -> Result<(), Stop> {
        let input = io::stdin().as_fd().try_clone_to_owned();
        let input: File = input.map_err(Stop::Input)?.into();
        match first_invalid(&input) {
            Ok(Some((byte, offset))) => Err(Stop::NotText {
                byte,
                offset,
                has_run: false,
            }),
            // What cannot be looked at may still be read.
            Ok(None) | Err(_) => Ok(()),
        }
    }

    /// The input for a program that asks: a line without its end; or as many lines as there are with their ends, or parts of
    /// them, if the gateway takes these; or the mark that the input has ended.
    pub(super) fn answer(&mut self, form: Form) -> Result<Answer, Stop> {
        // What follows a password may be for another program. What is typed comes line by line.
        let amount = match (form.is_hidden, form.takes_lines, form.takes_bytes) {
            _ if io::stdin().is_terminal() => Amount::Line,
            (false, true, true) => Amount::Pieces,
            (false, true, false) => Amount::Lines,
            (true, true, true) => Amount::Piece,
            _ => Amount::Line,
        };
        // What is being read for a program that has gone on keeps its form.
        let amount = self.pending.unwrap_or(amount);
        let read = self.read(form, amount).map_err(Stop::Input)?;
        let bytes = match read {
            Woken::Read(bytes) => bytes,
            Woken::NotYet => return Ok(Answer::NotYet),
            Woken::End if self.stopped || !form.takes_end => return Ok(Answer::None),
            Woken::End if self.ends == most_ends() => return Ok(Answer::None),
            Woken::End => {
                self.ends += 1;
                return Ok(Answer::Given(Given::Text(END.to_owned())));
            }
        };
        self.ends = 0;
        let offset = self.offset;
        self.offset += bytes.len() as u64;
        match String::from_utf8(bytes) {
            Ok(text) if form.takes_bytes && escaped_len(&text) > MOST_ESCAPED => {
                Ok(Answer::Given(Given::Bytes(text.into_bytes())))
            }
            Ok(text) => Ok(Answer::Given(as_text(text, amount))),
            Err(error) if form.takes_bytes => Ok(Answer::Given(Given::Bytes(error.into_bytes()))),
            Err(error) => {
                let at = error.utf8_error().valid_up_to();
                Err(Stop::NotText {
                    byte: error.as_bytes()[at],
                    offset: offset + at as u64,
                    has_run: true,
                })
            }
        }
    }

    /// Reads standard input.
    fn read(&mut self, form: Form, amount: Amount) -> io::Result<Woken> {
        if self.stopped {
            return Ok(Woken::End);
        }
        match form.is_hidden {
            true if self.hidden.is_none() => self.hidden = Some(tty::Changed::hidden()?),
            true => {}
            false => self.hidden = None,
        }
        if self.pending.is_none() {
            self.pending = Some(amount);
            let wake = self.wake.clone();
            let source = Arc::clone(&self.source);
            thread::spawn(move || {
                let _ = wake.send(Wake::Read(read(&mut lock(&source), amount)));
            });
        }
        let woken = match form.may_go_on {
            true => self.woken.recv_timeout(self.look),
            false => self.woken.recv().map_err(RecvTimeoutError::from),
        };
        if let Err(RecvTimeoutError::Timeout) = woken {
            self.look = (self.look * 3 / 2).min(LAST_LOOK);
            return Ok(Woken::NotYet);
        }
        self.pending = None;
        self.look = FIRST_LOOK;
        let changed = self.hidden.take();
        let is_terminal = io::stdin().is_terminal() && io::stderr().is_terminal();
        let is_line = matches!(woken, Ok(Wake::Read(Ok(Some(_)))));
        self.typed = is_terminal && (is_line || changed.is_some());
        if self.typed && changed.is_some() && !form.hides_line_end {
            // The line end that was typed was not echoed either.
            let _ = streams::write(Stream::Stderr, b"\n");
        }
        match woken {
            Ok(Wake::Read(read)) => Ok(read?.map_or(Woken::End, Woken::Read)),
            Ok(Wake::Stopped) | Err(_) => {
                self.stopped = true;
                Ok(Woken::End)
            }
        }
    }
}

/// What a program is given for this text. Where the gateway adds a line end that is missing, the mark of the end says that
/// none is.
fn as_text(mut text: String, amount: Amount) -> Given {
    match amount {
        Amount::Line => {
            if text.ends_with('\n') {
                text.pop();
                if text.ends_with('\r') {
                    text.pop();
                }
            }
        }
        Amount::Piece | Amount::Lines | Amount::Pieces => {
            if !text.ends_with('\n') {
                text.push_str(END);
            }
        }
    }
    Given::Text(text)
}

/// The length of text in JSON.
fn escaped_len(text: &str) -> usize {
    let lengths = text.bytes().map(|byte| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 2,
        0..0x20 => 6,
        _ => 1,
    });
    lengths.sum()
}
