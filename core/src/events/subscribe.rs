//! `GET /events/session`: the request for a stream of events.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use super::event::SessionEvent;
use super::stream::EventStream;
use crate::error::{BuildError, Error, ParseError};
use crate::ident::KernelId;
use crate::ops::{Operation, Success};
use crate::unsigned::UnsignedRequest;
use crate::version::{ApiVersion, Dialect};

/// Backend.AI's `GET /events/session`: the events of sessions, from now on.
///
/// The response has no end, so a driver hands its body to [`stream`](Self::stream) while it comes. (As an
/// [`Operation`], it reads a response that did end.)
///
/// ```
/// use sorna_core::events::SubscribeEvents;
/// use sorna_core::{ApiVersion, Operation};
///
/// let subscribe = SubscribeEvents::new().with_session("my-session");
/// assert_eq!(
///     subscribe.prepare(ApiVersion::V7_20230615)?.path(),
///     "/events/session?sessionName=my-session&scope=*"
/// );
/// let mut events = subscribe.stream();
/// // … for each piece of the body:
/// events.handle_bytes(b"event: kernel_started\r\ndata: {}\r\n\r\n")?;
/// assert!(events.poll_event().is_some_and(|event| event.is_started()));
/// # Ok::<(), sorna_core::Error>(())
/// ```
///
/// Sorna v2 has no events ([`BuildError::Unsupported`]).
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct SubscribeEvents {
    /// Only events of sessions of this name; all, if there is none.
    ///
    /// Observed on manager 26.9.6: a session of the name must exist already, else it responds with 404; and events
    /// of its kernels do not come then, only those of the session. On 23.09.10 both come.
    pub session: Option<String>,
    /// Only events of the session of this ID.
    ///
    /// The filter is ours: it is not sent, since manager 26.9.6 accepts an ID and then sends the events of all
    /// sessions all the same. Give the name as well, so that the manager need not send them.
    pub session_id: Option<KernelId>,
    /// Only events of sessions of this access key. Without, it is the caller's.
    pub owner: Option<String>,
    /// Only events of sessions of this group, by name; of all groups, if there is none.
    pub group: Option<String>,
    /// Of what there are events.
    pub scope: EventScope,
}

/// Of what there are events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventScope {
    /// Of sessions and of the kernels that they consist of.
    #[default]
    All,
    /// Of sessions only. Manager 23.09.10 then does not say that a session started.
    Sessions,
    /// Of kernels only.
    Kernels,
}

impl EventScope {
    /// As it is sent.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::All => "*",
            Self::Sessions => "session",
            Self::Kernels => "kernel",
        }
    }
}

impl SubscribeEvents {
    /// All events of the caller's sessions.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With this [`session`](Self::session).
    #[must_use]
    pub fn with_session(mut self, name: impl Into<String>) -> Self {
        self.session = Some(name.into());
        self
    }

    /// With this [`session_id`](Self::session_id).
    #[must_use]
    pub fn with_session_id(mut self, id: KernelId) -> Self {
        self.session_id = Some(id);
        self
    }

    /// With this [`owner`](Self::owner).
    #[must_use]
    pub fn with_owner(mut self, access_key: impl Into<String>) -> Self {
        self.owner = Some(access_key.into());
        self
    }

    /// With this [`group`](Self::group).
    #[must_use]
    pub fn with_group(mut self, name: impl Into<String>) -> Self {
        self.group = Some(name.into());
        self
    }

    /// With this [`scope`](Self::scope).
    #[must_use]
    pub fn with_scope(mut self, scope: EventScope) -> Self {
        self.scope = scope;
        self
    }

    /// What reads the body of the response.
    #[must_use]
    pub fn stream(&self) -> EventStream {
        match &self.session_id {
            Some(id) => EventStream::new().with_session_id(id.clone()),
            None => EventStream::new(),
        }
    }

    /// What reads the body of a response with these headers.
    ///
    /// # Errors
    ///
    /// [`Error::Parse`] if it is not a stream of events, but the page of a proxy, for example. Without a
    /// `Content-Type`, it may be one.
    pub fn stream_of(&self, headers: &HeaderMap) -> Result<EventStream, Error> {
        let is_of_events = |value: &HeaderValue| {
            let media_type = value.as_bytes().split(|byte| *byte == b';').next();
            media_type.is_some_and(|it| it.trim_ascii().eq_ignore_ascii_case(b"text/event-stream"))
        };
        match headers.get(CONTENT_TYPE) {
            Some(value) if !is_of_events(value) => {
                let expected = "a stream of events";
                Err(ParseError::new(expected, StatusCode::OK, &Bytes::new(), None).into())
            }
            _ => Ok(self.stream()),
        }
    }
}

