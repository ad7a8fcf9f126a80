//! The terminal: its messages, and the machine between a WebSocket and its user.
//!
//! The whole input is parsed as a message in either direction: one that is understood is written
//! and parsed again as the same, one that is not is kept unchanged.
//!
//! Then each line of the input is something that happens: a line that starts with `>` is the user or
//! the connection (see [`Session::happens`]), any other line is a message from the gateway.
//! Properties:
//!
//! - Everything typed is sent, once and in order, in pieces that fit a message; typing waits until
//!   the terminal listens, but not for long; a restart does not overtake it, and is followed by an empty input in time.
//! - The window's size goes first, and only the latest one.
//! - The gateway hears from the client at least once in each interval.
//! - What the gateway says is reported, in order; after the close, nothing is sent or reported.
//! - Of Backend.AI alone it is reported that input was lost, and that nothing is shown; each at most once.

#![no_main]

use std::collections::VecDeque;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use sorna_core::terminal::{
    Command, Frame, Message, Outgoing, Terminal, TerminalEvent, TerminalOptions,
};
use sorna_core::{ApiVersion, Dialect, Instant, Moment};
use sorna_fuzz::at;

/// The most typed bytes in a message.
const CHUNK: usize = 16 * 1024;
/// The longest time for which typed bytes are held back at the start.
const SETTLING: Duration = Duration::from_millis(200);
/// How long after a restart an empty input is sent, and for how long typed bytes are held back after that.
const RESTARTING: Duration = Duration::from_millis(500);
const WAKING: Duration = Duration::from_millis(300);
/// How long a terminal of Backend.AI may show nothing after something was typed.
const SILENCE: Duration = Duration::from_secs(10);
/// When the terminal is opened.
const START: Instant = Instant::from_origin(Duration::from_secs(5));

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    check_message(&text);
    check_command(&text);
    for version in [
        ApiVersion::V2_20170315,
        ApiVersion::V7_20230615,
        ApiVersion::V9_20250722,
    ] {
        let mut session = Session::new(version);
        for line in data.split(|byte| *byte == b'\n') {
            session.happens(line);
            session.check();
        }
        session.ends();
    }
});

fn check_message(text: &str) {
    let message = Message::decode(text);
    if let Message::Unknown(kept) = &message {
        assert_eq!(kept, text);
    } else {
        assert_eq!(Message::decode(&message.encode()), message);
    }
    // Messages that the gateway's side sends are read back.
    for message in [
        Message::Out(text.as_bytes().to_vec().into()),
        Message::Error(text.to_owned()),
    ] {
        assert_eq!(Message::decode(&message.encode()), message);
    }
}

fn check_command(text: &str) {
    if let Some(command) = Command::decode(text) {
        assert_eq!(Command::decode(&command.encode()), Some(command));
    }
    let typed = Command::Stdin(text.as_bytes().to_vec().into());
    assert_eq!(Command::decode(&typed.encode()), Some(typed));
}

/// A terminal, and its expected behavior.
struct Session {
    version: ApiVersion,
    terminal: Terminal,
    /// When something typed was first sent.
    typed_at: Option<Instant>,
    /// Whether there was output, and after something typed was sent.
    shown: bool,
    responded: bool,
    silent: bool,
    interval: Duration,
    now: Moment,
    /// Typed bytes that were not sent yet; `None` is a restart.
    typed: VecDeque<Option<u8>>,
    /// How many bytes are in it.
    queued: usize,
    size: Option<(u16, u16)>,
    pings: usize,
    reported: VecDeque<TerminalEvent>,
    last_sent: Instant,
    /// When typing need not be held back any more.
    settles: Option<Instant>,
    /// When the empty input after a restart is due.
    wakes: Option<Instant>,
    /// Whether it was closed, by either side.
    closed: bool,
}

impl Session {
    fn new(version: ApiVersion) -> Self {
        let options = TerminalOptions::new()
            .with_size(25, 81)
            .with_ping_interval(Duration::from_secs(3));
        let now = Moment::new(at(1_498_699_425), START, 7);
        Self {
            version,
            terminal: Terminal::new(options.clone(), now).with_version(version),
            typed_at: None,
            shown: false,
            responded: false,
            silent: false,
            interval: options.ping_interval(),
            now,
            typed: VecDeque::new(),
            queued: 0,
            size: Some(options.size()),
            pings: 0,
            reported: VecDeque::new(),
            last_sent: now.instant,
            settles: Some(START + SETTLING),
            wakes: None,
            closed: false,
        }
    }

