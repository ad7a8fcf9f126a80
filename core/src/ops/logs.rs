//! `GET /session/{name}/logs`: what a session's container printed.

use http::Method;
use serde::Deserialize;

use super::backend_ai;
use super::operation::{Operation, Success};
use crate::error::{BuildError, Error};
use crate::ident::KernelId;
use crate::unsigned::UnsignedRequest;
use crate::version::{ApiVersion, Dialect};

/// `GET /session/{name}/logs`: what the kernel's container printed, its own messages and what programs in it print, as observed on
/// managers 23.09.10 and 26.9.6; this repository's gateway has the last 64 KiB of what programs printed.
///
/// Of Backend.AI only. Observed on managers 23.09.10 and 26.9.6: also of a session that has ended, by its ID.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Logs {
    /// The kernel.
    pub kernel: KernelId,
}

impl Logs {
    /// The operation.
    #[must_use]
    pub fn new(kernel: KernelId) -> Self {
        Self { kernel }
    }
}

#[derive(Deserialize)]
struct Body {
    result: Texts,
}

#[derive(Deserialize)]
struct Texts {
    logs: String,
}

impl Operation for Logs {
    type Output = String;

    fn prepare(&self, version: ApiVersion) -> Result<UnsignedRequest, BuildError> {
        match version.dialect() {
            Dialect::SornaV2 => Err(BuildError::Unsupported {
                what: "logs",
                version,
            }),
            Dialect::BackendAi => {
                Ok(backend_ai::to_session(Method::GET, &self.kernel, 0)?.segment("logs"))
            }
        }
    }

    fn read(&self, _: ApiVersion, success: &Success) -> Result<String, Error> {
        let body: Body = success.json(r#"{"result": {"logs": …}}"#)?;
        Ok(body.result.logs)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{kernel, response, sent};
    use super::*;

    #[test]
    fn request_and_response() {
        let version = ApiVersion::V9_20250722;
        let logs = Logs::new(kernel());
        let target = "GET /session/k1/logs".to_owned();
        assert_eq!(sent(&logs, version), (target, String::new()));
        assert!(logs.prepare(ApiVersion::default()).is_err());
        let read = |body| logs.read_response(version, response(200, body));
        let reply = read(r#"{"result": {"logs": "a\nb"}}"#).unwrap();
        assert_eq!(reply.value, "a\nb");
        assert!(matches!(read(r#"{"logs": ""}"#), Err(Error::Parse(_))));
    }
}
