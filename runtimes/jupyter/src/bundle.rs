//! MIME bundles: the forms of a value or a display, as Jupyter's messages have them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use sorna_core::Media;

/// The media type of plain text, which every bundle should have: some clients show nothing else.
pub const TEXT: &str = "text/plain";

/// A bundle of these forms. Without a form that is text, one says what the others are.
#[must_use]
pub fn bundle<'m>(forms: impl IntoIterator<Item = &'m Media<'m>>) -> Map<String, Value> {
    let mut bundle = Map::new();
    let mut first = None;
    for form in forms {
        let media_type = plain(form.media_type());
        first.get_or_insert_with(|| media_type.to_owned());
        bundle.insert(media_type.to_owned(), content(media_type, form));
    }
    if let Some(first) = first
        && !bundle.contains_key(TEXT)
    {
        bundle.insert(TEXT.to_owned(), Value::String(format!("<{first}>")));
    }
    bundle
}

/// The type without white space and parameters.
fn plain(media_type: &str) -> &str {
    media_type.split(';').next().unwrap_or_default().trim()
}

/// Text and XML as text, JSON as a value, the rest in Base64.
fn content(media_type: &str, form: &Media<'_>) -> Value {
    if is_json(media_type) {
        let bytes = form.bytes();
        let value = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        return value.unwrap_or_else(|| Value::String(form.content().to_owned()));
    }
    if is_text(media_type) {
        return match form.bytes() {
            Some(bytes) if form.content().starts_with("data:") => {
                Value::String(String::from_utf8_lossy(&bytes).into_owned())
            }
            _ => Value::String(form.content().to_owned()),
        };
    }
    let encoded = form.content().strip_prefix("data:");
    let encoded = encoded.and_then(|rest| rest.split_once(";base64,"));
    Value::String(match (encoded, form.bytes()) {
        // As it is: pictures are large.
        (Some((_, encoded)), _) => encoded.to_owned(),
        (None, Some(bytes)) => STANDARD.encode(bytes),
        (None, None) => form.content().to_owned(),
    })
}

fn is_json(media_type: &str) -> bool {
    media_type == "application/json"
        || media_type.starts_with("application/") && media_type.ends_with("+json")
}

fn is_text(media_type: &str) -> bool {
    media_type.starts_with("text/")
        || media_type.ends_with("/xml")
        || media_type.ends_with("+xml")
        || matches!(media_type, "application/javascript" | "application/x-latex")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(forms: &[(&str, &str)]) -> Value {
        let forms: Vec<_> = forms
            .iter()
            .map(|(kind, it)| Media::new(*kind, *it))
            .collect();
        Value::Object(bundle(&forms))
    }

    #[test]
    fn each_form_is_as_jupyter_has_it() {
        let all = of(&[
            ("text/plain", "x"),
            ("image/png", "data:image/png;base64,iVBORw=="),
            ("image/svg+xml", "<svg/>"),
            ("text/html", "data: is text"),
            (
                "application/json",
                "data:application/json;base64,eyJhIjogMX0=",
            ),
            ("application/vnd.vega.v5+json", "{\"b\": [2]}"),
            (
                "application/javascript",
                "data:application/javascript;base64,YWxlcnQoKQ==",
            ),
            ("image/jpeg; q=1", "data:image/jpeg,abc"),
        ]);
        assert_eq!(
            all,
            json!({
                "text/plain": "x", "image/png": "iVBORw==", "image/svg+xml": "<svg/>", "text/html": "data: is text",
                "application/json": {"a": 1}, "application/vnd.vega.v5+json": {"b": [2]},
                "application/javascript": "alert()", "image/jpeg": "YWJj",
            })
        );
    }

    #[test]
    fn there_is_always_text() {
        let picture = of(&[("image/png", "data:image/png;base64,iVBORw==")]);
        assert_eq!(
            picture,
            json!({"image/png": "iVBORw==", "text/plain": "<image/png>"})
        );
        assert_eq!(of(&[]), json!({}));
    }

    #[test]
    fn json_that_is_none_stays_text() {
        let text = of(&[("application/json", "{")]);
        assert_eq!(text["application/json"], json!("{"));
    }
}
