//! From a request to its response.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use sorna_core::server::backend_ai::{SessionRoute, WebRoute};
use sorna_core::server::{ProblemReply, Route, SignedRequest, dialect_of};
use sorna_core::{Dialect, ProblemKind, SecretKey};
use tokio::sync::Semaphore;
use tokio::sync::mpsc::UnboundedReceiver;

use super::body::{self, ReplyBody, Unread};
use super::context::{Call, Context};
use super::rate_limit::{Allowance, RateLimiter};
use super::room::{Permit, Room, ShareUsedUp};
use super::web::Web;
use super::websocket::Upgrade;
use super::{backend_ai, head, sorna_v2};
use crate::config::GatewayConfig;
use crate::guest::{Admission, Guest, GuestUpgrade};
use crate::kernels::Kernels;
use crate::keys::{Keys, Withdrawal};

/// Turns requests into responses, in either dialect.
#[derive(Debug)]
pub(crate) struct Service {
    context: Context,
    keys: Arc<Keys>,
    room: Arc<Room>,
    rate_limiter: RateLimiter,
    web: Web,
    guest: Option<Arc<dyn Guest>>,
}

/// A response, and what its sender may still send, if that was counted.
struct Answer {
    result: Result<Response<ReplyBody>, ProblemReply>,
    allowance: Option<Allowance>,
    /// Who sent the request, if that is certain.
    key: Option<String>,
}

impl Service {
    pub(crate) fn new(
        config: &GatewayConfig,
        keys: Arc<Keys>,
        kernels: Arc<Kernels>,
        is_encrypted: bool,
    ) -> Self {
        Self {
            context: Context::new(config, kernels),
            keys,
            room: Room::new(config.max_connections().min(Semaphore::MAX_PERMITS)),
            rate_limiter: RateLimiter::new(config.max_requests_per_window()),
            web: Web::new(is_encrypted, config.body_timeout()),
            guest: config.guest().cloned(),
        }
    }

    pub(crate) fn note_connection(&self) {
        self.context.kernels.counters.connections.up();
    }

    /// Who is connected.
    pub(super) fn room(&self) -> &Arc<Room> {
        &self.room
    }

    /// Ends what belongs to key pairs that are not accepted any more, forever. Requests with them are refused before.
    pub(crate) async fn end_withdrawn(
        self: &Arc<Self>,
        mut withdrawals: UnboundedReceiver<Withdrawal>,
    ) {
        while let Some(withdrawal) = withdrawals.recv().await {
            let this = Arc::clone(self);
            // The key may be accepted again until its kernels are gone, and have new connections.
            let next = this.room.next();
            // Each takes as long as the hooks of its kernels.
            tokio::spawn(async move {
                let key = withdrawal.access_key.as_str();
                this.web.log_out(key);
                if withdrawal.is_revoked {
                    this.context.kernels.destroy_of_revoked(key).await;
                }
                // Last, so that clients learn of the end of their kernels.
                this.room.show_out(key, next);
            });
        }
        // There is always a sender as long as there is a service.
        std::future::pending::<()>().await;
    }

    /// Responds to a request.
    pub(crate) async fn handle(&self, request: Request<Incoming>) -> Response<ReplyBody> {
        let started = Instant::now();
        let (mut parts, mut body) = request.into_parts();
        let upgrade = Upgrade::of(&mut parts.extensions);
        let dialect = dialect_of(&parts);
        let checked = head::check(&parts);
        let guest = match dialect {
            Dialect::BackendAi => self.guest(&parts),
            _ => None,
        };
        let answer = match (checked, dialect) {
            (Err(problem), _) => Answer {
                result: match guest {
                    Some((guest, _)) => Ok(worded(guest, &problem)),
                    None => Err(problem),
                },
                allowance: None,
                key: None,
            },
            (_, Dialect::BackendAi) => match guest {
                Some((guest, admission)) => {
                    self.of_guest(guest, admission, &parts, &mut body, upgrade)
                        .await
                }
                None => self.backend_ai(&parts, &mut body, upgrade).await,
            },
            _ => self.sorna_v2(&parts, &mut body, upgrade).await,
        };
        // The connection can be reused only if the whole request has been read.
        body::drain(body).await;
        self.context.kernels.counters.requests.up();
        let is_success = answer.result.is_ok();
        let mut response = answer.result.unwrap_or_else(|problem| {
            tracing::debug!(%problem, "error response");
            problem.into_response_in(dialect).map(ReplyBody::new)
        });
        // As on the original gateway, only on successes, and not on responses that open a terminal. Manager 26.9.6 of
        // Backend.AI sends them with all that it has counted.
        let is_plain = is_success && response.status() != StatusCode::SWITCHING_PROTOCOLS;
        if let Some(allowance) = answer.allowance
            && (is_plain || dialect == Dialect::BackendAi)
        {
            allowance.add_headers(dialect, response.headers_mut());
        }
        tracing::info!(
            method = %parts.method,
            path = parts.uri.path(),
            status = response.status().as_u16(),
            ms = started.elapsed().as_millis(),
            key = answer.key,
        );
        with_length(response)
    }

