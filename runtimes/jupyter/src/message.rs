//! Messages, whatever carries them.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use jiff::Timestamp;
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

/// How large a header may be, in bytes. It goes back to all clients, with each message that follows from it.
const MOST_OF_HEADER: usize = 64 * 1024;

impl Request {
    /// One of these JSON texts, from whom the identities name; `None` if they are no such texts. Metadata and buffers mean
    /// nothing to any request.
    pub(crate) fn read(identities: Vec<Bytes>, header: &Bytes, content: &[u8]) -> Option<Self> {
        if header.len() > MOST_OF_HEADER {
            return None;
        }
        // All of it is read, though only the type is used: clients read all of it, and not all of them can do with text that is
        // none, or with values a thousand levels deep.
        let fields: serde_json::Map<String, Value> = serde_json::from_slice(header).ok()?;
        Some(Self {
            identities,
            kind: fields.get("msg_type")?.as_str()?.to_owned(),
            content: readable(content)?,
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

/// JSON, in which what is no text is replaced: bytes that are not UTF-8, and halves of characters, as editors send them.
fn readable(json: &[u8]) -> Option<Value> {
    if let Ok(value) = serde_json::from_slice(json) {
        return Some(value);
    }
    let text = String::from_utf8_lossy(json);
    let mut whole = String::with_capacity(text.len());
    let mut rest = &*text;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        whole.push_str(before);
        let half = |text: &str| {
            let digits = text.strip_prefix("\\u")?.get(..4)?;
            u16::from_str_radix(digits, 16).ok()
        };
        let length = match (half(escape), escape.get(6..).and_then(half)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => 12,
            (Some(0xd800..=0xdfff), _) => {
                whole.push('\u{fffd}');
                rest = &escape[6..];
                continue;
            }
            // What follows the backslash may be one itself.
            _ => 1 + escape[1..].chars().next().map_or(0, char::len_utf8),
        };
        whole.push_str(&escape[..length]);
        rest = &escape[length..];
    }
    whole.push_str(rest);
    serde_json::from_str(&whole).ok()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_text_is_replaced() {
        for (json, code) in [
            (&br#"{"code": "a\ud800b"}"#[..], "a\u{fffd}b"),
            (
                br#"{"code": "\udc00\ud83d\ude00\ud83d"}"#,
                "\u{fffd}\u{1f600}\u{fffd}",
            ),
            (br#"{"code": "\\ud800 \ud800"}"#, "\\ud800 \u{fffd}"),
            (b"{\"code\": \"\xff\"}", "\u{fffd}"),
        ] {
            let value = readable(json).expect("JSON");
            assert_eq!(value["code"], code);
        }
        assert_eq!(readable(br#"{"code": "\ud8"#), None);
    }
}
