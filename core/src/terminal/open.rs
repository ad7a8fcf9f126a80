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
    directory: Option<String>,
    is_offered: bool,
}

impl OpenTerminal {
    /// The name of the extension by which a gateway starts terminals in a directory.
    pub const DIRECTORY: &str = "terminal-directory";

    /// The operation.
    #[must_use]
    pub fn new(kernel: KernelId) -> Self {
        Self {
            kernel,
            directory: None,
            is_offered: false,
        }
    }

    /// Lets the terminal start in this directory, relative to the work directory and below it. It goes into the query, as
    /// `directory`.
    ///
    /// That is an extension of `sorna-gateway` in both dialects, [`DIRECTORY`](Self::DIRECTORY), and an error unless
    /// [`with_extension`](Self::with_extension) says that the gateway offers it. That gateway responds with 400
    /// `invalid-api-params` if there is no such directory, or if the kernel has a terminal already that was started in
    /// another one.
    #[must_use]
    pub fn with_directory(mut self, directory: impl Into<String>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// Sets whether the gateway starts terminals in directories: no by default. Gateways that do name
    /// [`DIRECTORY`](Self::DIRECTORY) when they [create](crate::CreatedKernel::extensions) a kernel, and when they say which
    /// [version](crate::VersionInfo::extensions) they speak.
    #[must_use]
    pub fn with_extension(mut self, is_offered: bool) -> Self {
        self.is_offered = is_offered;
        self
    }

    /// The request before it is signed.
    ///
    /// # Errors
    ///
    /// An ID that the gateway would reject, or a version without terminals; [`BuildError::NotOffered`] for a directory
    /// without the extension.
    pub fn prepare(&self, version: ApiVersion) -> Result<UnsignedRequest, BuildError> {
        self.kernel.check(version)?;
        if self.directory.is_some() && !self.is_offered {
            let what = "terminals that start in a directory";
            return Err(BuildError::NotOffered { what });
        }
        let path = match version.dialect() {
            Dialect::SornaV2 => "/v2/stream/kernel",
            Dialect::BackendAi => "/stream/session",
        };
        let request = UnsignedRequest::new(Method::GET, path)
            .segment(self.kernel.as_str())
            .segment("pty");
        Ok(match &self.directory {
            Some(directory) => request.query("directory", directory),
            None => request,
        })
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
    fn a_directory_needs_the_extension() {
        let open = OpenTerminal::new(kernel()).with_directory("a b/c&d");
        let error = open.prepare(ApiVersion::default()).unwrap_err();
        assert!(matches!(error, BuildError::NotOffered { .. }));
        let open = open.with_extension(true);
        for (version, target) in [
            (ApiVersion::default(), "/v2/stream/kernel/k1/pty"),
            (ApiVersion::V9_20250722, "/stream/session/k1/pty"),
        ] {
            let request = open.prepare(version).unwrap();
            let target = format!("{target}?directory=a%20b%2Fc%26d");
            assert_eq!(request.path(), target);
        }
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
