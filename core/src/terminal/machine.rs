//! The state of one open terminal.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use super::message::{Command, Message};
use super::options::TerminalOptions;
use super::readiness::{RESTARTING, Readiness, SETTLING};
use crate::frame::Frame;
use crate::instant::Instant;
use crate::moment::Moment;
use crate::version::{ApiVersion, Dialect};

/// The most bytes in one message: large input is split into several.
const CHUNK: usize = 16 * 1024;

/// How long after the first typing a terminal of Backend.AI may show nothing before that is reported.
const SILENCE: Duration = Duration::from_secs(10);

/// The close code of a WebSocket that ends as intended.
const NORMAL: u16 = 1000;

/// An open terminal, between a WebSocket and its user.
///
/// ```text
///   stdin, resize, ping, restart ──►┌──────────┐── poll_outgoing ──► messages to the gateway
///                                   │ Terminal │
///                   poll_event ◄────└──────────┘◄── handle_frame, handle_close, handle_failure
/// ```
///
/// Its states:
///
/// ```text
///            the first output, or 200 ms
///   Settling ───────────────────────────► Open
///     │ sends resize and ping;              │  ▲ sends everything, and a ping
///     │ holds stdin and restart back        │  │ after `ping_interval` without a message
///     │                             restart │  │ then output, or another 300 ms
///     │                                     ▼  │
///     │                      Restarting: as Settling; sends an empty stdin after 500 ms
///     └──────────────┬──────────────────────┘
///                    │ handle_close (one last event), handle_failure (none)
///                    ▼
///                  Closed: accepts and sends nothing; queued events can be polled
/// ```
///
/// It sends the window's size first, holds typed bytes back until the terminal is ready, splits
/// input into messages of at most 16 KiB, and pings when nothing else was sent for a while. Typed
/// bytes and restarts keep their order; the size of the window and pings are sent before them.
///
/// Drive it like this: send what [`poll_outgoing`](Self::poll_outgoing) returns until it returns
/// [`Outgoing::Wait`]; pass in messages from the gateway; poll all events. Repeat this when there
/// is a message or typed input, or when the time to wait for has come.
///
/// Source: the API manual of 2017, "Streaming". Observed on gateway 0.9.11, and the reason for the above:
/// the window is 0 x 0 until the first resize; input right after the handshake is lost about half
/// the time; the first input after a restart is always lost, and an empty one takes its place if it comes late enough;
/// after the close frame a raw HTTP 500 may follow.
///
/// Of Backend.AI ([`with_version`](Self::with_version)): manager 26.9.6 sends its messages as binary frames, and
/// ignores those of the client that are not text. Nothing replies to a size or a ping. Two defects are reported as
/// events: [`InputLost`](TerminalEvent::InputLost) and [`Silent`](TerminalEvent::Silent).
///
/// ```
/// use std::time::{Duration, UNIX_EPOCH};
/// use sorna_core::{Instant, Moment};
/// use sorna_core::terminal::{Frame, Outgoing, Terminal, TerminalEvent, TerminalOptions};
///
/// fn text(text: &str) -> Frame {
///     Frame::Text(text.to_owned())
/// }
/// fn sends(terminal: &mut Terminal, now: Moment, message: &str) {
///     assert_eq!(terminal.poll_outgoing(now), Outgoing::Send(text(message)));
/// }
///
/// // Settling: the size goes out, what is typed waits for the shell's prompt, but not for long.
/// let now = Moment::new(UNIX_EPOCH, Instant::default(), 0);
/// let mut terminal = Terminal::new(TerminalOptions::default(), now);
/// terminal.stdin(b"ls\n");
/// sends(&mut terminal, now, r#"{"type":"resize","rows":24,"cols":80}"#);
/// assert_eq!(terminal.poll_outgoing(now), Outgoing::Wait(now.instant + Duration::from_millis(200)));
///
/// // The prompt: now it is open.
/// terminal.handle_frame(now, text(r#"{"type":"out","data":"JCA="}"#));
/// assert_eq!(terminal.poll_event(), Some(TerminalEvent::Output("$ ".into())));
/// sends(&mut terminal, now, r#"{"type":"stdin","chars":"bHMK"}"#);
///
/// // Output may end in the middle of a character: these are the first two bytes of a euro sign.
/// terminal.handle_frame(now, text(r#"{"type":"out","data":"4oI="}"#));
/// assert_eq!(terminal.poll_event(), Some(TerminalEvent::Output(b"\xe2\x82"[..].into())));
///
/// // A restart is sent after what was typed, and an empty input, which the gateway may lose, when it is over. A
/// // new size does not wait for either.
/// terminal.stdin(b"x");
/// terminal.restart();
/// terminal.resize(50, 132);
/// sends(&mut terminal, now, r#"{"type":"resize","rows":50,"cols":132}"#);
/// sends(&mut terminal, now, r#"{"type":"stdin","chars":"eA=="}"#);
/// sends(&mut terminal, now, r#"{"type":"restart"}"#);
/// assert_eq!(terminal.poll_outgoing(now), Outgoing::Wait(now.instant + Duration::from_millis(500)));
/// let now = now.after(Duration::from_millis(500));
/// sends(&mut terminal, now, r#"{"type":"stdin","chars":""}"#);
///
/// // Nothing to send for 30 s: a ping keeps the kernel alive. It has no reply.
/// assert_eq!(terminal.poll_outgoing(now), Outgoing::Wait(now.instant + Duration::from_secs(30)));
/// let now = now.after(Duration::from_secs(30));
/// sends(&mut terminal, now, r#"{"type":"ping"}"#);
///
/// // Unknown messages are events, too, and not dropped.
/// terminal.handle_frame(now, text(r#"{"type":"error","data":"out of memory"}"#));
/// terminal.handle_frame(now, text(r#"{"type":"bell"}"#));
/// assert_eq!(terminal.poll_event(), Some(TerminalEvent::Error("out of memory".into())));
/// assert_eq!(terminal.poll_event(), Some(TerminalEvent::Unknown(r#"{"type":"bell"}"#.into())));
///
/// // The kernel was destroyed: the WebSocket is closed with 1000. What follows does not belong to the
/// // protocol.
/// terminal.handle_close(Some(1000), "");
/// terminal.handle_frame(now, text("HTTP/1.1 500 Internal Server Error"));
/// let closed = TerminalEvent::Closed { code: Some(1000), reason: String::new() };
/// assert_eq!(terminal.poll_event(), Some(closed));
/// assert_eq!(terminal.poll_event(), None);
/// assert_eq!(terminal.poll_outgoing(now), Outgoing::Closed);
/// ```
#[derive(Debug)]
pub struct Terminal {
    ping_interval: Duration,
    readiness: Readiness,
    last_sent: Instant,
    /// Messages other than typed bytes, which are sent first and never held back.
    control: VecDeque<Command>,
    typed: VecDeque<Typed>,
    queued: usize,
    events: VecDeque<TerminalEvent>,
    closed: bool,
    version: ApiVersion,
    /// When something typed was first sent.
    typed_at: Option<Instant>,
    /// There was output, at any time.
    shown: bool,
    /// There was output after something typed was sent.
    responded: bool,
    /// That nothing is shown was reported.
    silent: bool,
}

