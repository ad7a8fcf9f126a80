//! The loop that all drivers share.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::Response;
use sorna_core::TransportError;
use sorna_core::machine::{Machine, Step};

use super::inner::Inner;
use crate::net::{BoxFuture, Transport};
use crate::observe::observed;

/// A machine, and what it is waiting for.
///
/// The request in flight is kept here and not in the future of the caller, so that dropping that
/// future loses nothing.
pub(super) struct Driver<T, M> {
    inner: Arc<Inner<T>>,
    pub(super) machine: M,
    pending: Pending,
}

/// The mutexes are never locked: they make these futures, and with them runs, executions and guards of
/// kernels, `Sync`.
enum Pending {
    Nothing,
    Response(Mutex<BoxFuture<Result<Response<Bytes>, TransportError>>>),
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
        }
    }

    /// Does what the machine asks for until it has something to report. May be dropped at any time, and
    /// called again.
    pub(super) async fn next(&mut self) -> Driven<M> {
        poll_fn(|context| self.poll(context)).await
    }

    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Driven<M>> {
        loop {
            let clock = self.inner.clock;
            let now = match &mut self.pending {
                Pending::Nothing => clock.now(),
                Pending::Response(response) => {
                    let result = ready!(Pending::poll(response, context));
                    self.pending = Pending::Nothing;
                    let now = clock.now();
                    match result {
                        Ok(response) => self.machine.handle_response(now, response),
                        Err(failure) => self.machine.handle_failure(now, failure),
                    }
                    now
                }
                Pending::Time(time) => {
                    ready!(Pending::poll(time, context));
                    self.pending = Pending::Nothing;
                    clock.now()
                }
            };
            let inner = Arc::clone(&self.inner);
            self.pending = match self.machine.poll(now) {
                Step::Send(transmit) => Pending::Response(Mutex::new(Box::pin(async move {
                    let (limit, attempt) = (transmit.time_limit, transmit.attempt);
                    let send = |request| inner.transport.send(request, limit);
                    observed(inner.observer.as_ref(), transmit.request, attempt, send).await
                }))),
                Step::Wait(until) => Pending::Time(Mutex::new(Box::pin(async move {
                    inner.transport.sleep(clock.until(until)).await;
                }))),
                Step::Event(event) => return Poll::Ready(Driven::Event(event)),
                Step::Done(output) => return Poll::Ready(Driven::Done(output)),
                _ => return Poll::Ready(Driven::Idle),
            };
        }
    }

    /// Ends a wait, so that the machine is asked again at once.
    pub(super) fn wake(&mut self) {
        if matches!(self.pending, Pending::Time(_)) {
            self.pending = Pending::Nothing;
        }
    }
}

impl<T, M: Unpin> Unpin for Driver<T, M> {}

impl<T, M: fmt::Debug> fmt::Debug for Driver<T, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver")
            .field("machine", &self.machine)
            .finish_non_exhaustive()
    }
}
