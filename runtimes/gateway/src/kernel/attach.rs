//! Runs that go on without a client, and clients that attach to them: see [`backlog`](super::backlog).

use std::time::Duration;

use sorna_core::RunMark;

use super::backlog::Taken;
use super::handle::{Effect, Kernel};
use super::peer::Peer;
use super::record::{Record, Response};
use super::response::{ExecuteError, ExecuteResponse};
use super::run::StepKind;
use super::state::{Phase, State};

/// For how long a client whose connection has ended may not have been heard until it counts as gone.
const AWAY: Duration = Duration::from_secs(10);
/// For how long another client is waited for, to learn what it has not received.
const LINE_TIME: Duration = Duration::from_secs(3);
/// Which part of what a console may hold is put away at once, so that little is dropped at a time.
const PARTS: usize = 8;

impl State {
    /// Notes what the first request says of the run that it has started.
    pub(super) fn note_mark(&mut self, mark: &RunMark) {
        self.input_of = mark.input_of.clone().or_else(|| Some(mark.id.clone()));
        self.is_detached = mark.is_detached;
        self.persists = mark.persists || mark.is_detached;
        self.client.clone_from(&mark.client);
    }

    /// Whether a run keeps running that has no client now.
    pub(crate) fn is_unattended(&self) -> bool {
        let is_there = |record: &Record| record.has_client(self.heard.elapsed() < AWAY);
        self.is_detached && self.listeners == 0 && !self.record.as_ref().is_some_and(is_there)
    }

    /// Puts output away that would fill the console of a run without a client, and drops the oldest.
    pub(crate) fn shelve(&mut self, most: usize) {
        let limit = self.limit(most);
        if self.console.text_len() < limit / PARTS || !self.is_unattended() {
            return;
        }
        let mut response = ExecuteResponse::of_start();
        response.console = std::mem::take(&mut self.console);
        response.held = Some(self.held.take());
        self.backlog.add(Ok(response));
        self.backlog.trim(limit);
    }

    /// How much the console is filled: with parts of what it may hold, if they are put away.
    pub(crate) fn drain_limit(&self, most: usize) -> usize {
        let limit = self.limit(most);
        match self.is_unattended() {
            true => limit / PARTS,
            false => limit,
        }
    }

    /// Goes on after a step of a run that has no client to report it to.
    pub(crate) fn pass_step(&mut self) {
        if matches!(self.phase, Phase::StepFinished { .. })
            && self.is_unattended()
            && let Some(response) = self.report_phase(usize::MAX, true)
        {
            self.backlog.add(response);
        }
    }

    /// As that, for a step that has just ended. Whether it has no client.
    pub(crate) fn passes_step(&mut self, kind: StepKind, exit_code: i32) -> bool {
        let is_unattended = self.phase != Phase::Gone && self.is_unattended();
        if is_unattended {
            self.phase = Phase::StepFinished { kind, exit_code };
            self.pass_step();
        }
        is_unattended
    }

    /// What is to be reported before what is in the console; puts mere output before that.
    pub(super) fn report_backlog(&mut self) -> Option<Response> {
        match self.backlog.take() {
            Taken::Nothing => None,
            Taken::Report(response) => Some(response),
            Taken::Output(mut console, held) => {
                console.append(std::mem::take(&mut self.console));
                self.console = console;
                if let Some(held) = held {
                    self.held.join(held);
                }
                self.count_output();
                None
            }
        }
    }

    /// For a client that has attached, the output alone of a response with the end, which comes next. A client that cannot show
    /// the output does not ask for more, and so the next one gets both.
    pub(super) fn without_end(&mut self, response: Response) -> Response {
        let has_attached = self.record.as_ref().is_some_and(Record::has_attached);
        let mut end = response?;
        if !has_attached || !end.status.is_end() || end.console.is_empty() {
            return Ok(end);
        }
        let mut output = ExecuteResponse::of_start();
        output.console = std::mem::take(&mut end.console);
        output.held = end.held.take();
        self.backlog.put_back(std::iter::once((None, Ok(end))));
        Ok(output)
    }

    /// All that is still to be reported of a run that has ended.
    pub(super) fn take_rest(&mut self) -> Response {
        let mut rest = ExecuteResponse::of_nothing();
        loop {
            let mut response = match self.take_response(0, true) {
                Some(Ok(response)) => response,
                Some(Err(error)) => {
                    self.unclaimed.add(rest.console, rest.held);
                    return Err(error);
                }
                None => return Ok(rest),
            };
            rest.console.append(std::mem::take(&mut response.console));
            rest.held = super::stock::Held::joined(rest.held.take(), response.held.take());
            if response.status.is_end() {
                (response.console, response.held) = (rest.console, rest.held);
                return Ok(response);
            }
        }
    }

    /// Whether this execution has the latest run.
    pub(super) fn is_current(&self, id: &str) -> bool {
        self.record.as_ref().is_some_and(|record| record.is_of(id))
    }

    /// Whether this execution is the latest run, or was until another client attached to it.
    fn is_latest(&self, id: &str) -> bool {
        self.is_current(id) || self.is_taken_from(id)
    }

