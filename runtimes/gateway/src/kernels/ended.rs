//! Why kernels have ended, for those who still ask for them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use sorna_core::KernelId;

use crate::kernel::Log;

/// How many kernels that have ended are remembered.
const REMEMBERED: usize = 256;
/// Of how many their output is kept, so that those who follow it miss nothing of its end.
const WITH_LOGS: usize = 16;

/// Why a kernel ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Nothing ran in it, printed or was attached for so long.
    Idle(Duration),
    /// Its access key is not accepted any more.
    Revoked,
    /// It far exceeded a limit.
    Exceeded(String),
    /// A client asked for it, or it ends with its script.
    Requested,
    /// The gateway stops.
    Closing,
}

/// The last kernels that have ended, the latest last.
#[derive(Debug, Default)]
pub(super) struct Ended(VecDeque<Late>);

/// A kernel that has ended.
#[derive(Debug)]
pub(super) struct Late {
    pub(super) id: KernelId,
    pub(super) owner: String,
    /// In Sorna v2, the client's own name for it.
    pub(super) token: Option<String>,
    pub(super) cause: Cause,
    pub(super) log: Option<Arc<Log>>,
}

impl Cause {
    /// The reason as Backend.AI has it, if it is one of those that are told from others.
    pub(crate) fn code(&self) -> Option<&'static str> {
        match self {
            Self::Idle(_) => Some("idle-timeout"),
            Self::Revoked => Some("key-revoked"),
            Self::Exceeded(_) => Some("limit-exceeded"),
            Self::Requested | Self::Closing => None,
        }
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Idle(time) => format!(
                "the kernel was destroyed after {} in which nothing ran in it, printed or was attached",
                span(*time)
            ),
            Self::Revoked => "the kernel was destroyed, as its access key was revoked".to_owned(),
            Self::Exceeded(limit) => format!("the kernel was destroyed: {limit}"),
            Self::Requested => "the kernel was destroyed by a request".to_owned(),
            Self::Closing => "the kernel was destroyed, as the gateway stops".to_owned(),
        }
    }
}

impl Ended {
    pub(super) fn note(&mut self, late: Late) {
        self.0.push_back(late);
        if let Some(old) = self.0.iter_mut().rev().nth(WITH_LOGS) {
            old.log = None;
        }
        if self.0.len() > REMEMBERED {
            self.0.pop_front();
        }
    }

    /// Why a kernel of this key has ended, if that is known.
    pub(super) fn cause(&self, owner: &str, id: &KernelId) -> Option<&Cause> {
        self.find(owner, id).map(|late| &late.cause)
    }

    /// Why the last kernel of this key with this session token has ended, if that is known.
    pub(super) fn cause_by_token(&self, owner: &str, token: &str) -> Option<&Cause> {
        let mut all = self.0.iter().rev();
        let last = all.find(|it| it.token.as_deref() == Some(token) && it.owner == owner);
        last.map(|late| &late.cause)
    }

    /// What a kernel of this key printed that has ended, if that is known.
    pub(super) fn log(&self, owner: &str, id: &KernelId) -> Option<Arc<Log>> {
        self.find(owner, id)?.log.clone()
    }

    fn find(&self, owner: &str, id: &KernelId) -> Option<&Late> {
        let mut all = self.0.iter().rev();
        all.find(|late| late.id == *id && late.owner == owner)
    }
}

/// A time in the largest unit in which it is a whole number.
pub(crate) fn span(time: Duration) -> String {
    let millis = time.as_millis();
    for (unit, name) in [(3_600_000, "h"), (60_000, "min"), (1000, "s")] {
        if millis >= unit && millis.is_multiple_of(unit) {
            return format!("{} {name}", millis / unit);
        }
    }
    format!("{millis} ms")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_in_the_largest_exact_unit() {
        for (millis, text) in [
            (7_200_000, "2 h"),
            (5_400_000, "90 min"),
            (6000, "6 s"),
            (1500, "1500 ms"),
            (0, "0 ms"),
        ] {
            assert_eq!(span(Duration::from_millis(millis)), text);
        }
    }
}
