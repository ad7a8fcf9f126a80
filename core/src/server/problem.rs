//! Problem documents: error responses of a gateway.

use std::error::Error as StdError;
use std::fmt;

use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};

use super::reply::to_json;
use crate::error::{AgentDetails, Problem};
use crate::problem::ProblemKind;

/// One row for each kind: its variant, status and title.
macro_rules! replies {
    ($($variant:ident = $status:ident, $title:literal;)*) => {
        impl ProblemKind {
            /// The status that a gateway of Sorna v2 responds with. (Kinds of later gateways: their status
            /// there.)
            #[must_use]
            pub fn status(self) -> StatusCode {
                match self { $(Self::$variant => StatusCode::$status,)* }
            }

            /// What it means, in the text of the original gateway.
            #[must_use]
            pub fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }
        }
    };
}

replies! {
    InvalidAuthParams = BAD_REQUEST, "Missing or invalid authorization parameters.";
    InvalidApiParams = BAD_REQUEST, "Missing or invalid API parameters.";
    GenericBadRequest = BAD_REQUEST, "Bad request.";
    AuthFailed = UNAUTHORIZED, "Credential/signature mismatch.";
    GenericNotFound = NOT_FOUND, "Unknown URL path.";
    KernelNotFound = NOT_FOUND, "No such kernel.";
    InstanceNotFound = NOT_FOUND, "No such instance.";
    QuotaExceeded = PRECONDITION_FAILED, "You have reached your resource limit.";
    RateLimitExceeded = TOO_MANY_REQUESTS, "You have reached your API query rate limit.";
    InternalServerError = INTERNAL_SERVER_ERROR, "Internal server error.";
    KernelCreationFailed = INTERNAL_SERVER_ERROR, "Kernel creation has failed.";
    KernelDestructionFailed = INTERNAL_SERVER_ERROR, "Kernel destruction has failed.";
    KernelRestartFailed = INTERNAL_SERVER_ERROR, "Kernel restart has failed.";
    KernelExecutionFailed = INTERNAL_SERVER_ERROR, "Executing user code in the kernel has failed.";
    ServiceUnavailable = SERVICE_UNAVAILABLE, "Service unavailable.";
    NotImplemented = SERVICE_UNAVAILABLE, "This API query is not implemented.";
    InstanceNotAvailable = SERVICE_UNAVAILABLE, "There is no available instance.";
    GenericForbidden = FORBIDDEN, "Forbidden operation.";
    ObjectNotFound = NOT_FOUND, "No such object.";
    UrlNotFound = NOT_FOUND, "Unknown URL path.";
    MethodNotAllowed = METHOD_NOT_ALLOWED, "HTTP method not allowed.";
    SessionAlreadyExists = BAD_REQUEST, "The session already exists.";
    EntityNotFound = NOT_FOUND, "No such object.";
    InvalidSessionData = INTERNAL_SERVER_ERROR, "Invalid session data.";
    VfolderOperationFailed = BAD_REQUEST, "The file operation has failed.";
}

/// The URI prefix of the types of problems.
const BASE: &str = "https://api.sorna.io/probs/";

/// The URI of a type of problem.
fn type_uri(name: &str) -> String {
    format!("{BASE}{name}")
}

impl ProblemKind {
    /// The error response with only its title.
    #[must_use]
    pub fn reply(self) -> ProblemReply {
        ProblemReply {
            kind: self,
            title: self.title().to_owned(),
            agent_details: None,
        }
    }

    /// The error response with a detail, in parentheses after the title, as in the original gateway.
    #[must_use]
    pub fn reply_with(self, detail: &str) -> ProblemReply {
        ProblemReply {
            title: format!("{} ({detail})", self.title()),
            ..self.reply()
        }
    }
}

/// An error response, ready to be sent.
#[derive(Clone, Debug)]
pub struct ProblemReply {
    kind: ProblemKind,
    title: String,
    agent_details: Option<Box<AgentDetails>>,
}

impl ProblemReply {
    /// Adds what the agent reported: its problem type (`agent-failure`, `agent-timeout`,
    /// `agent-invalid-input`), a message, and the exception as text.
    #[must_use]
    pub fn with_agent(mut self, kind: &str, title: &str, exception: Option<String>) -> Self {
        self.agent_details = Some(Box::new(AgentDetails {
            type_uri: Some(type_uri(kind)),
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

    /// The title, with the detail if there is one.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.title
    }

    /// The response: status, `application/problem+json`, body.
    #[must_use]
    pub fn into_response(self) -> Response<Vec<u8>> {
        let body = to_json(&Problem {
            type_uri: type_uri(self.kind.name()),
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
            assert_eq!(error.kind(), Some(*kind));
            assert_eq!(error.status(), kind.status());
            assert!(kind.status().is_client_error() || kind.status().is_server_error());
            let problem = error.problem().unwrap();
            assert!(problem.title.as_ref().unwrap().ends_with("(why)"));
            let agent = problem.agent_details.as_ref().unwrap();
            assert_eq!(agent.exception.as_deref(), Some("E()"));
        }
    }
}
