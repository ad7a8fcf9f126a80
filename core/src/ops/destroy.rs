//! `DELETE /v2/kernel/{id}`: ends a kernel and discards its files. (API manual of 2017, "Kernel
//! management".)

use super::{Operation, Success};
use crate::dialect::{ApiVersion, Resource};
use crate::error::{BuildError, GatewayError, ParseError};
use crate::ident::KernelId;
use crate::signing::Unsigned;

/// `DELETE /v2/kernel/{id}`: ends a kernel and discards its files.
///
/// A kernel that does not exist is a refusal with
/// [`Error::is_not_found`](crate::Error::is_not_found); a [`Call`](crate::machine::Call) whose earlier try may
/// have destroyed it takes that for success. (API manual of 2017, "Kernel management".)
///
/// Gateway 0.9.11 answers up to 22 ms before the kernel is gone.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Destroy {
    /// The kernel.
    pub kernel: KernelId,
}

impl Destroy {
    /// The operation.
    #[must_use]
    pub fn new(kernel: KernelId) -> Self {
        Self { kernel }
    }
}

impl Operation for Destroy {
    type Output = ();

    fn prepare(&self, version: ApiVersion) -> Result<Unsigned, BuildError> {
        Ok(Unsigned::bodyless(
            version.dialect(),
            Resource::Destroy(&self.kernel),
        ))
    }

    fn read(&self, success: &Success) -> Result<(), ParseError> {
        success.nothing()
    }

    /// The first try did it.
    fn done_after_retry(&self, refusal: &GatewayError) -> Option<()> {
        refusal.is_not_found().then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{kernel, response, signed};
    use super::*;
    use crate::error::Error;

    #[test]
    fn request_and_response() {
        let operation = Destroy::new(kernel());
        let request = signed(&operation);
        assert_eq!(
            (request.method().as_str(), request.uri().path()),
            ("DELETE", "/v2/kernel/k1")
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
