//! Messages as they are on a WebSocket, in both of its subprotocols.

use bytes::Bytes;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio_tungstenite::tungstenite::Message as Frame;

use crate::message::{Channel, EMPTY};

/// The name of the subprotocol whose messages are binary.
pub(super) const V1: &str = "v1.kernel.websocket.jupyter.org";
/// The most parts of a message.
const MOST_PARTS: usize = 1024;

/// How messages are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// As JSON. Those with buffers are binary, with JSON as their first part.
    Json,
    /// As parts, after their offsets.
    V1,
}

/// A message from a client.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Incoming {
    pub(super) channel: Channel,
    pub(super) header: Bytes,
    pub(super) content: Bytes,
}

/// A message to clients: JSON texts.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) channel: Channel,
    pub(super) kind: &'static str,
    pub(super) id: String,
    pub(super) header: Bytes,
    pub(super) parent: Bytes,
    pub(super) content: Bytes,
}

fn name(channel: Channel) -> &'static str {
    match channel {
        Channel::Shell => "shell",
        Channel::Control => "control",
        Channel::Stdin => "stdin",
        Channel::Iopub => "iopub",
    }
}

/// The channel of this name. Clients send nothing over `iopub`.
fn channel(name: &str) -> Option<Channel> {
    match name {
        "shell" => Some(Channel::Shell),
        "control" => Some(Channel::Control),
        "stdin" => Some(Channel::Stdin),
        _ => None,
    }
}

impl Outgoing {
    /// How many bytes it has.
    pub(super) fn len(&self) -> usize {
        self.header.len() + self.parent.len() + self.content.len()
    }

    pub(super) fn frame(&self, protocol: Protocol) -> Frame {
        match protocol {
            Protocol::Json => Frame::text(self.json()),
            Protocol::V1 => Frame::binary(self.parts()),
        }
    }

    fn json(&self) -> String {
        let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
        let (header, parent, content) =
            (text(&self.header), text(&self.parent), text(&self.content));
        format!(
            r#"{{"header":{header},"msg_id":"{}","msg_type":"{}","parent_header":{parent},"metadata":{{}},"content":{content},"buffers":[],"channel":"{}"}}"#,
            self.id,
            self.kind,
            name(self.channel)
        )
    }

    fn parts(&self) -> Vec<u8> {
        let parts: [&[u8]; 5] = [
            name(self.channel).as_bytes(),
            &self.header,
            &self.parent,
            EMPTY,
            &self.content,
        ];
        // Of each part, and of the end.
        let count = parts.len() + 1;
        let mut offset = 8 * (count + 1);
        let mut message = Vec::with_capacity(offset + self.len() + 16);
        message.extend((count as u64).to_le_bytes());
        message.extend((offset as u64).to_le_bytes());
        for part in parts {
            offset += part.len();
            message.extend((offset as u64).to_le_bytes());
        }
        for part in parts {
            message.extend(part);
        }
        message
    }
}

/// Reads a message of a client.
///
/// # Errors
///
/// What is wrong with it.
pub(super) fn read(protocol: Protocol, frame: Frame) -> Result<Incoming, &'static str> {
    match (protocol, frame) {
        (Protocol::Json, Frame::Text(text)) => read_json(text.as_str()),
        (Protocol::Json, Frame::Binary(bytes)) => read_with_buffers(&bytes),
        (Protocol::V1, Frame::Binary(bytes)) => read_parts(&bytes),
        _ => Err("this subprotocol has binary messages alone"),
    }
}

/// What is used of a message in JSON. Metadata, buffers and the header of a parent mean nothing to requests.
#[derive(serde::Deserialize)]
struct Whole<'j> {
    #[serde(borrow)]
    header: &'j RawValue,
    #[serde(borrow)]
    content: Option<&'j RawValue>,
    channel: Option<Value>,
}

fn read_json(text: &str) -> Result<Incoming, &'static str> {
    let whole: Whole<'_> = serde_json::from_str(text).map_err(|_| "no message in JSON")?;
    let channel = match &whole.channel {
        // As Jupyter's own server has it.
        None | Some(Value::Null) => Channel::Shell,
        Some(name) => name.as_str().and_then(channel).ok_or("no such channel")?,
    };
    let bytes = |json: &RawValue| Bytes::copy_from_slice(json.get().as_bytes());
    Ok(Incoming {
        channel,
        header: bytes(whole.header),
        content: whole.content.map_or(Bytes::from_static(EMPTY), bytes),
    })
}

