//! `DELETE /v2/kernel/{id}`: ends a kernel and discards its files. (API manual of 2017, "Kernel
//! management".)

use http::Method;

use super::operation::{Operation, Success};
use super::{backend_ai, sorna_v2};
use crate::error::{BuildError, Error, GatewayError};
use crate::ident::KernelId;
use crate::problem::ProblemKind;
use crate::unsigned::UnsignedRequest;
use crate::version::{ApiVersion, Dialect};

/// `DELETE /v2/kernel/{id}`: ends a kernel and discards its files.
///
/// A kernel that does not exist is an error response with
/// [`Error::is_not_found`](crate::Error::is_not_found); a [`Call`](crate::machine::Call) whose
/// earlier attempt may have destroyed it counts that as a success. (API manual of 2017, "Kernel
/// management".)
///
/// Gateway 0.9.11 responds up to 22 ms before the kernel is gone, manager 26.9.6 of Backend.AI about 3 s.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Destroy {
    /// The kernel.
    pub kernel: KernelId,
    /// Whether it is destroyed whatever its state. Of Backend.AI only.
    pub forced: bool,
}

impl Destroy {
    /// The operation.
    #[must_use]
    pub fn new(kernel: KernelId) -> Self {
        Self {
            kernel,
            forced: false,
        }
    }

    /// Destroys a session of Backend.AI whatever its state, also one that its manager would not destroy because it is
    /// being prepared, or has failed. Nothing is asked of the agent that lost it.
    #[must_use]
    pub fn with_force(mut self) -> Self {
        self.forced = true;
        self
    }

    /// Whether this error response to a destroy says that there is no such kernel (any more), so that there is
    /// nothing left to destroy.
    #[must_use]
    pub fn is_gone(version: ApiVersion, error: &GatewayError) -> bool {
        match version.dialect() {
            Dialect::SornaV2 => error.is_not_found(),
            Dialect::BackendAi => {
                error.is_session_missing()
                    // Manager 23.09.10, of a session that is being destroyed.
                    || error.kind() == Some(ProblemKind::GenericForbidden)
            }
        }
    }
}

impl Operation for Destroy {
    type Output = ();

    fn prepare(&self, version: ApiVersion) -> Result<UnsignedRequest, BuildError> {
        match version.dialect() {
            Dialect::SornaV2 if self.forced => Err(BuildError::Unsupported {
                what: "destroying by force",
                version,
            }),
            Dialect::SornaV2 => sorna_v2::to_kernel(Method::DELETE, &self.kernel, 0),
            Dialect::BackendAi => {
                let request = backend_ai::to_session(Method::DELETE, &self.kernel, 0)?;
                Ok(match self.forced {
                    true => request.query("forced", "true"),
                    false => request,
                })
            }
        }
    }

    fn read(&self, _: ApiVersion, success: &Success) -> Result<(), Error> {
        Ok(success.empty()?)
    }

    /// The first attempt destroyed it.
    fn success_on_retry(&self, version: ApiVersion, error: &GatewayError) -> Option<()> {
        Self::is_gone(version, error).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{has_no_content, kernel, response};
    use super::*;

    #[test]
    fn request_and_response() {
        has_no_content(&Destroy::new(kernel()), "DELETE");
    }

    #[test]
    fn of_backend_ai_it_may_be_forced() {
        let forced = Destroy::new(kernel()).with_force();
        let request = forced.prepare(ApiVersion::V9_20250722).unwrap();
        assert_eq!(request.path(), format!("/session/{}?forced=true", kernel()));
        assert_eq!(
            forced
                .prepare(ApiVersion::V2_20170315)
                .unwrap_err()
                .to_string(),
            "version v2.20170315 of the API does not support destroying by force"
        );
    }

    #[test]
    fn of_backend_ai_a_path_that_is_unknown_does_not_mean_gone() {
        for (status, kind, gone) in [
            (404, "object-not-found", true),
            (404, "entity-not-found", true),
            (404, "url-not-found", false),
            (403, "generic-forbidden", true),
            (500, "internal-server-error", false),
        ] {
            let version = ApiVersion::V7_20230615;
            let body = format!(r#"{{"type": "https://api.backend.ai/probs/{kind}"}}"#);
            let error = Destroy::new(kernel())
                .read_response(version, response(status, &body))
                .unwrap_err();
            let error = error.gateway().unwrap();
            assert_eq!(Destroy::is_gone(version, error), gone, "{kind}");
        }
    }

    #[test]
    fn only_not_found_means_gone() {
        for (status, gone) in [(404, true), (403, false), (500, false)] {
            let version = ApiVersion::default();
            let destroy = Destroy::new(kernel());
            let error = destroy
                .read_response(version, response(status, ""))
                .unwrap_err();
            let error = error.gateway().unwrap();
            assert_eq!(Destroy::is_gone(version, error), gone, "{status}");
            let done = destroy.success_on_retry(version, error);
            assert_eq!(done.is_some(), gone, "{status}");
        }
    }
}
