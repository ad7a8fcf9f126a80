//! `GET /events/session`: what happens to sessions, as server-sent events.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Response};
use sorna_core::server::backend_ai::Parameters;
use sorna_core::{KernelId, ProblemKind};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::answer::Result;
use crate::http::body::ReplyBody;
use crate::http::context::Context;
use crate::sessions::{Event, Scope};

/// How often a sign of life is sent.
const PING: Duration = Duration::from_secs(15);

/// Whose events a client wants.
struct Listener {
    events: broadcast::Receiver<Arc<Event>>,
    owner: String,
    scope: Scope,
    /// The ID of the only session, if there is only one.
    session: Option<String>,
}

/// Responds with all events from now on.
pub(super) fn listen(context: &Context, key: &str, parameters: &Parameters) -> Result {
    // Before the session is looked for, so that none of its events is missed.
    let events = context.sessions.listen();
    let scope = parameters.text("scope").unwrap_or("*".into());
    let scope = Scope::from_name(&scope).ok_or_else(|| {
        let scope: String = scope.chars().take(40).collect();
        ProblemKind::InvalidApiParams.reply_with(&format!("Invalid scope: {scope}"))
    })?;
    let wanted = parameters.any_text(&["sessionId", "session_id", "sessionName", "name"]);
    let session = match wanted.as_deref() {
        None | Some("*" | "") => None,
        Some(wanted) => {
            let id = KernelId::new(wanted).map_err(|_| ProblemKind::ObjectNotFound.reply())?;
            let session = context.sessions.find(key, &id)?;
            Some(session.id.as_str().to_owned())
        }
    };
    let listener = Listener {
        events,
        owner: key.to_owned(),
        scope,
        session,
    };
    let next = |mut listener: Listener| async move {
        let bytes = listener.next().await?;
        Some((bytes, listener))
    };
    let body = ReplyBody::Stream(Box::pin(stream::unfold(listener, next)), None);
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

impl Listener {
    /// The next event, or a sign of life; `None` when the gateway closes.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            let Ok(received) = tokio::time::timeout(PING, self.events.recv()).await else {
                return Some(Bytes::from_static(b": ping\r\n\r\n"));
            };
            match received {
                Ok(event) if self.wants(&event) => {
                    let text = format!("event: {}\r\ndata: {}\r\n\r\n", event.name, event.data());
                    return Some(text.into());
                }
                // It was too slow, and missed some.
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    }

    fn wants(&self, event: &Event) -> bool {
        event.owner == self.owner
            && self.scope.includes(event)
            && self
                .session
                .as_ref()
                .is_none_or(|id| *id == event.session_id)
    }
}
