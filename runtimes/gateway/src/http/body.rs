//! Reading request bodies, within limits; and the body of responses.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use sorna_core::ProblemKind;
use sorna_core::server::ProblemReply;

/// How much of a rejected body is read, so that the client receives the response.
const DRAIN_LIMIT: usize = 16 * 1024 * 1024;
/// For how long it is read.
const DRAIN_TIME: Duration = Duration::from_secs(5);

/// Reads a body of less than `limit` bytes.
///
/// # Errors
///
/// 400 `generic-bad-request` if it is larger, slower than `time`, or breaks off.
pub(crate) async fn read(
    body: &mut Incoming,
    limit: usize,
    time: Duration,
) -> Result<Bytes, ProblemReply> {
    let too_large =
        || ProblemKind::GenericBadRequest.reply_with(&format!("body of {limit} bytes or more"));
    if body.size_hint().lower() >= limit as u64 {
        return Err(too_large());
    }
    let bytes = Limited::new(body, limit.saturating_sub(1)).collect();
    match tokio::time::timeout(time, bytes).await {
        Ok(Ok(bytes)) => Ok(bytes.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(ProblemKind::GenericBadRequest.reply_with("incomplete body")),
        Err(_) => Err(ProblemKind::GenericBadRequest.reply_with("body too slow")),
    }
}

/// Reads the rest and discards it: a connection that is closed with unread data loses the response.
pub(crate) async fn drain(body: Incoming) {
    if body.is_end_stream() {
        return;
    }
    let mut rest = Limited::new(body, DRAIN_LIMIT);
    let all = async { while let Some(Ok(_)) = rest.frame().await {} };
    let _ = tokio::time::timeout(DRAIN_TIME, all).await;
}

/// The body of a response, in one piece.
///
/// It does not report its end before it is polled: hyper would then leave `Content-Length: 0` out
/// of a 204, and the original client of 2017 fails without it.
#[derive(Debug)]
pub(crate) struct ReplyBody(Option<Bytes>);

impl ReplyBody {
    pub(crate) fn new(bytes: impl Into<Bytes>) -> Self {
        Self(Some(bytes.into()))
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let bytes = self.0.take().filter(|bytes| !bytes.is_empty());
        Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_ref().map_or(0, Bytes::len) as u64)
    }
}
