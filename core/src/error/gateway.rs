//! Error responses of a gateway.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::header::{DATE, LOCATION, RETRY_AFTER};
use http::{HeaderMap, StatusCode, Uri};
use serde::Deserialize;
use serde_json::Value;

use super::busy::Busy;
use super::document::Problem;
use super::not_stored::NotStored;
use super::parse::excerpt;
use crate::json;
use crate::problem::ProblemKind;
use crate::rate_limit::RateLimit;
use crate::version::Dialect;

/// A response with a status other than success, or with a success that reports a failure, kept whole.
///
/// The documented form is a problem document (RFC 9457, once RFC 7807); a proxy in between may
/// respond with anything else. The kinds of problems of the API manual of
/// 2017, and the predicates for them:
///
/// | status | [`kind_name`](Self::kind_name) | |
/// |---|---|---|
/// | 400 | `invalid-auth-params` | [`is_clock_skew`](Self::is_clock_skew) if it is about the date |
/// | 400 | `invalid-api-params`, `generic-bad-request` | |
/// | 401 | `auth-failed` | [`is_auth`](Self::is_auth) |
/// | 404 | `generic-not-found`, `kernel-not-found`, `instance-not-found` | [`is_not_found`](Self::is_not_found) |
/// | 409 | `kernel-busy`, of `sorna-gateway` only | [`busy`](Self::busy) |
/// | 409 | `run-taken-over`, of `sorna-gateway` only | [`is_taken_over`](Self::is_taken_over) |
/// | 409 | `nothing-to-attach`, of `sorna-gateway` only | [`is_nothing_to_attach`](Self::is_nothing_to_attach) |
/// | 412 | `quota-exceeded` | [`is_quota_exceeded`](Self::is_quota_exceeded) |
/// | 429 | `rate-limit-exceeded` | [`is_rate_limited`](Self::is_rate_limited) |
/// | 500 | `kernel-creation-failed` | [`is_creation_failed`](Self::is_creation_failed) |
/// | 500 | `internal-server-error`, `kernel-destruction-failed`, `kernel-restart-failed`, `kernel-execution-failed` | often with [`AgentDetails`](super::AgentDetails) |
/// | 503 | `service-unavailable`, `instance-not-available` | [`is_unavailable`](Self::is_unavailable), [`was_rejected_before_execution`](Self::was_rejected_before_execution) |
/// | 503 | `not-implemented` | [`is_unsupported`](Self::is_unsupported) |
///
/// Those of Backend.AI (observed on managers 23.09.10 and 26.9.6), where they differ:
///
/// | status | [`kind_name`](Self::kind_name) | |
/// |---|---|---|
/// | 400 | `invalid-api-params`; from 26 `generic-bad-request` for missing or malformed fields | |
/// | 400 | `session-already-exists`, `vfolder-operation-failed` | |
/// | 403 | `generic-forbidden` | [`is_forbidden`](Self::is_forbidden) |
/// | 404 | `object-not-found`, `entity-not-found`, `url-not-found` | [`is_not_found`](Self::is_not_found) |
/// | 405 | `method-not-allowed` | |
/// | 500 | `invalid-session-data` (26): a mistake in the request, such as a continuation without a run ID | |
/// | 501 | `not-implemented` | [`is_unsupported`](Self::is_unsupported) |
/// | 200 | none: a GraphQL query with errors, a directory that cannot be listed | [`ErrorBody::Reported`] |
/// | 204 | none: an upload of a file that is not there afterwards | [`ErrorBody::NotStored`] |
///
/// Observed on gateway 0.9.11: after its start it responds with 503 `service-unavailable` for about 6 s;
/// error responses have no headers of the rate limit; and some failures are HTTP/1.0 pages of plain text.
#[derive(Clone)]
pub struct GatewayError {
    status: StatusCode,
    error_body: ErrorBody,
    body: Bytes,
    retry_after: Option<Duration>,
    date: Option<String>,
    redirect: Option<String>,
    /// Whether it is the response to a creation.
    is_of_creation: bool,
}

/// The body is cut: `main` shows errors in this form.
impl fmt::Debug for GatewayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GatewayError")
            .field("status", &self.status)
            .field("error_body", &self.error_body)
            .field("body", &excerpt(&self.body))
            .field("retry_after", &self.retry_after)
            .field("date", &self.date)
            .field("redirect", &self.redirect)
            .field("is_of_creation", &self.is_of_creation)
            .finish()
    }
}

