//! Problem documents: how a gateway says no.

use std::error::Error as StdError;
use std::fmt;

use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};

use super::reply::to_json;
use crate::error::{AgentDetails, Problem};

/// Where the types of problems live.
const BASE: &str = "https://api.sorna.io/probs/";

macro_rules! kinds {
    ($($variant:ident = $status:ident, $name:literal, $title:literal;)*) => {
        /// A type of problem, with its status and title, as documented in the API manual of 2017.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ProblemKind {
            $(#[doc = concat!("`", $name, "`: ", $title)] $variant,)*
        }

        impl ProblemKind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The last segment of the type's URI.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The status it comes with.
            #[must_use]
            pub fn status(self) -> StatusCode {
                match self { $(Self::$variant => StatusCode::$status,)* }
            }

            fn title(self) -> &'static str {
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
    /// The refusal with its plain title.
    #[must_use]
    pub fn reply(self) -> ProblemReply {
        ProblemReply {
            kind: self,
            title: self.title().to_owned(),
            agent_details: None,
        }
    }

    /// The refusal with a detail, in parentheses behind the title as the original has it.
    #[must_use]
    pub fn reply_with(self, detail: &str) -> ProblemReply {
        ProblemReply {
            title: format!("{} ({detail})", self.title()),
            ..self.reply()
        }
    }
}

/// A refusal, ready to be sent.
#[derive(Clone, Debug)]
pub struct ProblemReply {
    kind: ProblemKind,
    title: String,
    agent_details: Option<Box<AgentDetails>>,
}

impl ProblemReply {
    /// Adds what the agent said: its problem type (`agent-failure`, `agent-timeout`,
    /// `agent-invalid-input`), words, and the exception as text.
    #[must_use]
    pub fn with_agent(mut self, kind: &str, title: &str, exception: Option<String>) -> Self {
        self.agent_details = Some(Box::new(AgentDetails {
            type_uri: Some(format!("{BASE}{kind}")),
            title: Some(title.to_owned()),
            exception,
            ..AgentDetails::default()
        }));
        self
    }

    /// The kind of problem.
    #[must_use]
    pub fn kind(&self) -> ProblemKind {
        self.kind
    }

    /// The words.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.title
    }

    /// The answer: status, `application/problem+json`, body.
    #[must_use]
    pub fn into_response(self) -> Response<Vec<u8>> {
        let body = to_json(&Problem {
            type_uri: format!("{BASE}{}", self.kind.name()),
            title: Some(self.title),
            agent_details: self.agent_details.map(|details| *details),
            ..Problem::default()
        });
        let mut response = Response::new(body);
        *response.status_mut() = self.kind.status();
        response.headers_mut().insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json; charset=utf-8"),
        );
        response
    }
}

impl fmt::Display for ProblemReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.name(), self.title)
    }
}

impl StdError for ProblemReply {}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::error::GatewayError;

    #[test]
    fn the_client_reads_back_every_kind() {
        for kind in ProblemKind::ALL {
            let reply = kind
                .reply_with("why")
                .with_agent("agent-failure", "x", Some("E()".into()));
            let (parts, body) = reply.into_response().into_parts();
            let error = GatewayError::new(
                crate::version::Dialect::SornaV2,
                parts.status,
                &parts.headers,
                &Bytes::from(body),
            );
            assert_eq!(error.kind(), Some(kind.name()));
            assert_eq!(error.status(), kind.status());
            let problem = error.problem().unwrap();
            assert!(problem.title.as_ref().unwrap().ends_with("(why)"));
            let agent = problem.agent_details.as_ref().unwrap();
            assert_eq!(agent.exception.as_deref(), Some("E()"));
        }
    }
}
