//! From a request to its response.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use sorna_core::server::{
    AuthorizeRequest, CreateRequest, ExecuteRequest, ProblemReply, Route, SignedRequest, reply,
};
use sorna_core::{ApiVersion, Credentials, KernelId, ProblemKind, SecretKey};

use super::body::{self, ReplyBody};
use super::rate_limit::{Allowance, RateLimiter};
use super::terminal::{self, Upgrade};
use super::upload::{self, UploadLimits};
use crate::config::GatewayConfig;
use crate::kernel::{ExecuteError, KernelStartError};
use crate::kernels::Kernels;

/// Turns requests into responses.
#[derive(Debug)]
pub(crate) struct Service {
    kernels: Arc<Kernels>,
    keys: HashMap<String, SecretKey>,
    rate_limiter: RateLimiter,
    continuation_interval: Duration,
    body_limit: usize,
    body_timeout: Duration,
    upload_limits: UploadLimits,
}

impl Service {
    pub(crate) fn new(
        config: &GatewayConfig,
        credentials: &[Credentials],
        kernels: Arc<Kernels>,
    ) -> Self {
        let keys = credentials.iter().map(|pair| {
            let key = pair.access_key().as_str().to_owned();
            (key, pair.secret_key().clone())
        });
        Self {
            kernels,
            keys: keys.collect(),
            rate_limiter: RateLimiter::new(config.max_requests_per_window()),
            continuation_interval: config.continuation_interval(),
            body_limit: config.max_body_size(),
            body_timeout: config.body_timeout(),
            upload_limits: UploadLimits {
                files: config.max_upload_files(),
                file_size: config.max_upload_file_size(),
            },
        }
    }

    pub(crate) fn note_connection(&self) {
        self.kernels.counters.connections.up();
    }

    /// Responds to a request.
    pub(crate) async fn handle(&self, request: Request<Incoming>) -> Response<ReplyBody> {
        let started = Instant::now();
        let (mut parts, mut body) = request.into_parts();
        let upgrade = Upgrade::of(&mut parts.extensions);
        let result = self.respond(&parts, &mut body, upgrade).await;
        // The connection can be reused only if the whole request has been read.
        body::drain(body).await;
        self.kernels.counters.requests.up();
        let response = match result {
            Ok((mut response, allowance)) => {
                // As on the original gateway, not on responses that open a terminal.
                if response.status() != StatusCode::SWITCHING_PROTOCOLS {
                    allowance.add_headers(response.headers_mut());
                }
                response
            }
            Err(problem) => {
                tracing::debug!(%problem, "error response");
                problem.into_response()
            }
        };
        tracing::info!(
            method = %parts.method,
            path = parts.uri.path(),
            status = response.status().as_u16(),
            ms = started.elapsed().as_millis(),
        );
        with_length(response).map(ReplyBody::new)
    }

    /// Authenticates a request and carries it out. Headers and access key are checked before the
    /// body is read, so that untrusted peers cannot make the gateway read one.
    async fn respond(
        &self,
        parts: &Parts,
        body: &mut Incoming,
        upgrade: Option<Upgrade>,
    ) -> Result<(Response<Vec<u8>>, Allowance), ProblemReply> {
        let route = Route::parse(&parts.method, parts.uri.path())?;
        let signed = SignedRequest::parse(parts, SystemTime::now())?;
        let key = signed.access_key();
        let secret = self
            .keys
            .get(key)
            .ok_or_else(|| ProblemKind::AuthFailed.reply())?;
        // As on the original gateway, any signature is accepted for the version.
        let is_checked = route != Route::Version;
        // The signature leaves out forms, which are not held in memory.
        let is_form = matches!(route, Route::Upload(_)) && !signed.hashes_body();
        let bytes = if is_form {
            Bytes::new()
        } else {
            body::read(body, self.body_limit, self.body_timeout).await?
        };
        if is_checked {
            signed.verify(secret, &bytes)?;
        }
        let allowance = self
            .rate_limiter
            .count(key, Instant::now())
            .ok_or_else(|| ProblemKind::RateLimitExceeded.reply())?;
        let response = match route {
            Route::Upload(id) if is_form => self.upload(key, &id, parts, body).await?,
            Route::Terminal(id) => self.terminal(key, &id, parts, upgrade)?,
            route => self.operate(key, route, &bytes).await?,
        };
        Ok((response, allowance))
    }

