//! Responses, as faults change or replace them.

use sorna_tests::proxy::{Message, Place};

/// The response up to a place.
pub(crate) fn cut(response: &Message, at: Place) -> Vec<u8> {
    let mut bytes = response.bytes();
    bytes.truncate(at.of(response));
    bytes
}

/// No byte at all.
pub(crate) fn nothing() -> Vec<u8> {
    Vec::new()
}

/// Bytes that are neither text nor a line, the same in every run.
pub(crate) fn garbage() -> Vec<u8> {
    (0..2000_u32)
        .map(|index| (index.wrapping_mul(2_654_435_761) >> 13) as u8)
        .filter(|byte| !byte.is_ascii())
        .collect()
}

/// A page, as proxies send it.
pub(crate) fn html(status: &str) -> Vec<u8> {
    let body = "<html><head><title>A proxy</title></head><body>Text of a proxy.</body></html>";
    Message::response(status, "text/html", body.as_bytes()).bytes()
}

/// The body in chunks.
pub(crate) fn chunked(response: Message, chunk: usize) -> Message {
    let mut response = response
        .set("Transfer-Encoding", "chunked")
        .without("Content-Length");
    let mut chunks = Vec::new();
    for part in response.body.chunks(chunk) {
        chunks.extend(format!("{:x}\r\n", part.len()).into_bytes());
        chunks.extend_from_slice(part);
        chunks.extend_from_slice(b"\r\n");
    }
    chunks.extend_from_slice(b"0\r\n\r\n");
    response.body = chunks;
    response
}

/// The body in gzip format, without compression.
pub(crate) fn gzip(response: Message) -> Message {
    let body = &response.body;
    let length = u16::try_from(body.len()).expect("the responses here are short");
    let mut zipped = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 1];
    zipped.extend(length.to_le_bytes());
    zipped.extend((!length).to_le_bytes());
    zipped.extend_from_slice(body);
    zipped.extend(crc32(body).to_le_bytes());
    zipped.extend(u32::from(length).to_le_bytes());
    let mut response = response
        .set("Content-Length", &zipped.len().to_string())
        .with("Content-Encoding: gzip");
    response.body = zipped;
    response
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    })
}

/// The status line, and the beginning of a header.
pub(crate) fn unfinished_header(response: Message) -> Vec<u8> {
    let end = response.head.iter().position(|byte| *byte == b'\n');
    let line = cut(&response, Place::After(end.expect("a line") + 1));
    [line, b"X-Drip: ".to_vec()].concat()
}

/// A hundred headers of a KiB.
pub(crate) fn long_head(response: Message) -> Vec<u8> {
    let long = format!("X-Long: {}", "x".repeat(1024));
    (0..100)
        .fold(response, |response, _| response.with(&long))
        .bytes()
}

/// Five hundred short headers.
pub(crate) fn many_headers(response: Message) -> Vec<u8> {
    (0..500)
        .fold(response, |response, index| {
            response.with(&format!("X-{index}: x"))
        })
        .bytes()
}

/// Headers that are there already, again and with invalid values.
pub(crate) fn duplicate_headers(response: Message) -> Vec<u8> {
    response
        .with("Date: x")
        .with("Content-Type: text/x")
        .with("X-RateLimit-Limit: x")
        .bytes()
}

/// Only the headers that the response cannot do without.
pub(crate) fn fewest_headers(response: Message) -> Vec<u8> {
    let media_type = response.header("Content-Type").unwrap_or_default();
    let response = response.without("Date").without("X-RateLimit-Limit");
    // The boundary of a download is only there.
    if media_type.starts_with("multipart/") {
        response.bytes()
    } else {
        response.without("Content-Type").bytes()
    }
}

/// The head with a text replaced.
pub(crate) fn head_with(response: &Message, from: &str, to: &str) -> Vec<u8> {
    let head = String::from_utf8_lossy(&response.head).replace(from, to);
    [head.as_bytes(), &response.body].concat()
}

/// With another Content-Length.
pub(crate) fn of_length(response: Message, length: &str) -> Vec<u8> {
    response.set("Content-Length", length).bytes()
}

/// With a Content-Length that is wrong by this many bytes.
pub(crate) fn length_off_by(response: Message, bytes: isize) -> Vec<u8> {
    let length = length_plus(&response, bytes);
    of_length(response, &length)
}

/// With a second Content-Length, which is wrong by this many bytes.
pub(crate) fn second_length_off_by(response: Message, bytes: isize) -> Vec<u8> {
    let length = length_plus(&response, bytes);
    response.with(&format!("Content-Length: {length}")).bytes()
}

fn length_plus(response: &Message, bytes: isize) -> String {
    response.body.len().saturating_add_signed(bytes).to_string()
}

/// Chunks, the first one without a length.
pub(crate) fn malformed_chunks(response: Message) -> Vec<u8> {
    let mut response = chunked(response, 7);
    response.body[0] = b'x';
    response.bytes()
}

/// Half of the body, with its length.
pub(crate) fn half_body(response: Message) -> Vec<u8> {
    let half = response.body.len() / 2;
    let mut response = response.set("Content-Length", &half.to_string());
    response.body.truncate(half);
    response.bytes()
}

/// The response, after informational ones.
pub(crate) fn after(interim: &str, response: &Message) -> Vec<u8> {
    [interim.as_bytes(), &response.bytes()].concat()
}

/// This JSON in place of the response.
pub(crate) fn json(body: &str) -> Vec<u8> {
    Message::response("200 OK", "application/json", body.as_bytes()).bytes()
}

/// The gateway's own response when it is overloaded.
pub(crate) fn unavailable() -> Vec<u8> {
    let problem =
        br#"{"type": "https://api.sorna.io/probs/service-unavailable", "title": "Later."}"#;
    Message::response(
        "503 Service Unavailable",
        "application/problem+json",
        problem,
    )
    .bytes()
}

/// What managers respond with if they fail.
pub(crate) fn internal_error() -> Vec<u8> {
    let problem = br#"{"type": "https://api.backend.ai/probs/internal-server-error", "title": "Internal server error"}"#;
    Message::response(
        "500 Internal Server Error",
        "application/problem+json",
        problem,
    )
    .bytes()
}

/// What managers respond with to a query that they cannot answer.
pub(crate) fn graphql_error() -> Vec<u8> {
    json(r#"{"data": null, "errors": [{"message": "Text of a manager."}]}"#)
}

/// A chunk of a body.
pub(crate) fn chunk(content: &[u8]) -> Vec<u8> {
    let head = format!("{:x}\r\n", content.len());
    [head.as_bytes(), content, b"\r\n"].concat()
}

/// A line of a MiB, and no end of it.
pub(crate) fn endless_line() -> Vec<u8> {
    chunk(&vec![b'x'; 1 << 20])
}

/// A WebSocket frame from a server.
pub(crate) fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).expect("a short frame");
    assert!(length < 126, "a short frame");
    [&[0x80 | opcode, length], payload].concat()
}

/// The beginning of a frame with this length in its header.
pub(crate) fn frame_of_a_terabyte() -> Vec<u8> {
    [&[0x81, 127][..], &(1_u64 << 40).to_be_bytes()].concat()
}
