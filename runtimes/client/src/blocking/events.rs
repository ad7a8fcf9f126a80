//! Events of sessions, as they happen.

use sorna_core::Error;
use sorna_core::events::SessionEvent;

use super::transport::UreqTransport;
use super::wait::wait;
use crate::net::StreamTransport;

/// Events of sessions, as they happen: an iterator that waits for the next one.
///
/// Gateways do not end it when a session ends. A connection on which nothing comes for longer than
/// [`with_idle_timeout`](crate::ClientOptions::with_idle_timeout) is an error; managers send a sign of life every
/// 15 s. After an error, or the end, subscribe again; events in between are lost. Dropping it closes the connection.
#[derive(Debug)]
pub struct Events(pub(super) crate::Events<<UreqTransport as StreamTransport>::Body>);

impl Events {
    /// Waits for the next event; `None` if the gateway ends the stream.
    ///
    /// # Errors
    ///
    /// The connection broke or was silent for too long, or what came is no stream of events. There are no more
    /// events then.
    pub fn next_event(&mut self) -> Result<Option<SessionEvent>, Error> {
        wait(self.0.next_event())
    }
}

impl Iterator for Events {
    type Item = Result<SessionEvent, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_event().transpose()
    }
}
