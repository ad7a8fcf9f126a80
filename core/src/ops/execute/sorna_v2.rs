//! Sorna v2: `POST /v2/kernel/{id}`, without run ids.

use std::fmt;

use bytestring::ByteString;
use http::Method;
use serde::Serialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::mode::{Continuation, ExecuteMode};
use super::result::{ExecutionResult, ResultSeed};
use crate::error::{BuildError, Error};
use crate::ident::KernelId;
use crate::ops::operation::Success;
use crate::unsigned::UnsignedRequest;

#[derive(Serialize)]
struct Body<'a> {
    mode: &'a str,
    code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    options: Option<BatchOptions<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BatchOptions<'a> {
    build: &'a str,
    build_log: bool,
    exec: &'a str,
}

/// A continuation is the same request with the code replaced: by the input, or by nothing. A skipped step is
/// "", since null breaks the original agent.
pub(super) fn prepare(
    kernel: &KernelId,
    mode: &ExecuteMode,
    continuation: &Continuation,
) -> Result<UnsignedRequest, BuildError> {
    let (mode, code, options) = match mode {
        ExecuteMode::Query { code } => ("query", code.as_str(), None),
        ExecuteMode::Batch(batch) => (
            "batch",
            "",
            Some(BatchOptions {
                build: batch.build().unwrap_or(""),
                build_log: batch.build_log(),
                exec: batch.exec().unwrap_or(""),
            }),
        ),
    };
    let code = match continuation {
        Continuation::Start => code,
        Continuation::Continue => "",
        Continuation::Input(text) => text,
    };
    UnsignedRequest::with_room(Method::POST, "/v2/kernel", code.len())
        .segment(kernel.as_str())
        .json(&Body {
            mode,
            code,
            options,
        })
}

pub(super) fn read(success: &Success) -> Result<ExecutionResult, Error> {
    // One check of the whole body for UTF-8, so that the parser need not check each text, and text may
    // stay there.
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
