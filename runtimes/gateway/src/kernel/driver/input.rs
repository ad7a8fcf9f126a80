//! Input: noticing that a program waits for it, asking the client, and passing it on.

use std::time::Duration;

use sorna_core::Execute;

use super::parts::{Driver, InputPoll, InputRequest};
use crate::kernel::console::Stream;
use crate::kernel::input::{Echo, Input};
use crate::kernel::state::Phase;

/// How long a program that waits for input has to end for an interrupt by itself.
const REACTION_TIME: Duration = Duration::from_millis(30);
/// How long after an interrupt a program may still be about to wait.
const WAKING_TIME: Duration = Duration::from_secs(2);
/// How often in a row a program that has asked is not seen waiting before it is taken to have gone on.
const MOST_MISSED: u32 = 2;
/// The same for a program that waits for less than a second each time.
const MOST_MISSED_GLANCES: u32 = 20;

impl Driver {
    /// Whether to check for processes that wait for input: only while a request waits, or one has asked that may go on
    /// without it.
    pub(super) fn may_poll_input(&self) -> bool {
        if self
            .run
            .as_ref()
            .is_none_or(|run| run.kill_reason.is_some())
        {
            return false;
        }
        if matches!(self.asked, Some(InputRequest::Poll { .. })) {
            return true;
        }
        let state = self.shared.lock();
        state.listeners > 0 && state.phase == Phase::Running
    }

    pub(super) fn poll_input(&mut self) {
        self.notice_input();
        // Who waits for a question need not wait for that.
        if let Some(run) = &mut self.run {
            run.meter.look();
        }
    }

    fn notice_input(&mut self) {
        let root = match (&self.step, &self.interpreter) {
            (Some(step), _) => step.process.id(),
            (None, Some(interpreter)) => interpreter.id(),
            (None, None) => None,
        };
        if let Some(InputRequest::Poll {
            missed,
            echo,
            glances,
        }) = self.asked
        {
            let most_missed = if glances {
                MOST_MISSED_GLANCES
            } else {
                MOST_MISSED
            };
            let waits = root.and_then(|root| self.input.still_waiting(root));
            return match waits {
                // Another read, of what is to be hidden, or not any more.
                Some(waiting) if waiting.echo != echo => self.withdraw(),
                None if missed + 1 >= most_missed => self.withdraw(),
                waits => {
                    let missed = if waits.is_some() { 0 } else { missed + 1 };
                    let glances = waits.map_or(glances, |waiting| waiting.glances);
                    self.asked = Some(InputRequest::Poll {
                        missed,
                        echo,
                        glances,
                    });
                }
            };
        }
        let takes_glances = self.client_looks();
        let Some(waiting) = root.and_then(|root| self.input.waiting(root, takes_glances)) else {
            return;
        };
        if self.wakes_interrupted() {
            return;
        }
        // Output from before it began to wait belongs before the input request.
        if self.pump() {
            let request = if waiting.may_go_on || self.client_looks() {
                self.input_poll = InputPoll::slow();
                InputRequest::Poll {
                    missed: 0,
                    echo: waiting.echo,
                    glances: waiting.glances,
                }
            } else {
                InputRequest::Fifo
            };
            self.noticed = self.asked.is_none();
            self.ask(request, waiting.echo);
        }
    }

    /// Takes a question back, as the program has gone on without an answer.
    fn withdraw(&mut self) {
        self.asked = None;
        self.withdrawn = true;
        self.input_poll = InputPoll::new();
        self.resume_clock();
        self.shared.withdraw();
        self.ask_next();
    }

    /// Whether the client looks whether a program that has asked still waits. Any may go on without an answer: by a signal,
    /// or since another thread or process ends it.
    fn client_looks(&self) -> bool {
        self.shared.lock().client_looks()
    }

    /// The runner asks. What it has waited for until then, it does no more.
    pub(super) fn runner_asks(&mut self, id: u64, password: bool) {
        let echo = match password {
            _ if self.input.is_hidden() => Echo::Nothing,
            true => Echo::LineEnd,
            false => Echo::All,
        };
        self.requests.push((id, echo));
        match self.asked {
            Some(InputRequest::Poll { .. }) => self.withdraw(),
            Some(_) => {}
            None => self.ask_next(),
        }
    }

    /// The runner says that it is about to wait for the input, which is so noticed at once, with all output before.
    pub(super) fn runner_reads(&mut self) {
        // This wait has been asked about already, and may be over. If it is another one, that is noticed as well.
        if std::mem::take(&mut self.noticed) {
            return;
        }
        let is_interrupted = self
            .run
            .as_ref()
            .is_none_or(|run| run.interrupted.is_some());
        if is_interrupted || self.asked.is_some() || !self.input.is_empty() {
            return;
        }
        let request = match self.client_looks() {
            true => {
                self.input_poll = InputPoll::slow();
                InputRequest::Poll {
                    missed: 0,
                    echo: Echo::All,
                    glances: false,
                }
            }
            false => InputRequest::Fifo,
        };
        self.ask(request, Echo::All);
    }

