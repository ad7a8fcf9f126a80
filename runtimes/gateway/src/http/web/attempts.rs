//! Failed logins.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::lock::lock;

/// How many logins of a user may fail in a row, as on web servers of Backend.AI.
const ALLOWED: u32 = 10;
/// How long after the last attempt the next one is allowed.
const BLOCK: Duration = Duration::from_secs(20 * 60);

/// The failed logins of each user who has a key pair.
#[derive(Debug, Default)]
pub(super) struct Attempts(Mutex<HashMap<String, Failed>>);

#[derive(Debug)]
struct Failed {
    times: u32,
    last: Instant,
}

impl Attempts {
    /// Whether the user must wait before the next attempt. Asking is one, and makes the wait longer.
    pub(super) fn is_blocked(&self, user: &str, now: Instant) -> bool {
        let mut all = lock(&self.0);
        let Some(failed) = all.get_mut(user) else {
            return false;
        };
        if now.duration_since(failed.last) > BLOCK {
            all.remove(user);
            return false;
        }
        let is_blocked = failed.times >= ALLOWED;
        if is_blocked {
            failed.last = now;
        }
        is_blocked
    }

    /// Notes an attempt that was allowed.
    pub(super) fn note(&self, user: &str, is_right: bool, now: Instant) {
        let mut all = lock(&self.0);
        if is_right {
            all.remove(user);
            return;
        }
        let failed = all.entry(user.to_owned());
        let failed = failed.or_insert(Failed {
            times: 0,
            last: now,
        });
        failed.times += 1;
        failed.last = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_failures_in_a_row_block_a_user_for_a_while() {
        let attempts = Attempts::default();
        let start = Instant::now();
        let minutes = |count: u64| start + Duration::from_secs(60 * count);
        for _ in 0..9 {
            attempts.note("a", false, start);
        }
        attempts.note("a", true, start);
        for _ in 0..9 {
            attempts.note("a", false, start);
        }
        assert!(!attempts.is_blocked("a", start));
        attempts.note("a", false, start);
        assert!(attempts.is_blocked("a", minutes(19)));
        assert!(!attempts.is_blocked("b", minutes(19)));
        // That was another attempt.
        assert!(attempts.is_blocked("a", minutes(38)));
        assert!(!attempts.is_blocked("a", minutes(59)));
        attempts.note("a", false, minutes(59));
        assert!(!attempts.is_blocked("a", minutes(59)));
    }
}
