//! Messages as they are on the wire: their parts, and their signatures.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::Sha256;
use zeromq::ZmqMessage;

/// The version of the protocol that is spoken.
pub(crate) const PROTOCOL: &str = "5.4";
/// What is between the identities and the signed parts.
const DELIMITER: &[u8] = b"<IDS|MSG>";
/// The parts that are signed: header, header of the parent, metadata, content.
const PARTS: usize = 4;
const EMPTY: &[u8] = b"{}";

/// A message to send.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    identities: Vec<Bytes>,
    kind: &'static str,
    /// The header of what it follows from, as that came.
    parent: Bytes,
    content: Value,
}

impl Message {
    /// One that follows from nothing.
    pub(crate) fn new(kind: &'static str, content: Value) -> Self {
        Self {
            identities: Vec::new(),
            kind,
            parent: Bytes::from_static(EMPTY),
            content,
        }
    }

    /// The same, with other parts in front.
    pub(crate) fn to(mut self, identities: Vec<Bytes>) -> Self {
        self.identities = identities;
        self
    }

    pub(crate) fn kind(&self) -> &'static str {
        self.kind
    }
}

/// A request, whose signature is right.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    identities: Vec<Bytes>,
    header: Bytes,
    kind: String,
    pub(crate) content: Value,
}

/// What is used of a header. The rest goes back as it came.
#[derive(Deserialize)]
struct Header {
    msg_type: String,
}

impl Request {
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
            identities: self.identities.clone(),
            kind,
            parent: self.header.clone(),
            content,
        }
    }
}

/// Signs messages, and checks signatures.
pub(crate) struct Seal {
    /// `None` if nothing is signed, as an empty key says.
    key: Option<Hmac<Sha256>>,
    session: String,
    number: AtomicU64,
}

impl Seal {
    pub(crate) fn new(key: &str, session: String) -> Self {
        let key = (!key.is_empty()).then(|| {
            let key = Hmac::new_from_slice(key.as_bytes());
            key.expect("a key may have any length")
        });
        Self {
            key,
            session,
            number: AtomicU64::new(0),
        }
    }

    fn signed<'p>(&self, parts: impl IntoIterator<Item = &'p Bytes>) -> Option<Hmac<Sha256>> {
        let mut key = self.key.clone()?;
        for part in parts {
            key.update(part);
        }
        Some(key)
    }

    /// Puts a message into parts.
    pub(crate) fn close(&self, message: Message) -> ZmqMessage {
        let number = self.number.fetch_add(1, Relaxed);
        let header = json!({
            "msg_id": format!("{}_{number}", self.session),
            "session": self.session,
            "username": "sorna",
            "date": now(),
            "msg_type": message.kind,
            "version": PROTOCOL,
        });
        let parts: [Bytes; PARTS] = [
            header.to_string().into(),
            message.parent,
            Bytes::from_static(EMPTY),
            message.content.to_string().into(),
        ];
        let signature = match self.signed(&parts) {
            Some(signed) => {
                let mut text = [0; 64];
                let code = signed.finalize().into_bytes();
                let text = base16ct::lower::encode(&code, &mut text);
                text.map_or_else(|_| Bytes::new(), Bytes::copy_from_slice)
            }
            None => Bytes::new(),
        };
        let mut all = message.identities;
        all.extend([Bytes::from_static(DELIMITER), signature]);
        all.extend(parts);
        ZmqMessage::try_from(all).expect("there are parts")
    }

    /// Reads a message; `None` if it is none, or its signature is wrong.
    pub(crate) fn open(&self, parts: ZmqMessage) -> Option<Request> {
        let mut identities = parts.into_vec();
        let delimiter = identities.iter().position(|part| part == DELIMITER)?;
        let parts = identities.split_off(delimiter);
        // What follows these are buffers, which are not signed, and not used.
        let [_, signature, header, parent, metadata, content, ..] = &*parts else {
            return None;
        };
        if let Some(signed) = self.signed([header, parent, metadata, content]) {
            let mut code = [0; 32];
            let code = base16ct::lower::decode(signature, &mut code).ok()?;
            // In constant time.
            signed.verify_slice(code).ok()?;
        }
        let Header { msg_type } = serde_json::from_slice(header).ok()?;
        Some(Request {
            identities,
            kind: msg_type,
            content: serde_json::from_slice(content).ok()?,
            header: header.clone(),
        })
    }
}

/// Without the key.
impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seal").finish_non_exhaustive()
    }
}

/// The time in ISO 8601.
fn now() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let micros = since.map_or(0, |since| since.as_micros());
    let time = Timestamp::from_microsecond(i64::try_from(micros).unwrap_or(0));
    time.map_or_else(|_| String::new(), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    fn parts(seal: &Seal) -> Vec<Bytes> {
        let message = Message::new("execute_request", json!({"code": "1", "cursor_pos": 3}));
        seal.close(message.to(vec![Bytes::from_static(b"client")]))
            .into_vec()
    }

    fn read(seal: &Seal, parts: Vec<Bytes>) -> Option<Request> {
        seal.open(ZmqMessage::try_from(parts).ok()?)
    }

    #[test]
    fn what_is_signed_with_the_key_is_read() {
        for key in ["a key", ""] {
            let seal = Seal::new(key, "s".to_owned());
            let request = read(&seal, parts(&seal)).unwrap();
            assert_eq!(
                (request.kind(), request.text("code"), request.position()),
                ("execute_request", "1", 3)
            );
            let reply = seal
                .close(request.child("execute_reply", json!({})))
                .into_vec();
            assert_eq!(
                (&reply[0][..], &reply[4]),
                (&b"client"[..], &request.header)
            );
        }
    }

    #[test]
    fn signatures_are_those_of_jupyter() {
        let seal = Seal::new("key", "s".to_owned());
        let mut parts: Vec<Bytes> = vec![Bytes::from_static(DELIMITER), Bytes::new()];
        for part in [r#"{"msg_type":"x"}"#, "{}", "{}", "{}"] {
            parts.push(Bytes::from_static(part.as_bytes()));
        }
        // By `hmac.new(b"key", b'{"msg_type":"x"}{}{}{}', "sha256").hexdigest()` of Python.
        parts[1] =
            Bytes::from_static(b"2282ffffd6e72182b2147b922df4101295f0e2d918c7acf0eeda19c870533a00");
        assert_eq!(read(&seal, parts.clone()).unwrap().kind(), "x");
        parts[5] = Bytes::from_static(b"{ }");
        assert!(read(&seal, parts).is_none());
    }

    #[test]
    fn anything_else_is_not() {
        let seal = Seal::new("a key", "s".to_owned());
        let whole = parts(&seal);
        assert!(read(&Seal::new("another", "s".to_owned()), whole.clone()).is_none());
        for number in 1..whole.len() {
            assert!(
                read(&seal, whole[..number].to_vec()).is_none(),
                "{number} parts"
            );
            let mut changed = whole.clone();
            changed[number] = Bytes::from_static(b"\xff");
            assert!(read(&seal, changed).is_none(), "part {number}");
        }
        // Signed, and not what it must be.
        let open = Seal::new("", "s".to_owned());
        for (part, text) in [(3, "[]"), (3, "{"), (6, "{")] {
            let mut changed = parts(&open);
            changed[part] = Bytes::from_static(text.as_bytes());
            assert!(read(&open, changed).is_none(), "part {part}: {text}");
        }
    }

    #[test]
    fn no_key_is_shown() {
        let shown = format!("{:?}", Seal::new("hidden", "s".to_owned()));
        assert!(!shown.contains("hidden"), "{shown}");
    }
}
