//! The operations of Sorna v2.

use std::time::Duration;

use http::{Response, StatusCode};
use serde_json::{Value, json};
use sorna_core::server::backend_ai::Parameters;
use sorna_core::server::{
    AuthorizeRequest, CreateRequest, ExecuteRequest, KeepAliveRequest, ProblemReply, Route, reply,
    wants_bytes,
};
use sorna_core::{ApiVersion, Dialect, KernelId, KernelInfo, ProblemKind, RunMark, SessionStatus};

use super::body::ReplyBody;
use super::busy::{busy_reply, nothing_to_attach_reply, taken_over_reply};
use super::context::{Call, Context};
use super::extensions::{EXTENSIONS, extensions};
use super::files;
use super::keep_alive;
use super::logs;
use super::terminal;
use super::websocket;
use crate::kernel::{ExecuteError, Held, Input, Turn};
use crate::kernels::Cause;

type Result<T = Response<Vec<u8>>> = std::result::Result<T, ProblemReply>;

/// Responds to an authenticated request. The body is `bytes`, or still to be read if it `is_form`.
pub(super) async fn respond(
    context: &Context,
    call: Call<'_>,
    route: Route,
    bytes: &[u8],
    is_form: bool,
) -> Result<Response<ReplyBody>> {
    if let Route::Execute(id) = &route {
        return execute(context, &call, id, bytes).await;
    }
    if let Route::ListFiles(id) | Route::Download(id) | Route::DownloadSingle(id) = &route {
        return read_files(context, &call, &route, id).await;
    }
    if let Route::Logs(id) = &route {
        let parameters = Parameters::parse(call.parts.uri.query(), b"")?;
        let log = context.kernels.find_log(call.key, id)?;
        let cause = || context.kernels.cause_of_end(call.key, id);
        return logs::read(log, &parameters, context.continuation_interval, cause).await;
    }
    let response = respond_whole(context, call, route, bytes, is_form).await?;
    Ok(response.map(ReplyBody::new))
}

async fn respond_whole(
    context: &Context,
    call: Call<'_>,
    route: Route,
    bytes: &[u8],
    is_form: bool,
) -> Result {
    let key = call.key;
    match route {
        Route::Upload(id) if is_form => upload(context, call, &id).await,
        Route::Terminal(id) => open_terminal(context, call, &id).await,
        Route::Version => Ok(reply::version_with(ApiVersion::default(), EXTENSIONS)),
        Route::Authorize => {
            let request = AuthorizeRequest::parse(bytes)?;
            Ok(reply::authorized(request.echo.as_ref()))
        }
        Route::Languages => Ok(reply::languages(&context.kernels.languages().await)),
        Route::Match => {
            let parameters = Parameters::parse(call.parts.uri.query(), b"")?;
            Ok(find_matches(context, key, &parameters.required("id")?))
        }
        Route::Create => {
            let request = CreateRequest::parse(bytes)?;
            let extensions = extensions(context, request.spec.language());
            let found = context.kernels.get_or_create(key, request).await?;
            let others = context.kernels.other_languages(&found.entry);
            Ok(reply::created_as(
                &found.entry.id,
                found.is_new,
                &others,
                &extensions,
            ))
        }
        Route::Info(id) => {
            let entry = context.kernels.find(key, &id)?;
            Ok(reply::info(&with_all_limits(context.kernels.info(&entry))))
        }
        Route::Restart(id) => {
            let entry = context.kernels.find(key, &id)?;
            entry.kernel.touch();
            entry
                .kernel
                .restart()
                .await
                .map_err(|error| error.problem(ProblemKind::KernelRestartFailed))?;
            Ok(reply::done())
        }
        Route::Destroy(id) => {
            let entry = context.kernels.find(key, &id)?;
            context.kernels.destroy(entry, Cause::Requested).await;
            Ok(reply::done())
        }
        Route::Interrupt(id) => {
            let entry = context.kernels.find(key, &id)?;
            entry.kernel.touch();
            entry.kernel.interrupt().await;
            Ok(reply::done())
        }
        Route::KeepAlive(id) => {
            let request = KeepAliveRequest::parse(bytes)?;
            let entry = context.kernels.find(key, &id)?;
            Ok(keep_alive::keep(context, &entry, request)?)
        }
        Route::Upload(_) => {
            Err(ProblemKind::GenericBadRequest.reply_with("the body is not multipart/form-data"))
        }
        _ => Err(ProblemKind::NotImplemented.reply()),
    }
}

/// The living kernels of a token, and the one with an ID; sessions of Backend.AI by their names, too.
fn find_matches(context: &Context, key: &str, wanted: &str) -> Response<Vec<u8>> {
    let mut found = Vec::new();
    let mut add = |id: &KernelId, name: &str, language: &str| {
        let is_new = found.iter().all(|it: &Value| it["id"] != *id.as_str());
        if (name == wanted || id.as_str() == wanted) && is_new {
            found.push(json!({"id": id, "name": name, "status": "RUNNING", "image": language}));
        }
    };
    for (entry, token) in context.kernels.of_sorna_v2(key) {
        add(&entry.id, &token, &entry.lang);
    }
    for session in context.sessions.living(key) {
        if session.status() == SessionStatus::Running {
            add(&session.id, &session.name(), &session.language);
        }
    }
    reply::json(StatusCode::OK, &json!({"matches": found}))
}

