//! Headers that are lists of words.

use http::{HeaderMap, HeaderName};

/// Whether a header that lists words has this one.
pub(super) fn has_word(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    headers.get_all(name).iter().any(|value| {
        let mut words = value.as_bytes().split(|byte| *byte == b',');
        words.any(|found| found.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
    })
}
