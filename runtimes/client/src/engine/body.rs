//! The body of a response, as it arrives.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use sorna_core::TransportError;

use super::connection::Connection;
use super::exchange::{Incoming, Setting};
use super::progress::{Progress, step};
use super::shared::Shared;
use crate::net::{BoxFuture, Origin};
use crate::runtime::Runtime;

/// The body of a response, as a [`Stream`] of its bytes as they arrive.
///
/// - At most one buffer of 16 KiB is read ahead of what was asked for: a slow reader slows the
///   server.
/// - A body that ends early is an error, and so is a connection that is silent for longer than
///   [the idle timeout](crate::net::NetOptions::with_idle_timeout) while this is being polled. There are no more bytes then.
/// - Reading it to its end leaves the connection to the next request; dropping it earlier closes
///   the connection.
pub struct ResponseBody<R: Runtime> {
    /// `None` once the body has ended or failed.
    reading: Option<Box<Reading<R>>>,
    /// The last bytes, which arrived together with the end.
    rest: Bytes,
}

struct Reading<R: Runtime> {
    shared: Arc<Shared<R>>,
    origin: Origin,
    connection: Connection<R::Tcp>,
    incoming: Incoming,
    progress: Progress,
    reused: bool,
    /// Fires when it is time to check whether the connection is silent.
    timer: Option<BoxFuture<()>>,
    silent: Duration,
}

impl<R: Runtime> ResponseBody<R> {
    pub(super) fn new(
        shared: Arc<Shared<R>>,
        origin: Origin,
        connection: Connection<R::Tcp>,
        incoming: Incoming,
        progress: Progress,
        reused: bool,
    ) -> Self {
        let mut body = Self {
            reading: Some(Box::new(Reading {
                shared,
                origin,
                connection,
                incoming,
                progress,
                reused,
                timer: None,
                silent: Duration::ZERO,
            })),
            rest: Bytes::new(),
        };
        body.release();
        body
    }

    /// Leaves the connection to the next request if the whole body has arrived.
    fn release(&mut self) {
        let ended = |reading: &mut Box<Reading<R>>| reading.incoming.response().is_done();
        let Some(mut reading) = self.reading.take_if(ended) else {
            return;
        };
        self.rest = reading.incoming.response().take_body();
        if reading.incoming.keeps_alive() {
            let Reading {
                shared,
                origin,
                connection,
                ..
            } = *reading;
            shared.pool.put(&origin, connection);
        }
    }
}

impl<R: Runtime> Reading<R> {
    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        let options = &self.shared.options;
        let setting = Setting {
            peer: self.shared.peer(&self.origin),
            reused: self.reused,
            progress: &self.progress,
        };
        let read = self
            .incoming
            .poll_read(context, &mut self.connection, &setting);
        if read.is_ready() {
            self.silent = Duration::ZERO;
            return read;
        }
        let idle = options.times.idle;
        loop {
            let timer = match &mut self.timer {
                Some(timer) => timer,
                None => {
                    let runtime = self.shared.runtime.clone();
                    let sleep = Box::pin(async move { runtime.sleep(step(idle)).await });
                    self.timer.insert(sleep)
                }
            };
            ready!(timer.as_mut().poll(context));
            self.timer = None;
            self.silent += step(idle);
            if self.silent >= idle {
                let peer = self.shared.peer(&self.origin);
                let (doing, sent) = (self.progress.doing(), self.progress.sent());
                return Poll::Ready(Err(peer.silent(idle, doing, sent)));
            }
        }
    }
}

impl<R: Runtime> Stream for ResponseBody<R> {
    type Item = Result<Bytes, TransportError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let body = self.get_mut();
        loop {
            if !body.rest.is_empty() {
                return Poll::Ready(Some(Ok(std::mem::take(&mut body.rest))));
            }
            let Some(reading) = &mut body.reading else {
                return Poll::Ready(None);
            };
            body.rest = reading.incoming.response().take_body();
            if !body.rest.is_empty() {
                continue;
            }
            if let Err(error) = ready!(reading.poll_read(context)) {
                body.reading = None;
                return Poll::Ready(Some(Err(error)));
            }
            body.release();
        }
    }
}

impl<R: Runtime> fmt::Debug for ResponseBody<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody")
            .field("ended", &self.reading.is_none())
            .finish_non_exhaustive()
    }
}