    /// One line of the input.
    fn happens(&mut self, line: &[u8]) {
        let Some(line) = line.strip_prefix(b">") else {
            return self.gateway_says(line);
        };
        let (verb, rest) = line.split_at(line.len().min(1));
        let numbers: Vec<u16> = String::from_utf8_lossy(rest)
            .split_whitespace()
            .filter_map(|word| word.parse().ok())
            .collect();
        match (verb, numbers.as_slice()) {
            // `>t` and what is typed; `>T` and how much is typed.
            (b"t", _) => self.types(rest),
            (b"T", [length, ..]) => self.types(&vec![b'x'; usize::from(*length)]),
            // `>s` and the rows and columns.
            (b"s", [rows, cols, ..]) => {
                self.terminal.resize(*rows, *cols);
                if !self.closed {
                    self.size = Some((*rows, *cols));
                }
            }
            (b"p", _) => {
                self.terminal.ping();
                // At most one ping waits to be sent.
                self.pings = usize::from(!self.closed);
            }
            (b"r", _) => {
                self.terminal.restart();
                if !self.closed {
                    self.typed.push_back(None);
                }
            }
            // `>b` and a message as binary.
            (b"b", _) => {
                let text = String::from_utf8_lossy(rest).into_owned();
                self.expect_report(&text);
                let frame = Frame::Binary(rest.to_vec().into());
                self.terminal.handle_frame(self.now, frame);
            }
            // `>w` and how many milliseconds pass.
            (b"w", [milliseconds, ..]) => {
                self.now = self
                    .now
                    .after(Duration::from_millis((*milliseconds).into()));
            }
            // `>c` and the code with which the gateway closes.
            (b"c", codes) => {
                let code = codes.first().copied();
                let reason = String::from_utf8_lossy(rest).into_owned();
                self.terminal.handle_close(code, &reason);
                if !self.closed {
                    let unheard = self.typed_at.is_some() && !self.responded;
                    if unheard && code == Some(1000) && self.version.may_lose_terminal_input() {
                        self.reported.push_back(TerminalEvent::InputLost);
                    }
                    self.reported
                        .push_back(TerminalEvent::Closed { code, reason });
                }
                self.closes();
            }
            (b"f", _) => {
                self.terminal.handle_failure();
                self.closes();
            }
            (b"o", _) => self.sends_everything(),
            _ => self.gateway_says(line),
        }
    }

    fn types(&mut self, bytes: &[u8]) {
        self.terminal.stdin(bytes);
        if !self.closed {
            self.typed.extend(bytes.iter().copied().map(Some));
            self.queued += bytes.len();
        }
    }

    fn gateway_says(&mut self, line: &[u8]) {
        let text = String::from_utf8_lossy(line).into_owned();
        self.expect_report(&text);
        self.terminal.handle_frame(self.now, Frame::Text(text));
    }

    fn expect_report(&mut self, text: &str) {
        if self.closed {
            return;
        }
        self.reported.push_back(match Message::decode(text) {
            Message::Out(bytes) => {
                if self.wakes.is_none() {
                    self.settles = None;
                }
                self.shown = true;
                self.responded |= self.typed_at.is_some();
                TerminalEvent::Output(bytes)
            }
            Message::Error(words) => TerminalEvent::Error(words),
            Message::Unknown(text) => TerminalEvent::Unknown(text),
            _ => unreachable!("a message of a new kind"),
        });
    }

    /// Whether it is to be reported that nothing is shown.
    fn is_silent(&self) -> bool {
        let may_be = self.version.dialect() == Dialect::BackendAi
            && !(self.closed || self.shown || self.silent);
        let typed_at = self.typed_at.filter(|_| may_be);
        typed_at.is_some_and(|at| self.now.instant >= at + SILENCE)
    }

    fn closes(&mut self) {
        self.closed = true;
        self.typed.clear();
        self.queued = 0;
        self.size = None;
        self.pings = 0;
        self.wakes = None;
    }

    fn listens(&self) -> bool {
        self.settles.is_none() && self.wakes.is_none()
    }

