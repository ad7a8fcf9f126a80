//! A response, parsed from bytes as they arrive. No I/O happens here.

use std::mem::MaybeUninit;

use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, Version};
use httparse::{ParserConfig, Status};

use super::chunks::Chunks;
use super::request::Asked;
use super::words::has_word;
use crate::net::SizeLimits;
use crate::net::explain::{Fault, Foreign};

/// The most headers that a head may have.
const HEADERS: usize = 128;
/// The most memory, in bytes, that is reserved for a body before it has arrived.
const RESERVED: u64 = 16 * 1024;

/// The response to one request.
///
/// ```text
///   Head --- status and headers --> Body --- the last byte --> Done
///     \-------------- no body, as with 204 -------------------/
/// ```
///
/// Feed it with [`feed`](Self::feed) and [`end`](Self::end) until [`is_done`](Self::is_done).
pub(crate) struct ResponseParser {
    limits: SizeLimits,
    asked: Asked,
    state: State,
    /// Bytes that arrived and were not parsed yet, or that came after the response's end.
    input: Vec<u8>,
    /// Bytes of heads so far, interim ones included.
    head_bytes: usize,
    /// Bytes of the body as received, chunk sizes included.
    wire_bytes: u64,
    head: Option<Response<()>>,
    /// Lies in memory behind the head, if there is room.
    body: BytesMut,
    /// Whether the connection ends with the response: one side says so, or it is in doubt where the
    /// response ends.
    close: bool,
    /// Whether the request asked for 101.
    upgrade: bool,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Head,
    Body(Framing),
    Done,
    /// From here on, the connection speaks another protocol.
    Upgraded,
    /// An error was reported; nothing more is parsed.
    Broken,
}

/// Where a body ends.
#[derive(Clone, Copy, Debug)]
enum Framing {
    /// After this many bytes.
    Length(u64),
    Chunked(Chunks),
    /// With the connection.
    Close,
}

/// What is wrong with a response.
#[derive(Debug)]
pub(crate) struct ResponseError {
    pub(crate) fault: Fault,
    pub(crate) source: Option<httparse::Error>,
}

impl ResponseParser {
    pub(crate) fn new(asked: Asked, limits: &SizeLimits) -> Self {
        Self {
            limits: limits.clone(),
            asked,
            state: State::Head,
            input: Vec::new(),
            head_bytes: 0,
            wire_bytes: 0,
            head: None,
            body: BytesMut::new(),
            close: asked.close,
            upgrade: false,
        }
    }

    /// The response to a request that asks for another protocol: 101 ends it, and what follows belongs
    /// to that protocol.
    pub(crate) fn to_upgrade(asked: Asked, limits: &SizeLimits) -> Self {
        Self {
            upgrade: true,
            ..Self::new(asked, limits)
        }
    }

