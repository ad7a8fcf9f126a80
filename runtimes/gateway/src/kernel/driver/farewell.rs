//! The end of an interpreter in a kernel that is restarted or destroyed.

use std::time::{Duration, Instant};

use super::parts::Driver;
use crate::kernel::frame::Frame;
use crate::kernel::interpreter::Interpreter;
use crate::kernel::wait::sleep_until;

/// How long an interpreter may take to end by itself, after what it has printed last, and in all.
const PATIENCE: Duration = Duration::from_secs(1);
const MOST: Duration = Duration::from_secs(5);

impl Driver {
    /// Has the interpreter end as its language does, if no snippet runs: hooks and destructors may write files. What they
    /// print goes nowhere, and they are asked nothing. One that takes too long is killed afterwards.
    pub(super) async fn end_politely(&mut self) {
        if self.run.is_some() || !self.interpreter.as_mut().is_some_and(Interpreter::finish) {
            return;
        }
        let last = Instant::now() + MOST;
        let next = || last.min(Instant::now() + PATIENCE);
        let mut until = next();
        while Instant::now() < until {
            self.discard();
            // One that prints without end is always ready, and the end of its process is only seen by a runtime that gets
            // its turn.
            tokio::task::yield_now().await;
            tokio::select! {
                biased;
                exit = Interpreter::event(&mut self.interpreter, true) => {
                    if let (Some(exit), Some(interpreter)) = (exit, &mut self.interpreter) {
                        interpreter.exit = Some(exit);
                        return;
                    }
                    until = next();
                }
                () = sleep_until(Some(until)) => {}
                () = self.output.readable() => until = next(),
            }
        }
    }

    /// Drops output, so that no one has to wait for room, and replies to what must be replied to.
    fn discard(&mut self) {
        self.output.clear();
        let Some(interpreter) = &mut self.interpreter else {
            return;
        };
        interpreter.flush();
        loop {
            let more = interpreter.receive();
            while let Some(frame) = interpreter.next_frame() {
                match frame {
                    Frame::Settle { id } => interpreter.settled(id),
                    Frame::Value(_) | Frame::Media(..) => interpreter.settled(0),
                    // The end of input.
                    Frame::Input { id, .. } => interpreter.give_input(id, b""),
                    _ => {}
                }
            }
            if !more {
                return;
            }
        }
    }
}
