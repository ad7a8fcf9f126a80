//! The form with the files, `multipart/form-data`, which dialects share.

use std::borrow::Cow;

use http::HeaderValue;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::file::{Boundary, UploadFile};
use crate::body::{Body, Segment};
use crate::unsigned::UnsignedRequest;

/// The request with a form of these files as its body, and with their modes if these are sent.
pub(super) fn with_files(
    request: UnsignedRequest,
    files: &[UploadFile],
    boundary: Boundary,
    modes: bool,
) -> UnsignedRequest {
    let boundary = boundary.to_string();
    let content_type = HeaderValue::try_from(format!("multipart/form-data; boundary={boundary}"))
        .expect("a boundary is made of letters, digits and dashes");
    request.multipart(content_type, encode(files, &boundary, modes))
}

/// The multipart body: framing as bytes, contents as separate segments.
fn encode(files: &[UploadFile], boundary: &str, modes: bool) -> Body {
    let mut segments = Vec::with_capacity(2 * files.len() + 1);
    let files = files.iter();
    let files = files.filter(|file| modes || !file.is_directory());
    let mut line_end = "";
    for file in files {
        let mode = file.file_mode().filter(|_| modes);
        let mode = mode.map_or_else(String::new, |mode| format!("Sorna-File-Mode: {mode}\r\n"));
        let head = format!(
            "{line_end}--{boundary}\r\n\
             Content-Disposition: form-data; name=\"src\"; {}\r\n\
             Content-Type: application/octet-stream\r\n{mode}\r\n",
            file_name_parameter(file.name())
        );
        segments.push(Segment::Bytes(head.into()));
        segments.push(file.segment());
        line_end = "\r\n";
    }
    let tail = format!("{line_end}--{boundary}--\r\n");
    segments.push(Segment::Bytes(tail.into()));
    Body::from_segments(segments)
}

/// `filename="…"`; for names that a quoted string cannot express safely, also `filename*` (RFC
/// 8187), which takes precedence in the original gateway.
fn file_name_parameter(name: &str) -> Cow<'_, str> {
    let plain = |c: char| c == ' ' || (c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '%'));
    if name.chars().all(plain) {
        return format!("filename=\"{name}\"").into();
    }
    let fallback: String = name
        .chars()
        .map(|c| if plain(c) { c } else { '_' })
        .collect();
    format!(
        "filename=\"{fallback}\"; filename*=UTF-8''{}",
        utf8_percent_encode(name, NON_ALPHANUMERIC)
    )
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_breaks_the_framing() {
        for (name, parameter) in [
            ("a b.txt", r#"filename="a b.txt""#),
            ("a\"b", r#"filename="a_b"; filename*=UTF-8''a%22b"#),
            (
                "a\r\nX: y",
                "filename=\"a__X: y\"; filename*=UTF-8''a%0D%0AX%3A%20y",
            ),
            ("100%41", "filename=\"100_41\"; filename*=UTF-8''100%2541"),
            (
                "é/😀",
                "filename=\"_/_\"; filename*=UTF-8''%C3%A9%2F%F0%9F%98%80",
            ),
        ] {
            assert_eq!(file_name_parameter(name), parameter);
            #[cfg(feature = "server")]
            assert_eq!(
                crate::server::upload_file_name(&format!("form-data; name=\"src\"; {parameter}")),
                Some(name.to_owned())
            );
        }
    }
}
