//! An open terminal, which its reading and writing halves share.

use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use async_tungstenite::WebSocketStream;
use futures_io::AsyncWrite as _;
use futures_util::{Sink, Stream};
use sorna_core::terminal::{Frame, Outgoing, Terminal, TerminalEvent, TerminalOptions};
use sorna_core::{ApiVersion, Error, Instant, TransportError, UsageError};
use tungstenite::Message;
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::coding::CloseCode;

use super::presence::Presence;
use super::queue::{EventQueue, QUEUE};
use crate::Client;
use crate::copy;
use crate::net::{BoxFuture, UpgradeTransport};
use crate::websocket::socket_error;

/// The WebSocket, the machine, and the timers of both halves. No method blocks: each is a poll, so
/// a plain lock around it is enough.
pub(super) struct Duplex<T: UpgradeTransport> {
    peer: String,
    /// Provides the clock and the timers.
    client: Client<T>,
    socket: WebSocketStream<T::Io>,
    pub(super) terminal: Terminal,
    /// Events that were read and not taken yet.
    pub(super) events: EventQueue,
    /// Reported after the events.
    failure: Option<TransportError>,
    /// A copy of the failure, for writers that were waiting when it happened.
    broken: Option<TransportError>,
    /// Wakes the reader when the machine has to be polled: for a ping, or to report silence.
    timeout: Option<Timeout>,
    /// Wakes the writer when typed bytes need not be held back any more.
    hold: Option<BoxFuture<()>>,
    closing: Closing,
    /// Writers that may be waiting: the WebSocket knows only which one wrote last.
    writers: Vec<Waker>,
    /// Which tasks use the terminal, for a driver with a stand-in.
    pub(super) presence: Option<Presence>,
}

/// A timer, until when it runs, and whom it wakes.
struct Timeout {
    until: Instant,
    timer: BoxFuture<()>,
    reader: Option<Waker>,
}

/// The progress of this side's close frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Closing {
    NotYet,
    Written,
    Sent,
}

/// How long to wait before the next ping if one could not be sent.
const PING_AGAIN: Duration = Duration::from_secs(1);

