//! Requests about sessions: what is open, and its kernel.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use http::{Response, StatusCode};
use serde_json::{Map, Value};

use super::api::Inner;
use super::body::{new_id, object, text};
use super::reply::{Problem, created, json as reply};
use super::sessions::Session;

/// A session whose kernel is there.
pub(super) async fn find(api: &Inner, id: &str) -> Result<Session, Problem> {
    let session = api.sessions.find(id)?;
    if let Ok(kernel) = api.kernels.find(&session.kernel) {
        kernel.look().await;
    }
    api.sessions.keep_those_of(&api.kernels.all());
    api.sessions.find(id)
}

/// Starts a session, or finds the one of its path.
pub(super) async fn start(api: &Arc<Inner>, body: &[u8]) -> Result<Response<Bytes>, Problem> {
    let model = object(body)?.ok_or_else(|| Problem::bad("No JSON data provided"))?;
    let notebook = model.get("notebook").and_then(Value::as_object);
    // The older form.
    let path = match notebook.map(|it| (text(it, "name"), text(it, "path"))) {
        Some((Ok(Some(name)), _)) => Some(name),
        Some((_, Ok(Some(path)))) => Some(path),
        _ => text(&model, "path")?,
    };
    let path = path.ok_or_else(|| Problem::bad("Missing field in JSON data: path"))?;
    let kind = match notebook {
        Some(_) => Some("notebook"),
        None => text(&model, "type")?,
    };
    let kind = kind.ok_or_else(|| Problem::bad("Missing field in JSON data: type"))?;
    api.kernels().await;
    let known = || api.sessions.of_path(path);
    let begin = || {
        let (api, model) = (Arc::clone(api), model.clone());
        let (path, kind) = (path.to_owned(), kind.to_owned());
        async move { create(&api, path, kind, &model).await }.boxed()
    };
    let session = api.session_starts.get(path, known, begin).await?;
    let kernel = api.kernels.find(&session.kernel)?;
    let location = format!("/api/sessions/{}", session.id);
    Ok(created(&session.model(&kernel), &location))
}

/// A session with the kernel that the model names, or a new one.
async fn create(
    api: &Inner,
    path: String,
    kind: String,
    model: &Map<String, Value>,
) -> Result<Session, Problem> {
    let kernel = model.get("kernel").and_then(Value::as_object);
    let of_kernel = |field| kernel.map_or(Ok(None), |kernel| text(kernel, field));
    let kernel = match of_kernel("id")?.filter(|id| !id.is_empty()) {
        Some(id) => api.kernels.find(id)?,
        None => {
            let name = of_kernel("name")?;
            let started = api.start_kernel(name, None, None).await;
            started.map_err(not_available)?
        }
    };
    let session = Session {
        id: new_id(),
        path,
        name: text(model, "name")?.unwrap_or_default().to_owned(),
        kind,
        kernel: kernel.id.clone(),
    };
    api.sessions.put(session.clone());
    Ok(session)
}

/// Changes a session: its names, or its kernel.
pub(super) async fn change(api: &Inner, id: &str, body: &[u8]) -> Result<Response<Bytes>, Problem> {
    let model = object(body)?.ok_or_else(|| Problem::bad("No JSON data provided"))?;
    let _turn = api.sessions.turn(id).await;
    let before = find(api, id).await?;
    let mut session = before.clone();
    let notebook = model.get("notebook").and_then(Value::as_object);
    if let Some(path) = notebook.map_or(Ok(None), |it| text(it, "path"))? {
        path.clone_into(&mut session.path);
        "notebook".clone_into(&mut session.kind);
    }
    for (field, value) in [
        ("path", &mut session.path),
        ("name", &mut session.name),
        ("type", &mut session.kind),
    ] {
        if let Some(text) = text(&model, field)? {
            text.clone_into(value);
        }
    }
    if let Some(kernel) = model.get("kernel").and_then(Value::as_object) {
        if let Some(id) = text(kernel, "id")? {
            let found = api.kernels.find(id);
            let found = found.map_err(|it| it.with_status(StatusCode::BAD_REQUEST))?;
            session.kernel.clone_from(&found.id);
        } else if let Some(name) = text(kernel, "name")? {
            let started = api.start_kernel(Some(name), None, None).await;
            session.kernel = started.map_err(not_available)?.id.clone();
        }
    }
    api.sessions.put(session.clone());
    if session.kernel != before.kernel
        && let Ok(older) = api.kernels.find(&before.kernel)
    {
        older.end().await;
    }
    let kernel = api.kernels.find(&session.kernel)?;
    Ok(reply(StatusCode::OK, &session.model(&kernel)))
}

/// As Jupyter's own server says that a kernel for a session cannot be started, unless that is for a reason of its own.
fn not_available(problem: Problem) -> Problem {
    match problem.is_not_found() {
        true => problem.with_status(StatusCode::NOT_IMPLEMENTED),
        false => problem,
    }
}
