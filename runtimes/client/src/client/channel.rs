//! WebSockets of machines, whatever carries them.

use std::task::{Context, Poll};

use bytes::Bytes;
use http::Response;
use sorna_core::{Frame, TransportError};

/// An open WebSocket. Dropping it closes it.
pub(super) trait Channel: Send {
    /// The next message, or the end.
    fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<Received>;

    /// Sends the frame, and takes it as soon as there is room for it. Ready once it is sent.
    fn poll_send(
        &mut self,
        context: &mut Context<'_>,
        frame: &mut Option<Frame>,
    ) -> Poll<Result<(), TransportError>>;
}

/// What came over a WebSocket.
pub(super) enum Received {
    Frame(Frame),
    /// It was closed, with the code and the reason of the close frame.
    Closed(Option<u16>, String),
    Broken(TransportError),
}

/// The response to a request for a WebSocket.
pub(super) enum Opened {
    Channel(Box<dyn Channel>),
    Refused(Response<Bytes>),
}
