//! The kinds of problems that gateways report, in one table.

use http::StatusCode;

/// Where the types of problems live.
#[cfg(feature = "server")]
const BASE: &str = "https://api.sorna.io/probs/";

/// One row for each kind: its variant, status, name and title.
macro_rules! kinds {
    ($($variant:ident = $status:ident, $name:literal, $title:literal;)*) => {
        /// A kind of problem that gateways report, as documented in the API manual of 2017. Its name is the
        /// last segment of the URI in a problem document.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ProblemKind {
            $(#[doc = concat!("`", $name, "`: ", $title)] $variant,)*
        }

        impl ProblemKind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name: `kernel-not-found`.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The status it comes with.
            #[must_use]
            pub fn status(self) -> StatusCode {
                match self { $(Self::$variant => StatusCode::$status,)* }
            }

            /// What it means, as the original gateway puts it.
            #[must_use]
            pub fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }
        }
    };
}

kinds! {
    InvalidAuthParams = BAD_REQUEST, "invalid-auth-params", "Missing or invalid authorization parameters.";
    InvalidApiParams = BAD_REQUEST, "invalid-api-params", "Missing or invalid API parameters.";
    GenericBadRequest = BAD_REQUEST, "generic-bad-request", "Bad request.";
    AuthFailed = UNAUTHORIZED, "auth-failed", "Credential/signature mismatch.";
    GenericNotFound = NOT_FOUND, "generic-not-found", "Unknown URL path.";
    KernelNotFound = NOT_FOUND, "kernel-not-found", "No such kernel.";
    InstanceNotFound = NOT_FOUND, "instance-not-found", "No such instance.";
    QuotaExceeded = PRECONDITION_FAILED, "quota-exceeded", "You have reached your resource limit.";
    RateLimitExceeded = TOO_MANY_REQUESTS, "rate-limit-exceeded", "You have reached your API query rate limit.";
    InternalServerError = INTERNAL_SERVER_ERROR, "internal-server-error", "Internal server error.";
    KernelCreationFailed = INTERNAL_SERVER_ERROR, "kernel-creation-failed", "Kernel creation has failed.";
    KernelDestructionFailed = INTERNAL_SERVER_ERROR, "kernel-destruction-failed", "Kernel destruction has failed.";
    KernelRestartFailed = INTERNAL_SERVER_ERROR, "kernel-restart-failed", "Kernel restart has failed.";
    KernelExecutionFailed = INTERNAL_SERVER_ERROR, "kernel-execution-failed", "Executing user code in the kernel has failed.";
    ServiceUnavailable = SERVICE_UNAVAILABLE, "service-unavailable", "Service unavailable.";
    NotImplemented = SERVICE_UNAVAILABLE, "not-implemented", "This API query is not implemented.";
    InstanceNotAvailable = SERVICE_UNAVAILABLE, "instance-not-available", "There is no available instance.";
}

impl ProblemKind {
    /// The kind of this name; `None` if this crate does not know it.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }
}

/// The URI of a type of problem.
#[cfg(feature = "server")]
pub(crate) fn type_uri(name: &str) -> String {
    format!("{BASE}{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_that_of_one_kind() {
        for kind in ProblemKind::ALL {
            assert_eq!(ProblemKind::from_name(kind.name()), Some(*kind));
            assert!(kind.status().is_client_error() || kind.status().is_server_error());
        }
        assert_eq!(ProblemKind::from_name("kernel-on-fire"), None);
    }
}
