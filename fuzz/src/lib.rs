//! Shared by the fuzz targets: keys, HTTP messages as text, and the invariants of errors.

use std::error::Error as StdError;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response};
use serde_json::{Map, Value};
use sorna_core::{AccessKey, Config, Credentials, Error, KernelId, SecretKey, Signer};

/// The public pair of keys that the seeds are signed with.
pub const ACCESS_KEY: &str = "AKIAIOSFODNN7EXAMPLE";
/// The other half of the pair.
pub const SECRET_KEY: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

/// When the recorded exchanges took place, to a few seconds: 24 November 2026, 02:22:10 UTC.
pub const RECORDED: Duration = Duration::from_secs(1_795_486_930);

/// The secret of [`ACCESS_KEY`].
#[must_use]
pub fn secret() -> SecretKey {
    SecretKey::new(SECRET_KEY).expect("it is not empty")
}

/// A signer with the public keys, for a gateway on this machine.
#[must_use]
pub fn signer() -> Signer {
    let access_key = AccessKey::new(ACCESS_KEY).expect("it is printable ASCII");
    let endpoint = "http://127.0.0.1:8081".parse().expect("it is a URL");
    Signer::new(Config::new(
        endpoint,
        Credentials::new(access_key, secret()),
    ))
}

/// The ID of a kernel.
#[must_use]
pub fn kernel() -> KernelId {
    KernelId::new("6N0hHjQKeTAvdmU5q2Kgow").expect("it is one path segment")
}

/// The time `seconds` after 1970.
#[must_use]
pub fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

/// The year, month and day (from 1) this many days after 1 January 1970, computed without
/// any crate.
#[must_use]
pub fn civil(days: u64) -> (u64, usize, u64) {
    let is_leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    // The calendar repeats itself every 400 years.
    let mut year = 1970 + 400 * (days / 146_097);
    let mut days = days % 146_097;
    while days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let february = 28 + u64::from(is_leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    (year, month, days + 1)
}

/// A request or response as text: its first line, its headers, an empty line, its body. Lines end
/// in `\n` or `\r\n`. Invalid headers are ignored.
pub struct Message<'a> {
    /// The first line.
    pub first: &'a [u8],
    /// The headers, in order.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The rest after the first empty line.
    pub body: &'a [u8],
}

impl<'a> Message<'a> {
    /// Parses the text. Every text is a message.
    #[must_use]
    pub fn read(text: &'a [u8]) -> Self {
        let (first, mut rest) = line(text);
        let mut headers = Vec::new();
        while !rest.is_empty() {
            let (header, after) = line(rest);
            rest = after;
            if header.is_empty() {
                break;
            }
            headers.extend(parse_header(header));
        }
        Self {
            first,
            headers,
            body: rest,
        }
    }

    /// The first header of this name, as text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(other, _)| other == name)?;
        value.to_str().ok()
    }

    /// The request, if the first line has a method and a target.
    #[must_use]
    pub fn into_request(self) -> Option<Request<Bytes>> {
        let mut words = self.first.split(|byte| *byte == b' ');
        let mut request = Request::builder()
            .method(words.next()?)
            .uri(words.next()?)
            .body(Bytes::copy_from_slice(self.body))
            .ok()?;
        request.headers_mut().extend(multimap(self.headers));
        Some(request)
    }

    /// The response, if the first line has a status in its second word.
    #[must_use]
    pub fn into_response(self) -> Option<Response<Bytes>> {
        let status = self.first.split(|byte| *byte == b' ').nth(1)?;
        let mut response = Response::builder()
            .status(status)
            .body(Bytes::copy_from_slice(self.body))
            .ok()?;
        response.headers_mut().extend(multimap(self.headers));
        Some(response)
    }
}

/// The form of headers with which a `HeaderMap` keeps several values of one name.
fn multimap(
    headers: Vec<(HeaderName, HeaderValue)>,
) -> impl Iterator<Item = (Option<HeaderName>, HeaderValue)> {
    headers.into_iter().map(|(name, value)| (Some(name), value))
}