/// What is in the work directory.
async fn read_files(
    context: &Context,
    call: &Call<'_>,
    route: &Route,
    id: &KernelId,
) -> Result<Response<ReplyBody>> {
    let parameters = Parameters::parse(call.parts.uri.query(), b"")?;
    let entry = context.kernels.find(call.key, id)?;
    match route {
        Route::ListFiles(_) => files::list(entry, &parameters).await,
        Route::Download(_) => files::download(context, entry, &parameters).await,
        _ => files::download_single(entry, &parameters).await,
    }
}

/// The original gateway always names all limits, in whole numbers of ms and KiB. There is none of CPU time, and there may be
/// none of memory: 0 says so.
fn with_all_limits(mut info: KernelInfo) -> KernelInfo {
    if let Some(time) = info.exec_timeout() {
        info = info.with_exec_timeout(whole_milliseconds(time));
    }
    if let Some(time) = info.idle_timeout() {
        info = info.with_idle_timeout(whole_milliseconds(time));
    }
    let memory = info.max_memory().unwrap_or_default();
    info.with_max_memory(memory.div_ceil(1024).saturating_mul(1024))
        .with_max_cpu_time(Duration::ZERO)
}

/// Rounded up, since 0 would say that there is no limit.
fn whole_milliseconds(time: Duration) -> Duration {
    let number = time.as_nanos().div_ceil(1_000_000);
    Duration::from_millis(u64::try_from(number).unwrap_or(u64::MAX))
}

async fn execute(
    context: &Context,
    call: &Call<'_>,
    id: &KernelId,
    bytes: &[u8],
) -> Result<Response<ReplyBody>> {
    let (key, peer) = (call.key, call.peer());
    let (request, mark) = ExecuteRequest::parse_marked(bytes)?;
    let request = &request;
    let entry = context.kernels.find(key, id)?;
    if let ExecuteRequest::Complete(request) = request {
        entry.kernel.touch();
        let found = entry.kernel.complete(request).await;
        return Ok(reply::completions(&found).map(ReplyBody::new));
    }
    let counters = &context.kernels.counters;
    let (kernel, interval) = (&entry.kernel, context.continuation_interval);
    let count = || counters.executions.up();
    let executed = match &mark {
        None => kernel.execute(request, interval, count).await,
        Some(mark) => {
            let turn = turn_of(request, mark);
            kernel
                .take_marked_turn(mark, &peer, turn, interval, count)
                .await
        }
    };
    match executed {
        Ok(mut response) => {
            if !wants_bytes(bytes) {
                response.console.replace_bytes();
            }
            let whole = {
                let _writing = response.held.as_ref().and_then(Held::writing);
                reply::execution(&response.status, &response.console, &response.options)
            };
            let receipt = mark.map(|mark| kernel.receipt(&mark, &peer));
            Ok(whole.map(|body| ReplyBody::new(body).holding(response.held, receipt)))
        }
        Err(ExecuteError::Gone) => Err(entry.gone()),
        Err(ExecuteError::Failed(reason)) => {
            Err(agent_failed(ProblemKind::KernelExecutionFailed, &reason))
        }
        Err(ExecuteError::Busy(busy)) => Err(busy_reply(&busy)),
        Err(ExecuteError::TakenOver) => Err(taken_over_reply()),
        Err(ExecuteError::NothingToAttach) => Err(nothing_to_attach_reply()),
    }
}

/// What a marked request does. Which of the later ones bring input is known to the kernel.
fn turn_of<'a>(request: &'a ExecuteRequest, mark: &RunMark) -> Turn<'a> {
    match request {
        ExecuteRequest::Query { code, .. } | ExecuteRequest::Batch { code, .. }
            if mark.request > 0 =>
        {
            Turn::Proceed(Input::Text(code.clone()))
        }
        ExecuteRequest::InputBytes(bytes) => Turn::Proceed(Input::Bytes(bytes.clone())),
        request => Turn::Start(request),
    }
}

/// Accepts the WebSocket handshake, and serves the terminal in the background.
async fn open_terminal(context: &Context, call: Call<'_>, id: &KernelId) -> Result {
    let entry = context.kernels.find(call.key, id)?;
    let response = websocket::accept(call.parts)?;
    let upgrade = call.upgrade.ok_or_else(websocket::no_handshake)?;
    entry.kernel.touch();
    let attached = terminal::attach(&entry, call.parts.uri.query()).await?;
    let served = terminal::serve(upgrade, entry, attached, Dialect::SornaV2);
    tokio::spawn(served);
    Ok(response)
}

async fn upload(context: &Context, mut call: Call<'_>, id: &KernelId) -> Result {
    let entry = context.kernels.find(call.key, id)?;
    entry.kernel.touch();
    let limits = context.upload_limits;
    context.upload(&mut call, &entry, limits).await?;
    Ok(reply::done())
}

fn agent_failed(kind: ProblemKind, reason: &str) -> ProblemReply {
    kind.reply().with_agent("agent-failure", reason, None)
}
