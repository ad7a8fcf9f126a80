//! Whose turn it is in a kernel: executions with marks, which wait for others if they are to.

use std::time::Duration;

use super::{Execution, LEAST_INTERVAL};
use crate::error::Error;
use crate::machine::execution::event::ExecutionEvent;
use crate::moment::Moment;
use crate::ops::{Continuation, Execute, RunMark};

use super::State;
use super::held::{BusyWait, Held};

/// Gateways hold a request for a kernel that is busy for about this long.
const HOLD: Duration = Duration::from_secs(2);

impl Execution {
    /// Waits for the end of another execution that keeps the kernel busy, for at most this long; then, or without this, that is
    /// an [error](Error::is_busy). An event says so, and another one when the kernel is free. The other execution is left alone.
    ///
    /// This has an effect on [marked](Execute::with_mark) executions only. Other gateways of Sorna v2 do not tell that a
    /// kernel is busy, and take the code for input or a continuation; managers of Backend.AI let it wait by themselves.
    pub fn with_busy_wait(mut self, limit: Duration) -> Self {
        self.wait_while_busy(limit);
        self
    }

    /// As [`with_busy_wait`](Self::with_busy_wait). Has no effect once the execution has begun.
    pub fn wait_while_busy(&mut self, limit: Duration) {
        self.busy_wait = Some(BusyWait { limit, since: None });
    }

    /// Whether it has found the kernel busy, and nothing of it has been executed yet, as far as is known.
    pub(in crate::machine) fn awaits_turn(&self) -> bool {
        self.busy_wait.is_some_and(|wait| wait.since.is_some())
    }

    /// The next request, with its mark.
    pub(super) fn next(&mut self, continuation: Continuation) -> Execute {
        let mut next = self.execute.proceed(continuation);
        if let Some(mark) = &mut self.mark {
            if mark.request == 0
                && let (true, Some(id)) = (mark.id.is_empty(), &next.run_id)
            {
                mark.id.clone_from(id);
            }
            if mark.request == 0 && mark.client.is_none() {
                let mut named = std::mem::take(mark);
                named = named.with_client(self.caller.client_name());
                *mark = named;
            }
            let following = RunMark {
                request: mark.request.saturating_add(1),
                ..RunMark::new(mark.id.clone())
            };
            next.mark = Some(std::mem::replace(mark, following));
        }
        next
    }

    /// Whether this error is one to wait after: then the same request is made again.
    pub(super) fn is_held(&mut self, now: Moment, error: &Error, mut start: Execute) -> bool {
        let is_first = start.mark.as_ref().is_some_and(|mark| mark.request == 0);
        let (true, false, Some(busy), Some(wait)) =
            (is_first, self.is_given_up, error.busy(), self.busy_wait)
        else {
            return false;
        };
        let end = wait.end(now.instant);
        if now.instant >= end {
            return false;
        }
        if wait.since.is_none() {
            self.events.push_back(ExecutionEvent::KernelBusy(busy));
            let since = Some(now.instant);
            self.busy_wait = Some(BusyWait { since, ..wait });
        }
        // The first request does not ask the gateway to wait, so that the client learns at once that the kernel is busy.
        if let Some(mark) = &mut start.mark {
            mark.waits = end.saturating_duration_since(now.instant) >= HOLD;
        }
        // A gateway that did not hold the request must not be flooded.
        let until = self.sent.saturating_add(LEAST_INTERVAL).min(end);
        self.state = State::Held(Box::new(Held { until, start }));
        true
    }

    /// Makes the request again.
    pub(super) fn try_again(&mut self, now: Moment) {
        let state = std::mem::replace(&mut self.state, State::AwaitingInput);
        if let State::Held(held) = state {
            self.start(now, held.start);
        }
    }

    /// The kernel has responded, so the turn has come.
    pub(super) fn note_turn(&mut self) {
        self.has_turn = true;
        if let Some(wait) = self.busy_wait.take()
            && wait.since.is_some()
        {
            self.events.push_back(ExecutionEvent::KernelFree);
        }
    }
}
