//! The open WebSocket of an execution.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;

use crate::error::{Sent, TransportError, TransportErrorKind, line};
use crate::frame::Frame;
use crate::instant::Instant;
use crate::ops::{Continuation, Execute};

/// After this much time without a message, a ping is sent. Proxies often end a connection that is silent for a minute.
const PING_INTERVAL: Duration = Duration::from_secs(20);

/// How long the end is awaited of a program that was given up, or of what is left of a batch. Managers send a message
/// every 0.2 s, so by then they had many.
const LAST_LIMIT: Duration = Duration::from_secs(4);

/// How long the gateway may take to reply to a ping once the execution is to stop. If the connection is dead, what was sent over it
/// can be had again.
const URGENT_LIMIT: Duration = Duration::from_secs(2);

/// The code of a close frame of a peer that has done what it wanted to do.
const NORMAL: u16 = 1000;

/// The most characters of the gateway's reason to close it.
const MOST_REASON: usize = 120;

/// What is to be sent over it, and what is awaited from it.
#[derive(Debug)]
pub(super) struct Stream {
    /// What it executes.
    start: Execute,
    incoming: VecDeque<Bytes>,
    /// How it ended, after what came in.
    end: Option<TransportError>,
    /// What the gateway said when it ended the execution, after what came in.
    closed: Option<String>,
    outgoing: VecDeque<Frame>,
    /// Whether the code was sent.
    has_started: bool,
    /// How long the gateway may take to reply to a ping.
    reply_limit: Duration,
    ping_at: Option<Instant>,
    /// When a ping was sent since which nothing was heard.
    pinged: Option<Instant>,
    /// Whether the gateway must show soon that it is there.
    is_urgent: bool,
    /// Until when the end is awaited.
    last: Option<Instant>,
}

/// What to do next.
#[derive(Debug)]
pub(super) enum Next {
    /// A message of the gateway.
    Received(Bytes),
    Send(Frame),
    Wait(Instant),
    /// It has ended.
    Broken(TransportError),
    /// The gateway has ended the execution, and says so.
    Closed(String),
    /// The end was awaited for long enough.
    Late,
}

impl Stream {
    /// One that has just been opened, to start an execution with this message.
    pub(super) fn new(first: String, start: Execute, reply_limit: Duration) -> Self {
        Self {
            start,
            incoming: VecDeque::new(),
            closed: None,
            end: None,
            outgoing: VecDeque::from([Frame::Text(first)]),
            has_started: false,
            reply_limit,
            ping_at: None,
            pinged: None,
            is_urgent: false,
            last: None,
        }
    }

    /// Whether the code was sent, so that it may have run.
    pub(super) fn has_started(&self) -> bool {
        self.has_started
    }

    /// What it was to execute, since it does not.
    pub(super) fn take_start(&mut self) -> Execute {
        let rest = self.start.proceed(Continuation::Continue);
        std::mem::replace(&mut self.start, rest)
    }

    pub(super) fn send(&mut self, input: Frame) {
        self.outgoing.push_back(input);
    }

    /// Takes a frame. Any shows that the gateway is there.
    pub(super) fn receive(&mut self, frame: Frame) {
        self.ping_at = None;
        self.pinged = None;
        match frame {
            Frame::Text(text) => self.incoming.push_back(text.into()),
            Frame::Binary(bytes) => self.incoming.push_back(bytes),
            Frame::Ping | Frame::Pong => {}
        }
    }

    /// The gateway closed it. Manager 26.9.6 does so normally, with code 1000, if the program shows HTML.
    pub(super) fn close(&mut self, code: Option<u16>, reason: &str) {
        let mut message =
            "the gateway closed the WebSocket before the end of the execution".to_owned();
        if let Some(code) = code {
            let _ = write!(message, " (code {code}");
            if !reason.is_empty() {
                let _ = write!(message, ": {}", line(reason.as_bytes(), MOST_REASON));
            }
            message.push(')');
        }
        if code == Some(NORMAL) && self.end.is_none() {
            self.closed.get_or_insert(message);
            return;
        }
        self.fail(TransportError::new(
            TransportErrorKind::Receive,
            Sent::Maybe,
            message,
        ));
    }

    /// It broke.
    pub(super) fn fail(&mut self, failure: TransportError) {
        self.end.get_or_insert(failure);
    }

    /// Asks at once whether the gateway is there: no one wants to wait for long any more.
    pub(super) fn hurry(&mut self) {
        if !std::mem::replace(&mut self.is_urgent, true) {
            self.reply_limit = self.reply_limit.min(URGENT_LIMIT);
            self.pinged = None;
            self.outgoing.push_back(Frame::Ping);
        }
    }

    /// What is awaited at the end may take as long once more.
    pub(super) fn wait_again(&mut self) {
        self.last = None;
    }

    /// `is_last` if only the end is awaited. Silence is only counted from a ping on, since the caller may have done
    /// something else in the meantime: what was received until then is handled first.
    pub(super) fn poll(&mut self, now: Instant, is_last: bool) -> Next {
        if let Some(message) = self.incoming.pop_front() {
            return Next::Received(message);
        }
        if let Some(message) = self.closed.take() {
            return Next::Closed(message);
        }
        if let Some(failure) = self.end.take() {
            return Next::Broken(failure);
        }
        if let Some(frame) = self.outgoing.pop_front() {
            match frame {
                Frame::Ping => self.pinged = Some(now),
                _ => self.has_started = true,
            }
            return Next::Send(frame);
        }
        let last = is_last.then(|| *self.last.get_or_insert(now.saturating_add(LAST_LIMIT)));
        if last.is_some_and(|last| now >= last) {
            return Next::Late;
        }
        let ping_at = *self
            .ping_at
            .get_or_insert(now.saturating_add(PING_INTERVAL));
        let next = match self.pinged {
            Some(pinged) => {
                let end = pinged.saturating_add(self.reply_limit);
                if now >= end {
                    let seconds = self.reply_limit.as_secs();
                    let message = format!("the gateway has not replied to a ping for {seconds} s");
                    let kind = TransportErrorKind::Timeout;
                    return Next::Broken(TransportError::new(kind, Sent::Maybe, message));
                }
                end
            }
            None if now >= ping_at => {
                self.pinged = Some(now);
                return Next::Send(Frame::Ping);
            }
            None => ping_at,
        };
        Next::Wait(last.map_or(next, |last| last.min(next)))
    }
}
