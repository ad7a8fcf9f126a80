//! The messages on the control channel between the gateway and a runner.
//!
//! A message is a line `<letter> <length>` and that many bytes. Messages to a shell differ: see
//! [`Protocol`].

use std::path::Path;

use serde::Deserialize;
use serde_json::json;
use sorna_core::Execute;
use sorna_core::server::CompleteRequest;

use super::console::{GONE, LARGE, Stream, lost};

/// The largest frame a runner may send, in bytes. Text is split into pieces; this limits a picture.
const MAX_FRAME: usize = 16 * 1024 * 1024;
/// The longest header line.
const MAX_HEADER: usize = 32;

/// A message of a runner.
#[derive(Debug, PartialEq)]
pub(crate) enum Frame {
    /// The interpreter has started.
    Ready,
    /// Console text, as bytes.
    Text(Stream, Vec<u8>),
    /// Another console record, as JSON.
    Record(Vec<u8>),
    /// The value of the snippet's last expression, as text. The runner waits for a reply.
    Value(Vec<u8>),
    /// A picture or the like: its media type, and the bytes. The runner waits for a reply.
    Media(String, Vec<u8>),
    /// The program waits for input.
    Input { id: u64, password: bool },
    /// The program does not wait any more for the input that it has asked for with this number.
    NoInput { id: u64 },
    /// The runner is about to read the input, and waits for it unless there is some.
    Reads,
    /// The runner reads the input, and wants to do so no more.
    Wake,
    /// The runner wants a reply when all output so far has been read.
    Settle { id: u64 },
    /// The snippet has ended.
    Done { exit_code: i32 },
    /// Completions.
    Completions { id: u64, found: Vec<String> },
    /// Bytecode of the runner for kernels that come later: the name of its file on a line, and its content.
    Bytecode(Vec<u8>),
}

/// The runner sent something that is not a frame: the program has written to its channel.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct MalformedFrame;

#[derive(Deserialize)]
struct InputRequest {
    id: u64,
    #[serde(default)]
    password: bool,
}

#[derive(Deserialize)]
struct Found {
    id: u64,
    found: Vec<String>,
}

/// A line `<letter> <length>`.
struct Header {
    letter: u8,
    /// Where the content is.
    start: usize,
    end: usize,
}

/// Reads the header of the first frame in `buffer`, if it is there.
fn header(buffer: &[u8]) -> Result<Option<Header>, MalformedFrame> {
    let Some(end) = buffer
        .iter()
        .take(MAX_HEADER)
        .position(|byte| *byte == b'\n')
    else {
        return if buffer.len() >= MAX_HEADER {
            Err(MalformedFrame)
        } else {
            Ok(None)
        };
    };
    let header = std::str::from_utf8(&buffer[..end]).map_err(|_| MalformedFrame)?;
    let (letter, length) = header.split_once(' ').ok_or(MalformedFrame)?;
    let length: usize = length.parse().map_err(|_| MalformedFrame)?;
    if length > MAX_FRAME {
        return Err(MalformedFrame);
    }
    let &[letter] = letter.as_bytes() else {
        return Err(MalformedFrame);
    };
    Ok(Some(Header {
        letter,
        start: end + 1,
        end: end + 1 + length,
    }))
}

/// How long the first frame in `buffer` is, with its header, if it is a large one that is not there as a whole.
pub(crate) fn large_frame(buffer: &[u8]) -> Option<usize> {
    let header = header(buffer).ok().flatten()?;
    (header.end > LARGE && header.end > buffer.len()).then_some(header.end)
}

/// What is put in the place of the first frame in `buffer`, of which so many bytes are lost, and whether its runner waits for
/// a reply to it.
pub(crate) fn lost_frame(buffer: &[u8], bytes: usize) -> (Vec<u8>, bool) {
    let is_awaited = matches!(buffer.first(), Some(b'v' | b'm'));
    let message = lost(bytes, GONE);
    (self::message('e', &message), is_awaited)
}

/// Takes the first frame out of `buffer`, if it is there as a whole.
fn next_frame(buffer: &mut Buffer) -> Result<Option<Frame>, MalformedFrame> {
    let Some(Header { letter, start, end }) = header(buffer.rest())? else {
        return Ok(None);
    };
    let rest = buffer.rest();
    if rest.len() < end {
        return Ok(None);
    }
    let content = match end < rest.len() / 2 {
        true => {
            let content = rest[start..end].to_vec();
            buffer.taken += end;
            content
        }
        // Without a copy, and without keeping the memory of a large one.
        false => {
            let more = buffer.bytes.split_off(buffer.taken + end);
            let mut content = std::mem::replace(&mut buffer.bytes, more);
            content.drain(..buffer.taken + start);
            buffer.taken = 0;
            content
        }
    };
    parse(letter, content).map(Some)
}

