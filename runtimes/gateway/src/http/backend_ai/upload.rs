//! Uploads to a session.

use http::header::USER_AGENT;
use sorna_core::server::ProblemReply;
use sorna_core::{ApiVersion, KernelId, ProblemKind};

use super::answer::{Result, done};
use crate::http::context::{Call, Context};
use crate::http::upload::UploadLimits;

/// `POST /session/{name}/upload`
pub(super) async fn upload(context: &Context, mut call: Call<'_>, id: &KernelId) -> Result {
    let session = context.sessions.find(call.key, id)?;
    let entry = session.running()?;
    entry.kernel.touch();
    let agent = call.parts.headers.get(USER_AGENT);
    let agent = agent
        .and_then(|agent| agent.to_str().ok())
        .unwrap_or_default();
    let most = ApiVersion::V9_20250722.upload_limits().max_file_size;
    let limits = UploadLimits {
        file_size: context.upload_limits.file_size.min(most),
        // The official clients up to 26.9 send `sub%2Fdata.bin`, and their managers store a file of that name.
        encoded_names: agent.starts_with("Backend.AI Client for Python"),
        ..context.upload_limits
    };
    let stored = context.upload(&mut call, &entry, limits).await;
    stored.map_err(in_this_dialect)?;
    Ok(done())
}

/// What managers send for too many files, and too large ones. (Observed on 26.9.6.)
fn in_this_dialect(problem: ProblemReply) -> ProblemReply {
    match (problem.kind(), problem.detail()) {
        (ProblemKind::InvalidApiParams, Some(detail)) => ProblemKind::GenericBadRequest
            .reply_with(detail)
            .with_title("Invalid or Missing API Parameters.")
            .with_error_code("api_parsing_invalid-parameters"),
        _ => problem,
    }
}
