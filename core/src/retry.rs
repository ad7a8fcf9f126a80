//! When and how often a call retries.

use std::time::Duration;

/// When to retry, how often, and for how long.
///
/// The waiting time is random between zero and a bound that doubles with each attempt ("full jitter"),
/// unless the gateway said how long to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    attempts: u32,
    first_backoff: Duration,
    max_backoff: Duration,
    attempt_limit: Duration,
    budget: Duration,
    upload_rate: u64,
}

impl Default for RetryPolicy {
    /// Five attempts, waiting up to 0.2, 0.4, 0.8, 1.6 s between them; 60 s for one attempt; 2 min in all;
    /// 1 s more for each 64 KiB of the request's body.
    fn default() -> Self {
        Self {
            attempts: 5,
            first_backoff: Duration::from_millis(200),
            max_backoff: Duration::from_secs(10),
            attempt_limit: Duration::from_secs(60),
            budget: Duration::from_secs(120),
            upload_rate: 64 * 1024,
        }
    }
}

impl RetryPolicy {
    /// The defaults: see [`Default`](Self::default).
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One attempt.
    #[must_use]
    pub fn never() -> Self {
        Self::default().with_attempts(1)
    }

    /// At most this many attempts, the first included; 0 counts as 1.
    #[must_use]
    pub fn with_attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    /// At most this much time for one attempt, from connecting to the last byte of the response.
    #[must_use]
    pub fn with_attempt_limit(mut self, limit: Duration) -> Self {
        self.attempt_limit = limit;
        self
    }

    /// At most this much time for the whole call, attempts and waiting together. If a wait would
    /// exceed it, the last failure is reported at once.
    #[must_use]
    pub fn with_budget(mut self, budget: Duration) -> Self {
        self.budget = budget;
        self
    }

    /// Waits up to `first` before the second attempt, and never more than `most` before a later one.
    #[must_use]
    pub fn with_backoff(mut self, first: Duration, most: Duration) -> Self {
        self.first_backoff = first;
        self.max_backoff = most;
        self
    }

    /// Waits for uploads of at least this many bytes a second: both limits are longer by the time that the
    /// request's body takes at this rate. 0 counts as 1.
    #[must_use]
    pub fn with_upload_rate(mut self, rate: u64) -> Self {
        self.upload_rate = rate.max(1);
        self
    }

    /// The most attempts, the first included.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// The longest wait before the second attempt.
    #[must_use]
    pub fn first_backoff(&self) -> Duration {
        self.first_backoff
    }

    /// The longest wait before a later attempt.
    #[must_use]
    pub fn max_backoff(&self) -> Duration {
        self.max_backoff
    }

    /// The time for one attempt.
    #[must_use]
    pub fn attempt_limit(&self) -> Duration {
        self.attempt_limit
    }

    /// The time for the whole call.
    #[must_use]
    pub fn budget(&self) -> Duration {
        self.budget
    }

    /// The slowest upload that has enough time, in bytes a second.
    #[must_use]
    pub fn upload_rate(&self) -> u64 {
        self.upload_rate
    }

    /// How much longer a request may take because of its body.
    pub(crate) fn allowance(&self, body: u64) -> Duration {
        Duration::from_millis(body.saturating_mul(1000) / self.upload_rate)
    }

    /// The waiting time after the given number of attempts.
    pub(crate) fn backoff(&self, tries: u32, random: u64) -> Duration {
        let doublings = tries.saturating_sub(1).min(31);
        let bound = self
            .first_backoff
            .saturating_mul(1 << doublings)
            .min(self.max_backoff);
        let nanoseconds = u64::try_from(bound.as_nanos()).unwrap_or(u64::MAX);
        let scaled = (u128::from(nanoseconds) * u128::from(random)) >> 64;
        Duration::from_nanos(u64::try_from(scaled).expect("a 64-bit number scaled down"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_up_to_its_bound() {
        let policy = RetryPolicy::default();
        let most = |tries| policy.backoff(tries, u64::MAX).as_millis();
        assert_eq!([most(1), most(2), most(3)], [199, 399, 799]);
        assert_eq!(most(20), 9_999);
        assert_eq!(most(u32::MAX), 9_999);
        assert_eq!(policy.backoff(3, 0), Duration::ZERO);
        assert_eq!(policy.backoff(1, u64::MAX / 2 + 1).as_millis(), 100);
    }
}
