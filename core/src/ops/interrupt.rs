//! `POST /session/{name}/interrupt`: interrupts what runs in a session.

use http::Method;

use super::backend_ai;
use super::operation::{Operation, Repeat, Success};
use crate::error::{BuildError, Error};
use crate::ident::KernelId;
use crate::unsigned::UnsignedRequest;
use crate::version::{ApiVersion, Dialect};

/// `POST /session/{name}/interrupt`: interrupts the program that runs in a kernel, as Ctrl-C does.
///
/// Of Backend.AI only. Observed on managers 23.09.10 and 26.9.6: succeeds also if nothing runs. The run ends by
/// itself, as [`Finished`](crate::ExecutionStatus::Finished), with exit code 1 and `KeyboardInterrupt` in
/// its standard error (26.9.6).
///
/// A machine does not repeat it if the gateway may have acted on it ([`Repeat::IfUnsent`]): the second would
/// interrupt what the program does to end in good order, or the next program.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Interrupt {
    /// The kernel.
    pub kernel: KernelId,
}

impl Interrupt {
    /// The operation.
    #[must_use]
    pub fn new(kernel: KernelId) -> Self {
        Self { kernel }
    }
}

impl Operation for Interrupt {
    type Output = ();

    fn prepare(&self, version: ApiVersion) -> Result<UnsignedRequest, BuildError> {
        match version.dialect() {
            Dialect::SornaV2 => Err(BuildError::Unsupported {
                what: "interrupting",
                version,
            }),
            Dialect::BackendAi => {
                Ok(backend_ai::to_session(Method::POST, &self.kernel, 0)?.segment("interrupt"))
            }
        }
    }

    fn read(&self, _: ApiVersion, success: &Success) -> Result<(), Error> {
        Ok(success.empty()?)
    }

    fn repeat(&self) -> Repeat {
        Repeat::IfUnsent
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{kernel, response, sent};
    use super::*;

    #[test]
    fn request_and_response() {
        let version = ApiVersion::V9_20250722;
        let interrupt = Interrupt::new(kernel());
        let target = "POST /session/k1/interrupt".to_owned();
        assert_eq!(sent(&interrupt, version), (target, String::new()));
        assert!(interrupt.prepare(ApiVersion::default()).is_err());
        assert!(interrupt.read_response(version, response(204, "")).is_ok());
    }
}