impl Operation for SubscribeEvents {
    type Output = Vec<SessionEvent>;

    fn prepare(&self, version: ApiVersion) -> Result<UnsignedRequest, BuildError> {
        match version.dialect() {
            Dialect::SornaV2 => Err(BuildError::Unsupported {
                what: "events",
                version,
            }),
            Dialect::BackendAi => {
                let mut request = UnsignedRequest::new(Method::GET, "/events/session");
                for (name, value) in [
                    ("sessionName", &self.session),
                    ("ownerAccessKey", &self.owner),
                    ("groupName", &self.group),
                ] {
                    if let Some(value) = value {
                        request = request.query(name, value);
                    }
                }
                Ok(request.query("scope", self.scope.as_str()))
            }
        }
    }

    fn read(&self, _: ApiVersion, success: &Success) -> Result<Vec<SessionEvent>, Error> {
        let mut stream = self.stream();
        stream.handle_bytes(success.body())?;
        Ok(std::iter::from_fn(|| stream.poll_event()).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::ops::testing::{response, sent, signer_for};
    use crate::signing::StringToSign;

    const VERSION: ApiVersion = ApiVersion::V7_20230615;

    #[test]
    fn a_stream_is_asked_for_by_name() {
        let id = KernelId::new("u1").unwrap();
        let subscribe = SubscribeEvents::new()
            .with_session("a b")
            .with_session_id(id)
            .with_owner("AK")
            .with_group("default")
            .with_scope(EventScope::Sessions);
        let (line, body) = sent(&subscribe, VERSION);
        let expected = "GET /events/session?sessionName=a%20b&ownerAccessKey=AK&groupName=default&scope=session";
        assert_eq!((&*line, &*body), (expected, ""));
        let kernels = SubscribeEvents::new().with_scope(EventScope::Kernels);
        assert_eq!(
            sent(&kernels, VERSION).0,
            "GET /events/session?scope=kernel"
        );
    }

    #[test]
    fn what_is_signed_is_what_is_sent() {
        let now = UNIX_EPOCH + Duration::from_secs(1_795_486_930);
        let signer = signer_for(VERSION);
        let request = SubscribeEvents::new().request(&signer, now).unwrap();
        let target = request.uri().path_and_query().unwrap().as_str();
        assert_eq!(target, "/events/session?scope=*");
        let header = |name| request.headers()[name].to_str().unwrap();
        assert_eq!(
            (header("content-type"), header("content-length")),
            ("application/octet-stream", "0")
        );
        let nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let string = StringToSign {
            method: "GET",
            target,
            date: header("date"),
            host: "127.0.0.1:8081",
            media_type: "application/octet-stream",
            version_header: "x-backendai-version",
            version: "v7.20230615",
            body_hash: nothing,
        };
        let key = crate::signing::SigningKey::derive(
            crate::HashAlgorithm::Sha256,
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            b"20261124",
            "127.0.0.1:8081",
        );
        let signature = key.sign(&string);
        assert!(header("authorization").ends_with(&signature.to_string()));
    }

    #[test]
    fn a_stream_that_ended_can_be_read_as_a_whole() {
        let subscribe = SubscribeEvents::new().with_session_id(KernelId::new("u1").unwrap());
        let body = "event: a\ndata: {\"sessionId\": \"u1\"}\n\nevent: b\ndata: {\"sessionId\": \"u2\"}\n\n";
        let events = subscribe
            .read_response(VERSION, response(200, body))
            .unwrap()
            .value;
        assert_eq!((events.len(), &*events[0].name), (1, "a"));
    }

    #[test]
    fn sorna_v2_has_no_events() {
        let error = SubscribeEvents::new()
            .prepare(ApiVersion::V2_20170315)
            .unwrap_err();
        let text = error.to_string();
        assert_eq!(
            text,
            "version v2.20170315 of the API does not support events"
        );
    }

    #[test]
    fn a_page_is_no_stream() {
        let stream_of = |media_type: &'static str| {
            let value = HeaderValue::from_static(media_type);
            SubscribeEvents::new().stream_of(&HeaderMap::from_iter([(CONTENT_TYPE, value)]))
        };
        assert!(stream_of("text/event-stream").is_ok());
        assert!(stream_of("Text/Event-Stream ; charset=utf-8").is_ok());
        assert!(matches!(stream_of("text/html"), Err(Error::Parse(_))));
        let without = SubscribeEvents::new().stream_of(&HeaderMap::new());
        assert!(without.is_ok());
    }
}
