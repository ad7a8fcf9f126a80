//! The flow from processes to the console, and other messages of runners.

use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sorna_core::server::CompleteRequest;
use sorna_core::{Media, Record, ValueForms};
use tokio::sync::oneshot;

use super::parts::{Driver, Run};
use crate::kernel::console::{LARGE, read_record};
use crate::kernel::exit::ExitKind;
use crate::kernel::frame::Frame;
use crate::kernel::interpreter::Interpreter;
use crate::kernel::state::Ending;

impl Driver {
    pub(super) fn has_room(&self) -> bool {
        let mut state = self.shared.lock();
        state.shelve(self.setup.console_limit);
        state.console.text_len() < state.limit(self.setup.console_limit)
    }

    /// Whether there is room for the next frame of the runner, if that is a large one.
    pub(super) fn has_room_for_frame(&mut self) -> bool {
        let Some(interpreter) = &mut self.interpreter else {
            return true;
        };
        let Some(length) = interpreter.large_frame() else {
            return true;
        };
        let state = self.shared.lock();
        let room = state.held.room_for(length, state.listeners > 0);
        drop(state);
        room.is_some_and(|room| {
            interpreter.make_room(length, room);
            true
        })
    }

    /// Moves the output of processes to the console, in its order, while there is room. Returns
    /// whether there is nothing left.
    pub(super) fn pump(&mut self) -> bool {
        if let Some(interpreter) = &mut self.interpreter {
            interpreter.flush();
        }
        loop {
            let must_be_killed = |run: &Run| {
                run.kill_reason.is_none() && self.shared.lock().tally.exceeded().is_some()
            };
            if self.run.as_ref().is_some_and(must_be_killed) {
                return false;
            }
            let room = self.has_room();
            let frame_room = self.has_room_for_frame();
            let more =
                room && frame_room && self.interpreter.as_mut().is_some_and(Interpreter::receive);
            // Output that bypassed the runner precedes the runner's frames: the runner waits for
            // `settled` before it starts a program, and for the program before it continues.
            let mut state = self.shared.lock();
            let limit = state.drain_limit(self.setup.console_limit);
            let before = state.console.text_len();
            let empty = self.output.drain(&mut state.sink(), limit);
            if state.console.text_len() != before {
                state.used = Instant::now();
            }
            state.count_output();
            drop(state);
            if !empty {
                self.shared.to_client.notify_waiters();
                return false;
            }
            let full = self.handle_frames();
            if !frame_room {
                return false;
            }
            if !more && !full {
                let has_output = !self.shared.lock().console.is_empty();
                if has_output {
                    self.shared.to_client.notify_waiters();
                }
                return true;
            }
        }
    }

    /// Handles complete frames. Returns whether the console was full before they were all handled.
    pub(super) fn handle_frames(&mut self) -> bool {
        while self.has_room() {
            let interpreter = self.interpreter.as_mut();
            match interpreter.and_then(Interpreter::next_frame) {
                Some(frame) => {
                    self.handle(frame);
                    self.count_output();
                }
                None => return false,
            }
        }
        self.shared.to_client.notify_waiters();
        true
    }

    /// Counts what is in the console now, instead of the frame that it came in.
    fn count_output(&mut self) {
        let room = self.interpreter.as_mut().and_then(Interpreter::take_room);
        let mut state = self.shared.lock();
        if let Some(room) = room {
            state.held.join(room);
        }
        state.used = Instant::now();
        state.count_output();
    }

    fn keep_bytecode(&self, sent: Vec<u8>) {
        let interpreter = self.interpreter.as_ref();
        if !interpreter.is_some_and(Interpreter::brings_bytecode) {
            return;
        }
        let bytecode = self.setup.bytecode.clone();
        tokio::task::spawn_blocking(move || {
            if let Err(error) = bytecode.keep(&sent) {
                tracing::debug!(%error, "the bytecode of the runner is not kept");
            }
        });
    }

    pub(super) fn handle(&mut self, frame: Frame) {
        match frame {
            Frame::Ready => {
                if let Some(interpreter) = &mut self.interpreter {
                    interpreter.came_up();
                }
                if let Some(waiting) = self.starting.take() {
                    let _ = waiting.send(Ok(()));
                }
            }
            Frame::Text(stream, bytes) => {
                let output = self.decoders[stream as usize].decode(&bytes);
                self.shared.lock().sink().push_output(stream, &output);
            }
            Frame::Record(record) => {
                if let Err(error) = self.push_record(record) {
                    tracing::debug!(%error, "malformed console record");
                }
            }
            Frame::Value(text) => {
                let text = String::from_utf8_lossy(&text);
                self.push(&Record::Value(ValueForms::of_text(text)));
                self.acknowledge();
            }
            Frame::Media(media_type, bytes) => {
                let media = as_media(&media_type, &bytes);
                self.push(&Record::Media(media));
                self.acknowledge();
            }
            Frame::Input { id, password } => self.runner_asks(id, password),
            Frame::NoInput { id } => self.runner_goes_on(id),
            Frame::Reads => self.runner_reads(),
            Frame::Wake => self.wake_reader(),
            Frame::Settle { id } => {
                if let Some(interpreter) = &mut self.interpreter {
                    interpreter.settled(id);
                }
            }
            Frame::Done { exit_code } => {
                // A run that was killed at the last moment ends when its process has.
                let run = self.run.as_ref();
                if run.is_some_and(|run| run.kill_reason.is_none()) {
                    // Its interpreter need not be killed for what it has written, as it has ended by itself.
                    let is_exceeded = self.exceeds_output();
                    let exceeded = self.run.as_ref().and_then(Run::exceeded);
                    self.end(Ending::Finished {
                        exit_code: match is_exceeded {
                            true => ExitKind::Signal(9).code(),
                            false => exit_code,
                        },
                        step: None,
                        restarted: false,
                        exceeded,
                    });
                }
            }
            Frame::Bytecode(sent) => self.keep_bytecode(sent),
            Frame::Completions { id, found } => {
                if let Some(at) = self.completions.iter().position(|(of, _)| *of == id) {
                    let _ = self.completions.swap_remove(at).1.send(found);
                }
            }
        }
    }

    fn push(&self, record: &Record<'_>) {
        self.shared.lock().console.push(record);
    }

    /// What the runner has sent is in the console.
    fn acknowledge(&mut self) {
        if let Some(interpreter) = &mut self.interpreter {
            interpreter.settled(0);
        }
    }

    fn push_record(&self, record: Vec<u8>) -> serde_json::Result<()> {
        let _reading = (record.len() > LARGE).then(|| self.setup.stock.reading());
        let records = read_record(record)?;
        self.shared.lock().sink().append(records);
        Ok(())
    }

    pub(super) fn complete(
        &mut self,
        request: &CompleteRequest,
        reply: oneshot::Sender<Vec<String>>,
    ) {
        self.next_completion += 1;
        let id = self.next_completion;
        // While a snippet runs, the interpreter does not take requests.
        let asked = self.run.is_none()
            && self
                .interpreter
                .as_mut()
                .is_some_and(|interpreter| interpreter.complete(id, request));
        if asked {
            self.completions.push((id, reply));
        } else {
            let _ = reply.send(Vec::new());
        }
    }

    pub(super) fn fail_completions(&mut self) {
        for (_, reply) in self.completions.drain(..) {
            let _ = reply.send(Vec::new());
        }
    }
}

/// Media with bytes, as a data URI.
fn as_media<'a>(media_type: &'a str, bytes: &[u8]) -> Media<'a> {
    let content = format!("data:{media_type};base64,{}", STANDARD.encode(bytes));
    Media::new(media_type, content)
}
