//! Points in time on a machine's clock.

use std::ops::{Add, AddAssign};
use std::time::Duration;

/// A point in time on the monotonic clock of one machine.
///
/// Like [`std::time::Instant`], but created from a duration, since this crate reads no clock: the
/// driver chooses an origin and passes the time since then. Instants compare only with those of the
/// same origin.
///
/// ```
/// use std::time::Duration;
/// use sorna_core::Instant;
///
/// let start = Instant::from_origin(Duration::from_secs(5));
/// let later = start + Duration::from_secs(2);
/// assert!(later > start);
/// assert_eq!(later.saturating_duration_since(start), Duration::from_secs(2));
/// assert_eq!(start.saturating_duration_since(later), Duration::ZERO);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(Duration);

impl Instant {
    /// The instant this long after the origin.
    #[must_use]
    pub const fn from_origin(elapsed: Duration) -> Self {
        Self(elapsed)
    }

    /// The time from the origin to this instant.
    #[must_use]
    pub const fn since_origin(self) -> Duration {
        self.0
    }

    /// The time from `earlier` to this instant, or zero if `earlier` is later.
    #[must_use]
    pub const fn saturating_duration_since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// The instant `duration` later, or `None` if the clock cannot express it.
    #[must_use]
    pub const fn checked_add(self, duration: Duration) -> Option<Self> {
        match self.0.checked_add(duration) {
            Some(elapsed) => Some(Self(elapsed)),
            None => None,
        }
    }

    /// The instant `duration` later, or the last one that the clock can express.
    #[must_use]
    pub const fn saturating_add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration))
    }
}

/// # Panics
///
/// If the clock cannot express the sum.
impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0 + duration)
    }
}

/// # Panics
///
/// If the clock cannot express the sum.
impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_past_the_end_of_the_clock_are_detected() {
        let end = Instant::from_origin(Duration::MAX);
        let second = Duration::from_secs(1);
        assert_eq!(end.checked_add(second), None);
        assert_eq!(end.saturating_add(second), end);
        let start = Instant::default();
        assert_eq!(start.checked_add(second), Some(start + second));
        assert_eq!((start + second).since_origin(), second);
    }
}