    /// Takes bytes from the connection. Those after the response's end are kept as stray bytes.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<(), ResponseError> {
        if self.input.is_empty() {
            let used = self.parse(bytes)?;
            self.input.extend_from_slice(&bytes[used..]);
            return Ok(());
        }
        self.input.extend_from_slice(bytes);
        // A head that arrives in a thousand pieces must not be parsed a thousand times.
        if matches!(self.state, State::Head) && self.input.len() > 4096 && !bytes.contains(&b'\n') {
            return self.check_head(self.input.len() + 1);
        }
        let mut input = std::mem::take(&mut self.input);
        let used = self.parse(&input)?;
        input.drain(..used);
        self.input = input;
        Ok(())
    }

    /// Handles the end of the connection: the peer will send no more.
    pub(crate) fn end(&mut self) -> Result<(), ResponseError> {
        let fault = match self.state {
            State::Done | State::Upgraded => return Ok(()),
            State::Body(Framing::Close) => {
                self.state = State::Done;
                return Ok(());
            }
            State::Body(Framing::Length(missing)) => Fault::CutBody(Some(missing)),
            State::Body(Framing::Chunked(_)) => Fault::CutBody(None),
            State::Head if self.head_bytes + self.input.len() == 0 => Fault::NoResponse,
            State::Head | State::Broken => Fault::CutHead,
        };
        self.state = State::Broken;
        Err(fault.into())
    }

    /// Whether the whole response has arrived.
    pub(crate) fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// Whether the response's status and headers have arrived.
    pub(crate) fn has_begun(&self) -> bool {
        self.head.is_some()
    }

    /// Whether the response's status has arrived and says that the request's body need not be sent.
    pub(crate) fn refuses(&self) -> bool {
        self.head
            .as_ref()
            .is_some_and(|head| !head.status().is_success())
    }

    /// The status and headers, once they have arrived.
    pub(crate) fn head(&self) -> Option<&Response<()>> {
        self.head.as_ref()
    }

    /// Takes the bytes of the body that have arrived since the last call.
    pub(crate) fn take_body(&mut self) -> Bytes {
        self.body.split().freeze()
    }

    /// Whether the response allows another request on the connection.
    pub(crate) fn keeps_alive(&self) -> bool {
        self.is_done() && !self.close && self.input.is_empty()
    }

    /// Whether bytes arrived after the response's end.
    pub(crate) fn has_stray_bytes(&self) -> bool {
        !self.input.is_empty()
    }

    /// Whether the connection speaks another protocol from here on.
    pub(crate) fn is_upgraded(&self) -> bool {
        matches!(self.state, State::Upgraded)
    }

    /// The head of a 101 and the bytes after it, once they have arrived.
    pub(crate) fn take_upgrade(&mut self) -> Option<(Response<()>, Vec<u8>)> {
        if !self.is_upgraded() {
            return None;
        }
        Some((self.head.take()?, std::mem::take(&mut self.input)))
    }

    /// Takes the response, once it is done.
    pub(crate) fn take_response(&mut self) -> Option<Response<Bytes>> {
        if !self.is_done() {
            return None;
        }
        let body = self.take_body();
        self.head.take().map(|head| head.map(|()| body))
    }

    /// Parses what is possible of the input. Returns how much of it that was.
    fn parse(&mut self, input: &[u8]) -> Result<usize, ResponseError> {
        let parsed = self.advance(input);
        if parsed.is_err() {
            self.state = State::Broken;
        }
        parsed
    }

    fn advance(&mut self, input: &[u8]) -> Result<usize, ResponseError> {
        let mut position = 0;
        while let State::Head = self.state {
            match self.read_head(&input[position..])? {
                0 => return Ok(position),
                used => position += used,
            }
        }
        if let State::Body(framing) = self.state {
            position += self.read_body(&input[position..], framing)?;
        }
        Ok(position)
    }

    /// Parses a head, which may be an interim one. Returns its length, or 0 if it is not complete.
    fn read_head(&mut self, input: &[u8]) -> Result<usize, ResponseError> {
        let mut headers = [const { MaybeUninit::uninit() }; HEADERS];
        let mut parsed = httparse::Response::new(&mut []);
        let result = ParserConfig::default().parse_response_with_uninit_headers(
            &mut parsed,
            input,
            &mut headers,
        );
        let used = match result {
            Ok(Status::Complete(used)) => used,
            Ok(Status::Partial) => {
                self.check_head(input.len() + 1)?;
                return Ok(0);
            }
            Err(error) => return Err(self.bad_head(input, error)),
        };
        self.check_head(used)?;
        self.head_bytes += used;
        // One copy for the values of all headers, and for the body if it is here already.
        let mut text = BytesMut::with_capacity(input.len());
        text.extend_from_slice(&input[..used]);
        self.body = text.split_off(used);
        let head = response(&parsed, &input[..used], &text.freeze()).ok_or(Fault::NotHttp)?;
        let status = head.status();
        if status == StatusCode::SWITCHING_PROTOCOLS {
            if !self.upgrade {
                return Err(Fault::Upgrade.into());
            }
            self.state = State::Upgraded;
            self.head = Some(head);
        } else if !status.is_informational() {
            self.state = self.after_head(&head)?;
            self.head = Some(head);
        }
        Ok(used)
    }

    /// Finds out where the response ends, and rejects it if that is ambiguous (RFC 9112, section 6.3).
    fn after_head(&mut self, head: &Response<()>) -> Result<State, ResponseError> {
        let (status, headers) = (head.status(), head.headers());
        let length = content_length(headers)?;
        let chunked = is_chunked(head)?;
        // Chunked takes precedence over a length, but such a sender is not trusted.
        self.close |= chunked && length.is_some();
        self.close |= has_word(headers, &CONNECTION, "close")
            || head.version() == Version::HTTP_10 && !has_word(headers, &CONNECTION, "keep-alive");
        if self.asked.tunnel && status.is_success() {
            self.close = true;
            return Ok(State::Done);
        }
        let empty = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        if self.asked.head_only || empty {
            return Ok(State::Done);
        }
        Ok(State::Body(match length {
            _ if chunked => Framing::Chunked(Chunks::new()),
            Some(length) if length > self.limits.body => return Err(self.body_too_large()),
            Some(length) => {
                self.body.reserve(length.min(RESERVED) as usize);
                Framing::Length(length)
            }
            None => {
                self.close = true;
                Framing::Close
            }
        }))
    }

    /// Reads what has arrived of the body. Returns how much of the input that was.
    fn read_body(&mut self, input: &[u8], mut framing: Framing) -> Result<usize, ResponseError> {
        let (used, done) = match &mut framing {
            Framing::Length(missing) => {
                let len = usize::try_from(*missing).unwrap_or(usize::MAX);
                let used = len.min(input.len());
                self.body.extend_from_slice(&input[..used]);
                *missing -= used as u64;
                (used, *missing == 0)
            }
            Framing::Chunked(chunks) => (chunks.read(input, &mut self.body)?, chunks.is_done()),
            Framing::Close => {
                self.body.extend_from_slice(input);
                (input.len(), false)
            }
        };
        self.wire_bytes += used as u64;
        // A body of one-byte chunks is six times as long on the wire; far more than that is no body.
        let wire_limit = self.limits.body.saturating_mul(8).saturating_add(64 * 1024);
        if self.body.len() as u64 > self.limits.body || self.wire_bytes > wire_limit {
            return Err(self.body_too_large());
        }
        self.state = match done {
            true => State::Done,
            false => State::Body(framing),
        };
        Ok(used)
    }

    fn check_head(&self, more: usize) -> Result<(), ResponseError> {
        if self.head_bytes + more > self.limits.head {
            return Err(Fault::HeadTooLarge(self.limits.head).into());
        }
        Ok(())
    }

    fn bad_head(&self, input: &[u8], error: httparse::Error) -> ResponseError {
        if let (0, Some(foreign)) = (self.head_bytes, Foreign::of(input)) {
            return Fault::Foreign(foreign).into();
        }
        match error {
            httparse::Error::TooManyHeaders => Fault::TooManyHeaders.into(),
            error => ResponseError {
                fault: Fault::NotHttp,
                source: Some(error),
            },
        }
    }

    fn body_too_large(&self) -> ResponseError {
        Fault::BodyTooLarge(self.limits.body).into()
    }
}

