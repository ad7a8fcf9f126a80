//! Keeping a kernel that nothing uses, in both dialects.

use std::sync::Arc;

use http::{Response, StatusCode};
use serde_json::json;
use sorna_core::server::{KeepAliveRequest, ProblemReply, reply};

use super::context::Context;
use crate::kernels::Entry;

/// Begins the idle time anew, and responds with the limit on it.
pub(super) fn keep(
    context: &Context,
    entry: &Arc<Entry>,
    request: KeepAliveRequest,
) -> Result<Response<Vec<u8>>, ProblemReply> {
    let time = context.kernels.keep_alive(entry, request)?;
    let ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    Ok(reply::json(StatusCode::OK, &json!({"idleTimeout": ms})))
}
