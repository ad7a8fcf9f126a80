//! Output that no client has received, until one takes it.
//!
//! An execution whose client has gone leaves the responses that it has not received, and what its program has printed
//! since. When the next one begins whose client takes that, it is there, apart from its own.

use sorna_core::Console;

use super::console::push_lost;
use super::stock::Held;

/// The most output that is kept, in bytes: twice what a console holds by default.
pub(super) const MOST: usize = 2 * 1024 * 1024;

/// What executions have left.
#[derive(Debug, Default)]
pub(crate) struct Unclaimed {
    console: Console,
    held: Option<Held>,
    /// The bytes that there was no room for.
    lost: usize,
}

impl Unclaimed {
    pub(super) fn is_empty(&self) -> bool {
        self.console.is_empty() && self.lost == 0
    }

    /// Adds output, and what that takes of the memory for output.
    pub(crate) fn add(&mut self, console: Console, mut held: Option<Held>) {
        // What the execution got from those before it is still unclaimed.
        let (mut all, own) = console.split_unclaimed();
        all.append(own);
        let has_room = held.as_mut().is_none_or(Held::settle);
        if !has_room || all.text_len() > MOST {
            self.lost += all.output_len();
            return;
        }
        if self.console.text_len() + all.text_len() > MOST {
            self.lost += self.console.output_len();
            (self.console, self.held) = (Console::new(), None);
        }
        self.console.append(all);
        self.held = Held::joined(self.held.take(), held);
        if let Some(held) = &mut self.held {
            held.set(self.console.text_len());
        }
    }

    /// Notes that the program has ended whose output was added last. Nothing is said of one that has left nothing and
    /// succeeded.
    pub(super) fn add_end(&mut self, exit_code: i32) {
        if exit_code != 0 || !self.console.is_empty() {
            self.console.push_end(exit_code.into());
        }
    }

    /// Notes that so much output was lost.
    pub(super) fn add_lost(&mut self, bytes: usize) {
        self.lost += bytes;
    }

    /// All of it.
    pub(super) fn take(&mut self) -> Option<(Console, Option<Held>)> {
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
