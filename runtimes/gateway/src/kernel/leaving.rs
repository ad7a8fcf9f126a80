//! How executions leave output to those after them: see [`unclaimed`](super::unclaimed).

use sorna_core::{Record as ConsoleRecord, RunMark};

use super::record::{Record, Response};
use super::response::ExecuteResponse;
use super::state::{Phase, State};

impl State {
    /// Puts the latest run aside, which has ended, so that its client may still fetch what it has not, until another one begins.
    pub(crate) fn set_aside(&mut self) {
        let record = self.record.take();
        let rest = match self.phase {
            Phase::Idle if !self.backlog.is_empty() => Some(self.take_rest()),
            Phase::Ended(_) => {
                if !self.held.settle() {
                    // Until it is fetched, which may be never, others would wait.
                    self.lose_output();
                }
                Some(self.take_rest())
            }
            _ => None,
        };
        if record.is_some() || rest.is_some() {
            if let Some(mut left) = self.left.take() {
                left.leave(&mut self.unclaimed);
            }
            let record = record.unwrap_or_else(Record::unmarked);
            self.left = Some(record.with_rest(rest));
        }
    }

    /// What an unmarked client gets that continues the run before the current one.
    pub(super) fn left_rest(&mut self) -> Response {
        let left = self.left.as_mut().filter(|left| !left.is_marked());
        left.and_then(Record::take_rest)
            .unwrap_or_else(|| Ok(ExecuteResponse::of_nothing()))
    }

    /// Keeps the output that is there for an execution to come.
    pub(crate) fn leave_output(&mut self) {
        self.backlog.leave(&mut self.unclaimed);
        let (console, held) = (std::mem::take(&mut self.console), self.held.take());
        self.unclaimed.add(console, Some(held));
    }

    /// Gives a run that begins what others have left, if its client takes that.
    pub(crate) fn hand_over(&mut self, mark: &RunMark) {
        if !mark.takes_unclaimed || mark.is_detached {
            return;
        }
        // Its client has gone, and this one is there.
        if let Some(left) = self.left.as_mut().filter(|left| left.has_gone()) {
            left.leave(&mut self.unclaimed);
        }
        let Some((console, held)) = self.unclaimed.take() else {
            return;
        };
        let own = std::mem::take(&mut self.console);
        self.console.push(&ConsoleRecord::Unclaimed(console));
        self.console.append(own);
        if let Some(held) = held {
            self.held.join(held);
        }
        self.count_output();
    }

    /// Notes that all of a response has been sent.
    pub(super) fn note_sent(&mut self, id: &str, request: u64) {
        for record in self.record.iter_mut().chain(&mut self.left) {
            record.note_sent(id, request);
        }
    }
}
