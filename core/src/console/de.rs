//! Reads a console from JSON: text is copied once into its buffer, or stays in the response's body.
//!
//! Written by hand, since derived readers allocate a value for each record and copy each text. A result may
//! have tens of thousands of records, most of them text without escapes: this reads them without an allocation
//! for each, shares the response's body where it can, and keeps records of unknown kinds and forms.

use std::fmt;

use bytestring::ByteString;
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::{Map, Value};

use super::encoded::is_encoded;
use super::{Console, Media, Part, PartKind, Place, ValueForms, unclaimed};

impl<'de> Deserialize<'de> for Console {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        ConsoleSeed { body: None }.deserialize(deserializer)
    }
}

/// Reads a console whose text may stay in the body that is being read.
pub(crate) struct ConsoleSeed<'b> {
    /// The whole body, if it can be shared.
    pub(crate) body: Option<&'b ByteString>,
}

impl<'de> DeserializeSeed<'de> for ConsoleSeed<'_> {
    type Value = Console;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Console, D::Error> {
        let mut reading = Reading {
            console: Console::new(),
            body: self.body,
            body_end: 0,
        };
        deserializer.deserialize_any(ConsoleVisitor(&mut reading))?;
        Ok(reading.finish())
    }
}

/// A console while it is read.
struct Reading<'b> {
    console: Console,
    body: Option<&'b ByteString>,
    /// The end of the last text that stays in the body.
    body_end: usize,
}

impl Reading<'_> {
    /// Adds a text without copying it, if there is a body and the text is part of it.
    fn share(&mut self, kind: PartKind, text: &str) -> bool {
        let Some(body) = self.body else {
            return false;
        };
        let start = text.as_ptr().addr().wrapping_sub(body.as_ptr().addr());
        let end = start.wrapping_add(text.len());
        if text.is_empty() || start < self.body_end || end < start || end > body.len() {
            return false;
        }
        self.console.parts.push(Part {
            kind,
            len: text.len(),
            place: Place::Body {
                skip: start - self.body_end,
            },
        });
        self.console.in_body += text.len();
        self.body_end = end;
        true
    }

    /// Keeps the body only if most of it is text, so that a console never keeps much else in memory.
    fn finish(self) -> Console {
        let mut console = self.console;
        if let Some(body) = self.body.filter(|_| console.in_body > 0) {
            console.body = body.clone();
            if console.in_body < body.len() / 2 {
                console.copy_body();
            }
        }
        console
    }
}

/// Passes every value that a visitor does not handle itself to its function `other`.
macro_rules! other_values {
    () => {
        fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
            self.other(value.into())
        }

        fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
            self.other(value.into())
        }

        fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
            self.other(value.into())
        }

        fn visit_f64<E: Error>(self, value: f64) -> Result<Self::Value, E> {
            self.other(value.into())
        }

        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            self.other(Value::Null)
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut object = Map::new();
            while let Some((key, value)) = map.next_entry()? {
                object.insert(key, value);
            }
            self.other(Value::Object(object))
        }
    };
}

/// A list of records; `null` is an empty one.
struct ConsoleVisitor<'r, 'b>(&'r mut Reading<'b>);

impl<'de> Visitor<'de> for ConsoleVisitor<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of console records")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(RecordSeed(self.0))?.is_some() {}
        Ok(())
    }
}

/// One record: `[kind, value]`, or for logs maybe `[kind, level, time, logger, message]` or `[kind, message]`.
struct RecordSeed<'r, 'b>(&'r mut Reading<'b>);

/// The kinds of records with a specific form.
#[derive(Clone, Copy)]
enum Known {
    Text(PartKind),
    Media,
    Log,
    Value,
    Unclaimed,
}

impl Known {
    fn name(self) -> &'static str {
        match self {
            Self::Text(PartKind::Stdout) => "stdout",
            Self::Text(PartKind::Stderr) => "stderr",
            Self::Text(PartKind::StdoutBytes) => "stdout-bytes",
            Self::Text(PartKind::StderrBytes) => "stderr-bytes",
            Self::Text(_) => "html",
            Self::Media => "media",
            Self::Log => "log",
            Self::Value => "value",
            Self::Unclaimed => unclaimed::NAME,
        }
    }
}

/// The first item of a record.
enum Kind {
    Known(Known),
    Other(Value),
}

struct KindVisitor;

impl KindVisitor {
    fn other<E>(self, value: Value) -> Result<Kind, E> {
        Ok(Kind::Other(value))
    }
}

