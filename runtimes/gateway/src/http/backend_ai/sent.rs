//! Messages that were sent over a WebSocket, until they have been received.
//!
//! A message that has been written may still be lost with its connection. So a ping follows each one: a client that sends the
//! pong has read what came before.

use std::collections::VecDeque;

use futures_util::SinkExt;
use sorna_core::Console;
use tokio_tungstenite::tungstenite::Message as Frame;

use crate::http::websocket::Socket;
use crate::kernel::{Held, Kernel};

/// The most output that may be on its way, in bytes, before more is sent.
const MOST: usize = 512 * 1024;

/// The output of an execution that is on its way.
#[derive(Default)]
pub(super) struct Sent {
    messages: VecDeque<Message>,
    /// How many there were.
    count: u64,
}

struct Message {
    number: u64,
    console: Console,
    held: Option<Held>,
}

impl Sent {
    /// Output has been sent, in the last message. `None` if the client is gone.
    pub(super) async fn add(
        &mut self,
        socket: &mut Socket,
        console: Console,
        held: Option<Held>,
    ) -> Option<()> {
        self.count += 1;
        let number = self.count;
        self.messages.push_back(Message {
            number,
            console,
            held,
        });
        let ping = Frame::Ping(number.to_be_bytes().to_vec().into());
        socket.send(ping).await.ok()
    }

    /// A frame has arrived: a pong, perhaps. One may stand for several.
    pub(super) fn note(&mut self, frame: &Frame) {
        let Frame::Pong(bytes) = frame else { return };
        let Ok(number) = <[u8; 8]>::try_from(&bytes[..]) else {
            return;
        };
        let number = u64::from_be_bytes(number);
        while self.messages.front().is_some_and(|it| it.number <= number) {
            self.messages.pop_front();
        }
    }

    /// Whether so much is on its way that no more should be sent.
    pub(super) fn is_much(&self) -> bool {
        let bytes = self.messages.iter().map(|it| it.console.text_len());
        bytes.sum::<usize>() > MOST
    }

    /// Whether all of it has arrived.
    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// All of it has arrived.
    pub(super) fn clear(&mut self) {
        self.messages.clear();
    }

    /// The client is gone: what has not arrived is kept for others.
    pub(super) fn leave(&mut self, kernel: &Kernel) {
        for Message { console, held, .. } in self.messages.drain(..) {
            kernel.leave(console, held);
        }
    }
}
