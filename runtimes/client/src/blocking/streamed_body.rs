//! The body of a response, as a stream that is read from ureq.

use std::io::{self, Read as _};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;
use sorna_core::{Sent, TransportError};

use super::failure::{Failure, Scene};
use super::runtime::Threads;
use crate::engine::HttpTransport;
use crate::net::Origin;
use crate::net::explain::{Doing, Phase};

/// The body of a response. Blocks when it is polled.
pub(super) struct StreamedBody {
    reader: ureq::BodyReader<'static>,
    origin: Origin,
    connections: HttpTransport<Threads>,
    length: Option<u64>,
    read: u64,
    buffer: Vec<u8>,
    ended: bool,
}

/// Read at most this much at a time, bytes.
const CHUNK: usize = 16 * 1024;

impl StreamedBody {
    pub(super) fn new(
        body: ureq::Body,
        origin: Origin,
        connections: HttpTransport<Threads>,
    ) -> Self {
        Self {
            length: body.content_length(),
            reader: body.into_with_config().limit(u64::MAX).reader(),
            origin,
            connections,
            read: 0,
            buffer: vec![0; CHUNK],
            ended: false,
        }
    }

    fn failed(&self, error: io::Error) -> TransportError {
        let idle = self.connections.options().times.idle;
        let scene = Scene {
            peer: self.connections.tunnel_peer(&self.origin),
            doing: Doing {
                phase: Phase::Receiving,
                received: true,
            },
            sent: Sent::Maybe,
            sent_if_closed: Sent::Maybe,
            foreign: None,
            idle,
            limit: idle,
        };
        scene.explain(Failure::of_body(error, self.length, self.read))
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
                Ok(n) => {
                    body.read += n as u64;
                    Poll::Ready(Some(Ok(Bytes::copy_from_slice(&body.buffer[..n]))))
                }
                Err(error) => Poll::Ready(Some(Err(error))),
            };
        }
        Poll::Ready(None)
    }
}
