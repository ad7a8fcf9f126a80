//! The five sockets of a kernel: which messages come from them, and go to them.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::json;
use tokio::sync::mpsc::Receiver;

use super::connection::Listeners;
use super::heartbeat::beat;
use super::places::Listening;
use super::publisher::Publisher;
use super::router::Router;
use super::seal::Seal;
use crate::engine::{Arrivals, Link, Published, Replies};
use crate::message::Message;

impl Replies for Router {
    async fn send(&mut self, message: Message) -> bool {
        Self::send(self, message).await
    }
}

/// Serves the sockets in the background, for as long as what it returns is used.
pub(super) fn open(listeners: Listeners, seal: Seal) -> io::Result<Link<Router>> {
    let (arrivals, requests) = Arrivals::new();
    let seal = Arc::new(seal);
    let heartbeat = beat(listeners.heartbeat)?;
    let iopub = Publisher::of(listeners.iopub)?;
    let shell = Router::of(listeners.shell, &seal, arrivals.shell)?;
    let control = Router::of(listeners.control, &seal, arrivals.control)?;
    let stdin = Router::of(listeners.stdin, &seal, arrivals.stdin)?;
    let (published, to_publish) = Published::new();
    tokio::spawn(publish(iopub, to_publish, seal, heartbeat));
    Ok(Link {
        requests,
        shell,
        control,
        stdin,
        iopub: published,
    })
}

/// Sends messages to all subscribers, and a greeting to each new one, so that it knows from when on it misses nothing. The heart
/// beats for as long as there may be messages.
async fn publish(
    mut iopub: Publisher,
    mut messages: Receiver<Message>,
    seal: Arc<Seal>,
    _heartbeat: Listening,
) {
    loop {
        tokio::select! {
            biased;
            subscription = iopub.subscription() => {
                let topic = String::from_utf8_lossy(&subscription.topic);
                let welcome = Message::new("iopub_welcome", json!({"subscription": topic}));
                let welcome = welcome.to(vec![subscription.topic.clone()]);
                subscription.greet(seal.close(welcome));
            }
            message = messages.recv() => match message {
                Some(message) => {
                    let topic = Bytes::from(format!("kernel.{}", message.kind));
                    let message = message.to(vec![topic]);
                    iopub.send(seal.close(message)).await;
                }
                None => return,
            },
        }
    }
}
