//! What the machines have to be told about the world.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{Duration, Instant, SystemTime};

use sorna_core::Moment;

/// This machine's clocks and its chance, for core.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    origin: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self {
            origin: Instant::now(),
        }
    }

    pub(crate) fn now(self) -> Moment {
        // Only spreads retries out, so the keys of a hash map are random enough, and cheap.
        let random = RandomState::new().build_hasher().finish();
        Moment::new(SystemTime::now(), self.origin.elapsed(), random)
    }

    /// How long it is from now until a machine wants to be woken.
    pub(crate) fn until(self, elapsed: Duration) -> Duration {
        elapsed.saturating_sub(self.origin.elapsed())
    }
}
