//! The console of an execution result: the program's output, in order.

mod bytes;
mod de;
mod encoded;
mod media;
mod parts;
mod ser;
mod unclaimed;
mod value;

pub(crate) use de::ConsoleSeed;
pub use media::Media;
pub use value::ValueForms;

use std::borrow::Cow;
use std::fmt;

use bytestring::ByteString;
use serde_json::Value;

use encoded::decoded_len;
use parts::{Part, PartKind, Parts, Pieces, Place};

/// Console records, in the order in which the gateway sent them.
///
/// A console takes about as much memory as its text, however many records there are. Text without
/// escapes stays in the response's body, which is kept if at least half of it is text; the rest is
/// copied into one buffer. Iterate to get [`Record`]s that borrow from it.
///
/// Output that is not UTF-8 comes as bytes from gateways that carry them
/// ([`Execute::with_bytes`](crate::Execute::with_bytes)), and as text in which the gateway has put U+FFFD in their place from
/// others. [`stdout_bytes`](Self::stdout_bytes) and [`iter_exact`](Self::iter_exact) give the bytes;
/// everything else gives text, with U+FFFD.
///
/// ```
/// use sorna_core::{Console, Record};
///
/// let console: Console = serde_json::from_str(
///     r#"[["stdout", "a\n"], ["stderr", "b"], ["hologram", 3]]"#,
/// )?;
/// assert_eq!(console.stdout(), "a\n");
/// assert_eq!(console.iter().nth(1), Some(Record::Stderr("b".into())));
/// assert!(matches!(
///     console.iter().nth(2),
///     Some(Record::Unknown { kind, .. }) if kind == "hologram"
/// ));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct Console {
    /// The text that is not in the body, in order.
    text: String,
    /// The response's body, if some of the text is only there.
    body: ByteString,
    /// How many bytes of text that is.
    in_body: usize,
    parts: Parts,
}

/// Two consoles with the same records are equal, wherever their text is stored.
impl PartialEq for Console {
    fn eq(&self, other: &Self) -> bool {
        self.pieces().eq(other.pieces())
    }
}

impl Eq for Console {}

