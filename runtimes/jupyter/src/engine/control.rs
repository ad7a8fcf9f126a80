//! The control channel, which is attended whatever the shell channel is busy with.

use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

use super::link::{Published, Replies};
use crate::message::Request;

/// What it needs.
pub(super) struct Control<R> {
    pub(super) replies: R,
    pub(super) iopub: Published,
    pub(super) info: Value,
    pub(super) interrupt: UnboundedSender<()>,
}

impl<R: Replies> Control<R> {
    /// Answers requests until one asks the kernel to end, which it returns, or there are no more.
    pub(super) async fn attend(
        &mut self,
        orders: &mut UnboundedReceiver<Request>,
    ) -> Option<Request> {
        while let Some(request) = orders.recv().await {
            self.iopub.state(&request, "busy").await;
            let reply = match request.kind() {
                "kernel_info_request" => Some(("kernel_info_reply", self.info.clone())),
                "interrupt_request" => {
                    let _ = self.interrupt.send(());
                    Some(("interrupt_reply", json!({"status": "ok"})))
                }
                "shutdown_request" => return Some(request),
                _ => None,
            };
            if let Some((kind, content)) = reply {
                self.replies.send(request.child(kind, content)).await;
            }
            self.iopub.state(&request, "idle").await;
        }
        None
    }

    /// Tells of the end, or a restart, that a request has asked for.
    pub(super) async fn stopped(&mut self, request: &Request, status: &str) {
        let content = json!({"status": status, "restart": request.flag("restart", false)});
        let reply = request.child("shutdown_reply", content.clone());
        self.replies.send(reply).await;
        self.iopub.child(request, "shutdown_reply", content).await;
        self.iopub.state(request, "idle").await;
    }
}
