//! Sorna v2, of March 2017: `X-Sorna-Version`, kernels under `/v2`, no run ids.

use http::Method;
use serde::Serialize;

use super::Resource;
use crate::ops::{Complete, Continuation, CreateKernel, Execute, ExecuteMode};
use crate::signing::Unsigned;
use crate::version::Dialect;

const DIALECT: Dialect = Dialect::SornaV2;

/// See [`Dialect::route`].
pub(super) fn route(resource: Resource<'_>, path: &mut Vec<u8>) -> Method {
    let mut at = |method: Method, pieces: [&str; 3]| {
        for piece in pieces {
            path.extend_from_slice(piece.as_bytes());
        }
        method
    };
    let kernel = "/v2/kernel/";
    match resource {
        Resource::Version => at(Method::GET, ["/v2", "", ""]),
        Resource::Authorize => at(Method::GET, ["/v2", "/authorize", ""]),
        Resource::Languages => at(Method::GET, ["/v2", "/languages", ""]),
        Resource::Create => at(Method::POST, ["/v2", "/kernel", "/create"]),
        Resource::Info(id) => at(Method::GET, [kernel, &id.path_segment(), ""]),
        Resource::Restart(id) => at(Method::PATCH, [kernel, &id.path_segment(), ""]),
        Resource::Destroy(id) => at(Method::DELETE, [kernel, &id.path_segment(), ""]),
        Resource::Execute(id) | Resource::Complete(id) => {
            at(Method::POST, [kernel, &id.path_segment(), ""])
        }
        Resource::Upload(id) => at(Method::POST, [kernel, &id.path_segment(), "/upload"]),
        Resource::Terminal(id) => at(
            Method::GET,
            ["/v2/stream/kernel/", &id.path_segment(), "/pty"],
        ),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CreateBody<'a> {
    lang: &'a str,
    client_session_token: &'a str,
    limits: LimitsBody,
    mounts: &'a [String],
}

/// Zero stands for the server's default. A time limit under 1 ms is sent as 1 ms.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LimitsBody {
    max_mem: u64,
    exec_timeout: u64,
}

pub(super) fn create(create: &CreateKernel) -> Unsigned {
    let body = CreateBody {
        lang: &create.lang,
        client_session_token: create.token.as_str(),
        limits: LimitsBody {
            max_mem: create.limits.max_mem.unwrap_or(0),
            exec_timeout: create.limits.exec_timeout.map_or(0, |limit| {
                u64::try_from(limit.as_millis()).unwrap_or(u64::MAX).max(1)
            }),
        },
        mounts: &create.mounts,
    };
    Unsigned::json(DIALECT, Resource::Create, &body, 256)
}

#[derive(Serialize)]
struct ExecuteBody<'a> {
    mode: &'a str,
    code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    options: Option<BatchOptions<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BatchOptions<'a> {
    build: &'a str,
    build_log: bool,
    exec: &'a str,
}

/// A continuation is the same call with the code (or the answered input) replaced. Null build or
/// exec breaks the original agent, so "" it is.
pub(super) fn execute(execute: &Execute) -> Unsigned {
    let (mode, code, options) = match &execute.mode {
        ExecuteMode::Query { code } => ("query", code.as_str(), None),
        ExecuteMode::Batch(batch) => (
            "batch",
            "",
            Some(BatchOptions {
                build: batch.build.as_deref().unwrap_or(""),
                build_log: batch.build_log,
                exec: batch.exec.as_deref().unwrap_or(""),
            }),
        ),
    };
    let code = match &execute.continuation {
        Continuation::Start => code,
        Continuation::Continue => "",
        Continuation::Input(text) => text,
    };
    let body = ExecuteBody {
        mode,
        code,
        options,
    };
    Unsigned::json(
        DIALECT,
        Resource::Execute(&execute.kernel),
        &body,
        code.len(),
    )
}

#[derive(Serialize)]
struct CompleteBody<'a> {
    mode: &'static str,
    code: &'a str,
    options: CompleteOptions<'a>,
}

#[derive(Serialize)]
struct CompleteOptions<'a> {
    row: u64,
    col: u64,
    line: &'a str,
    post: &'a str,
}

pub(super) fn complete(complete: &Complete) -> Unsigned {
    let body = CompleteBody {
        mode: "complete",
        code: &complete.code,
        options: CompleteOptions {
            row: complete.row,
            col: complete.col,
            line: &complete.line,
            post: &complete.post,
        },
    };
    Unsigned::json(
        DIALECT,
        Resource::Complete(&complete.kernel),
        &body,
        complete.code.len() + complete.line.len() + complete.post.len(),
    )
}