/// One console record: on the wire, an array of its type's name and its fields, such as
/// `["stdout", "a\n"]`. (API manual of 2017, "Execution result".)
///
/// Text is as the program wrote it, not escaped, and may contain control sequences: filter them
/// before you show it in a terminal. Records of a known type but another form are `Unknown`, too.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Record<'a> {
    /// Text that the program wrote to standard output, as it was written.
    Stdout(Cow<'a, str>),
    /// Text that the program wrote to standard error.
    Stderr(Cow<'a, str>),
    /// Output that is not UTF-8, or not as a whole. Only from [`Console::iter_exact`]; on the wire, `["stdout-bytes",
    /// Base64]`, an extension of the gateway in `sorna-gateway`.
    StdoutBytes(Cow<'a, [u8]>),
    /// The same on standard error: `["stderr-bytes", Base64]`.
    StderrBytes(Cow<'a, [u8]>),
    /// An image or another medium to show.
    Media(Media<'a>),
    /// A fragment of HTML, from the program: not to be trusted.
    Html(Cow<'a, str>),
    /// A line of a log. Gateway 0.9.11 sends the message alone: the other fields are empty then.
    Log {
        /// `INFO`, `WARNING`, …
        level: Cow<'a, str>,
        /// When, in ISO 8601.
        time: Cow<'a, str>,
        /// The name of the logger.
        logger: Cow<'a, str>,
        /// The text.
        message: Cow<'a, str>,
    },
    /// The value of a snippet's last expression: see [`Execute::with_echo`](crate::Execute::with_echo). On the wire,
    /// `["value", [media type, content], …]`, an extension of the gateway in `sorna-gateway`.
    Value(ValueForms<'a>),
    /// Output of earlier executions of the kernel that no client has received, at the beginning of an execution that
    /// [asks for it](crate::RunMark::with_unclaimed). On the wire, `["unclaimed", [record, …]]`, an extension of the gateway in
    /// `sorna-gateway`. It is not among this execution's [`stdout`](Console::stdout) and [`stderr`](Console::stderr).
    Unclaimed(Console),
    /// A record of a type that this version does not know.
    Unknown {
        /// The type's name; empty if the record has none.
        kind: Cow<'a, str>,
        /// The other items of the record.
        values: Vec<Value>,
    },
}

impl Record<'_> {
    /// The same record, owning its text.
    #[must_use]
    pub fn into_owned(self) -> Record<'static> {
        let own = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        match self {
            Self::Stdout(text) => Record::Stdout(own(text)),
            Self::Stderr(text) => Record::Stderr(own(text)),
            Self::StdoutBytes(bytes) => Record::StdoutBytes(Cow::Owned(bytes.into_owned())),
            Self::StderrBytes(bytes) => Record::StderrBytes(Cow::Owned(bytes.into_owned())),
            Self::Html(text) => Record::Html(own(text)),
            Self::Media(media) => Record::Media(media.into_owned()),
            Self::Value(value) => Record::Value(value.into_owned()),
            Self::Unclaimed(console) => Record::Unclaimed(console),
            Self::Log {
                level,
                time,
                logger,
                message,
            } => Record::Log {
                level: own(level),
                time: own(time),
                logger: own(logger),
                message: own(message),
            },
            Self::Unknown { kind, values } => Record::Unknown {
                kind: own(kind),
                values,
            },
        }
    }
}

impl Console {
    /// An empty console.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether there is no record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// The bytes of text held, for limits on memory. Output that is not text counts as it is carried, in Base64.
    #[must_use]
    pub fn text_len(&self) -> usize {
        self.text.len() + self.in_body
    }

    /// The bytes of output held, as they were written: unlike in [`text_len`](Self::text_len), output that is not text counts
    /// without Base64, in unclaimed records as well.
    #[must_use]
    pub fn output_len(&self) -> usize {
        let len = |(kind, text): (PartKind, &str)| match kind {
            PartKind::StdoutBytes | PartKind::StderrBytes => decoded_len(text),
            PartKind::Unclaimed => Self::of_unclaimed(text).output_len(),
            _ => text.len(),
        };
        self.pieces().map(len).sum()
    }

    /// The records in order. Output that is not UTF-8 is text, with U+FFFD in place of what is not.
    #[must_use]
    pub fn iter(&self) -> Records<'_> {
        Records {
            pieces: self.pieces(),
            is_exact: false,
        }
    }

    /// The records in order, output that is not UTF-8 as [`Record::StdoutBytes`] and [`Record::StderrBytes`].
    ///
    /// ```
    /// use sorna_core::{Console, Record};
    ///
    /// let console: Console = serde_json::from_str(r#"[["stdout", "a\n"], ["stdout-bytes", "/2I="]]"#)?;
    /// assert_eq!(console.iter_exact().last(), Some(Record::StdoutBytes(b"\xffb"[..].into())));
    /// assert_eq!(console.iter().last(), Some(Record::Stdout("\u{fffd}b".into())));
    /// assert_eq!(&*console.stdout_bytes(), b"a\n\xffb");
    /// assert_eq!(console.stdout(), "a\n\u{fffd}b");
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    #[must_use]
    pub fn iter_exact(&self) -> Records<'_> {
        Records {
            is_exact: true,
            ..self.iter()
        }
    }

    /// Everything written to standard output, in one piece, as text: with U+FFFD in place of what is not UTF-8.
    #[must_use]
    pub fn stdout(&self) -> Cow<'_, str> {
        self.joined(PartKind::Stdout, PartKind::StdoutBytes)
    }

    /// Everything written to standard error, in one piece, as text: with U+FFFD in place of what is not UTF-8.
    #[must_use]
    pub fn stderr(&self) -> Cow<'_, str> {
        self.joined(PartKind::Stderr, PartKind::StderrBytes)
    }

    fn joined(&self, text_kind: PartKind, bytes_kind: PartKind) -> Cow<'_, str> {
        let mut joined = Cow::Borrowed("");
        for (kind, text) in self.pieces() {
            if kind == text_kind {
                joined += text;
            } else if kind == bytes_kind {
                joined.to_mut().push_str(&encoded::to_text(text));
            }
        }
        joined
    }

    fn pieces(&self) -> Pieces<'_> {
        self.parts.pieces(&self.text, &self.body)
    }

    /// Adds a record.
    pub fn push(&mut self, record: &Record<'_>) {
        match record {
            Record::Stdout(text) => self.part(PartKind::Stdout, text),
            Record::Stderr(text) => self.part(PartKind::Stderr, text),
            Record::StdoutBytes(bytes) => self.bytes_part(PartKind::StdoutBytes, bytes),
            Record::StderrBytes(bytes) => self.bytes_part(PartKind::StderrBytes, bytes),
            Record::Html(text) => self.part(PartKind::Html, text),
            Record::Media(media) => {
                self.part(PartKind::MediaType, media.media_type());
                self.part(PartKind::Field, media.content());
            }
            Record::Value(value) => self.value(value),
            Record::Unclaimed(console) => self.push_unclaimed(console),
            Record::Log {
                level,
                time,
                logger,
                message,
            } => {
                self.part(PartKind::LogLevel, level);
                for field in [time, logger, message] {
                    self.part(PartKind::Field, field);
                }
            }
            Record::Unknown { kind, values } => self.unknown(kind, values),
        }
    }

    /// Adds all records of another console.
    pub fn append(&mut self, other: Self) {
        if self.is_empty() {
            *self = other;
            return;
        }
        self.text.reserve(other.text_len());
        for (kind, text) in other.pieces() {
            self.part(kind, text);
        }
    }

    /// Adds text to standard output. Extends the last record if it is standard output, too.
    pub fn push_stdout(&mut self, text: &str) {
        self.join(PartKind::Stdout, text);
    }

    /// Adds text to standard error. Extends the last record if it is standard error, too.
    pub fn push_stderr(&mut self, text: &str) {
        self.join(PartKind::Stderr, text);
    }

    fn join(&mut self, kind: PartKind, text: &str) {
        match self.parts.last() {
            Some(last) if last.kind == kind => {
                if last.place != Place::Own {
                    self.copy_body();
                }
                self.text.push_str(text);
                self.parts.replace_last(Part {
                    len: last.len + text.len(),
                    place: Place::Own,
                    ..last
                });
            }
            _ => self.part(kind, text),
        }
    }

    /// Copies the text out of the body, and drops the body.
    fn copy_body(&mut self) {
        let mut copy = Self {
            text: String::with_capacity(self.text_len()),
            ..Self::default()
        };
        for (kind, text) in self.pieces() {
            copy.part(kind, text);
        }
        *self = copy;
    }

    fn part(&mut self, kind: PartKind, text: &str) {
        self.text.push_str(text);
        self.parts.push(Part {
            kind,
            len: text.len(),
            place: Place::Own,
        });
    }

    fn value(&mut self, value: &ValueForms<'_>) {
        self.part(PartKind::Value, &value.forms().len().to_string());
        for form in value.forms() {
            self.part(PartKind::Field, form.media_type());
            self.part(PartKind::Field, form.content());
        }
    }

    /// Adds media. What is large is not copied, if it is the first.
    fn media(&mut self, media_type: &str, mut content: String) {
        if !self.text.is_empty() {
            self.part(PartKind::MediaType, media_type);
            self.part(PartKind::Field, &content);
            return;
        }
        let lens = [
            (PartKind::MediaType, media_type.len()),
            (PartKind::Field, content.len()),
        ];
        content.reserve_exact(media_type.len());
        content.insert_str(0, media_type);
        self.text = content;
        for (kind, len) in lens {
            let place = Place::Own;
            self.parts.push(Part { kind, len, place });
        }
    }

    fn unknown(&mut self, kind: &str, values: &[Value]) {
        let values = serde_json::to_string(values).expect("values came from JSON");
        self.part(PartKind::UnknownKind, kind);
        self.part(PartKind::Field, &values);
    }
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}

