//! Counts the work in the background.

use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use crate::lock::lock;

/// How much work runs in the background, and which wakers wait for its end.
#[derive(Clone, Debug, Default)]
pub(super) struct Background(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    running: usize,
    waiting: Vec<Waker>,
}

/// A piece of work; dropping this means that it is done, or given up.
#[derive(Debug)]
pub(super) struct Work(Background);

impl Background {
    /// Counts a piece of work.
    pub(super) fn begin(&self) -> Work {
        lock(&self.0).running += 1;
        Work(self.clone())
    }

    /// Waits until there is no such work.
    pub(super) fn poll_settled(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut state = lock(&self.0);
        if state.running == 0 {
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
}

impl Drop for Work {
    fn drop(&mut self) {
        let mut state = lock(&self.0.0);
        state.running -= 1;
        if state.running > 0 {
            return;
        }
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        for waker in waiting {
            waker.wake();
        }
    }
}
