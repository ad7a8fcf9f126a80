//! Messages that were sent over a WebSocket, until they have been received.
//!
//! A message that has been written may still be lost with its connection. So a ping follows each one: a client that sends the
//! pong has read what came before.

use std::collections::VecDeque;

use futures_util::SinkExt;
use tokio_tungstenite::tungstenite::Message as Frame;

use crate::http::websocket::Socket;
use crate::kernel::{ExecuteResponse, Kernel};

/// The most output that may be on its way, in bytes, before more is sent.
const MOST: usize = 512 * 1024;

/// The messages of an execution that are on their way.
#[derive(Default)]
pub(super) struct Sent {
    messages: VecDeque<(u64, ExecuteResponse)>,
    /// How many there were.
    count: u64,
    /// Whether a client that leaves may come back for what it has not received.
    persists: bool,
}

impl Sent {
    /// The execution persists, or not: see [`RunMark::with_persistence`](sorna_core::RunMark::with_persistence).
    pub(super) fn set_persists(&mut self, persists: bool) {
        self.persists = persists;
    }

    /// A message is about to be sent.
    pub(super) fn begin(&mut self) {
        self.count += 1;
    }

    /// Keeps the message that was sent last, or could not be sent.
    pub(super) fn keep(&mut self, response: ExecuteResponse) {
        self.messages.push_back((self.count, response));
    }

    /// Asks for a sign that it has been received. `None` if the client is gone.
    pub(super) async fn ask(&self, socket: &mut Socket) -> Option<()> {
        let ping = Frame::Ping(self.count.to_be_bytes().to_vec().into());
        socket.send(ping).await.ok()
    }

    /// A frame has arrived: a pong, perhaps. One may stand for several. A client that has the end may close the connection
    /// before it replies to the ping. If the execution persists, it does not: it waits, or tells by a request what it has
    /// received. Then a client that closes may have waited in vain.
    pub(super) fn note(&mut self, frame: &Frame) {
        let last = self.messages.back();
        let has_ended = last.is_some_and(|(_, it)| it.status.is_end());
        if !self.persists && has_ended && matches!(frame, Frame::Close(_)) {
            self.messages.clear();
        }
        let Frame::Pong(bytes) = frame else { return };
        let Ok(number) = <[u8; 8]>::try_from(&bytes[..]) else {
            return;
        };
        let number = u64::from_be_bytes(number);
        while self.messages.front().is_some_and(|(it, _)| *it <= number) {
            self.messages.pop_front();
        }
    }

    /// Whether so much is on its way that no more should be sent.
    pub(super) fn is_much(&self) -> bool {
        let bytes = self.messages.iter().map(|(_, it)| it.console.text_len());
        bytes.sum::<usize>() > MOST
    }

    /// Whether all of it has arrived.
    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// The client of this execution is gone: what has not arrived is kept for others.
    pub(super) fn leave(&mut self, kernel: &Kernel, run_id: &str) {
        kernel.put_back(run_id, self.messages.drain(..));
    }
}
