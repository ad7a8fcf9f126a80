//! What was left to the background, counted.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// How much work goes on in the background, and who waits for its end.
#[derive(Clone, Debug, Default)]
pub(super) struct Background(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    going_on: usize,
    waiting: Vec<Waker>,
}

/// A piece of work; it is done, or given up, when this is dropped.
#[derive(Debug)]
pub(super) struct Work(Background);

impl Background {
    /// Counts a piece of work.
    pub(super) fn begin(&self) -> Work {
        self.lock().going_on += 1;
        Work(self.clone())
    }

    /// Waits until there is none.
    pub(super) fn poll_settled(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if state.going_on == 0 {
            return Poll::Ready(());
        }
        if !state
            .waiting
            .iter()
            .any(|waker| waker.will_wake(context.waker()))
        {
            state.waiting.push(context.waker().clone());
        }
        Poll::Pending
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.going_on -= 1;
        if state.going_on > 0 {
            return;
        }
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        for waker in waiting {
            waker.wake();
        }
    }
}