impl<'de> Visitor<'de> for KindVisitor {
    type Value = Kind;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the kind of a console record")
    }

    fn visit_str<E: Error>(self, kind: &str) -> Result<Kind, E> {
        Ok(match kind {
            "stdout" => Kind::Known(Known::Text(PartKind::Stdout)),
            "stderr" => Kind::Known(Known::Text(PartKind::Stderr)),
            "stdout-bytes" => Kind::Known(Known::Text(PartKind::StdoutBytes)),
            "stderr-bytes" => Kind::Known(Known::Text(PartKind::StderrBytes)),
            "html" => Kind::Known(Known::Text(PartKind::Html)),
            "media" => Kind::Known(Known::Media),
            "log" => Kind::Known(Known::Log),
            "value" => Kind::Known(Known::Value),
            unclaimed::NAME => Kind::Known(Known::Unclaimed),
            other => Kind::Other(other.into()),
        })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Kind, A::Error> {
        self.other(Value::Array(rest(seq, Vec::new())?))
    }

    other_values!();
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KindVisitor)
    }
}

impl<'de> DeserializeSeed<'de> for RecordSeed<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl RecordSeed<'_, '_> {
    /// A record that is not an array is kept as a value without a kind.
    fn other<E>(self, value: Value) -> Result<(), E> {
        self.0.console.unknown("", &[value]);
        Ok(())
    }
}

impl<'de> Visitor<'de> for RecordSeed<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a console record")
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        self.other(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let known = match seq.next_element::<Kind>()? {
            None => return self.other(Value::Array(Vec::new())),
            // A record whose kind is empty is kept whole, or it would look like its own value.
            Some(Kind::Other(Value::String(kind))) if !kind.is_empty() => {
                self.0.console.unknown(&kind, &rest(seq, Vec::new())?);
                return Ok(());
            }
            Some(Kind::Other(first)) => {
                return self.other(Value::Array(rest(seq, vec![first])?));
            }
            Some(Kind::Known(known)) => known,
        };
        let reading = self.0;
        let Known::Text(kind) = known else {
            fields(&mut reading.console, known, rest(seq, Vec::new())?);
            return Ok(());
        };
        match seq.next_element_seed(TextSeed { kind, reading })? {
            None => reading.console.unknown(known.name(), &[]),
            Some(Some(other)) => {
                let values = rest(seq, vec![other])?;
                reading.console.unknown(known.name(), &values);
            }
            Some(None) => while seq.next_element::<IgnoredAny>()?.is_some() {},
        }
        Ok(())
    }

    other_values!();
}

/// Values: an array for each form. Media and logs: text fields, nested in one array or (logs) in the record itself.
fn fields(console: &mut Console, known: Known, mut values: Vec<Value>) {
    if let Known::Value = known {
        match forms(&values) {
            Some(value) => console.value(&value),
            None => console.unknown(known.name(), &values),
        }
        return;
    }
    if let Known::Unclaimed = known {
        match unclaimed::read(&values) {
            Some(other) => console.push_unclaimed(&other),
            None => console.unknown(known.name(), &values),
        }
        return;
    }
    let nested = match values.as_mut_slice() {
        [Value::Array(nested)] => nested.as_mut_slice(),
        flat => flat,
    };
    if let (Known::Media, [Value::String(media_type), Value::String(content)]) =
        (known, &mut *nested)
    {
        console.media(media_type, std::mem::take(content));
        return;
    }
    let texts: Option<Vec<&str>> = nested.iter().map(Value::as_str).collect();
    match (known, texts.as_deref()) {
        (Known::Log, Some([level, time, logger, message])) => {
            console.part(PartKind::LogLevel, level);
            for field in [time, logger, message] {
                console.part(PartKind::Field, field);
            }
        }
        // Gateway 0.9.11 sends the text alone, where the manual has four fields. (Observed.)
        (Known::Log, Some([message])) => {
            console.part(PartKind::LogLevel, "");
            for field in ["", "", message] {
                console.part(PartKind::Field, field);
            }
        }
        _ => console.unknown(known.name(), &values),
    }
}

/// The forms of a value; `None` if that is something else.
fn forms(values: &[Value]) -> Option<ValueForms<'_>> {
    let form = |value: &'_ Value| match value.as_array()?.as_slice() {
        [Value::String(media_type), Value::String(content)] => {
            Some(Media::new(media_type.clone(), content.clone()))
        }
        _ => None,
    };
    let forms: Option<Vec<_>> = values.iter().map(form).collect();
    forms.filter(|it| !it.is_empty()).map(ValueForms::new)
}

/// Adds a string, of bytes in Base64; returns any other value.
struct TextSeed<'r, 'b> {
    kind: PartKind,
    reading: &'r mut Reading<'b>,
}

impl TextSeed<'_, '_> {
    fn other<E>(self, value: Value) -> Result<Option<Value>, E> {
        Ok(Some(value))
    }

    /// Whether the text is of the form that its kind has.
    fn fits(&self, text: &str) -> bool {
        match self.kind {
            PartKind::StdoutBytes | PartKind::StderrBytes => is_encoded(text),
            _ => true,
        }
    }
}

impl<'de> DeserializeSeed<'de> for TextSeed<'_, '_> {
    type Value = Option<Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for TextSeed<'_, '_> {
    type Value = Option<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the text of a console record")
    }

