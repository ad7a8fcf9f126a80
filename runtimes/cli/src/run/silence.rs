//! A word about programs that print nothing for long.
//!
//! Managers of Backend.AI never report that a program has ended its interpreter, as `os._exit()` and crashes do (observed
//! on 23.09.10 and 26.9.6). That looks like a program that works silently, which it may be: only the user can know.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::failure::Failure;
use crate::lock::lock;
use crate::threads::start;

/// Watches how long programs print nothing, on a thread of its own.
#[derive(Debug, Default)]
pub(super) struct Silence(Option<Arc<Shared>>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    /// Since when the program prints nothing; `None` while none runs, or it waits for input.
    since: Option<Instant>,
    /// Whether that was said of this program.
    said: bool,
}

impl Silence {
    /// Calls `say` once for each program that prints nothing for this long, if `matters` then holds.
    pub(super) fn watch(
        after: Duration,
        matters: impl Fn() -> bool + Send + 'static,
        mut say: impl FnMut() + Send + 'static,
    ) -> Result<Self, Failure> {
        let shared = Arc::<Shared>::default();
        let watched = Arc::clone(&shared);
        start("silence", move || {
            loop {
                let since = watched.wait_for(after);
                // Not under the lock: it may take a request.
                let matters = matters();
                let mut state = lock(&watched.state);
                // Under the lock, so that what the program prints meanwhile comes after it.
                if state.since == Some(since) {
                    state.said = true;
                    if matters {
                        say();
                    }
                }
            }
        })?;
        Ok(Self(Some(shared)))
    }

    /// Another program starts.
    pub(super) fn start(&self) {
        self.set(|_| State {
            since: Some(Instant::now()),
            said: false,
        });
    }

    /// The program has printed something, or was given input.
    pub(super) fn is_broken(&self) {
        self.set(|state| State {
            since: Some(Instant::now()),
            ..state
        });
    }

    /// The program has ended, or waits for input.
    pub(super) fn pause(&self) {
        self.set(|state| State {
            since: None,
            ..state
        });
    }

    fn set(&self, change: impl FnOnce(State) -> State) {
        if let Some(shared) = &self.0 {
            let mut state = lock(&shared.state);
            *state = change(*state);
            shared.changed.notify_one();
        }
    }
}

impl Shared {
    /// Waits until a program has printed nothing for this long, and that was not said yet; returns since when.
    fn wait_for(&self, long: Duration) -> Instant {
        let mut state = lock(&self.state);
        loop {
            state = match state.since.filter(|_| !state.said) {
                Some(since) => {
                    let left = long.saturating_sub(since.elapsed());
                    if left.is_zero() {
                        return since;
                    }
                    let waited = self.changed.wait_timeout(state, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => {
                    let waited = self.changed.wait(state);
                    waited.unwrap_or_else(PoisonError::into_inner)
                }
            };
        }
    }
}
