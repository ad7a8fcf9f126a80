//! Problem documents: error responses of a gateway.

use std::error::Error as StdError;
use std::fmt;

use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};
use serde_json::Value;

use super::reply::to_json;
use crate::error::{AgentDetails, Problem};
use crate::problem::ProblemKind;
use crate::version::Dialect;

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
    MethodNotAllowed = METHOD_NOT_ALLOWED, "HTTP Method not allowed.";
    SessionAlreadyExists = BAD_REQUEST, "The session already exists but you requested not to reuse existing one.";
    EntityNotFound = NOT_FOUND, "Entity not found.";
    InvalidSessionData = INTERNAL_SERVER_ERROR, "Session data has an invalid type or format.";
    KernelBusy = CONFLICT, "The kernel is busy.";
    RunTakenOver = CONFLICT, "Another client has taken the execution over.";
    NothingToAttach = CONFLICT, "There is nothing to attach to: nothing runs, and all output has been received.";
    VfolderOperationFailed = BAD_REQUEST, "Virtual folder operation has failed due to bad request.";
}

/// The URI of a type of problem.
fn type_uri(dialect: Dialect, name: &str) -> String {
    let base = match dialect {
        Dialect::SornaV2 => "https://api.sorna.io/probs/",
        Dialect::BackendAi => "https://api.backend.ai/probs/",
    };
    format!("{base}{name}")
}

/// What a kind of Sorna v2 is called in Backend.AI.
fn in_backend_ai(kind: ProblemKind) -> ProblemKind {
    match kind {
        ProblemKind::GenericNotFound => ProblemKind::UrlNotFound,
        ProblemKind::KernelNotFound => ProblemKind::ObjectNotFound,
        kind => kind,
    }
}

/// The code that manager 26.9.6 sends with a kind of problem, where a reply does not say another.
fn error_code(kind: ProblemKind) -> &'static str {
    match kind {
        ProblemKind::AuthFailed => "user_auth_unauthorized",
        ProblemKind::InvalidAuthParams => "user_auth_invalid-parameters",
        ProblemKind::InvalidApiParams => "api_generic_invalid-parameters",
        ProblemKind::GenericBadRequest => "backendai_generic_bad-request",
        ProblemKind::EntityNotFound | ProblemKind::ObjectNotFound | ProblemKind::KernelNotFound => {
            "session_read_not-found"
        }
        ProblemKind::SessionAlreadyExists => "session_create_already-exists",
        ProblemKind::UrlNotFound | ProblemKind::GenericNotFound => "api_read_not-found",
        ProblemKind::MethodNotAllowed => "api_access_forbidden",
        ProblemKind::InvalidSessionData => "session_read_invalid-data-format",
        ProblemKind::NotImplemented => "api_generic_not-implemented",
        ProblemKind::RateLimitExceeded | ProblemKind::ServiceUnavailable => {
            "api_access_unavailable"
        }
        ProblemKind::VfolderOperationFailed => "vfolder_generic_bad-request",
        ProblemKind::KernelCreationFailed => "kernel_create_internal-error",
        ProblemKind::KernelRestartFailed => "kernel_restart_internal-error",
        ProblemKind::KernelExecutionFailed => "kernel_execute_internal-error",
        ProblemKind::KernelBusy | ProblemKind::RunTakenOver | ProblemKind::NothingToAttach => {
            "kernel_execute_conflict"
        }
        _ => "backendai_generic_internal-error",
    }
}

impl ProblemKind {
    /// Whether it is an extension of `sorna-gateway`, which has `data` in all dialects.
    fn is_of_executions(self) -> bool {
        matches!(
            self,
            Self::KernelBusy | Self::RunTakenOver | Self::NothingToAttach
        )
    }

    /// The error response with only its title.
    #[must_use]
    pub fn reply(self) -> ProblemReply {
        ProblemReply {
            kind: self,
            title: self.title().to_owned(),
            own_title: None,
            detail: None,
            data: None,
            error_code: None,
            agent_details: None,
        }
    }

    /// The error response with a detail: in Sorna v2 in parentheses after the title, as in the original
    /// gateway; in Backend.AI as its `msg`.
    #[must_use]
    pub fn reply_with(self, detail: &str) -> ProblemReply {
        ProblemReply {
            title: format!("{} ({detail})", self.title()),
            detail: Some(detail.to_owned()),
            ..self.reply()
        }
    }
}

/// An error response, ready to be sent.
#[derive(Clone, Debug)]
pub struct ProblemReply {
    kind: ProblemKind,
    title: String,
    own_title: Option<&'static str>,
    detail: Option<String>,
    data: Option<Box<Value>>,
    error_code: Option<&'static str>,
    /// The type in it is a name, without the base of its URI.
    agent_details: Option<Box<AgentDetails>>,
}

impl ProblemReply {
    /// Sets the title that Backend.AI has for this case, where it has several for the kind.
    #[must_use]
    pub fn with_title(mut self, title: &'static str) -> Self {
        self.own_title = Some(title);
        self
    }

