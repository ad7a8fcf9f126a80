//! Requests with marks: see [`record`](super::record).

use std::sync::Arc;
use std::time::{Duration, Instant};

use sorna_core::server::ExecuteRequest;
use sorna_core::{Console, RunMark};

use super::driver::Circumstances;
use super::handle::{Effect, Kernel};
use super::peer::Peer;
use super::receipt::Receipt;
use super::record::{Known, Record};
use super::state::{ExecuteError, ExecuteResponse, Intent, Phase, State};
use super::stock::Held;
use super::turn::Turn;

impl Kernel {
    /// As [`take_turn`](Self::take_turn), for a client that marks its requests. One that comes once more is not
    /// acted on again, and gets the same response.
    ///
    /// # Errors
    ///
    /// [`ExecuteError::Busy`] if it starts a run while another has not ended, after `interval` if it may wait.
    pub(crate) async fn take_marked_turn(
        &self,
        mark: &RunMark,
        peer: &Peer,
        turn: Turn<'_>,
        interval: Duration,
        on_start: impl FnOnce(),
    ) -> Result<ExecuteResponse, ExecuteError> {
        if mark.listens {
            return self.listen(mark, peer).await;
        }
        self.touch();
        self.displace(mark, peer).await;
        let patience = if mark.waits { interval } else { Duration::ZERO };
        let until = Instant::now() + patience;
        loop {
            // Not in turn: the client of the other run has its turn as long as it waits for output.
            let is_next = |state: &State| {
                let is_own = state.knows(&mark.id) || state.is_taken_from(&mark.id);
                state.is_settled() || is_own || mark.attaches
            };
            if !self.reached(is_next, until).await {
                return Err(ExecuteError::Busy(self.shared.lock().busy()));
            }
            let _turn = self.turn.lock().await;
            let _listening = self.shared.listen();
            let (effect, holder) = {
                let mut state = self.shared.lock();
                match self.accept(&mut state, mark, peer, turn.clone()) {
                    // Another request was faster.
                    Err(ExecuteError::Busy(_)) if Instant::now() < until => continue,
                    effect => (effect?, state.holder),
                }
            };
            match effect {
                // It was kept already.
                Effect::Answered(response) => return response,
                Effect::Started => {
                    on_start();
                    if mark.is_detached {
                        return Ok(ExecuteResponse::of_start());
                    }
                }
                Effect::Given | Effect::Nothing => self.shared.to_driver.notify_one(),
            }
            let response = self.report(interval, holder).await;
            let mut state = self.shared.lock();
            return match state.record.as_mut().filter(|it| it.is_of(&mark.id)) {
                Some(record) => record.keep(response),
                None => response,
            };
        }
    }

    /// Acts on a marked request, unless that was done before.
    fn accept(
        &self,
        state: &mut State,
        mark: &RunMark,
        peer: &Peer,
        turn: Turn<'_>,
    ) -> Result<Effect, ExecuteError> {
        if state.phase == Phase::Gone {
            return Err(ExecuteError::Gone);
        }
        if let Some(received) = mark.received.filter(|_| state.is_current(&mark.id)) {
            state.backlog.note_received(received);
        }
        match Record::accept_in(&mut state.record, mark, peer) {
            Known::Answered(response) => return Ok(Effect::Answered(response)),
            Known::Accepted if mark.is_detached => {
                return Ok(Effect::Answered(Ok(ExecuteResponse::of_start())));
            }
            Known::Accepted => return Ok(Effect::Nothing),
            // Only that the end has arrived: that need not be told by another request.
            Known::Next if state.confirms_end() => {
                return Ok(Effect::Answered(Ok(ExecuteResponse::of_nothing())));
            }
            Known::Next => {
                let intent = match turn {
                    // Code of an execution that keeps running is no other one.
                    Turn::Start(_) => Intent::Continue,
                    turn => state.proceed(turn),
                };
                return self.send(intent, Circumstances::default());
            }
            Known::Other => {}
        }
        match Record::accept_in(&mut state.left, mark, peer) {
            Known::Answered(response) => return Ok(Effect::Answered(response)),
            Known::Accepted | Known::Next => {
                return Ok(Effect::Answered(Ok(ExecuteResponse::of_nothing())));
            }
            Known::Other => {}
        }
        if state.is_taken_from(&mark.id) {
            return Err(ExecuteError::TakenOver);
        }
        if mark.attaches && mark.request == 0 {
            return state.attach(mark, peer);
        }
        let Turn::Start(request) = turn else {
            return Err(ExecuteError::Failed(
                "the execution is not known any more, since others have begun or the kernel was restarted"
                    .to_owned(),
            ));
        };
        if mark.asks_again {
            return Err(ExecuteError::Failed(
                "the execution has not begun: its first request has not arrived".to_owned(),
            ));
        }
        if !state.is_settled() {
            return Err(ExecuteError::Busy(state.busy()));
        }
        if self.is_empty(request) {
            return Ok(Effect::Answered(Ok(ExecuteResponse::of_nothing())));
        }
        let plan = self.plan(request)?;
        state.set_aside();
        if mark.is_apart && mark.takes_unclaimed && state.phase == Phase::Idle {
            state.leave_output();
        }
        let circumstances = Circumstances {
            continues_input: mark.input_of.is_some() && mark.input_of == state.input_of,
            ..mark.into()
        };
        let intent = Intent::Start(state.start(plan));
        state.record = Some(Record::new(mark, Some(peer)));
        state.note_mark(mark);
        state.hand_over(mark);
        // Whoever listens does so no more.
        self.shared.to_client.notify_waiters();
        self.send(intent, circumstances)
    }

    /// Whether there is nothing to run, which compilers would not accept. An interpreter has something to do at its end.
    pub(crate) fn is_empty(&self, request: &ExecuteRequest) -> bool {
        let ExecuteRequest::Query { code, is_final, .. } = request else {
            return false;
        };
        code.trim().is_empty() && !(*is_final && self.has_interpreter())
    }

    /// For the response to a marked request: notes when it has been sent.
    pub(crate) fn receipt(&self, mark: &RunMark, peer: &Peer) -> Receipt {
        Receipt {
            shared: Arc::clone(&self.shared),
            id: mark.id.clone(),
            request: mark.request,
            peer: peer.clone(),
        }
    }

    /// The response to a marked request is now kept by its connection, and what is not received is [left](Self::leave).
    pub(crate) fn pass_on(&self, mark: &RunMark) {
        let mut state = self.shared.lock();
        if let Some(record) = state.record.as_mut().filter(|it| it.is_of(&mark.id)) {
            record.pass_on();
        }
    }

    /// Keeps output of an execution whose client has not received it.
    pub(crate) fn leave(&self, console: Console, held: Option<Held>) {
        self.shared.lock().unclaimed.add(console, held);
    }

    /// Forgets responses that clients have had time enough to ask for again.
    pub(crate) fn forget_responses(&self) {
        let mut state = self.shared.lock();
        let State { record, left, .. } = &mut *state;
        for record in [record, left].into_iter().flatten() {
            record.forget();
        }
    }
}
