//! Events of sessions, as they happen.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;
use sorna_core::events::{EventStream, SessionEvent};
use sorna_core::{Error, TransportError};

use super::stream::StreamedResponse;

/// Events of sessions, as they happen: also a [`Stream`].
///
/// Gateways do not end it when a session ends. A connection on which nothing comes for longer than
/// [`with_idle_timeout`](crate::ClientOptions::with_idle_timeout) is an error; managers send a sign of life every
/// 15 s. After an error, or the end, subscribe again; events in between are lost. Dropping it closes the connection.
pub struct Events<B> {
    response: StreamedResponse<B>,
    stream: EventStream,
    /// Reported after the events that came before.
    error: Option<Error>,
    has_ended: bool,
}

impl<B> Events<B> {
    pub(super) fn new(response: StreamedResponse<B>, stream: EventStream) -> Self {
        Self {
            response,
            stream,
            error: None,
            has_ended: false,
        }
    }
}

impl<B> Events<B>
where
    B: Stream<Item = Result<Bytes, TransportError>> + Unpin,
{
    /// Waits for the next event; `None` if the gateway ends the stream. May be dropped and called again without loss.
    ///
    /// # Errors
    ///
    /// The connection broke or was silent for too long, or what came is no stream of events. There are no more
    /// events then.
    pub async fn next_event(&mut self) -> Result<Option<SessionEvent>, Error> {
        std::future::poll_fn(|context| self.poll_event(context))
            .await
            .transpose()
    }

    fn poll_event(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<SessionEvent, Error>>> {
        loop {
            if let Some(event) = self.stream.poll_event() {
                return Poll::Ready(Some(Ok(event)));
            }
            if let Some(error) = self.error.take() {
                return Poll::Ready(Some(Err(error)));
            }
            if self.has_ended {
                return Poll::Ready(None);
            }
            let chunk = ready!(Pin::new(&mut self.response).poll_next(context));
            let result = match chunk {
                Some(Ok(bytes)) => self.stream.handle_bytes(&bytes),
                Some(Err(error)) => Err(error),
                None => {
                    self.has_ended = true;
                    Ok(())
                }
            };
            if let Err(error) = result {
                self.has_ended = true;
                self.error = Some(error);
            }
        }
    }
}

impl<B> Stream for Events<B>
where
    B: Stream<Item = Result<Bytes, TransportError>> + Unpin,
{
    type Item = Result<SessionEvent, Error>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_event(context)
    }
}

impl<B> fmt::Debug for Events<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").finish_non_exhaustive()
    }
}