    /// The guest, if this request is for it.
    fn guest(&self, parts: &Parts) -> Option<(&dyn Guest, Admission)> {
        let guest = self.guest.as_deref()?;
        let (method, path) = (&parts.method, parts.uri.path());
        let is_unknown = matches!(WebRoute::parse(method, path), Ok(None))
            && SessionRoute::parse(method, path)
                .is_err_and(|problem| problem.kind() == ProblemKind::UrlNotFound);
        let admission = is_unknown.then(|| guest.receive(parts))?;
        Some((guest, admission?))
    }

    /// Of another API.
    async fn of_guest(
        &self,
        guest: &dyn Guest,
        admission: Admission,
        parts: &Parts,
        body: &mut Incoming,
        upgrade: Option<Upgrade>,
    ) -> Answer {
        let mut sender = None;
        let response = async {
            let key = match admission {
                Admission::Admitted(key) => key,
                Admission::Refused(response) => return Ok(response),
            };
            if !self.keys.has(&key) {
                let reason = "the key pair of this API is not accepted any more";
                return Err(ProblemKind::AuthFailed.reply_with(reason));
            }
            sender = Some(key.clone());
            self.admit(&key, parts)?;
            self.count(&key)
                .map_err(|_| ProblemKind::RateLimitExceeded.reply())?;
            let bytes = match self.context.read(body).await {
                Ok(bytes) => bytes,
                Err(reason @ Unread::TooLarge(_)) => {
                    let status = StatusCode::PAYLOAD_TOO_LARGE;
                    return Ok(guest.problem(status, &reason.to_string()));
                }
                Err(Unread::TooSlow) => {
                    let reason = Unread::TooSlow.to_string();
                    return Ok(guest.problem(StatusCode::REQUEST_TIMEOUT, &reason));
                }
                Err(reason) => return Err(reason.reply()),
            };
            let mut request = Request::from_parts(parts.clone(), bytes);
            if let Some(upgrade) = upgrade {
                request.extensions_mut().insert(GuestUpgrade(upgrade));
            }
            Ok(guest.respond(request).await)
        };
        let response: Result<_, ProblemReply> = response.await;
        Answer {
            result: Ok(match response {
                Ok(response) => response.map(ReplyBody::new),
                Err(problem) => worded(guest, &problem),
            }),
            allowance: None,
            key: sender,
        }
    }

    /// Of Sorna v2. Headers and access key are checked before the body is read, so that untrusted peers cannot make
    /// the gateway read one.
    async fn sorna_v2(
        &self,
        parts: &Parts,
        body: &mut Incoming,
        upgrade: Option<Upgrade>,
    ) -> Answer {
        let (mut allowance, mut sender) = (None, None);
        let result = async {
            let route = Route::parse(&parts.method, parts.uri.path())?;
            let signed = SignedRequest::parse(parts, SystemTime::now())?;
            let key = signed.access_key();
            let secret = self
                .secret(key)
                .ok_or_else(|| ProblemKind::AuthFailed.reply())?;
            let secret = &secret;
            // As on the original gateway, any signature is accepted for the version.
            let is_checked = route != Route::Version;
            // The signature leaves out forms, which are not held in memory.
            let is_form = matches!(route, Route::Upload(_)) && !signed.hashes_body();
            let bytes = if is_form {
                Bytes::new()
            } else {
                let read = self.context.read(body).await;
                read.map_err(Unread::reply)?
            };
            if is_checked {
                signed.verify(secret, &bytes)?;
                sender = Some(key.to_owned());
                self.admit(key, parts)?;
            }
            allowance = Some(
                self.count(key)
                    .map_err(|_| ProblemKind::RateLimitExceeded.reply())?,
            );
            let call = Call {
                key,
                parts,
                body,
                upgrade,
            };
            sorna_v2::respond(&self.context, call, route, &bytes, is_form).await
        };
        let result = result.await;
        Answer {
            result,
            allowance,
            key: sender,
        }
    }