    /// Whether another client has attached to the run of this execution.
    pub(super) fn is_taken_from(&self, id: &str) -> bool {
        self.taken_over.iter().any(|taken| taken == id)
    }

    /// Whether an execution without marks is another one than that which has attached.
    pub(super) fn is_attached_by_other(&self, id: &str) -> bool {
        let record = self.record.as_ref();
        record.is_some_and(|record| record.has_attached() && !record.is_of(id))
    }

    /// Whether the latest run has ended, and all that it had to report was sent.
    fn has_nothing_left(&self) -> bool {
        let is_over = matches!(self.phase, Phase::Idle);
        is_over && self.backlog.is_empty() && self.console.is_empty()
    }

    /// Whether a further request of the latest run can only say that its end has arrived.
    pub(super) fn confirms_end(&self) -> bool {
        self.has_nothing_left() && self.record.as_ref().is_some_and(Record::confirms)
    }

    /// Gives the latest run to a client that attaches.
    pub(super) fn attach(&mut self, mark: &RunMark, peer: &Peer) -> Result<Effect, ExecuteError> {
        let unreceived = self.record.as_mut();
        let unreceived = unreceived.and_then(|record| record.take_unreceived(peer));
        let unreceived = unreceived.map(|response| (None, response));
        self.backlog.put_back(unreceived.into_iter());
        // A client that seems to be there may not be: who asks is.
        if let Some(left) = &mut self.left {
            left.leave(&mut self.unclaimed);
        }
        self.hand_over(mark);
        if self.has_nothing_left() {
            return Err(ExecuteError::NothingToAttach);
        }
        if let Some(id) = self.record.as_ref().and_then(Record::id) {
            self.taken_over.push(id.to_owned());
        }
        self.record = Some(Record::attached(mark, peer));
        self.holder += 1;
        self.is_detached = true;
        self.persists = true;
        self.client.clone_from(&mark.client);
        Ok(Effect::Nothing)
    }
}

impl Kernel {
    /// Has the client go that has the run now, if the execution with this mark takes it over, or continues it in another way:
    /// what it has not received is put back then.
    pub(super) async fn displace(&self, mark: &RunMark, peer: &Peer) {
        let line = {
            let mut state = self.shared.lock();
            let attaches = mark.attaches && mark.request == 0 && !state.knows(&mark.id);
            let displace = |record: &mut Record, attaches: bool| {
                let is_own = record.is_of(&mark.id);
                let line = record.other_line(peer).filter(|_| is_own || attaches)?;
                record.displace();
                Some(line)
            };
            let is_over = matches!(state.phase, Phase::Idle);
            let State { record, left, .. } = &mut *state;
            let line = record.as_mut().and_then(|it| displace(it, attaches));
            // What ran before that may have a client that does not receive its end.
            let before = left.as_mut().filter(|_| attaches && is_over);
            let line = line.or_else(|| before.and_then(|it| displace(it, true)));
            if line.is_none() && !attaches {
                return;
            }
            if line.is_some() || !state.is_settled() {
                state.holder += 1;
                // What the WebSocket of its client had interrupted goes on.
                state.persists = true;
            }
            line
        };
        self.shared.to_client.notify_waiters();
        let has_gone = |state: &State| match (&line, &state.record) {
            (Some(line), _) => line.has_gone(),
            (None, Some(record)) => !record.is_sending(peer),
            (None, None) => true,
        };
        let _ = tokio::time::timeout(LINE_TIME, self.until(has_gone)).await;
    }

    /// Waits until another client takes this execution over, or it is continued in another way.
    pub(crate) async fn displaced(&self, id: &str) {
        let is_displaced = |state: &State| {
            let mut records = state.record.iter().chain(&state.left);
            let is_displaced = records.any(|record| record.is_of(id) && record.is_displaced());
            is_displaced || state.is_taken_from(id)
        };
        self.until(is_displaced).await;
    }

    /// Whether this execution keeps running when the connection of its client ends. It has no client then.
    pub(crate) fn detach(&self, id: &str) -> bool {
        let mut state = self.shared.lock();
        if !state.persists || !state.is_latest(id) {
            return false;
        }
        state.is_detached = true;
        drop(state);
        self.shared.to_driver.notify_one();
        true
    }

    /// Puts back messages that have been sent over a WebSocket, and not received.
    pub(crate) fn put_back(
        &self,
        id: &str,
        messages: impl DoubleEndedIterator<Item = (u64, ExecuteResponse)>,
    ) {
        let mut state = self.shared.lock();
        if state.persists && state.is_latest(id) {
            let responses = messages.map(|(number, response)| (Some(number), Ok(response)));
            state.backlog.put_back(responses);
            return;
        }
        for (_, response) in messages {
            state.unclaimed.add(response.console, response.held);
        }
    }

    /// Notes that the WebSocket of a client has ended.
    pub(crate) fn note_left(&self) {
        self.shared.to_client.notify_waiters();
        self.shared.to_driver.notify_one();
    }
}
