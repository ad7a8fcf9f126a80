//! When a terminal is ready for what is typed.

use std::time::Duration;

use crate::instant::Instant;

/// How long typing is held back after the start, unless output comes first. Gateway 0.9.11 loses
/// typed bytes right after the handshake about half the time.
pub(super) const SETTLING: Duration = Duration::from_millis(200);

/// How long after a restart an empty input is sent. Gateway 0.9.11 loses the first input after a restart, and shows nothing
/// until then. An empty one does, too, but not in the first 0.2 s; after 0.4 s it did.
pub(super) const RESTARTING: Duration = Duration::from_millis(500);

/// How long typing is held back after that, unless output comes first: 0.2 s was enough.
pub(super) const WAKING: Duration = Duration::from_millis(300);

/// Whether typing is sent, or until when it is held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Readiness {
    /// The terminal was just opened.
    Settling(Instant),
    /// The kernel was just restarted. Output is of the old one, or of a gateway that loses nothing: it proves nothing.
    Restarting(Instant),
    /// The new kernel was sent an empty input.
    Waking(Instant),
    Ready,
}

impl Readiness {
    /// When something changes if nothing happens.
    pub(super) fn until(self) -> Option<Instant> {
        match self {
            Self::Settling(until) | Self::Restarting(until) | Self::Waking(until) => Some(until),
            Self::Ready => None,
        }
    }

    /// Notes the time. True if the empty input is due.
    pub(super) fn wakes_at(&mut self, now: Instant) -> bool {
        if self.until().is_none_or(|until| now < until) {
            return false;
        }
        let wakes = matches!(self, Self::Restarting(_));
        *self = match wakes {
            true => Self::Waking(now.saturating_add(WAKING)),
            false => Self::Ready,
        };
        wakes
    }

    /// Notes output.
    pub(super) fn is_shown(&mut self) {
        if !matches!(self, Self::Restarting(_)) {
            *self = Self::Ready;
        }
    }
}
