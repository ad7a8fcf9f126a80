//! A console as JSON.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::ser::{Serialize, SerializeSeq, Serializer};

use super::{Console, Record, unclaimed};

impl Serialize for Console {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter_exact())
    }
}

impl Serialize for Record<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Stdout(text) => ("stdout", text).serialize(serializer),
            Self::Stderr(text) => ("stderr", text).serialize(serializer),
            Self::StdoutBytes(bytes) => {
                ("stdout-bytes", STANDARD.encode(bytes)).serialize(serializer)
            }
            Self::StderrBytes(bytes) => {
                ("stderr-bytes", STANDARD.encode(bytes)).serialize(serializer)
            }
            Self::Html(text) => ("html", text).serialize(serializer),
            Self::Media(media) => {
                ("media", (media.media_type(), media.content())).serialize(serializer)
            }
            Self::Value(value) => value.serialize(serializer),
            Self::Unclaimed(console) => (unclaimed::NAME, console).serialize(serializer),
            Self::Log {
                level,
                time,
                logger,
                message,
            } => ("log", (level, time, logger, message)).serialize(serializer),
            // A record without a kind was not an array: its one value is the record.
            Self::Unknown { kind, values } if kind.is_empty() && values.len() == 1 => {
                values[0].serialize(serializer)
            }
            Self::Unknown { kind, values } => {
                let mut seq = serializer.serialize_seq(Some(1 + values.len()))?;
                seq.serialize_element(kind)?;
                for value in values {
                    seq.serialize_element(value)?;
                }
                seq.end()
            }
        }
    }
}
