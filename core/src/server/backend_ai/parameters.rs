//! Parameters, which releases read from different places.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use crate::problem::ProblemKind;
use crate::server::problem::ProblemReply;

/// The parameters of a request: those of its query and those of its body.
///
/// Of the parameters that a request has, 23.09 reads the body's alone if there is one, else the query's; 26.9 one or
/// the other, depending on the operation. Here, those in the query take precedence over the body's, so the requests of
/// clients of either release are understood.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parameters {
    query: Vec<(String, String)>,
    body: Map<String, Value>,
}

impl Parameters {
    /// Reads query and body. An empty body has no parameters.
    ///
    /// # Errors
    ///
    /// 400 `generic-bad-request` if the body is not a JSON object.
    pub fn parse(query: Option<&str>, body: &[u8]) -> Result<Self, ProblemReply> {
        let pairs = query
            .unwrap_or_default()
            .split('&')
            .filter(|pair| !pair.is_empty());
        let query = pairs.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        });
        let body = if body.trim_ascii().is_empty() {
            Map::new()
        } else {
            serde_json::from_slice(body).map_err(|error| malformed(&error.to_string()))?
        };
        Ok(Self {
            query: query.collect(),
            body,
        })
    }

    /// A parameter that is text. An empty one in the query counts.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        let in_query = self.query.iter().find(|(key, _)| key == name);
        match (in_query, self.body.get(name)) {
            (Some((_, value)), _) => Some(value.into()),
            (None, Some(Value::String(text))) => Some(text.into()),
            (None, Some(value @ (Value::Number(_) | Value::Bool(_)))) => {
                Some(value.to_string().into())
            }
            _ => None,
        }
    }

    /// A parameter that is text, under the first of these names that it has.
    #[must_use]
    pub fn any_text(&self, names: &[&str]) -> Option<Cow<'_, str>> {
        names.iter().find_map(|name| self.text(name))
    }

    /// A parameter that must be there.
    ///
    /// # Errors
    ///
    /// 400 `generic-bad-request` if it is not.
    pub fn required(&self, name: &str) -> Result<Cow<'_, str>, ProblemReply> {
        self.text(name)
            .ok_or_else(|| invalid(&format!("{name}: Field required")))
    }

    /// A parameter that is a list of texts: repeated in the query, or a list (or one text) in the body. Empty if it is
    /// not there.
    #[must_use]
    pub fn list(&self, name: &str) -> Vec<String> {
        let in_query = self.query.iter().filter(|(key, _)| key == name);
        let list: Vec<String> = in_query.map(|(_, value)| value.clone()).collect();
        if !list.is_empty() {
            return list;
        }
        match self.body.get(name) {
            Some(Value::String(text)) => vec![text.clone()],
            Some(Value::Array(items)) => items
                .iter()
                .filter_map(|item| item.as_str().map(str::to_owned))
                .collect(),
            _ => Vec::new(),
        }
    }
}

/// The error response to a body that is not JSON.
pub(super) fn malformed(detail: &str) -> ProblemReply {
    ProblemKind::GenericBadRequest
        .reply_with(detail)
        .with_title("Malformed request body.")
        .with_error_code("api_parsing_bad-request")
}

/// The error response to a parameter that is missing or of the wrong type.
pub(super) fn invalid(detail: &str) -> ProblemReply {
    ProblemKind::GenericBadRequest
        .reply_with(detail)
        .with_title("Invalid or Missing API Parameters.")
        .with_error_code("api_parsing_invalid-parameters")
}

fn decode(text: &str) -> String {
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_and_body_are_both_read() {
        let parameters = Parameters::parse(Some("path=a%2Fb+c&x&files=1&files=2"), b"").unwrap();
        assert_eq!(parameters.text("path").as_deref(), Some("a/b c"));
        assert_eq!(parameters.text("x").as_deref(), Some(""));
        assert_eq!(parameters.list("files"), ["1", "2"]);
        let body = br#"{"path": "p", "files": ["3", 4, "5"], "n": 7, "null": null}"#;
        let parameters = Parameters::parse(None, body).unwrap();
        assert_eq!(parameters.text("path").as_deref(), Some("p"));
        assert_eq!(parameters.text("n").as_deref(), Some("7"));
        assert_eq!(parameters.any_text(&["null", "path"]).as_deref(), Some("p"));
        assert_eq!(parameters.list("files"), ["3", "5"]);
        assert_eq!(parameters.list("path"), ["p"]);
        let both = Parameters::parse(Some("path=q"), body).unwrap();
        assert_eq!(both.text("path").as_deref(), Some("q"));
        assert!(both.list("none").is_empty());
        assert!(both.required("path").is_ok());
        let problem = both.required("name").unwrap_err();
        assert_eq!(problem.kind(), ProblemKind::GenericBadRequest);
    }

    #[test]
    fn a_body_is_an_object_or_nothing() {
        assert!(Parameters::parse(None, b" \n").is_ok());
        for body in [&b"[]"[..], b"{", b"null", b"\xff"] {
            assert!(Parameters::parse(None, body).is_err(), "{body:?}");
        }
    }
}
