//! A body that arrives in chunks (RFC 9112, section 7.1).

use bytes::BytesMut;

use crate::net::explain::Fault;

/// The longest line before a chunk, and the longest trailer, bytes.
const LONGEST: usize = 8 * 1024;

/// Reads chunks, byte by byte: what is wrong is noticed when it arrives, and nothing is kept.
///
/// Line ends are CR LF, and neither of them stands alone anywhere: a proxy might have seen a line's end
/// where another reader sees none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chunks {
    next: Next,
    /// Bytes that are missing of the chunk, or its size as far as it was read.
    size: u64,
    /// Bytes of the line or of the trailer so far.
    line: usize,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// The first digit of a size.
    Size,
    /// Another digit, or what follows the size.
    Digit,
    /// What follows a blank after the size.
    Blank,
    /// Anything up to the line's end: it has no meaning here.
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    /// A line of the trailer, or the empty one at the end.
    Trailer,
    TrailerLine,
    TrailerLf,
    LastLf,
    Nothing,
}

impl Chunks {
    pub(super) fn new() -> Self {
        Self {
            next: Next::Size,
            size: 0,
            line: 0,
        }
    }

    /// Whether the body has ended.
    pub(super) fn is_done(self) -> bool {
        self.next == Next::Nothing
    }

    /// Appends what has arrived of the body. Returns how much of the input that was: all of it, unless
    /// the body ends before.
    pub(super) fn read(&mut self, input: &[u8], body: &mut BytesMut) -> Result<usize, Fault> {
        let mut rest = input;
        while !self.is_done()
            && let Some((byte, after)) = rest.split_first()
        {
            if self.next != Next::Data {
                self.next = self.step(*byte)?;
                rest = after;
                continue;
            }
            let len = usize::try_from(self.size).unwrap_or(usize::MAX);
            let (data, after) = rest.split_at(len.min(rest.len()));
            body.extend_from_slice(data);
            self.size -= data.len() as u64;
            rest = after;
            if self.size == 0 {
                self.next = Next::DataCr;
            }
        }
        Ok(input.len() - rest.len())
    }

    /// What comes after this byte, which is not one of a chunk's content.
    fn step(&mut self, byte: u8) -> Result<Next, Fault> {
        self.line += 1;
        if self.line > LONGEST {
            return Err(Fault::EndlessChunkHeader);
        }
        Ok(match (self.next, byte) {
            (Next::Size | Next::Digit, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                let digit = char::from(byte).to_digit(16).unwrap_or_default();
                let size = self.size.checked_mul(16).ok_or(Fault::BadChunks)?;
                self.size = size | u64::from(digit);
                Next::Digit
            }
            (Next::Digit | Next::Blank, b' ' | b'\t') => Next::Blank,
            (Next::Digit | Next::Blank, b';') => Next::Extension,
            (Next::Digit | Next::Blank | Next::Extension, b'\r') => Next::SizeLf,
            (Next::SizeLf, b'\n') => {
                self.line = 0;
                match self.size {
                    0 => Next::Trailer,
                    _ => Next::Data,
                }
            }
            (Next::DataCr, b'\r') => Next::DataLf,
            (Next::DataLf, b'\n') => {
                self.line = 0;
                Next::Size
            }
            (Next::Trailer, b'\r') => Next::LastLf,
            (Next::LastLf, b'\n') => Next::Nothing,
            (Next::TrailerLine, b'\r') => Next::TrailerLf,
            (Next::TrailerLf, b'\n') => Next::Trailer,
            (Next::Extension, byte) if byte != b'\n' => Next::Extension,
            (Next::Trailer | Next::TrailerLine, byte) if byte != b'\n' => Next::TrailerLine,
            _ => return Err(Fault::BadChunks),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The body, and what is left of the input.
    fn read(input: &str) -> Result<(String, &str), Fault> {
        let (mut chunks, mut body) = (Chunks::new(), BytesMut::new());
        let used = chunks.read(input.as_bytes(), &mut body)?;
        assert!(chunks.is_done() || used == input.len());
        let mut again = (Chunks::new(), BytesMut::new());
        for byte in input.as_bytes() {
            again.0.read(&[*byte], &mut again.1)?;
        }
        assert_eq!((again.0.next, &again.1), (chunks.next, &body));
        if !chunks.is_done() {
            return Err(Fault::CutBody(None));
        }
        Ok((
            String::from_utf8(body.to_vec()).expect("text"),
            &input[used..],
        ))
    }

    #[test]
    fn chunks_are_joined_and_what_follows_is_left() {
        for (input, (body, rest)) in [
            ("0\r\n\r\n", ("", "")),
            ("2\r\nab\r\n0\r\n\r\nHTTP", ("ab", "HTTP")),
            ("000A\r\n0123456789\r\n00\r\n\r\n", ("0123456789", "")),
            ("1 \t;a=\"b\"\r\nx\r\n0;z\r\nT: x\r\nU:\r\n\r\n", ("x", "")),
            ("2\r\n\r\n\r\n1\r\nx\r\n0\r\n\r\n", ("\r\nx", "")),
        ] {
            assert_eq!(read(input), Ok((body.to_owned(), rest)), "{input:?}");
        }
    }

    #[test]
    fn what_two_readers_may_read_differently_is_malformed() {
        for input in [
            "\r\n",
            ";x\r\n",
            " 1\r\nx",
            "+1\r\nx",
            "0x1\r\nx",
            "1_0\r\n",
            "1 1\r\n",
            "10000000000000000\r\nx",
            "1\nx",
            "1\rx",
            "1;a\nb\r\nx",
            "1;a\rb\r\nx",
            "1\r\nxy",
            "1\r\nx\n",
            "0\r\nT: x\n\r\n",
            "0\r\nT: x\rU: y\r\n",
            "0\r\n\n",
        ] {
            assert_eq!(read(input), Err(Fault::BadChunks), "{input:?}");
        }
    }

    #[test]
    fn lines_and_trailers_have_an_end() {
        let long = "x".repeat(LONGEST);
        let zeros = "0".repeat(LONGEST);
        let trailer = "T: x\r\n".repeat(LONGEST / 6 + 1);
        for input in [
            format!("1;{long}"),
            zeros + "0",
            format!("0\r\n{long}x"),
            format!("0\r\n{trailer}"),
        ] {
            assert_eq!(read(&input), Err(Fault::EndlessChunkHeader));
        }
        // Each chunk has a line of its own.
        let half = &long[..LONGEST / 2];
        let chunk = format!("1;{half}\r\nx\r\n").repeat(4);
        assert_eq!(
            read(&format!("{chunk}0\r\n\r\n")),
            Ok(("xxxx".to_owned(), ""))
        );
    }
}
