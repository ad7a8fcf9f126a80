//! The rows of the table, in its order: a fault, the outcome of one attempt, and what the fault can affect.

use std::time::Duration;

use sorna::Dialect::BackendAi;
use sorna_tests::proxy::End::{Close, Drip, Next, Reset, Silence};
use sorna_tests::proxy::Place::{After, HeadEnd, Last, MidHead};
use sorna_tests::proxy::{Accept, Fault, Pace, Stream};

use crate::faults::Scope::*;
use crate::faults::Verdict::*;
use crate::faults::*;
use crate::responses::*;

const LATE: Duration = Duration::from_millis(50);
const CONTINUE: &str = "HTTP/1.1 100 Continue\r\n\r\n";
const CONTINUE_VIA: &str = "HTTP/1.1 100 Continue\r\nVia: x\r\n\r\n";
const PROCESSING_HINTS: &str =
    "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n";

#[rustfmt::skip]
pub(crate) const ROWS: &[Row] = &[
    // The connection.
    row("connection refused",                    Fault::Accept(Accept::Refuse),                                   Unsent,        NewConnections),
    row("reset before the request",              Fault::Accept(Accept::Reset),                                    Dropped,       NewConnections),
    row("closed before the request",             Fault::Accept(Accept::Close),                                    Dropped,       NewConnections),
    row("accepted but never read",               Fault::Accept(Accept::Ignore),                                   Timeout,       NewConnections),
    row("idle connection found closed",          instead(nothing, Close),                                         Broken,        UsedConnections),
    row("idle connection found reset",           instead(nothing, Reset),                                         Broken,        UsedConnections),
    row("idle connection half open",             instead(nothing, Silence),                                       Timeout,       UsedConnections),
    row("gateway gone",                          Fault::Gone,                                                     Broken,        Everything),
    // The request.
    row("request cut after 1 byte",              cut_request(After(1), Close),                                    Broken,        Everything),
    row("request cut in its head",               cut_request(MidHead, Reset),                                     Broken,        Everything),
    row("request cut after its head",            cut_request(HeadEnd, Close),                                     Broken,        RequestBodies),
    row("request cut before its last byte",      cut_request(Last, Reset),                                        Broken,        Everything),
    row("request stalls before its last byte",   cut_request(Last, Silence),                                      Timeout,       Everything),
    row("request byte by byte",                  Fault::PaceRequest(Pace::Bytewise),                              Fine,          Everything),
    row("request 50 ms late",                    Fault::PaceRequest(Pace::After(LATE)),                           Fine,          Everything),
    // The response: lost, cut, slow.
    row("response lost, closed",                 cut_response(After(0), Close),                                   Broken,        Everything),
    row("response lost, reset",                  cut_response(After(0), Reset),                                   Broken,        Everything),
    row("response lost, silence",                cut_response(After(0), Silence),                                 Timeout,       Everything),
    row("response cut after 1 byte",             cut_response(After(1), Close),                                   Broken,        Everything),
    row("response cut in its head",              cut_response(MidHead, Reset),                                    Broken,        Everything),
    row("response cut after its head",           cut_response(HeadEnd, Close),                                    Broken,        ResponseBodies),
    row("response cut before its last byte",     cut_response(Last, Close),                                       Broken,        Everything),
    row("response stalls before its last byte",  cut_response(Last, Silence),                                     Timeout,       Everything),
    row("response byte by byte",                 paced(Pace::Bytewise),                                           Fine,          Everything),
    row("response 50 ms late",                   paced(Pace::After(LATE)),                                        Fine,          Everything),
    row("headers that trickle forever",          response(unfinished_header, Drip),                               Timeout,       Everything),
    row("body that trickles forever",            body(|it| of_length(it, "1000000"), Drip),                       Timeout,       ResponseBodies),
    // The response: not HTTP.
    row("garbage",                               response(|_| garbage(), Close),                                  Broken,        Everything),
    row("garbage, then silence",                 response(|_| garbage(), Silence),                                Broken,        Everything),
    row("unrequested 101",                       instead(|| b"HTTP/1.1 101 X\r\n\r\n".to_vec(), Silence),         Broken,        Everything),
    row("malformed header",                      response(|it| it.with("no colon").bytes(), Next),                Broken,        Everything),
    row("head of 100 KiB",                       response(long_head, Next),                                       TooLarge,      Everything),
    row("500 headers",                           response(many_headers, Next),                                    TooLarge,      Everything),
    row("duplicate headers",                     response(duplicate_headers, Next),                               Fine,          Everything),
    row("headers missing",                       response(fewest_headers, Next),                                  Fine,          Everything),
    row("lines that end with LF",                response(|it| head_with(&it, "\r\n", "\n"), Next),               Fine,          Everything),
    row("HTTP/1.0",                              body(|it| head_with(&it, "HTTP/1.1", "HTTP/1.0"), Close),        Fine,          ResponseBodies),
    // The response: its length.
    row("no Content-Length, closed",             body(|it| it.without("Content-Length").bytes(), Close),          Fine,          ResponseBodies),
    row("no Content-Length, left open",          body(|it| it.without("Content-Length").bytes(), Silence),        Timeout,       ResponseBodies),
    row("Content-Length too large, closed",      body(|it| length_off_by(it, 10), Close),                         Broken,        ResponseBodies),
    row("Content-Length too large, left open",   body(|it| length_off_by(it, 10), Silence),                       Timeout,       ResponseBodies),
    row("Content-Length too small",              body(|it| length_off_by(it, -3), Next),                          Malformed,     ResponseBodies),
    row("Content-Length of a terabyte",          body(|it| of_length(it, "1099511627776"), Silence),              TooLarge,      ResponseBodies),
    row("Content-Length that is not a number",   body(|it| of_length(it, "some"), Next),                          Broken,        ResponseBodies),
    row("two Content-Lengths",                   body(|it| second_length_off_by(it, 10), Next),                   Broken,        ResponseBodies),
    row("the same Content-Length twice",         body(|it| second_length_off_by(it, 0), Next),                    Fine,          ResponseBodies),
    row("chunks",                                body(|it| chunked(it, 7).bytes(), Next),                         Fine,          ResponseBodies),
    row("chunks cut",                            body(|it| cut(&chunked(it, 7), Last), Close),                    Broken,        ResponseBodies),
    row("malformed chunks",                      body(malformed_chunks, Next),                                    Broken,        ResponseBodies),
    row("malformed chunks, then silence",        body(malformed_chunks, Silence),                                 Broken,        ResponseBodies),
    row("two responses to one request",          body(|it| [it.bytes(), html("200 OK")].concat(), Next),          Fine,          ResponseBodies),
    // The response: not from the gateway.
    row("100 Continue first",                    response(|it| after(CONTINUE, &it), Next),                       Fine,          Everything),
    row("100 Continue with headers first",       response(|it| after(CONTINUE_VIA, &it), Next),                   Fine,          Everything),
    row("102 and 103 first",                     response(|it| after(PROCESSING_HINTS, &it), Next),               Fine,          Everything),
    row("endless 100 Continue",                  response(|_| CONTINUE.repeat(10_000).into_bytes(), Silence),     TooLarge,      Everything),
    row("truncated JSON",                        body(half_body, Next),                                           Malformed,     ResponseBodies),
    row("other JSON",                            body(|_| json("[]"), Next),                                      Malformed,     ResponseBodies),
    row("gzip",                                  body(|it| gzip(it).bytes(), Next),                               Malformed,     ResponseBodies),
    row("HTML with 200",                         instead(|| html("200 OK"), Next),                                Malformed,     Everything),
    row("HTML with 302",                         instead(|| html("302 Found"), Next),                             Status(302),   Everything),
    row("HTML with 502",                         instead(|| html("502 Bad Gateway"), Next),                       Status(502),   Everything),
    row("HTML with 504 after the gateway acted", response(|_| html("504 Gateway Timeout"), Next),                 Status(504),   Everything),
    row("503 from the gateway itself",           instead(unavailable, Next),                                      NotActed(503), Everything),
    row("500 from a manager",                    instead(internal_error, Next),                                   Status(500),   Everything).only_in(BackendAi),
    row("GraphQL error with 200",                instead(graphql_error, Next),                                    Status(200),   Queries),
    row("half of an object of GraphQL",          instead(|| json(r#"{"data": {}}"#), Next),                       Malformed,     Queries),
    // Open terminals.
    row("terminal byte by byte",                 Fault::Stream(Stream::Paced(Pace::Bytewise)),                    Fine,          Terminals),
    row("terminal closed at once",               Fault::Stream(Stream::Cut(0, Close)),                            Broken,        Terminals),
    row("terminal reset in a frame",             Fault::Stream(Stream::Cut(5, Reset)),                            Broken,        Terminals),
    row("terminal: garbage",                     says(garbage, Silence),                                          Broken,        Terminals),
    row("terminal: frame of a terabyte",         says(frame_of_a_terabyte, Silence),                              TooLarge,      Terminals),
    row("terminal: other JSON",                  says(|| frame(1, br#"{"type":"new","x":[]}"#), Next),            Fine,          Terminals),
    row("terminal: text that is not JSON",       says(|| frame(1, b"Sorna"), Next),                               Fine,          Terminals),
    row("terminal: text that is not UTF-8",      says(|| frame(1, b"\xff\xff"), Next),                            Broken,        Terminals),
    row("terminal: a ping",                      says(|| frame(9, b"x"), Next),                                   Fine,          Terminals),
    row("terminal: closed with 1011",            says(|| frame(8, b"\x03\xf3why"), Close),                        Closed,        Terminals),
    row("terminal: HTTP behind the close frame", says(|| [frame(8, b"\x03\xe8"), html("500 X")].concat(), Close), Closed,        Terminals),
    // Open streams of events.
    row("events byte by byte",                   Fault::Stream(Stream::Paced(Pace::Bytewise)),                    Fine,          Events),
    row("events closed at once",                 Fault::Stream(Stream::Cut(0, Close)),                            Broken,        Events),
    row("events reset in an event",              Fault::Stream(Stream::Cut(20, Reset)),                           Broken,        Events),
    row("events that never come",                Fault::Stream(Stream::Cut(0, Silence)),                          Timeout,       Events),
    row("events: garbage",                       says(garbage, Silence),                                          Garbled,       Events),
    row("events: a line without end",            says(endless_line, Silence),                                     Malformed,     Events),
    row("events: other JSON",                    says(|| chunk(b"event: x\ndata: []\n\n"), Next),                  Fine,          Events),
    row("events: not UTF-8",                     says(|| chunk(b"event: x\ndata: \xff\n\n"), Next),                Fine,          Events),
    row("events: the end",                       says(|| b"0\r\n\r\n".to_vec(), Close),                          Closed,        Events),
];
