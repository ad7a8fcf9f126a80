//! The list of what goes wrong.

use std::time::Duration;

use sorna_tests::proxy::{Accept, End, Fault, Message, Pace, Place, Stream};

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) fault: Fault,
    /// What one try comes to.
    pub(crate) verdict: Verdict,
    pub(crate) scope: Scope,
}

/// What one try of a request comes to under a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The right answer.
    Fine,
    /// No byte of the request was sent.
    Unsent,
    /// The connection broke, or what came is not HTTP.
    Broken,
    /// The connection broke at once: maybe before anything was sent, maybe after.
    Dropped,
    /// The time limit passed.
    Timeout,
    /// More came than is accepted.
    TooLarge,
    /// An answer that is not the protocol.
    Malformed,
    /// A refusal with this status, which does not tell whether the gateway acted.
    Status(u16),
    /// A refusal with this status, which says that the gateway did not act.
    NotActed(u16),
    /// The terminal is closed.
    Closed,
}

impl Verdict {
    /// Whether an answer comes that does not tell what was done: the creation of a temporary kernel
    /// is asked for once more then.
    pub(crate) fn is_unusable(self) -> bool {
        matches!(self, Self::Malformed | Self::TooLarge | Self::Status(500))
    }
}

/// What a fault can happen to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    Everything,
    /// The first request on a connection.
    NewConnections,
    /// A request on a connection that has carried one before.
    UsedConnections,
    /// Requests with a body.
    RequestBodies,
    /// Answers with a body.
    AnswerBodies,
    /// Open terminals.
    Terminals,
}

impl Row {
    /// Whether the gateway gets the request that the fault strikes, and acts on it.
    pub(crate) fn is_passed_on(&self) -> bool {
        match self.fault {
            Fault::Answer { .. }
            | Fault::CutAnswer { .. }
            | Fault::PaceRequest(_)
            | Fault::Stream(_) => true,
            Fault::Accept(_) | Fault::CutRequest { .. } | Fault::Instead { .. } | Fault::Gone => {
                false
            }
        }
    }
}

const fn row(name: &'static str, fault: Fault, verdict: Verdict, scope: Scope) -> Row {
    Row {
        name,
        fault,
        verdict,
        scope,
    }
}

const fn cut_request(at: Place, end: End) -> Fault {
    Fault::CutRequest { at, end }
}

const fn cut_answer(at: Place, end: End) -> Fault {
    Fault::CutAnswer { at, end }
}

const fn instead(say: fn() -> Vec<u8>, end: End) -> Fault {
    Fault::Instead { say, end }
}

const fn answer(change: fn(Message) -> Vec<u8>, end: End) -> Fault {
    Fault::Answer {
        bodies_only: false,
        change,
        pace: Pace::Whole,
        end,
    }
}

/// Of an answer with a body.
const fn body(change: fn(Message) -> Vec<u8>, end: End) -> Fault {
    Fault::Answer {
        bodies_only: true,
        change,
        pace: Pace::Whole,
        end,
    }
}

const fn paced(pace: Pace) -> Fault {
    Fault::Answer {
        bodies_only: false,
        change: |answer| answer.bytes(),
        pace,
        end: End::Next,
    }
}

fn cut(answer: &Message, at: Place) -> Vec<u8> {
    let mut bytes = answer.bytes();
    bytes.truncate(at.of(answer));
    bytes
}

fn nothing() -> Vec<u8> {
    Vec::new()
}

/// Bytes that are neither text nor a line, the same in every run.
fn garbage() -> Vec<u8> {
    (0..2000_u32)
        .map(|index| (index.wrapping_mul(2_654_435_761) >> 13) as u8)
        .filter(|byte| !byte.is_ascii())
        .collect()
}

fn html(status: &str) -> Vec<u8> {
    let body = "<html><head><title>A proxy</title></head><body>A proxy's words.</body></html>";
    Message::answer(status, "text/html", body.as_bytes()).bytes()
}

fn length(answer: &Message) -> usize {
    answer.body.len()
}

/// The body in chunks.
fn chunked(answer: Message, chunk: usize) -> Message {
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
fn gzip(answer: Message) -> Message {
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

/// A WebSocket frame from a server.
fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).expect("a short frame");
    assert!(length < 126, "a short frame");
    [&[0x80 | opcode, length], payload].concat()
}

