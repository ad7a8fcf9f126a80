//! What a machine without I/O needs as arguments: dates, time, randomness.

use std::time::{Duration, SystemTime};

use crate::instant::Instant;

/// A reading of everything that this crate does not read on its own: clocks and a random number.
///
/// Drivers take one each time they poll or feed a machine; tests make up their own.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use sorna_core::{Instant, Moment};
///
/// let start = Moment::new(SystemTime::UNIX_EPOCH, Instant::default(), 7);
/// let later = start.after(Duration::from_secs(2));
/// assert_eq!(later.instant, start.instant + Duration::from_secs(2));
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Moment {
    /// The wall clock, used only for the `Date` header of signed requests.
    pub wall: SystemTime,
    /// The monotonic clock. All readings given to one machine must have the same origin and never go
    /// back.
    pub instant: Instant,
    /// A random number, fresh in each reading; it spreads retries out (full jitter).
    pub random: u64,
}

impl Moment {
    /// Bundles the three readings: the wall clock, the monotonic clock, and a random number of all 64
    /// bits.
    #[must_use]
    pub fn new(wall: SystemTime, instant: Instant, random: u64) -> Self {
        Self {
            wall,
            instant,
            random,
        }
    }

    /// The same reading, `duration` later on both clocks. Meant for tests in virtual time.
    ///
    /// # Panics
    ///
    /// If a clock cannot express the sum.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self {
            wall: self.wall + duration,
            instant: self.instant + duration,
            random: self.random.wrapping_mul(6_364_136_223_846_793_005) ^ 0x5bd1_e995,
        }
    }
}
