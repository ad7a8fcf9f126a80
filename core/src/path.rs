//! Escaping of path segments and queries.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};

/// What is escaped everywhere: all but the unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// What is escaped in a path segment: all but the `pchar` of RFC 3986, which may stand there as they are. Gateway 0.9.11
/// restores these before it verifies the signature, so escaping one would break that. (Observed.)
const ESCAPED: &AsciiSet = &RESERVED
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b':')
    .remove(b';')
    .remove(b'=')
    .remove(b'@');

/// A text escaped as one segment of a path, in pieces.
pub(crate) fn segment(text: &str) -> PercentEncode<'_> {
    utf8_percent_encode(text, ESCAPED)
}

/// What is escaped in a query: all but the unreserved characters of RFC 3986, and `*`, which Backend.AI has for
/// "all" and its clients send as it is. A `+` would be read as a space.
const ESCAPED_IN_QUERY: &AsciiSet = &RESERVED.remove(b'*');

/// A name or value of a query, escaped, in pieces.
pub(crate) fn query(text: &str) -> PercentEncode<'_> {
    utf8_percent_encode(text, ESCAPED_IN_QUERY)
}
