//! The body of a response to an execute request, `{"result": …}`, which dialects share.

use std::fmt;

use bytes::Bytes;
use bytestring::ByteString;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::result::{ExecutionResult, Key, ResultSeed};
use crate::error::Error;
use crate::json;
use crate::ops::operation::Success;

pub(super) fn read(success: &Success) -> Result<ExecutionResult, Error> {
    // The whole body is checked once for UTF-8, so that the parser need not check each text, and
    // text may stay in it.
    let read = |body: &Bytes| match ByteString::try_from(body.clone()) {
        Ok(body) => {
            let parser = serde_json::Deserializer::from_str(&body);
            to_end(parser, BodySeed { body: Some(&body) })
        }
        Err(_) => {
            let parser = serde_json::Deserializer::from_slice(body);
            to_end(parser, BodySeed { body: None })
        }
    };
    let body = success.body();
    let read = read(body).or_else(|error| match json::mended(body) {
        Some(mended) => read(&mended.into()),
        None => Err(error),
    });
    Ok(read.map_err(|error| success.not_json(r#"{"result": {"status": …}}"#, error))?)
}

/// Reads a result that is not inside of another object, whose text may stay in `text`.
pub(super) fn read_bare(text: &ByteString) -> serde_json::Result<ExecutionResult> {
    let read = |text: &ByteString| {
        let parser = serde_json::Deserializer::from_str(text);
        to_end(parser, ResultSeed { body: Some(text) })
    };
    read(text).or_else(|error| {
        let mended = json::mended(text.as_bytes());
        match mended.and_then(|mended| ByteString::try_from(Bytes::from(mended)).ok()) {
            Some(mended) => read(&mended),
            None => Err(error),
        }
    })
}

fn to_end<'de, R, S>(
    mut parser: serde_json::Deserializer<R>,
    seed: S,
) -> serde_json::Result<S::Value>
where
    R: serde_json::de::Read<'de>,
    S: DeserializeSeed<'de>,
{
    let result = seed.deserialize(&mut parser)?;
    parser.end()?;
    Ok(result)
}

/// Reads `{"result": …}`.
struct BodySeed<'b> {
    body: Option<&'b ByteString>,
}

impl<'de> DeserializeSeed<'de> for BodySeed<'_> {
    type Value = ExecutionResult;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for BodySeed<'_> {
    type Value = ExecutionResult;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with an execution result")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut result = None;
        while let Some(Key(key)) = map.next_key()? {
            if key != "result" {
                map.next_value::<IgnoredAny>()?;
            } else if result.is_some() {
                return Err(serde::de::Error::duplicate_field("result"));
            } else {
                result = Some(map.next_value_seed(ResultSeed { body: self.body })?);
            }
        }
        result.ok_or_else(|| serde::de::Error::missing_field("result"))
    }
}
