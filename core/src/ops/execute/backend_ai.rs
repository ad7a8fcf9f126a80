//! Backend.AI: `POST /session/{name or id}`, with a run ID in every request.

use std::borrow::Cow;

use http::Method;
use serde::Serialize;

use super::bytes::{BytesFields, encoded};
use super::mark::RunMark;
use super::mode::{Continuation, ExecuteMode};
use super::query::QueryOptions;
use super::request::Execute;
use crate::error::BuildError;
use crate::ops::backend_ai::to_session;
use crate::unsigned::UnsignedRequest;

/// The run ID has two names: managers before 26.3 read `runId` and require it, later ones read `run_id`. Each
/// ignores the other.
#[derive(Serialize)]
struct Body<'a> {
    mode: &'a str,
    code: Cow<'a, str>,
    #[serde(rename = "runId")]
    run_id: Option<&'a str>,
    #[serde(rename = "run_id")]
    new_run_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    options: Option<Options<'a>>,
    #[serde(flatten)]
    bytes: BytesFields,
}

#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Options<'a> {
    Batch(BatchOptions<'a>),
    Query(QueryOptions<'a>),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BatchOptions<'a> {
    clean: &'a str,
    build: &'a str,
    build_log: bool,
    exec: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<&'a RunMark>,
}

/// The mode, the code and the options of a request.
pub(super) fn parts(execute: &Execute) -> (&str, Cow<'_, str>, Option<Options<'_>>) {
    match (&execute.continuation, &execute.mode) {
        (Continuation::Continue, _) => (
            "continue",
            "".into(),
            QueryOptions::of(execute).map(Options::Query),
        ),
        (Continuation::Input(text), _) => (
            "input",
            text.into(),
            QueryOptions::of(execute).map(Options::Query),
        ),
        (Continuation::InputBytes(bytes), _) => (
            "input",
            encoded(bytes).into(),
            QueryOptions::of(execute).map(Options::Query),
        ),
        (Continuation::Start, ExecuteMode::Query { code }) => {
            let options = QueryOptions::of(execute).map(Options::Query);
            ("query", code.into(), options)
        }
        (Continuation::Start, ExecuteMode::Batch(batch)) => (
            "batch",
            "".into(),
            Some(Options::Batch(BatchOptions {
                clean: batch.clean(),
                build: batch.build().unwrap_or(""),
                build_log: batch.build_log(),
                exec: batch.exec().unwrap_or(""),
                run: execute.mark.as_ref(),
            })),
        ),
    }
}

pub(super) fn prepare(execute: &Execute) -> Result<UnsignedRequest, BuildError> {
    let (mode, code, options) = parts(execute);
    let run_id = execute.run_id.as_deref();
    to_session(Method::POST, &execute.kernel, code.len())?.json(&Body {
        mode,
        code,
        run_id,
        new_run_id: run_id,
        options,
        bytes: BytesFields::of(execute),
    })
}
