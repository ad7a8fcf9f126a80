//! A response, parsed from bytes as they arrive. No I/O happens here.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{Response, StatusCode, Version};
use ureq_proto::client::state::{RecvBody, RecvResponse};
use ureq_proto::client::{Call, RecvBodyResult, RecvResponseResult};
use ureq_proto::{BodyMode, Error};

use crate::net::SizeLimits;
use crate::net::explain::{Fault, Foreign};

/// The longest line between two chunks, or after the last, bytes.
const CHUNK_LINE: usize = 8 * 1024;

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
    state: State,
    /// Bytes that arrived and were not parsed yet.
    input: Vec<u8>,
    /// Bytes of heads so far, interim ones included.
    head_bytes: usize,
    /// Bytes of the body as received, chunk sizes included.
    wire_bytes: u64,
    head: Option<Response<()>>,
    body: Vec<u8>,
    /// Whether the framing shows without doubt where the response ends.
    sound: bool,
    /// Whether the request asked for 101.
    upgrade: bool,
}

enum State {
    Head(Box<Call<RecvResponse>>),
    Body(Box<Call<RecvBody>>),
    Done {
        close: bool,
    },
    /// From here on, the connection speaks another protocol.
    Upgraded,
    /// An error was reported; nothing more is parsed.
    Broken,
}

/// What is wrong with a response.
#[derive(Debug)]
pub(crate) struct ResponseError {
    pub(crate) fault: Fault,
    pub(crate) source: Option<Error>,
}

impl ResponseParser {
    pub(crate) fn new(call: Call<RecvResponse>, limits: &SizeLimits) -> Self {
        Self {
            limits: limits.clone(),
            state: State::Head(Box::new(call)),
            input: Vec::new(),
            head_bytes: 0,
            wire_bytes: 0,
            head: None,
            body: Vec::new(),
            sound: true,
            upgrade: false,
        }
    }

    /// The response to a request that asks for another protocol: 101 ends it, and what follows belongs
    /// to that protocol.
    pub(crate) fn to_upgrade(call: Call<RecvResponse>, limits: &SizeLimits) -> Self {
        Self {
            upgrade: true,
            ..Self::new(call, limits)
        }
    }

