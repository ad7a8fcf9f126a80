//! `GET /v2/stream/kernel/{id}/pty`, in Backend.AI `GET /stream/session/{name or id}/pty`: the handshake that
//! opens a terminal.

use std::time::SystemTime;

use bytes::Bytes;
use http::{Method, Request, Response};

use crate::body::Body;
use crate::error::{BuildError, Error, GatewayError};
use crate::ident::KernelId;
use crate::signing::Signer;
use crate::unsigned::UnsignedRequest;
use crate::version::{ApiVersion, Dialect};

/// Opens a terminal on a kernel.
///
/// ```
/// use std::time::{Duration, UNIX_EPOCH};
/// use sorna_core::KernelId;
/// use sorna_core::terminal::OpenTerminal;
/// # use sorna_core::{AccessKey, Config, Credentials, SecretKey, Signer};
/// # let keys = Credentials::new(AccessKey::new("AK")?, SecretKey::new("SK")?);
/// # let signer = Signer::new(Config::new("http://127.0.0.1:8081".parse()?, keys));
///
/// let open = OpenTerminal::new(KernelId::new("zuF1OzMIhFknyjUl7Apbvg")?);
/// let request = open.request(&signer, UNIX_EPOCH + Duration::from_secs(1_498_699_425))?;
/// assert_eq!(request.uri().path(), "/v2/stream/kernel/zuF1OzMIhFknyjUl7Apbvg/pty");
/// // The driver adds the headers of the WebSocket, which are not signed, and sends it.
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OpenTerminal {
    /// The kernel.
    pub kernel: KernelId,
}

impl OpenTerminal {
    /// The operation.
    #[must_use]
    pub fn new(kernel: KernelId) -> Self {
        Self { kernel }
    }

    /// The request before it is signed.
    ///
    /// # Errors
    ///
    /// An ID that the gateway would reject, or a version without terminals.
    pub fn prepare(&self, version: ApiVersion) -> Result<UnsignedRequest, BuildError> {
        self.kernel.check(version)?;
        let path = match version.dialect() {
            Dialect::SornaV2 => "/v2/stream/kernel",
            Dialect::BackendAi => "/stream/session",
        };
        Ok(UnsignedRequest::new(Method::GET, path)
            .segment(self.kernel.as_str())
            .segment("pty"))
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

    /// Reads a response other than 101: why the gateway does not open a terminal.
    #[must_use]
    pub fn read_error(&self, version: ApiVersion, response: Response<Bytes>) -> Error {
        let (parts, body) = response.into_parts();
        GatewayError::new(version.dialect(), parts.status, &parts.headers, &body).into()
    }
}

#[cfg(test)]
mod tests {
    use crate::ops::testing::{kernel, response};

    use super::*;

    #[test]
    fn of_backend_ai_a_terminal_is_opened_on_a_session() {
        let open = OpenTerminal::new(KernelId::new("a b").unwrap());
        let request = open.prepare(ApiVersion::V7_20230615).unwrap();
        assert_eq!(request.path(), "/stream/session/a%20b/pty");
    }

    #[test]
    fn an_error_response_keeps_its_text() {
        let gone = r#"{"type": "https://api.sorna.io/probs/kernel-not-found", "title": "No."}"#;
        let error =
            OpenTerminal::new(kernel()).read_error(ApiVersion::default(), response(404, gone));
        assert!(error.is_not_found());
        assert!(error.to_string().ends_with("No."));
    }
}
