//! `PATCH /v2/kernel/{id}`: drops the interpreter's state, keeps the files. (API manual of 2017, "Kernel
//! management".)

use super::{Operation, Repeat, Success};
use crate::dialect::Resource;
use crate::error::{BuildError, ParseError};
use crate::ident::KernelId;
use crate::signing::Unsigned;
use crate::version::ApiVersion;

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
    use super::super::testing::{kernel, tells_nothing};
    use super::*;

    #[test]
    fn request_and_response() {
        tells_nothing(&Restart::new(kernel()), "PATCH");
    }
}
