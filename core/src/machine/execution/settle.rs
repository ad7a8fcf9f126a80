//! After a batch that is one command: its two empty steps must end, too, before the kernel is used again.

use super::script::LAST_EXIT_CODE;
use crate::ops::{ExecutionResult, ExecutionStatus};
use crate::version::ApiVersion;

/// More requests than it takes.
const MOST_REQUESTS: u8 = 10;

/// What to send next with the same run ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// The next result.
    Continue,
    /// A query without code.
    Query,
    /// Input, for a program that is left of the batch.
    Input,
}

/// Decides what to send until nothing of the batch is left that could be taken for a part of the next execution.
///
/// Outstanding are the ends of the steps `build` (B) and `exec` (F, known by its exit code), and from then on that of
/// each query (Q), in this order. A manager before 25.12 keeps all of them until they are asked for. A later one drops
/// what arrives while no request is there; asked to continue when everything was dropped, it waits without end, and only
/// a query with the same run ID ends that.
#[derive(Debug)]
pub(super) struct Settling {
    queries: u8,
    requests: u8,
    /// Whether they come by themselves, over a WebSocket. No query can be sent then.
    is_streamed: bool,
}

impl Settling {
    /// Begins, with what to send first. `has_queried` if a query was sent before. Both ways are right for all managers; this is the shorter one.
    pub(super) fn begin(version: ApiVersion, has_queried: bool) -> (Self, Ask) {
        let drops = version >= ApiVersion::V9_20250722;
        let ask = if drops { Ask::Query } else { Ask::Continue };
        let settling = Self {
            queries: u8::from(drops) + u8::from(has_queried),
            requests: 1,
            is_streamed: false,
        };
        (settling, ask)
    }

    /// Begins with what comes by itself over a WebSocket.
    pub(super) fn streamed() -> Self {
        Self {
            is_streamed: true,
            ..Self::resume()
        }
    }

    /// Begins in the middle, where the next result is to be asked for.
    pub(super) fn resume() -> Self {
        Self {
            queries: 0,
            requests: 1,
            is_streamed: false,
        }
    }

    /// What to send after this result; `None` if nothing is left.
    pub(super) fn next(&mut self, result: &ExecutionResult) -> Option<Ask> {
        let ask = match result.status {
            ExecutionStatus::Finished => {
                let is_last = result.exit_code() == Some(LAST_EXIT_CODE);
                if !is_last || self.queries == 0 {
                    return None;
                }
                // The end of the query follows.
                Ask::Continue
            }
            ExecutionStatus::WaitingInput => Ask::Input,
            ExecutionStatus::Continued if self.is_streamed => return Some(Ask::Continue),
            // It has waited for 2 s: everything was dropped.
            ExecutionStatus::Continued => Ask::Query,
            _ => Ask::Continue,
        };
        if self.requests == MOST_REQUESTS {
            return None;
        }
        self.requests += 1;
        self.queries += u8::from(ask == Ask::Query);
        Some(ask)
    }
}
