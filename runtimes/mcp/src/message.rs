//! Messages as they come, and what answers those that are none.

use rmcp::RoleServer;
use rmcp::model::{ErrorData, JsonRpcError, RequestId};
use rmcp::service::RxJsonRpcMessage;
use serde::Deserialize;
use serde_json::error::Category;

/// What has come.
pub(crate) enum Received {
    Message(Box<RxJsonRpcMessage<RoleServer>>),
    /// What gets no answer: an empty line, or a notification that is not known.
    Nothing,
    /// What is no message, with its answer.
    Refused(JsonRpcError),
}

/// As much of a message as can be read of one that is wrong elsewhere.
#[derive(Default, Deserialize)]
struct Head {
    id: Option<RequestId>,
    method: Option<serde::de::IgnoredAny>,
}

/// What these bytes are.
pub(crate) fn received(bytes: &[u8]) -> Received {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    if bytes.trim_ascii().is_empty() {
        return Received::Nothing;
    }
    let error = match serde_json::from_slice(bytes) {
        Ok(message) => return Received::Message(Box::new(message)),
        Err(error) => error,
    };
    // Text that is no Unicode is not looked at by that.
    let head: Result<Head, _> = serde_json::from_str(&String::from_utf8_lossy(bytes));
    let Head { id, method } = head.unwrap_or_else(|_| Head {
        id: id_in(bytes),
        method: None,
    });
    let is_json = matches!(error.classify(), Category::Data | Category::Io);
    if is_json && id.is_none() && method.is_some() {
        return Received::Nothing;
    }
    let reason = match is_json {
        true => ErrorData::invalid_request(format!("This is no message of MCP: {error}."), None),
        false => ErrorData::parse_error(format!("This cannot be read as JSON: {error}."), None),
    };
    Received::Refused(JsonRpcError::new(id, reason))
}

/// The answer to bytes that are no message that could be read.
pub(crate) fn refusal(bytes: &[u8]) -> JsonRpcError {
    match received(bytes) {
        Received::Refused(refusal) => refusal,
        _ if bytes.trim_ascii().is_empty() => {
            JsonRpcError::new(None, ErrorData::parse_error("There is no message.", None))
        }
        _ => {
            let text = "This is no message of MCP.";
            JsonRpcError::new(None, ErrorData::invalid_request(text, None))
        }
    }
}

/// The answer to what has more bytes than this, of which these are the first and the last ones.
pub(crate) fn too_long(most: usize, beginning: &[u8], end: &[u8]) -> JsonRpcError {
    let text = format!("The message is too long: it may have {most} bytes.");
    let id = id_in(beginning).or_else(|| id_at_end(end));
    JsonRpcError::new(id, ErrorData::invalid_request(text, None))
}

/// The ID with which an object ends, where clients write it last.
fn id_at_end(end: &[u8]) -> Option<RequestId> {
    const NAME: &[u8] = b"\"id\"";
    let at = end.windows(NAME.len()).rposition(|it| it == NAME)?;
    let value = end[at + NAME.len()..]
        .trim_ascii_start()
        .strip_prefix(b":")?;
    let (id, length) = first_value(value)?;
    (value[length..].trim_ascii() == b"}").then_some(id)
}

/// The ID in an object that is cut off or broken, if it comes before that place. A client that gets an error without its ID may wait
/// until its own time limit.
fn id_in(object: &[u8]) -> Option<RequestId> {
    let mut depth = 0;
    let mut at = 0;
    while at < object.len() {
        match object[at] {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            b'"' => {
                let (text, end) = first_value::<String>(&object[at..])?;
                let after = object[at + end..].trim_ascii_start();
                if depth == 1
                    && text == "id"
                    && let Some(value) = after.strip_prefix(b":")
                {
                    return first_value(value).map(|(id, _)| id);
                }
                at += end;
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    None
}

/// The value with which this begins, and where it ends.
fn first_value<T: serde::de::DeserializeOwned>(json: &[u8]) -> Option<(T, usize)> {
    let mut values = serde_json::Deserializer::from_slice(json).into_iter();
    let value = values.next()?.ok()?;
    Some((value, values.byte_offset()))
}

#[cfg(test)]
mod tests {
    use rmcp::model::ErrorCode;

    use super::*;

    #[test]
    fn what_is_no_message_is_refused_by_its_id() {
        let request = |id: &str, text: &[u8]| {
            let head = format!(
                "{{\"jsonrpc\":\"2.0\",{id}\"method\":\"tools/call\",\"params\":{{\"name\":\""
            );
            [head.as_bytes(), text, b"\"}}"].concat()
        };
        let (parse, invalid) = (ErrorCode::PARSE_ERROR, ErrorCode::INVALID_REQUEST);
        let number = Some(RequestId::Number(7));
        for (bytes, id, code) in [
            (request("\"id\":7,", b"\\ud800"), &number, parse),
            (request("\"id\":7,", b"\xff"), &number, parse),
            (request("", b"\xff"), &None, parse),
            (b"no JSON".to_vec(), &None, parse),
            (b"{\"id\":7,".to_vec(), &number, parse),
            (
                b"{\"params\":{\"id\":8},\"a\":[\"id\"], \"id\" : 7, \"x".to_vec(),
                &number,
                parse,
            ),
            (b"{\"params\":{\"id\":8".to_vec(), &None, parse),
            (b"{\"id\":7}".to_vec(), &number, invalid),
            (b"[]".to_vec(), &None, invalid),
        ] {
            let shown = String::from_utf8_lossy(&bytes).into_owned();
            let Received::Refused(refusal) = received(&bytes) else {
                panic!("{shown}");
            };
            assert_eq!((&refusal.id, refusal.error.code), (id, code), "{shown}");
        }
    }

    #[test]
    fn what_is_too_long_is_refused_by_its_id() {
        for (beginning, end, id) in [
            ("{\"id\":7,\"method\":\"a", "\"}", Some(7)),
            ("{\"method\":\"a", "x\"}, \"id\": 7}\r", Some(7)),
            ("{\"method\":\"a", "x, \\\"id\\\":7}\"}", None),
            ("{\"method\":\"a", "\"}", None),
        ] {
            let refusal = too_long(9, beginning.as_bytes(), end.as_bytes());
            assert_eq!(refusal.id, id.map(RequestId::Number), "{end}");
        }
    }

    #[test]
    fn the_rest_is_taken_or_passed_over() {
        for nothing in [
            "",
            "\r",
            "{\"method\":\"textDocument/didOpen\",\"params\":1}",
        ] {
            let is_nothing = matches!(received(nothing.as_bytes()), Received::Nothing);
            assert!(is_nothing, "{nothing}");
        }
        let ping = "\u{feff}{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\r";
        assert!(matches!(received(ping.as_bytes()), Received::Message(_)));
    }
}