/// The body of an error response, as far as it could be understood.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ErrorBody {
    /// The documented form.
    Problem(Problem),
    /// A failure that came with a status of success.
    #[non_exhaustive]
    Reported {
        /// What failed, in the words of this crate: `the gateway rejected the query`.
        what: &'static str,
        /// Why, as the gateway puts it: at least one text, and more only of a GraphQL query.
        messages: Vec<String>,
    },
    /// A success of an upload that did not store the file.
    NotStored(NotStored),
    /// JSON of another form.
    Json(Value),
    /// Anything else, or nothing; see [`GatewayError::body`].
    Raw,
}

impl GatewayError {
    /// Keeps an error response.
    pub(crate) fn new(
        dialect: Dialect,
        status: StatusCode,
        headers: &HeaderMap,
        body: &Bytes,
    ) -> Self {
        let error_body = match json::from_slice::<Value>(body) {
            Ok(value) => match Problem::deserialize(&value) {
                Ok(problem) => ErrorBody::Problem(problem),
                Err(_) => ErrorBody::Json(value),
            },
            Err(_) => ErrorBody::Raw,
        };
        let seconds = headers
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.trim().parse().ok());
        // Backend.AI sends the time until the window ends with every response. Only one that was rejected for
        // the limit has to wait for it.
        let names_wait = dialect == Dialect::SornaV2 || status == StatusCode::TOO_MANY_REQUESTS;
        let window = RateLimit::wait(dialect, headers).filter(|_| names_wait);
        Self {
            status,
            error_body,
            body: body.clone(),
            retry_after: seconds.map(Duration::from_secs).or(window),
            date: headers
                .get(DATE)
                .and_then(|date| date.to_str().ok())
                .map(str::to_owned),
            redirect: redirect(status, headers),
            is_of_creation: false,
        }
    }

    /// The response to the creation of a kernel.
    pub(crate) fn of_creation(mut self) -> Self {
        self.is_of_creation = true;
        self
    }

    /// Keeps a response that reports a failure though its status says success: what failed, and why (at least one
    /// text).
    pub(crate) fn reported(
        status: StatusCode,
        body: &Bytes,
        what: &'static str,
        messages: Vec<String>,
    ) -> Self {
        Self {
            status,
            error_body: ErrorBody::Reported { what, messages },
            body: body.clone(),
            retry_after: None,
            date: None,
            redirect: None,
            is_of_creation: false,
        }
    }

    /// Keeps what is known of a file that an upload did not store though the response had this status.
    pub(crate) fn not_stored(status: StatusCode, reason: NotStored) -> Self {
        Self {
            status,
            error_body: ErrorBody::NotStored(reason),
            body: Bytes::new(),
            retry_after: None,
            date: None,
            redirect: None,
            is_of_creation: false,
        }
    }

    /// The response's status: a success only if the failure was [reported](ErrorBody::Reported) with one,
    /// or not reported at all ([`ErrorBody::NotStored`]).
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The body, as far as it was understood.
    #[must_use]
    pub fn error_body(&self) -> &ErrorBody {
        &self.error_body
    }

    /// The problem document, if the body was one.
    #[must_use]
    pub fn problem(&self) -> Option<&Problem> {
        match &self.error_body {
            ErrorBody::Problem(problem) => Some(problem),
            _ => None,
        }
    }

    /// The body as received.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The kind of problem, if the body was a problem document of a kind that this crate knows.
    #[must_use]
    pub fn kind(&self) -> Option<ProblemKind> {
        self.problem().and_then(Problem::kind)
    }

    /// The name of the kind of problem (`kernel-not-found`), known or not, if the body was a problem
    /// document.
    #[must_use]
    pub fn kind_name(&self) -> Option<&str> {
        self.problem().map(Problem::kind_name)
    }

    /// What happened, as the gateway puts it, if the body was a problem document that says so:
    /// [`Problem::message`]. Of a [reported](ErrorBody::Reported) failure with several messages, it is the first.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        match &self.error_body {
            ErrorBody::Problem(problem) => problem.message(),
            ErrorBody::Reported { messages, .. } => messages.first().map(String::as_str),
            ErrorBody::NotStored(_) | ErrorBody::Json(_) | ErrorBody::Raw => None,
        }
    }

    /// The code of the error, if the body was a problem document that has one: [`Problem::error_code`].
    #[must_use]
    pub fn error_code(&self) -> Option<&str> {
        self.problem().and_then(Problem::error_code)
    }

    /// More about the problem, if the body was a problem document that has it: [`Problem::data`].
    #[must_use]
    pub fn data(&self) -> Option<&Value> {
        self.problem().and_then(Problem::data)
    }

    /// Adds what earlier responses said about the rate limit, if this one says nothing.
    pub(crate) fn with_known_wait(mut self, wait: Option<Duration>) -> Self {
        self.retry_after = self.retry_after.or(wait);
        self
    }

    /// How long the gateway asks to wait before the next request: from `Retry-After` (in seconds),
    /// `X-Retry-After` or `X-RateLimit-Reset` (in ms). A 429 of the original gateway
    /// has none of these; a machine then adds what an earlier response said about the rate limit's window.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The response's `Date` header: a hint at the gateway's clock, but do not set a clock by it (the original
    /// gateway's was seen to be off by a minute and more).
    #[must_use]
    pub fn gateway_date(&self) -> Option<&str> {
        self.date.as_deref()
    }

    /// The origin that a redirect (301, 302, 303, 307 or 308) names, such as `https://api.example.com`: the scheme, host
    /// and port of an absolute URL in its `Location`. No redirect is followed, since requests are signed for one host.
    /// If it is another origin than that of the endpoint, the endpoint may have to be changed.
    #[must_use]
    pub fn redirect_origin(&self) -> Option<&str> {
        self.redirect.as_deref()
    }

    /// 401: the access key is unknown, or the secret does not belong to it. Check both keys, and
    /// that they belong to this endpoint.
    #[must_use]
    pub fn is_auth(&self) -> bool {
        self.status == StatusCode::UNAUTHORIZED
    }

    /// 403: these keys are valid, but may not do this.
    ///
    /// Manager 23.09.10 also responds so to the destruction of a session that is being destroyed:
    /// [`Destroy::is_gone`](crate::Destroy::is_gone).
    #[must_use]
    pub fn is_forbidden(&self) -> bool {
        self.status == StatusCode::FORBIDDEN
    }

    /// The gateway does not do this at all: `not-implemented`, which is a 503 in Sorna v2 and a 501 in Backend.AI, or
    /// any other 501. Trying again does not help.
    ///
    /// Observed on manager 26.9.6 for a [`Restart`](crate::Restart).
    #[must_use]
    pub fn is_unsupported(&self) -> bool {
        self.kind() == Some(ProblemKind::NotImplemented)
            || self.status == StatusCode::NOT_IMPLEMENTED
    }

    /// The gateway rejected the date of the request: this machine's clock is likely more than 15 minutes
    /// off. Set it.
    #[must_use]
    pub fn is_clock_skew(&self) -> bool {
        self.status == StatusCode::BAD_REQUEST
            && self.kind() == Some(ProblemKind::InvalidAuthParams)
            && self.problem().is_some_and(Problem::is_about_date)
    }

    /// 404: what the request names does not exist. Of a request to a kernel: the kernel is gone; create it
    /// again.
    ///
    /// In Backend.AI a session is `object-not-found` or, from 26, `entity-not-found` if it is asked for by name.
    /// Creating one is a 404, too, if the manager does not know the image, or (26.9.6) if the session could not
    /// be started. `url-not-found` is about the path: the endpoint speaks another dialect.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.status == StatusCode::NOT_FOUND
    }

    /// 404 about a session of Backend.AI, or what it needs, and not about the path of the request.
    pub(crate) fn is_session_missing(&self) -> bool {
        let kinds = [ProblemKind::ObjectNotFound, ProblemKind::EntityNotFound];
        self.is_not_found() && self.kind().is_some_and(|kind| kinds.contains(&kind))
    }

    /// 409 `run-taken-over` of the gateway in `sorna-gateway`: another client has [attached](crate::RunMark::of_attached) to
    /// the execution, and gets the rest of its output.
    #[must_use]
    pub fn is_taken_over(&self) -> bool {
        self.kind() == Some(ProblemKind::RunTakenOver)
    }

    /// 409 `nothing-to-attach` of the gateway in `sorna-gateway`: nothing runs in the kernel, and clients have received all
    /// output and the end of what ran last, if anything did.
    #[must_use]
    pub fn is_nothing_to_attach(&self) -> bool {
        self.kind() == Some(ProblemKind::NothingToAttach)
    }

    /// 409 `kernel-busy` of the gateway in `sorna-gateway`, for [marked](crate::Execute::with_mark) executions: nothing was
    /// executed, since another execution keeps the kernel busy. Also a 500 with an `agent-timeout`, by which manager 23.09.10 of
    /// Backend.AI ends an execution that has waited for another one for 30 s (observed); it tells nothing of that.
    #[must_use]
    pub fn busy(&self) -> Option<Busy> {
        match self.kind()? {
            ProblemKind::KernelBusy => {
                let data = self.data();
                Some(
                    data.and_then(|data| Busy::deserialize(data).ok())
                        .unwrap_or_default(),
                )
            }
            ProblemKind::KernelExecutionFailed => {
                let agent = self.problem()?.agent_details.as_ref()?;
                let is_late = agent.type_uri.as_deref()?.ends_with("agent-timeout");
                is_late.then(Busy::default)
            }
            _ => None,
        }
    }

    /// 412: this key has reached its limit of kernels. Destroy some.
    #[must_use]
    pub fn is_quota_exceeded(&self) -> bool {
        self.kind() == Some(ProblemKind::QuotaExceeded)
            || (self.kind_name().is_none() && self.status == StatusCode::PRECONDITION_FAILED)
    }

    /// 429: too many requests in this window. Wait for [`retry_after`](Self::retry_after).
    #[must_use]
    pub fn is_rate_limited(&self) -> bool {
        self.status == StatusCode::TOO_MANY_REQUESTS
    }

    /// The kernel could not be created; the [message](Self::message) says why (often an unknown language).
    ///
    /// Backend.AI has no kind of problem for it. There it is a 404 in response to a [`CreateKernel`](crate::CreateKernel),
    /// which names no session that could be missing: an unknown image (observed on managers 23.09.10 and 26.9.6), group,
    /// domain or scaling group, or a session that ended before it ran (26.9.6).
    #[must_use]
    pub fn is_creation_failed(&self) -> bool {
        self.kind() == Some(ProblemKind::KernelCreationFailed)
            || (self.is_of_creation && self.is_session_missing())
    }

    /// The name of a session of Backend.AI is in use: by a session of another image, or by any if a creation was to
    /// [make a new one](crate::KernelSpec::with_reuse). `existingSessionId` in the problem's `data` is that session.
    #[must_use]
    pub fn is_name_taken(&self) -> bool {
        self.kind() == Some(ProblemKind::SessionAlreadyExists)
    }

    /// The gateway, or a proxy in front of it, is out of service for now.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        match self.status {
            StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT => true,
            StatusCode::SERVICE_UNAVAILABLE => !self.is_unsupported(),
            _ => false,
        }
    }

    /// Whether the gateway itself rejected the request for now, before it acted on it. (502 to 504 from a
    /// proxy leave that open.)
    #[must_use]
    pub fn was_rejected_before_execution(&self) -> bool {
        self.is_rate_limited()
            || (self.status == StatusCode::SERVICE_UNAVAILABLE
                && matches!(
                    self.kind(),
                    Some(ProblemKind::ServiceUnavailable | ProblemKind::InstanceNotAvailable)
                ))
    }

    /// Whether the gateway certainly did not act on the request. That is uncertain after a server
    /// error without a problem document, which may come from a proxy, or from a gateway that
    /// crashed while it was working; and after an `internal-server-error` of a manager of Backend.AI that
    /// was to create a session, which may exist then, and run later.
    #[must_use]
    pub fn is_conclusive(&self) -> bool {
        !self.status.is_server_error()
            || (self.kind_name().is_some()
                && !self.is_unavailable()
                && !self.is_of_broken_creation())
            || self.was_rejected_before_execution()
    }

    /// Whether a manager has failed at any time of a creation: before the session was enqueued, or while it was waited for.
    fn is_of_broken_creation(&self) -> bool {
        self.is_of_creation && self.kind() == Some(ProblemKind::InternalServerError)
    }

    /// Whether the same request may succeed later without any change.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.is_rate_limited() || self.is_unavailable()
    }
}

