//! One open terminal, shared by its reading and its writing half.

use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use async_tungstenite::WebSocketStream;
use futures_util::{Sink, Stream};
use sorna_core::terminal::{Frame, Outgoing, Terminal, TerminalEvent, TerminalOptions};
use sorna_core::{Error, TransportError};
use tungstenite::Message;
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::coding::CloseCode;

use super::{QUEUE, socket_error};
use crate::Client;
use crate::net::{BoxFuture, UpgradeTransport};

/// The WebSocket, the machine, and the timers of both halves. Every method is a poll and never
/// blocks, so that a plain lock around it does.
pub(super) struct Duplex<T: UpgradeTransport> {
    peer: String,
    /// For its clock and its timer.
    client: Client<T>,
    socket: WebSocketStream<T::Io>,
    pub(super) terminal: Terminal,
    /// Wakes the reader when a ping is due.
    ping: Option<BoxFuture<()>>,
    /// Wakes the writer when typing need not be held back any more.
    hold: Option<BoxFuture<()>>,
    closing: bool,
    /// The writer, if it may be waiting: the WebSocket knows only who wrote last.
    writer: Option<Waker>,
}

/// How long to wait with the next ping if one could not be sent.
const PING_AGAIN: Duration = Duration::from_secs(1);

impl<T: UpgradeTransport + 'static> Duplex<T> {
    pub(super) fn new(
        peer: String,
        client: Client<T>,
        socket: WebSocketStream<T::Io>,
        options: TerminalOptions,
    ) -> Self {
        Self {
            peer,
            terminal: Terminal::new(options, client.clock().now()),
            client,
            socket,
            ping: None,
            hold: None,
            closing: false,
            writer: None,
        }
    }

    /// The future sleeps on its own: it may outlive the terminal.
    pub(super) fn sleep(&self, time: Duration) -> BoxFuture<()> {
        let client = self.client.clone();
        Box::pin(async move { client.transport().sleep(time).await })
    }

    /// The next event; `None` after the end.
    pub(super) fn poll_event(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Option<TerminalEvent>, Error>> {
        loop {
            if let Some(event) = self.terminal.poll_event() {
                return Poll::Ready(Ok(Some(event)));
            }
            if self.terminal.is_closed() {
                return Poll::Ready(Ok(None));
            }
            match Pin::new(&mut self.socket).poll_next(context) {
                Poll::Ready(message) => {
                    if let Err(error) = self.take(message) {
                        return Poll::Ready(Err(Error::Transport(error)));
                    }
                    if self.terminal.has_unsent() {
                        // The first output sets free what was typed before it.
                        let _ = self.flush_now(context);
                        self.wake_writer();
                    }
                    if self.terminal.is_closed() {
                        // Our own goodbye waits to be written. Gateway 0.9.11 keeps a dead kernel
                        // for 10 s if it does not come; whether it gets there, we cannot tell.
                        let _ = Pin::new(&mut self.socket).poll_flush(context);
                        self.wake_writer();
                    }
                }
                Poll::Pending => {
                    ready!(self.poll_ping(context));
                }
            }
        }
    }

    /// Takes what the WebSocket brought; `None` is its end.
    fn take(
        &mut self,
        message: Option<Result<Message, tungstenite::Error>>,
    ) -> Result<(), TransportError> {
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
            Some(Err(error)) => {
                let failure = socket_error(&self.peer, error);
                // After a close that we asked for, an abrupt end is still an end.
                if let Some(failure) = failure.filter(|_| !self.closing) {
                    self.terminal.handle_failure();
                    self.wake_writer();
                    return Err(failure);
                }
                self.terminal.handle_close(None, "");
            }
            None => self.terminal.handle_close(None, ""),
        }
        Ok(())
    }

    /// Sends a ping when it is due.
    fn poll_ping(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            let mut least = Duration::from_millis(1);
            if let Some(timer) = &mut self.ping {
                ready!(timer.as_mut().poll(context));
                self.ping = None;
                // If the write has to wait, or fails, the writer learns of it; here only the timer
                // starts again.
                let _ = self.flush_now(context);
                self.wake_writer();
                least = PING_AGAIN;
            }
            let Some(next) = self.terminal.next_ping().filter(|_| !self.closing) else {
                return Poll::Pending;
            };
            let until = match self.client.clock().until(next) {
                Duration::ZERO => least,
                until => until,
            };
            self.ping = Some(self.sleep(until));
        }
    }

    fn wake_writer(&mut self) {
        if let Some(writer) = self.writer.take() {
            writer.wake();
        }
    }

    /// Whether there is room for more typing.
    pub(super) fn poll_room(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.writer = Some(context.waker().clone());
        while self.terminal.queued() >= QUEUE {
            ready!(self.poll_send_one(context))?;
        }
        Poll::Ready(Ok(()))
    }

    /// Sends everything that waits, and waits until it is out of our hands.
    pub(super) fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.writer = Some(context.waker().clone());
        self.flush_now(context)
    }

    fn flush_now(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        while ready!(self.poll_send_one(context))? {}
        let flushed = ready!(Pin::new(&mut self.socket).poll_flush(context));
        Poll::Ready(flushed.map_err(|error| self.write_failed(error)))
    }

    /// Sends one frame; false if there was none.
    fn poll_send_one(&mut self, context: &mut Context<'_>) -> Poll<Result<bool, Error>> {
        loop {
            if self.terminal.is_closed() || self.closing {
                return Poll::Ready(Err(self.closed()));
            }
            // Room first: a frame that was taken from the machine must go.
            let room = ready!(Pin::new(&mut self.socket).poll_ready(context));
            room.map_err(|error| self.write_failed(error))?;
            match self.terminal.poll_outgoing(self.client.clock().now()) {
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
                    let hold = match &mut self.hold {
                        Some(hold) => hold,
                        None => {
                            let sleep = self.sleep(self.client.clock().until(until));
                            self.hold.insert(sleep)
                        }
                    };
                    ready!(hold.as_mut().poll(context));
                    self.hold = None;
                }
                _ => return Poll::Ready(Ok(false)),
            }
        }
    }

    /// Says goodbye, after all that was typed. The reader then sees the end.
    pub(super) fn poll_close(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.writer = Some(context.waker().clone());
        if !self.closing && !self.terminal.is_closed() {
            while ready!(self.poll_send_one(context))? {}
            ready!(Pin::new(&mut self.socket).poll_ready(context))
                .map_err(|error| self.write_failed(error))?;
            let goodbye = CloseFrame {
                code: CloseCode::Normal,
                reason: "".into(),
            };
            let sent = Pin::new(&mut self.socket).start_send(Message::Close(Some(goodbye)));
            sent.map_err(|error| self.write_failed(error))?;
            self.closing = true;
        }
        match ready!(Pin::new(&mut self.socket).poll_flush(context)) {
            Ok(()) => Poll::Ready(Ok(())),
            Err(error) => match socket_error(&self.peer, error) {
                Some(failure) if !self.closing => Poll::Ready(Err(Error::Transport(failure))),
                _ => Poll::Ready(Ok(())),
            },
        }
    }

    fn write_failed(&mut self, error: tungstenite::Error) -> Error {
        match socket_error(&self.peer, error) {
            Some(failure) => Error::Transport(failure),
            None => self.closed(),
        }
    }

    fn closed(&self) -> Error {
        sorna_core::UsageError::TerminalClosed.into()
    }
}
