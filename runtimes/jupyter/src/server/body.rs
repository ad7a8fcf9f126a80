//! The bodies of requests, and IDs.

use serde_json::{Map, Value};

use super::reply::Problem;

/// The object of a body; `None` if that is empty.
pub(super) fn object(body: &[u8]) -> Result<Option<Map<String, Value>>, Problem> {
    if body.trim_ascii().is_empty() {
        return Ok(None);
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => Ok(Some(object)),
        Ok(Value::Null) => Ok(None),
        _ => Err(Problem::bad("Invalid JSON in body of request")),
    }
}

/// A field that is text, or not there.
pub(super) fn text<'m>(
    model: &'m Map<String, Value>,
    field: &str,
) -> Result<Option<&'m str>, Problem> {
    match model.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Problem::bad(format!("{field} must be a text"))),
    }
}

/// A random ID, as Jupyter has them (version 4 of RFC 9562).
pub(super) fn new_id() -> String {
    let digits = sorna::random_token().to_string();
    format!(
        "{}-{}-4{}-a{}-{}",
        &digits[..8],
        &digits[8..12],
        &digits[13..16],
        &digits[17..20],
        &digits[20..32]
    )
}

/// Whether it is an ID as Jupyter takes them.
pub(super) fn is_id(text: &str) -> bool {
    let is_word = |part: &str| {
        !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    text.len() <= 128 && text.split('-').count() == 5 && text.split('-').all(is_word)
}