    async fn operate(
        &self,
        key: &str,
        route: Route,
        body: &[u8],
    ) -> Result<Response<Vec<u8>>, ProblemReply> {
        match route {
            Route::Version => Ok(reply::version(ApiVersion::default())),
            Route::Authorize => {
                let request = AuthorizeRequest::parse(body)?;
                Ok(reply::authorized(request.echo.as_ref()))
            }
            Route::Languages => Ok(reply::languages(&self.kernels.languages().await)),
            Route::Create => {
                let request = CreateRequest::parse(body)?;
                let id = self.kernels.get_or_create(key, request).await?;
                Ok(reply::created(&id))
            }
            Route::Info(id) => {
                let entry = self.kernels.find(key, &id)?;
                Ok(reply::info(&self.kernels.info(&entry)))
            }
            Route::Restart(id) => {
                let entry = self.kernels.find(key, &id)?;
                entry.kernel.touch();
                entry
                    .kernel
                    .restart()
                    .await
                    .map_err(|KernelStartError(reason)| {
                        agent_failed(ProblemKind::KernelRestartFailed, &reason)
                    })?;
                Ok(reply::done())
            }
            Route::Destroy(id) => {
                let entry = self.kernels.find(key, &id)?;
                self.kernels.destroy(entry).await;
                Ok(reply::done())
            }
            Route::Execute(id) => self.execute(key, &id, &ExecuteRequest::parse(body)?).await,
            Route::Upload(_) => {
                Err(ProblemKind::GenericBadRequest
                    .reply_with("the body is not multipart/form-data"))
            }
            _ => Err(ProblemKind::NotImplemented.reply()),
        }
    }

    async fn execute(
        &self,
        key: &str,
        id: &KernelId,
        request: &ExecuteRequest,
    ) -> Result<Response<Vec<u8>>, ProblemReply> {
        let entry = self.kernels.find(key, id)?;
        if let ExecuteRequest::Complete(request) = request {
            entry.kernel.touch();
            return Ok(reply::completions(&entry.kernel.complete(request).await));
        }
        let counters = &self.kernels.counters;
        let executed = entry
            .kernel
            .execute(request, self.continuation_interval, || {
                counters.executions.up()
            })
            .await;
        match executed {
            Ok(response) => Ok(reply::execution(
                &response.status,
                &response.console,
                &response.options,
            )),
            Err(ExecuteError::Gone) => Err(ProblemKind::KernelNotFound.reply()),
            Err(ExecuteError::Failed(reason)) => {
                Err(agent_failed(ProblemKind::KernelExecutionFailed, &reason))
            }
        }
    }

    /// Accepts the WebSocket handshake, and serves the terminal in the background.
    fn terminal(
        &self,
        key: &str,
        id: &KernelId,
        parts: &Parts,
        upgrade: Option<Upgrade>,
    ) -> Result<Response<Vec<u8>>, ProblemReply> {
        let entry = self.kernels.find(key, id)?;
        let response = terminal::accept(parts)?;
        let upgrade = upgrade.ok_or_else(terminal::no_handshake)?;
        entry.kernel.touch();
        let attached = entry.kernel.attach().map_err(|KernelStartError(reason)| {
            agent_failed(ProblemKind::KernelExecutionFailed, &reason)
        })?;
        tokio::spawn(terminal::serve(upgrade, entry, attached));
        Ok(response)
    }

    async fn upload(
        &self,
        key: &str,
        id: &KernelId,
        parts: &Parts,
        body: &mut Incoming,
    ) -> Result<Response<Vec<u8>>, ProblemReply> {
        let entry = self.kernels.find(key, id)?;
        entry.kernel.touch();
        let content_type = parts
            .headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let stored = upload::store(body, content_type, entry.kernel.home(), self.upload_limits);
        tokio::time::timeout(self.body_timeout, stored)
            .await
            .map_err(|_| ProblemKind::GenericBadRequest.reply_with("upload too slow"))??;
        Ok(reply::done())
    }
}

/// Adds the length of the body, also to responses without one, as the original gateway does.
fn with_length(mut response: Response<Vec<u8>>) -> Response<Vec<u8>> {
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return response;
    }
    let length = response.body().len();
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    headers
        .entry(CONTENT_TYPE)
        .or_insert(HeaderValue::from_static("application/octet-stream"));
    response
}

fn agent_failed(kind: ProblemKind, reason: &str) -> ProblemReply {
    kind.reply().with_agent("agent-failure", reason, None)
}
