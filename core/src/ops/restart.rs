//! `PATCH /v2/kernel/{id}`: drops the interpreter's state, keeps the files. (API manual of 2017, "Kernel
//! management".)

use super::{Operation, Repeat, Success};
use crate::dialect::{ApiVersion, Resource};
use crate::error::{BuildError, ParseError};
use crate::ident::KernelId;
use crate::signing::Unsigned;

/// `PATCH /v2/kernel/{id}`: restarts a kernel: drops the interpreter's state, and keeps the files.
///
/// A machine does not repeat it if the gateway may have acted on it ([`Repeat::IfUnsent`]): what ran since
/// would be lost. (API manual of 2017, "Kernel management".)
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Restart {
    /// The kernel.
    pub kernel: KernelId,
}

impl Restart {
    /// The operation.
    #[must_use]
    pub fn new(kernel: KernelId) -> Self {
        Self { kernel }
    }
}

impl Operation for Restart {
    type Output = ();

    fn prepare(&self, version: ApiVersion) -> Result<Unsigned, BuildError> {
        Ok(Unsigned::bodyless(
            version.dialect(),
            Resource::Restart(&self.kernel),
        ))
    }

    fn read(&self, success: &Success) -> Result<(), ParseError> {
        success.nothing()
    }

    /// A second restart would drop what was computed after the first.
    fn repeat(&self) -> Repeat {
        Repeat::IfUnsent
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{kernel, response, signed};
    use super::*;
    use crate::error::Error;

    #[test]
    fn request_and_response() {
        let operation = Restart::new(kernel());
        let request = signed(&operation);
        assert_eq!(
            (request.method().as_str(), request.uri().path()),
            ("PATCH", "/v2/kernel/k1")
        );
        assert!(operation.response(response(204, "")).is_ok());
        // Later gateways say more.
        assert!(
            operation
                .response(response(200, r#"{"stats": {}}"#))
                .is_ok()
        );
        // Something else answered in the gateway's place.
        let page = operation.response(response(200, "<html>Log in first</html>"));
        assert!(matches!(page, Err(Error::Parse(_))));
        let gone = r#"{"type": "https://api.sorna.io/probs/kernel-not-found"}"#;
        assert!(
            operation
                .response(response(404, gone))
                .unwrap_err()
                .is_not_found()
        );
    }
}