#[derive(Debug)]
enum Typed {
    Bytes(Bytes),
    /// A restart must not overtake what was typed before it.
    Restart,
}

/// What to send next.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outgoing {
    /// Send this, then poll again.
    Send(Frame),
    /// Send nothing before this time ([`Moment::instant`]), unless something happens first.
    Wait(Instant),
    /// Send nothing any more: the terminal is closed.
    Closed,
}

/// What happens in a terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TerminalEvent {
    /// Output, as bytes: it may end in the middle of a character.
    Output(Bytes),
    /// The gateway reports a problem. The terminal may continue.
    Error(String),
    /// A message that this version does not know, as received.
    Unknown(String),
    /// The gateway closes the terminal at the first input, without running it: [`Closed`](Self::Closed) follows.
    /// Executing code, rather than typing it, works.
    ///
    /// Only of Backend.AI, in versions that
    /// [may lose terminal input](ApiVersion::may_lose_terminal_input).
    InputLost,
    /// Nothing was shown since the terminal was opened, not even 10 s after something was typed; reported once. It
    /// may be that the gateway is slow, but likely it carries nothing in either direction.
    ///
    /// Only of Backend.AI. Observed on manager 26.9.6 with its own agent, whose terminals carry nothing
    /// although they open.
    Silent,
    /// The end: nothing follows.
    Closed {
        /// The WebSocket's close code, if there was one: 1000 when the kernel is gone.
        code: Option<u16>,
        /// The gateway's reason; often empty.
        reason: String,
    },
}

