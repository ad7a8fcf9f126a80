//! Requests about a session as a whole.

use http::{Response, StatusCode};
use serde_json::{Value, json};
use sorna_core::server::backend_ai::{CreateSession, Parameters};
use sorna_core::server::{iso_date, reply};
use sorna_core::{ApiVersion, KernelId, ProblemKind, SessionToken};

use super::answer::{Ordered, Result, done, ok};
use super::info;
use crate::http::body::ReplyBody;
use crate::http::context::Context;
use crate::http::extensions::extensions;
use crate::http::logs;

/// `POST /session`
pub(super) async fn create(context: &Context, key: &str, bytes: &[u8]) -> Result {
    let request = CreateSession::parse(bytes)?;
    let created = context.sessions.create(key, &request).await?;
    let mut body = json!({
        "sessionId": created.session.id,
        "sessionName": created.session.name(),
        "status": created.status.as_str(),
        "servicePorts": info::service_ports(&created.session),
        "created": created.is_new,
        "extensions": extensions(context, &created.session.language),
    });
    if !created.is_new {
        body["service_ports"] = info::service_ports(&created.session).into();
    }
    Ok(reply::json(StatusCode::CREATED, &body).map(ReplyBody::new))
}

/// `PATCH /session/{name}`: returns when it is up again.
pub(super) async fn restart(context: &Context, key: &str, id: &KernelId) -> Result {
    let session = context.sessions.find(key, id)?;
    let entry = session.running()?;
    entry.kernel.touch();
    let restarted = context.sessions.restart(&session, &entry).await;
    restarted.map_err(|error| error.problem(ProblemKind::KernelRestartFailed))?;
    Ok(done())
}

/// `DELETE /session/{name}`: returns when it is gone.
pub(super) async fn destroy(context: &Context, key: &str, id: &KernelId) -> Result {
    let session = context.sessions.find(key, id)?;
    let status = context.sessions.destroy(&session).await;
    Ok(ok(&json!({"stats": {"status": status}})))
}

/// `POST /session/{name}/rename`
pub(super) fn rename(
    context: &Context,
    key: &str,
    id: &KernelId,
    parameters: &Parameters,
) -> Result {
    let session = context.sessions.find(key, id)?;
    let name = parameters.required("name")?;
    let name = SessionToken::for_version(name, ApiVersion::V9_20250722)
        .map_err(|error| ProblemKind::InvalidApiParams.reply_with(&error.to_string()))?;
    context.sessions.rename(&session, name.as_str())?;
    Ok(done())
}

/// `GET /session/_/match`: whole names, and the beginnings of names and of IDs.
pub(super) fn find_matches(context: &Context, key: &str, parameters: &Parameters) -> Result {
    let wanted = parameters.required("id")?;
    let sessions = context.sessions.living(key);
    let exact: Vec<_> = sessions
        .iter()
        .filter(|session| session.name() == *wanted || session.id.as_str() == wanted)
        .collect();
    let found = if exact.is_empty() && !wanted.is_empty() {
        let begins = |text: &str| text.starts_with(&*wanted);
        let all = sessions.iter();
        all.filter(|it| begins(&it.name()) || begins(it.id.as_str()))
            .collect()
    } else {
        exact
    };
    let matches: Vec<Value> = found
        .into_iter()
        .map(|session| {
            json!({"id": session.id, "name": session.name(), "status": session.status().as_str()})
        })
        .collect();
    Ok(ok(&json!({"matches": matches})))
}

/// `GET /session/{name}/logs`; also of a session that has ended, by its ID.
pub(super) async fn logs(
    context: &Context,
    key: &str,
    id: &KernelId,
    parameters: &Parameters,
) -> Result {
    let session = context.sessions.find_any(key, id)?;
    let cause = || context.kernels.cause_of_end(key, &session.id);
    let (log, most) = (session.log(), context.continuation_interval);
    logs::read(log, parameters, most, cause).await
}

/// `GET /session/{name}/status-history`
pub(super) fn status_history(
    context: &Context,
    key: &str,
    id: &KernelId,
) -> Result<Response<ReplyBody>> {
    let session = context.sessions.find_any(key, id)?;
    let history = session.history().into_iter();
    let history = history.map(|(status, time)| (status.as_str().to_owned(), iso_date(time)));
    Ok(ok(&Ordered(vec![(
        "result".to_owned(),
        Ordered(history.collect()),
    )])))
}