fn line(text: &[u8]) -> (&[u8], &[u8]) {
    let (line, rest) = match text.iter().position(|byte| *byte == b'\n') {
        Some(end) => (&text[..end], &text[end + 1..]),
        None => (text, &[][..]),
    };
    (line.strip_suffix(b"\r").unwrap_or(line), rest)
}

fn parse_header(line: &[u8]) -> Option<(HeaderName, HeaderValue)> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let name = HeaderName::from_bytes(&line[..colon]).ok()?;
    let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?;
    Some((name, value))
}

/// Properties of every error: its text is not empty, short however long the response was, and can
/// be shown on a terminal; the chain of causes ends.
///
/// # Panics
///
/// If a property does not hold.
pub fn check_error(error: &(dyn StdError + 'static)) {
    let text = error.to_string();
    assert!(!text.is_empty(), "an error without text: {error:?}");
    // Several errors in one, each with the name of a file.
    let is_many = matches!(
        error.downcast_ref(),
        Some(Error::FilesRejected(_) | Error::FilesUnavailable(_))
    );
    let most = if is_many { 8_000 } else { 1_000 };
    assert!(text.chars().count() <= most, "{} bytes of text", text.len());
    assert!(text.chars().all(is_presentable), "{text:?}");
    assert!(
        std::iter::successors(error.source(), |error| (*error).source()).count() < 10,
        "{error:?}"
    );
}

/// Whether a character can be shown without moving the cursor or reversing the text.
fn is_presentable(c: char) -> bool {
    let turns_around = matches!(
        c,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    );
    !c.is_control() && !turns_around
}

/// Whether two JSON values are the same. Numbers with a fraction may differ in the last digits,
/// which `serde_json` does not keep.
#[must_use]
pub fn same_json(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => {
            one == other
                || one
                    .as_f64()
                    .zip(other.as_f64())
                    .is_some_and(|(a, b)| same_number(a, b))
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(a, b)| same_json(a, b))
        }
        (Value::Object(one), Value::Object(other)) => same_object(one, other),
        _ => one == other,
    }
}

/// As [`same_json`].
#[must_use]
pub fn same_object(one: &Map<String, Value>, other: &Map<String, Value>) -> bool {
    one.len() == other.len()
        && one
            .iter()
            .all(|(key, value)| other.get(key).is_some_and(|o| same_json(value, o)))
}

/// As [`same_json`].
#[must_use]
pub fn same_number(one: f64, other: f64) -> bool {
    one == other || (one - other).abs() <= one.abs() * 1e-14
}

/// A body as JSON, in which U+FFFD takes the place of halves of surrogate pairs: what Python and JavaScript write, and
/// no Rust text can hold.
#[must_use]
pub fn json(body: &[u8]) -> Option<Value> {
    if let Ok(json) = serde_json::from_slice(body) {
        return Some(json);
    }
    let text = std::str::from_utf8(body).ok()?;
    let (mut whole, mut rest) = (String::new(), text);
    while let Some(at) = rest.find('\\') {
        let (before, mut escapes) = rest.split_at(at);
        whole.push_str(before);
        let mut units = Vec::new();
        while let Some(unit) = escapes.get(..6).and_then(unit) {
            units.push(unit);
            escapes = &escapes[6..];
        }
        if units.is_empty() {
            // Another escape, whose second character may be a backslash.
            let length = escapes.chars().take(2).map(char::len_utf8).sum();
            whole.push_str(&escapes[..length]);
            escapes = &escapes[length..];
        }
        for unit in String::from_utf16_lossy(&units).encode_utf16() {
            whole.push_str(&format!("\\u{unit:04x}"));
        }
        rest = escapes;
    }
    serde_json::from_str(&(whole + rest)).ok()
}

/// The code unit of `\u0041`.
fn unit(escape: &str) -> Option<u16> {
    let digits = escape.strip_prefix("\\u")?;
    let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    is_hex.then(|| u16::from_str_radix(digits, 16).ok())?
}
