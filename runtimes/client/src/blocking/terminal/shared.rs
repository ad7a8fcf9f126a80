//! What a terminal's thread and its callers share. This is the thread's side; the callers' is in
//! `caller`.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use sorna_core::terminal::{Frame, Outgoing, Terminal};
use sorna_core::{Instant, Moment, Sent, TransportError, TransportErrorKind};
use tungstenite::Message;

use super::queue::EventQueue;
use super::wait::Waker;

#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    /// There is something to read, or nothing more will come.
    pub(super) readable: Condvar,
    /// There is room for typing, something was sent, or nothing more will be.
    pub(super) writable: Condvar,
    waker: Waker,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) terminal: Terminal,
    pub(super) events: EventQueue,
    /// Comes after the events.
    pub(super) failure: Option<TransportError>,
    /// The failure once more, for those who are waiting to write.
    pub(super) broken: Option<(TransportErrorKind, String)>,
    /// Counts what the callers asked to send; `done` is how much of it has been sent.
    pub(super) asked: u64,
    pub(super) done: u64,
    pub(super) goodbye: Goodbye,
    /// The thread is through.
    pub(super) ended: bool,
    /// Whether anybody reads, and how many may write.
    pub(super) reader: bool,
    pub(super) writers: usize,
    thread: Thread,
}

/// How far the goodbye of this side is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Goodbye {
    Unsaid,
    Asked,
    Written,
    Sent,
}

/// What the thread does, as far as its callers must know.
#[derive(Debug, Default)]
struct Thread {
    /// There is something new for it, since it last looked.
    work: bool,
    /// It waits, and must be woken.
    asleep: bool,
    /// It does not read, since there is no room.
    stalled: bool,
}

/// What is to be sent next.
#[derive(Debug)]
pub(super) enum Next {
    Message(Message),
    Goodbye,
    /// Nothing before this time.
    Wait(Instant),
    /// Nothing any more.
    Nothing,
}

impl Shared {
    pub(super) fn new(terminal: Terminal, waker: Waker) -> Self {
        Self {
            state: Mutex::new(State {
                terminal,
                events: EventQueue::default(),
                failure: None,
                broken: None,
                asked: 0,
                done: 0,
                goodbye: Goodbye::Unsaid,
                ended: false,
                reader: true,
                writers: 1,
                thread: Thread::default(),
            }),
            readable: Condvar::new(),
            writable: Condvar::new(),
            waker,
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics halfway through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the thread that there is something for it.
    pub(super) fn rouse(&self, state: &mut State) {
        state.thread.work = true;
        if std::mem::take(&mut state.thread.asleep) {
            self.waker.wake();
        }
    }

    /// Tells the thread that there is room again, if it waits for that.
    pub(super) fn rouse_if_stalled(&self, state: &mut State) {
        if state.thread.stalled && (state.events.is_half_empty() || !state.reader) {
            state.thread.stalled = false;
            self.rouse(state);
        }
    }

    /// The next frame. Everything that was handed out before has been sent.
    pub(super) fn next_outgoing(&self, now: Moment) -> Next {
        let mut state = self.lock();
        if state.goodbye >= Goodbye::Written {
            state.goodbye = Goodbye::Sent;
            self.writable.notify_all();
            return Next::Nothing;
        }
        match state.terminal.poll_outgoing(now) {
            Outgoing::Send(frame) => {
                self.writable.notify_all();
                match frame {
                    Frame::Text(text) => Next::Message(Message::text(text)),
                    Frame::Binary(bytes) => Next::Message(Message::binary(bytes)),
                    _ => Next::Nothing,
                }
            }
            // Typing and restarts may be held back for a while; the next ping is not asked for.
            Outgoing::Wait(until)
                if state.terminal.queued() > 0 || state.terminal.next_ping() != Some(until) =>
            {
                Next::Wait(until)
            }
            outgoing => {
                if state.done != state.asked {
                    state.done = state.asked;
                    self.writable.notify_all();
                }
                match outgoing {
                    Outgoing::Wait(_) if state.goodbye == Goodbye::Asked => {
                        state.goodbye = Goodbye::Written;
                        Next::Goodbye
                    }
                    Outgoing::Wait(until) => Next::Wait(until),
                    _ => Next::Nothing,
                }
            }
        }
    }

    /// Whether more may be read. What nobody will take needs no room.
    pub(super) fn has_room(&self) -> bool {
        let state = self.lock();
        state.events.has_room() || !state.reader
    }

    /// A message came. The reader is told of it by [`show`](Self::show).
    pub(super) fn arrived(&self, now: Moment, frame: Frame) {
        let mut state = self.lock();
        state.terminal.handle_frame(now, frame);
        state.gather();
    }

    /// Tells the reader of what has arrived: once for many messages, as waking it takes longer than
    /// reading one.
    pub(super) fn show(&self) {
        self.readable.notify_all();
    }

    /// The gateway closed the terminal, or it was agreed to.
    pub(super) fn closed(&self, code: Option<u16>, reason: &str) {
        let mut state = self.lock();
        state.terminal.handle_close(code, reason);
        self.publish(&mut state);
        self.writable.notify_all();
    }

    /// The connection is of no use any more. After a goodbye that is just the end.
    pub(super) fn failed(&self, failure: TransportError) {
        let mut state = self.lock();
        if state.goodbye >= Goodbye::Written {
            state.terminal.handle_close(None, "");
            return self.publish(&mut state);
        }
        if !state.terminal.is_closed() {
            state.terminal.handle_close(None, "");
            // The failure says it, and better.
            while state.terminal.poll_event().is_some() {}
            state.broken = Some((failure.kind(), failure.to_string()));
            state.failure = Some(failure);
        }
    }

    fn publish(&self, state: &mut State) {
        state.gather();
        self.show();
    }

    /// Whether nobody is left who could read or write.
    pub(super) fn is_abandoned(&self) -> bool {
        let state = self.lock();
        !state.reader && state.writers == 0
    }

    /// The thread is about to wait; false if there is something new for it. If it does not read for
    /// want of room, it is told once there is some.
    pub(super) fn fall_asleep(&self, stalled: bool) -> bool {
        let mut state = self.lock();
        let room = state.events.has_room() || !state.reader;
        if std::mem::take(&mut state.thread.work) || (stalled && room) {
            return false;
        }
        state.thread.stalled = stalled;
        state.thread.asleep = true;
        true
    }

    /// The thread does not wait any more.
    pub(super) fn wake_up(&self) {
        let mut state = self.lock();
        state.thread.asleep = false;
        state.thread.stalled = false;
    }
}

impl State {
    /// Takes the machine's events for the reader.
    fn gather(&mut self) {
        while let Some(event) = self.terminal.poll_event() {
            if self.reader {
                self.events.push(event);
            }
        }
    }

    /// Whether nothing more will be read or written.
    pub(super) fn is_over(&self) -> bool {
        self.terminal.is_closed() || self.ended
    }

    /// The failure, for somebody who was waiting when it happened.
    pub(super) fn broken(&self) -> Option<TransportError> {
        let (kind, message) = self.broken.as_ref()?;
        Some(TransportError::new(*kind, Sent::Maybe, message.clone()))
    }
}

/// Lets everybody know that the thread is through, however that came about.
#[derive(Debug)]
pub(super) struct Ending(pub(super) Arc<Shared>);

impl Drop for Ending {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.ended = true;
        drop(state);
        self.0.readable.notify_all();
        self.0.writable.notify_all();
    }
}