    /// Of Backend.AI, where no body is signed: it is read only once the signature, or the session with the web server, has
    /// been checked.
    async fn backend_ai(
        &self,
        parts: &Parts,
        body: &mut Incoming,
        upgrade: Option<Upgrade>,
    ) -> Answer {
        let (mut allowance, mut sender) = (None, None);
        let result = async {
            let path = parts.uri.path();
            let (path, is_of_session) = match WebRoute::parse(&parts.method, path)? {
                None => (path, false),
                Some(WebRoute::Func(path)) => (path, true),
                Some(route) => {
                    let keys = self.keys.current();
                    return self.web.respond(route, &keys, parts, body).await;
                }
            };
            // A web server knows no paths, so the session comes first there.
            let user = match is_of_session && path != "/" {
                true => Some(self.user(parts)?),
                false => None,
            };
            let route = SessionRoute::parse(&parts.method, path)?;
            if let Some(response) = backend_ai::public(&route) {
                return Ok(response);
            }
            let key = match user {
                Some(user) => user,
                None => self.signer(parts)?,
            };
            sender = Some(key.clone());
            let key = key.as_str();
            self.admit(key, parts)?;
            let counted = self.count(key);
            allowance = Some(counted.unwrap_or_else(|refused| refused));
            if counted.is_err() {
                return Err(ProblemKind::RateLimitExceeded.reply());
            }
            let call = Call {
                key,
                parts,
                body,
                upgrade,
            };
            backend_ai::respond(&self.context, call, route).await
        };
        let result = result.await;
        Answer {
            result,
            allowance,
            key: sender,
        }
    }

    /// The access key by which a request of Backend.AI is signed.
    fn signer(&self, parts: &Parts) -> Result<String, ProblemReply> {
        let signed = SignedRequest::parse(parts, SystemTime::now())?;
        let key = signed.access_key();
        let secret = self
            .secret(key)
            .ok_or_else(|| ProblemKind::AuthFailed.reply_with("Access key not found in HMAC"))?;
        signed.verify(&secret, b"")?;
        signed.check_version()?;
        Ok(key.to_owned())
    }

    /// The access key of who is logged in.
    fn user(&self, parts: &Parts) -> Result<String, ProblemReply> {
        let user = self.web.user(parts)?;
        // A login may have been in progress when the key was revoked.
        match self.keys.has(&user) {
            true => Ok(user),
            false => Err(ProblemKind::AuthFailed.reply()),
        }
    }

    fn secret(&self, key: &str) -> Option<SecretKey> {
        self.keys.current().get(key).cloned()
    }

    /// Takes note of who sends a request.
    ///
    /// # Errors
    ///
    /// 503 `service-unavailable` if the key has so many in progress that other keys would not have room.
    fn admit(&self, key: &str, parts: &Parts) -> Result<(), ProblemReply> {
        let Some(permit) = parts.extensions.get::<Permit>() else {
            return Ok(());
        };
        let is_shared = self.keys.current().len() > 1;
        permit.verified(key, is_shared).map_err(|ShareUsedUp| {
            let why = "too many requests and terminals at a time with this access key";
            ProblemKind::ServiceUnavailable.reply_with(why)
        })
    }

    fn count(&self, key: &str) -> Result<Allowance, Allowance> {
        self.rate_limiter.count(key, Instant::now())
    }
}

/// An error of the gateway, in the way of a guest.
fn worded(guest: &dyn Guest, problem: &ProblemReply) -> Response<ReplyBody> {
    let reason = problem.detail().unwrap_or(problem.title());
    let response = guest.problem(problem.kind().status(), reason);
    response.map(ReplyBody::new)
}

/// Adds the length of the body, also to responses without one, as the original gateway does.
fn with_length(mut response: Response<ReplyBody>) -> Response<ReplyBody> {
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return response;
    }
    let length = response.body().len();
    let headers = response.headers_mut();
    if let Some(length) = length {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    headers
        .entry(CONTENT_TYPE)
        .or_insert(HeaderValue::from_static("application/octet-stream"));
    response
}
