//! The operations of Backend.AI: each of its requests, with sessions that are kernels of this machine.

mod answer;
mod events;
mod execute;
mod graphql;
mod info;
mod sent;
mod sessions;
mod stream;
mod upload;

use bytes::Bytes;
use http::Response;
use serde_json::json;
use sorna_core::server::backend_ai::{Parameters, SessionRoute, SessionVerb};
use sorna_core::server::{KeepAliveRequest, ProblemReply};
use sorna_core::{ApiVersion, KernelId, ProblemKind};

use self::answer::{Result, ok};
use super::body::{ReplyBody, Unread};
use super::context::{Call, Context};
use super::extensions::EXTENSIONS;
use super::files;
use super::keep_alive;

/// What responses call the manager: no release of Backend.AI, so that no client expects the defects of one.
const MANAGER: &str = concat!("sorna-gateway ", env!("CARGO_PKG_VERSION"));

/// The response to a request that needs no signature; `None` for others.
pub(super) fn public(route: &SessionRoute) -> Option<Response<ReplyBody>> {
    let version = ApiVersion::V9_20250722.as_str();
    match route {
        SessionRoute::Hello => Some(ok(
            &json!({"version": version, "manager": MANAGER, "extensions": EXTENSIONS}),
        )),
        SessionRoute::Health => {
            let release = env!("CARGO_PKG_VERSION");
            Some(ok(&json!({"status": "ok", "version": release})))
        }
        _ => None,
    }
}

/// Responds to an authenticated request.
pub(super) async fn respond(context: &Context, mut call: Call<'_>, route: SessionRoute) -> Result {
    let query = call.parts.uri.query();
    if let SessionRoute::Session(id, SessionVerb::Upload) = &route {
        check_owner(&call, &Parameters::parse(query, b"")?)?;
        return upload::upload(context, call, id).await;
    }
    let read = context.read(call.body).await;
    let bytes = read.map_err(Unread::reply)?;
    // Bodies that are no objects are explained by those who read them.
    let parameters = Parameters::parse(query, &bytes).or_else(|_| Parameters::parse(query, b""))?;
    check_owner(&call, &parameters)?;
    match route {
        SessionRoute::Session(id, verb) => {
            to_session(context, &mut call, &id, verb, &parameters, &bytes).await
        }
        SessionRoute::Authorize => authorize(&bytes, query),
        SessionRoute::Create => sessions::create(context, call.key, &bytes).await,
        SessionRoute::Match => sessions::find_matches(context, call.key, &parameters),
        SessionRoute::Query => graphql::respond(context, call.key, &bytes).await,
        SessionRoute::ScalingGroups => Ok(ok(&json!({"scaling_groups": [{"name": "default"}]}))),
        SessionRoute::Unoffered(what) => Err(unoffered(what)),
        SessionRoute::Events => events::listen(context, call.key, &parameters),
        _ => Err(ProblemKind::NotImplemented.reply()),
    }
}

async fn to_session(
    context: &Context,
    call: &mut Call<'_>,
    id: &KernelId,
    verb: SessionVerb,
    parameters: &Parameters,
    bytes: &Bytes,
) -> Result {
    let key = call.key;
    match verb {
        SessionVerb::Info => {
            let session = context.sessions.find(key, id)?;
            Ok(ok(&info::of(context, &session)))
        }
        SessionVerb::Restart => sessions::restart(context, key, id).await,
        SessionVerb::Destroy => sessions::destroy(context, key, id).await,
        SessionVerb::Rename => {
            Parameters::parse(None, bytes)?;
            sessions::rename(context, key, id, parameters)
        }
        SessionVerb::Logs => sessions::logs(context, key, id, parameters).await,
        SessionVerb::StatusHistory => sessions::status_history(context, key, id),
        SessionVerb::Execute => execute::execute(context, call, id, bytes).await,
        SessionVerb::Complete => execute::complete(context, key, id, bytes).await,
        SessionVerb::Interrupt => execute::interrupt(context, key, id).await,
        SessionVerb::KeepAlive => {
            let request = KeepAliveRequest::parse(bytes)?;
            let entry = context.sessions.find(key, id)?.running()?;
            keep_alive::keep(context, &entry, request).map(|reply| reply.map(ReplyBody::new))
        }
        SessionVerb::ListFiles => {
            let entry = context.sessions.find(key, id)?.running()?;
            files::list(entry, parameters).await
        }
        SessionVerb::Download => {
            let entry = context.sessions.find(key, id)?.running()?;
            files::download(context, entry, parameters).await
        }
        SessionVerb::DownloadSingle => {
            let entry = context.sessions.find(key, id)?.running()?;
            files::download_single(entry, parameters).await
        }
        SessionVerb::Apps => {
            context.sessions.find(key, id)?;
            // What is listed there can be opened by a proxy, and there is none.
            Ok(ok(&json!([])))
        }
        SessionVerb::Unoffered(what) => {
            context.sessions.find(key, id)?;
            Err(unoffered(what))
        }
        SessionVerb::Terminal => stream::open_terminal(context, call, id).await,
        SessionVerb::ExecuteStream => stream::open_execution(context, call, id),
        _ => Err(ProblemKind::NotImplemented.reply()),
    }
}

/// 501 for what managers have and this gateway does not.
fn unoffered(what: &str) -> ProblemReply {
    let detail =
        format!("{what}: not offered by this gateway, which runs sessions on its own machine");
    ProblemKind::NotImplemented.reply_with(&detail)
}

/// 200 with what was sent, from the body or the query.
fn authorize(bytes: &[u8], query: Option<&str>) -> Result {
    let parameters = Parameters::parse(query, bytes)?;
    let echo = parameters.required("echo")?;
    Ok(ok(&json!({"authorized": "yes", "echo": echo})))
}

/// Requests of one key to the sessions of another are not for this gateway.
fn check_owner(call: &Call<'_>, parameters: &Parameters) -> Result<()> {
    let owner = parameters.any_text(&["owner_access_key", "ownerAccessKey"]);
    match owner {
        Some(owner) if owner != call.key => {
            Err(ProblemKind::GenericForbidden.reply_with("a key can only use its own sessions"))
        }
        _ => Ok(()),
    }
}
