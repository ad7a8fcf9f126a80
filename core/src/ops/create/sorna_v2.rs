//! Sorna v2: `POST /v2/kernel/create`.

use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::created::CreatedKernel;
use super::spec::KernelSpec;
use crate::error::{BuildError, Error};
use crate::ident::{KernelId, SessionToken};
use crate::ops::operation::Success;
use crate::unsigned::UnsignedRequest;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    lang: &'a str,
    client_session_token: &'a SessionToken,
    limits: LimitsBody,
    mounts: &'a [String],
}

/// KiB and ms. Zero stands for the server's default, so a time under 1 ms is sent as 1 ms.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LimitsBody {
    max_mem: u64,
    exec_timeout: u64,
}

pub(super) fn prepare(
    spec: &KernelSpec,
    token: &SessionToken,
) -> Result<UnsignedRequest, BuildError> {
    let limits = spec.limits();
    UnsignedRequest::new(Method::POST, "/v2/kernel/create").json(&Body {
        lang: spec.language(),
        client_session_token: token,
        limits: LimitsBody {
            max_mem: limits.max_memory().map_or(0, |bytes| bytes.div_ceil(1024)),
            exec_timeout: limits.exec_timeout().map_or(0, |limit| {
                u64::try_from(limit.as_millis()).unwrap_or(u64::MAX).max(1)
            }),
        },
        mounts: spec.mounts(),
    })
}

pub(super) fn read(success: &Success) -> Result<CreatedKernel, Error> {
    #[derive(Deserialize)]
    struct Body {
        #[serde(rename = "kernelId")]
        kernel_id: String,
        #[serde(flatten)]
        extra: Map<String, Value>,
    }
    const EXPECTED: &str = r#"{"kernelId": …}"#;
    let body: Body = success.json(EXPECTED)?;
    let id = KernelId::new(body.kernel_id)
        .ok()
        .filter(|id| id.check_for_sorna_v2().is_ok())
        .ok_or_else(|| success.unexpected(EXPECTED))?;
    Ok(CreatedKernel::new(id, body.extra))
}
