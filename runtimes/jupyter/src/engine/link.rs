//! What carries messages between a kernel and its clients: ZeroMQ, or WebSockets.

use serde_json::{Value, json};
use tokio::sync::mpsc::{
    Receiver, Sender, UnboundedReceiver, UnboundedSender, channel, unbounded_channel,
};

use crate::message::{Message, Request};

/// How many messages wait for their subscribers before who makes them waits.
const WAITING: usize = 64;

/// Where replies go on one of the channels that have requests.
pub(crate) trait Replies: Send {
    /// Sends a message to whom its identities name. Returns whether there is such a client: if not, no one misses it.
    fn send(&mut self, message: Message) -> impl Future<Output = bool> + Send;
}

/// The ends of the channels that a kernel uses.
pub(crate) struct Link<R> {
    pub(crate) requests: Requests,
    pub(crate) shell: R,
    pub(crate) control: R,
    pub(crate) stdin: R,
    pub(crate) iopub: Published,
}

/// Where requests go.
#[derive(Clone)]
pub(crate) struct Arrivals {
    pub(crate) shell: UnboundedSender<Request>,
    pub(crate) control: UnboundedSender<Request>,
    pub(crate) stdin: UnboundedSender<Request>,
}

/// Where requests come from.
pub(crate) struct Requests {
    pub(super) shell: UnboundedReceiver<Request>,
    pub(super) control: UnboundedReceiver<Request>,
    pub(super) stdin: UnboundedReceiver<Request>,
}

impl Arrivals {
    pub(crate) fn new() -> (Self, Requests) {
        let (shell, from_shell) = unbounded_channel();
        let (control, from_control) = unbounded_channel();
        let (stdin, from_stdin) = unbounded_channel();
        let arrivals = Self {
            shell,
            control,
            stdin,
        };
        let requests = Requests {
            shell: from_shell,
            control: from_control,
            stdin: from_stdin,
        };
        (arrivals, requests)
    }
}

/// Where messages for all clients go.
#[derive(Clone)]
pub(crate) struct Published(Sender<Message>);

impl Published {
    /// And where they come from, for what carries them.
    pub(crate) fn new() -> (Self, Receiver<Message>) {
        let (messages, to_publish) = channel(WAITING);
        (Self(messages), to_publish)
    }

    /// Sends a message to all clients. Waits while they are slower than what is sent.
    pub(crate) async fn send(&self, message: Message) {
        let _ = self.0.send(message).await;
    }

    /// The same of a state that follows from no request.
    pub(crate) async fn state_alone(&self, state: &str) {
        let content = json!({"execution_state": state});
        self.send(Message::new("status", content)).await;
    }

    /// The same of a request's state.
    pub(super) async fn state(&self, request: &Request, state: &str) {
        let content = json!({"execution_state": state});
        self.send(request.child("status", content)).await;
    }

    /// The same of what follows from a request.
    pub(super) async fn child(&self, request: &Request, kind: &'static str, content: Value) {
        self.send(request.child(kind, content)).await;
    }
}