impl<'a> IntoIterator for &'a Console {
    type Item = Record<'a>;
    type IntoIter = Records<'a>;

    fn into_iter(self) -> Records<'a> {
        self.iter()
    }
}

/// Iterates over a [`Console`].
#[derive(Clone)]
pub struct Records<'a> {
    pieces: Pieces<'a>,
    /// Whether bytes are given as such.
    is_exact: bool,
}

impl fmt::Debug for Records<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

impl<'a> Records<'a> {
    fn field(&mut self) -> Cow<'a, str> {
        let (_, text) = self
            .pieces
            .next()
            .expect("a record's fields follow its first part");
        text.into()
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Record<'a>> {
        let (kind, text) = self.pieces.next()?;
        let text = Cow::Borrowed(text);
        Some(match kind {
            PartKind::StdoutBytes if self.is_exact => {
                Record::StdoutBytes(encoded::decode(&text).into())
            }
            PartKind::StderrBytes if self.is_exact => {
                Record::StderrBytes(encoded::decode(&text).into())
            }
            PartKind::StdoutBytes => Record::Stdout(encoded::to_text(&text).into()),
            PartKind::StderrBytes => Record::Stderr(encoded::to_text(&text).into()),
            PartKind::Stdout => Record::Stdout(text),
            PartKind::Stderr => Record::Stderr(text),
            PartKind::Html => Record::Html(text),
            PartKind::MediaType => Record::Media(Media::new(text, self.field())),
            PartKind::LogLevel => Record::Log {
                level: text,
                time: self.field(),
                logger: self.field(),
                message: self.field(),
            },
            PartKind::Value => {
                let count: usize = text.parse().expect("the number of forms was written here");
                let forms = (0..count).map(|_| Media::new(self.field(), self.field()));
                Record::Value(ValueForms::new(forms.collect()))
            }
            PartKind::Unclaimed => {
                let mut console = Console::of_unclaimed(&text);
                if !self.is_exact {
                    console.replace_bytes();
                }
                Record::Unclaimed(console)
            }
            PartKind::UnknownKind => Record::Unknown {
                kind: text,
                values: serde_json::from_str(&self.field())
                    .expect("the values were written as a JSON array"),
            },
            PartKind::Field => unreachable!("fields are taken with their record"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_one_kind_is_joined_when_pushed() {
        let mut console = Console::new();
        console.push_stdout("a");
        console.push_stdout("b");
        console.push_stderr("c");
        console.push_stdout("d");
        let records: Vec<_> = console.iter().collect();
        assert_eq!(
            records,
            [
                Record::Stdout("ab".into()),
                Record::Stderr("c".into()),
                Record::Stdout("d".into())
            ]
        );
        assert_eq!(console.stdout(), "abd");
        assert_eq!(console.stderr(), "c");
    }

    #[test]
    fn consoles_are_joined_in_order() {
        let mut all = Console::new();
        for text in ["a", "b"] {
            let mut console = Console::new();
            console.push_stdout(text);
            console.push_stderr("e");
            all.append(console);
        }
        assert_eq!(all.iter().count(), 4);
        assert_eq!((&*all.stdout(), &*all.stderr()), ("ab", "ee"));
    }

    #[test]
    fn owned_records_outlive_the_console() {
        let owned = {
            let mut console = Console::new();
            console.push(&Record::Media(Media::new("text/plain", "x")));
            console.iter().next().unwrap().into_owned()
        };
        assert_eq!(owned, Record::Media(Media::new("text/plain", "x")));
    }
}
