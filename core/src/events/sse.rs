//! Server-Sent Events, as they come. (WHATWG HTML, "Interpreting an event stream".)

use std::time::Duration;

/// The most bytes of an event, and of a line.
pub(super) const MOST: usize = 256 * 1024;

const BOM: &[u8] = b"\xef\xbb\xbf";

/// Makes events of bytes, which may be cut anywhere.
#[derive(Clone, Debug, Default)]
pub(super) struct Decoder {
    /// The line that is not complete yet.
    line: Vec<u8>,
    /// The last byte was a CR, so that an LF would belong to it.
    after_cr: bool,
    /// The first line is over, which alone may start with a BOM.
    started: bool,
    name: String,
    /// The lines of data, each with an LF at its end.
    data: String,
    retry: Option<Duration>,
}

/// An event that is complete.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) name: String,
    pub(super) data: String,
}

/// An event or a line is longer than [`MOST`].
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLong;

impl Decoder {
    /// Takes bytes, and hands over the events that they complete.
    pub(super) fn decode(
        &mut self,
        mut bytes: &[u8],
        mut take: impl FnMut(Event),
    ) -> Result<(), TooLong> {
        while let Some(first) = bytes.first() {
            if std::mem::take(&mut self.after_cr) && *first == b'\n' {
                bytes = &bytes[1..];
                continue;
            }
            let end = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let (piece, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
            if self.line.len() + piece.len() > MOST {
                return Err(TooLong);
            }
            self.line.extend_from_slice(piece);
            let Some(mark) = rest.first() else {
                break;
            };
            self.after_cr = *mark == b'\r';
            bytes = &rest[1..];
            if let Some(event) = self.end_line()? {
                take(event);
            }
        }
        Ok(())
    }

    /// How long to wait before connecting again, if the server said.
    pub(super) fn retry(&self) -> Option<Duration> {
        self.retry
    }

    fn end_line(&mut self) -> Result<Option<Event>, TooLong> {
        let mut line = std::mem::take(&mut self.line);
        let mut bytes = line.as_slice();
        if !std::mem::replace(&mut self.started, true) {
            bytes = bytes.strip_prefix(BOM).unwrap_or(bytes);
        }
        let event = if bytes.is_empty() {
            self.end_event()
        } else {
            self.field(&String::from_utf8_lossy(bytes))?;
            None
        };
        line.clear();
        self.line = line;
        Ok(event)
    }

    /// An event without data is none, by the standard.
    fn end_event(&mut self) -> Option<Event> {
        let name = std::mem::take(&mut self.name);
        let mut data = std::mem::take(&mut self.data);
        data.pop()?;
        let name = match name.as_str() {
            "" => "message".to_owned(),
            _ => name,
        };
        Some(Event { name, data })
    }

    fn field(&mut self, line: &str) -> Result<(), TooLong> {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.name),
            "data" => {
                if self.data.len() + value.len() >= MOST {
                    return Err(TooLong);
                }
                self.data.push_str(value);
                self.data.push('\n');
            }
            // In ms. (The official client 26.9.6 takes seconds.)
            "retry" if value.bytes().all(|byte| byte.is_ascii_digit()) => {
                if let Ok(milliseconds) = value.parse() {
                    self.retry = Some(Duration::from_millis(milliseconds));
                }
            }
            // A comment has an empty name. Managers send no `id`.
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The events of a stream, as pairs, which are the same however it is cut.
    fn read(stream: &[u8]) -> Vec<(String, String)> {
        let mut whole = Vec::new();
        let mut decoder = Decoder::default();
        decoder
            .decode(stream, |event| whole.push((event.name, event.data)))
            .unwrap();
        let mut bytewise = Vec::new();
        let mut decoder = Decoder::default();
        for byte in stream.chunks(1) {
            decoder
                .decode(byte, |event| bytewise.push((event.name, event.data)))
                .unwrap();
        }
        assert_eq!(whole, bytewise);
        whole
    }

    #[track_caller]
    fn is(stream: &str, expected: &[(&str, &str)]) {
        let events = read(stream.as_bytes());
        let events: Vec<_> = events
            .iter()
            .map(|(name, data)| (&**name, &**data))
            .collect();
        assert_eq!(events, expected, "{stream:?}");
    }

    #[test]
    fn lines_end_in_cr_or_lf_or_both() {
        for end in ["\n", "\r", "\r\n"] {
            let stream = ["event: a", "data: 1", "", ": ping", "", "data:2", "", ""].join(end);
            is(&stream, &[("a", "1"), ("message", "2")]);
        }
        is(
            "data: 1\r\r\ndata: 2\n\r\n",
            &[("message", "1"), ("message", "2")],
        );
    }

    #[test]
    fn fields_are_read_as_the_standard_has_it() {
        is("data:  a\ndata\ndata: b:c\n\n", &[("message", " a\n\nb:c")]);
        // A name does not last for the next event, nor does one without data count.
        is("event: a\n\ndata: 1\n\n", &[("message", "1")]);
        is(
            "event: a\nevent: b\ndata: 1\nid: 7\nother: x\nDATA: y\n\n",
            &[("b", "1")],
        );
        is("data:\n\n", &[("message", "")]);
        // Not complete.
        is("data: 1\n", &[]);
        is("data: 1", &[]);
    }

    #[test]
    fn a_bom_is_skipped_at_the_start_only() {
        is(
            "\u{feff}data: 1\n\n\u{feff}data: 2\n\n",
            &[("message", "1")],
        );
        is("\u{feff}\u{feff}data: 1\n\n", &[]);
    }

    #[test]
    fn bytes_that_are_no_utf_8_are_replaced() {
        assert_eq!(
            read(b"data: \xff\xc3\xa9\n\n"),
            [("message".to_owned(), "\u{fffd}é".to_owned())]
        );
    }

    #[test]
    fn the_time_to_connect_again_is_in_milliseconds() {
        for (value, expected) in [
            ("2", Some(2)),
            ("3000", Some(3000)),
            ("", None),
            ("+2", None),
            ("2s", None),
            ("99999999999999999999", None),
        ] {
            let mut decoder = Decoder::default();
            let stream = format!("retry: {value}\n");
            decoder
                .decode(stream.as_bytes(), |event| panic!("{event:?}"))
                .unwrap();
            assert_eq!(
                decoder.retry(),
                expected.map(Duration::from_millis),
                "{value}"
            );
        }
    }

    #[test]
    fn lines_and_events_are_limited() {
        let decode = |stream: &str| Decoder::default().decode(stream.as_bytes(), |_| {});
        let line = format!(": {}", "x".repeat(MOST - 2));
        assert_eq!(decode(&line), Ok(()));
        assert_eq!(decode(&(line + "x")), Err(TooLong));
        let half = format!("data: {}\n", "x".repeat(MOST / 2));
        assert_eq!(decode(&half.repeat(2)), Err(TooLong));
        assert_eq!(decode(&(half + "\n").repeat(3)), Ok(()));
        assert_eq!(decode(&"data\n".repeat(MOST + 1)), Err(TooLong));
    }
}
