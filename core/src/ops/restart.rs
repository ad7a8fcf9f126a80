//! `PATCH /v2/kernel/{id}`: drops the interpreter's state, keeps the files. (API manual of 2017, "Kernel
//! management".)

use http::Method;

use super::operation::{Operation, Repeat, Success};
use super::{backend_ai, sorna_v2};
use crate::error::{BuildError, Error};
use crate::ident::KernelId;
use crate::unsigned::UnsignedRequest;
use crate::version::{ApiVersion, Dialect};

/// `PATCH /v2/kernel/{id}`: restarts a kernel: drops the interpreter's state, and keeps the files.
///
/// A machine does not repeat it if the gateway may have acted on it ([`Repeat::IfUnsent`]): what ran since
/// would be lost. (API manual of 2017, "Kernel management".)
///
/// Managers of Backend.AI from 26.4 respond with 501 `not-implemented`: destroy the session and create it again.
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

    fn prepare(&self, version: ApiVersion) -> Result<UnsignedRequest, BuildError> {
        match version.dialect() {
            Dialect::SornaV2 => sorna_v2::to_kernel(Method::PATCH, &self.kernel, 0),
            Dialect::BackendAi => backend_ai::to_session(Method::PATCH, &self.kernel, 0),
        }
    }

    fn read(&self, _: ApiVersion, success: &Success) -> Result<(), Error> {
        Ok(success.empty()?)
    }

    /// A second restart would drop what was computed after the first.
    fn repeat(&self) -> Repeat {
        Repeat::IfUnsent
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{has_no_content, kernel};
    use super::*;

    #[test]
    fn request_and_response() {
        has_no_content(&Restart::new(kernel()), "PATCH");
    }
}
