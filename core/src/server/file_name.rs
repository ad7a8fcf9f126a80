//! The name of an uploaded file, from the header of its part.

use percent_encoding::percent_decode_str;

/// Reads the file name out of a `Content-Disposition` value: `filename*` (RFC 8187) takes
/// precedence over `filename`, and quoted strings may contain escapes. `None` if there is none, or
/// it is not UTF-8.
///
/// ```
/// use sorna_core::server::upload_file_name;
///
/// let value = r#"form-data; name="src"; filename="a_.txt"; filename*=UTF-8''a%22.txt"#;
/// assert_eq!(upload_file_name(value).as_deref(), Some("a\".txt"));
/// ```
#[must_use]
pub fn upload_file_name(disposition: &str) -> Option<String> {
    let mut rest = disposition.split_once(';')?.1;
    let mut plain = None;
    while let Some(end) = rest.find([';', '=']) {
        let (name, after) = (rest[..end].trim(), &rest[end + 1..]);
        if rest[end..].starts_with(';') {
            // A parameter without a value, or the rest after a quoted string.
            rest = after;
            continue;
        }
        let (value, after) = parameter_value(after.trim_start());
        match name {
            name if name.eq_ignore_ascii_case("filename*") => return extended_value(&value),
            name if name.eq_ignore_ascii_case("filename") => plain = Some(value),
            _ => {}
        }
        rest = after;
    }
    plain
}

/// A token or a quoted string, and the rest after it.
fn parameter_value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(';').unwrap_or(text.len());
        let (value, rest) = text.split_at(end);
        return (value.trim().to_owned(), rest.trim_start_matches(';'));
    };
    let mut value = String::new();
    let mut escaped = false;
    for (at, c) in quoted.char_indices() {
        match c {
            _ if escaped => {
                value.push(c);
                escaped = false;
            }
            '\\' => escaped = true,
            '"' => return (value, &quoted[at + 1..]),
            _ => value.push(c),
        }
    }
    (value, "")
}

/// `UTF-8'language'percent-encoded`
fn extended_value(value: &str) -> Option<String> {
    let (charset, rest) = value.split_once('\'')?;
    let (_, encoded) = rest.split_once('\'')?;
    if !charset.eq_ignore_ascii_case("utf-8") {
        return None;
    }
    let name = percent_decode_str(encoded).decode_utf8().ok()?;
    Some(name.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_seen_on_the_wire() {
        for (value, name) in [
            (
                r#"form-data; name="src"; filename="main.c""#,
                Some("main.c"),
            ),
            (
                r#"form-data; name="src"; filename="a;b=c.txt""#,
                Some("a;b=c.txt"),
            ),
            (
                r#"form-data; filename="a\"b\\c"; name="src""#,
                Some(r#"a"b\c"#),
            ),
            ("form-data; name=src; filename=plain.txt", Some("plain.txt")),
            ("form-data; filename*=utf-8''a%2Fb%C3%A9", Some("a/bé")),
            (r#"form-data; filename*=utf-8''x; filename="y""#, Some("x")),
            (
                r#"form-data; filename="y"; filename*=UTF-8'en'x"#,
                Some("x"),
            ),
            ("form-data; filename*=latin-1''x", None),
            ("form-data; filename*=utf-8''%ff", None),
            (r#"form-data; name="src""#, None),
            (r#"form-data; foo; filename="x""#, Some("x")),
            (r#"form-data; name="src" ; filename = x ; foo"#, Some("x")),
            ("form-data; foo", None),
            ("form-data", None),
            (r#"form-data; filename="open"#, Some("open")),
        ] {
            assert_eq!(upload_file_name(value).as_deref(), name, "{value}");
        }
    }
}
