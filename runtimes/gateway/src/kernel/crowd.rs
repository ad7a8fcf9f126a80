//! How many programs run at the same time. Each is looked at from time to time, whether it waits for input, which costs some
//! 0.1 ms of a processor: many are looked at more seldom, so that this leaves time for what they print.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// How often a program is looked at in the long run.
const OFTEN: Duration = Duration::from_millis(50);
/// The same where there are very many.
const SELDOM: Duration = Duration::from_millis(300);
/// How many are looked at as often as one alone.
const FEW: u32 = 20;

/// The programs that run.
#[derive(Debug, Default)]
pub(crate) struct Crowd(AtomicU32);

/// One of them, until this is dropped.
#[derive(Debug)]
pub(crate) struct Member(Arc<Crowd>);

impl Crowd {
    /// One more.
    pub(crate) fn join(self: &Arc<Self>) -> Member {
        self.0.fetch_add(1, Ordering::Relaxed);
        Member(Arc::clone(self))
    }

    /// The time between two looks at a program, in the long run.
    pub(crate) fn interval(&self) -> Duration {
        let times = self.0.load(Ordering::Relaxed).div_ceil(FEW).max(1);
        OFTEN.saturating_mul(times).min(SELDOM)
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_programs_are_looked_at_more_seldom() {
        let crowd = Arc::new(Crowd::default());
        let interval = |count| {
            let members: Vec<Member> = (0..count).map(|_| crowd.join()).collect();
            let interval = crowd.interval();
            drop(members);
            interval.as_millis()
        };
        assert_eq!([0, 1, 20].map(interval), [50; 3]);
        assert_eq!([21, 60, 1000].map(interval), [100, 150, 300]);
        assert_eq!(crowd.interval(), OFTEN);
    }
}
