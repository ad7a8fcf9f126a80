//! Requests that start a kernel, or connect a client with it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use http::Response;
use http::request::Parts;
use serde_json::Value;

use super::access::query;
use super::api::Inner;
use super::body::{is_id, new_id, object, text};
use super::kernels::Entry;
use super::reply::{Problem, created};
use super::socket::{self, Io};

/// The connection of a request, once a response with status 101 has been sent; `None` if the client is gone.
pub type Upgrade = Pin<Box<dyn Future<Output = Option<Box<dyn Io>>> + Send>>;

/// Starts a kernel, or finds the one that is named.
pub(super) async fn start(api: &Arc<Inner>, body: &[u8]) -> Result<Response<Bytes>, Problem> {
    let model = object(body)?.unwrap_or_default();
    let id = match model.get("kernel_id") {
        None | Some(Value::Null) => None,
        Some(id) => {
            let id = id.as_str().filter(|id| is_id(id));
            Some(id.ok_or_else(|| Problem::bad("kernel_id is no ID of a kernel"))?)
        }
    };
    let entry = match id {
        None => {
            let name = text(&model, "name")?;
            api.start_kernel(name, model.get("env"), None).await?
        }
        Some(id) => {
            let begin = || {
                let (api, model, id) = (Arc::clone(api), model.clone(), id.to_owned());
                let start = async move {
                    let name = text(&model, "name")?;
                    api.start_kernel(name, model.get("env"), Some(&id)).await
                };
                start.boxed()
            };
            // As Jupyter's own server has it, who asks for one that is there gets that.
            let find = || api.kernels.find(id).ok();
            api.kernel_starts.get(id, find, begin).await?
        }
    };
    let location = format!("/api/kernels/{}", entry.id);
    Ok(created(&entry.model(), &location))
}

/// Connects a client with a kernel.
pub(super) fn channels(
    head: &Parts,
    entry: Arc<Entry>,
    upgrade: Option<Upgrade>,
) -> Result<Response<Bytes>, Problem> {
    let (response, protocol) = socket::accept(head)?;
    let upgrade = upgrade.ok_or_else(|| Problem::bad("this connection cannot be upgraded"))?;
    let session = query(head, "session_id").filter(|it| !it.is_empty());
    let is_named = session.is_some();
    let session = session.unwrap_or_else(new_id);
    tokio::spawn(async move {
        if let Some(io) = upgrade.await {
            socket::serve(io, protocol, entry, session, is_named).await;
        }
    });
    Ok(response)
}
