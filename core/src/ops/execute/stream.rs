//! Backend.AI: `GET /stream/session/{name or id}/execute`, an execution over a WebSocket.
//!
//! The first message of the client is what to execute, each further one the input that was asked for, as it is. The
//! gateway sends results, without being asked to continue, and closes the WebSocket after the end. (Observed on managers
//! 23.09.10 and 26.9.6.)

use std::borrow::Cow;
use std::time::SystemTime;

use bytes::Bytes;
use bytestring::ByteString;
use http::{Method, Request, StatusCode};
use serde::Serialize;

use super::backend_ai::{Options, parts};
use super::bytes::BytesFields;
use super::request::Execute;
use super::result::ExecutionResult;
use super::{body, check_size};
use crate::body::Body;
use crate::error::{BuildError, ParseError};
use crate::ident::KernelId;
use crate::signing::Signer;
use crate::unsigned::UnsignedRequest;
use crate::version::{ApiVersion, Dialect};

/// `GET /stream/session/{name or id}/execute`: opens a WebSocket for one execution.
///
/// Nothing is executed before the first message. [`Execution`](crate::machine::Execution) makes this request, and all
/// messages: see [`Execution::with_streaming`](crate::machine::Execution::with_streaming).
///
/// Sorna v2 has none ([`BuildError::Unsupported`]).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OpenExecution {
    /// The kernel.
    pub kernel: KernelId,
}

impl OpenExecution {
    /// The operation.
    #[must_use]
    pub fn new(kernel: KernelId) -> Self {
        Self { kernel }
    }

    /// The request before it is signed.
    ///
    /// # Errors
    ///
    /// An ID that the gateway would reject, or a version without such executions.
    pub fn prepare(&self, version: ApiVersion) -> Result<UnsignedRequest, BuildError> {
        self.kernel.check(version)?;
        match version.dialect() {
            Dialect::SornaV2 => Err(BuildError::Unsupported {
                what: "executions over a WebSocket",
                version,
            }),
            Dialect::BackendAi => Ok(UnsignedRequest::new(Method::GET, "/stream/session")
                .segment(self.kernel.as_str())
                .segment("execute")),
        }
    }

    /// The signed request, as of `now`, without the headers of the WebSocket itself (`Connection`,
    /// `Upgrade`, `Sec-WebSocket-Key`, `Sec-WebSocket-Version`).
    ///
    /// # Errors
    ///
    /// As [`prepare`](Self::prepare); [`BuildError::Clock`] for a clock that no date can express.
    pub fn request(&self, signer: &Signer, now: SystemTime) -> Result<Request<Body>, BuildError> {
        signer.sign(self.prepare(signer.config().version())?, now)
    }
}

/// Without a run ID: managers make one for each WebSocket, and do not tell it.
#[derive(Serialize)]
struct FirstMessage<'a> {
    mode: &'a str,
    code: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    options: Option<Options<'a>>,
    #[serde(flatten)]
    bytes: BytesFields,
}

/// The message that starts an execution.
pub(crate) fn first_message(execute: &Execute) -> Result<String, BuildError> {
    let (mode, code, options) = parts(execute);
    let message = FirstMessage {
        mode,
        code,
        options,
        bytes: BytesFields::of(execute),
    };
    let text = serde_json::to_string(&message).expect("strings as keys, and no failing types");
    check_size(text.len(), Dialect::BackendAi)?;
    Ok(text)
}

/// Reads a message of the gateway.
pub(crate) fn read_message(message: Bytes) -> Result<ExecutionResult, ParseError> {
    let expected = r#"{"status": …}"#;
    let status = StatusCode::SWITCHING_PROTOCOLS;
    let Ok(text) = ByteString::try_from(message.clone()) else {
        return Err(ParseError::new(expected, status, &message, None));
    };
    body::read_bare(&text).map_err(|error| ParseError::new(expected, status, &message, Some(error)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::kernel;
    use crate::ops::{Batch, ExecuteMode};

    fn start(mode: impl Into<ExecuteMode>) -> Execute {
        Execute::start(kernel(), mode.into())
    }

    #[test]
    fn the_request_is_for_a_session() {
        let open = OpenExecution::new(KernelId::new("a b").unwrap());
        let request = open.prepare(ApiVersion::V9_20250722).unwrap();
        assert_eq!(request.path(), "/stream/session/a%20b/execute");
        let error = open.prepare(ApiVersion::V2_20170315).unwrap_err();
        assert_eq!(
            error.to_string(),
            "version v2.20170315 of the API does not support executions over a WebSocket"
        );
    }

    #[test]
    fn the_first_message_is_what_to_execute() {
        let message = first_message(&start("print(\"é\")")).unwrap();
        assert_eq!(message, r#"{"mode":"query","code":"print(\"é\")"}"#);
        let batch = Batch::new().with_build("make").without_exec();
        assert_eq!(
            first_message(&start(batch)).unwrap(),
            r#"{"mode":"batch","code":"","options":{"clean":"","build":"make","buildLog":false,"exec":""}}"#
        );
        let long = "x".repeat(1024 * 1024);
        let error = first_message(&start(long)).unwrap_err();
        assert!(matches!(error, BuildError::CodeTooLong { .. }), "{error}");
    }

    #[test]
    fn a_message_is_a_result() {
        let text = r#"{"status": "finished", "console": [["stdout", "42\n"]], "exitCode": 0, "options": null, "files": []}"#;
        let result = read_message(text.into()).unwrap();
        assert_eq!((&*result.stdout(), result.exit_code()), ("42\n", Some(0)));
        let half =
            r#"{"status": "finished", "console": [["stdout", "a\ud800b"], ["html", "\udfff"]]}"#;
        let result = read_message(half.into()).unwrap();
        assert_eq!(&*result.stdout(), "a\u{fffd}b");
        for odd in [&b""[..], b"[]", b"{}", b"\xff", br#"{"status": "a"} x"#] {
            assert!(read_message(Bytes::from_static(odd)).is_err(), "{odd:?}");
        }
    }
}
