//! When output of a program that keeps running is sent: soon, so that people see it as it is written, but not each piece in a
//! response of its own.

use std::time::{Duration, Instant};

/// How long more output is awaited after the first piece, since one statement often writes several.
const LEAST: Duration = Duration::from_millis(10);
/// The most time between two responses to a program that prints all the time, where the client is one of this project.
const MOST: Duration = Duration::from_millis(40);
/// The most for other clients. That of 2017 asks again at once, and had no response within 2 s unless a program ended: it must
/// not be driven into a flood of requests.
const MOST_OF_OTHERS: Duration = Duration::from_millis(250);
/// After this time without output, a program does not print all the time.
const CALM: Duration = Duration::from_secs(1);

/// How output is gathered: at least twice as long after the output before, each time, while there is more of it all the time.
#[derive(Debug, Default)]
pub(crate) struct Gathering {
    /// When output was last sent, and the least time until it is sent again.
    last: Option<(Instant, Duration)>,
}

impl Gathering {
    /// For how long output that has just come is to be gathered.
    pub(crate) fn time(&self, now: Instant) -> Duration {
        let rest = self.last.map_or(Duration::ZERO, |(sent, interval)| {
            (sent + interval).saturating_duration_since(now)
        });
        rest.max(LEAST)
    }

    /// Notes that output is sent.
    pub(crate) fn sent(&mut self, now: Instant, is_marked: bool) {
        let most = if is_marked { MOST } else { MOST_OF_OTHERS };
        let interval = match self.last {
            Some((sent, interval)) if now.saturating_duration_since(sent) < CALM => {
                interval.saturating_mul(2).min(most)
            }
            _ => LEAST,
        };
        self.last = Some((now, interval));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn output_is_sent_ever_more_seldom_while_there_is_more_of_it() {
        for (is_marked, intervals) in [
            (true, &[10, 20, 40, 40][..]),
            (false, &[10, 20, 40, 80, 160, 250, 250]),
        ] {
            let mut gathering = Gathering::default();
            let mut now = Instant::now();
            assert_eq!(gathering.time(now), LEAST);
            for interval in intervals {
                gathering.sent(now, is_marked);
                now += MS;
                let rest = *interval * MS - MS;
                assert_eq!(gathering.time(now), rest.max(LEAST));
                now += rest;
                assert_eq!(gathering.time(now), LEAST);
            }
            now += CALM;
            gathering.sent(now, is_marked);
            assert_eq!(gathering.time(now), LEAST);
        }
    }
}
