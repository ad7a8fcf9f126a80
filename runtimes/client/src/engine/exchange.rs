//! One request and its response on one connection.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_io::{AsyncRead, AsyncWrite};
use http::Request;
use sorna_core::{Body, Sent, TransportError, TransportErrorKind};

use super::outgoing::{FileError, Outgoing};
use super::progress::Progress;
use crate::net::explain::{Fault, Peer, Phase};
use crate::net::{Proxy, SizeLimits};
use crate::runtime::Runtime;
use crate::wire::{Encoded, RequestError, ResponseError, ResponseParser, encode};

/// Read at least this much at a time, bytes: most responses are short.
const READ_FIRST: usize = 2 * 1024;
/// Read this much at a time once a response has filled the first buffer.
const READ_MORE: usize = 16 * 1024;

/// The circumstances of an exchange.
pub(super) struct Setting<'a> {
    /// Who responds, for error messages.
    pub(super) peer: Peer<'a>,
    /// Whether the connection has been idle.
    pub(super) reused: bool,
    pub(super) progress: &'a Progress,
}

/// The response to a request, as far as it arrived, once the request was sent.
pub(super) struct Incoming {
    response: ResponseParser,
    buffer: Vec<u8>,
    /// Whether the request was sent to its end, and no byte of the response came before that.
    in_order: bool,
    /// Why the request was not sent to its end.
    broken: Option<io::Error>,
    /// Whether it was sent to its end, or the response said that it need not be.
    complete: bool,
}

/// Writes a request as bytes: what is to be sent, and what will arrive. With `upgrade`, it asks for another
/// protocol. `proxy` is the one that reads it, if one does.
///
/// Futures borrow both, since each that owned them would be larger by their size.
pub(super) fn prepare<'a, R: Runtime>(
    runtime: &'a R,
    request: Request<Body>,
    proxy: Option<&Proxy>,
    sizes: &SizeLimits,
    upgrade: bool,
) -> Result<(Outgoing<'a, R>, Incoming), TransportError> {
    let encoded = encode(request, proxy);
    let Encoded { head, body, asked } = encoded.map_err(|error| bad_request(&error))?;
    let response = match upgrade {
        false => ResponseParser::new(asked, sizes),
        true => ResponseParser::to_upgrade(asked, sizes),
    };
    let incoming = Incoming {
        response,
        buffer: Vec::new(),
        in_order: false,
        broken: None,
        complete: false,
    };
    Ok((Outgoing::new(runtime, head, body), incoming))
}

/// Sends the request, watching for an early response while the body is being sent.
///
/// The stream is only good for another request if the outcome says so; after an error, or if this
/// future is dropped, it must be closed.
pub(super) async fn send<R, S>(
    stream: &mut S,
    outgoing: &mut Outgoing<'_, R>,
    incoming: &mut Incoming,
    setting: &Setting<'_>,
) -> Result<(), TransportError>
where
    R: Runtime,
    S: AsyncRead + AsyncWrite + Unpin,
{
    let progress = setting.progress;
    let response = &mut incoming.response;
    progress.enter(Phase::Sending);
    // While the request is being sent, there is seldom anything to read.
    let mut scratch = Vec::new();

    let mut first = true;
    let broken = loop {
        let piece = outgoing.next(first).await;
        let piece = piece.map_err(|error| setting.bad_file(error))?;
        if piece.is_empty() {
            break None;
        }
        let look = !first;
        first = false;
        let pushed = push(stream, piece, response, &mut scratch, look, progress).await;
        match pushed.map_err(|error| setting.bad_response(error, None))? {
            Pushed::All => {}
            // The request was not sent whole, so the connection cannot be reused, but the response is valid.
            Pushed::Refused => break Some(None),
            Pushed::Broken(error) => break Some(Some(error)),
        }
    };

    progress.enter(Phase::Receiving);
    let mut buffer = outgoing.take_buffer();
    buffer.resize(buffer.capacity().clamp(READ_FIRST, READ_MORE), 0);
    incoming.buffer = buffer;
    incoming.in_order = broken.is_none() && !incoming.response.has_begun();
    incoming.complete = broken.is_none();
    incoming.broken = broken.flatten();
    Ok(())
}

