//! `multipart/mixed` (RFC 2046, section 5.1), read as it arrives.

use bytes::Bytes;
use memchr::{memmem, memrchr};

use crate::error::UnpackError;

/// The most bytes of the headers of one part.
const MAX_HEAD: usize = 8 * 1024;

/// The longest boundary of RFC 2046.
const MAX_BOUNDARY: usize = 70;

/// Tells the parts of a body from each other. Holds no content back but the beginning of a delimiter.
#[derive(Debug)]
pub(super) struct Reader {
    /// A line break, two dashes and the boundary. Only its first byte is a carriage return, so no second
    /// delimiter can begin inside of one.
    delimiter: Bytes,
    state: State,
}

#[derive(Debug)]
enum State {
    /// In what goes before the first part, or in the content of a part.
    Content {
        is_part: bool,
        /// How many bytes of a delimiter came last, and were held back.
        matched: usize,
    },
    /// After a delimiter: the rest of its line.
    Delimited(Line),
    /// In the headers of a part.
    Head(Vec<u8>),
    /// After the last part.
    Epilogue,
}

#[derive(Clone, Copy, Debug)]
enum Line {
    Start,
    Dash,
    Padding,
    Return,
}

/// What comes next in a body.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    PartStart,
    Data(Bytes),
    PartEnd,
}

impl Reader {
    /// A reader of a body with this `Content-Type`.
    pub(super) fn new(content_type: &str) -> Result<Self, UnpackError> {
        let boundary = boundary(content_type).ok_or_else(|| UnpackError::NotMultipart {
            given: content_type.to_owned(),
        })?;
        Ok(Self {
            delimiter: Bytes::from(format!("\r\n--{boundary}")),
            // The body begins with a delimiter, of which the line break is missing.
            state: State::Content {
                is_part: false,
                matched: 2,
            },
        })
    }

    /// Whether the last part has ended.
    pub(super) fn is_finished(&self) -> bool {
        matches!(self.state, State::Epilogue)
    }

    /// Takes bytes from the front, up to the next piece; `None` if it takes more bytes for one.
    pub(super) fn next(&mut self, input: &mut Bytes) -> Result<Option<Piece>, UnpackError> {
        while !input.is_empty() {
            match &mut self.state {
                State::Content { is_part, matched } => {
                    let is_part = *is_part;
                    let data = take_content(&self.delimiter, matched, input);
                    if *matched == self.delimiter.len() {
                        self.state = State::Delimited(Line::Start);
                        if is_part {
                            return Ok(Some(Piece::PartEnd));
                        }
                    } else if is_part && !data.is_empty() {
                        return Ok(Some(Piece::Data(data)));
                    }
                }
                State::Delimited(line) => {
                    let byte = input.split_to(1)[0];
                    self.state = match (*line, byte) {
                        (Line::Start, b'-') => State::Delimited(Line::Dash),
                        (Line::Dash, b'-') => State::Epilogue,
                        (Line::Start | Line::Padding, b' ' | b'\t') => {
                            State::Delimited(Line::Padding)
                        }
                        (Line::Start | Line::Padding, b'\r') => State::Delimited(Line::Return),
                        (Line::Return, b'\n') => State::Head(Vec::new()),
                        _ => return Err(malformed("a boundary has more on its line")),
                    };
                }
                State::Head(head) => {
                    let byte = input.split_to(1)[0];
                    head.push(byte);
                    if head.ends_with(b"\r\n\r\n") || head == b"\r\n" {
                        check_head(head)?;
                        self.state = State::Content {
                            is_part: true,
                            matched: 0,
                        };
                        return Ok(Some(Piece::PartStart));
                    }
                    if head.len() == MAX_HEAD {
                        return Err(UnpackError::TooLarge {
                            what: "bytes in the headers of a part",
                            limit: MAX_HEAD as u64,
                        });
                    }
                }
                State::Epilogue => input.clear(),
            }
        }
        Ok(None)
    }
}

/// Takes content, or a piece of a delimiter. Of a delimiter that is not complete, `matched` bytes are held back.
fn take_content(delimiter: &Bytes, matched: &mut usize, input: &mut Bytes) -> Bytes {
    if *matched > 0 {
        let rest = &delimiter[*matched..];
        let same = rest
            .iter()
            .zip(input.iter())
            .take_while(|(a, b)| a == b)
            .count();
        if same == rest.len() || same == input.len() {
            *matched += same;
            let _ = input.split_to(same);
            return Bytes::new();
        }
        // It was content. What was looked at of the input holds no return, and is looked at again.
        return delimiter.slice(..std::mem::take(matched));
    }
    let held = match memmem::find(input, delimiter) {
        Some(0) => {
            *matched = delimiter.len();
            let _ = input.split_to(delimiter.len());
            return Bytes::new();
        }
        Some(start) => return input.split_to(start),
        None => memrchr(b'\r', input).filter(|start| delimiter.starts_with(&input[*start..])),
    };
    let Some(start) = held else {
        return std::mem::take(input);
    };
    let data = input.split_to(start);
    *matched = input.len();
    input.clear();
    data
}

