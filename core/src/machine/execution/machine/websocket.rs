//! An execution over a WebSocket.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use super::{Execution, Opening, State};
use crate::error::{AbortReason, Aborted, Error, GatewayError, line};
use crate::instant::Instant;
use crate::machine::call::Call;
use crate::machine::execution::event::ExecutionEvent;
use crate::machine::execution::stream::Next;
use crate::machine::execution::streaming::Streaming;
use crate::machine::step::{Step, Transmit};
use crate::moment::Moment;
use crate::ops::stream::{first_message, read_message};
use crate::ops::{Continuation, Execute, ExecutionResult, OpenExecution};
use crate::problem::ProblemKind;
use crate::version::Dialect;

/// The most time to open a WebSocket. After that, requests are made instead.
const OPEN_LIMIT: Duration = Duration::from_secs(10);

/// The most time to tell a gateway that the end of an execution has arrived.
const PATIENCE: Duration = Duration::from_secs(10);

/// The most characters of a message that explains why a gateway ended an execution.
const MOST_MESSAGE: usize = 300;

impl Execution {
    /// Executes over a WebSocket where that [is good](Streaming), so that output comes as it is written; of Backend.AI
    /// only. See [below](Self#over-a-websocket). Without this, no [`Step::Open`] comes.
    pub fn with_streaming(mut self, streaming: Streaming) -> Self {
        self.streaming = Some(streaming);
        self
    }

    /// Makes requests, and opens no WebSocket: for output that is not needed before the end. Has no effect once the
    /// execution has begun.
    pub fn poll_only(&mut self) {
        self.streaming = None;
    }

    /// Whether a WebSocket is open.
    pub(in crate::machine) fn is_open(&self) -> bool {
        self.stream.is_some() || self.must_close
    }

    /// Closes the WebSocket, if it is open.
    pub(super) fn close(&mut self) {
        self.must_close |= self.stream.take().is_some();
        if let Some(conduct) = &mut self.conduct {
            conduct.set_streamed(false);
        }
    }

    /// Makes the request for a WebSocket.
    pub(super) fn open(&self, now: Moment, start: Execute) -> Result<Opening, Error> {
        let open = OpenExecution::new(start.kernel.clone());
        let request = open.request(self.caller.signer(), now.wall)?;
        Ok(Opening {
            request: Some(Transmit {
                request,
                time_limit: self.caller.retry().attempt_limit().min(OPEN_LIMIT),
                attempt: 1,
                own_connection: false,
            }),
            first: first_message(&start)?,
            start,
        })
    }

    /// There is no WebSocket, for whatever reason: nothing was executed yet.
    pub(super) fn refused(&mut self) {
        let state = std::mem::replace(&mut self.state, State::Listening);
        if let State::Opening(opening) = state {
            self.call(opening.start);
        }
    }

    /// Acts on what the WebSocket needs, or gives the step.
    pub(super) fn listen(
        &mut self,
        now: Moment,
    ) -> Option<Step<ExecutionEvent, Result<ExecutionResult, Error>>> {
        let stream = self.stream.as_mut()?;
        let conduct = self.conduct.as_mut()?;
        let silent = conduct.silent_at(now);
        match stream.poll(now.instant, !conduct.is_running()) {
            Next::Received(message) => self.read(now, message),
            Next::Broken(_) if self.persists && !conduct.is_settling() => self.resume(),
            Next::Broken(failure) => {
                // In this order: what was streamed has no ID by which it could be freed.
                self.failed(Error::MayHaveRun(failure));
                self.close();
            }
            Next::Closed(message) => {
                self.close();
                self.failed(Aborted::new(AbortReason::Reported(message), false).into());
            }
            Next::Send(frame) => return Some(Step::SendFrame(frame)),
            Next::Late => {
                let next = conduct.late();
                stream.wait_again();
                self.act(next);
            }
            Next::Wait(until) => match silent {
                Some((at, limit)) if now.instant >= at => {
                    let next = conduct.give_up(AbortReason::Silent(limit), false);
                    self.act(next);
                }
                Some((at, _)) => return Some(Step::Wait(until.min(at))),
                None => return Some(Step::Wait(until)),
            },
        }
        None
    }

