//! What is said of a session of Backend.AI that does not run yet.

use std::time::Duration;

use sorna::SessionPending;

use crate::reporter::Reporter;
use crate::units::time;

/// How long clients wait for a session, unless something else is asked for.
pub(crate) const MAX_WAIT: Duration = Duration::from_secs(600);

/// Where lines stay, it is said once, and once more if the reason is known only later.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PendingLine {
    said: Said,
    /// How long the session is waited for.
    max_wait: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Nothing,
    WithoutReason,
    WithReason,
}

impl PendingLine {
    pub(crate) fn new(max_wait: Duration) -> Self {
        Self {
            said: Said::Nothing,
            max_wait,
        }
    }

    /// Says why it does not run.
    pub(crate) fn show(&mut self, pending: &SessionPending, reporter: &mut Reporter) {
        let status = pending.status.as_str();
        let text = match &pending.status_info {
            Some(reason) => format!("Waiting for the session: {status} ({reason})"),
            None => format!("Waiting for the session: {status}"),
        };
        if reporter.moves() {
            reporter.wait_since(text, pending.waited);
        } else if self.is_news(pending.status_info.is_some()) {
            let most = time(self.max_wait.as_secs_f64() * 1000.0);
            reporter.info(format_args!("{text}, for at most {most}."));
        }
    }

    fn is_news(&mut self, has_reason: bool) -> bool {
        let before = self.said;
        match (before, has_reason) {
            (Said::Nothing | Said::WithoutReason, true) => self.said = Said::WithReason,
            (Said::Nothing, false) => self.said = Said::WithoutReason,
            _ => {}
        }
        before != self.said
    }
}
