//! A time limit that the command keeps itself.
//!
//! Gateway 0.9.11 takes `execTimeout`, and lets programs run on.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::failure::Failure;
use crate::lock::lock;
use crate::threads::start;

/// How much later than the limit: a gateway that keeps it should be the one that ends the program.
const GRACE: Duration = Duration::from_secs(1);

/// How long to wait then for the response in flight, with what the program has printed: gateway 0.9.11 sends it after 2 s.
const LAST_OUTPUT: Duration = Duration::from_millis(2500);

/// Watches how long programs run, on a thread of its own.
#[derive(Debug, Default)]
pub(super) struct OwnLimit(Option<Arc<Shared>>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    /// No program runs, or it waits for input.
    #[default]
    Paused,
    Until(Instant),
    Exceeded,
}

impl OwnLimit {
    /// Calls `stop` some time after a program has exceeded its limit, unless the command has ended by then.
    pub(super) fn watch(stop: impl FnOnce() + Send + 'static) -> Result<Self, Failure> {
        let shared = Arc::<Shared>::default();
        let watched = Arc::clone(&shared);
        start("time limit", move || {
            watched.wait();
            thread::sleep(LAST_OUTPUT);
            stop();
        })?;
        Ok(Self(Some(shared)))
    }

    /// A program starts, or goes on with the input that it has waited for.
    pub(super) fn begin(&self, limit: Duration) {
        // A limit that no clock reaches is none.
        if let Some(until) = Instant::now().checked_add(limit.saturating_add(GRACE)) {
            self.set(State::Until(until));
        }
    }

    /// The program has ended, or waits for input.
    pub(super) fn pause(&self) {
        self.set(State::Paused);
    }

    /// Whether a program has exceeded it.
    pub(super) fn is_exceeded(&self) -> bool {
        let is_exceeded = |shared: &Arc<Shared>| matches!(*lock(&shared.state), State::Exceeded);
        self.0.as_ref().is_some_and(is_exceeded)
    }

    fn set(&self, new: State) {
        if let Some(shared) = &self.0 {
            let mut state = lock(&shared.state);
            if !matches!(*state, State::Exceeded) {
                *state = new;
                shared.changed.notify_one();
            }
        }
    }
}

impl Shared {
    /// Waits until a program runs for too long.
    fn wait(&self) {
        let mut state = lock(&self.state);
        loop {
            state = match *state {
                State::Until(until) => {
                    let left = until.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        *state = State::Exceeded;
                        return;
                    }
                    let waited = self.changed.wait_timeout(state, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                State::Paused | State::Exceeded => {
                    let waited = self.changed.wait(state);
                    waited.unwrap_or_else(PoisonError::into_inner)
                }
            };
        }
    }
}