impl<T: UpgradeTransport + 'static> Duplex<T> {
    pub(super) fn new(
        peer: String,
        client: Client<T>,
        socket: WebSocketStream<T::Io>,
        options: TerminalOptions,
        version: ApiVersion,
    ) -> Self {
        Self {
            peer,
            terminal: Terminal::new(options, client.clock().now()).with_version(version),
            client,
            socket,
            events: EventQueue::default(),
            failure: None,
            broken: None,
            timeout: None,
            hold: None,
            closing: Closing::NotYet,
            writers: Vec::new(),
            presence: None,
        }
    }

    /// Sends the window's size. If the connection is blocked or broken, that shows later.
    pub(super) fn poll_start(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let _ = self.flush_now(context);
        Poll::Ready(())
    }

    /// The next event; `None` after the end.
    pub(super) fn poll_event(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Option<TerminalEvent>, Error>> {
        let result = loop {
            if let Some(event) = self.events.pop() {
                break Ok(Some(event));
            }
            if let Some(failure) = self.failure.take() {
                break Err(Error::Transport(failure));
            }
            if self.terminal.is_closed() {
                break Ok(None);
            }
            if self.poll_receive(context).is_pending() {
                if let Some(presence) = &mut self.presence {
                    presence.reader_waits();
                }
                return Poll::Pending;
            }
        };
        if let Some(presence) = &mut self.presence {
            presence.reader_leaves();
        }
        Poll::Ready(result)
    }

    /// Reads one message and handles it. While there is none, sends pings. Ready, too, if the machine has reported
    /// something without one.
    pub(super) fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Poll::Ready(message) = Pin::new(&mut self.socket).poll_next(context) else {
            let waiting = self.events.len();
            self.poll_timeout(context);
            return match self.events.len() > waiting {
                true => Poll::Ready(()),
                false => Poll::Pending,
            };
        };
        self.take(message);
        if self.terminal.has_unsent() {
            // The first output releases what was typed before it.
            let waiting = self.terminal.queued();
            let flushed = self.flush_now(context).is_ready();
            if flushed || self.terminal.queued() < waiting {
                self.wake_writers();
            }
        }
        if self.terminal.is_closed() {
            let _ = self.poll_hang_up(context);
            self.wake_writers();
        }
        Poll::Ready(())
    }

    /// Handles what the WebSocket received; `None` is its end.
    fn take(&mut self, message: Option<Result<Message, tungstenite::Error>>) {
        let now = self.client.clock().now();
        match message {
            Some(Ok(Message::Text(text))) => {
                self.terminal
                    .handle_frame(now, Frame::Text(text.as_str().to_owned()));
            }
            Some(Ok(Message::Binary(bytes))) => {
                self.terminal.handle_frame(now, Frame::Binary(bytes));
            }
            Some(Ok(Message::Close(frame))) => {
                let (code, reason) = frame
                    .map(|frame| (u16::from(frame.code), frame.reason.as_str().to_owned()))
                    .unzip();
                self.terminal
                    .handle_close(code, reason.as_deref().unwrap_or_default());
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => match socket_error(&self.peer, "terminal", error) {
                // After a close that this side requested, even an abrupt end is not a failure.
                Some(failure) if self.closing == Closing::NotYet => {
                    self.terminal.handle_failure();
                    self.broken = Some(copy::transport(&failure));
                    self.failure = Some(failure);
                }
                _ => self.terminal.handle_close(None, ""),
            },
            None => self.terminal.handle_close(None, ""),
        }
        self.gather();
    }

    /// Queues what the machine reports.
    fn gather(&mut self) {
        while let Some(event) = self.terminal.poll_event() {
            self.events.push(event);
        }
    }

    /// Polls the machine when it is time, which may send a ping, and makes sure that this is polled again the next time.
    pub(super) fn poll_timeout(&mut self, context: &mut Context<'_>) {
        loop {
            let mut least = Duration::from_millis(1);
            if let Some(timeout) = &mut self.timeout {
                if timeout.timer.as_mut().poll(context).is_pending() {
                    timeout.reader = Some(context.waker().clone());
                    return;
                }
                self.timeout = None;
                // If the write has to wait or fails, the writer reports it; here only the timer
                // starts again.
                let _ = self.flush_now(context);
                self.wake_writers();
                least = PING_AGAIN;
            }
            let open = self.closing == Closing::NotYet;
            let Some(next) = self.terminal.next_timeout().filter(|_| open) else {
                return;
            };
            let until = match self.client.clock().until(next) {
                Duration::ZERO => least,
                until => until,
            };
            self.timeout = Some(Timeout {
                until: next,
                timer: self.sleep(until),
                reader: None,
            });
        }
    }

    /// Wakes the reader if the machine has reported something, or has to be polled sooner than was known.
    fn hurry(&mut self) {
        let next = self.terminal.next_timeout();
        let is_sooner = |timeout: &Timeout| next.is_some_and(|next| next < timeout.until);
        let waiting = self.events.len();
        self.gather();
        if let Some(timeout) = &mut self.timeout
            && (is_sooner(timeout) || self.events.len() > waiting)
        {
            let reader = timeout.reader.take();
            self.timeout = None;
            if let Some(reader) = reader {
                reader.wake();
            }
        }
    }

    /// A separate timer, which may outlive the terminal.
    pub(super) fn sleep(&self, time: Duration) -> BoxFuture<()> {
        let client = self.client.clone();
        Box::pin(async move { client.transport().sleep(time).await })
    }

    fn wake_writers(&mut self) {
        for writer in self.writers.drain(..) {
            writer.wake();
        }
    }

    /// Remembers a writer that has to wait, so that it is polled again when another writer has sent something.
    fn or_wait<P>(&mut self, polled: Poll<P>, context: &Context<'_>) -> Poll<P> {
        let waker = context.waker();
        if polled.is_pending() && !self.writers.iter().any(|writer| writer.will_wake(waker)) {
            self.writers.push(waker.clone());
        }
        polled
    }

    /// Whether something can still be typed.
    ///
    /// # Errors
    ///
    /// The terminal is closed, for whatever reason.
    pub(super) fn check_open(&self) -> Result<(), Error> {
        match self.terminal.is_closed() || self.closing > Closing::NotYet {
            true => Err(UsageError::TerminalClosed.into()),
            false => Ok(()),
        }
    }

    /// Waits for room for more typing.
    pub(super) fn poll_room(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        while self.terminal.queued() >= QUEUE {
            let sent = self.poll_send_one(context);
            ready!(self.or_wait(sent, context))?;
        }
        Poll::Ready(self.check_open().map_err(|_| self.closed()))
    }

    /// Sends everything that waits to be sent, and flushes the socket.
    pub(super) fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let flushed = self.flush_now(context);
        self.or_wait(flushed, context)
    }

    pub(super) fn flush_now(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        while ready!(self.poll_send_one(context))? {}
        let flushed = ready!(Pin::new(&mut self.socket).poll_flush(context));
        Poll::Ready(flushed.map_err(|error| self.write_failed(error)))
    }

    /// Sends one frame; false if there was none.
    fn poll_send_one(&mut self, context: &mut Context<'_>) -> Poll<Result<bool, Error>> {
        loop {
            if self.check_open().is_err() {
                return Poll::Ready(Err(self.closed()));
            }
            // Make room first: a frame that was taken from the machine must be sent. Only a flushed
            // socket is sure to have room, since replies to pings may fill its buffer.
            let room = ready!(Pin::new(&mut self.socket).poll_flush(context));
            room.map_err(|error| self.write_failed(error))?;
            let outgoing = self.terminal.poll_outgoing(self.client.clock().now());
            self.hurry();
            match outgoing {
                Outgoing::Send(Frame::Text(text)) => {
                    let sent = Pin::new(&mut self.socket).start_send(Message::text(text));
                    sent.map_err(|error| self.write_failed(error))?;
                    return Poll::Ready(Ok(true));
                }
                Outgoing::Send(Frame::Binary(bytes)) => {
                    let sent = Pin::new(&mut self.socket).start_send(Message::binary(bytes));
                    sent.map_err(|error| self.write_failed(error))?;
                    return Poll::Ready(Ok(true));
                }
                Outgoing::Wait(until) if self.terminal.has_unsent() => {
                    if self.hold.is_none() {
                        self.hold = Some(self.sleep(self.client.clock().until(until)));
                    }
                    if let Some(hold) = &mut self.hold {
                        ready!(hold.as_mut().poll(context));
                    }
                    self.hold = None;
                }
                _ => return Poll::Ready(Ok(false)),
            }
        }
    }

    /// Sends a close frame after everything that was typed. The reader then sees the end.
    pub(super) fn poll_close(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        while self.closing == Closing::NotYet && !self.terminal.is_closed() {
            let sent = self.poll_send_one(context);
            if !ready!(self.or_wait(sent, context))? {
                break;
            }
        }
        let sent = self.poll_send_close(context);
        self.or_wait(sent, context)
    }

    /// Sends a close frame, without what else waits to be sent.
    pub(super) fn poll_send_close(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if self.terminal.is_closed() {
            let failure = self.failure_again().map(Error::Transport);
            return Poll::Ready(failure.map_or(Ok(()), Err));
        }
        if self.closing == Closing::NotYet {
            ready!(Pin::new(&mut self.socket).poll_flush(context))
                .map_err(|error| self.write_failed(error))?;
            let frame = CloseFrame {
                code: CloseCode::Normal,
                reason: "".into(),
            };
            let sent = Pin::new(&mut self.socket).start_send(Message::Close(Some(frame)));
            sent.map_err(|error| self.write_failed(error))?;
            self.closing = Closing::Written;
        }
        // From here on, a broken connection is just the end.
        let _ = ready!(Pin::new(&mut self.socket).poll_flush(context));
        self.closing = Closing::Sent;
        Poll::Ready(Ok(()))
    }

    /// Sends a close frame, and discards what still arrives until the gateway's close frame.
    pub(super) fn poll_close_both(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if let Poll::Ready(sent) = self.poll_close(context) {
            sent?;
        }
        while ready!(self.poll_event(context))?.is_some() {}
        Poll::Ready(Ok(()))
    }

    /// Whether the close frame was sent or is certain to be, or is not needed any more.
    pub(super) fn has_sent_close(&self) -> bool {
        self.closing == Closing::Sent || self.terminal.is_closed()
    }

    /// Replies to the gateway's close frame, if it sent one, and ends the connection on this side. Gateway
    /// 0.9.11 keeps a dead kernel for 10 s without that reply.
    pub(super) fn poll_hang_up(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.broken.is_none() {
            let _ = ready!(Pin::new(&mut self.socket).poll_flush(context));
        }
        Pin::new(self.socket.get_mut())
            .poll_close(context)
            .map(drop)
    }

    fn write_failed(&self, error: tungstenite::Error) -> Error {
        match socket_error(&self.peer, "terminal", error) {
            Some(failure) => Error::Transport(failure),
            None => self.closed(),
        }
    }

    /// Why nothing more can be written.
    fn closed(&self) -> Error {
        match self.failure_again() {
            Some(failure) => Error::Transport(failure),
            None => UsageError::TerminalClosed.into(),
        }
    }

    fn failure_again(&self) -> Option<TransportError> {
        self.broken.as_ref().map(copy::transport)
    }
}
