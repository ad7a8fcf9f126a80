//! Whether a kernel is in use.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::handle::Kernel;
use super::state::Phase;

impl Kernel {
    /// For how long it has not been in use; zero while it is.
    ///
    /// It is while a request waits, something runs, or a terminal is attached, and it was when something was last printed.
    /// A program that waits for a client, to give it input or to fetch what it has printed, waits in vain if there is none:
    /// it does not run. Nor does what is left in the background by itself.
    pub(crate) fn idle(&self) -> Duration {
        let has_terminal = self
            .terminal()
            .as_ref()
            .is_some_and(|hub| hub.has_clients());
        let most = self.setup.console_limit;
        let state = self.shared.lock();
        let has_room = state.console.text_len() < state.limit(most);
        let runs = state.phase == Phase::Running && has_room;
        // It does not wait for anybody, but for input until its time is over.
        let runs = runs || (state.is_detached && !state.is_settled());
        if has_terminal || runs || state.listeners > 0 {
            Duration::ZERO
        } else {
            state.used.elapsed()
        }
    }

    /// For how long it may not be in use, if its client has said so.
    pub(crate) fn idle_timeout(&self) -> Option<Duration> {
        let ms = self.idle_ms.load(Ordering::Relaxed);
        (ms > 0).then(|| Duration::from_millis(ms))
    }

    /// Sets for how long it may not be in use: some ms.
    pub(crate) fn set_idle_timeout(&self, time: Duration) {
        let ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.idle_ms.store(ms, Ordering::Relaxed);
    }

    /// Notes that the client is active.
    pub(crate) fn touch(&self) {
        self.shared.lock().used = Instant::now();
    }
}
