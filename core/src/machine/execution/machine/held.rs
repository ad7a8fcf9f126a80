//! An execution whose turn has not come.

use std::time::Duration;

use crate::instant::Instant;
use crate::ops::Execute;

/// For how long a kernel is waited for.
#[derive(Clone, Copy, Debug)]
pub(super) struct BusyWait {
    pub(super) limit: Duration,
    /// When it was first found to be busy.
    pub(super) since: Option<Instant>,
}

impl BusyWait {
    /// When the wait is over, if it ends.
    pub(super) fn end(self, now: Instant) -> Instant {
        self.since.unwrap_or(now).saturating_add(self.limit)
    }
}

/// An execution whose turn has not come.
#[derive(Debug)]
pub(in crate::machine::execution) struct Held {
    pub(super) until: Instant,
    pub(super) start: Execute,
}
