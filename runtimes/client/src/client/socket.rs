//! A WebSocket over a transport that can upgrade a connection.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use async_tungstenite::WebSocketStream;
use futures_util::{Sink as _, Stream as _};
use sorna_core::machine::Transmit;
use sorna_core::{Dialect, Frame, TransportError};
use tungstenite::Message;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{CloseFrame, Role};

use super::channel::{Channel, Opened, Received};
use super::inner::Inner;
use crate::net::{BoxFuture, UpgradeTransport, Upgraded};
use crate::observe::observed;
use crate::websocket::{Handshake, socket_config, socket_error};

/// The largest message: as large as the body of a response.
const MESSAGE: usize = 64 * 1024 * 1024;

struct Socket<Io: futures_io::AsyncRead + futures_io::AsyncWrite + Unpin> {
    peer: String,
    stream: WebSocketStream<Io>,
    is_open: bool,
}

/// Opens a WebSocket, within the time limit of the request.
pub(super) fn open<T: UpgradeTransport + 'static>(
    inner: Arc<Inner<T>>,
    transmit: Transmit,
) -> BoxFuture<Result<Opened, TransportError>> {
    Box::pin(async move {
        let Transmit {
            mut request,
            time_limit,
            attempt,
            ..
        } = transmit;
        let handshake = Handshake::begin(&mut request);
        let peer = inner.caller.signer().config().endpoint().host().to_owned();
        let upgrade = |request| inner.transport.upgrade(request, time_limit);
        let upgraded = observed(inner.observer.as_ref(), request, attempt, upgrade).await?;
        let (head, io, read_ahead) = match upgraded {
            Upgraded::Switched {
                head,
                io,
                read_ahead,
            } => (head, io, read_ahead),
            Upgraded::Refused(response) => return Ok(Opened::Refused(response)),
        };
        handshake.check(&peer, &head)?;
        let request = Dialect::BackendAi.execute_body_limit();
        let config = Some(socket_config(MESSAGE, request));
        let stream =
            WebSocketStream::from_partially_read(io, read_ahead.into(), Role::Client, config).await;
        Ok(Opened::Channel(Box::new(Socket {
            peer,
            stream,
            is_open: true,
        })))
    })
}

impl<Io> Channel for Socket<Io>
where
    Io: futures_io::AsyncRead + futures_io::AsyncWrite + Send + Unpin,
{
    fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<Received> {
        loop {
            let frame = match ready!(Pin::new(&mut self.stream).poll_next(context)) {
                Some(Ok(Message::Text(text))) => Frame::Text(text.as_str().to_owned()),
                Some(Ok(Message::Binary(bytes))) => Frame::Binary(bytes),
                Some(Ok(Message::Ping(_))) => Frame::Ping,
                Some(Ok(Message::Pong(_))) => Frame::Pong,
                Some(Ok(Message::Frame(_))) => continue,
                Some(Ok(Message::Close(frame))) => {
                    let (code, reason) = frame
                        .map(|frame| (u16::from(frame.code), frame.reason.as_str().to_owned()))
                        .unzip();
                    return Poll::Ready(Received::Closed(code, reason.unwrap_or_default()));
                }
                Some(Err(error)) => match self.failure(error) {
                    Some(failure) => return Poll::Ready(Received::Broken(failure)),
                    None => return Poll::Ready(Received::Closed(None, String::new())),
                },
                None => return Poll::Ready(Received::Closed(None, String::new())),
            };
            return Poll::Ready(Received::Frame(frame));
        }
    }

    fn poll_send(
        &mut self,
        context: &mut Context<'_>,
        frame: &mut Option<Frame>,
    ) -> Poll<Result<(), TransportError>> {
        let mut sent = Poll::Ready(Ok(()));
        if frame.is_some() {
            sent = Pin::new(&mut self.stream).poll_ready(context);
        }
        if let Poll::Ready(Ok(())) = sent {
            let message = match frame.take() {
                Some(Frame::Text(text)) => Some(Message::text(text)),
                Some(Frame::Binary(bytes)) => Some(Message::binary(bytes)),
                Some(Frame::Ping) => Some(Message::Ping(bytes::Bytes::new())),
                _ => None,
            };
            let queued = message.map(|message| Pin::new(&mut self.stream).start_send(message));
            sent = match queued {
                Some(Err(error)) => Poll::Ready(Err(error)),
                _ => Pin::new(&mut self.stream).poll_flush(context),
            };
        }
        sent.map_err(|error| {
            self.failure(error)
                .unwrap_or_else(|| crate::websocket::closed(&self.peer))
        })
    }
}

impl<Io> Socket<Io>
where
    Io: futures_io::AsyncRead + futures_io::AsyncWrite + Unpin,
{
    fn failure(&mut self, error: tungstenite::Error) -> Option<TransportError> {
        let failure = socket_error(&self.peer, "execution", error);
        self.is_open &= failure.is_none();
        failure
    }
}

impl<Io> Drop for Socket<Io>
where
    Io: futures_io::AsyncRead + futures_io::AsyncWrite + Unpin,
{
    /// Sends a close frame, or the reply to one, if that is possible at once.
    fn drop(&mut self) {
        let context = &mut Context::from_waker(Waker::noop());
        let stream = &mut self.stream;
        if self.is_open && Pin::new(&mut *stream).poll_ready(context).is_ready() {
            let frame = CloseFrame {
                code: CloseCode::Normal,
                reason: "".into(),
            };
            let _ = Pin::new(&mut *stream).start_send(Message::Close(Some(frame)));
            let _ = Pin::new(&mut *stream).poll_flush(context);
            let _ = Pin::new(stream.get_mut()).poll_close(context);
        }
    }
}