/// Contents are not decoded, so they must not be encoded. Other headers do not matter here.
fn check_head(head: &[u8]) -> Result<(), UnpackError> {
    for line in head.split(|byte| *byte == b'\n') {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            continue;
        };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        let is_plain = if name.eq_ignore_ascii_case(b"content-encoding") {
            value.eq_ignore_ascii_case(b"identity")
        } else if name.eq_ignore_ascii_case(b"content-transfer-encoding") {
            [&b"binary"[..], b"7bit", b"8bit"]
                .iter()
                .any(|plain| value.eq_ignore_ascii_case(plain))
        } else {
            true
        };
        if !is_plain {
            return Err(malformed("one has an encoding that was not requested"));
        }
    }
    Ok(())
}

fn malformed(reason: &'static str) -> UnpackError {
    UnpackError::Multipart { reason }
}

/// The boundary of `multipart/mixed`.
fn boundary(content_type: &str) -> Option<&str> {
    let mut fields = content_type.split(';');
    let media_type = fields.next()?.trim();
    if !media_type.eq_ignore_ascii_case("multipart/mixed") {
        return None;
    }
    let boundary = fields.find_map(|field| {
        let (name, value) = field.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("boundary")
            .then(|| value.trim())
    })?;
    let boundary = boundary
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or(boundary);
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&byte);
    let is_boundary =
        (1..=MAX_BOUNDARY).contains(&boundary.len()) && boundary.bytes().all(is_allowed);
    is_boundary.then_some(boundary)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The parts of a body that comes in chunks of this size.
    fn read(body: &[u8], size: usize) -> Result<Vec<Vec<u8>>, UnpackError> {
        let mut reader = Reader::new("multipart/mixed; boundary=b-1").unwrap();
        let mut parts = Vec::new();
        let mut open = false;
        for chunk in body.chunks(size) {
            let mut input = Bytes::copy_from_slice(chunk);
            while let Some(piece) = reader.next(&mut input)? {
                match &piece {
                    Piece::PartStart => parts.push(Vec::new()),
                    Piece::Data(data) => parts.last_mut().unwrap().extend_from_slice(data),
                    Piece::PartEnd => assert!(open),
                }
                open = !matches!(piece, Piece::PartEnd);
            }
            assert!(input.is_empty());
        }
        if reader.is_finished() {
            Ok(parts)
        } else {
            Err(UnpackError::Truncated)
        }
    }

    #[track_caller]
    fn reads(body: &str, expected: &[&str]) {
        for size in 1..=body.len() {
            let parts = read(body.as_bytes(), size).unwrap();
            let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
            let expected: Vec<&[u8]> = expected.iter().map(|part| part.as_bytes()).collect();
            assert_eq!(parts, expected, "in chunks of {size}");
        }
    }

    #[test]
    fn parts_are_what_is_between_delimiters() {
        reads("--b-1--\r\n", &[]);
        reads("--b-1\r\n\r\n\r\n--b-1--", &[""]);
        reads(
            "--b-1\r\nA: b\r\n\r\n1\r\n--b-1 \t\r\n\r\n2\r\n\r\n--b-1--\r\n",
            &["1", "2\r\n"],
        );
        reads(
            "before\r\n--b-1\r\n\r\n1\r\n--b-1--after\r\n--b-1\r\n",
            &["1"],
        );
    }

    #[test]
    fn what_only_begins_like_a_delimiter_is_content() {
        for content in [
            "\r",
            "\r\n",
            "\r\n-",
            "\r\r\n--b",
            "\r\n--b-\r\n--b-2",
            "\n--b-1",
            "--b-1",
        ] {
            reads(
                &format!("--b-1\r\n\r\n{content}\r\n--b-1--\r\n"),
                &[content],
            );
        }
    }

    #[test]
    fn a_body_that_ends_early_is_not_finished() {
        let body = b"--b-1\r\nA: b\r\n\r\n1\r\n--b-1--";
        for end in 0..body.len() {
            assert_eq!(read(&body[..end], 3), Err(UnpackError::Truncated), "{end}");
        }
        assert!(read(body, 3).is_ok());
    }

    #[test]
    fn malformed_delimiters_and_encoded_parts_are_errors() {
        for body in [
            "--b-1x\r\n\r\n",
            "--b-1-\r\n",
            "--b-1\n\n",
            "--b-1\r\ncontent-encoding: gzip\r\n\r\n",
            "--b-1\r\nContent-Transfer-Encoding: base64\r\n\r\n",
        ] {
            let error = read(body.as_bytes(), 4).unwrap_err();
            assert!(matches!(error, UnpackError::Multipart { .. }), "{body}");
        }
        let body = "--b-1\r\n".to_owned() + &"a".repeat(MAX_HEAD);
        let error = read(body.as_bytes(), 100).unwrap_err();
        assert!(matches!(error, UnpackError::TooLarge { limit: 8192, .. }));
    }

    #[test]
    fn the_boundary_is_a_parameter_in_any_form() {
        for (text, expected) in [
            ("multipart/mixed; boundary=abc", Some("abc")),
            ("Multipart/Mixed;charset=x; Boundary=\"a b\" ", Some("a b")),
            ("multipart/mixed", None),
            ("multipart/mixed; boundary=", None),
            ("multipart/mixed; boundary=\"a\rb\"", None),
            ("multipart/form-data; boundary=abc", None),
            ("application/json", None),
            ("", None),
        ] {
            assert_eq!(boundary(text), expected, "{text}");
        }
    }
}