impl From<Fault> for ResponseError {
    fn from(fault: Fault) -> Self {
        Self {
            fault,
            source: None,
        }
    }
}

/// The length of an interim response (100, 103, ...) at the front of the input, if it is complete.
///
/// ureq-proto 0.7 would reject a 100 that carries headers, which a proxy may send.
#[cfg(feature = "ureq")]
pub(crate) fn interim(input: &[u8]) -> Option<usize> {
    let code = input.strip_prefix(b"HTTP/1.1 ")?.get(..3)?;
    if code[0] != b'1' || code == b"101" {
        return None;
    }
    let end = input.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
    Some(end + 4)
}

/// A parsed head, whose values share a copy of its bytes.
fn response(
    parsed: &httparse::Response<'_, '_>,
    head: &[u8],
    copy: &Bytes,
) -> Option<Response<()>> {
    let mut headers = HeaderMap::with_capacity(parsed.headers.len());
    for header in &*parsed.headers {
        let start = header.value.as_ptr() as usize - head.as_ptr() as usize;
        let value = copy.slice(start..start + header.value.len());
        headers.append(
            HeaderName::from_bytes(header.name.as_bytes()).ok()?,
            HeaderValue::from_maybe_shared(value).ok()?,
        );
    }
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::from_u16(parsed.code?).ok()?;
    *response.version_mut() = match parsed.version? {
        0 => Version::HTTP_10,
        _ => Version::HTTP_11,
    };
    *response.headers_mut() = headers;
    Some(response)
}

/// The length that the headers state; several that agree are one.
fn content_length(headers: &HeaderMap) -> Result<Option<u64>, Fault> {
    let mut length = None;
    let values = headers.get_all(CONTENT_LENGTH).iter();
    for text in values.flat_map(|value| value.as_bytes().split(|byte| *byte == b',')) {
        let text = text.trim_ascii();
        // A sign would be parsed as well.
        let digits = text.iter().all(u8::is_ascii_digit);
        let number = str::from_utf8(text).ok().filter(|_| digits);
        let number: u64 = number
            .and_then(|text| text.parse().ok())
            .ok_or(Fault::NotHttp)?;
        if length.is_some_and(|length| length != number) {
            return Err(Fault::NotHttp);
        }
        length = Some(number);
    }
    Ok(length)
}

