//! Reading request bodies, within limits; and the body of responses.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use sorna_core::ProblemKind;
use sorna_core::server::ProblemReply;

use super::room::Permit;
use crate::kernel::{Held as Output, Receipt};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// How much of a rejected body is read, so that the client receives the response.
const DRAIN_LIMIT: usize = 64 * 1024 * 1024;
/// Pieces of a body that are shorter than this many bytes are joined.
const SHORT: usize = 1024;
/// For how long it is read.
const DRAIN_TIME: Duration = Duration::from_secs(5);

/// Why a body was not read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Unread {
    /// It has so many bytes or more.
    TooLarge(usize),
    Incomplete,
    TooSlow,
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge(limit) => write!(f, "body of {limit} bytes or more"),
            Self::Incomplete => f.write_str("incomplete body"),
            Self::TooSlow => f.write_str("body too slow"),
        }
    }
}

impl Unread {
    /// 400 `generic-bad-request`.
    pub(crate) fn reply(self) -> ProblemReply {
        ProblemKind::GenericBadRequest.reply_with(&self.to_string())
    }
}

/// Reads a body of less than `limit` bytes.
///
/// # Errors
///
/// If it is larger, slower than `time`, or breaks off.
pub(crate) async fn read(
    body: &mut Incoming,
    limit: usize,
    time: Duration,
) -> Result<Bytes, Unread> {
    if body.size_hint().lower() >= limit as u64 {
        return Err(Unread::TooLarge(limit));
    }
    match tokio::time::timeout(time, collect(body, limit.saturating_sub(1))).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Unread::TooLarge(limit)),
        Ok(Err(_)) => Err(Unread::Incomplete),
        Err(_) => Err(Unread::TooSlow),
    }
}

/// Reads a body into one piece. Short pieces are joined as they arrive: each by itself would need far more memory than it
/// has bytes.
async fn collect(body: &mut Incoming, limit: usize) -> Result<Bytes, BoxError> {
    let mut limited = Limited::new(body, limit);
    let (mut pieces, mut short) = (Vec::new(), BytesMut::new());
    while let Some(frame) = limited.frame().await {
        let Ok(data) = frame?.into_data() else {
            continue;
        };
        if data.len() < SHORT {
            short.extend_from_slice(&data);
            continue;
        }
        if !short.is_empty() {
            pieces.push(std::mem::take(&mut short).freeze());
        }
        pieces.push(data);
    }
    pieces.push(short.freeze());
    pieces.retain(|piece: &Bytes| !piece.is_empty());
    Ok(match pieces.len() {
        1 => pieces.remove(0),
        _ => pieces.concat().into(),
    })
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

/// The body of a response.
///
/// It does not report its end before it is polled: hyper would then leave `Content-Length: 0` out
/// of a 204, and the original client of 2017 fails without it.
pub(crate) enum ReplyBody {
    /// In one piece.
    Whole(Option<Bytes>),
    /// As it arrives, to the end of this many bytes if that is known.
    Stream(Pin<Box<dyn Stream<Item = Bytes> + Send>>, Option<u64>),
}

impl ReplyBody {
    pub(crate) fn new(bytes: impl Into<Bytes>) -> Self {
        Self::Whole(Some(bytes.into()))
    }

    /// Keeps these until all of it has been sent: what it takes of the memory for output, and who wants to know that it has.
    pub(crate) fn holding(self, output: Option<Output>, receipt: Option<Receipt>) -> Self {
        match self {
            Self::Whole(Some(bytes)) if output.is_some() || receipt.is_some() => {
                let kept = Kept {
                    bytes,
                    _output: output,
                    _receipt: receipt,
                };
                Self::Whole(Some(Bytes::from_owner(kept)))
            }
            body => body,
        }
    }

    /// The length, if it is known.
    pub(crate) fn len(&self) -> Option<u64> {
        match self {
            Self::Whole(bytes) => Some(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Self::Stream(_, length) => *length,
        }
    }
}

/// Bytes that are not dropped before they have been sent, or their connection has ended.
struct Kept {
    bytes: Bytes,
    _output: Option<Output>,
    _receipt: Option<Receipt>,
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// A body that keeps its request in progress until it has been sent.
pub(super) struct Held {
    body: ReplyBody,
    _permit: Permit,
}

impl Held {
    pub(super) fn new(body: ReplyBody, permit: Permit) -> Self {
        Self {
            body,
            _permit: permit,
        }
    }
}

impl Body for Held {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut *self {
            Self::Whole(bytes) => {
                let bytes = bytes.take().filter(|bytes| !bytes.is_empty());
                Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes))))
            }
            Self::Stream(stream, length) => stream.as_mut().poll_next(context).map(|bytes| {
                let bytes = bytes?;
                *length = length.map(|left| left.saturating_sub(bytes.len() as u64));
                Some(Ok(Frame::data(bytes)))
            }),
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.len()
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
