//! `POST /session/{name}/interrupt`, or `POST /v2/kernel/{id}/interrupt`: interrupts what runs in a kernel.

use http::Method;

use super::operation::{Operation, Repeat, Success};
use super::{backend_ai, sorna_v2};
use crate::error::{BuildError, Error};
use crate::ident::KernelId;
use crate::unsigned::UnsignedRequest;
use crate::version::{ApiVersion, Dialect};

/// `POST /session/{name}/interrupt`, or `POST /v2/kernel/{id}/interrupt`: interrupts the program that runs in a kernel,
/// as Ctrl-C does.
///
/// In Backend.AI, observed on managers 23.09.10 and 26.9.6: succeeds also if nothing runs. The run ends by
/// itself, as [`Finished`](crate::ExecutionStatus::Finished), with exit code 1 and `KeyboardInterrupt` in
/// its standard error (26.9.6).
///
/// In Sorna v2 it is an extension of `sorna-gateway`, [`EXTENSION`](Self::EXTENSION), which does the same. The API of 2017
/// has no such request: the original gateway responds with 404 `generic-not-found`, as to any path that it does not know.
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
    /// The name of the extension that it needs in Sorna v2.
    pub const EXTENSION: &str = "interrupt";

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
            Dialect::SornaV2 => sorna_v2::to_kernel(Method::POST, &self.kernel, 10),
            Dialect::BackendAi => backend_ai::to_session(Method::POST, &self.kernel, 10),
        }
        .map(|request| request.segment("interrupt"))
    }

    fn read(&self, _: ApiVersion, success: &Success) -> Result<(), Error> {
        Ok(success.empty()?)
    }

    fn repeat(&self) -> Repeat {
        Repeat::IfUnsent
    }

    fn needs_own_connection(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{kernel, response, sent};
    use super::*;
    use crate::error::GatewayError;
    use crate::problem::ProblemKind;

    #[test]
    fn request_and_response() {
        let interrupt = Interrupt::new(kernel());
        for (version, target) in [
            (ApiVersion::default(), "POST /v2/kernel/k1/interrupt"),
            (ApiVersion::V9_20250722, "POST /session/k1/interrupt"),
        ] {
            let sent = sent(&interrupt, version);
            assert_eq!(sent, (target.to_owned(), String::new()));
            assert!(interrupt.read_response(version, response(204, "")).is_ok());
        }
    }

    #[test]
    fn gateways_without_the_request_are_told_from_those_without_the_kernel() {
        let interrupt = Interrupt::new(kernel());
        let error = |kind: &str| {
            let body =
                format!(r#"{{"type": "https://api.sorna.io/probs/{kind}", "title": "No."}}"#);
            let response = response(404, &body);
            interrupt
                .read_response(ApiVersion::default(), response)
                .unwrap_err()
        };
        for kind in [ProblemKind::GenericNotFound, ProblemKind::KernelNotFound] {
            let error = error(kind.name());
            assert_eq!(error.gateway().and_then(GatewayError::kind), Some(kind));
        }
    }
}