    /// Properties at any time.
    fn check(&mut self) {
        assert_eq!(self.terminal.queued(), self.queued);
        assert_eq!(self.terminal.is_closed(), self.closed);
        assert_eq!(self.terminal.next_ping().is_none(), self.closed);
        assert_eq!(self.terminal.next_timeout().is_none(), self.closed);
        let unsent = !self.typed.is_empty() || self.size.is_some() || self.pings > 0;
        assert_eq!(self.terminal.has_unsent(), unsent);
        while let Some(event) = self.terminal.poll_event() {
            assert_eq!(Some(event), self.reported.pop_front());
        }
        assert!(
            self.reported.is_empty(),
            "{:?} is not reported",
            self.reported
        );
    }

    /// Polls until there is nothing to send.
    fn sends_everything(&mut self) {
        if self.settles.is_some_and(|until| self.now.instant >= until) {
            self.settles = None;
        }
        if self.is_silent() {
            self.silent = true;
            self.reported.push_back(TerminalEvent::Silent);
        }
        loop {
            match self.terminal.poll_outgoing(self.now) {
                Outgoing::Send(Frame::Text(text)) => {
                    assert!(!self.closed, "{text:?} after the close");
                    let command = Command::decode(&text).expect("our own encoding");
                    self.sent(command);
                    self.last_sent = self.now.instant;
                }
                Outgoing::Wait(until) => {
                    assert!(!self.closed && until > self.now.instant);
                    assert!(until <= self.last_sent + self.interval, "it falls silent");
                    assert_eq!(self.terminal.next_timeout(), Some(until));
                    assert!(self.wakes.is_none_or(|due| until <= due));
                    assert!(self.size.is_none() && self.pings == 0);
                    assert!(
                        self.typed.is_empty() || !self.listens(),
                        "typing is held back"
                    );
                    if !self.typed.is_empty() {
                        assert!(until <= self.now.instant + RESTARTING);
                    }
                    return;
                }
                Outgoing::Closed => {
                    assert!(self.closed);
                    return;
                }
                other => panic!("the protocol has no {other:?}"),
            }
        }
    }

    fn sent(&mut self, command: Command) {
        match command {
            Command::Resize { rows, cols } => {
                assert_eq!(self.size.take(), Some((rows, cols)));
            }
            Command::Ping => {
                let is_due = self.now.instant >= self.last_sent + self.interval;
                assert!(self.pings > 0 || is_due, "an unneeded ping");
                self.pings = self.pings.saturating_sub(1);
            }
            Command::Stdin(bytes) if bytes.is_empty() => {
                let due = self.wakes.take().expect("a restart before it");
                assert!(self.now.instant >= due && self.size.is_none());
                self.settles = Some(self.now.instant + WAKING);
            }
            Command::Stdin(bytes) => {
                assert!(self.listens(), "it is typed too early");
                assert!(bytes.len() <= CHUNK && self.size.is_none());
                self.queued -= bytes.len();
                self.typed_at.get_or_insert(self.now.instant);
                for byte in bytes {
                    assert_eq!(self.typed.pop_front(), Some(Some(byte)));
                }
            }
            Command::Restart => {
                assert!(self.listens(), "it is restarted too early");
                assert_eq!(self.typed.pop_front(), Some(None), "a restart out of order");
                if self.version.dialect() == Dialect::SornaV2 {
                    self.wakes = Some(self.now.instant + RESTARTING);
                }
            }
            _ => unreachable!("a command of a new kind"),
        }
        assert_eq!(self.terminal.queued(), self.queued);
    }

    /// After some time, everything is sent; then the terminal can be closed.
    fn ends(mut self) {
        let restarts = self.typed.iter().filter(|typed| typed.is_none()).count();
        // Up to two waits for each restart, after the one at the start.
        for _ in 0..2 * restarts + 4 {
            self.now = self.now.after(RESTARTING);
            self.sends_everything();
        }
        assert!(self.typed.is_empty() && self.wakes.is_none());
        self.check();
        self.happens(b">c 1000");
        self.check();
        self.happens(br#"{"type":"out","data":"JCA="}"#);
        self.check();
        assert_eq!(self.terminal.poll_outgoing(self.now), Outgoing::Closed);
    }
}
