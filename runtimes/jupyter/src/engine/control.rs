//! The control channel, which is attended whatever the shell channel is busy with.

use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

use super::info::Info;
use super::link::{Published, Replies};
use crate::message::Request;

/// What it needs.
pub(super) struct Control<R> {
    pub(super) replies: R,
    pub(super) iopub: Published,
    pub(super) info: Info,
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
                "kernel_info_request" => Some(("kernel_info_reply", self.info.reply())),
                "interrupt_request" => {
                    let _ = self.interrupt.send(());
                    Some(("interrupt_reply", json!({"status": "ok"})))
                }
                "shutdown_request" => return Some(request),
                "debug_request" => Some(("debug_reply", no_debugger(&request.content))),
                "usage_request" => Some(("usage_reply", unknown())),
                "create_subshell_request" => Some(("create_subshell_reply", unknown())),
                "delete_subshell_request" => Some(("delete_subshell_reply", unknown())),
                "list_subshell_request" => Some(("list_subshell_reply", unknown())),
                _ => None,
            };
            if let Some((kind, content)) = reply {
                self.replies.send(request.child(kind, content)).await;
            }
            self.iopub.state(&request, "idle").await;
        }
        None
    }
}

/// The response of the Debug Adapter Protocol to a request where there is no debugger.
fn no_debugger(request: &Value) -> Value {
    json!({
        "type": "response",
        "seq": request["seq"],
        "request_seq": request["seq"],
        "command": request["command"],
        "success": false,
        "message": "this kernel has no debugger",
    })
}

/// The content of the reply to what this kernel does not do.
fn unknown() -> Value {
    json!({
        "status": "error",
        "ename": "NotImplementedError",
        "evalue": "this kernel does not do that",
        "traceback": [],
    })
}
