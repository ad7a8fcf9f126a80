//! The responses to code for a kernel that is busy, and to clients that attach, in both dialects.

use serde_json::json;
use sorna_core::server::ProblemReply;
use sorna_core::{Busy, ProblemKind};

/// 409 `kernel-busy`, with what keeps it busy.
pub(super) fn busy_reply(busy: &Busy) -> ProblemReply {
    let detail = format!("{busy}: wait for its end, or interrupt it");
    ProblemKind::KernelBusy
        .reply_with(&detail)
        .with_data(json!(busy))
}

/// 409 `run-taken-over`.
pub(super) fn taken_over_reply() -> ProblemReply {
    ProblemKind::RunTakenOver.reply()
}

/// 409 `nothing-to-attach`.
pub(super) fn nothing_to_attach_reply() -> ProblemReply {
    ProblemKind::NothingToAttach.reply()
}
