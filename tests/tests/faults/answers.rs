//! What faults make of answers.

use sorna_tests::proxy::{Message, Place};

/// The answer up to a place.
pub(crate) fn cut(answer: &Message, at: Place) -> Vec<u8> {
    let mut bytes = answer.bytes();
    bytes.truncate(at.of(answer));
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
    let body = "<html><head><title>A proxy</title></head><body>A proxy's words.</body></html>";
    Message::answer(status, "text/html", body.as_bytes()).bytes()
}

/// The body in chunks.
pub(crate) fn chunked(answer: Message, chunk: usize) -> Message {
    let mut answer = answer
        .set("Transfer-Encoding", "chunked")
        .without("Content-Length");
    let mut chunks = Vec::new();
    for part in answer.body.chunks(chunk) {
        chunks.extend(format!("{:x}\r\n", part.len()).into_bytes());
        chunks.extend_from_slice(part);
        chunks.extend_from_slice(b"\r\n");
    }
    chunks.extend_from_slice(b"0\r\n\r\n");
    answer.body = chunks;
    answer
}

/// The body as gzip would store it, without compressing it.
pub(crate) fn gzip(answer: Message) -> Message {
    let body = &answer.body;
    let length = u16::try_from(body.len()).expect("the answers here are short");
    let mut zipped = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 1];
    zipped.extend(length.to_le_bytes());
    zipped.extend((!length).to_le_bytes());
    zipped.extend_from_slice(body);
    zipped.extend(crc32(body).to_le_bytes());
    zipped.extend(u32::from(length).to_le_bytes());
    let mut answer = answer
        .set("Content-Length", &zipped.len().to_string())
        .with("Content-Encoding: gzip");
    answer.body = zipped;
    answer
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    })
}

/// The status line, and the beginning of a header.
pub(crate) fn unfinished_header(answer: Message) -> Vec<u8> {
    let end = answer.head.iter().position(|byte| *byte == b'\n');
    let line = cut(&answer, Place::After(end.expect("a line") + 1));
    [line, b"X-Drip: ".to_vec()].concat()
}

/// A hundred headers of a KiB.
pub(crate) fn long_head(answer: Message) -> Vec<u8> {
    let long = format!("X-Long: {}", "x".repeat(1024));
    (0..100)
        .fold(answer, |answer, _| answer.with(&long))
        .bytes()
}

/// Five hundred short headers.
pub(crate) fn many_headers(answer: Message) -> Vec<u8> {
    (0..500)
        .fold(answer, |answer, index| {
            answer.with(&format!("X-{index}: x"))
        })
        .bytes()
}

/// Headers that are there already, once more and with nonsense.
pub(crate) fn duplicate_headers(answer: Message) -> Vec<u8> {
    answer
        .with("Date: x")
        .with("Content-Type: text/x")
        .with("X-RateLimit-Limit: x")
        .bytes()
}

/// Only the headers without which it is another answer.
pub(crate) fn fewest_headers(answer: Message) -> Vec<u8> {
    answer
        .without("Date")
        .without("Content-Type")
        .without("X-RateLimit-Limit")
        .bytes()
}

/// The head with something replaced.
pub(crate) fn head_with(answer: &Message, from: &str, to: &str) -> Vec<u8> {
    let head = String::from_utf8_lossy(&answer.head).replace(from, to);
    [head.as_bytes(), &answer.body].concat()
}

/// With another Content-Length.
pub(crate) fn of_length(answer: Message, length: &str) -> Vec<u8> {
    answer.set("Content-Length", length).bytes()
}

/// With a Content-Length that is wrong by so many bytes.
pub(crate) fn length_off_by(answer: Message, bytes: isize) -> Vec<u8> {
    let length = length_plus(&answer, bytes);
    of_length(answer, &length)
}

/// With a second Content-Length, which is wrong by so many bytes.
pub(crate) fn second_length_off_by(answer: Message, bytes: isize) -> Vec<u8> {
    let length = length_plus(&answer, bytes);
    answer.with(&format!("Content-Length: {length}")).bytes()
}

fn length_plus(answer: &Message, bytes: isize) -> String {
    answer.body.len().saturating_add_signed(bytes).to_string()
}

/// Chunks of which the first has no length.
pub(crate) fn malformed_chunks(answer: Message) -> Vec<u8> {
    let mut answer = chunked(answer, 7);
    answer.body[0] = b'x';
    answer.bytes()
}

/// Half of the body, with its length.
pub(crate) fn half_body(answer: Message) -> Vec<u8> {
    let half = answer.body.len() / 2;
    let mut answer = answer.set("Content-Length", &half.to_string());
    answer.body.truncate(half);
    answer.bytes()
}

/// The answer, after informational ones.
pub(crate) fn after(interim: &str, answer: &Message) -> Vec<u8> {
    [interim.as_bytes(), &answer.bytes()].concat()
}

/// This JSON in place of the answer.
pub(crate) fn json(body: &str) -> Vec<u8> {
    Message::answer("200 OK", "application/json", body.as_bytes()).bytes()
}

/// What the gateway itself says when it is overloaded.
pub(crate) fn unavailable() -> Vec<u8> {
    let problem =
        br#"{"type": "https://api.sorna.io/probs/service-unavailable", "title": "Later."}"#;
    Message::answer(
        "503 Service Unavailable",
        "application/problem+json",
        problem,
    )
    .bytes()
}

/// A WebSocket frame from a server.
pub(crate) fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).expect("a short frame");
    assert!(length < 126, "a short frame");
    [&[0x80 | opcode, length], payload].concat()
}

/// The beginning of a frame that is said to be that long.
pub(crate) fn frame_of_a_terabyte() -> Vec<u8> {
    [&[0x81, 127][..], &(1_u64 << 40).to_be_bytes()].concat()
}
