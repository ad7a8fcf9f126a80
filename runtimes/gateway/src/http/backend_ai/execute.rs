//! Running code in a session.

use serde::Serialize;
use serde_json::{Value, json};
use sorna_core::server::backend_ai::ExecuteInSession;
use sorna_core::server::{ProblemReply, wants_bytes};
use sorna_core::{Console, KernelId, ProblemKind};

use super::answer::{Result, agent_failed, done, ok};
use crate::http::busy::{busy_reply, nothing_to_attach_reply, taken_over_reply};
use crate::http::context::{Call, Context};
use crate::kernel::{ExecuteError, Held};
use crate::kernels::Entry;
use crate::sessions::{RunError, RunReply};

/// The result of an execution, over HTTP and WebSocket.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ResultBody<'a> {
    status: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    run_id: Option<&'a str>,
    exit_code: Option<i32>,
    options: &'a Value,
    files: [(); 0],
    console: &'a Console,
}

/// What is around it over HTTP.
#[derive(Serialize)]
struct Outer<'a> {
    result: ResultBody<'a>,
}

impl<'a> ResultBody<'a> {
    /// With the run's ID, as over HTTP.
    pub(super) fn new(reply: &'a RunReply) -> Self {
        Self {
            run_id: Some(&reply.run_id),
            ..Self::without_id(reply)
        }
    }

    /// Without it, as over a WebSocket.
    pub(super) fn without_id(reply: &'a RunReply) -> Self {
        Self {
            status: reply.status.as_str(),
            run_id: None,
            exit_code: reply.exit_code,
            options: &reply.options,
            files: [],
            console: &reply.console,
        }
    }
}

/// `POST /session/{name}`
pub(super) async fn execute(
    context: &Context,
    call: &Call<'_>,
    id: &KernelId,
    bytes: &[u8],
) -> Result {
    let (session, peer) = (context.sessions.find(call.key, id)?, call.peer());
    let (request, mark) = ExecuteInSession::parse_marked(bytes)?;
    let entry = session.running()?;
    if let ExecuteInSession::Complete(request) = &request {
        entry.kernel.touch();
        let found = entry.kernel.complete(request).await;
        return Ok(ok(&json!({"result": {"result": suggestions(&found)}})));
    }
    let counters = &context.kernels.counters;
    let interval = context.continuation_interval;
    let mark = mark.as_ref().map(|mark| (mark, &peer));
    let executed = session.execute(&entry.kernel, &request, mark, interval, || {
        counters.executions.up()
    });
    let mut reply = executed.await.map_err(|error| problem(error, &entry))?;
    if !wants_bytes(bytes) {
        reply.console.replace_bytes();
    }
    let held = reply.held.take();
    let response = {
        let _writing = held.as_ref().and_then(Held::writing);
        ok(&Outer {
            result: ResultBody::new(&reply),
        })
    };
    let receipt = mark.map(|(mark, peer)| entry.kernel.receipt(mark, peer));
    Ok(response.map(|body| body.holding(held, receipt)))
}

/// `POST /session/{name}/complete`
pub(super) async fn complete(context: &Context, key: &str, id: &KernelId, bytes: &[u8]) -> Result {
    let session = context.sessions.find(key, id)?;
    let request = ExecuteInSession::parse_completion(bytes)?;
    let entry = session.running()?;
    entry.kernel.touch();
    let found = entry.kernel.complete(&request).await;
    Ok(ok(&json!({"result": suggestions(&found)})))
}

fn suggestions(found: &[String]) -> Value {
    json!({"status": "finished", "error": null, "suggestions": found})
}

/// `POST /session/{name}/interrupt`
pub(super) async fn interrupt(context: &Context, key: &str, id: &KernelId) -> Result {
    let session = context.sessions.find(key, id)?;
    let entry = session.running()?;
    entry.kernel.touch();
    entry.kernel.interrupt().await;
    Ok(done())
}

/// The error response to a run that failed in this kernel.
pub(super) fn problem(error: RunError, entry: &Entry) -> ProblemReply {
    match error {
        RunError::Unknown(run_id) => {
            let run_id: String = run_id.chars().take(80).collect();
            let detail = format!("there is no run with the ID {run_id:?} to continue");
            ProblemKind::InvalidApiParams.reply_with(&detail)
        }
        RunError::Busy(run_id) => {
            let detail = format!(
                "the run {run_id:?} has not ended in time: continue it, give the input that it waits for, or interrupt it"
            );
            let reply = ProblemKind::KernelExecutionFailed.reply_with(&detail);
            reply.with_agent("agent-timeout", &detail, None)
        }
        RunError::Execute(ExecuteError::Gone) => {
            let reply = match entry.cause() {
                Some(cause) => ProblemKind::ObjectNotFound.reply_with(&cause.text()),
                None => ProblemKind::ObjectNotFound.reply(),
            };
            reply.with_title("No such session.")
        }
        RunError::Execute(ExecuteError::Busy(busy)) => busy_reply(&busy),
        RunError::Execute(ExecuteError::TakenOver) => taken_over_reply(),
        RunError::Execute(ExecuteError::NothingToAttach) => nothing_to_attach_reply(),
        RunError::Execute(ExecuteError::Failed(reason)) => {
            agent_failed(ProblemKind::KernelExecutionFailed, &reason)
        }
    }
}