/// Whether the body arrives in chunks. No other encoding is accepted.
fn is_chunked(head: &Response<()>) -> Result<bool, Fault> {
    let mut encodings = head.headers().get_all(TRANSFER_ENCODING).iter();
    let Some(encoding) = encodings.next() else {
        return Ok(false);
    };
    let chunked = encoding.as_bytes().eq_ignore_ascii_case(b"chunked");
    if !chunked || encodings.next().is_some() || head.version() != Version::HTTP_11 {
        return Err(Fault::UnknownEncoding);
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use http::Request;
    use sorna_core::Body;

    use super::*;
    use crate::wire::encode;

    const LIMITS: SizeLimits = SizeLimits {
        head: 1000,
        body: 1000,
    };

    const GOOD: [&str; 5] = [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 204 No Content\r\nX: y\r\n\r\n",
        "HTTP/1.1 404 Not Found\nContent-Length: 2\n\nno",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n\
         HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
         3\r\nabc\r\n10;x=y\r\n0123456789abcdef\r\n0\r\nT: x\r\n\r\n",
    ];

    fn parser() -> ResponseParser {
        let request = Request::get("http://gw.example/").body(Body::empty());
        let encoded = encode(request.expect("a request"), None).expect("a good request");
        ResponseParser::new(encoded.asked, &LIMITS)
    }

    #[test]
    fn every_split_gives_the_same_response() {
        for text in GOOD {
            let mut whole = parser();
            whole.feed(text.as_bytes()).expect(text);
            assert!(whole.keeps_alive(), "{text}");
            let whole = whole.take_response().expect(text);
            for cut in 0..text.len() {
                let mut split = parser();
                split.feed(&text.as_bytes()[..cut]).expect(text);
                assert!(!split.is_done(), "{text} cut at {cut}");
                split.feed(&text.as_bytes()[cut..]).expect(text);
                let split = split.take_response().expect(text);
                assert_eq!(split.status(), whole.status());
                assert_eq!(split.headers(), whole.headers());
                assert_eq!(split.body(), whole.body());
            }
        }
    }

    #[test]
    fn every_prefix_is_a_truncated_response() {
        for text in GOOD {
            for cut in 0..text.len() {
                let mut cut_off = parser();
                cut_off.feed(&text.as_bytes()[..cut]).expect(text);
                let error = cut_off.end().expect_err(text);
                assert!(error.fault.is_closed());
                assert!(cut_off.take_response().is_none());
            }
        }
    }

    fn parser_of(request: http::request::Builder) -> ResponseParser {
        let request = request.uri("http://gw.example/").body(Body::empty());
        let encoded = encode(request.expect("a request"), None).expect("a good request");
        ResponseParser::new(encoded.asked, &LIMITS)
    }

    #[test]
    fn only_a_connection_without_doubt_is_used_again() {
        let get = || Request::get("/");
        for (request, text, body, again) in [
            (
                get(),
                "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
                "x",
                true,
            ),
            (
                get(),
                "HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\ncontent-length:1\r\n\r\nx",
                "x",
                true,
            ),
            (
                get(),
                "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxy",
                "x",
                false,
            ),
            (
                get(),
                "HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 0\r\n\r\n",
                "",
                false,
            ),
            (
                get().header("connection", "close"),
                "HTTP/1.1 204 No Content\r\n\r\n",
                "",
                false,
            ),
            (get(), "HTTP/1.0 204 No Content\r\n\r\n", "", false),
            (
                get(),
                "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 1\r\n\r\nx",
                "x",
                true,
            ),
            (get(), "HTTP/1.1 200 OK\r\n\r\nx", "x", false),
            (
                get(),
                "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
                "",
                true,
            ),
            (
                Request::head("/"),
                "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",
                "",
                true,
            ),
            (Request::head("/"), "HTTP/1.1 200 OK\r\n\r\n", "", true),
            (
                get(),
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\nContent-Length: 9\r\n\r\n\
                 1\r\nx\r\n0\r\n\r\n",
                "x",
                false,
            ),
            (
                get(),
                "HTTP/1.1 102 Processing\n\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
                "",
                true,
            ),
        ] {
            let mut parser = parser_of(request);
            let fed = parser.feed(text.as_bytes()).and_then(|()| parser.end());
            fed.expect(text);
            assert_eq!(parser.keeps_alive(), again, "{text}");
            assert_eq!(parser.take_response().expect(text).body(), body, "{text}");
        }
    }

    #[test]
    fn responses_that_may_end_elsewhere_are_refused() {
        let long = format!("X: {}", "y".repeat(1000));
        let many = "X: y\r\n".repeat(HEADERS + 1);
        for (head, fault) in [
            (
                "1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2",
                Fault::NotHttp,
            ),
            ("1.1 200 OK\r\nContent-Length: 1, 2", Fault::NotHttp),
            ("1.1 200 OK\r\nContent-Length: +1", Fault::NotHttp),
            ("1.1 200 OK\r\nContent-Length: 0x1", Fault::NotHttp),
            ("1.1 200 OK\r\nContent-Length:", Fault::NotHttp),
            (
                "1.1 200 OK\r\nContent-Length: 18446744073709551616",
                Fault::NotHttp,
            ),
            (
                "1.1 200 OK\r\nContent-Length: 1001",
                Fault::BodyTooLarge(1000),
            ),
            (
                "1.1 200 OK\r\nTransfer-Encoding: gzip, chunked",
                Fault::UnknownEncoding,
            ),
            (
                "1.1 200 OK\r\nTransfer-Encoding: identity",
                Fault::UnknownEncoding,
            ),
            (
                "1.0 200 OK\r\nTransfer-Encoding: chunked",
                Fault::UnknownEncoding,
            ),
            (
                "1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
                Fault::UnknownEncoding,
            ),
            ("1.1 101 Switching Protocols", Fault::Upgrade),
            ("1.1 200 OK\r\nX: a\r\n b", Fault::NotHttp),
            ("1.1 200 OK\r\n X: a", Fault::NotHttp),
            ("1.1 200 OK\r\nContent-Length : 1", Fault::NotHttp),
            ("1.1 200 OK\r\nX: a\rb", Fault::NotHttp),
            ("1.1 99 OK", Fault::NotHttp),
            ("2 200 OK", Fault::NotHttp),
            (&format!("1.1 200 OK\r\n{long}"), Fault::HeadTooLarge(1000)),
            (&format!("1.1 200 OK\r\n{many}X: y"), Fault::TooManyHeaders),
        ] {
            let mut parser = parser();
            let text = format!("HTTP/{head}\r\n\r\n");
            let error = parser.feed(text.as_bytes()).expect_err(head);
            assert_eq!(error.fault, fault, "{head}");
            assert!(parser.end().is_err() && parser.take_response().is_none());
        }
    }

    #[test]
    fn a_tunnel_begins_after_the_head_of_a_success() {
        let request = || Request::connect("gw.example:443").body(Body::empty());
        for (text, stray) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", false),
            ("HTTP/1.1 200 OK\r\n\r\nx", true),
        ] {
            let encoded = encode(request().expect("a request"), None).expect("a good request");
            let mut parser = ResponseParser::new(encoded.asked, &LIMITS);
            parser.feed(text.as_bytes()).expect(text);
            assert!(parser.is_done() && !parser.keeps_alive(), "{text}");
            assert_eq!(parser.has_stray_bytes(), stray, "{text}");
        }
    }

    #[test]
    fn long_interim_head_before_a_long_head() {
        let limits = SizeLimits {
            head: 64 * 1024,
            body: 10,
        };
        let mut parser = parser();
        parser.limits = limits;
        let long = "x".repeat(5000);
        let parts = [
            format!("HTTP/1.1 103 Early Hints\r\nX: {long}"),
            format!("\r\n\r\nHTTP/1.1 204 No Content\r\nX: {long}"),
            "\r\n\r\n".into(),
        ];
        for part in parts {
            parser.feed(part.as_bytes()).expect("good so far");
        }
        assert!(parser.is_done());
    }

    /// Any input results in a response or an error.
    #[test]
    fn damaged_responses_never_panic() {
        let mut random = 0x2017_0315_u64;
        let mut next = |below: usize| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            (random % below as u64) as usize
        };
        for round in 0..20_000 {
            let mut bytes = GOOD[round % GOOD.len()].as_bytes().to_vec();
            for _ in 0..=next(4) {
                let position = next(bytes.len());
                match next(4) {
                    0 => bytes[position] = next(256) as u8,
                    1 => drop(bytes.remove(position)),
                    2 => bytes.insert(position, b"\r\n:;0a"[next(6)]),
                    _ => bytes.extend_from_within(position..),
                }
            }
            let mut parser = parser();
            let cut = next(bytes.len() + 1);
            let fed = parser
                .feed(&bytes[..cut])
                .and_then(|()| parser.feed(&bytes[cut..]))
                .and_then(|()| parser.end());
            assert_eq!(fed.is_ok(), parser.take_response().is_some());
        }
    }
}