    /// Continues by requests: the WebSocket has broken. If nothing has come over it, the gateway may not have begun.
    fn resume(&mut self) {
        let start = self.stream.as_mut().map(|stream| stream.take_start());
        self.close();
        self.is_resumed = true;
        let start = start.filter(|_| !self.has_turn);
        let is_start = start.is_some();
        let mut next = start.unwrap_or_else(|| self.next(Continuation::Continue));
        if let Some(mark) = &mut next.mark {
            mark.received = Some(self.results);
        }
        match is_start && self.is_given_up {
            true => self.ask_again(next),
            false => self.call(next),
        }
    }

    /// Waits until the gateway closes the WebSocket after the end, or gives the step.
    pub(super) fn part(
        &mut self,
        now: Moment,
        until: Instant,
    ) -> Option<Step<ExecutionEvent, Result<ExecutionResult, Error>>> {
        let next = self.stream.as_mut().map(|it| it.poll(now.instant, false));
        match next {
            Some(Next::Received(_)) => return None,
            Some(Next::Send(frame)) => return Some(Step::SendFrame(frame)),
            Some(Next::Wait(_)) if now.instant < until => return Some(Step::Wait(until)),
            // It is slow, or dead.
            Some(Next::Broken(_) | Next::Wait(_)) => self.confirm_parting(),
            _ => self.parted(),
        }
        None
    }

    /// Tells the gateway what has arrived, which it would else keep for others.
    pub(super) fn confirm(&mut self, result: ExecutionResult) {
        let mut next = self.next(Continuation::Continue);
        if let Some(mark) = &mut next.mark {
            mark.received = Some(self.results);
        }
        self.close();
        let retry = self.caller.retry().with_budget(PATIENCE);
        let call = Call::new(next, self.caller.clone().with_retry(retry));
        self.state = State::Confirming(Box::new(call), Box::new(result));
    }

    /// The same for the end that has come over the WebSocket.
    fn confirm_parting(&mut self) {
        let state = std::mem::replace(&mut self.state, State::AwaitingInput);
        if let State::Parting(_, result) = state {
            self.confirm(*result);
        }
    }

    /// Ends with the result that has arrived.
    pub(super) fn parted(&mut self) {
        let state = std::mem::replace(&mut self.state, State::AwaitingInput);
        if let State::Parting(_, result) | State::Confirming(_, result) = state {
            self.end(Ok(*result));
        }
    }

    /// Reads a message of the WebSocket.
    fn read(&mut self, now: Moment, message: Bytes) {
        let result = match read_message(message) {
            Ok(result) => result,
            Err(error) => return self.failed(Error::Parse(Box::new(error))),
        };
        // Not results: the manager fails, or is about to restart or to destroy the session.
        let ends = ["error", "server-restarting"];
        if !ends.contains(&result.status.as_str()) {
            self.results += 1;
            return self.received(now, result);
        }
        if let Some(error) = error_in(&result) {
            let start = self.stream.as_mut().map(|stream| stream.take_start());
            self.close();
            if !start.is_some_and(|start| self.is_held(now, &error, start)) {
                self.failed(error);
            }
            return;
        }
        let message = result.extra.get("msg").and_then(|message| message.as_str());
        let message = line(message.unwrap_or_default().as_bytes(), MOST_MESSAGE);
        self.failed(Aborted::new(AbortReason::Reported(message), false).into());
    }
}

/// The problem in a message of `sorna-gateway`, as a response would have it. Managers have only words there.
fn error_in(result: &ExecutionResult) -> Option<Error> {
    let body = Bytes::from(serde_json::to_vec(&result.extra).ok()?);
    let error = |status| GatewayError::new(Dialect::BackendAi, status, &HeaderMap::new(), &body);
    let status = match error(StatusCode::CONFLICT).kind()? {
        ProblemKind::KernelBusy | ProblemKind::RunTakenOver | ProblemKind::NothingToAttach => {
            StatusCode::CONFLICT
        }
        ProblemKind::KernelExecutionFailed => StatusCode::INTERNAL_SERVER_ERROR,
        ProblemKind::InvalidApiParams | ProblemKind::GenericBadRequest => StatusCode::BAD_REQUEST,
        ProblemKind::ObjectNotFound => StatusCode::NOT_FOUND,
        _ => return None,
    };
    Some(error(status).into())
}
