//! The loop that all drivers share.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Response, StatusCode};
use sorna_core::machine::{Machine, Step, Transmit};
use sorna_core::{Frame, Moment, Sent, TransportError, TransportErrorKind};

use super::channel::{Channel, Opened, Received};
use super::inner::Inner;
use crate::net::{BoxFuture, OwnConnection, Transport};
use crate::observe::observed;

/// A machine, and what it is waiting for.
///
/// The request in flight and the WebSocket are kept here and not in the future of the caller, so that dropping that
/// future loses nothing.
pub(super) struct Driver<T, M> {
    inner: Arc<Inner<T>>,
    pub(super) machine: M,
    pending: Pending,
    channel: Option<Mutex<Box<dyn Channel>>>,
    /// Whether a WebSocket was refused, and it is not known yet whether plain requests work.
    was_refused: bool,
}

/// The mutexes are never locked: they make these futures, and with them runs, executions and guards of
/// kernels, `Sync`.
enum Pending {
    Nothing,
    Response(Mutex<BoxFuture<Result<Response<Bytes>, TransportError>>>),
    Opening(Mutex<BoxFuture<Result<Opened, TransportError>>>),
    /// A frame to be sent, and how long that may take once it has to wait.
    Frame(Option<Frame>, Option<Mutex<BoxFuture<()>>>),
    /// While a WebSocket is open, messages end the wait.
    Time(Mutex<BoxFuture<()>>),
}

impl Pending {
    fn poll<F: Future + ?Sized>(
        future: &mut Mutex<Pin<Box<F>>>,
        context: &mut Context<'_>,
    ) -> Poll<F::Output> {
        let future = future.get_mut().unwrap_or_else(PoisonError::into_inner);
        future.as_mut().poll(context)
    }
}

/// What a machine reports.
pub(super) enum Driven<M: Machine> {
    Event(M::Event),
    Idle,
    Done(M::Output),
}

