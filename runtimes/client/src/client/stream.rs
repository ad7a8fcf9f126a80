//! Responses whose bodies are read as they arrive.

use std::fmt;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use http::{HeaderMap, Request, Response, StatusCode};
use sorna_core::machine::{Call, Machine as _, Step};
use sorna_core::{
    ApiVersion, Body, BuildError, Error, GatewayError, Operation, Repeat, Sent, Success,
    TransportError, TransportErrorKind, UnsignedRequest,
};

use super::handle::Client;
use super::inner::Inner;
use crate::net::StreamTransport;
use crate::observe::observed;

/// The longest error response that is read, bytes; the rest is dropped.
const ERROR_BODY: usize = 1024 * 1024;

/// A successful response whose body is read as it arrives: a [`Stream`] of its bytes.
///
/// At most one buffer is read ahead of what was asked for, so a slow reader slows the gateway.
/// A body that ends early or is silent for too long is an error, after which there are no more bytes.
/// Dropping this in the middle closes the connection.
pub struct StreamedResponse<B> {
    head: Response<()>,
    /// Dropped after an error, and the connection with it.
    body: Option<B>,
    /// Bytes that may still come, and the limit on the whole body.
    limit: Option<(u64, u64)>,
}

impl<B> StreamedResponse<B> {
    /// The status: from 200 to 299.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.head.status()
    }

    /// The headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        self.head.headers()
    }

    /// Accepts at most this many bytes of body; a longer one is an error. There is no limit by default.
    #[must_use]
    pub fn with_size_limit(mut self, bytes: u64) -> Self {
        self.limit = Some((bytes, bytes));
        self
    }
}

impl<B> StreamedResponse<B>
where
    B: Stream<Item = Result<Bytes, TransportError>> + Unpin,
{
    /// The next bytes, at least one; `None` after the end. May be dropped and called again without loss.
    ///
    /// # Errors
    ///
    /// The body broke off, was silent for too long, or is longer than the
    /// [limit](Self::with_size_limit). There are no more bytes then.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        poll_fn(|context| self.poll_chunk(context))
            .await
            .transpose()
    }

    fn poll_chunk(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        let item = ready!(Pin::new(body).poll_next(context));
        Poll::Ready(item.map(|chunk| {
            let counted = chunk
                .map_err(Error::Transport)
                .and_then(|chunk| self.count(chunk.len()).map(|()| chunk));
            counted.inspect_err(|_| self.body = None)
        }))
    }

    fn count(&mut self, bytes: usize) -> Result<(), Error> {
        let Some((left, limit)) = &mut self.limit else {
            return Ok(());
        };
        match left.checked_sub(bytes as u64) {
            Some(rest) => *left = rest,
            None => {
                let message = format!("the response is longer than {limit} bytes");
                let kind = TransportErrorKind::TooLarge;
                return Err(TransportError::new(kind, Sent::Maybe, message).into());
            }
        }
        Ok(())
    }
}

impl<B> Stream for StreamedResponse<B>
where
    B: Stream<Item = Result<Bytes, TransportError>> + Unpin,
{
    type Item = Result<Bytes, Error>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_chunk(context)
    }
}

impl<B> fmt::Debug for StreamedResponse<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamedResponse")
            .field("status", &self.head.status())
            .finish_non_exhaustive()
    }
}

/// The request of an operation whose response is read elsewhere.
struct Head<O>(O);

impl<O: Operation> Operation for Head<O> {
    type Output = ();

    fn prepare(&self, version: ApiVersion) -> Result<UnsignedRequest, BuildError> {
        self.0.prepare(version)
    }

    fn read(&self, _: ApiVersion, _: &Success) -> Result<(), Error> {
        Ok(())
    }

    fn repeat(&self) -> Repeat {
        self.0.repeat()
    }

    fn adapt(&mut self, version: ApiVersion, error: &GatewayError) -> bool {
        self.0.adapt(version, error)
    }
}

impl<T: StreamTransport + 'static> Client<T> {
    /// Sends the request of an operation and returns its response as soon as the head arrives: for
    /// downloads and streams of events. The operation itself does not read it.
    ///
    /// Until the head of a successful response arrives, the request is retried as with
    /// [`call`](Self::call), and the time limits are the same. Afterwards nothing is retried, and
    /// there is no limit on the time for the body.
    ///
    /// # Errors
    ///
    /// See [`Error`]; an error response is an [`Error::Gateway`], as with `call`.
    pub async fn stream<O: Operation>(
        &self,
        operation: O,
    ) -> Result<StreamedResponse<T::Body>, Error> {
        let inner = &*self.inner;
        let mut call = Call::new(Head(operation), self.caller().await?);
        let mut opened = None;
        loop {
            match call.poll(inner.clock.now()) {
                Step::Send(transmit) => {
                    let (limit, attempt) = (transmit.time_limit, transmit.attempt);
                    match inner.open(transmit.request, attempt, limit).await {
                        Ok(Opened::Body(head, body)) => {
                            call.handle_response(inner.clock.now(), without_body(&head));
                            opened = Some((head, body));
                        }
                        Ok(Opened::Refused(response)) => {
                            call.handle_response(inner.clock.now(), response);
                        }
                        Err(failure) => call.handle_failure(inner.clock.now(), failure),
                    }
                }
                Step::Wait(until) => inner.transport.sleep(inner.clock.until(until)).await,
                Step::Done(result) => {
                    result?;
                    let (head, body) =
                        opened.expect("a call ends without an error only after a success");
                    return Ok(StreamedResponse {
                        head,
                        body: Some(body),
                        limit: None,
                    });
                }
                _ => unreachable!("a call idles only while its request is in flight"),
            }
        }
    }
}

enum Opened<B> {
    Body(Response<()>, B),
    Refused(Response<Bytes>),
}

impl<T: StreamTransport> Inner<T> {
    /// Sends the request once. Reads the body of an error response.
    async fn open(
        &self,
        request: Request<Body>,
        attempt: u32,
        limit: Duration,
    ) -> Result<Opened<T::Body>, TransportError> {
        let send = |request| self.transport.send_streaming(request, limit);
        let response = observed(self.observer.as_ref(), request, attempt, send).await?;
        let (parts, body) = response.into_parts();
        if parts.status.is_success() {
            return Ok(Opened::Body(Response::from_parts(parts, ()), body));
        }
        let body = gather(body, pin!(self.transport.sleep(limit))).await?;
        Ok(Opened::Refused(Response::from_parts(parts, body)))
    }
}

/// Reads a body, or the beginning of a long one, until `timer` fires.
async fn gather(
    mut body: impl Stream<Item = Result<Bytes, TransportError>> + Unpin,
    mut timer: Pin<&mut impl Future<Output = ()>>,
) -> Result<Bytes, TransportError> {
    let mut all = BytesMut::new();
    while all.len() < ERROR_BODY {
        let next = poll_fn(|context| match Pin::new(&mut body).poll_next(context) {
            Poll::Pending => timer.as_mut().poll(context).map(|()| None),
            ready => ready,
        });
        match next.await {
            Some(chunk) => all.extend_from_slice(&chunk?),
            None => break,
        }
    }
    all.truncate(ERROR_BODY);
    Ok(all.freeze())
}

fn without_body(head: &Response<()>) -> Response<Bytes> {
    head.clone().map(|()| Bytes::new())
}
