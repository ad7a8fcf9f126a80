//! Messages as they are on the wire of ZeroMQ: their parts, and their signatures.

use std::collections::HashSet;
use std::fmt;
use std::sync::Mutex;

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;

use crate::lock::lock;
use crate::message::{EMPTY, Message, Request, Stamp};

/// What is between the identities and the signed parts.
const DELIMITER: &[u8] = b"<IDS|MSG>";
/// The parts that are signed: header, header of the parent, metadata, content.
const PARTS: usize = 4;
/// How many signatures are remembered at least, as jupyter_client does.
const REMEMBERED: usize = 64 * 1024;

/// Signs messages, and checks signatures.
pub(super) struct Seal {
    /// `None` if nothing is signed, as an empty key says.
    key: Option<Hmac<Sha256>>,
    stamp: Stamp,
    /// Those of messages that were read: whoever has seen one may send it again without the key.
    seen: Mutex<Seen>,
}

/// The last signatures, of which the first half tells as much.
#[derive(Default)]
struct Seen {
    last: HashSet<u128>,
    before: HashSet<u128>,
}

impl Seen {
    /// Remembers a signature, and at least so many before it; whether it is none of these.
    fn is_new(&mut self, signature: u128, least: usize) -> bool {
        if self.before.contains(&signature) || !self.last.insert(signature) {
            return false;
        }
        if self.last.len() == least {
            self.before = std::mem::take(&mut self.last);
        }
        true
    }
}

impl Seal {
    pub(super) fn new(key: &str, session: String) -> Self {
        let key = (!key.is_empty()).then(|| {
            let key = Hmac::new_from_slice(key.as_bytes());
            key.expect("a key may have any length")
        });
        Self {
            key,
            stamp: Stamp::new(session),
            seen: Mutex::default(),
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
    pub(super) fn close(&self, message: Message) -> Vec<Bytes> {
        let header = self.stamp.header(message.kind);
        let parts: [Bytes; PARTS] = [
            header.to_string().into(),
            message.parent,
            Bytes::from_static(EMPTY),
            json(&message.content).into(),
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
        all
    }

    /// Reads a message; `None` if it is none, its signature is wrong, or it was read already.
    pub(super) fn open(&self, mut identities: Vec<Bytes>) -> Option<Request> {
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
            let half = code.first_chunk().map(|it| u128::from_be_bytes(*it))?;
            if !lock(&self.seen).is_new(half, REMEMBERED) {
                return None;
            }
        }
        Request::read(identities, header, content)
    }
}

/// The JSON of a content, in memory that is large enough from the beginning for long text.
fn json(content: &Value) -> Vec<u8> {
    let text = content["text"].as_str().map_or(0, str::len);
    let mut json = Vec::with_capacity(text + text / 16 + 256);
    serde_json::to_writer(&mut json, content).expect("JSON has a text");
    json
}

/// Without the key.
impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seal").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use serde_json::json;

    use super::*;

    fn parts(seal: &Seal) -> Vec<Bytes> {
        let message = Message::new("execute_request", json!({"code": "1", "cursor_pos": 3}));
        seal.close(message.to(vec![Bytes::from_static(b"client")]))
    }

    #[test]
    fn what_is_signed_with_the_key_is_read() {
        for key in ["a key", ""] {
            let seal = Seal::new(key, "s".to_owned());
            let request = seal.open(parts(&seal)).unwrap();
            assert_eq!(
                (request.kind(), request.text("code"), request.position()),
                ("execute_request", "1", 3)
            );
            let reply = seal.close(request.child("execute_reply", json!({})));
            assert_eq!(
                (&reply[0][..], &reply[4]),
                (&b"client"[..], &request.header)
            );
        }
    }

    #[test]
    fn what_is_sent_again_is_not_read_again() {
        let seal = Seal::new("a key", "s".to_owned());
        let first = parts(&seal);
        assert!(seal.open(first.clone()).is_some());
        assert!(seal.open(first.clone()).is_none());
        // By anyone, and with other buffers.
        let mut other = first.clone();
        other[0] = Bytes::from_static(b"another");
        other.push(Bytes::from_static(b"a buffer"));
        assert!(seal.open(other).is_none());
        // Without a key, nothing tells messages from their copies.
        let open = Seal::new("", "s".to_owned());
        let first = parts(&open);
        assert!(open.open(first.clone()).is_some() && open.open(first).is_some());
    }

    #[test]
    fn only_the_last_ones_are_remembered() {
        let mut seen = Seen::default();
        for number in 0..10 {
            assert!(seen.is_new(number, 4), "{number}");
            for last in number.saturating_sub(3)..=number {
                assert!(!seen.is_new(last, 4), "{last} after {number}");
            }
            assert!(seen.last.len() + seen.before.len() <= 8);
        }
        assert!(seen.is_new(0, 4));
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
        assert_eq!(seal.open(parts.clone()).unwrap().kind(), "x");
        parts[5] = Bytes::from_static(b"{ }");
        assert!(seal.open(parts).is_none());
    }

    #[test]
    fn anything_else_is_not() {
        let seal = Seal::new("a key", "s".to_owned());
        let whole = parts(&seal);
        assert!(
            Seal::new("another", "s".to_owned())
                .open(whole.clone())
                .is_none()
        );
        for number in 1..whole.len() {
            assert!(
                seal.open(whole[..number].to_vec()).is_none(),
                "{number} parts"
            );
            let mut changed = whole.clone();
            changed[number] = Bytes::from_static(b"\xff");
            assert!(seal.open(changed).is_none(), "part {number}");
        }
        // Signed, and not what it must be.
        let open = Seal::new("", "s".to_owned());
        for (part, text) in [(3, "[]"), (3, "{"), (6, "{")] {
            let mut changed = parts(&open);
            changed[part] = Bytes::from_static(text.as_bytes());
            assert!(open.open(changed).is_none(), "part {part}: {text}");
        }
    }

    #[test]
    fn no_key_is_shown() {
        let shown = format!("{:?}", Seal::new("hidden", "s".to_owned()));
        assert!(!shown.contains("hidden"), "{shown}");
    }
}