/// All of them, in the table's order.
pub(crate) const ROWS: &[Row] = {
    use Scope::{
        AnswerBodies, Everything, NewConnections, RequestBodies, Terminals, UsedConnections,
    };
    use Verdict::{
        Broken, Closed, Dropped, Fine, Malformed, NotActed, Status, Timeout, TooLarge, Unsent,
    };
    &[
        // The connection.
        row(
            "nobody listens",
            Fault::Accept(Accept::Refuse),
            Unsent,
            NewConnections,
        ),
        row(
            "reset before the request",
            Fault::Accept(Accept::Reset),
            Dropped,
            NewConnections,
        ),
        row(
            "closed before the request",
            Fault::Accept(Accept::Close),
            Dropped,
            NewConnections,
        ),
        row(
            "accepted, and never read",
            Fault::Accept(Accept::Ignore),
            Timeout,
            NewConnections,
        ),
        row(
            "idle connection found closed",
            instead(nothing, End::Close),
            Broken,
            UsedConnections,
        ),
        row(
            "idle connection found reset",
            instead(nothing, End::Reset),
            Broken,
            UsedConnections,
        ),
        row(
            "idle connection half open",
            instead(nothing, End::Silence),
            Timeout,
            UsedConnections,
        ),
        row("gateway gone", Fault::Gone, Broken, Everything),
        // The request.
        row(
            "request cut after 1 byte",
            cut_request(Place::After(1), End::Close),
            Broken,
            Everything,
        ),
        row(
            "request cut in its head",
            cut_request(Place::MidHead, End::Reset),
            Broken,
            Everything,
        ),
        row(
            "request cut after its head",
            cut_request(Place::HeadEnd, End::Close),
            Broken,
            RequestBodies,
        ),
        row(
            "request cut before its last byte",
            cut_request(Place::Last, End::Reset),
            Broken,
            Everything,
        ),
        row(
            "request stalls before its last byte",
            cut_request(Place::Last, End::Silence),
            Timeout,
            Everything,
        ),
        row(
            "request byte by byte",
            Fault::PaceRequest(Pace::Bytewise),
            Fine,
            Everything,
        ),
        row(
            "request 50 ms late",
            Fault::PaceRequest(Pace::After(Duration::from_millis(50))),
            Fine,
            Everything,
        ),
        // The answer: lost, cut, slow.
        row(
            "answer lost, closed",
            cut_answer(Place::After(0), End::Close),
            Broken,
            Everything,
        ),
        row(
            "answer lost, reset",
            cut_answer(Place::After(0), End::Reset),
            Broken,
            Everything,
        ),
        row(
            "answer lost, silence",
            cut_answer(Place::After(0), End::Silence),
            Timeout,
            Everything,
        ),
        row(
            "answer cut after 1 byte",
            cut_answer(Place::After(1), End::Close),
            Broken,
            Everything,
        ),
        row(
            "answer cut in its head",
            cut_answer(Place::MidHead, End::Reset),
            Broken,
            Everything,
        ),
        row(
            "answer cut after its head",
            cut_answer(Place::HeadEnd, End::Close),
            Broken,
            AnswerBodies,
        ),
        row(
            "answer cut before its last byte",
            cut_answer(Place::Last, End::Close),
            Broken,
            Everything,
        ),
        row(
            "answer stalls before its last byte",
            cut_answer(Place::Last, End::Silence),
            Timeout,
            Everything,
        ),
        row(
            "answer byte by byte",
            paced(Pace::Bytewise),
            Fine,
            Everything,
        ),
        row(
            "answer 50 ms late",
            paced(Pace::After(Duration::from_millis(50))),
            Fine,
            Everything,
        ),
        row(
            "headers that drip without end",
            answer(
                |answer| {
                    let end = answer.head.iter().position(|byte| *byte == b'\n');
                    let line = cut(&answer, Place::After(end.expect("a line") + 1));
                    [line, b"X-Drip: ".to_vec()].concat()
                },
                End::Drip,
            ),
            Timeout,
            Everything,
        ),
        row(
            "body that drips without end",
            body(
                |answer| answer.set("Content-Length", "1000000").bytes(),
                End::Drip,
            ),
            Timeout,
            AnswerBodies,
        ),
        // The answer: not HTTP.
        row(
            "garbage",
            answer(|_| garbage(), End::Close),
            Broken,
            Everything,
        ),
        row(
            "garbage, then silence",
            answer(|_| garbage(), End::Silence),
            Broken,
            Everything,
        ),
        row(
            "101 that nobody asked for",
            instead(|| b"HTTP/1.1 101 X\r\n\r\n".to_vec(), End::Silence),
            Broken,
            Everything,
        ),
        row(
            "malformed header",
            answer(|answer| answer.with("no colon").bytes(), End::Next),
            Broken,
            Everything,
        ),
        row(
            "head of 100 KiB",
            answer(
                |answer| {
                    (0..100)
                        .fold(answer, |answer, _| {
                            answer.with(&format!("X-Long: {}", "x".repeat(1024)))
                        })
                        .bytes()
                },
                End::Next,
            ),
            TooLarge,
            Everything,
        ),
        row(
            "500 headers",
            answer(
                |answer| {
                    (0..500)
                        .fold(answer, |answer, index| {
                            answer.with(&format!("X-{index}: x"))
                        })
                        .bytes()
                },
                End::Next,
            ),
            TooLarge,
            Everything,
        ),
        row(
            "duplicate headers",
            answer(
                |answer| {
                    answer
                        .with("Date: x")
                        .with("Content-Type: text/x")
                        .with("X-RateLimit-Limit: x")
                        .bytes()
                },
                End::Next,
            ),
            Fine,
            Everything,
        ),
        row(
            "headers missing",
            answer(
                |answer| {
                    answer
                        .without("Date")
                        .without("Content-Type")
                        .without("X-RateLimit-Limit")
                        .bytes()
                },
                End::Next,
            ),
            Fine,
            Everything,
        ),
        row(
            "lines that end with LF",
            answer(
                |answer| {
                    let head = String::from_utf8_lossy(&answer.head).replace("\r\n", "\n");
                    [head.as_bytes(), &answer.body].concat()
                },
                End::Next,
            ),
            Fine,
            Everything,
        ),
        row(
            "HTTP/1.0",
            body(
                |answer| {
                    let head =
                        String::from_utf8_lossy(&answer.head).replacen("HTTP/1.1", "HTTP/1.0", 1);
                    [head.as_bytes(), &answer.body].concat()
                },
                End::Close,
            ),
            Fine,
            AnswerBodies,
        ),
        // The answer: its length.
        row(
            "no Content-Length, closed",
            body(
                |answer| answer.without("Content-Length").bytes(),
                End::Close,
            ),
            Fine,
            AnswerBodies,
        ),
        row(
            "no Content-Length, left open",
            body(
                |answer| answer.without("Content-Length").bytes(),
                End::Silence,
            ),
            Timeout,
            AnswerBodies,
        ),
        row(
            "Content-Length too large, closed",
            body(
                |answer| {
                    let length = length(&answer) + 10;
                    answer.set("Content-Length", &length.to_string()).bytes()
                },
                End::Close,
            ),
            Broken,
            AnswerBodies,
        ),
        row(
            "Content-Length too large, left open",
            body(
                |answer| {
                    let length = length(&answer) + 10;
                    answer.set("Content-Length", &length.to_string()).bytes()
                },
                End::Silence,
            ),
            Timeout,
            AnswerBodies,
        ),
        row(
            "Content-Length too small",
            body(
                |answer| {
                    let length = length(&answer) - 3;
                    answer.set("Content-Length", &length.to_string()).bytes()
                },
                End::Next,
            ),
            Malformed,
            AnswerBodies,
        ),
        row(
            "Content-Length of a terabyte",
            body(
                |answer| answer.set("Content-Length", "1099511627776").bytes(),
                End::Silence,
            ),
            TooLarge,
            AnswerBodies,
        ),
        row(
            "Content-Length that is no number",
            body(
                |answer| answer.set("Content-Length", "some").bytes(),
                End::Next,
            ),
            Broken,
            AnswerBodies,
        ),
        row(
            "two Content-Lengths",
            body(
                |answer| {
                    let length = length(&answer) + 10;
                    answer.with(&format!("Content-Length: {length}")).bytes()
                },
                End::Next,
            ),
            Broken,
            AnswerBodies,
        ),
        row(
            "the same Content-Length twice",
            body(
                |answer| {
                    let length = length(&answer);
                    answer.with(&format!("Content-Length: {length}")).bytes()
                },
                End::Next,
            ),
            Fine,
            AnswerBodies,
        ),
        row(
            "chunks",
            body(|answer| chunked(answer, 7).bytes(), End::Next),
            Fine,
            AnswerBodies,
        ),
        row(
            "chunks cut",
            body(|answer| cut(&chunked(answer, 7), Place::Last), End::Close),
            Broken,
            AnswerBodies,
        ),
        row(
            "malformed chunks",
            body(
                |answer| {
                    let mut answer = chunked(answer, 7);
                    answer.body[0] = b'x';
                    answer.bytes()
                },
                End::Next,
            ),
            Broken,
            AnswerBodies,
        ),
        row(
            "two answers to one request",
            body(
                |answer| [answer.bytes(), html("200 OK")].concat(),
                End::Next,
            ),
            Fine,
            AnswerBodies,
        ),
        // The answer: not the gateway's.
        row(
            "100 Continue first",
            answer(
                |answer| [b"HTTP/1.1 100 Continue\r\n\r\n".to_vec(), answer.bytes()].concat(),
                End::Next,
            ),
            Fine,
            Everything,
        ),
        row(
            "100 Continue with headers first",
            answer(
                |answer| {
                    let interim = b"HTTP/1.1 100 Continue\r\nVia: x\r\n\r\n";
                    [interim.to_vec(), answer.bytes()].concat()
                },
                End::Next,
            ),
            Fine,
            Everything,
        ),
        row(
            "102 and 103 first",
            answer(
                |answer| {
                    [b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n".to_vec(), answer.bytes()].concat()
                },
                End::Next,
            ),
            Fine,
            Everything,
        ),
        row(
            "100 Continue without end",
            answer(
                |_| b"HTTP/1.1 100 Continue\r\n\r\n".repeat(10_000),
                End::Silence,
            ),
            TooLarge,
            Everything,
        ),
        row(
            "truncated JSON",
            body(
                |answer| {
                    let half = answer.body.len() / 2;
                    let mut answer = answer.set("Content-Length", &half.to_string());
                    answer.body.truncate(half);
                    answer.bytes()
                },
                End::Next,
            ),
            Malformed,
            AnswerBodies,
        ),
        row(
            "other JSON",
            body(
                |_| Message::answer("200 OK", "application/json", b"[]").bytes(),
                End::Next,
            ),
            Malformed,
            AnswerBodies,
        ),
        row(
            "gzip",
            body(|answer| gzip(answer).bytes(), End::Next),
            Malformed,
            AnswerBodies,
        ),
        row(
            "HTML with 200",
            instead(|| html("200 OK"), End::Next),
            Malformed,
            Everything,
        ),
        row(
            "HTML with 302",
            instead(|| html("302 Found"), End::Next),
            Status(302),
            Everything,
        ),
        row(
            "HTML with 502",
            instead(|| html("502 Bad Gateway"), End::Next),
            Status(502),
            Everything,
        ),
        row(
            "HTML with 504 after the gateway acted",
            answer(|_| html("504 Gateway Timeout"), End::Next),
            Status(504),
            Everything,
        ),
        row(
            "503 of the gateway itself",
            instead(
                || {
                    let problem = br#"{"type": "https://api.sorna.io/probs/service-unavailable", "title": "Later."}"#;
                    Message::answer(
                        "503 Service Unavailable",
                        "application/problem+json",
                        problem,
                    )
                    .bytes()
                },
                End::Next,
            ),
            NotActed(503),
            Everything,
        ),
        // Open terminals.
        row(
            "terminal byte by byte",
            Fault::Stream(Stream::Paced(Pace::Bytewise)),
            Fine,
            Terminals,
        ),
        row(
            "terminal closed at once",
            Fault::Stream(Stream::Cut(0, End::Close)),
            Broken,
            Terminals,
        ),
        row(
            "terminal reset in a frame",
            Fault::Stream(Stream::Cut(5, End::Reset)),
            Broken,
            Terminals,
        ),
        row(
            "terminal: garbage",
            Fault::Stream(Stream::Say(garbage, End::Silence)),
            Broken,
            Terminals,
        ),
        row(
            "terminal: frame of a terabyte",
            Fault::Stream(Stream::Say(
                || [&[0x81, 127][..], &(1_u64 << 40).to_be_bytes()].concat(),
                End::Silence,
            )),
            TooLarge,
            Terminals,
        ),
        row(
            "terminal: other JSON",
            Fault::Stream(Stream::Say(
                || frame(1, br#"{"type":"new","x":[]}"#),
                End::Next,
            )),
            Fine,
            Terminals,
        ),
        row(
            "terminal: text that is no JSON",
            Fault::Stream(Stream::Say(|| frame(1, b"Sorna"), End::Next)),
            Fine,
            Terminals,
        ),
        row(
            "terminal: text that is no UTF-8",
            Fault::Stream(Stream::Say(|| frame(1, b"\xff\xff"), End::Next)),
            Broken,
            Terminals,
        ),
        row(
            "terminal: a ping",
            Fault::Stream(Stream::Say(|| frame(9, b"x"), End::Next)),
            Fine,
            Terminals,
        ),
        row(
            "terminal: closed with 1011",
            Fault::Stream(Stream::Say(|| frame(8, b"\x03\xf3why"), End::Close)),
            Closed,
            Terminals,
        ),
        row(
            "terminal: HTTP behind the close frame",
            Fault::Stream(Stream::Say(
                || [frame(8, b"\x03\xe8"), html("500 X")].concat(),
                End::Close,
            )),
            Closed,
            Terminals,
        ),
    ]
};
