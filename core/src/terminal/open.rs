//! `GET /v2/stream/kernel/{id}/pty`: the handshake that opens a terminal.

use std::time::SystemTime;

use bytes::Bytes;
use http::{Request, Response};

use crate::body::Body;
use crate::dialect::Resource;
use crate::error::{BuildError, Error, GatewayError};
use crate::ident::KernelId;
use crate::signing::{Signer, Unsigned};

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

    /// The signed request, as of `now`, without the headers of the WebSocket itself (`Connection`,
    /// `Upgrade`, `Sec-WebSocket-Key`, `Sec-WebSocket-Version`).
    ///
    /// # Errors
    ///
    /// [`BuildError::Clock`] for a clock that no date can express.
    pub fn request(&self, signer: &Signer, now: SystemTime) -> Result<Request<Body>, BuildError> {
        let dialect = signer.config().version().dialect();
        signer.sign(
            Unsigned::bodyless(dialect, Resource::Terminal(&self.kernel)),
            now,
        )
    }

    /// Reads an answer other than 101: what the gateway says when it opens no terminal.
    #[must_use]
    pub fn refusal(&self, response: Response<Bytes>) -> Error {
        let (parts, body) = response.into_parts();
        GatewayError::new(parts.status, &parts.headers, &body).into()
    }
}

#[cfg(test)]
mod tests {
    use crate::ops::testing::{kernel, response};

    use super::*;

    #[test]
    fn a_refusal_keeps_the_gateway_s_words() {
        let gone = r#"{"type": "https://api.sorna.io/probs/kernel-not-found", "title": "No."}"#;
        let error = OpenTerminal::new(kernel()).refusal(response(404, gone));
        assert!(error.is_not_found());
        assert!(error.to_string().ends_with("No."));
    }
}
