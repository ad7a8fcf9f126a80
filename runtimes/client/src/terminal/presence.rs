//! Which tasks use a terminal, for its [`StandIn`](super::stand_in::StandIn).

use std::task::{Context, Waker};
use std::time::Instant;

use crate::net::BoxFuture;

/// Which tasks use a terminal, and what its stand-in waits for.
pub(super) struct Presence {
    pub(super) reader: Reader,
    writers: usize,
    /// Something was typed and its writer does not wait until it is sent.
    pub(super) unsent: bool,
    /// The stand-in's timer.
    pub(super) timer: Option<BoxFuture<()>>,
    stand_in: Option<Waker>,
    /// The stand-in waits only to be woken, not for a message.
    pub(super) rests: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    /// The reader waits for an event; meanwhile it receives messages and sends pings.
    Waits,
    /// The reader has been doing something else since this time.
    Away(Instant),
    /// The reader is dropped: output is discarded.
    Gone,
}

impl Presence {
    /// A reader that is away, and one writer.
    pub(super) fn new() -> Self {
        Self {
            reader: Reader::Away(Instant::now()),
            writers: 1,
            unsent: false,
            timer: None,
            stand_in: None,
            rests: false,
        }
    }

    pub(super) fn reader_waits(&mut self) {
        self.reader = Reader::Waits;
    }

    pub(super) fn reader_leaves(&mut self) {
        self.reader = Reader::Away(Instant::now());
        if self.rests {
            self.wake();
        }
    }

    pub(super) fn drop_reader(&mut self) {
        self.reader = Reader::Gone;
        self.wake();
    }

    pub(super) fn add_writer(&mut self) {
        self.writers += 1;
    }

    pub(super) fn drop_writer(&mut self) {
        self.writers -= 1;
        self.wake();
    }

    /// Whether both halves are dropped.
    pub(super) fn is_over(&self) -> bool {
        self.reader == Reader::Gone && self.writers == 0
    }

    /// Lets the stand-in send what was typed.
    pub(super) fn leave_unsent(&mut self) {
        self.unsent = true;
        self.wake();
    }

    /// Notes that the stand-in was polled and wants to be woken through this context.
    pub(super) fn stand_in_works(&mut self, context: &Context<'_>) {
        self.rests = false;
        let waker = context.waker();
        if !self.stand_in.as_ref().is_some_and(|w| w.will_wake(waker)) {
            self.stand_in = Some(waker.clone());
        }
    }

    fn wake(&mut self) {
        self.rests = false;
        if let Some(stand_in) = &self.stand_in {
            stand_in.wake_by_ref();
        }
    }
}