impl Terminal {
    /// A terminal whose handshake has just succeeded.
    #[must_use]
    pub fn new(options: TerminalOptions, now: Moment) -> Self {
        let (rows, cols) = options.size();
        Self {
            ping_interval: options.ping_interval(),
            readiness: Readiness::Settling(now.instant.saturating_add(SETTLING)),
            last_sent: now.instant,
            control: VecDeque::from([Command::Resize { rows, cols }]),
            typed: VecDeque::new(),
            queued: 0,
            events: VecDeque::new(),
            closed: false,
            version: ApiVersion::default(),
            typed_at: None,
            shown: false,
            responded: false,
            silent: false,
        }
    }

    /// The same terminal, of a gateway that speaks this version; else it is [the default](ApiVersion::default).
    #[must_use]
    pub fn with_version(mut self, version: ApiVersion) -> Self {
        self.version = version;
        self
    }

    /// Types bytes, any number of them. They are queued; see [`queued`](Self::queued) for when to stop.
    /// Once it is closed they are dropped.
    pub fn stdin(&mut self, bytes: &[u8]) {
        if self.closed {
            return;
        }
        for chunk in bytes.chunks(CHUNK) {
            self.queued += chunk.len();
            self.typed
                .push_back(Typed::Bytes(Bytes::copy_from_slice(chunk)));
        }
    }