/// What was read, and has not been taken out as frames.
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    /// How many bytes at the beginning were taken out: of many small frames, not each moves those that follow.
    taken: usize,
}

impl Buffer {
    pub(crate) fn rest(&self) -> &[u8] {
        &self.bytes[self.taken..]
    }

    pub(crate) fn extend(&mut self, read: &[u8]) {
        self.forget_taken();
        self.bytes.extend_from_slice(read);
    }

    /// Makes room for so many bytes more, and not for much more.
    pub(crate) fn reserve(&mut self, more: usize) {
        self.forget_taken();
        self.bytes.reserve_exact(more);
    }

    fn forget_taken(&mut self) {
        self.bytes.drain(..self.taken);
        self.taken = 0;
    }

    /// The next frame.
    pub(crate) fn next(&mut self) -> Result<Option<Frame>, MalformedFrame> {
        next_frame(self)
    }
}

impl From<Vec<u8>> for Buffer {
    fn from(bytes: Vec<u8>) -> Self {
        Self { bytes, taken: 0 }
    }
}

fn parse(letter: u8, content: Vec<u8>) -> Result<Frame, MalformedFrame> {
    fn json<'a, T: Deserialize<'a>>(content: &'a [u8]) -> Result<T, MalformedFrame> {
        serde_json::from_slice(content).map_err(|_| MalformedFrame)
    }
    Ok(match letter {
        b'+' => Frame::Ready,
        b'o' => Frame::Text(Stream::Stdout, content),
        b'e' => Frame::Text(Stream::Stderr, content),
        b'r' => Frame::Record(content),
        b'v' => Frame::Value(content),
        b'm' => {
            let mut parts = content.splitn(2, |byte| *byte == b'\n');
            let media_type = parts.next().and_then(|it| std::str::from_utf8(it).ok());
            let media_type = media_type.ok_or(MalformedFrame)?.to_owned();
            Frame::Media(media_type, parts.next().ok_or(MalformedFrame)?.to_vec())
        }
        b'i' => {
            let InputRequest { id, password } = json(&content)?;
            Frame::Input { id, password }
        }
        b'n' => Frame::NoInput {
            id: json::<InputRequest>(&content)?.id,
        },
        b'q' => Frame::Reads,
        b'w' => Frame::Wake,
        b's' => Frame::Settle {
            id: json::<InputRequest>(&content)?.id,
        },
        b'd' => Frame::Done {
            exit_code: json(&content)?,
        },
        b'c' => {
            let Found { id, found } = json(&content)?;
            Frame::Completions { id, found }
        }
        b'b' => Frame::Bytecode(content),
        _ => return Err(MalformedFrame),
    })
}

/// The form of messages that a runner understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// All messages.
    Full,
    /// Only snippets, each after its length in characters and in bytes as eleven digits each, after one that is the sum of
    /// 8 for the last snippet, 4 for one that may read input and 2 for a question, as a hexadecimal digit.
    Counted,
    /// Only snippets, in a frame, that they go on with the input of those before, and replies without content after values and
    /// media.
    Sized,
}

impl Protocol {
    /// The message to run a snippet, to send its value if that is wanted, and then to end if it is the last one.
    pub(crate) fn run(self, code: &str, is_final: bool, echoes: bool) -> Vec<u8> {
        match self {
            Self::Counted => {
                // A shell cannot hold a NUL.
                let code = code.replace('\0', "");
                let is_question = !is_final && code.starts_with(Execute::QUESTION);
                let flag = match is_question {
                    true => 2,
                    false => u8::from(is_final) * 8 + u8::from(may_read(&code)) * 4,
                };
                let (characters, bytes) = (code.chars().count(), code.len());
                format!("{flag:x}{characters:011}{flag:x}{bytes:011}{code}").into_bytes()
            }
            Self::Full | Self::Sized => {
                let letter = match (is_final, echoes) {
                    (false, false) => 'x',
                    (false, true) => 'X',
                    (true, false) => 'f',
                    (true, true) => 'F',
                };
                message(letter, code)
            }
        }
    }

    /// The message to keep input that no snippet has read for the next one.
    pub(crate) fn keep_input() -> Vec<u8> {
        message('k', "")
    }

    /// The reply to [`Frame::Input`].
    pub(crate) fn input(self, id: u64, input: &[u8]) -> Vec<u8> {
        let id = format!("{id}\n");
        let header = format!("i {}\n{id}", id.len() + input.len());
        [header.as_bytes(), input].concat()
    }

