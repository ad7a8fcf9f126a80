//! Which request is answered by what.

use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{Response, StatusCode};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use super::access::query;
use super::api::Inner;
use super::kernel_requests::{Upgrade, channels, start};
use super::reply::{Problem, json as reply, nothing};
use super::{session_requests, specs};
use crate::lock::lock;
use crate::message::now;

/// The version of Jupyter's server whose API this is.
pub(super) const VERSION: &str = "2.17.0";

/// Answers a request.
pub(super) async fn answer(
    api: &Arc<Inner>,
    head: &Parts,
    body: &[u8],
    upgrade: Option<Upgrade>,
) -> Result<Response<Bytes>, Problem> {
    let path = head.uri.path().trim_matches('/');
    let segments: Vec<String> = path
        .split('/')
        .map(|it| percent_decode_str(it).decode_utf8_lossy().into_owned())
        .collect();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let method = match head.method.as_str() {
        "HEAD" => "GET",
        method => method,
    };
    if !matches!(segments[..], ["api", "status"]) {
        *lock(&api.last_activity) = now();
    }
    match (method, &segments[..]) {
        ("GET", ["api"]) => Ok(reply(StatusCode::OK, &json!({"version": VERSION}))),
        ("GET", ["api", "status"]) => Ok(status(api)),
        ("GET", ["api", "me"]) => Ok(me(head)),
        ("GET", ["api", "kernelspecs"]) => kernelspecs(api).await,
        ("GET", ["api", "kernelspecs", name]) => {
            let specs = api.specs().await?;
            let spec = specs
                .get(*name)
                .ok_or_else(|| Problem::not_found(format!("Kernel spec {name} not found")))?;
            Ok(reply(StatusCode::OK, spec))
        }
        ("GET", ["kernelspecs", name, resource]) => {
            let is_known = *resource == specs::LOGO && api.specs().await?.contains_key(*name);
            match is_known {
                true => Ok(specs::logo(name)),
                false => Err(Problem::not_found("Not Found")),
            }
        }
        ("GET", ["api", "kernels"]) => {
            let kernels = api.kernels().await;
            let models = kernels.iter().map(|it| it.model()).collect();
            Ok(reply(StatusCode::OK, &Value::Array(models)))
        }
        ("POST", ["api", "kernels"]) => start(api, body).await,
        ("GET", ["api", "kernels", id]) => {
            api.kernels.find(id)?.look().await;
            Ok(reply(StatusCode::OK, &api.kernels.find(id)?.model()))
        }
        ("DELETE", ["api", "kernels", id]) => {
            api.kernel_starts.settled(id).await;
            api.kernels.find(id)?.end().await;
            Ok(nothing())
        }
        ("POST", ["api", "kernels", id, "interrupt"]) => {
            api.kernels.find(id)?.interrupt();
            Ok(nothing())
        }
        ("POST", ["api", "kernels", id, "restart"]) => {
            let entry = api.kernels.find(id)?;
            entry.restart().await?;
            Ok(reply(StatusCode::OK, &entry.model()))
        }
        ("GET", ["api", "kernels", id, "channels"]) => {
            api.kernels.find(id)?.look().await;
            channels(head, api.kernels.find(id)?, upgrade)
        }
        ("GET", ["api", "sessions"]) => {
            let kernels = api.kernels().await;
            let sessions = api.sessions.all();
            let models = sessions.iter().filter_map(|session| {
                let kernel = kernels.iter().find(|it| it.id == session.kernel)?;
                Some(session.model(kernel))
            });
            Ok(reply(StatusCode::OK, &Value::Array(models.collect())))
        }
        ("POST", ["api", "sessions"]) => session_requests::start(api, body).await,
        ("GET", ["api", "sessions", id]) => {
            let session = session_requests::find(api, id).await?;
            let kernel = api.kernels.find(&session.kernel)?;
            Ok(reply(StatusCode::OK, &session.model(&kernel)))
        }
        ("PATCH", ["api", "sessions", id]) => session_requests::change(api, id, body).await,
        ("DELETE", ["api", "sessions", id]) => {
            let _turn = api.sessions.turn(id).await;
            let session = session_requests::find(api, id).await?;
            api.sessions.remove(&session.id);
            if let Ok(kernel) = api.kernels.find(&session.kernel) {
                kernel.end().await;
            }
            Ok(nothing())
        }
        (_, known) => Err(unknown(known)),
    }
    .map_err(|problem| {
        tracing::debug!(?problem, "error response");
        problem
    })
}

fn status(api: &Inner) -> Response<Bytes> {
    let kernels = api.kernels.all();
    let connections: usize = kernels.iter().map(|it| it.hub.report().connections).sum();
    let last = *lock(&api.last_activity);
    reply(
        StatusCode::OK,
        &json!({
            "connections": connections,
            "kernels": kernels.len(),
            "last_activity": format!("{last:.6}"),
            "started": format!("{:.6}", api.started),
        }),
    )
}

async fn kernelspecs(api: &Inner) -> Result<Response<Bytes>, Problem> {
    let specs = api.specs().await?;
    let default = specs::usual(&specs);
    let body = json!({"default": default, "kernelspecs": specs});
    Ok(reply(StatusCode::OK, &body))
}

/// Who the client is: whoever has the token.
fn me(head: &Parts) -> Response<Bytes> {
    let asked = query(head, "permissions").and_then(|it| serde_json::from_str(&it).ok());
    let asked: Map<String, Value> = asked.unwrap_or_default();
    let has = ["api", "kernels", "kernelspecs", "sessions"];
    let permissions: Map<String, Value> = asked
        .into_iter()
        .map(|(resource, actions)| {
            let is_here = has.contains(&resource.as_str());
            (resource, if is_here { actions } else { json!([]) })
        })
        .collect();
    reply(
        StatusCode::OK,
        &json!({
            "identity": {
                "username": "sorna",
                "name": "Sorna",
                "display_name": "Sorna",
                "initials": null,
                "avatar_url": null,
                "color": null,
            },
            "permissions": permissions,
        }),
    )
}

/// What is said of paths and methods that there are not.
fn unknown(segments: &[&str]) -> Problem {
    let methods = match segments {
        ["api" | "kernelspecs"]
        | ["api", "status" | "me" | "kernelspecs"]
        | ["api", "kernelspecs", _]
        | ["kernelspecs", _, _]
        | ["api", "kernels", _, "channels"] => "GET",
        ["api", "kernels" | "sessions"] => "GET, POST",
        ["api", "kernels", _] => "GET, DELETE",
        ["api", "sessions", _] => "GET, PATCH, DELETE",
        ["api", "kernels", _, "interrupt" | "restart"] => "POST",
        [
            "api",
            part @ ("contents" | "terminals" | "config" | "nbconvert" | "events"),
            ..,
        ] => {
            return Problem::not_found(format!(
                "Not Found: this server has kernels alone, and no {part}"
            ));
        }
        _ => return Problem::not_found("Not Found"),
    };
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed").allowing(methods)
}