    /// Text without escapes.
    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        if !self.fits(text) {
            return self.other(text.into());
        }
        if !self.reading.share(self.kind, text) {
            self.reading.console.part(self.kind, text);
        }
        Ok(None)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        if !self.fits(text) {
            return self.other(text.into());
        }
        self.reading.console.part(self.kind, text);
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
        self.other(Value::Array(rest(seq, Vec::new())?))
    }

    other_values!();
}

fn rest<'de, A: SeqAccess<'de>>(
    mut seq: A,
    mut values: Vec<Value>,
) -> Result<Vec<Value>, A::Error> {
    while let Some(value) = seq.next_element()? {
        values.push(value);
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::super::{Media, Record};
    use super::*;

    fn read(json: &str) -> Vec<Record<'static>> {
        let console: Console = serde_json::from_str(json).unwrap();
        console.iter().map(Record::into_owned).collect()
    }

    #[test]
    fn known_records_have_their_fields() {
        assert_eq!(
            read(
                r#"[["stdout", "é \ud83d\ude00\n"], ["stderr", ""], ["html", "<b>"],
                    ["media", ["image/svg+xml", "<svg/>"]],
                    ["log", ["INFO", "2017-06-29T01:23:45", "root", "hi"]],
                    ["log", "INFO", "2017-06-29T01:23:45", "root", "hi"],
                    ["log", "text alone"], ["log", ["text alone"]]]"#
            ),
            [
                Record::Stdout("é 😀\n".into()),
                Record::Stderr("".into()),
                Record::Html("<b>".into()),
                Record::Media(Media::new("image/svg+xml", "<svg/>")),
                log(),
                log(),
                alone(),
                alone(),
            ]
        );
    }

    fn alone() -> Record<'static> {
        Record::Log {
            level: "".into(),
            time: "".into(),
            logger: "".into(),
            message: "text alone".into(),
        }
    }

    fn log() -> Record<'static> {
        Record::Log {
            level: "INFO".into(),
            time: "2017-06-29T01:23:45".into(),
            logger: "root".into(),
            message: "hi".into(),
        }
    }

    /// As from a response.
    fn shared(json: &str) -> Console {
        let body = ByteString::from(json);
        let seed = ConsoleSeed { body: Some(&body) };
        seed.deserialize(&mut serde_json::Deserializer::from_str(&body))
            .unwrap()
    }

    #[test]
    fn text_without_escapes_stays_in_the_body() {
        let json = r#"[["stdout", "plain text"], ["stderr", "line\n"], ["stdout", ""],
            ["html", "<b>", 3], ["media", ["a", "b"]], ["stdout", "the same stream, and more of it, é"]]"#;
        let mut console = shared(json);
        let mut copied: Console = serde_json::from_str(json).unwrap();
        assert_eq!(
            (console.body.len(), copied.body.len()),
            (0, 0),
            "too little of it is text"
        );
        assert_eq!(console, copied);

        let long = "x".repeat(500);
        let json = json.replace("plain text", &long);
        console = shared(&json);
        copied = serde_json::from_str(&json).unwrap();
        assert_eq!(console.body, json);
        assert_eq!(console.text_len(), copied.text_len());
        assert_eq!(console, copied);
        assert_eq!(console.stdout(), copied.stdout());
        let records: Vec<_> = copied.iter().collect();
        assert_eq!(console.iter().collect::<Vec<_>>(), records);

        for both in [&mut console, &mut copied] {
            both.push_stdout(" and more");
            both.push_stdout(" still");
            let more = shared(&json);
            both.append(more);
            both.push_stderr("end");
        }
        assert_eq!(console, copied);
        assert_eq!(console.text_len(), copied.text_len());
    }

    #[test]
    fn null_and_an_empty_list_are_an_empty_console() {
        assert!(read("null").is_empty());
        assert!(read("[]").is_empty());
    }

    #[test]
    fn unknown_records_survive_a_round_trip() {
        for json in [
            r#"[["hologram",1,{"a":[null]}],["stdout",null],["stdout",["x"],2],["html"]]"#,
            r#"[["media","image/png"],["media",["a","b","c"]],["log",[1,2,3,4]],["log",["a","b"]],["log",1],["log"]]"#,
            r#"["loose",{"a":1},null,3,-4,1.5,true,[],[1,2],[[1],2],[{"a":1}],[null,"x"]]"#,
            r#"[["",["stdout","x"]],["",5],[""],["",1,2]]"#,
        ] {
            let console: Console = serde_json::from_str(json).unwrap();
            assert_eq!(serde_json::to_string(&console).unwrap(), json);
        }
    }

    #[test]
    fn a_console_that_is_not_a_list_is_an_error() {
        assert!(serde_json::from_str::<Console>("{}").is_err());
        assert!(serde_json::from_str::<Console>(r#"[["stdout", "a"]"#).is_err());
    }
}
