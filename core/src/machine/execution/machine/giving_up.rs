//! How an execution is given up.

use std::time::Duration;

use super::{Execution, LEAST_INTERVAL, State};
use crate::error::{AbortReason, Aborted};
use crate::instant::Instant;
use crate::machine::execution::conduct::Next;
use crate::moment::Moment;
use crate::ops::{Continuation, Execute};

/// How long the end of an interrupted program is awaited in Sorna v2: about as long as in Backend.AI.
const PATIENCE: Duration = Duration::from_secs(8);

impl Execution {
    /// Gives the execution up as soon as no request is in flight: poll on, and pass in the response or failure of a
    /// request in flight. The end is [`Error::Aborted`](crate::Error::Aborted), which says whether the kernel can be used
    /// again, or a result if the program ended first.
    ///
    /// In Sorna v2 the program is interrupted only [where the gateway can do that](Self::with_interrupts), and its end awaited for
    /// 8 s. Other gateways have no way to free the kernel, so nothing more is sent there.
    pub fn give_up(&mut self) {
        self.is_given_up = true;
    }

    /// Whether the gateway understands [`Interrupt`](crate::Interrupt) in Sorna v2 (see
    /// [`Interrupt::EXTENSION`](crate::Interrupt::EXTENSION)): then a program that is [given up](Self::give_up) is interrupted.
    pub fn with_interrupts(mut self, interrupts: bool) -> Self {
        self.interrupts = interrupts;
        self
    }

    /// Acts on a request to give up, once nothing is in flight.
    pub(super) fn check_given_up(&mut self, now: Moment) {
        if self
            .conduct
            .as_ref()
            .is_some_and(|conduct| !conduct.is_running())
        {
            // It is about to end.
            return;
        }
        if let Some(until) = self.stopping {
            return self.await_end(now, until);
        }
        let has_begun = match &self.state {
            State::Over(_) | State::Parting(..) | State::Confirming(..) => return,
            State::Ready(_) | State::Held(_) => false,
            State::Calling(call) => {
                if call.is_busy() {
                    return;
                }
                let is_start = call.operation().continuation == Continuation::Start;
                if is_start && self.asks_again {
                    // What has come of it is not known yet.
                    return;
                }
                if self.mark.is_some() && call.is_unanswered() {
                    if !is_start {
                        self.unanswered = Some(Box::new(call.operation().clone()));
                    } else if call.may_have_acted() {
                        let start = call.operation().clone();
                        return self.ask_again(start);
                    }
                }
                !is_start || call.may_have_acted()
            }
            State::Opening(opening) if opening.request.is_none() => return,
            State::Opening(_) => false,
            // The first message, which comes at once, says that it runs. Until then, another one may.
            State::Listening if self.persists && !self.has_turn && !self.awaits_turn() => {
                return self.hurry();
            }
            // One that waits for its turn must not interrupt what runs; closing the WebSocket ends it.
            State::Listening if self.mark.is_some() => self.has_turn,
            State::Listening => self.stream.as_ref().is_some_and(|it| it.has_started()),
            State::Interrupting(_) | State::AwaitingInput | State::Pausing(_) => true,
        };
        if self.persists {
            self.hurry();
        }
        let awaits_input = matches!(self.state, State::AwaitingInput);
        let next = match &mut self.conduct {
            _ if !has_begun => Next::End(Err(Aborted::new(AbortReason::GivenUp, true).into())),
            Some(conduct) => conduct.give_up(AbortReason::GivenUp, awaits_input),
            None if self.interrupts => {
                self.stopping = Some(now.instant.saturating_add(PATIENCE));
                Next::Interrupt
            }
            None => Next::End(Err(Aborted::new(AbortReason::GivenUp, false).into())),
        };
        self.act(next);
    }

    /// Has the gateway show soon that the WebSocket is not dead: if it is, the execution is continued by requests.
    fn hurry(&mut self) {
        if let Some(stream) = &mut self.stream {
            stream.hurry();
        }
    }

    /// Sends the first request once more, only to learn what has come of it: it may have arrived, or not.
    pub(super) fn ask_again(&mut self, mut start: Execute) {
        if let Some(mark) = &mut start.mark {
            mark.asks_again = true;
            mark.waits = false;
        }
        self.asks_again = true;
        self.call(start);
    }

    /// Whether a response has not come, and is asked for once more before the execution is left.
    pub(in crate::machine) fn asks_once_more(&self) -> bool {
        match &self.state {
            State::Calling(call) => {
                self.mark.is_some() && call.is_unanswered() && call.was_tried_once()
            }
            _ => false,
        }
    }

    /// Asks for the end of a program that was interrupted in Sorna v2, until it is late.
    fn await_end(&mut self, now: Moment, until: Instant) {
        let is_busy = match &self.state {
            State::Over(_) => return,
            State::Calling(call) => call.is_busy(),
            State::Interrupting(_) => true,
            _ => false,
        };
        if is_busy {
            return;
        }
        if now.instant >= until {
            return self.act(Next::End(Err(
                Aborted::new(AbortReason::GivenUp, false).into()
            )));
        }
        if matches!(self.state, State::AwaitingInput) {
            // The interrupt has not reached it yet, or it goes on in spite of it.
            self.has_asked = true;
            self.state = State::Pausing(self.sent.saturating_add(LEAST_INTERVAL));
        }
    }

    /// Asks for the next result of a program that waits for input, by an input of no bytes; where there is none, an empty line.
    pub(super) fn give_nothing(&mut self) {
        self.proceed(match self.takes_bytes {
            true => Continuation::InputBytes(Vec::new()),
            false => Continuation::Input(String::new()),
        });
    }
}
