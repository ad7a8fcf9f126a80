//! What kernels have printed: all of it as text, as managers of Backend.AI send it, or, as an extension, what came after
//! what a client has.

use std::sync::Arc;
use std::time::Duration;

use http::{Response, StatusCode};
use serde_json::json;
use sorna_core::ProblemKind;
use sorna_core::server::backend_ai::Parameters;
use sorna_core::server::{ProblemReply, reply};

use super::body::ReplyBody;
use crate::kernel::Log;
use crate::kernels::Cause;

/// Responds with the log of a kernel, and at its end with why that ended, if `cause` knows. A client that wants to wait for more
/// waits no longer than `most`.
pub(super) async fn read(
    log: Arc<Log>,
    parameters: &Parameters,
    most: Duration,
    cause: impl FnOnce() -> Option<Cause>,
) -> Result<Response<ReplyBody>, ProblemReply> {
    let Some(from) = number(parameters, "from")? else {
        return Ok(respond(&json!({"result": {"logs": log.text()}})));
    };
    let wait = number(parameters, "wait")?.unwrap_or_default();
    let wait = Duration::from_millis(wait).min(most);
    if !wait.is_zero() {
        // What is there after that time is sent, if there is something.
        let _ = tokio::time::timeout(wait, log.grown(from)).await;
    }
    let part = log.read(from);
    let mut body = json!({
        "console": part.console,
        "from": part.from,
        "next": part.next,
        "ended": part.has_ended,
    });
    if part.has_ended
        && let Some(cause) = cause()
    {
        body["reason"] = cause.text().into();
    }
    Ok(respond(&body))
}

fn respond(body: &serde_json::Value) -> Response<ReplyBody> {
    reply::json(StatusCode::OK, body).map(ReplyBody::new)
}

fn number(parameters: &Parameters, name: &str) -> Result<Option<u64>, ProblemReply> {
    let text = parameters.text(name);
    text.map(|text| text.parse())
        .transpose()
        .map_err(|_| ProblemKind::InvalidApiParams.reply_with(&format!("{name}: not a number")))
}
