//! The body of a form, in pieces that its parser cannot pile up.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::Stream;
use http_body_util::{BodyDataStream, BodyExt};
use hyper::body::Incoming;

/// The most bytes that the parser gets at once where they are limited: it takes all that is there before it looks at it.
const PIECE: usize = 4 * 1024;

/// More than a parser may hold has arrived.
#[derive(Debug)]
pub(super) struct TooMuch;

impl std::fmt::Display for TooMuch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("too much to hold in memory")
    }
}

impl std::error::Error for TooMuch {}

type Error = Box<dyn std::error::Error + Send + Sync>;

/// How many bytes may still be passed on.
#[derive(Clone, Debug, Default)]
pub(super) struct Gauge(Arc<AtomicU64>);

impl Gauge {
    /// Allows this many bytes, and a piece more at most.
    pub(super) fn allow(&self, bytes: u64) {
        self.0.store(bytes, Ordering::Relaxed);
    }

    pub(super) fn allow_all(&self) {
        self.allow(u64::MAX);
    }

    /// How many of these bytes may be passed on now.
    fn take(&self, bytes: usize) -> Option<usize> {
        let left = self.0.load(Ordering::Relaxed);
        if left == u64::MAX {
            return Some(bytes);
        }
        let bytes = bytes.min(PIECE);
        self.allow(left.saturating_sub(bytes as u64));
        (left > 0).then_some(bytes)
    }
}

/// A body whose pieces arrive one for each time that its reader is woken, within what a gauge allows.
pub(super) struct Pieces<'a> {
    body: BodyDataStream<&'a mut Incoming>,
    rest: Bytes,
    gauge: Gauge,
    has_given: bool,
}

impl<'a> Pieces<'a> {
    pub(super) fn new(body: &'a mut Incoming, gauge: Gauge) -> Self {
        Self {
            body: body.into_data_stream(),
            rest: Bytes::new(),
            gauge,
            has_given: false,
        }
    }
}

impl Stream for Pieces<'_> {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if std::mem::take(&mut self.has_given) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.rest.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_next(context)) {
                Some(Ok(bytes)) => self.rest = bytes,
                Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                None => return Poll::Ready(None),
            }
        }
        let Some(length) = self.gauge.take(self.rest.len()) else {
            return Poll::Ready(Some(Err(TooMuch.into())));
        };
        self.has_given = true;
        Poll::Ready(Some(Ok(self.rest.split_to(length))))
    }
}
