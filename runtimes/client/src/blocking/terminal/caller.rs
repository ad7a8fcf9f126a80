//! What a terminal's callers do to the state that they share with its thread.

use std::sync::{Condvar, MutexGuard, PoisonError};
use std::time::Instant;

use sorna_core::terminal::{Terminal, TerminalEvent};
use sorna_core::{Error, Sent, TransportError, TransportErrorKind, UsageError};

use super::shared::{Goodbye, Shared, State};
use crate::terminal::QUEUE;

fn wait<'a>(condition: &Condvar, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
    condition
        .wait(state)
        .unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// Waits for the next event; `None` after the end.
    pub(super) fn next_event(&self) -> Result<Option<TerminalEvent>, Error> {
        let mut state = self.lock();
        loop {
            if let Some(event) = state.events.pop() {
                self.rouse_if_stalled(&mut state);
                return Ok(Some(event));
            }
            if let Some(failure) = state.failure.take() {
                return Err(Error::Transport(failure));
            }
            if state.is_over() {
                return Ok(None);
            }
            state = wait(&self.readable, state);
        }
    }

    /// Types as many bytes as there is room for; waits until there is some.
    pub(super) fn take(&self, bytes: &[u8]) -> Result<usize, Error> {
        let state = self.open()?;
        let (_state, taken) = self.take_some(state, bytes)?;
        Ok(taken)
    }

    /// Types all bytes, and waits until they are sent.
    pub(super) fn take_all(&self, mut bytes: &[u8]) -> Result<(), Error> {
        let mut state = self.open()?;
        while !bytes.is_empty() {
            let taken;
            (state, taken) = self.take_some(state, bytes)?;
            bytes = &bytes[taken..];
        }
        self.sent(state)
    }

    fn take_some<'a>(
        &self,
        mut state: MutexGuard<'a, State>,
        bytes: &[u8],
    ) -> Result<(MutexGuard<'a, State>, usize), Error> {
        while state.terminal.queued() >= QUEUE {
            state = wait(&self.writable, state);
            if state.is_over() {
                return Err(state.cut());
            }
        }
        let taken = bytes.len().min(QUEUE);
        state.terminal.stdin(&bytes[..taken]);
        state.asked += 1;
        self.rouse(&mut state);
        Ok((state, taken))
    }

    /// Gives the terminal something to send, and waits until it is sent.
    pub(super) fn command(&self, give: impl FnOnce(&mut Terminal)) -> Result<(), Error> {
        let mut state = self.open()?;
        give(&mut state.terminal);
        state.asked += 1;
        self.rouse(&mut state);
        self.sent(state)
    }

    /// Waits until all that was given so far is sent.
    pub(super) fn flush(&self) -> Result<(), Error> {
        let state = self.lock();
        self.sent(state)
    }

    fn sent(&self, mut state: MutexGuard<'_, State>) -> Result<(), Error> {
        let mine = state.asked;
        while state.done < mine {
            if state.is_over() {
                return Err(state.cut());
            }
            state = wait(&self.writable, state);
        }
        Ok(())
    }

    /// The state, if something can still be sent.
    fn open(&self) -> Result<MutexGuard<'_, State>, Error> {
        let state = self.lock();
        if state.is_over() || state.goodbye > Goodbye::Unsaid {
            return Err(UsageError::TerminalClosed.into());
        }
        Ok(state)
    }

    /// Says goodbye, after all that was given so far, and waits until that is sent.
    pub(super) fn close(&self) -> Result<(), Error> {
        let mut state = self.lock();
        self.say_goodbye(&mut state);
        while state.goodbye < Goodbye::Sent && !state.is_over() {
            state = wait(&self.writable, state);
        }
        state.parted()
    }

    /// As [`close`](Self::close), and waits until the thread is through; not for long.
    pub(super) fn part(&self, until: Instant) -> Result<(), Error> {
        let mut state = self.lock();
        self.say_goodbye(&mut state);
        self.stop_reading(&mut state);
        while !state.ended {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let waited = self.writable.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        if state.goodbye < Goodbye::Sent && !state.is_over() {
            let message = "the terminal was closed without a goodbye: the gateway takes nothing";
            let kind = TransportErrorKind::Timeout;
            return Err(Error::Transport(TransportError::new(
                kind,
                Sent::Maybe,
                message,
            )));
        }
        state.parted()
    }

    fn say_goodbye(&self, state: &mut State) {
        if state.goodbye == Goodbye::Unsaid && !state.is_over() {
            state.goodbye = Goodbye::Asked;
            self.rouse(state);
        }
    }

    /// What comes from now on is thrown away.
    fn stop_reading(&self, state: &mut State) {
        state.reader = false;
        state.events.clear();
        self.rouse_if_stalled(state);
    }

    pub(super) fn drop_reader(&self) {
        let mut state = self.lock();
        self.stop_reading(&mut state);
        self.rouse(&mut state);
    }

    pub(super) fn add_writer(&self) {
        self.lock().writers += 1;
    }

    pub(super) fn drop_writer(&self) {
        let mut state = self.lock();
        state.writers -= 1;
        self.rouse(&mut state);
    }
}

impl State {
    /// Why somebody waits in vain.
    fn cut(&self) -> Error {
        match self.broken() {
            Some(failure) => Error::Transport(failure),
            None => UsageError::TerminalClosed.into(),
        }
    }

    fn parted(&self) -> Result<(), Error> {
        match self.broken() {
            Some(failure) => Err(Error::Transport(failure)),
            None => Ok(()),
        }
    }
}
