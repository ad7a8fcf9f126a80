//! Value records: the value of a snippet's last expression.

use std::borrow::Cow;

use serde::ser::{Serialize, SerializeSeq, Serializer};

use super::media::Media;

/// The value of a snippet's last expression, in each form that it has: as text, and maybe as a picture or HTML. Show one.
///
/// ```
/// use sorna_core::{Console, Record};
///
/// let console: Console = serde_json::from_str(
///     r#"[["value", ["text/plain", "<Table>"], ["text/html", "<table></table>"]]]"#,
/// )?;
/// let Some(Record::Value(value)) = console.iter().next() else { panic!() };
/// assert_eq!(value.text(), Some("<Table>"));
/// assert_eq!(value.forms()[1].media_type(), "text/html");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueForms<'a> {
    forms: Vec<Media<'a>>,
}

impl<'a> ValueForms<'a> {
    /// The media type of the form that is text, as an interactive prompt shows it, without a line end.
    pub const TEXT: &'static str = "text/plain";

    /// The media type of what is said of forms that a program displays, and that are not the value of an expression, as the last
    /// of the forms: JSON, an object. `id` is a name for what is shown; with `update`, it changes what was shown by that name.
    /// With `clear`, there is no other form, and what the program has shown so far is to vanish: `"now"`, or `"later"`, as soon
    /// as there is something else to show. With `error`, an object that has a `name` and a `value`, there is no other form, either:
    /// that is the exception which has just ended the program. Its `traceback` is text, too, or else the last that the program has
    /// printed. With `raw`, a client is to add no form of its own.
    pub const DISPLAY: &'static str = "application/vnd.sorna.display+json";

    /// The media type of what is said of the forms, as one of the last of them: JSON, an object that has an object for each media
    /// type of which something is said, such as the width of a picture.
    pub const METADATA: &'static str = "application/vnd.sorna.metadata+json";

    /// A value in these forms, each of another media type.
    #[must_use]
    pub fn new(forms: Vec<Media<'a>>) -> Self {
        Self { forms }
    }

    /// A value that is only text.
    #[must_use]
    pub fn of_text(text: impl Into<Cow<'a, str>>) -> Self {
        Self::new(vec![Media::new(Self::TEXT, text)])
    }

    /// As text, which nearly every value has.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        let mut forms = self.forms.iter();
        let text = forms.find(|form| form.media_type() == Self::TEXT)?;
        Some(text.content())
    }

    /// What is said of a [display](Self::DISPLAY), as JSON; `None` for the value of an expression.
    #[must_use]
    pub fn display(&self) -> Option<&str> {
        let last = self.forms.last()?;
        (last.media_type() == Self::DISPLAY).then(|| last.content())
    }

    /// What is said of its [forms](Self::METADATA), as JSON, if anything is.
    #[must_use]
    pub fn metadata(&self) -> Option<&str> {
        let mut forms = self.forms.iter();
        let metadata = forms.find(|form| form.media_type() == Self::METADATA)?;
        Some(metadata.content())
    }

    /// The richest form that is not text.
    #[must_use]
    pub fn richest(&self) -> Option<&Media<'a>> {
        let is_rich = |form: &&Media<'_>| {
            !matches!(
                form.media_type(),
                Self::TEXT | Self::DISPLAY | Self::METADATA
            )
        };
        self.forms.iter().find(is_rich)
    }

    /// All forms, in the order in which they were sent: text first, and then from the richest on.
    #[must_use]
    pub fn forms(&self) -> &[Media<'a>] {
        &self.forms
    }

    pub(super) fn into_owned(self) -> ValueForms<'static> {
        let forms = self.forms.into_iter();
        ValueForms::new(forms.map(Media::into_owned).collect())
    }
}

/// As a console record.
impl Serialize for ValueForms<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(Some(1 + self.forms.len()))?;
        seq.serialize_element("value")?;
        for form in &self.forms {
            seq.serialize_element(&(form.media_type(), form.content()))?;
        }
        seq.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::{Console, Record};

    fn read(json: &str) -> Console {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn values_keep_their_forms_and_their_place() {
        let json = r#"[["stdout","a"],["value",["text/plain","4\n2"],["image/png","data:image/png;base64,iVBORw=="]],["value",["text/plain",""]],["stderr","b"]]"#;
        let console = read(json);
        assert_eq!(serde_json::to_string(&console).unwrap(), json);
        let records: Vec<_> = console.iter().map(Record::into_owned).collect();
        let Record::Value(value) = &records[1] else {
            panic!("{records:?}")
        };
        assert_eq!(value.text(), Some("4\n2"));
        assert_eq!(value.forms()[1].bytes().unwrap(), &b"\x89PNG"[..]);
        assert_eq!(records[2], Record::Value(ValueForms::of_text("")));
        assert_eq!((&*console.stdout(), &*console.stderr()), ("a", "b"));
        let mut copy = Console::new();
        for record in &records {
            copy.push(record);
        }
        assert_eq!(copy, console);
        copy.append(console);
        assert_eq!(copy.iter().count(), 8);
    }

    #[test]
    fn displays_are_told_from_values() {
        let console = read(
            r#"[["value",["text/plain","4"],["application/vnd.sorna.display+json","{}"]],["value",["text/plain","4"],["text/html","<b>"]]]"#,
        );
        let values: Vec<_> = console.iter().collect();
        let [Record::Value(shown), Record::Value(value)] = &*values else {
            panic!("{values:?}")
        };
        assert_eq!((shown.display(), shown.richest()), (Some("{}"), None));
        assert_eq!(value.display(), None);
        assert_eq!(value.richest().unwrap().media_type(), "text/html");
    }

    #[test]
    fn values_of_another_form_are_unknown_and_kept() {
        for json in [
            r#"[["value"]]"#,
            r#"[["value","42"]]"#,
            r#"[["value",["text/plain"]]]"#,
            r#"[["value",["text/plain","a"],3]]"#,
            r#"[["value",["text/plain",42]]]"#,
        ] {
            let console = read(json);
            let record = console.iter().next().unwrap();
            assert!(matches!(record, Record::Unknown { .. }), "{record:?}");
            assert_eq!(serde_json::to_string(&console).unwrap(), json);
        }
    }
}
