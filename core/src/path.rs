//! Escaping of path segments and queries.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};

/// The characters that are not escaped in a path segment: the unreserved characters of RFC 3986,
/// and `+`, which the original gateway restores before it checks the signature (so escaping it
/// would break that).
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'+');

/// A text escaped as one segment of a path, in pieces.
pub(crate) fn segment(text: &str) -> PercentEncode<'_> {
    utf8_percent_encode(text, ESCAPED)
}

/// What stays as it is in a query: the unreserved characters of RFC 3986, and `*`, which Backend.AI has for
/// "all" and its clients send as it is. A `+` would be read as a space.
const ESCAPED_IN_QUERY: &AsciiSet = &ESCAPED.add(b'+').remove(b'*');

/// A name or value of a query, escaped, in pieces.
pub(crate) fn query(text: &str) -> PercentEncode<'_> {
    utf8_percent_encode(text, ESCAPED_IN_QUERY)
}