    /// How many typed bytes wait to be sent. While this is large, a driver should accept no more
    /// from its user.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.queued
    }

    /// Whether anything waits to be sent, a held-back restart included. The empty input that follows a restart is
    /// not: it is due at [`next_timeout`](Self::next_timeout).
    #[must_use]
    pub fn has_unsent(&self) -> bool {
        !self.control.is_empty() || !self.typed.is_empty()
    }

    /// Sets the window's size, in lines and columns. Only the latest of several unsent ones is sent.
    pub fn resize(&mut self, rows: u16, cols: u16) {
        if self.closed {
            return;
        }
        self.control
            .retain(|command| !matches!(command, Command::Resize { .. }));
        self.control.push_back(Command::Resize { rows, cols });
    }

    /// Sends a ping, which keeps the kernel alive. The terminal does so itself when nothing else was sent for a
    /// while. At most one ping waits to be sent.
    pub fn ping(&mut self) {
        if !self.closed && !self.control.contains(&Command::Ping) {
            self.control.push_back(Command::Ping);
        }
    }

    /// Restarts the kernel, after what was typed before. The terminal continues with the new one. What is typed next is
    /// held back until that is ready for it, in Sorna v2 for up to 0.8 s.
    pub fn restart(&mut self) {
        if self.closed {
            return;
        }
        self.typed.push_back(Typed::Restart);
    }

    /// The next frame for the gateway, or how long to wait for one.
    #[must_use = "a frame must be sent"]
    pub fn poll_outgoing(&mut self, now: Moment) -> Outgoing {
        if self.closed {
            return Outgoing::Closed;
        }
        if self.silent_at().is_some_and(|time| now.instant >= time) {
            self.silent = true;
            self.events.push_back(TerminalEvent::Silent);
        }
        let command = if let Some(command) = self.control.pop_front() {
            command
        } else if self.readiness.wakes_at(now.instant) {
            Command::Stdin(Bytes::new())
        } else if let Some(command) = self.typing(now.instant) {
            command
        } else if now.instant >= self.next_ping_at() {
            Command::Ping
        } else {
            return Outgoing::Wait(self.next_timeout_at());
        };
        self.last_sent = now.instant;
        Outgoing::Send(Frame::Text(command.encode()))
    }

    /// What was typed, unless it is held back.
    fn typing(&mut self, now: Instant) -> Option<Command> {
        if self.readiness != Readiness::Ready {
            return None;
        }
        Some(match self.typed.pop_front()? {
            Typed::Bytes(bytes) => {
                self.queued -= bytes.len();
                self.typed_at.get_or_insert(now);
                Command::Stdin(bytes)
            }
            Typed::Restart => {
                if self.version.dialect() == Dialect::SornaV2 {
                    self.readiness = Readiness::Restarting(now.saturating_add(RESTARTING));
                }
                Command::Restart
            }
        })
    }

    /// When the next ping is due, unless something else is sent first; `None` once it is closed.
    #[must_use]
    pub fn next_ping(&self) -> Option<Instant> {
        (!self.closed).then(|| self.next_ping_at())
    }

    /// When [`poll_outgoing`](Self::poll_outgoing) is to be called, and events are to be polled after it, even if
    /// nothing happens until then: for a ping, for what was held back, or to report [`Silent`](TerminalEvent::Silent).
    /// `None` once it is closed.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        (!self.closed).then(|| self.next_timeout_at())
    }

    fn next_timeout_at(&self) -> Instant {
        let restarts = matches!(self.readiness, Readiness::Restarting(_));
        let held = match restarts || !self.typed.is_empty() {
            true => self.readiness.until(),
            false => None,
        };
        let others = [self.silent_at(), held].into_iter().flatten();
        others.fold(self.next_ping_at(), Instant::min)
    }

    fn next_ping_at(&self) -> Instant {
        self.last_sent.saturating_add(self.ping_interval)
    }

    /// When it is to be reported that nothing is shown.
    fn silent_at(&self) -> Option<Instant> {
        let may_be = self.version.dialect() == Dialect::BackendAi && !self.shown && !self.silent;
        let typed_at = self.typed_at.filter(|_| may_be)?;
        Some(typed_at.saturating_add(SILENCE))
    }

    /// Handles a message from the gateway.
    pub fn handle_frame(&mut self, _now: Moment, frame: Frame) {
        // What follows a close does not belong to the protocol any more.
        if self.closed {
            return;
        }
        let message = match frame {
            Frame::Text(text) => Message::decode(&text),
            Frame::Binary(bytes) => Message::decode(&String::from_utf8_lossy(&bytes)),
            Frame::Ping | Frame::Pong => return,
        };
        self.events.push_back(match message {
            Message::Out(bytes) => {
                self.readiness.is_shown();
                self.shown = true;
                self.responded |= self.typed_at.is_some();
                TerminalEvent::Output(bytes)
            }
            Message::Error(text) => TerminalEvent::Error(text),
            Message::Unknown(text) => TerminalEvent::Unknown(text),
        });
    }

    /// The WebSocket is closed, by the gateway or by the caller, with the close frame's code and reason, if
    /// there was one. Only the first call has an effect.
    pub fn handle_close(&mut self, code: Option<u16>, reason: &str) {
        if !self.close() {
            return;
        }
        // A shell would have shown what was typed before it ends.
        let unheard = self.typed_at.is_some() && !self.responded;
        if unheard && code == Some(NORMAL) && self.version.may_lose_terminal_input() {
            self.events.push_back(TerminalEvent::InputLost);
        }
        self.events.push_back(TerminalEvent::Closed {
            code,
            reason: reason.to_owned(),
        });
    }

    /// Drops what was not sent; returns false if the terminal was closed already.
    fn close(&mut self) -> bool {
        let was_open = !self.closed;
        self.closed = true;
        self.control.clear();
        self.typed.clear();
        self.queued = 0;
        was_open
    }

    /// The connection broke. That is not an event: the driver reports it.
    pub fn handle_failure(&mut self) {
        self.close();
    }

    /// The next event, the oldest first.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<TerminalEvent> {
        self.events.pop_front()
    }

    /// Whether it is closed. Events may still wait to be polled.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed
    }
}

#[cfg(test)]
mod tests;
