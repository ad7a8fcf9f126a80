//! The messages of a terminal's WebSocket: JSON, with bytes in base64.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// A message from the client.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// Something was typed.
    Stdin(Bytes),
    /// The window has this size now.
    Resize {
        /// Lines.
        rows: u16,
        /// Columns.
        cols: u16,
    },
    /// Keeps the kernel alive.
    Ping,
    /// Restart the kernel. The terminal continues with the new one.
    Restart,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum RawCommand {
    Stdin { chars: String },
    Resize { rows: u16, cols: u16 },
    Ping,
    Restart,
}

impl Command {
    /// The text of the WebSocket message.
    #[must_use]
    pub fn encode(&self) -> String {
        let raw = match self {
            Self::Stdin(bytes) => RawCommand::Stdin {
                chars: STANDARD.encode(bytes),
            },
            Self::Resize { rows, cols } => RawCommand::Resize {
                rows: *rows,
                cols: *cols,
            },
            Self::Ping => RawCommand::Ping,
            Self::Restart => RawCommand::Restart,
        };
        serde_json::to_string(&raw).expect("commands have string keys and no failing types")
    }

    /// Reads a message as a gateway must; `None` if it is not one.
    #[must_use]
    pub fn decode(text: &str) -> Option<Self> {
        Some(match serde_json::from_str(text).ok()? {
            RawCommand::Stdin { chars } => Self::Stdin(STANDARD.decode(chars).ok()?.into()),
            RawCommand::Resize { rows, cols } => Self::Resize { rows, cols },
            RawCommand::Ping => Self::Ping,
            RawCommand::Restart => Self::Restart,
        })
    }
}

/// A message from the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Message {
    /// Output: any bytes, which may end in the middle of a character.
    Out(Bytes),
    /// Something went wrong: the gateway's message.
    Error(String),
    /// A message of a form that this version does not know, as received.
    Unknown(String),
}

/// Not an enum with a tag: serde would buffer the fields before the tag.
#[derive(Serialize, Deserialize)]
struct RawMessage<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    data: Cow<'a, str>,
}

impl Message {
    /// Reads a message. Anything of an unknown form is kept as [`Message::Unknown`].
    #[must_use]
    pub fn decode(text: &str) -> Self {
        if let Some(bytes) = plain_output(text) {
            return Self::Out(bytes.into());
        }
        let known = serde_json::from_str(text).ok();
        let known = known.and_then(|RawMessage { kind, data }| match &*kind {
            "out" => Some(Self::Out(STANDARD.decode(&*data).ok()?.into())),
            "error" => Some(Self::Error(data.into_owned())),
            _ => None,
        });
        known.unwrap_or_else(|| Self::Unknown(text.to_owned()))
    }

    /// The text of the WebSocket message, as a gateway sends it.
    #[must_use]
    pub fn encode(&self) -> String {
        let (kind, data) = match self {
            Self::Out(bytes) => ("out", STANDARD.encode(bytes).into()),
            Self::Error(data) => ("error", data.as_str().into()),
            Self::Unknown(text) => return text.clone(),
        };
        let kind = kind.into();
        serde_json::to_string(&RawMessage { kind, data })
            .expect("messages have string keys and no failing types")
    }
}

/// The output in a message of the form in which gateways write it; base64 needs no escapes. Every other form is left to
/// `serde_json`, which takes half as long again.
fn plain_output(text: &str) -> Option<Vec<u8>> {
    let data = text
        .strip_prefix(r#"{"type":"out","data":""#)
        .or_else(|| text.strip_prefix(r#"{"type": "out", "data": ""#))?;
    STANDARD.decode(data.strip_suffix(r#""}"#)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_the_documented_json() {
        for (command, text) in [
            (
                Command::Stdin(Bytes::from_static(b"ls\n")),
                r#"{"type":"stdin","chars":"bHMK"}"#,
            ),
            (
                Command::Resize { rows: 24, cols: 80 },
                r#"{"type":"resize","rows":24,"cols":80}"#,
            ),
            (Command::Ping, r#"{"type":"ping"}"#),
            (Command::Restart, r#"{"type":"restart"}"#),
        ] {
            assert_eq!(command.encode(), text);
            assert_eq!(Command::decode(text), Some(command));
        }
        for text in [
            "",
            "[]",
            r#"{"type":"stdin"}"#,
            r#"{"type":"stdin","chars":"a"}"#,
        ] {
            assert_eq!(Command::decode(text), None, "{text}");
        }
    }

    #[test]
    fn messages_are_read_and_others_are_kept() {
        let out = r#"{"type": "out", "data": "w6k="}"#;
        assert_eq!(Message::decode(out), Message::Out("é".into()));
        let error = r#"{"type": "error", "data": "no"}"#;
        assert_eq!(Message::decode(error), Message::Error("no".to_owned()));
        for text in [
            "",
            "garbage",
            r#"{"type":"bell"}"#,
            r#"{"type":"out","data":"%%"}"#,
            r#"{"type":"out","data":null}"#,
        ] {
            assert_eq!(Message::decode(text), Message::Unknown(text.to_owned()));
        }
    }

    #[test]
    fn output_is_decoded_in_every_form_of_json() {
        for text in [
            r#"{"type":"out","data":"aGk="}"#,
            r#"{"type": "out", "data": "aGk="}"#,
            r#"{"data":"aGk=","type":"out"}"#,
            r#" {"type":"out","data":"aGk="} "#,
            r#"{"type":"out","data":"a\u0047k="}"#,
            r#"{"type":"out","data":"aGk=","more":""}"#,
        ] {
            assert_eq!(
                Message::decode(text),
                Message::Out(Bytes::from_static(b"hi"))
            );
        }
    }

    #[test]
    fn a_client_decodes_what_a_gateway_encodes() {
        for message in [
            Message::Out(Bytes::from_static(b"\xff\x00\x1b[0m")),
            Message::Error("é \"quoted\"".to_owned()),
        ] {
            assert_eq!(Message::decode(&message.encode()), message);
        }
    }
}