    /// Takes bytes from the connection. Those after the response's end are kept as stray bytes.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<(), ResponseError> {
        let line_ended = bytes.contains(&b'\n');
        self.input.extend_from_slice(bytes);
        loop {
            match std::mem::replace(&mut self.state, State::Broken) {
                State::Head(call) => {
                    // A head that arrives in a thousand pieces must not be parsed a thousand times.
                    if self.input.len() > 4096 && !line_ended {
                        self.state = State::Head(call);
                        return self.check_head(self.input.len() + 1);
                    }
                    if !self.read_head(call)? {
                        return Ok(());
                    }
                }
                State::Body(call) => {
                    if !self.read_body(call)? {
                        return Ok(());
                    }
                }
                state @ (State::Done { .. } | State::Upgraded | State::Broken) => {
                    self.state = state;
                    return Ok(());
                }
            }
        }
    }

    /// Handles the end of the connection: the peer will send no more.
    pub(crate) fn end(&mut self) -> Result<(), ResponseError> {
        let fault = match &self.state {
            State::Done { .. } | State::Upgraded => return Ok(()),
            State::Body(call) => match call.body_mode() {
                BodyMode::CloseDelimited => {
                    self.state = State::Done { close: true };
                    return Ok(());
                }
                BodyMode::LengthDelimited(missing) => Fault::CutBody(Some(missing)),
                _ => Fault::CutBody(None),
            },
            State::Head(_) if self.head_bytes + self.input.len() == 0 => Fault::NoResponse,
            State::Head(_) | State::Broken => Fault::CutHead,
        };
        self.state = State::Broken;
        Err(fault.into())
    }

    /// Whether the whole response has arrived.
    pub(crate) fn is_done(&self) -> bool {
        matches!(self.state, State::Done { .. })
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
        Bytes::from(std::mem::take(&mut self.body))
    }

    /// Whether the response allows another request on the connection.
    pub(crate) fn keeps_alive(&self) -> bool {
        let open = matches!(self.state, State::Done { close: false });
        open && self.sound && self.input.is_empty()
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

    /// Parses a head. Returns whether there is more to do now.
    fn read_head(&mut self, mut call: Box<Call<RecvResponse>>) -> Result<bool, ResponseError> {
        if let Some(end) = interim(&self.input) {
            self.take_head(end)?;
            self.state = State::Head(call);
            return Ok(true);
        }
        let parsed = call.try_response(&self.input, false);
        let (used, head) = parsed.map_err(|error| self.bad_head(error))?;
        if used == 0 && head.is_none() {
            self.state = State::Head(call);
            self.check_head(self.input.len() + 1)?;
            return Ok(false);
        }
        self.take_head(used)?;
        let Some(head) = head else {
            self.state = State::Head(call);
            return Ok(true);
        };
        if self.upgrade && head.status() == StatusCode::SWITCHING_PROTOCOLS {
            self.head = Some(head);
            self.state = State::Upgraded;
            return Ok(false);
        }
        self.sound = framing_is_sound(&head)?;
        self.head = Some(head);
        self.state = match call.proceed() {
            Some(RecvResponseResult::RecvBody(call)) => {
                if let BodyMode::LengthDelimited(len) = call.body_mode()
                    && len > self.limits.body
                {
                    return Err(self.body_too_large());
                }
                State::Body(Box::new(call))
            }
            Some(RecvResponseResult::Redirect(call)) => State::Done {
                close: call.must_close_connection(),
            },
            Some(RecvResponseResult::Cleanup(call)) => State::Done {
                close: call.must_close_connection(),
            },
            None => State::Broken,
        };
        Ok(true)
    }

    /// Parses what has arrived of the body. Returns whether there is more to do now.
    fn read_body(&mut self, mut call: Box<Call<RecvBody>>) -> Result<bool, ResponseError> {
        let chunked = call.body_mode() == BodyMode::Chunked;
        let by_close = call.body_mode() == BodyMode::CloseDelimited;
        let mut position = 0;
        loop {
            let start = self.body.len();
            self.body.resize(start + self.input.len() - position, 0);
            let read = call.read(&self.input[position..], &mut self.body[start..]);
            let (used, made) = read.map_err(|error| ResponseError {
                fault: Fault::BadChunks,
                source: Some(error),
            })?;
            self.body.truncate(start + made);
            position += used;
            self.wire_bytes += used as u64;
            if used == 0 {
                break;
            }
        }
        self.input.drain(..position);
        // A body of one-byte chunks is six times as long on the wire; far more than that is no body.
        let wire_limit = self.limits.body.saturating_mul(8).saturating_add(64 * 1024);
        if self.body.len() as u64 > self.limits.body || self.wire_bytes > wire_limit {
            return Err(self.body_too_large());
        }
        if by_close || !call.can_proceed() {
            if chunked && self.input.len() > CHUNK_LINE {
                return Err(Fault::EndlessChunkHeader.into());
            }
            // ureq-proto 0.7 looks at a size when its line is complete, and that may be never.
            if chunked && call.is_on_chunk_boundary() && !begins_a_size(&self.input) {
                return Err(Fault::BadChunks.into());
            }
            self.state = State::Body(call);
            return Ok(false);
        }
        let close = match call.proceed() {
            Some(RecvBodyResult::Redirect(call)) => call.must_close_connection(),
            Some(RecvBodyResult::Cleanup(call)) => call.must_close_connection(),
            None => true,
        };
        self.state = State::Done { close };
        Ok(true)
    }

    fn take_head(&mut self, len: usize) -> Result<(), ResponseError> {
        self.check_head(len)?;
        self.head_bytes += len;
        self.input.drain(..len);
        Ok(())
    }

    fn check_head(&self, more: usize) -> Result<(), ResponseError> {
        if self.head_bytes + more > self.limits.head {
            return Err(Fault::HeadTooLarge(self.limits.head).into());
        }
        Ok(())
    }

    fn bad_head(&self, error: Error) -> ResponseError {
        if let (0, Some(foreign)) = (self.head_bytes, Foreign::of(&self.input)) {
            return Fault::Foreign(foreign).into();
        }
        match error {
            Error::HttpParseTooManyHeaders => Fault::TooManyHeaders.into(),
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

/// Whether a chunk's size may begin like this.
fn begins_a_size(line: &[u8]) -> bool {
    let is_end = |byte: &u8| matches!(byte, b';' | b'\r');
    let size = line.split(is_end).next().unwrap_or_default();
    size.iter()
        .all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b' ' | b'\t'))
}

/// The length of an interim response (100, 103, ...) at the front of the input, if it is complete.
///
/// ureq-proto 0.7 would reject a 100 that carries headers, which a proxy may send.
pub(crate) fn interim(input: &[u8]) -> Option<usize> {
    let code = input.strip_prefix(b"HTTP/1.1 ")?.get(..3)?;
    if code[0] != b'1' || code == b"101" {
        return None;
    }
    let end = input.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
    Some(end + 4)
}

/// Rejects a response whose length is ambiguous. Returns whether the connection may be reused.
fn framing_is_sound(head: &Response<()>) -> Result<bool, ResponseError> {
    if head.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Err(Fault::Upgrade.into());
    }
    let mut encodings = head.headers().get_all(TRANSFER_ENCODING).iter();
    let Some(encoding) = encodings.next() else {
        return Ok(true);
    };
    let chunked = encoding.as_bytes().eq_ignore_ascii_case(b"chunked");
    if !chunked || encodings.next().is_some() || head.version() != Version::HTTP_11 {
        return Err(Fault::UnknownEncoding.into());
    }
    // RFC 9112, section 6.3: chunked takes precedence over a length, but such a sender is not trusted.
    Ok(!head.headers().contains_key(CONTENT_LENGTH))
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
        ResponseParser::new(encoded.call, &LIMITS)
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
