//! What web servers of Backend.AI add to a manager: users log in, and the cookie of their session takes the place of
//! signatures in requests below `/func`. Here a user's name is an access key, and the password its secret key.

mod attempts;
mod sessions;

use std::time::{Duration, Instant};

use http::header::{CONTENT_TYPE, SET_COOKIE};
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode};
use hyper::body::Incoming;
use serde_json::json;
use sorna_core::server::backend_ai::{LoginRequest, WebRoute};
use sorna_core::server::{ProblemReply, check_version, reply};
use sorna_core::{ProblemKind, SessionCookie};

use self::attempts::Attempts;
use self::sessions::{LIFETIME, Sessions};
use super::body::{self, ReplyBody};
use crate::keys::Secrets;

type Result<T = Response<ReplyBody>> = std::result::Result<T, ProblemReply>;

/// The header of a login that is encoded. (Observed of client 26.9.6.)
const ENCODED: &str = "x-backendai-encoded";

/// From this size in bytes on, bodies of logins are rejected: their senders are unknown.
const BODY_LIMIT: usize = 4096;

/// Who is logged in, and who tried to.
#[derive(Debug)]
pub(super) struct Web {
    sessions: Sessions,
    attempts: Attempts,
    is_encrypted: bool,
    body_timeout: Duration,
}

impl Web {
    pub(super) fn new(is_encrypted: bool, body_timeout: Duration) -> Self {
        Self {
            sessions: Sessions::default(),
            attempts: Attempts::default(),
            is_encrypted,
            body_timeout,
        }
    }

    /// The access key of the user whose session it is.
    ///
    /// # Errors
    ///
    /// 401 `auth-failed` without a session, or with one that has ended; 400 for a version of the API that is unknown.
    pub(super) fn user(&self, parts: &Parts) -> Result<String> {
        let user = self.session(parts).map(|(_, user)| user);
        let user = user.ok_or_else(|| {
            ProblemKind::AuthFailed
                .reply()
                .with_title("Unauthorized access")
        })?;
        check_version(&parts.headers)?;
        Ok(user)
    }

    /// Ends all sessions of a user.
    pub(super) fn log_out(&self, user: &str) {
        let ended = self.sessions.end_all(user);
        if ended > 0 {
            tracing::info!(%user, sessions = ended, "logged out, as the key pair is not valid any more");
        }
    }

    /// Responds to a request to the web server itself.
    pub(super) async fn respond(
        &self,
        route: WebRoute<'_>,
        keys: &Secrets,
        parts: &Parts,
        body: &mut Incoming,
    ) -> Result {
        let session = self.session(parts);
        match route {
            WebRoute::Login if session.is_some() => Err(ProblemKind::GenericBadRequest
                .reply()
                .with_title("You have already logged in.")),
            WebRoute::Login if parts.headers.contains_key(ENCODED) => {
                Err(ProblemKind::GenericBadRequest.reply().with_title(
                    "This gateway reads no encoded logins, as clients of 26.x send them over plain HTTP: use TLS.",
                ))
            }
            WebRoute::Login => {
                let read = body::read(body, BODY_LIMIT, self.body_timeout).await;
                let bytes = read.map_err(body::Unread::reply)?;
                self.log_in(&LoginRequest::parse(&bytes)?, keys)
            }
            WebRoute::LoginCheck => {
                let data = session.map(|(_, user)| public(&user));
                Ok(ok(&json!({"authenticated": data.is_some(), "data": data})))
            }
            WebRoute::Logout => {
                if let Some((cookie, user)) = session {
                    self.sessions.end(&cookie);
                    tracing::info!(%user, "logged out");
                }
                let mut response = Response::new(ReplyBody::new(Vec::new()));
                let gone = format!("{}=\"\"; Max-Age=0; Path=/", SessionCookie::NAME);
                if let Ok(gone) = HeaderValue::try_from(gone) {
                    response.headers_mut().insert(SET_COOKIE, gone);
                }
                Ok(response)
            }
            _ => Err(ProblemKind::UrlNotFound.reply()),
        }
    }

    /// The cookie of a request, and whose session it is.
    fn session(&self, parts: &Parts) -> Option<(SessionCookie, String)> {
        let cookie = SessionCookie::of_request(&parts.headers)?;
        let user = self.sessions.find(&cookie, Instant::now())?;
        Some((cookie, user))
    }

    fn log_in(&self, request: &LoginRequest, keys: &Secrets) -> Result {
        let now = Instant::now();
        let user = request.username.as_str();
        // Which access keys there are is no secret: the response to a signed request says so, too.
        let Some(secret) = keys.get(user) else {
            return Ok(rejected());
        };
        if self.attempts.is_blocked(user, now) {
            return Ok(blocked());
        }
        let is_right = secret.is(request.password());
        self.attempts.note(user, is_right, now);
        if !is_right {
            tracing::warn!(%user, "a login failed");
            return Ok(rejected());
        }
        let cookie = self.sessions.begin(user, now);
        let cookie = cookie.and_then(|cookie| {
            cookie
                .set_cookie(&self.attributes())
                .map_err(std::io::Error::other)
        });
        let cookie = cookie
            .map_err(|error| ProblemKind::InternalServerError.reply_with(&error.to_string()))?;
        tracing::info!(%user, "logged in");
        let mut response = ok(&json!({"authenticated": true, "data": public(user)}));
        response.headers_mut().insert(SET_COOKIE, cookie);
        Ok(response)
    }

    /// What the cookie is for. Pages of other sites must not use it.
    fn attributes(&self) -> String {
        let age = LIFETIME.as_secs();
        let secure = if self.is_encrypted { "; Secure" } else { "" };
        format!("HttpOnly; SameSite=Strict; Max-Age={age}; Path=/{secure}")
    }
}

/// What users learn about themselves.
fn public(user: &str) -> serde_json::Value {
    json!({"access_key": user, "role": "user", "status": "active"})
}

/// As on web server 23.09.10; from 26 on, they respond with 401.
fn rejected() -> Response<ReplyBody> {
    ok(&json!({"authenticated": false, "data": {
        "type": "https://api.backend.ai/probs/auth-failed",
        "title": "Credential/signature mismatch.",
        "details": "User credential mismatch.",
    }}))
}

fn blocked() -> Response<ReplyBody> {
    let problem = json!({
        "type": "https://api.backend.ai/probs/too-many-requests",
        "title": "Too many failed login attempts",
    });
    let mut response = ok(&problem);
    *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
    let media_type = HeaderValue::from_static("application/problem+json; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, media_type);
    response
}

fn ok(body: &serde_json::Value) -> Response<ReplyBody> {
    reply::json(StatusCode::OK, body).map(ReplyBody::new)
}
