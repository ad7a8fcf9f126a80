//! What people are told.

use std::fmt;
use std::io::{self, Write};

/// Writes a line to standard error. If no one reads that any more, nothing is lost.
pub(crate) fn report(text: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "sorna: {text}");
}
