//! Successful responses.

use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};
use serde::Serialize;
use serde_json::{Value, json};

use crate::console::Console;
use crate::ident::KernelId;
use crate::ops::{ExecutionStatus, KernelInfo, LanguageInfo};
use crate::version::ApiVersion;

/// 200: the API version.
#[must_use]
pub fn version(version: ApiVersion) -> Response<Vec<u8>> {
    json_response(StatusCode::OK, &json!({"version": version.as_str()}))
}

/// 200: the API version, and what this gateway understands besides the protocol: see
/// [`VersionInfo::extensions`](crate::VersionInfo::extensions).
#[must_use]
pub fn version_with(version: ApiVersion, extensions: &[&str]) -> Response<Vec<u8>> {
    let body = json!({"version": version.as_str(), "extensions": extensions});
    json_response(StatusCode::OK, &body)
}

/// 200: the keys are valid.
#[must_use]
pub fn authorized(echo: Option<&Value>) -> Response<Vec<u8>> {
    let mut body = json!({"authorized": "yes"});
    if let Some(echo) = echo {
        body["echo"] = echo.clone();
    }
    json_response(StatusCode::OK, &body)
}

/// 200: the languages.
#[must_use]
pub fn languages(languages: &[LanguageInfo]) -> Response<Vec<u8>> {
    json_response(StatusCode::OK, &json!({"languages": languages}))
}

/// 201: the kernel, new or reused.
#[must_use]
pub fn created(kernel: &KernelId) -> Response<Vec<u8>> {
    json_response(StatusCode::CREATED, &json!({"kernelId": kernel}))
}

/// 201: the kernel, and what this gateway understands besides the protocol: see
/// [`CreatedKernel::extensions`](crate::CreatedKernel::extensions).
#[must_use]
pub fn created_with(kernel: &KernelId, extensions: &[&str]) -> Response<Vec<u8>> {
    let body = json!({"kernelId": kernel, "extensions": extensions});
    json_response(StatusCode::CREATED, &body)
}

/// 201: as [`created_with`], and whether it is [new](crate::CreatedKernel::created), and which
/// [other languages](crate::CreatedKernel::other_languages) have kernels with the same token.
#[must_use]
pub fn created_as(
    kernel: &KernelId,
    is_new: bool,
    other_languages: &[String],
    extensions: &[&str],
) -> Response<Vec<u8>> {
    let mut body = json!({"kernelId": kernel, "extensions": extensions, "created": is_new});
    if !other_languages.is_empty() {
        body["otherLanguages"] = json!(other_languages);
    }
    json_response(StatusCode::CREATED, &body)
}

/// 200: information about a kernel.
#[must_use]
pub fn info(info: &KernelInfo) -> Response<Vec<u8>> {
    json_response(StatusCode::OK, info)
}

/// 204: done, without a body; for restart, destroy and upload. The original client still reads the
/// content type and length, and fails without them.
#[must_use]
pub fn done() -> Response<Vec<u8>> {
    let mut response = response(
        StatusCode::NO_CONTENT,
        "application/octet-stream",
        Vec::new(),
    );
    response
        .headers_mut()
        .insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    response
}

/// 200: completions.
#[must_use]
pub fn completions(candidates: &[String]) -> Response<Vec<u8>> {
    json_response(StatusCode::OK, &json!({"result": candidates}))
}

/// 200: the status of an execution. `options` is null, or an object (`is_password`,
/// `exitCode`, `step`).
#[must_use]
pub fn execution(
    status: &ExecutionStatus,
    console: &Console,
    options: &Value,
) -> Response<Vec<u8>> {
    #[derive(Serialize)]
    struct Outer<'a> {
        result: Inner<'a>,
    }
    #[derive(Serialize)]
    struct Inner<'a> {
        status: &'a str,
        console: &'a Console,
        options: &'a Value,
        files: [(); 0],
    }
    json_response(
        StatusCode::OK,
        &Outer {
            result: Inner {
                status: status.as_str(),
                console,
                options,
                files: [],
            },
        },
    )
}

/// Any JSON.
#[must_use]
pub fn json(status: StatusCode, body: &impl Serialize) -> Response<Vec<u8>> {
    json_response(status, body)
}

fn json_response(status: StatusCode, body: &impl Serialize) -> Response<Vec<u8>> {
    response(status, "application/json; charset=utf-8", to_json(body))
}

pub(super) fn to_json(body: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(body).expect("responses have string keys and no failing types")
}

fn response(status: StatusCode, media_type: &'static str, body: Vec<u8>) -> Response<Vec<u8>> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}
