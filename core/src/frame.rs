//! Messages of a WebSocket, whatever they are about.

use bytes::Bytes;

/// A message of a WebSocket. Close frames are separate, and a WebSocket library replies to them and to pings.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Frame {
    /// Text, which is what clients send.
    Text(String),
    /// Bytes. Managers of Backend.AI from 25.6 send a terminal's JSON in these, and ignore them from clients. The gateway in
    /// `sorna-gateway` takes input in these that is not text.
    Binary(Bytes),
    /// An empty ping: the peer replies to it if it is still there.
    Ping,
    /// The reply to a ping.
    Pong,
}