    /// Sets the `error_code` of Backend.AI, where the kind does not determine it.
    #[must_use]
    pub fn with_error_code(mut self, code: &'static str) -> Self {
        self.error_code = Some(code);
        self
    }

    /// Adds `data`, which only Backend.AI has, and in both dialects what is an extension.
    #[must_use]
    pub fn with_data(mut self, data: Value) -> Self {
        self.data = Some(Box::new(data));
        self
    }

    /// Adds what the agent reported: its problem type (`agent-failure`, `agent-timeout`,
    /// `agent-invalid-input`), a message, and the exception as text.
    #[must_use]
    pub fn with_agent(mut self, kind: &str, title: &str, exception: Option<String>) -> Self {
        self.agent_details = Some(Box::new(AgentDetails {
            type_uri: Some(kind.to_owned()),
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

    /// The detail, as it was [given](ProblemKind::reply_with).
    #[must_use]
    pub fn detail(&self) -> Option<&str> {
        self.detail.as_deref()
    }

    /// The response of Sorna v2: status, `application/problem+json`, body.
    #[must_use]
    pub fn into_response(self) -> Response<Vec<u8>> {
        self.into_response_in(Dialect::SornaV2)
    }

    /// The response in a dialect: status, `application/problem+json`, body.
    #[must_use]
    pub fn into_response_in(self, dialect: Dialect) -> Response<Vec<u8>> {
        let (kind, status) = match (dialect, self.kind) {
            // Observed on manager 26.9.6.
            (Dialect::BackendAi, kind @ ProblemKind::NotImplemented) => {
                (kind, StatusCode::NOT_IMPLEMENTED)
            }
            (Dialect::BackendAi, kind) => (in_backend_ai(kind), kind.status()),
            (Dialect::SornaV2, kind) => (kind, kind.status()),
        };
        let mut problem = Problem {
            type_uri: type_uri(dialect, kind.name()),
            agent_details: self.agent_details.map(|mut details| {
                details.type_uri = details.type_uri.map(|name| type_uri(dialect, &name));
                *details
            }),
            ..Problem::default()
        };
        match dialect {
            Dialect::SornaV2 => {
                problem.title = Some(self.title);
                if let Some(data) = self.data.filter(|_| self.kind.is_of_executions()) {
                    problem.extra.insert("data".to_owned(), *data);
                }
            }
            Dialect::BackendAi => {
                problem.title = Some(self.own_title.unwrap_or(kind.title()).to_owned());
                let code = self.error_code.unwrap_or_else(|| error_code(self.kind));
                problem.extra.insert("error_code".to_owned(), code.into());
                if let Some(detail) = self.detail {
                    problem.extra.insert("msg".to_owned(), detail.into());
                }
                if let Some(data) = self.data {
                    problem.extra.insert("data".to_owned(), *data);
                }
            }
        }
        let mut response = Response::new(to_json(&problem));
        *response.status_mut() = status;
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
            let uri = agent.type_uri.as_deref();
            assert_eq!(uri, Some("https://api.sorna.io/probs/agent-failure"));
        }
    }

    fn in_backend_ai(reply: ProblemReply) -> (u16, String) {
        let (parts, body) = reply.into_response_in(Dialect::BackendAi).into_parts();
        (parts.status.as_u16(), String::from_utf8(body).unwrap())
    }

    #[test]
    fn backend_ai_has_codes_messages_and_data() {
        // Recorded on manager 26.9.6, whose members come in another order.
        let (status, body) =
            in_backend_ai(ProblemKind::AuthFailed.reply_with("HMAC signature mismatch"));
        assert_eq!(
            (status, body.as_str()),
            (
                401,
                r#"{"type":"https://api.backend.ai/probs/auth-failed","title":"Credential/signature mismatch.","error_code":"user_auth_unauthorized","msg":"HMAC signature mismatch"}"#
            )
        );
        let reply = ProblemKind::UrlNotFound.reply().with_data("/v2".into());
        assert_eq!(
            in_backend_ai(reply).1,
            r#"{"type":"https://api.backend.ai/probs/url-not-found","title":"Unknown URL path.","data":"/v2","error_code":"api_read_not-found"}"#
        );
        let reply = ProblemKind::KernelNotFound
            .reply()
            .with_title("No such session.");
        assert_eq!(
            in_backend_ai(reply).1,
            r#"{"type":"https://api.backend.ai/probs/object-not-found","title":"No such session.","error_code":"session_read_not-found"}"#
        );
        assert_eq!(in_backend_ai(ProblemKind::NotImplemented.reply()).0, 501);
        let reply = ProblemKind::KernelExecutionFailed.reply();
        let (status, body) = in_backend_ai(reply.with_agent("agent-timeout", "late", None));
        assert_eq!(status, 500);
        assert!(
            body.contains("https://api.backend.ai/probs/agent-timeout"),
            "{body}"
        );
    }
}