    /// The runner does not wait for an answer any more.
    pub(super) fn runner_goes_on(&mut self, id: u64) {
        self.requests.retain(|(other, _)| *other != id);
        if !matches!(self.asked, Some(InputRequest::Runner(asked)) if asked == id) {
            return;
        }
        let run = self.run.as_ref();
        if run.is_some_and(|run| run.interrupted.is_some()) {
            // Its client knows: what it sends is no answer.
            self.asked = None;
            self.resume_clock();
            self.shared.enter(Phase::Running);
            self.ask_next();
        } else {
            self.withdraw();
        }
    }

    /// Ends what the runner reads, which wants to do so no more.
    pub(super) fn wake_reader(&mut self) {
        self.input.end();
        if matches!(
            self.asked,
            Some(InputRequest::Fifo | InputRequest::Poll { .. })
        ) {
            self.withdraw();
        }
    }

    /// Asks the client for what the runner has asked for first, unless it was typed ahead.
    fn ask_next(&mut self) {
        while self.asked.is_none() && !self.requests.is_empty() {
            let (id, echo) = self.requests.remove(0);
            let typed = self.input.take();
            match &mut self.interpreter {
                Some(interpreter) if !typed.is_empty() => interpreter.give_input(id, &typed),
                _ => self.ask(InputRequest::Runner(id), echo),
            }
            if self.run.is_none() {
                return;
            }
        }
    }

    /// Asks the client for input, unless it has been asked already.
    pub(super) fn ask(&mut self, request: InputRequest, echo: Echo) {
        if self.asked.is_some() || self.run.is_none() {
            return;
        }
        self.asked = Some(request);
        // A program that only glances at its input does not stop for it, and one without a client does not wait for ever.
        let glances = matches!(request, InputRequest::Poll { glances: true, .. });
        if !glances && !self.shared.lock().is_unattended() {
            self.pause_clock();
        }
        let mut state = self.shared.lock();
        state.may_go_on = matches!(request, InputRequest::Poll { .. }) || state.client_looks();
        drop(state);
        self.finish_characters();
        self.shared.wait_for_input(echo);
    }

    /// Forgets that a program waits for input which has been interrupted.
    pub(super) fn stop_asking(&mut self) {
        let asked = self
            .asked
            .take_if(|asked| !matches!(asked, InputRequest::Runner(_)));
        self.withdrawn = false;
        if asked.is_some() {
            self.resume_clock();
            self.shared.enter(Phase::Running);
        }
        self.input_poll = InputPoll::new();
    }

    /// Whether a program that waits for input has just been interrupted. Its input then ends, as many interpreters handle
    /// the signal only when they have read.
    fn wakes_interrupted(&mut self) -> bool {
        let Some(since) = self.run.as_ref().and_then(|run| run.interrupted) else {
            return false;
        };
        let elapsed = since.elapsed();
        if elapsed < REACTION_TIME {
            return true;
        }
        if let Some(run) = &mut self.run {
            run.interrupted = None;
        }
        if elapsed > WAKING_TIME {
            return false;
        }
        self.input.end();
        true
    }

    /// Passes the client's input on.
    pub(super) fn give_input(&mut self, input: Input) {
        self.shared.passes_on_input();
        self.resume_clock();
        // A single Ctrl-D stands for the end of input. A refusal is the same, but for a runner that asks.
        let ends =
            matches!(&input, Input::Text(text) if text == "\u{4}" || text == Execute::REFUSAL);
        let given = given(input);
        if self.run.is_none() {
            if !ends {
                self.input.add_to_rest(&given);
            }
            return;
        }
        let asked = self.asked.take();
        if ends && matches!(asked, Some(InputRequest::Poll { glances: true, .. })) {
            self.input.end_glances();
        }
        match asked {
            Some(InputRequest::Runner(id)) => {
                if let Some(interpreter) = &mut self.interpreter {
                    interpreter.give_input(id, &given);
                }
            }
            None if !self.withdrawn => {}
            // Also where the program has gone on: it is typed ahead.
            _ if ends => self.input.end(),
            _ => {
                if let Err(error) = self.input.write(&given) {
                    let message = format!("input could not be delivered: {error}\n");
                    self.shared
                        .lock()
                        .sink()
                        .push_text(Stream::Stderr, &message);
                }
            }
        }
        self.withdrawn = false;
        self.input_poll = InputPoll::new();
        self.ask_next();
    }
}

/// What a program reads for the client's input. Most clients send one line without its end; those that send many send all
/// line ends, and a Ctrl-D after a last line that has none. Bytes are what they are.
fn given(input: Input) -> Vec<u8> {
    let mut text = match input {
        Input::Text(text) => text,
        Input::Bytes(bytes) => return bytes,
    };
    if text == Execute::REFUSAL {
        return text.into();
    }
    if text.ends_with('\u{4}') {
        text.pop();
    } else if !text.ends_with('\n') {
        text.push('\n');
    }
    text.into()
}
