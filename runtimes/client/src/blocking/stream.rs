//! Responses whose bodies are read while they come.

use std::io::{self, Read};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use futures_core::Stream;
use http::{HeaderMap, StatusCode};
use sorna_core::{Error, Sent, TransportError, TransportErrorKind};

use super::transport::UreqTransport;
use super::wait::wait;
use crate::net::{Origin, StreamTransport};

/// A successful response whose body is read while it comes, by [`chunk`](Self::chunk), [`Read`] or as an
/// iterator.
///
/// Nothing is read ahead of what is asked for, but for one buffer, so a slow reader slows the gateway.
/// A body that ends early or is silent for too long is an error, after which there are no more bytes.
/// Dropping this in the middle closes the connection.
#[derive(Debug)]
pub struct StreamedResponse {
    response: crate::StreamedResponse<<UreqTransport as StreamTransport>::Body>,
    /// Bytes that [`Read`] has not handed over yet.
    rest: Bytes,
}

impl StreamedResponse {
    pub(super) fn new(
        response: crate::StreamedResponse<<UreqTransport as StreamTransport>::Body>,
    ) -> Self {
        Self {
            response,
            rest: Bytes::new(),
        }
    }

    /// The status: from 200 to 299.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// The headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// Accepts at most this many bytes of body; a longer one is an error. There is no limit by default.
    #[must_use]
    pub fn with_size_limit(mut self, bytes: u64) -> Self {
        self.response = self.response.with_size_limit(bytes);
        self
    }

    /// The next bytes, at least one; `None` after the end.
    ///
    /// # Errors
    ///
    /// The body broke off, was silent for too long, or is longer than the
    /// [limit](Self::with_size_limit). There are no more bytes then.
    pub fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        if !self.rest.is_empty() {
            return Ok(Some(std::mem::take(&mut self.rest)));
        }
        wait(self.response.chunk())
    }
}

impl Read for StreamedResponse {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.rest.is_empty() {
            match wait(self.response.chunk()).map_err(io::Error::other)? {
                Some(chunk) => self.rest = chunk,
                None => return Ok(0),
            }
        }
        let taken = self.rest.len().min(buffer.len());
        self.rest.copy_to_slice(&mut buffer[..taken]);
        Ok(taken)
    }
}

impl Iterator for StreamedResponse {
    type Item = Result<Bytes, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.chunk().transpose()
    }
}

/// The body of a response, read from ureq. Blocks when it is polled.
pub(super) struct StreamedBody {
    reader: ureq::BodyReader<'static>,
    origin: Origin,
    /// How long the connection may be silent.
    idle: Duration,
    buffer: Vec<u8>,
    ended: bool,
}

/// Read at most this much at a time, bytes.
const CHUNK: usize = 16 * 1024;

impl StreamedBody {
    pub(super) fn new(body: ureq::Body, origin: Origin, idle: Duration) -> Self {
        Self {
            reader: body.into_with_config().limit(u64::MAX).reader(),
            origin,
            idle,
            buffer: vec![0; CHUNK],
            ended: false,
        }
    }

    fn failed(&self, error: io::Error) -> TransportError {
        let Self { origin, idle, .. } = self;
        let error = ureq::Error::from(error);
        let (kind, message) = match &error {
            ureq::Error::Timeout(_) => (
                TransportErrorKind::Timeout,
                format!("not a byte from {origin} for {idle:?} while receiving the response"),
            ),
            ureq::Error::Protocol(_) => (
                TransportErrorKind::Receive,
                format!("{origin} sent a response that is not valid HTTP"),
            ),
            _ => (
                TransportErrorKind::Receive,
                format!("the connection to {origin} broke before the response was complete"),
            ),
        };
        TransportError::new(kind, Sent::Maybe, message).with_source(error)
    }
}

impl Stream for StreamedBody {
    type Item = Result<Bytes, TransportError>;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let body = self.get_mut();
        while !body.ended {
            let read = match body.reader.read(&mut body.buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                read => read.map_err(|error| body.failed(error)),
            };
            body.ended = !matches!(read, Ok(1..));
            return match read {
                Ok(0) => Poll::Ready(None),
                Ok(n) => Poll::Ready(Some(Ok(Bytes::copy_from_slice(&body.buffer[..n])))),
                Err(error) => Poll::Ready(Some(Err(error))),
            };
        }
        Poll::Ready(None)
    }
}
