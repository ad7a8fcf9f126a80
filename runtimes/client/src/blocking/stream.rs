//! Responses whose bodies are read as they arrive.

use std::io::{self, Read};

use bytes::{Buf as _, Bytes};
use http::{HeaderMap, StatusCode};
use sorna_core::Error;

use super::transport::UreqTransport;
use super::wait::wait;
use crate::net::StreamTransport;

/// A successful response whose body is read as it arrives, by [`chunk`](Self::chunk), [`Read`] or as an
/// iterator.
///
/// At most one buffer is read ahead of what was asked for, so a slow reader slows the gateway.
/// A body that ends early or is silent for too long is an error, after which there are no more bytes.
/// Dropping this in the middle closes the connection.
#[derive(Debug)]
pub struct StreamedResponse {
    response: crate::StreamedResponse<<UreqTransport as StreamTransport>::Body>,
    /// Bytes that [`Read`] has not returned yet.
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
