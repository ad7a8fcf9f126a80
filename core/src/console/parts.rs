//! The parts of a console, packed: each takes two bytes or a little more.

/// The kind of a part. A record with several fields takes several parts in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum PartKind {
    Stdout,
    Stderr,
    Html,
    /// The media type; the content follows.
    MediaType,
    /// The level; time, logger and message follow.
    LogLevel,
    /// The number of forms; the media type and the content of each follow.
    Value,
    /// A further field of the record that began before.
    Field,
    /// The kind of a record of another form; its values follow as a JSON array.
    UnknownKind,
    /// Bytes, in Base64.
    StdoutBytes,
    StderrBytes,
    /// Records of an earlier execution, as JSON.
    Unclaimed,
}

impl PartKind {
    const ALL: [Self; 11] = [
        Self::Stdout,
        Self::Stderr,
        Self::Html,
        Self::MediaType,
        Self::LogLevel,
        Self::Value,
        Self::Field,
        Self::UnknownKind,
        Self::StdoutBytes,
        Self::StderrBytes,
        Self::Unclaimed,
    ];
}

/// Where a part's text is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In the console's own text, after that of the previous part.
    Own,
    /// In the response's body, this many bytes after the end of the previous part there.
    Body {
        /// The number of bytes in between, such as quotes and commas.
        skip: usize,
    },
}

/// One part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) kind: PartKind,
    pub(super) len: usize,
    pub(super) place: Place,
}

/// A list of parts. Each is a number that encodes its length, place and kind; for a part in the
/// body, the number of bytes to skip follows. Numbers are in LEB128: seven bits a byte, the lowest
/// first.
#[derive(Clone, Default)]
pub(super) struct Parts {
    packed: Vec<u8>,
    /// Where the last part begins.
    last: usize,
}

impl Parts {
    pub(super) fn is_empty(&self) -> bool {
        self.packed.is_empty()
    }

    pub(super) fn push(&mut self, part: Part) {
        self.last = self.packed.len();
        let in_body = u64::from(part.place != Place::Own);
        self.push_number((part.len as u64) << 5 | in_body << 4 | part.kind as u64);
        if let Place::Body { skip } = part.place {
            self.push_number(skip as u64);
        }
    }

    pub(super) fn last(&self) -> Option<Part> {
        take_part(&mut &self.packed[self.last..])
    }

    /// Replaces the last part.
    pub(super) fn replace_last(&mut self, part: Part) {
        self.packed.truncate(self.last);
        self.push(part);
    }

    /// The parts in order, each with its text.
    pub(super) fn pieces<'a>(&'a self, own: &'a str, body: &'a str) -> Pieces<'a> {
        Pieces {
            packed: &self.packed,
            own,
            body,
        }
    }

    fn push_number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.packed.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.packed.push(number as u8);
    }
}

/// Iterates over parts and their texts.
#[derive(Clone)]
pub(super) struct Pieces<'a> {
    packed: &'a [u8],
    own: &'a str,
    body: &'a str,
}

impl<'a> Iterator for Pieces<'a> {
    type Item = (PartKind, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let part = take_part(&mut self.packed)?;
        let rest = match part.place {
            Place::Own => &mut self.own,
            Place::Body { skip } => {
                self.body = &self.body[skip..];
                &mut self.body
            }
        };
        let (text, behind) = rest.split_at(part.len);
        *rest = behind;
        Some((part.kind, text))
    }
}

fn take_part(packed: &mut &[u8]) -> Option<Part> {
    let head = take_number(packed)?;
    Some(Part {
        kind: PartKind::ALL[(head & 15) as usize],
        len: length(head >> 5),
        place: if head & 16 == 0 {
            Place::Own
        } else {
            let skip = take_number(packed)
                .expect("the number of bytes to skip follows a part in the body");
            Place::Body { skip: length(skip) }
        },
    })
}

fn length(number: u64) -> usize {
    usize::try_from(number).expect("it was the length of a text in memory")
}

fn take_number(packed: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..).step_by(7) {
        let (byte, behind) = packed.split_first()?;
        *packed = behind;
        number |= u64::from(byte & 0x7f) << shift;
        if *byte < 0x80 {
            break;
        }
    }
    Some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_any_length_are_read_back() {
        let mut parts = Parts::default();
        assert_eq!(parts.last(), None);
        let mut packed = Vec::new();
        for (number, len) in [0, 7, 8, 1023, 1024, 0x0fff_ffff].into_iter().enumerate() {
            for place in [Place::Own, Place::Body { skip: len + 1 }] {
                let kind = PartKind::ALL[number];
                let part = Part { kind, len, place };
                parts.push(part);
                assert_eq!(parts.last(), Some(part));
                packed.push(part);
            }
        }
        let mut left = parts.packed.as_slice();
        let read: Vec<_> = std::iter::from_fn(|| take_part(&mut left)).collect();
        assert_eq!(read, packed);
    }

    #[test]
    fn kinds_are_numbered_as_they_are_listed() {
        for (number, kind) in PartKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, number);
        }
    }

    #[test]
    fn texts_come_from_both_places() {
        let part = |len, place| Part {
            kind: PartKind::Stdout,
            len,
            place,
        };
        let mut parts = Parts::default();
        parts.push(part(2, Place::Body { skip: 1 }));
        parts.push(part(1, Place::Own));
        parts.push(part(1, Place::Body { skip: 3 }));
        parts.push(part(2, Place::Own));
        parts.replace_last(part(1, Place::Own));
        let texts: Vec<_> = parts
            .pieces("xy", r#""ab","c""#)
            .map(|piece| piece.1)
            .collect();
        assert_eq!(texts, ["ab", "x", "c", "y"]);
    }
}
