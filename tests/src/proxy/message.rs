//! HTTP messages as bytes, read from a stream.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// A request or a response: its head as received, including the empty line, and its body.
#[derive(Clone, Debug)]
pub struct Message {
    /// The first line and the headers.
    pub head: Vec<u8>,
    /// The body.
    pub body: Vec<u8>,
}

impl Message {
    /// A response with this status and body, and the body's length.
    #[must_use]
    pub fn response(status: &str, content_type: &str, body: &[u8]) -> Self {
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n"
        );
        Self {
            head: head.into_bytes(),
            body: body.to_vec(),
        }
    }

    /// The whole message.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        [self.head.as_slice(), &self.body].concat()
    }

    fn text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.head)
    }

    /// A part of the first line, which is a request's method, target and version.
    fn word(&self, index: usize) -> String {
        let text = self.text();
        let line = text.lines().next().unwrap_or_default();
        line.split(' ').nth(index).unwrap_or_default().to_owned()
    }

    /// A request's method.
    #[must_use]
    pub fn method(&self) -> String {
        self.word(0)
    }

    /// A request's target.
    #[must_use]
    pub fn target(&self) -> String {
        self.word(1)
    }

    /// A response's status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.word(1).parse().unwrap_or_default()
    }

    /// The value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        self.text().lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found
                .eq_ignore_ascii_case(name)
                .then(|| value.trim().to_owned())
        })
    }

    /// Whether events follow its head, as they happen.
    pub(super) fn is_of_events(&self) -> bool {
        self.header("content-type").as_deref() == Some("text/event-stream")
    }

    /// Adds a header line at the end of the head.
    #[must_use]
    pub fn with(mut self, line: &str) -> Self {
        let end = self.head.len().saturating_sub(2);
        self.head.truncate(end);
        self.head.extend_from_slice(line.as_bytes());
        self.head.extend_from_slice(b"\r\n\r\n");
        self
    }

    /// Removes a header.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        let is_kept = |line: &&str| {
            let found = line.split_once(':').map(|(found, _)| found);
            !found.is_some_and(|found| found.eq_ignore_ascii_case(name))
        };
        let kept: String = self
            .text()
            .split_inclusive("\r\n")
            .filter(is_kept)
            .collect();
        self.head = kept.into_bytes();
        self
    }

    /// Replaces a header.
    #[must_use]
    pub fn set(self, name: &str, value: &str) -> Self {
        self.without(name).with(&format!("{name}: {value}"))
    }
}

/// Reads messages, and keeps bytes after the end of one for the next.
#[derive(Debug)]
pub(super) struct Reader<S> {
    pub(super) stream: S,
    pub(super) rest: Vec<u8>,
}

impl<S: AsyncRead + Unpin> Reader<S> {
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream,
            rest: Vec::new(),
        }
    }

    /// Reads more; false at the end.
    pub(super) async fn more(&mut self) -> io::Result<bool> {
        let mut buffer = [0; 16 * 1024];
        let read = self.stream.read(&mut buffer).await?;
        self.rest.extend_from_slice(&buffer[..read]);
        Ok(read > 0)
    }

    async fn head(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(end) = self.rest.windows(4).position(|four| four == b"\r\n\r\n") {
                return Ok(Some(self.rest.drain(..end + 4).collect()));
            }
            if !self.more().await? {
                return Ok(None);
            }
        }
    }

    /// The next request; none if the peer has closed.
    pub(super) async fn request(&mut self) -> io::Result<Option<Message>> {
        self.message(|_| true).await
    }

    /// The next response; none if the peer has closed.
    pub(super) async fn response(&mut self) -> io::Result<Option<Message>> {
        let has_body = |message: &Message| !matches!(message.status(), 100..200 | 204 | 304);
        self.message(has_body).await
    }

    async fn message(
        &mut self,
        has_body: impl FnOnce(&Message) -> bool,
    ) -> io::Result<Option<Message>> {
        let Some(head) = self.head().await? else {
            return Ok(None);
        };
        let mut message = Message {
            head,
            body: Vec::new(),
        };
        assert!(
            message.header("transfer-encoding").is_none() || message.is_of_events(),
            "neither the drivers nor the gateway send chunks, except for events"
        );
        let length = message.header("content-length");
        let length = length.and_then(|length| length.parse().ok()).unwrap_or(0);
        if has_body(&message) {
            while self.rest.len() < length {
                if !self.more().await? {
                    return Ok(None);
                }
            }
            message.body = self.rest.drain(..length).collect();
        }
        Ok(Some(message))
    }
}
