//! Clients that wait for what is printed while nothing runs, or while a program waits for their input.

use std::time::{Duration, Instant};

use sorna_core::RunMark;

use super::handle::Kernel;
use super::peer::Peer;
use super::record::{Known, Record, Response};
use super::response::{ExecuteError, ExecuteResponse};
use super::state::{Phase, State};

/// How long a request waits at most: less than proxies do.
const LISTENING: Duration = Duration::from_secs(30);

impl State {
    /// Whether a program waits for input, and its client knows.
    fn is_asking(&self) -> bool {
        matches!(self.phase, Phase::WaitingInput { reported: true, .. })
    }

    /// Whether there is output of no execution.
    fn has_aside(&self) -> bool {
        let has_output = !self.console.is_empty() || !self.unclaimed.is_empty();
        self.phase == Phase::Idle && self.backlog.is_empty() && has_output
    }

    /// Takes that.
    fn take_aside(&mut self, mark: &RunMark, peer: &Peer) -> Response {
        if !self.has_aside() {
            return Ok(ExecuteResponse::of_start());
        }
        self.set_aside();
        self.hand_over(mark);
        let mut record = Record::new(mark, Some(peer));
        let response = self.report_phase(usize::MAX, true);
        let response =
            response.map_or_else(|| Ok(ExecuteResponse::of_nothing()), |it| record.keep(it));
        self.record = Some(record);
        response
    }
}

impl Kernel {
    /// Waits for output of no execution, and takes it: see [`RunMark::of_listening`]. Dropping the future loses nothing.
    pub(super) async fn listen(&self, mark: &RunMark, peer: &Peer) -> Response {
        let (is_asking, runs) = {
            let mut state = self.shared.lock();
            let State { record, left, .. } = &mut *state;
            for record in [record, left] {
                // It comes once more, since the response was lost.
                if let Known::Answered(response) = Record::accept_in(record, mark, peer) {
                    return response;
                }
            }
            if !state.is_asking() && !matches!(state.phase, Phase::Idle | Phase::Gone) {
                return Ok(ExecuteResponse::of_start());
            }
            (state.is_asking(), state.runs)
        };
        let has_news = |state: &State| {
            let is_over = state.phase == Phase::Gone || state.runs != runs;
            is_over
                || match is_asking {
                    true => !state.is_asking() || !state.console.is_empty(),
                    false => state.has_aside(),
                }
        };
        let _ = tokio::time::timeout(LISTENING, self.until(has_news)).await;
        let moment = {
            let state = self.shared.lock();
            (state.is_asking() || state.has_aside()).then(|| state.gathering_time(Instant::now()))
        };
        if let Some(moment) = moment {
            tokio::time::sleep(moment).await;
        }
        let mut state = self.shared.lock();
        if state.phase == Phase::Gone {
            return Err(ExecuteError::Gone);
        }
        let response = state.take_aside(mark, peer);
        drop(state);
        // There may be room again.
        self.shared.to_driver.notify_one();
        response
    }
}
