//! What requests say about bytes, which dialects share: an extension of the gateway in `sorna-gateway`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use super::mode::Continuation;
use super::request::Execute;

/// Sent only to gateways that know them.
#[derive(Serialize)]
pub(super) struct BytesFields {
    /// Output may come as bytes.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    bytes: bool,
    /// How the code is written, if it is not text.
    #[serde(skip_serializing_if = "Option::is_none")]
    encoding: Option<&'static str>,
}

impl BytesFields {
    pub(super) fn of(execute: &Execute) -> Self {
        let is_bytes = matches!(execute.continuation, Continuation::InputBytes(_));
        Self {
            bytes: execute.wants_bytes,
            encoding: is_bytes.then_some("base64"),
        }
    }
}

/// Bytes in the place of code.
pub(super) fn encoded(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}
