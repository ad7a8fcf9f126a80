//! An execution as a [`Machine`]: which step comes next, and what is done with what comes in.

use std::time::Duration;

use bytes::Bytes;
use http::Response;

use super::{Execution, State};
use crate::error::{Error, TransportError};
use crate::frame::Frame;
use crate::machine::execution::conduct::Next;
use crate::machine::execution::event::ExecutionEvent;
use crate::machine::execution::settle::Ask;
use crate::machine::execution::stream::Stream;
use crate::machine::step::{Exchange, Machine, Step};
use crate::moment::Moment;
use crate::ops::{Continuation, ExecuteMode, ExecutionResult};

/// How long the gateway may take to reply to a ping, where nothing is lost if the WebSocket is left.
const REPLY_LIMIT: Duration = Duration::from_secs(10);

impl Machine for Execution {
    type Event = ExecutionEvent;
    type Output = Result<ExecutionResult, Error>;

    fn poll(&mut self, now: Moment) -> Step<ExecutionEvent, Self::Output> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Step::Event(event);
            }
            if self.is_given_up {
                self.check_given_up(now);
            }
            if std::mem::take(&mut self.must_close) {
                return Step::Close;
            }
            match &mut self.state {
                State::Calling(call) => match call.poll(now).split() {
                    Ok(Ok(reply)) => self.received(now, reply.value),
                    Ok(Err(error)) => {
                        let start = call.operation().clone();
                        if !self.is_held(now, &error, start) {
                            self.failed(error);
                        }
                    }
                    Err(step) => {
                        if matches!(step, Step::Send(_)) {
                            self.sent = now.instant;
                        }
                        return step.within(|never| match never {});
                    }
                },
                State::Ready(mode) => {
                    let mode = std::mem::replace(mode, ExecuteMode::query(""));
                    self.begin(now, mode);
                }
                State::Opening(opening) => {
                    return opening.request.take().map_or(Step::Idle, Step::Open);
                }
                State::Listening => {
                    if let Some(step) = self.listen(now) {
                        return step;
                    }
                }
                State::Parting(until, _) => {
                    let until = *until;
                    if let Some(step) = self.part(now, until) {
                        return step;
                    }
                }
                State::Confirming(call, _) => match call.poll(now).split() {
                    // The output is there, whatever the gateway says to that.
                    Ok(_) => self.parted(),
                    Err(step) => return step.within(|never| match never {}),
                },
                State::Interrupting(call) => match call.poll(now).split() {
                    Ok(Err(error)) if self.mark.is_none() || error.gateway().is_some() => {
                        self.failed(error);
                    }
                    // Without a response it may have arrived, and what has happened until then is asked for in any case.
                    Ok(_) => {
                        let next = self.conduct.as_mut().and_then(|conduct| conduct.released());
                        self.act(next.unwrap_or(Next::Ask(Ask::Continue)));
                    }
                    Err(step) => return step.within(|never| match never {}),
                },
                State::Pausing(until) if now.instant < *until => return Step::Wait(*until),
                State::Pausing(_) => {
                    let end = self.conduct.as_mut().and_then(|conduct| conduct.freed());
                    match end {
                        Some(error) => self.end(Err(error)),
                        None if std::mem::take(&mut self.has_asked) => self.give_nothing(),
                        None => self.proceed(Continuation::Continue),
                    }
                }
                State::Held(held) if now.instant < held.until => return Step::Wait(held.until),
                State::Held(_) => self.try_again(now),
                State::AwaitingInput => return Step::Idle,
                State::Over(end) => return end.take().map_or(Step::Idle, Step::Done),
            }
        }
    }

    fn handle_response(&mut self, now: Moment, response: Response<Bytes>) {
        match &mut self.state {
            State::Calling(call) => Exchange::handle_response(call, now, response),
            State::Interrupting(call) => Exchange::handle_response(call, now, response),
            State::Confirming(call, _) => Exchange::handle_response(&mut **call, now, response),
            State::Opening(opening) if opening.request.is_none() => self.refused(),
            _ => {}
        }
    }

    fn handle_failure(&mut self, now: Moment, failure: TransportError) {
        match &mut self.state {
            State::Calling(call) => Exchange::handle_failure(call, now, failure),
            State::Interrupting(call) => Exchange::handle_failure(call, now, failure),
            State::Confirming(call, _) => Exchange::handle_failure(&mut **call, now, failure),
            State::Opening(opening) if opening.request.is_none() => self.refused(),
            _ => {
                if let Some(stream) = &mut self.stream {
                    stream.fail(failure);
                }
            }
        }
    }

    fn handle_open(&mut self, _: Moment) {
        if !matches!(&self.state, State::Opening(opening) if opening.request.is_none()) {
            return;
        }
        let state = std::mem::replace(&mut self.state, State::Listening);
        if let (State::Opening(opening), Some(conduct)) = (state, &mut self.conduct) {
            conduct.set_streamed(true);
            let mut limit = self.caller.retry().attempt_limit();
            if self.persists {
                // It can go on by requests at once.
                limit = limit.min(REPLY_LIMIT);
            }
            self.stream = Some(Box::new(Stream::new(opening.first, opening.start, limit)));
        }
    }

    fn handle_frame(&mut self, _: Moment, frame: Frame) {
        if let Some(stream) = &mut self.stream {
            stream.receive(frame);
        }
    }

    fn handle_close(&mut self, _: Moment, code: Option<u16>, reason: &str) {
        if let Some(stream) = &mut self.stream {
            stream.close(code, reason);
        }
    }
}
