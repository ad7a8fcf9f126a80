//! The control channel, which is attended whatever the shell channel is busy with.

use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

use super::link::{Published, Replies};
use crate::message::Request;

/// The end.
pub(super) struct Stop<R> {
    /// Who has asked for it, and where the reply goes.
    pub(super) asked: Option<(Request, R)>,
}

impl<R> Default for Stop<R> {
    fn default() -> Self {
        Self { asked: None }
    }
}

/// What it needs.
pub(super) struct Control<R> {
    pub(super) replies: R,
    pub(super) iopub: Published,
    pub(super) info: Value,
    pub(super) interrupt: UnboundedSender<()>,
}

impl<R: Replies> Control<R> {
    /// Answers requests until one asks the kernel to end.
    pub(super) async fn attend(mut self, mut orders: UnboundedReceiver<Request>) -> Stop<R> {
        while let Some(request) = orders.recv().await {
            self.iopub.state(&request, "busy").await;
            let reply = match request.kind() {
                "kernel_info_request" => Some(("kernel_info_reply", self.info.clone())),
                "interrupt_request" => {
                    let _ = self.interrupt.send(());
                    Some(("interrupt_reply", json!({"status": "ok"})))
                }
                "shutdown_request" => {
                    return Stop {
                        asked: Some((request, self.replies)),
                    };
                }
                _ => None,
            };
            if let Some((kind, content)) = reply {
                self.replies.send(request.child(kind, content)).await;
            }
            self.iopub.state(&request, "idle").await;
        }
        Stop::default()
    }
}