/// A message whose first part is JSON: the number of parts and their offsets are before it.
fn read_with_buffers(bytes: &[u8]) -> Result<Incoming, &'static str> {
    const WRONG: &str = "no message with buffers";
    let number = |at: usize| {
        let bytes = bytes.get(4 * at..4 * at + 4)?;
        usize::try_from(u32::from_be_bytes(bytes.try_into().ok()?)).ok()
    };
    let count = number(0).filter(|count| (1..=MOST_PARTS).contains(count));
    let count = count.ok_or(WRONG)?;
    let start = number(1).ok_or(WRONG)?;
    let end = match count {
        1 => bytes.len(),
        _ => number(2).ok_or(WRONG)?,
    };
    let json = bytes.get(start..end).ok_or(WRONG)?;
    read_json(std::str::from_utf8(json).map_err(|_| WRONG)?)
}

fn read_parts(bytes: &Bytes) -> Result<Incoming, &'static str> {
    const WRONG: &str = "no message in parts";
    let number = |at: usize| {
        let bytes = bytes.get(8 * at..8 * at + 8)?;
        usize::try_from(u64::from_le_bytes(bytes.try_into().ok()?)).ok()
    };
    // The channel, four parts of JSON, buffers if there are any, and the end.
    let count = number(0).filter(|count| (6..=MOST_PARTS).contains(count));
    let count = count.ok_or(WRONG)?;
    let part = |at: usize| {
        let (start, end) = (number(at + 1)?, number(at + 2)?);
        (start >= 8 * (count + 1) && start <= end && end <= bytes.len())
            .then(|| bytes.slice(start..end))
    };
    let parts: Option<Vec<Bytes>> = (0..5).map(part).collect();
    let parts = parts.ok_or(WRONG)?;
    let [name, header, _, _, content] = &*parts else {
        return Err(WRONG);
    };
    let name = std::str::from_utf8(name).map_err(|_| WRONG)?;
    Ok(Incoming {
        channel: channel(name).ok_or("no such channel")?,
        // It is kept for long, and would keep all of the message.
        header: Bytes::copy_from_slice(header),
        content: content.clone(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    fn outgoing() -> Outgoing {
        Outgoing {
            channel: Channel::Shell,
            kind: "execute_reply",
            id: "a_1".to_owned(),
            header: Bytes::from_static(br#"{"msg_id":"a_1","msg_type":"execute_reply"}"#),
            parent: Bytes::from_static(br#"{"msg_id": "m"}"#),
            content: Bytes::from_static(b"{\"text\":\"\\u00e9\"}"),
        }
    }

    #[test]
    fn both_subprotocols_carry_the_same() {
        let sent = outgoing();
        for protocol in [Protocol::Json, Protocol::V1] {
            let read = read(protocol, sent.frame(protocol)).unwrap();
            assert_eq!(
                (read.channel, read.header, read.content),
                (sent.channel, sent.header.clone(), sent.content.clone()),
                "{protocol:?}"
            );
        }
        let json: Value = serde_json::from_str(&sent.json()).unwrap();
        assert_eq!(json["parent_header"]["msg_id"], "m");
        assert_eq!(json["channel"], "shell");
    }

    #[test]
    fn json_may_have_buffers_and_no_channel() {
        let json = br#"{"header":{"msg_type":"comm_msg"},"content":{}}"#;
        let mut message = Vec::new();
        for number in [2, 12, 12 + u32::try_from(json.len()).unwrap()] {
            message.extend(number.to_be_bytes());
        }
        message.extend(json);
        message.extend(b"buffer");
        let read = read(Protocol::Json, Frame::binary(message)).unwrap();
        assert_eq!(read.channel, Channel::Shell);
        assert_eq!(&read.header[..], br#"{"msg_type":"comm_msg"}"#);
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "{",
            "[]",
            "null",
            r#"{"header":1,"content":{},"channel":"iopub"}"#,
            r#"{"content":{}}"#,
        ] {
            assert!(read(Protocol::Json, Frame::text(text)).is_err(), "{text}");
        }
        assert!(read(Protocol::V1, Frame::text("{}")).is_err());
        let whole = outgoing().parts();
        for length in 0..whole.len() {
            let frame = Frame::binary(whole[..length].to_vec());
            assert!(read(Protocol::V1, frame.clone()).is_err(), "{length}");
            assert!(read(Protocol::Json, frame).is_err(), "{length}");
        }
        // Each byte of the offsets, as large as it can be.
        for at in 0..56 {
            let mut changed = whole.clone();
            changed[at] = 0xff;
            let _ = read(Protocol::V1, Frame::binary(changed.clone()));
            let _ = read(Protocol::Json, Frame::binary(changed));
        }
    }
}
