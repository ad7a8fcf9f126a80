//! A server of terminals that echo what is typed, and send much output on request.

use async_tungstenite::accept_async;
use async_tungstenite::tokio::TokioAdapter;
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use sorna_core::terminal::{Command, Message};
use tokio::net::TcpStream;
use tungstenite::Message as Frame;

/// The input that requests much output.
pub const POUR: &[u8] = b"P";
/// The number of messages of that output, and the size of each.
pub const MESSAGES: usize = 1024;
pub const MESSAGE: usize = 4096;

/// Serves one connection to its end.
pub async fn serve_one(stream: TcpStream) -> Option<()> {
    let mut socket = accept_async(TokioAdapter::new(stream)).await.ok()?;
    let out = |bytes| Frame::text(Message::Out(bytes).encode());
    // Drivers hold typed bytes back until the terminal's first output.
    socket.send(out(Bytes::from_static(b"$ "))).await.ok()?;
    let much = out(Bytes::from(vec![b'x'; MESSAGE]));
    while let Some(frame) = socket.next().await {
        let frame = frame.ok()?;
        let Frame::Text(text) = frame else { continue };
        match Command::decode(&text) {
            Some(Command::Stdin(bytes)) if bytes == POUR => {
                for _ in 0..MESSAGES {
                    socket.feed(much.clone()).await.ok()?;
                }
                socket.flush().await.ok()?;
            }
            Some(Command::Stdin(bytes)) => socket.send(out(bytes)).await.ok()?,
            _ => {}
        }
    }
    Some(())
}
