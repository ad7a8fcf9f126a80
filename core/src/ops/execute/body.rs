//! The body of a response to an execute request, `{"result": …}`, which dialects share.

use std::fmt;

use bytestring::ByteString;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::result::{ExecutionResult, ResultSeed};
use crate::error::Error;
use crate::ops::operation::Success;

pub(super) fn read(success: &Success) -> Result<ExecutionResult, Error> {
    // The whole body is checked once for UTF-8, so that the parser need not check each text, and
    // text may stay in it.
    let read = match ByteString::try_from(success.body().clone()) {
        Ok(body) => {
            let parser = serde_json::Deserializer::from_str(&body);
            to_end(parser, BodySeed { body: Some(&body) })
        }
        Err(_) => {
            let parser = serde_json::Deserializer::from_slice(success.body());
            to_end(parser, BodySeed { body: None })
        }
    };
    Ok(read.map_err(|error| success.not_json(r#"{"result": {"status": …}}"#, error))?)
}

fn to_end<'de, R: serde_json::de::Read<'de>>(
    mut parser: serde_json::Deserializer<R>,
    seed: BodySeed<'_>,
) -> serde_json::Result<ExecutionResult> {
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
        while let Some(key) = map.next_key::<String>()? {
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
