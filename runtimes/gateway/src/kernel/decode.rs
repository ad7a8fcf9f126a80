//! Bytes to text, a piece at a time, where they are text.

use std::borrow::Cow;

/// Decodes UTF-8 whose sequences may be split over reads.
#[derive(Debug, Default)]
pub(crate) struct Utf8Decoder {
    /// The beginning of a sequence, at most three bytes.
    pending: Vec<u8>,
}

/// What was read: lines of text, and then what is not text as a whole.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Decoded<'b> {
    joined: Cow<'b, [u8]>,
    /// How much of it is text.
    text_len: usize,
}

impl Decoded<'_> {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.joined[..self.text_len]).expect("it was decoded")
    }

    /// Bytes that are not UTF-8, and what was read after them. No sequence is cut at their end.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.joined[self.text_len..]
    }
}

impl Utf8Decoder {
    /// Decodes what is complete and keeps the rest.
    pub(crate) fn decode<'b>(&mut self, bytes: &'b [u8]) -> Decoded<'b> {
        let mut joined = Cow::Borrowed(bytes);
        if !self.pending.is_empty() {
            self.pending.extend_from_slice(bytes);
            joined = std::mem::take(&mut self.pending).into();
        }
        let Err(error) = std::str::from_utf8(&joined) else {
            let text_len = joined.len();
            return Decoded { joined, text_len };
        };
        let end = joined.len() - incomplete_at_end(&joined);
        self.pending = joined[end..].to_vec();
        match &mut joined {
            Cow::Borrowed(bytes) => *bytes = &bytes[..end],
            Cow::Owned(bytes) => bytes.truncate(end),
        }
        let valid = error.valid_up_to();
        let text_len = match valid == end {
            true => end,
            // A line that is not text is not cut into text and bytes.
            false => last_line(&joined[..valid]),
        };
        Decoded { joined, text_len }
    }

    /// An incomplete sequence: there will be no more bytes.
    pub(crate) fn finish(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.pending)
    }
}

/// Where the last line begins.
fn last_line(bytes: &[u8]) -> usize {
    let end = bytes.iter().rposition(|byte| *byte == b'\n');
    end.map_or(0, |end| end + 1)
}

/// How many bytes at the end more bytes could make a character. Only the first byte of a sequence can begin one, so what
/// comes before it does not matter.
fn incomplete_at_end(bytes: &[u8]) -> usize {
    let is_incomplete = |length: &usize| {
        bytes
            .len()
            .checked_sub(*length)
            .and_then(|start| std::str::from_utf8(&bytes[start..]).err())
            .is_some_and(|error| error.valid_up_to() == 0 && error.error_len().is_none())
    };
    (1..=3).find(is_incomplete).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text and the bytes of all pieces.
    fn decode(pieces: &[&[u8]]) -> (String, Vec<u8>) {
        let mut decoder = Utf8Decoder::default();
        let (mut text, mut bytes) = (String::new(), Vec::new());
        for piece in pieces {
            let decoded = decoder.decode(piece);
            text += decoded.text();
            bytes.extend_from_slice(decoded.bytes());
        }
        bytes.extend(decoder.finish());
        assert!(decoder.finish().is_empty());
        (text, bytes)
    }

    #[test]
    fn every_split_decodes_to_the_same_text() {
        let text = "aé€😀z".as_bytes();
        for first in 0..=text.len() {
            for second in first..=text.len() {
                let pieces = [&text[..first], &text[first..second], &text[second..]];
                let decoded = decode(&pieces);
                assert_eq!(decoded, ("aé€😀z".to_owned(), vec![]), "{first} {second}");
            }
        }
    }

    #[test]
    fn what_is_not_text_is_bytes_from_its_line_on() {
        let mut decoder = Utf8Decoder::default();
        let decoded = decoder.decode(b"1\na\xffb\n2\n\xc3");
        assert_eq!(
            (decoded.text(), decoded.bytes()),
            ("1\n", &b"a\xffb\n2\n"[..])
        );
        let decoded = decoder.decode(b"(");
        assert_eq!((decoded.text(), decoded.bytes()), ("", &b"\xc3("[..]));
        let decoded = decoder.decode(b"\xf0\x9f");
        assert_eq!((decoded.text(), decoded.bytes()), ("", &b""[..]));
        assert_eq!(decoder.finish(), b"\xf0\x9f");
        assert_eq!(decoder.decode(b"x").text(), "x");
    }

    #[test]
    fn bytes_arrive_whatever_they_are_and_no_sequence_is_cut() {
        let all: Vec<u8> = (0..4096_usize)
            .map(|index| (index * 167 % 256) as u8)
            .collect();
        let noise = String::from_utf8_lossy(&all);
        for size in [1, 2, 3, 7, 1000, 4096] {
            let mut decoder = Utf8Decoder::default();
            let (mut joined, mut lossy) = (Vec::new(), String::new());
            for piece in all.chunks(size) {
                let decoded = decoder.decode(piece);
                for bytes in [decoded.text().as_bytes(), decoded.bytes()] {
                    joined.extend_from_slice(bytes);
                    lossy += &String::from_utf8_lossy(bytes);
                }
            }
            let rest = decoder.finish();
            lossy += &String::from_utf8_lossy(&rest);
            joined.extend(rest);
            assert_eq!(joined, all, "pieces of {size}");
            assert_eq!(lossy, noise, "pieces of {size}");
        }
    }
}
