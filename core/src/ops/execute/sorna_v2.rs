//! Sorna v2: `POST /v2/kernel/{id}`, without run ids.

use std::borrow::Cow;

use http::Method;
use serde::Serialize;

use super::bytes::{BytesFields, encoded};
use super::mark::RunMark;
use super::mode::{Continuation, ExecuteMode};
use super::query::QueryOptions;
use super::request::Execute;
use crate::error::BuildError;
use crate::ops::sorna_v2::to_kernel;
use crate::unsigned::UnsignedRequest;

#[derive(Serialize)]
struct Body<'a> {
    mode: &'a str,
    code: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    options: Option<Options<'a>>,
    #[serde(flatten)]
    bytes: BytesFields,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Options<'a> {
    Batch(BatchOptions<'a>),
    Query(QueryOptions<'a>),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BatchOptions<'a> {
    build: &'a str,
    build_log: bool,
    exec: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<&'a RunMark>,
}

/// A continuation is the same request with the input, or nothing, in place of the code. A skipped step is
/// "", since null breaks the original agent.
pub(super) fn prepare(execute: &Execute) -> Result<UnsignedRequest, BuildError> {
    let (mode, code, options) = match &execute.mode {
        ExecuteMode::Query { code } => {
            let options = QueryOptions::of(execute).map(Options::Query);
            ("query", code.as_str(), options)
        }
        ExecuteMode::Batch(batch) => (
            "batch",
            "",
            Some(Options::Batch(BatchOptions {
                build: batch.build().unwrap_or(""),
                build_log: batch.build_log(),
                exec: batch.exec().unwrap_or(""),
                run: execute.mark.as_ref(),
            })),
        ),
    };
    let code: Cow<'_, str> = match &execute.continuation {
        Continuation::Start => code.into(),
        Continuation::Continue => "".into(),
        Continuation::Input(text) => text.into(),
        Continuation::InputBytes(bytes) => encoded(bytes).into(),
    };
    to_kernel(Method::POST, &execute.kernel, code.len())?.json(&Body {
        mode,
        code,
        options,
        bytes: BytesFields::of(execute),
    })
}
