//! How many requests a key may make in a window of time.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName, HeaderValue};
use sorna_core::Dialect;

use crate::lock::lock;

/// The length of a window.
const WINDOW: Duration = Duration::from_secs(15 * 60);

/// Counts the requests of every key. A key's window starts with its first request.
#[derive(Debug)]
pub(crate) struct RateLimiter {
    limit: u64,
    windows: Mutex<HashMap<String, Window>>,
}

#[derive(Clone, Copy, Debug)]
struct Window {
    since: Instant,
    requests: u64,
}

/// How many requests a key has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Allowance {
    limit: u64,
    remaining: u64,
    /// The time until the window ends.
    reset: Duration,
}

impl RateLimiter {
    pub(crate) fn new(limit: u64) -> Self {
        Self {
            limit,
            windows: Mutex::default(),
        }
    }

    /// Counts a request of a known key.
    ///
    /// # Errors
    ///
    /// The limit is exceeded; nothing is left until the window ends.
    pub(crate) fn count(&self, key: &str, now: Instant) -> Result<Allowance, Allowance> {
        let mut windows = lock(&self.windows);
        let new_window = Window {
            since: now,
            requests: 0,
        };
        let window = windows.entry(key.to_owned()).or_insert(new_window);
        if now.duration_since(window.since) >= WINDOW {
            *window = new_window;
        }
        let is_within = window.requests < self.limit;
        window.requests += u64::from(is_within);
        let allowance = Allowance {
            limit: self.limit,
            remaining: self.limit - window.requests,
            reset: WINDOW - now.duration_since(window.since),
        };
        if is_within {
            Ok(allowance)
        } else {
            Err(allowance)
        }
    }
}

impl Allowance {
    /// Adds the rate limit headers, in requests and, in Sorna v2, ms; in Backend.AI in seconds.
    pub(crate) fn add_headers(self, dialect: Dialect, headers: &mut HeaderMap) {
        let reset = match dialect {
            Dialect::BackendAi => self.reset.as_secs(),
            _ => u64::try_from(self.reset.as_millis()).unwrap_or(u64::MAX),
        };
        let window = (dialect == Dialect::BackendAi).then_some(WINDOW.as_secs());
        for (name, number) in [
            ("x-ratelimit-limit", Some(self.limit)),
            ("x-ratelimit-remaining", Some(self.remaining)),
            ("x-ratelimit-reset", Some(reset)),
            ("x-ratelimit-window", window),
        ] {
            if let Some(number) = number {
                headers.insert(HeaderName::from_static(name), HeaderValue::from(number));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn windows_are_per_key_and_end() {
        let limiter = RateLimiter::new(2);
        let start = Instant::now();
        let minute = Duration::from_secs(60);
        assert_eq!(limiter.count("a", start).unwrap().remaining, 1);
        let second = limiter.count("a", start + minute).unwrap();
        assert_eq!((second.remaining, second.reset), (0, 14 * minute));
        let refused = limiter.count("a", start + 2 * minute).unwrap_err();
        assert_eq!((refused.remaining, refused.reset), (0, 13 * minute));
        assert!(limiter.count("b", start + 2 * minute).is_ok());
        assert_eq!(
            limiter.count("a", start + 15 * minute).unwrap().remaining,
            1
        );
    }
}
