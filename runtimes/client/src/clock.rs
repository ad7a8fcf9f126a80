//! Time and randomness, for the machines.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{Duration, SystemTime};

use sorna_core::{Instant, Moment};

/// The clocks and the randomness of this computer, for core.
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

    /// The time from now until a machine wants to be woken.
    pub(crate) fn until(self, then: Instant) -> Duration {
        then.saturating_duration_since(self.instant())
    }

    fn instant(self) -> Instant {
        Instant::from_origin(self.origin.elapsed())
    }
}
