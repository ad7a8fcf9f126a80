//! An error that was found in text, and what looking for one needs.

/// An error, as Jupyter's messages have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Its name, such as `ValueError`.
    pub name: String,
    /// Its message.
    pub value: String,
    /// What to show, a line each.
    pub traceback: Vec<String>,
}

impl Failure {
    /// An error that has no traceback.
    #[must_use]
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        let (name, value) = (name.into(), value.into());
        let line = match value.is_empty() {
            true => name.clone(),
            false => format!("{name}: {value}"),
        };
        Self {
            name,
            value,
            traceback: line.lines().map(str::to_owned).collect(),
        }
    }

    /// With another line to show.
    #[must_use]
    pub fn with_line(mut self, line: impl Into<String>) -> Self {
        self.traceback.push(line.into());
        self
    }
}

/// A traceback in what was written to standard error, as the last thing that a program does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where it begins, in bytes.
    pub start: usize,
    /// Where it ends, in bytes. What follows has been written after it, and is of something else.
    pub end: usize,
    /// The error that it is about.
    pub failure: Failure,
}

pub(super) fn last_line(text: &str) -> &str {
    let last = text.lines().rev().find(|line| !line.trim().is_empty());
    last.unwrap_or_default().trim()
}

pub(super) fn lines(text: &str) -> Vec<String> {
    text.trim_end().lines().map(str::to_owned).collect()
}

/// Each line, with its place.
pub(super) fn places(text: &str) -> impl DoubleEndedIterator<Item = (usize, &str)> {
    text.split_inclusive('\n')
        .scan(0, |at, line| {
            let start = *at;
            *at += line.len();
            Some((start, line.trim_end_matches(['\n', '\r'])))
        })
        .collect::<Vec<_>>()
        .into_iter()
}

pub(super) fn found(text: &str, start: usize, name: &str, value: &str) -> Found {
    Found {
        start,
        end: text.len(),
        failure: Failure {
            name: name.to_owned(),
            value: value.trim_end().to_owned(),
            traceback: lines(&text[start..]),
        },
    }
}