impl<T: Transport + 'static, M: Machine> Driver<T, M> {
    pub(super) fn new(inner: Arc<Inner<T>>, machine: M) -> Self {
        Self {
            inner,
            machine,
            pending: Pending::Nothing,
            channel: None,
            was_refused: false,
        }
    }

    /// Does what the machine asks for until it has something to report. May be dropped at any time, and
    /// called again.
    pub(super) async fn next(&mut self) -> Driven<M> {
        poll_fn(|context| self.poll(context)).await
    }

    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Driven<M>> {
        loop {
            let now = ready!(self.poll_pending(context));
            self.pending = match self.machine.poll(now) {
                Step::Send(transmit) => self.send(transmit),
                Step::Wait(until) => {
                    let clock = self.inner.clock;
                    let inner = Arc::clone(&self.inner);
                    Pending::Time(Mutex::new(Box::pin(async move {
                        inner.transport.sleep(clock.until(until)).await;
                    })))
                }
                Step::Open(transmit) => self.open(transmit, now),
                Step::SendFrame(frame) => Pending::Frame(Some(frame), None),
                Step::Close => {
                    self.channel = None;
                    Pending::Nothing
                }
                Step::Event(event) => return Poll::Ready(Driven::Event(event)),
                Step::Done(output) => return Poll::Ready(Driven::Done(output)),
                _ => return Poll::Ready(Driven::Idle),
            };
        }
    }

    fn send(&self, mut transmit: Transmit) -> Pending {
        let inner = Arc::clone(&self.inner);
        if transmit.own_connection {
            transmit.request.extensions_mut().insert(OwnConnection);
        }
        Pending::Response(Mutex::new(Box::pin(async move {
            let (limit, attempt) = (transmit.time_limit, transmit.attempt);
            let send = |request| inner.transport.send(request, limit);
            observed(inner.observer.as_ref(), transmit.request, attempt, send).await
        })))
    }

    fn open(&mut self, transmit: Transmit, now: Moment) -> Pending {
        match self.inner.channels.opener() {
            Some(open) => Pending::Opening(Mutex::new(open(Arc::clone(&self.inner), transmit))),
            None => {
                // One was refused in the meantime.
                let message = "there are no WebSockets";
                let kind = TransportErrorKind::Other;
                let failure = TransportError::new(kind, Sent::Nothing, message);
                self.machine.handle_failure(now, failure);
                Pending::Nothing
            }
        }
    }

    /// Waits for what is pending, and gives its outcome to the machine.
    fn poll_pending(&mut self, context: &mut Context<'_>) -> Poll<Moment> {
        let clock = self.inner.clock;
        match &mut self.pending {
            Pending::Nothing => return Poll::Ready(clock.now()),
            Pending::Response(response) => {
                let result = ready!(Pending::poll(response, context));
                let now = clock.now();
                match result {
                    Ok(response) => {
                        if self.was_refused && response.status().is_success() {
                            self.inner.channels.refuse();
                        }
                        self.was_refused = false;
                        self.machine.handle_response(now, response);
                    }
                    Err(failure) => self.machine.handle_failure(now, failure),
                }
            }
            Pending::Opening(opening) => {
                let opened = ready!(Pending::poll(opening, context));
                let now = clock.now();
                self.was_refused = match &opened {
                    Ok(Opened::Channel(_)) => false,
                    // This says nothing about WebSockets.
                    Ok(Opened::Refused(response)) => {
                        response.status() != StatusCode::TOO_MANY_REQUESTS
                    }
                    Err(_) => true,
                };
                match opened {
                    Ok(Opened::Channel(channel)) => {
                        self.channel = Some(Mutex::new(channel));
                        self.machine.handle_open(now);
                    }
                    Ok(Opened::Refused(response)) => self.machine.handle_response(now, response),
                    Err(failure) => self.machine.handle_failure(now, failure),
                }
            }
            Pending::Frame(frame, limit) => {
                if let Some(channel) = channel(&mut self.channel) {
                    let sent = match channel.poll_send(context, frame) {
                        Poll::Ready(sent) => sent,
                        Poll::Pending => {
                            let inner = &self.inner;
                            let limit = limit.get_or_insert_with(|| send_limit(inner));
                            ready!(Pending::poll(limit, context));
                            let message = "the gateway does not read what is sent to it";
                            let kind = TransportErrorKind::Timeout;
                            Err(TransportError::new(kind, Sent::Maybe, message))
                        }
                    };
                    if let Err(failure) = sent {
                        self.channel = None;
                        self.machine.handle_failure(clock.now(), failure);
                    }
                }
            }
            Pending::Time(time) => {
                let received = channel(&mut self.channel)
                    .map_or(Poll::Pending, |channel| channel.poll_receive(context));
                match received {
                    Poll::Ready(received) => self.receive(clock.now(), received),
                    Poll::Pending => ready!(Pending::poll(time, context)),
                }
            }
        }
        self.pending = Pending::Nothing;
        Poll::Ready(clock.now())
    }

    fn receive(&mut self, now: Moment, received: Received) {
        match received {
            Received::Frame(frame) => self.machine.handle_frame(now, frame),
            Received::Closed(code, reason) => {
                self.channel = None;
                self.machine.handle_close(now, code, &reason);
            }
            Received::Broken(failure) => {
                self.channel = None;
                self.machine.handle_failure(now, failure);
            }
        }
    }

    /// Ends a wait, so that the machine is asked again at once.
    pub(super) fn wake(&mut self) {
        if matches!(self.pending, Pending::Time(_)) {
            self.pending = Pending::Nothing;
        }
    }
}

fn channel(channel: &mut Option<Mutex<Box<dyn Channel>>>) -> Option<&mut dyn Channel> {
    let channel = channel.as_mut()?;
    let channel = channel.get_mut().unwrap_or_else(PoisonError::into_inner);
    Some(&mut **channel)
}

/// How long a frame may have to wait: as long as a request may take.
fn send_limit<T: Transport + 'static>(inner: &Arc<Inner<T>>) -> Mutex<BoxFuture<()>> {
    let limit = inner.caller.retry().attempt_limit();
    let inner = Arc::clone(inner);
    Mutex::new(Box::pin(async move { inner.transport.sleep(limit).await }))
}

impl<T, M: Unpin> Unpin for Driver<T, M> {}

impl<T, M: fmt::Debug> fmt::Debug for Driver<T, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver")
            .field("machine", &self.machine)
            .finish_non_exhaustive()
    }
}
