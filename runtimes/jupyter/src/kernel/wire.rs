//! The five sockets of a kernel: which messages come from them, and go to them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use tokio::sync::mpsc::{Receiver, UnboundedSender};
use zeromq::{
    Listener, RepSocket, RouterRecvHalf, RouterSendHalf, RouterSocket, Socket, SocketRecv,
    SocketSend, ZmqError,
};

use super::connection::Listeners;
use super::publisher::Publisher;
use super::seal::Seal;
use crate::engine::{Arrivals, Link, Published, Replies};
use crate::message::{Message, Request};

/// How long to wait after a socket has failed without a message.
const PAUSE: Duration = Duration::from_millis(20);

/// Where replies go on one of the sockets that have requests.
pub(super) struct Router {
    socket: RouterSendHalf,
    seal: Arc<Seal>,
}

impl Replies for Router {
    async fn send(&mut self, message: Message) -> bool {
        self.socket.send(self.seal.close(message)).await.is_ok()
    }
}

/// Serves the sockets in the background.
pub(super) async fn open(listeners: Listeners, seal: Seal) -> Result<Link<Router>, ZmqError> {
    let (arrivals, requests) = Arrivals::new();
    let seal = Arc::new(seal);
    let mut heartbeat = RepSocket::new();
    heartbeat.bind_listener(listeners.heartbeat).await?;
    let iopub = Publisher::of(listeners.iopub)?;
    let shell = serve(listeners.shell, &seal, arrivals.shell).await?;
    let control = serve(listeners.control, &seal, arrivals.control).await?;
    let stdin = serve(listeners.stdin, &seal, arrivals.stdin).await?;
    tokio::spawn(beat(heartbeat));
    let (published, to_publish) = Published::new();
    tokio::spawn(publish(iopub, to_publish, seal));
    Ok(Link {
        requests,
        shell,
        control,
        stdin,
        iopub: published,
    })
}

/// A socket that has requests.
async fn serve(
    listener: Listener,
    seal: &Arc<Seal>,
    requests: UnboundedSender<Request>,
) -> Result<Router, ZmqError> {
    let mut socket = RouterSocket::new();
    socket.bind_listener(listener).await?;
    let (replies, received) = socket.split();
    tokio::spawn(receive(received, Arc::clone(seal), requests));
    Ok(Router {
        socket: replies,
        seal: Arc::clone(seal),
    })
}

/// Echoes what comes.
async fn beat(mut heartbeat: RepSocket) {
    loop {
        match heartbeat.recv().await {
            Ok(beat) => _ = heartbeat.send(beat).await,
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
        // Whoever floods it gets no more than a share.
        tokio::task::yield_now().await;
    }
}

/// Passes on the messages whose signature is right. What else comes is left alone: whoever has no key gets no answer.
async fn receive(mut socket: RouterRecvHalf, seal: Arc<Seal>, requests: UnboundedSender<Request>) {
    loop {
        match socket.recv().await {
            Ok(parts) => {
                if let Some(request) = seal.open(parts)
                    && requests.send(request).is_err()
                {
                    return;
                }
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
        tokio::task::yield_now().await;
    }
}

/// Sends messages to all subscribers, and a greeting to each new one, so that it knows from when on it misses nothing.
async fn publish(mut iopub: Publisher, mut messages: Receiver<Message>, seal: Arc<Seal>) {
    loop {
        tokio::select! {
            biased;
            subscription = iopub.subscription() => {
                let topic = String::from_utf8_lossy(&subscription.topic);
                let welcome = Message::new("iopub_welcome", json!({"subscription": topic}));
                let welcome = welcome.to(vec![subscription.topic.clone()]);
                subscription.greet(seal.close(welcome).into_vec());
            }
            message = messages.recv() => match message {
                Some(message) => {
                    let topic = Bytes::from(format!("kernel.{}", message.kind));
                    let message = message.to(vec![topic]);
                    iopub.send(seal.close(message).into_vec()).await;
                }
                None => return,
            },
        }
    }
}
