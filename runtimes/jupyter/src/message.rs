//! Messages, whatever carries them.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

/// The version of the protocol that is spoken.
pub(crate) const PROTOCOL: &str = "5.4";
/// The JSON of a header or metadata in which there is nothing.
pub(crate) const EMPTY: &[u8] = b"{}";

/// The channels of a kernel that messages are on.
#[cfg(feature = "server")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Channel {
    Shell,
    Control,
    Stdin,
    Iopub,
}

/// A message to send.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    /// Where it goes: to one client, or over `iopub` to all. Of sockets, each channel has one.
    #[cfg(feature = "server")]
    pub(crate) channel: Channel,
    /// To whom it goes: those of the request, which mean something to what carries messages alone.
    pub(crate) identities: Vec<Bytes>,
    pub(crate) kind: &'static str,
    /// The header of what it follows from, as that came.
    pub(crate) parent: Bytes,
    pub(crate) content: Value,
}

impl Message {
    /// One that follows from nothing.
    pub(crate) fn new(kind: &'static str, content: Value) -> Self {
        Self {
            #[cfg(feature = "server")]
            channel: Channel::Iopub,
            identities: Vec::new(),
            kind,
            parent: Bytes::from_static(EMPTY),
            content,
        }
    }

    /// The same, on this channel.
    #[cfg(feature = "server")]
    pub(crate) fn on(mut self, channel: Channel) -> Self {
        self.channel = channel;
        self
    }

    /// The same, with other identities.
    #[cfg(feature = "kernel")]
    pub(crate) fn to(mut self, identities: Vec<Bytes>) -> Self {
        self.identities = identities;
        self
    }
}

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    identities: Vec<Bytes>,
    pub(crate) header: Bytes,
    kind: String,
    pub(crate) content: Value,
}

/// What is used of a header. The rest goes back as it came.
#[derive(Deserialize)]
struct Header {
    msg_type: String,
}

impl Request {
    /// One of these JSON texts, from whom the identities name; `None` if they are no such texts. Metadata and buffers mean
    /// nothing to any request.
    pub(crate) fn read(identities: Vec<Bytes>, header: &Bytes, content: &[u8]) -> Option<Self> {
        // An array would do for a structure as well.
        if !header.trim_ascii_start().starts_with(b"{") {
            return None;
        }
        let Header { msg_type } = serde_json::from_slice(header).ok()?;
        Some(Self {
            identities,
            kind: msg_type,
            content: serde_json::from_slice(content).ok()?,
            header: header.clone(),
        })
    }

    pub(crate) fn kind(&self) -> &str {
        &self.kind
    }

    pub(crate) fn text(&self, name: &str) -> &str {
        self.content[name].as_str().unwrap_or_default()
    }

    pub(crate) fn flag(&self, name: &str, default: bool) -> bool {
        self.content[name].as_bool().unwrap_or(default)
    }

    /// A position in code. Without one, it is the end.
    pub(crate) fn position(&self) -> usize {
        let position = self.content["cursor_pos"].as_u64();
        let position = position.and_then(|it| usize::try_from(it).ok());
        position.unwrap_or(usize::MAX)
    }

    /// A message that follows from it, to whom it came from.
    pub(crate) fn child(&self, kind: &'static str, content: Value) -> Message {
        Message {
            #[cfg(feature = "server")]
            channel: Channel::Iopub,
            identities: self.identities.clone(),
            kind,
            parent: self.header.clone(),
            content,
        }
    }
}

/// Makes the headers of what a kernel sends.
#[derive(Debug)]
pub(crate) struct Stamp {
    session: String,
    number: AtomicU64,
}

impl Stamp {
    pub(crate) fn new(session: String) -> Self {
        Self {
            session,
            number: AtomicU64::new(0),
        }
    }

    /// That of the next message, which is of this type.
    pub(crate) fn header(&self, kind: &str) -> Value {
        let number = self.number.fetch_add(1, Relaxed);
        json!({
            "msg_id": format!("{}_{number}", self.session),
            "session": self.session,
            "username": "sorna",
            "date": now().to_string(),
            "msg_type": kind,
            "version": PROTOCOL,
        })
    }
}

/// The time.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let micros = since.map_or(0, |since| since.as_micros());
    let time = Timestamp::from_microsecond(i64::try_from(micros).unwrap_or(0));
    time.unwrap_or(Timestamp::UNIX_EPOCH)
}
