//! Responses.

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, HeaderValue, LOCATION};
use http::{Response, StatusCode};
use serde_json::{Value, json};

use sorna::with_causes;

/// An error response.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    status: StatusCode,
    message: String,
    /// In a few words, where clients show these.
    short: Option<String>,
    /// The methods that a path has.
    methods: Option<&'static str>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            short: None,
            methods: None,
        }
    }

    pub(super) fn with_short(mut self, short: impl Into<String>) -> Self {
        self.short = Some(short.into());
        self
    }

    pub(super) fn allowing(mut self, methods: &'static str) -> Self {
        self.methods = Some(methods);
        self
    }

    pub(super) fn is_not_found(&self) -> bool {
        self.status == StatusCode::NOT_FOUND
    }

    pub(super) fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    /// For an error of the gateway: `what` could not be done. Its client is here, so that only some of its statuses are those for
    /// clients.
    pub(super) fn of_gateway(error: &sorna::Error, what: &str) -> Self {
        let gateway = error.gateway();
        let status = match gateway.map(sorna::GatewayError::status) {
            Some(
                status @ (StatusCode::BAD_REQUEST
                | StatusCode::TOO_MANY_REQUESTS
                | StatusCode::SERVICE_UNAVAILABLE),
            ) => status,
            // A limit on kernels, or on what they take.
            Some(StatusCode::PRECONDITION_FAILED) => StatusCode::SERVICE_UNAVAILABLE,
            None if matches!(error, sorna::Error::Build(_)) => StatusCode::BAD_REQUEST,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        // Its own words, without those around them that say how the client has got them.
        let problem = gateway.and_then(sorna::GatewayError::problem);
        let problem = problem.filter(|problem| problem.agent_details.is_none());
        let words = problem.and_then(|problem| problem.message());
        let words = words.map_or_else(|| with_causes(error), str::to_owned);
        Self::new(status, format!("{what}: {words}"))
    }

    pub(super) fn message(&self) -> &str {
        &self.message
    }

    pub(super) fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    pub(super) fn into_response(self) -> Response<Bytes> {
        let reason = self.status.canonical_reason();
        let mut body = json!({"message": self.message, "reason": reason});
        if let Some(short) = self.short {
            body["short_message"] = json!(short);
        }
        let mut response = json(self.status, &body);
        if let Some(methods) = self.methods {
            let methods = HeaderValue::from_static(methods);
            response.headers_mut().insert(ALLOW, methods);
        }
        response
    }
}

pub(super) fn json(status: StatusCode, body: &Value) -> Response<Bytes> {
    with(status, "application/json", body.to_string())
}

pub(super) fn with(
    status: StatusCode,
    media_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<Bytes> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    if !response_is_empty(status) {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    }
    response
}

fn response_is_empty(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::NO_CONTENT | StatusCode::SWITCHING_PROTOCOLS
    )
}

pub(super) fn nothing() -> Response<Bytes> {
    with(StatusCode::NO_CONTENT, "", Bytes::new())
}

/// That something was made, and where it is.
pub(super) fn created(model: &Value, location: &str) -> Response<Bytes> {
    let mut response = json(StatusCode::CREATED, model);
    if let Ok(location) = HeaderValue::from_str(location) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}
