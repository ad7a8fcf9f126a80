//! Runs that may go on without a client: what depends on whether there is one.

use std::time::{Duration, Instant};

use super::parts::{Driver, InputRequest};
use crate::kernel::state::Phase;

/// How often it is looked whether a client is still there.
const LOOK: Duration = Duration::from_secs(1);

impl Driver {
    /// When to look again whether a client is there for which the run waits.
    pub(super) fn attend_timer(&self) -> Option<Instant> {
        let state = self.shared.lock();
        let has_room = state.console.text_len() < state.limit(self.setup.console_limit);
        let waits = !has_room || state.phase != Phase::Running;
        (state.is_detached && !state.is_settled() && waits).then(|| Instant::now() + LOOK)
    }

    /// Has a run without a client go on, with its next step if one has ended. The time of a program that asks for input is
    /// counted until a client attaches.
    pub(super) fn attend(&mut self) {
        let mut state = self.shared.lock();
        if !state.is_detached || state.is_settled() {
            return;
        }
        state.pass_step();
        let is_unattended = state.is_unattended();
        drop(state);
        match self.asked {
            None | Some(InputRequest::Poll { glances: true, .. }) => {}
            Some(_) if is_unattended => self.resume_clock(),
            Some(_) => self.pause_clock(),
        }
    }
}
