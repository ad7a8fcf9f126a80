//! Programs that wait for their input for less than a second each time, such as games and those that have something to do
//! every moment. One such wait is no question: the program may only look whether there is something. But where it recurs,
//! whoever runs the program is to be able to type.

use std::time::{Duration, Instant};

/// For how long such waits must recur.
const RECURRING: Duration = Duration::from_millis(1500);
/// How often they must have been seen.
const OFTEN: u32 = 4;
/// After this time without one, they have ended.
const CALM: Duration = Duration::from_secs(1);

/// What was seen of such waits.
#[derive(Debug, Default)]
pub(super) struct Glances {
    run: Option<Recurring>,
    /// Whether what glances has got the end of its input. At home that is there each time then: nothing is asked any more.
    has_ended: bool,
}

#[derive(Debug)]
struct Recurring {
    process: u32,
    first: Instant,
    last: Instant,
    count: u32,
}

impl Glances {
    /// Notes that this process is in such a wait, and says whether it waits for input.
    pub(super) fn seen(&mut self, process: u32, now: Instant) -> bool {
        if self.has_ended {
            return false;
        }
        let same = self
            .run
            .take()
            .filter(|it| it.process == process && now.saturating_duration_since(it.last) < CALM);
        let mut run = same.unwrap_or(Recurring {
            process,
            first: now,
            last: now,
            count: 0,
        });
        run.last = now;
        run.count = run.count.saturating_add(1);
        let waits = now.saturating_duration_since(run.first) >= RECURRING && run.count >= OFTEN;
        self.run = Some(run);
        waits
    }

    /// Notes that the input has ended.
    pub(super) fn end(&mut self) {
        self.has_ended = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn what_recurs_is_a_question_from_then_on() {
        let (mut glances, begin) = (Glances::default(), Instant::now());
        let mut seen = |at: u32| glances.seen(7, begin + at * MS);
        assert!(!seen(0) && !seen(500) && !seen(1000));
        assert!(seen(1500) && seen(1510) && seen(2400));
        // The program did something else meanwhile.
        assert!(!seen(3500) && !seen(4400));
    }

    #[test]
    fn another_process_and_few_glances_are_none() {
        let (mut glances, begin) = (Glances::default(), Instant::now());
        assert!(!glances.seen(7, begin) && !glances.seen(7, begin + 900 * MS));
        assert!(!glances.seen(7, begin + 1800 * MS));
        assert!(!glances.seen(8, begin + 1810 * MS));
        assert!(!glances.seen(7, begin + 1820 * MS));
    }

    #[test]
    fn nothing_is_asked_after_the_end() {
        let (mut glances, begin) = (Glances::default(), Instant::now());
        for at in 0..20 {
            let _ = glances.seen(7, begin + at * 100 * MS);
        }
        assert!(glances.seen(7, begin + 2000 * MS));
        glances.end();
        assert!(!glances.seen(7, begin + 2100 * MS));
    }
}
