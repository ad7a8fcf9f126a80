//! Backend.AI: `POST /session`.

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
struct Body<'a> {
    image: &'a str,
    name: &'a SessionToken,
}

pub(super) fn prepare(
    spec: &KernelSpec,
    token: &SessionToken,
) -> Result<UnsignedRequest, BuildError> {
    UnsignedRequest::new(Method::POST, "/session").json(&Body {
        image: spec.language(),
        name: token,
    })
}

pub(super) fn read(success: &Success) -> Result<CreatedKernel, Error> {
    #[derive(Deserialize)]
    struct Body {
        #[serde(rename = "sessionId")]
        session_id: String,
        #[serde(flatten)]
        extra: Map<String, Value>,
    }
    const EXPECTED: &str = r#"{"sessionId": …}"#;
    let body: Body = success.json(EXPECTED)?;
    let id = KernelId::new(body.session_id)
        .ok()
        .filter(|id| id.check_for_backend_ai().is_ok())
        .ok_or_else(|| success.unexpected(EXPECTED))?;
    Ok(CreatedKernel::new(id, body.extra))
}
