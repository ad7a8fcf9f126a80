//! What the machines have to be told about the world.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use http::HeaderMap;
use sorna_core::{Instant, Moment, RateLimit};

/// This machine's clocks and its chance, for core.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    origin: std::time::Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self {
            origin: std::time::Instant::now(),
        }
    }

    pub(crate) fn now(self) -> Moment {
        // Only spreads retries out, so the keys of a hash map are random enough, and cheap.
        let random = RandomState::new().build_hasher().finish();
        Moment::new(SystemTime::now(), self.instant(), random)
    }

    /// How long it is from now until a machine wants to be woken.
    pub(crate) fn until(self, then: Instant) -> Duration {
        then.saturating_duration_since(self.instant())
    }

    fn instant(self) -> Instant {
        Instant::from_origin(self.origin.elapsed())
    }
}

/// When the gateway's rate-limit window ends, as its answers said: a refusal for the rate limit does
/// not say it.
#[derive(Debug, Default)]
pub(crate) struct Window(Mutex<Option<Instant>>);

impl Window {
    /// This moment, for a machine that an answer with these headers is handed to.
    pub(crate) fn hear(&self, now: Moment, headers: &HeaderMap) -> Moment {
        let mut end = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(left) = RateLimit::from_headers(headers).and_then(|limit| limit.reset) {
            *end = now.instant.checked_add(left);
        }
        now.with_window_end(*end)
    }
}