impl Incoming {
    /// Reads until enough of the response has arrived.
    pub(super) async fn read_until<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
        setting: &Setting<'_>,
        enough: fn(&ResponseParser) -> bool,
    ) -> Result<(), TransportError> {
        while !enough(&self.response) {
            poll_fn(|cx| self.poll_read(cx, stream, setting)).await?;
        }
        Ok(())
    }

    /// Reads once.
    pub(super) fn poll_read<S: AsyncRead + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut S,
        setting: &Setting<'_>,
    ) -> Poll<Result<(), TransportError>> {
        let outcome = match ready!(Pin::new(stream).poll_read(cx, &mut self.buffer)) {
            Ok(0) => self.response.end(),
            Ok(n) => {
                setting.progress.read();
                let outcome = self.response.feed(&self.buffer[..n]);
                if n == self.buffer.len() {
                    self.buffer.resize(READ_MORE, 0);
                }
                outcome
            }
            Err(error) => {
                let error = self.broken.take().unwrap_or(error);
                return Poll::Ready(Err(setting.broke(error, self.complete)));
            }
        };
        Poll::Ready(outcome.map_err(|error| setting.bad_response(error, self.broken.take())))
    }

    /// The response, as far as it arrived.
    pub(super) fn response(&mut self) -> &mut ResponseParser {
        &mut self.response
    }

    /// Whether the connection may carry another request now.
    pub(super) fn keeps_alive(&self) -> bool {
        self.in_order && self.response.keeps_alive()
    }
}

enum Pushed {
    All,
    /// A response arrived that makes the rest of the request pointless.
    Refused,
    Broken(io::Error),
}

/// Writes all the bytes. Reads while the peer accepts no more bytes (with `look`: also before the
/// first write): otherwise a peer that rejects a long body would wait for us to read, and we for
/// it.
async fn push<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    mut bytes: &[u8],
    response: &mut ResponseParser,
    scratch: &mut Vec<u8>,
    mut look: bool,
    progress: &Progress,
) -> Result<Pushed, ResponseError> {
    poll_fn(|cx| {
        loop {
            if look && !response.is_done() {
                scratch.resize(READ_FIRST, 0);
                match Pin::new(&mut *stream).poll_read(cx, scratch) {
                    Poll::Ready(Ok(0)) => {
                        let closed = io::ErrorKind::UnexpectedEof.into();
                        return Poll::Ready(Ok(Pushed::Broken(closed)));
                    }
                    Poll::Ready(Ok(n)) => {
                        progress.read();
                        response.feed(&scratch[..n])?;
                        if response.refuses() {
                            return Poll::Ready(Ok(Pushed::Refused));
                        }
                        continue;
                    }
                    Poll::Ready(Err(error)) => return Poll::Ready(Ok(Pushed::Broken(error))),
                    Poll::Pending => {}
                }
            }
            let stream = Pin::new(&mut *stream);
            let moved = if bytes.is_empty() {
                // TLS may have buffered records.
                stream.poll_flush(cx).map_ok(|()| 0)
            } else {
                stream.poll_write(cx, bytes)
            };
            match moved {
                Poll::Ready(Ok(_)) if bytes.is_empty() => return Poll::Ready(Ok(Pushed::All)),
                Poll::Ready(Ok(0)) => {
                    let closed = io::ErrorKind::WriteZero.into();
                    return Poll::Ready(Ok(Pushed::Broken(closed)));
                }
                Poll::Ready(Ok(n)) => {
                    progress.wrote();
                    bytes = &bytes[n..];
                    look = false;
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Ok(Pushed::Broken(error))),
                Poll::Pending if look => return Poll::Pending,
                Poll::Pending => look = true,
            }
        }
    })
    .await
}

impl Setting<'_> {
    /// The connection ended without a complete response.
    fn broke(&self, source: io::Error, complete: bool) -> TransportError {
        let mut doing = self.progress.doing();
        if !complete {
            doing.phase = Phase::Sending;
        }
        self.peer.broke(source, doing, self.sent_if_closed())
    }

    fn bad_response(&self, error: ResponseError, broken: Option<io::Error>) -> TransportError {
        // On a connection that carried responses before, it is no other protocol.
        let fault = match error.fault {
            Fault::Foreign(_) if self.reused => Fault::NotHttp,
            fault => fault,
        };
        let sent = match (fault.is_closed(), broken) {
            (true, Some(broken)) => return self.broke(broken, false),
            (true, None) => self.sent_if_closed(),
            (false, _) => self.progress.sent(),
        };
        let made = self.peer.bad_response(fault, sent);
        match error.source {
            Some(source) => made.with_source(source),
            None => made,
        }
    }

    /// A connection that had been idle and ends without one byte of a response was most likely
    /// closed before the request reached it.
    fn sent_if_closed(&self) -> Sent {
        match self.progress.sent() {
            Sent::Maybe if self.reused && !self.progress.received() => Sent::StaleConnection,
            sent => sent,
        }
    }

    fn bad_file(&self, error: FileError) -> TransportError {
        error.fault.explain(&error.path, self.progress.sent())
    }
}

fn bad_request(error: &RequestError) -> TransportError {
    let message = match error {
        RequestError::Length => "the request's length headers do not fit its body",
        RequestError::Form => "the request cannot be written as HTTP/1.1",
    };
    TransportError::new(TransportErrorKind::Other, Sent::Nothing, message)
}
