//! The kinds of problems that gateways report, in one table.

/// One row for each kind: its variant, its name, and a note on the dialects that have it, unless all do.
macro_rules! kinds {
    ($($variant:ident = $name:literal $(, $note:literal)?;)*) => {
        /// A kind of problem that gateways of any dialect report. Its name is the last segment of the URI in a
        /// problem document.
        ///
        /// The status that a kind comes with differs between dialects: see
        /// [`GatewayError::status`](crate::GatewayError::status).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ProblemKind {
            $(#[doc = concat!("`", $name, "`" $(, " (", $note, ")")?)] $variant,)*
        }

        impl ProblemKind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name: `kernel-not-found`.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

kinds! {
    InvalidAuthParams = "invalid-auth-params";
    InvalidApiParams = "invalid-api-params";
    GenericBadRequest = "generic-bad-request";
    AuthFailed = "auth-failed";
    GenericNotFound = "generic-not-found";
    KernelNotFound = "kernel-not-found";
    InstanceNotFound = "instance-not-found";
    QuotaExceeded = "quota-exceeded";
    RateLimitExceeded = "rate-limit-exceeded";
    InternalServerError = "internal-server-error";
    KernelCreationFailed = "kernel-creation-failed";
    KernelDestructionFailed = "kernel-destruction-failed";
    KernelRestartFailed = "kernel-restart-failed";
    KernelExecutionFailed = "kernel-execution-failed";
    ServiceUnavailable = "service-unavailable";
    NotImplemented = "not-implemented";
    InstanceNotAvailable = "instance-not-available";
    GenericForbidden = "generic-forbidden", "later gateways";
    ObjectNotFound = "object-not-found", "later gateways";
    UrlNotFound = "url-not-found", "later gateways";
    MethodNotAllowed = "method-not-allowed", "later gateways";
    SessionAlreadyExists = "session-already-exists", "later gateways";
    EntityNotFound = "entity-not-found", "Backend.AI 26";
    InvalidSessionData = "invalid-session-data", "Backend.AI 26";
    KernelBusy = "kernel-busy", "`sorna-gateway`";
    RunTakenOver = "run-taken-over", "`sorna-gateway`";
    NothingToAttach = "nothing-to-attach", "`sorna-gateway`";
    VfolderOperationFailed = "vfolder-operation-failed", "Backend.AI 26";
}

impl ProblemKind {
    /// The kind of this name; `None` if this crate does not know it.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_belongs_to_one_kind() {
        for kind in ProblemKind::ALL {
            assert_eq!(ProblemKind::from_name(kind.name()), Some(*kind));
        }
        let later = ProblemKind::from_name("object-not-found");
        assert_eq!(later, Some(ProblemKind::ObjectNotFound));
        assert_eq!(ProblemKind::from_name("kernel-on-fire"), None);
    }
}
