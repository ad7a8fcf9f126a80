//! Output that no client has received, until one takes it.
//!
//! An execution whose client has gone leaves the responses that it has not received, and what its program has printed
//! since. When the next one begins whose client takes that, it is there, apart from its own.

use sorna_core::{Console, Record as ConsoleRecord, RunMark};

use super::console::push_lost;
use super::record::{MOST, Record};
use super::response::ExecuteResponse;
use super::state::{Phase, State};
use super::stock::Held;

/// What executions have left.
#[derive(Debug, Default)]
pub(crate) struct Unclaimed {
    console: Console,
    held: Option<Held>,
    /// The bytes that there was no room for.
    lost: usize,
}

impl Unclaimed {
    /// Adds output, and what that takes of the memory for output.
    pub(crate) fn add(&mut self, console: Console, mut held: Option<Held>) {
        // What the execution got from those before it is still unclaimed.
        let (mut all, own) = console.split_unclaimed();
        all.append(own);
        let has_room = held.as_mut().is_none_or(Held::settle);
        if !has_room || all.text_len() > MOST {
            self.lost += all.text_len();
            return;
        }
        if self.console.text_len() + all.text_len() > MOST {
            self.lost += self.console.text_len();
            (self.console, self.held) = (Console::new(), None);
        }
        self.console.append(all);
        self.held = Held::joined(self.held.take(), held);
        if let Some(held) = &mut self.held {
            held.set(self.console.text_len());
        }
    }

    /// Notes that so much output was lost.
    pub(super) fn add_lost(&mut self, bytes: usize) {
        self.lost += bytes;
    }

    /// All of it.
    fn take(&mut self) -> Option<(Console, Option<Held>)> {
        let Self {
            console: rest,
            held,
            lost,
        } = std::mem::take(self);
        let mut console = Console::new();
        if lost > 0 {
            let why = "since no client came for them, and it was too much to be kept";
            push_lost(&mut console, lost, why);
        }
        console.append(rest);
        (!console.is_empty()).then_some((console, held))
    }
}

impl State {
    /// Puts the latest run aside, which has ended, so that its client may still fetch what it has not, until another one begins.
    pub(crate) fn set_aside(&mut self) {
        let record = self.record.take();
        let rest = match self.phase {
            Phase::Ended(_) => {
                if !self.held.settle() {
                    // Until it is fetched, which may be never, others would wait.
                    self.lose_output();
                }
                self.take_response(0, true)
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
    pub(super) fn left_rest(&mut self) -> super::record::Response {
        let left = self.left.as_mut().filter(|left| !left.is_marked());
        left.and_then(Record::take_rest)
            .unwrap_or_else(|| Ok(ExecuteResponse::of_nothing()))
    }

    /// Keeps the output that is there for an execution to come.
    pub(crate) fn leave_output(&mut self) {
        let (console, held) = (std::mem::take(&mut self.console), self.held.take());
        self.unclaimed.add(console, Some(held));
    }

    /// Gives a run that begins what others have left, if its client takes that.
    pub(crate) fn hand_over(&mut self, mark: &RunMark) {
        if !mark.takes_unclaimed {
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
