//! The text of an error, with its causes.

use std::error::Error;
use std::fmt;

/// An error and its causes on one line, each once: errors here say nothing of their [`source`](Error::source), and some of
/// other crates end with it.
///
/// ```
/// use std::io;
/// use sorna::with_causes;
///
/// let refused = io::Error::new(io::ErrorKind::ConnectionRefused, "no one listens");
/// assert_eq!(with_causes(&refused), "no one listens");
///
/// let uri = "http://[".parse::<sorna::protocol::Endpoint>().unwrap_err();
/// assert!(with_causes(&uri).starts_with(&uri.to_string()));
/// ```
pub fn with_causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let message = cause.to_string();
        if !text.ends_with(&message) {
            text.push_str(": ");
            text.push_str(&message);
        }
        source = cause.source();
    }
    text
}

/// Any error, as people read it: `main` may return it, which prints the `Debug` form of an error, and that of this one is the text
/// of [`with_causes`].
///
/// ```
/// use sorna::Report;
///
/// fn read() -> Result<String, Report> {
///     Ok(std::fs::read_to_string("/no/such/file")?)
/// }
///
/// // As `fn main() -> Result<(), Report>` prints it, after `Error: `.
/// let shown = format!("{:?}", read().unwrap_err());
/// assert_eq!(shown, "No such file or directory (os error 2)");
/// ```
// It is no error itself: else `?` could not make one of each.
pub struct Report(Box<dyn Error + Send + Sync>);

impl Report {
    /// The error.
    #[must_use]
    pub fn into_inner(self) -> Box<dyn Error + Send + Sync> {
        self.0
    }
}

impl<E: Into<Box<dyn Error + Send + Sync>>> From<E> for Report {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&with_causes(&*self.0))
    }
}

#[cfg(test)]
mod tests {
    use std::{fmt, io};

    use super::*;

    #[derive(Debug)]
    struct Outer(&'static str, io::Error);

    impl fmt::Display for Outer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl Error for Outer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.1)
        }
    }

    #[test]
    fn each_cause_is_there_once() {
        let cause = || io::Error::other("the disk is full");
        let said = with_causes(&Outer("cannot save", cause()));
        assert_eq!(said, "cannot save: the disk is full");
        let said = with_causes(&Outer("cannot save: the disk is full", cause()));
        assert_eq!(said, "cannot save: the disk is full");
    }
}
