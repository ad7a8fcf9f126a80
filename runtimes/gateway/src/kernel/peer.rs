//! The clients of executions: whether they are still there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The connection by which a client has sent a request, one after another.
#[derive(Clone, Debug, Default)]
pub(crate) struct Peer {
    line: Arc<Line>,
    /// The number of the request.
    request: u64,
}

#[derive(Debug, Default)]
struct Line {
    has_ended: AtomicBool,
    is_broken: AtomicBool,
    requests: AtomicU64,
    is_socket: bool,
}

impl Peer {
    /// A WebSocket.
    pub(crate) fn of_socket() -> Self {
        let line = Line {
            is_socket: true,
            ..Line::default()
        };
        Self {
            line: Arc::new(line),
            request: 0,
        }
    }

    /// Whether it is a WebSocket.
    pub(crate) fn is_socket(&self) -> bool {
        self.line.is_socket
    }

    /// Whether both are the same connection.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.line, &other.line)
    }

    /// Of the next request.
    pub(crate) fn next(&self) -> Self {
        Self {
            line: Arc::clone(&self.line),
            request: self.line.requests.fetch_add(1, Ordering::SeqCst) + 1,
        }
    }

    /// Whether the connection has ended.
    pub(crate) fn has_gone(&self) -> bool {
        self.line.has_ended.load(Ordering::SeqCst)
    }

    /// Notes an error of the connection. That the other end was closed before it had read everything is one.
    pub(crate) fn note_broken(&self) {
        self.line.is_broken.store(true, Ordering::SeqCst);
    }

    /// Whether the response to the request was sent and may be lost, since nothing has come over the connection but an error.
    pub(crate) fn has_lost(&self) -> bool {
        self.line.is_broken.load(Ordering::SeqCst)
            && self.line.requests.load(Ordering::SeqCst) == self.request
    }

    /// Until this is dropped, the connection has not ended.
    pub(crate) fn presence(&self) -> Presence {
        Presence(self.clone())
    }
}

/// See [`Peer::presence`]. To be dropped before what was not sent by the connection.
#[derive(Debug)]
pub(crate) struct Presence(Peer);

impl Drop for Presence {
    fn drop(&mut self) {
        self.0.line.has_ended.store(true, Ordering::SeqCst);
    }
}
