//! MIME bundles: the forms of a value or a display, as Jupyter's messages have them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use sorna_core::Media;

/// The media type of plain text, which every bundle should have: some clients show nothing else.
pub const TEXT: &str = "text/plain";

/// A parameter of a media type: the form is JSON, whatever the type is.
const AS_JSON: &str = "; form=json";

/// A bundle of these forms. Without a form that is text, one says what the others are. Forms whose JSON cannot be read are left
/// out.
#[must_use]
pub fn bundle<'m>(forms: impl IntoIterator<Item = &'m Media<'m>>) -> Map<String, Value> {
    let mut bundle = Map::new();
    let mut first = None;
    for form in forms {
        let media_type = plain(form.media_type());
        first.get_or_insert_with(|| media_type.to_owned());
        if let Some(content) = content(media_type, form) {
            bundle.insert(media_type.to_owned(), content);
        }
    }
    if let Some(first) = first
        && !bundle.contains_key(TEXT)
    {
        bundle.insert(TEXT.to_owned(), Value::String(format!("<{first}>")));
    }
    bundle
}

/// A bundle of these forms, and nothing besides.
#[must_use]
pub fn raw<'m>(forms: impl IntoIterator<Item = &'m Media<'m>>) -> Map<String, Value> {
    let forms = forms.into_iter();
    forms
        .filter_map(|form| {
            let media_type = plain(form.media_type());
            Some((media_type.to_owned(), content(media_type, form)?))
        })
        .collect()
}

/// The type without white space and parameters.
fn plain(media_type: &str) -> &str {
    media_type.split(';').next().unwrap_or_default().trim()
}

/// Text and XML as text, JSON as a value, the rest in Base64.
fn content(media_type: &str, form: &Media<'_>) -> Option<Value> {
    if is_json(media_type) || form.media_type().ends_with(AS_JSON) {
        return serde_json::from_slice(&form.bytes()?).ok();
    }
    let text = match form.bytes() {
        Some(bytes) if is_text(media_type) && form.content().starts_with("data:") => {
            String::from_utf8_lossy(&bytes).into_owned()
        }
        _ if is_text(media_type) => form.content().to_owned(),
        _ => encoded(form),
    };
    Some(Value::String(text))
}

/// In Base64.
fn encoded(form: &Media<'_>) -> String {
    let encoded = form.content().strip_prefix("data:");
    let encoded = encoded.and_then(|rest| rest.split_once(";base64,"));
    match (encoded, form.bytes()) {
        // As it is: pictures are large.
        (Some((_, encoded)), _) => encoded.to_owned(),
        (None, Some(bytes)) => STANDARD.encode(bytes),
        (None, None) => form.content().to_owned(),
    }
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
            ("application/x-own; form=json", "{\"c\": 3}"),
            ("application/vnd.own+json; form=json", "\"text\""),
        ]);
        assert_eq!(
            all,
            json!({
                "text/plain": "x", "image/png": "iVBORw==", "image/svg+xml": "<svg/>", "text/html": "data: is text",
                "application/json": {"a": 1}, "application/vnd.vega.v5+json": {"b": [2]},
                "application/javascript": "alert()", "image/jpeg": "YWJj", "application/x-own": {"c": 3},
                "application/vnd.own+json": "text",
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
        let forms = [Media::new("text/html", "<b>")];
        assert_eq!(Value::Object(raw(&forms)), json!({"text/html": "<b>"}));
    }

    #[test]
    fn json_that_is_none_is_left_out() {
        let url = "data:application/json;base64,TmFO";
        for content in ["{", "NaN", url, "data:application/json,x"] {
            let forms = [("application/json", content), ("text/plain", "x")];
            assert_eq!(of(&forms), json!({"text/plain": "x"}), "{content}");
        }
        let alone = of(&[("application/vnd.plotly.v1+json", url)]);
        assert_eq!(
            alone,
            json!({"text/plain": "<application/vnd.plotly.v1+json>"})
        );
    }
}
