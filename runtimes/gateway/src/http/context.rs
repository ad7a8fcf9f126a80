//! What all requests share.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use hyper::body::{Body, Incoming};
use sorna_core::ProblemKind;
use sorna_core::server::ProblemReply;
use tokio::sync::Semaphore;

use super::body;
use super::upload::{self, Pace, UploadLimits};
use super::websocket::Upgrade;
use crate::config::GatewayConfig;
use crate::kernel::Peer;
use crate::kernels::{Entry, Kernels};
use crate::sessions::Sessions;

/// How many bytes of a form are not those of its files, at most, of those that are short.
const FORM: u64 = 16 * 1024;
/// How many downloads in archives there are at once.
const MAX_DOWNLOADS: usize = 4;

/// What all requests share.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) kernels: Arc<Kernels>,
    pub(super) sessions: Arc<Sessions>,
    pub(super) continuation_interval: Duration,
    body_limit: usize,
    body_timeout: Duration,
    pub(super) upload_limits: UploadLimits,
    /// How large a file of a kernel may be.
    max_file_size: u64,
    /// One for each download in archives, which take disk until they have been sent.
    pub(super) downloads: Arc<Semaphore>,
}

/// An authenticated request.
#[derive(Debug)]
pub(super) struct Call<'a> {
    /// The access key of its sender.
    pub(super) key: &'a str,
    pub(super) parts: &'a Parts,
    pub(super) body: &'a mut Incoming,
    pub(super) upgrade: Option<Upgrade>,
}

impl Call<'_> {
    /// Who sends it.
    pub(super) fn peer(&self) -> Peer {
        self.parts.extensions.get().cloned().unwrap_or_default()
    }
}

impl Context {
    pub(super) fn new(config: &GatewayConfig, kernels: Arc<Kernels>) -> Self {
        Self {
            sessions: Arc::new(Sessions::new(Arc::clone(&kernels))),
            kernels,
            continuation_interval: config.continuation_interval(),
            body_limit: config.max_body_size(),
            body_timeout: config.body_timeout(),
            upload_limits: UploadLimits {
                files: config.max_upload_files(),
                file_size: config.max_upload_file_size(),
                pace: None,
                encoded_names: false,
            },
            max_file_size: config.max_file_size(),
            downloads: Arc::new(Semaphore::new(MAX_DOWNLOADS)),
        }
    }

    /// Reads a body within the limits.
    pub(super) async fn read(&self, body: &mut Incoming) -> Result<Bytes, body::Unread> {
        body::read(body, self.body_limit, self.body_timeout).await
    }

    /// Stores the files of a form in a kernel's work directory.
    pub(super) async fn upload(
        &self,
        call: &mut Call<'_>,
        entry: &Arc<Entry>,
        limits: UploadLimits,
    ) -> Result<(), ProblemReply> {
        let query = call.parts.uri.query().unwrap_or_default();
        let asked = query.strip_prefix("size=any&room=");
        let is_any_size = query == "size=any";
        let content_type = call
            .parts
            .headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let turn = tokio::time::timeout(self.body_timeout, entry.kernel.upload_turn());
        let _turn = turn.await.map_err(|_| {
            ProblemKind::ServiceUnavailable.reply_with("too many uploads to this kernel at a time")
        })?;
        let kernel = Arc::clone(entry);
        // More than the files in it, by little.
        let length = call.body.size_hint().exact();
        if is_any_size && length.is_none() {
            let detail = "an upload of any size must say how long it is, by Content-Length";
            return Err(ProblemKind::GenericBadRequest.reply_with(detail));
        }
        let length = length.map(|length| length.saturating_sub(FORM));
        let length = match asked.map(str::parse) {
            None => length,
            Some(Ok(bytes)) => Some(bytes),
            Some(Err(_)) => {
                let detail = "room: not a number of bytes";
                return Err(ProblemKind::InvalidApiParams.reply_with(detail));
            }
        };
        let most = limits.file_size.saturating_mul(limits.files as u64);
        let reserve = move || kernel.kernel.reserve_disk(length, most);
        let room = tokio::task::spawn_blocking(reserve).await;
        let room = room
            .map_err(|_| ProblemKind::ServiceUnavailable.reply())?
            .map_err(upload::no_room)?;
        if asked.is_some() {
            return Ok(());
        }
        let home = entry.kernel.home();
        if is_any_size {
            let limits = UploadLimits {
                file_size: self.max_file_size,
                pace: Some(Pace::from_now(self.body_timeout)),
                ..limits
            };
            return upload::store(call.body, content_type, home, limits, room).await;
        }
        let limits = UploadLimits {
            file_size: limits.file_size.min(self.max_file_size),
            ..limits
        };
        let stored = upload::store(call.body, content_type, home, limits, room);
        let stored = tokio::time::timeout(self.body_timeout, stored).await;
        entry.kernel.touch();
        stored.map_err(|_| ProblemKind::GenericBadRequest.reply_with("upload too slow"))?
    }
}
