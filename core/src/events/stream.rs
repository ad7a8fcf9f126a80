//! Bytes of a response in, events out.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;

use super::event::SessionEvent;
use super::sse::Decoder;
use crate::error::{Error, ParseError};
use crate::ident::KernelId;

/// Makes events of the body of a response to [`SubscribeEvents`](super::SubscribeEvents) while it comes, cut
/// anywhere.
///
/// Managers of Backend.AI send a comment every 15 s, so a connection on which nothing comes for longer is broken.
/// They do not end the stream when the session ends.
///
/// ```
/// use sorna_core::events::EventStream;
///
/// let mut stream = EventStream::new();
/// stream.handle_bytes(b": ping\r\n\r\nevent: session_started\r\nda")?;
/// assert_eq!(stream.poll_event(), None);
/// stream.handle_bytes(b"ta: {\"reason\":\"\",\"sessionName\":\"s1\",\"sessionId\":\"u1\"}\r\n\r\n")?;
/// let event = stream.poll_event().unwrap();
/// assert!(event.is_started());
/// assert_eq!(event.session_name.as_deref(), Some("s1"));
/// # Ok::<(), sorna_core::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct EventStream {
    decoder: Decoder,
    session_id: Option<KernelId>,
    events: VecDeque<SessionEvent>,
    failed: bool,
}

impl EventStream {
    /// A stream of all events that come.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Leaves out events of other sessions than that of this ID. Those that name no session stay.
    #[must_use]
    pub fn with_session_id(mut self, id: KernelId) -> Self {
        self.session_id = Some(id);
        self
    }

    /// Takes the next bytes of the response's body. Poll the events then.
    ///
    /// # Errors
    ///
    /// [`Error::Parse`] if a line or an event is longer than 256 KiB, and every time after that. Events that
    /// came before can still be polled.
    pub fn handle_bytes(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let Self {
            decoder,
            session_id,
            events,
            failed,
        } = self;
        *failed = *failed
            || decoder
                .decode(bytes, |event| {
                    let event = SessionEvent::read(event.name, event.data);
                    if is_of(&event, session_id.as_ref()) {
                        events.push_back(event);
                    }
                })
                .is_err();
        if *failed {
            let expected = "a stream of events of at most 256 KiB each";
            let bytes = Bytes::copy_from_slice(&bytes[..bytes.len().min(EXCERPT)]);
            return Err(ParseError::new(expected, StatusCode::OK, &bytes, None).into());
        }
        Ok(())
    }

    /// What happened, oldest first.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<SessionEvent> {
        self.events.pop_front()
    }

    /// How long the server wants clients to wait before they connect again, if it said. Managers 23.09.10 and
    /// 26.9.6 do not.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.decoder.retry()
    }
}

/// How many bytes an error keeps.
const EXCERPT: usize = 1024;

fn is_of(event: &SessionEvent, session: Option<&KernelId>) -> bool {
    match (session, &event.session_id) {
        (Some(wanted), Some(id)) => wanted.as_str().eq_ignore_ascii_case(id),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(name: &str, id: &str) -> String {
        format!("event: {name}\r\ndata: {{\"sessionId\": \"{id}\"}}\r\n\r\n")
    }

    fn names(stream: &mut EventStream) -> Vec<String> {
        std::iter::from_fn(|| stream.poll_event())
            .map(|event| event.name)
            .collect()
    }

    #[test]
    fn events_of_other_sessions_are_left_out() {
        let mut stream = EventStream::new().with_session_id(KernelId::new("aB").unwrap());
        let text = event("a", "Ab") + &event("b", "cd") + "data: bye\n\n" + &event("c", "aB");
        stream.handle_bytes(text.as_bytes()).unwrap();
        assert_eq!(names(&mut stream), ["a", "message", "c"]);
        let mut all = EventStream::new();
        all.handle_bytes(text.as_bytes()).unwrap();
        assert_eq!(names(&mut all).len(), 4);
    }

    #[test]
    fn a_stream_that_failed_stays_so() {
        let mut stream = EventStream::new();
        let text = event("a", "x") + &"x".repeat(300_000);
        let error = stream.handle_bytes(text.as_bytes()).unwrap_err();
        assert!(matches!(&error, Error::Parse(error) if error.body().len() == EXCERPT));
        assert!(error.to_string().contains("256 KiB"), "{error}");
        assert!(stream.handle_bytes(event("b", "x").as_bytes()).is_err());
        assert_eq!(names(&mut stream), ["a"]);
    }

    #[test]
    fn what_the_server_says_of_connecting_again_is_kept() {
        let mut stream = EventStream::new();
        assert_eq!(stream.retry_after(), None);
        stream.handle_bytes(b"retry: 2\n\n").unwrap();
        assert_eq!(stream.retry_after(), Some(Duration::from_millis(2)));
    }
}
