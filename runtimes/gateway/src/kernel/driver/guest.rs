//! Output that came in since a client waited for it, though there was no room: see
//! [`room_for`](crate::kernel::stock::Held::room_for). Only one such guest may be there at a time, so it has to go if its
//! client does not take it.

use std::time::{Duration, Instant};

use super::parts::Driver;
use crate::kernel::interpreter::Interpreter;

/// How long its client may take between two requests.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often it is looked whether others wait, after that.
const LOOK: Duration = Duration::from_secs(1);

impl Driver {
    /// When to look again whether a guest has to go.
    pub(super) fn guest_timer(&self) -> Option<Instant> {
        let since = self.guest_since?;
        Some((since + PATIENCE).max(Instant::now() + LOOK))
    }

    /// Has a guest stay for which there is room by now, and go if no one comes for it while others wait.
    pub(super) fn make_way(&mut self) {
        let mut state = self.shared.lock();
        let coming = self.interpreter.as_mut().and_then(Interpreter::room);
        let is_coming = coming.is_some_and(|room| !room.settle());
        let is_there = !state.held.settle();
        if !is_coming && !is_there {
            self.guest_since = None;
            return;
        }
        let since = *self.guest_since.get_or_insert_with(Instant::now);
        if since.elapsed() < PATIENCE || state.listeners > 0 {
            return;
        }
        if state.held.is_in_the_way() {
            state.lose_output();
        }
        let is_full = state.console.text_len() >= state.limit(self.setup.console_limit);
        drop(state);
        // Where it still arrives, its end is near.
        if is_full && let Some(interpreter) = &mut self.interpreter {
            interpreter.lose_guest();
        }
    }
}
