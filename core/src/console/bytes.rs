//! Output that is not UTF-8: kept as it is carried, in Base64.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::encoded::decode;
use super::parts::{Part, PartKind, Place};
use super::{Console, Record};

impl Console {
    /// Everything written to standard output, in one piece, as it was written.
    #[must_use]
    pub fn stdout_bytes(&self) -> Cow<'_, [u8]> {
        self.joined_bytes(PartKind::Stdout, PartKind::StdoutBytes)
    }

    /// Everything written to standard error, in one piece, as it was written.
    #[must_use]
    pub fn stderr_bytes(&self) -> Cow<'_, [u8]> {
        self.joined_bytes(PartKind::Stderr, PartKind::StderrBytes)
    }

    fn joined_bytes(&self, text_kind: PartKind, bytes_kind: PartKind) -> Cow<'_, [u8]> {
        let mut joined = Cow::Borrowed(&b""[..]);
        for (kind, text) in self.pieces() {
            let bytes = if kind == text_kind {
                Cow::Borrowed(text.as_bytes())
            } else if kind == bytes_kind {
                Cow::Owned(decode(text))
            } else {
                continue;
            };
            if joined.is_empty() {
                joined = bytes;
            } else {
                joined.to_mut().extend_from_slice(&bytes);
            }
        }
        joined
    }

    /// Whether some of the output is not UTF-8, and is kept as bytes.
    #[must_use]
    pub fn has_bytes(&self) -> bool {
        let mut pieces = self.pieces();
        pieces.any(|(kind, text)| match kind {
            PartKind::StdoutBytes | PartKind::StderrBytes => true,
            PartKind::Unclaimed => Console::of_unclaimed(text).has_bytes(),
            _ => false,
        })
    }

    /// Replaces output that is not UTF-8 by text, with U+FFFD: for clients that do not understand bytes.
    pub fn replace_bytes(&mut self) {
        if !self.has_bytes() {
            return;
        }
        let mut replaced = Self::new();
        for record in self.iter() {
            match record {
                Record::Stdout(text) => replaced.push_stdout(&text),
                Record::Stderr(text) => replaced.push_stderr(&text),
                other => replaced.push(&other),
            }
        }
        *self = replaced;
    }

    /// Adds bytes to standard output, which need not be UTF-8. Extends the last record if it is bytes of standard output, too.
    pub fn push_stdout_bytes(&mut self, bytes: &[u8]) {
        self.join_bytes(PartKind::StdoutBytes, bytes);
    }

    /// Adds bytes to standard error, which need not be UTF-8. Extends the last record if it is bytes of standard error, too.
    pub fn push_stderr_bytes(&mut self, bytes: &[u8]) {
        self.join_bytes(PartKind::StderrBytes, bytes);
    }

    pub(super) fn bytes_part(&mut self, kind: PartKind, bytes: &[u8]) {
        let start = self.text.len();
        STANDARD.encode_string(bytes, &mut self.text);
        self.parts.push(Part {
            kind,
            len: self.text.len() - start,
            place: Place::Own,
        });
    }

    fn join_bytes(&mut self, kind: PartKind, bytes: &[u8]) {
        match self.parts.last() {
            Some(last) if last.kind == kind => {
                if last.place != Place::Own {
                    self.copy_body();
                }
                let start = self.text.len();
                let mut len = last.len;
                if last.len > 0 && self.text.ends_with('=') {
                    // The last bytes do not fill a group of their own: it is written again.
                    let mut group = decode(&self.text[start - 4..]);
                    let fill = (3 - group.len()).min(bytes.len());
                    group.extend_from_slice(&bytes[..fill]);
                    self.text.truncate(start - 4);
                    STANDARD.encode_string(&group, &mut self.text);
                    STANDARD.encode_string(&bytes[fill..], &mut self.text);
                } else {
                    STANDARD.encode_string(bytes, &mut self.text);
                }
                len += self.text.len() - start;
                self.parts.replace_last(Part {
                    len,
                    place: Place::Own,
                    ..last
                });
            }
            _ => self.bytes_part(kind, bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::encoded::is_encoded;
    use super::*;

    /// Bytes of all kinds, most of them no UTF-8.
    fn bytes(length: usize) -> Vec<u8> {
        (0..length).map(|index| (index * 167 % 256) as u8).collect()
    }

    fn round_trip(console: &Console) -> Console {
        serde_json::from_str(&serde_json::to_string(console).unwrap()).unwrap()
    }

    #[test]
    fn bytes_arrive_as_they_were_in_any_pieces() {
        let all = bytes(10_000);
        for size in [1, 2, 3, 4, 1000, 4096, 4097, 10_000] {
            let mut console = Console::new();
            for piece in all.chunks(size) {
                console.push_stdout_bytes(piece);
            }
            assert_eq!(console.stdout_bytes(), all, "pieces of {size}");
            assert_eq!(console.iter_exact().count(), 1);
            assert_eq!(console.output_len(), all.len());
            let read = round_trip(&console);
            assert_eq!(read, console);
            assert_eq!(read.stdout_bytes(), all);
        }
    }

    #[test]
    fn the_order_is_kept_between_streams_and_with_text() {
        let mut console = Console::new();
        console.push_stdout("a");
        console.push_stdout_bytes(b"\xff");
        console.push_stderr_bytes(b"\xfe");
        console.push_stdout_bytes(b"\xfd");
        console.push_stdout("b");
        let records = [
            Record::Stdout("a".into()),
            Record::StdoutBytes(b"\xff"[..].into()),
            Record::StderrBytes(b"\xfe"[..].into()),
            Record::StdoutBytes(b"\xfd"[..].into()),
            Record::Stdout("b".into()),
        ];
        let read = round_trip(&console);
        assert!(read.has_bytes());
        assert!(read.iter_exact().eq(records.clone()));
        assert_eq!(&*read.stdout_bytes(), b"a\xff\xfdb");
        assert_eq!(&*read.stderr_bytes(), b"\xfe");
        assert_eq!(read.stdout(), "a\u{fffd}\u{fffd}b");
        assert_eq!((read.output_len(), console.output_len()), (5, 5));
        let mut pushed = Console::new();
        for record in &records {
            pushed.push(&record.clone().into_owned());
        }
        assert_eq!(pushed, console);
        pushed.append(read);
        assert_eq!(&*pushed.stderr_bytes(), b"\xfe\xfe");
    }

    #[test]
    fn for_other_clients_they_become_text_that_is_joined() {
        let mut console = Console::new();
        console.push_stdout("a");
        console.push_stdout_bytes(b"\xffb");
        console.push_stdout("c");
        console.push_stderr_bytes(b"\xe9");
        console.replace_bytes();
        assert_eq!(
            serde_json::to_string(&console).unwrap(),
            "[[\"stdout\",\"a\u{fffd}bc\"],[\"stderr\",\"\u{fffd}\"]]"
        );
    }

    #[test]
    fn bytes_of_a_response_stay_in_its_body_until_more_is_added() {
        let all = bytes(9_000);
        let mut console = Console::new();
        console.push_stderr_bytes(&all);
        let body = format!(
            r#"{{"status": "continued", "console": {}}}"#,
            serde_json::to_string(&console).unwrap()
        );
        let result: crate::ExecutionResult = serde_json::from_str(&body).unwrap();
        let mut read = result.console;
        assert_eq!(read, console);
        read.push_stderr_bytes(b"\xff");
        assert_eq!(read.stderr_bytes(), [all, vec![0xff]].concat());
    }

    #[test]
    fn what_is_not_base64_is_of_another_form() {
        for text in [
            "x",
            "/2I",
            "/2J=",
            "/2I=/2I=",
            "/2 I=",
            "é",
            "_2I=",
            "====",
            &("A".repeat(4092) + "/2I=" + "AAAA"),
        ] {
            assert!(!is_encoded(text), "{text}");
            let json = format!(r#"[["stdout-bytes","{text}"]]"#);
            let console: Console = serde_json::from_str(&json).unwrap();
            assert!(
                matches!(console.iter().next(), Some(Record::Unknown { .. })),
                "{text}"
            );
            assert_eq!(serde_json::to_string(&console).unwrap(), json);
        }
        for text in ["", "/2I=", "/2IA", "/w==", &"A".repeat(5000)] {
            assert!(is_encoded(text), "{text}");
        }
    }
}