/// The origin that a redirect names.
fn redirect(status: StatusCode, headers: &HeaderMap) -> Option<String> {
    if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location: Uri = headers.get(LOCATION)?.to_str().ok()?.trim().parse().ok()?;
    let scheme = location.scheme_str()?.to_ascii_lowercase();
    // Without a name and password, if it has them.
    let authority = location.authority()?.as_str();
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    let is_http = scheme == "http" || scheme == "https";
    is_http.then(|| format!("{scheme}://{host}"))
}

/// How many messages of a reported failure are shown.
const MOST_MESSAGES: usize = 3;

/// What to show of a message: of a traceback of Python, only the line that says what happened.
pub(super) fn gist(message: &str) -> &str {
    let message = message.trim();
    match message.strip_prefix("Traceback (most recent call last)") {
        Some(rest) => rest.lines().last().unwrap_or(message),
        None => message,
    }
}

impl fmt::Display for GatewayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let ErrorBody::Reported { what, messages } = &self.error_body {
            f.write_str(what)?;
            for (index, message) in messages.iter().take(MOST_MESSAGES).enumerate() {
                let mark = if index == 0 { ": " } else { "; " };
                write!(f, "{mark}{}", excerpt(gist(message).as_bytes()))?;
            }
            return match messages.len().saturating_sub(MOST_MESSAGES) {
                0 => Ok(()),
                more => write!(f, "; and {more} more"),
            };
        }
        // In place of the gateway's words only where it says the same as data.
        if self.kind() == Some(ProblemKind::KernelBusy)
            && let Some(busy) = self.busy().filter(|busy| busy.mode.is_some())
        {
            return write!(f, "the kernel is busy: {busy}");
        }
        // These say all in their title.
        if (self.is_taken_over() || self.is_nothing_to_attach())
            && let Some(problem) = self.problem()
            && let (Some(text), None) = (problem.message(), &problem.agent_details)
        {
            let text = without_kind(text, problem.kind_name());
            let text = text.strip_suffix('.').unwrap_or(text);
            let mut rest = text.chars();
            let first = rest.next().map(|c| c.to_ascii_lowercase());
            let text: String = first.into_iter().chain(rest).collect();
            return write!(f, "{}", excerpt(text.as_bytes()));
        }
        write!(f, "the gateway responded with {}", self.status.as_u16())?;
        if let ErrorBody::NotStored(reason) = &self.error_body {
            return write!(f, ", but {reason}");
        }
        let Some(problem) = self.problem() else {
            if let Some(reason) = self.status.canonical_reason() {
                write!(f, " {reason}")?;
            }
            if let Some(origin) = &self.redirect {
                return write!(f, " to {}", excerpt(origin.as_bytes()));
            }
            return write!(f, ": {}", excerpt(&self.body));
        };
        write!(f, " {}", excerpt(problem.kind_name().as_bytes()))?;
        let agent = problem.agent_details.as_ref();
        let details = agent.map_or([None, None], |agent| {
            [agent.title.as_deref(), agent.exception.as_deref()]
        });
        let message = problem.message();
        let message = message.map(|text| without_kind(text, problem.kind_name()));
        let texts = [message].into_iter().chain(details);
        let mut texts = texts.flatten().peekable();
        while let Some(text) = texts.next() {
            let text = match texts.peek() {
                // Without the full stop, since ": " and more detail follow.
                Some(_) => text.strip_suffix('.').unwrap_or(text),
                None => text,
            };
            write!(f, ": {}", excerpt(text.as_bytes()))?;
        }
        Ok(())
    }
}

/// Text without the kind of problem that is before it in messages of a WebSocket.
fn without_kind<'t>(text: &'t str, kind: &str) -> &'t str {
    let rest = text.strip_prefix(kind);
    let rest = rest.and_then(|rest| rest.strip_prefix(": "));
    rest.unwrap_or(text)
}

impl StdError for GatewayError {}

#[cfg(test)]
mod tests;