    /// The reply to [`Frame::Settle`].
    pub(crate) fn settled(self, id: u64) -> Vec<u8> {
        message('a', &format!("{id}\n"))
    }

    /// The message to listen on a socket for the records of programs in files; `None` if the runner cannot.
    pub(crate) fn listen(self, path: &Path) -> Option<Vec<u8>> {
        let path = path.to_str().filter(|_| self == Self::Full)?;
        Some(message('l', path))
    }

    /// The message to request completions; `None` if the runner has none.
    pub(crate) fn complete(self, id: u64, request: &CompleteRequest) -> Option<Vec<u8>> {
        (self == Self::Full).then(|| {
            let question = json!({
                "id": id,
                "code": request.code,
                "row": request.row,
                "col": request.col,
                "line": request.line,
                "post": request.post,
            });
            message('c', &question.to_string())
        })
    }
}

/// Whether code of a shell may read input in a way that the runner adapts, which looks closer itself. Most does not.
fn may_read(code: &str) -> bool {
    let words = ["read", "source", "eval"];
    let includes = |at: &[u8]| at[0] == b'.' && at[1].is_ascii_whitespace();
    words.iter().any(|word| code.contains(word)) || code.as_bytes().windows(2).any(includes)
}

fn message(letter: char, content: &str) -> Vec<u8> {
    format!("{letter} {}\n{content}", content.len()).into_bytes()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn frames_are_read_whole_from_any_pieces() {
        let bytes = b"+ 0\no 3\na\nbi 27\n{\"id\": 7, \"password\": true}d 1\n3";
        let bytes = [&bytes[..], b"c 27\n{\"id\": 1, \"found\": [\"a.b\"]}"].concat();
        let expected = [
            Frame::Ready,
            Frame::Text(Stream::Stdout, b"a\nb".to_vec()),
            Frame::Input {
                id: 7,
                password: true,
            },
            Frame::Done { exit_code: 3 },
            Frame::Completions {
                id: 1,
                found: vec!["a.b".to_owned()],
            },
        ];
        for size in 1..=bytes.len() {
            let mut buffer = Buffer::default();
            let mut frames = Vec::new();
            for piece in bytes.chunks(size) {
                buffer.extend(piece);
                while let Some(frame) = buffer.next().unwrap() {
                    frames.push(frame);
                }
            }
            assert_eq!(frames, expected, "pieces of {size}");
        }
    }

    #[test]
    fn malformed_frames_are_detected() {
        for bytes in [
            &b"hello\n"[..],
            b"o x\n",
            b"o 99999999999\n",
            b"i 2\n{}",
            b"z 0\n",
            b"a line without an end, longer than any header",
            b"\xff 1\nx",
        ] {
            assert_eq!(Buffer::from(bytes.to_vec()).next(), Err(MalformedFrame));
        }
    }

    #[test]
    fn replies_begin_with_the_number_of_their_request() {
        assert_eq!(
            Protocol::Full.input(7, b"\xc3\xff\n"),
            b"i 5\n7\n\xc3\xff\n"
        );
        assert_eq!(Protocol::Full.settled(12), b"a 3\n12\n");
    }

    #[test]
    fn a_shell_gets_the_length_in_characters_and_bytes() {
        assert_eq!(
            Protocol::Counted.run("é\0b", false, false),
            "000000000002000000000003éb".as_bytes()
        );
        assert_eq!(
            Protocol::Counted.run("", true, false),
            b"800000000000800000000000"
        );
        for (code, flag) in [
            ("read a", b'4'),
            ("re\\\nad a", b'0'),
            (". file", b'4'),
            ("a.b", b'0'),
            ("source file", b'4'),
            ("eval x", b'4'),
        ] {
            assert_eq!(Protocol::Counted.run(code, false, false)[0], flag, "{code}");
        }
        assert_eq!(Protocol::Counted.run("read a", true, false)[0], b'c');
        assert_eq!(
            Protocol::Counted.complete(1, &CompleteRequest::default()),
            None
        );
        assert_eq!(Protocol::Sized.run("é\0", false, false), b"x 3\n\xc3\xa9\0");
        assert_eq!(Protocol::Full.run("1", true, false), b"f 1\n1");
        assert_eq!(Protocol::Full.run("1", false, true), b"X 1\n1");
        assert_eq!(Protocol::Sized.run("1", true, true), b"F 1\n1");
        assert_eq!(
            Protocol::Sized.complete(1, &CompleteRequest::default()),
            None
        );
    }
}
