//! The form in which output that is not UTF-8 is carried and kept.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// How many characters of Base64 are checked at once: a multiple of 4.
const PIECE: usize = 4096;

/// Whether a text is Base64 that [`decode`] can read: with padding, and in the one form that bytes have.
pub(super) fn is_encoded(text: &str) -> bool {
    let mut scratch = [0; PIECE / 4 * 3];
    let mut pieces = text.as_bytes().chunks(PIECE).peekable();
    while let Some(piece) = pieces.next() {
        // Padding is allowed at the end alone.
        let is_inner = pieces.peek().is_some();
        if !STANDARD
            .decode_slice_unchecked(piece, &mut scratch)
            .is_ok_and(|length| !is_inner || length == scratch.len())
        {
            return false;
        }
    }
    true
}

/// The bytes of a part.
pub(super) fn decode(text: &str) -> Vec<u8> {
    STANDARD
        .decode(text)
        .expect("it was checked, or encoded here")
}

/// How many bytes a part has.
pub(super) fn decoded_len(text: &str) -> usize {
    let padding = text.bytes().rev().take_while(|byte| *byte == b'=').count();
    text.len() / 4 * 3 - padding
}

/// The bytes of a part as text, with U+FFFD in place of what is not.
pub(super) fn to_text(text: &str) -> String {
    match String::from_utf8(decode(text)) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    }
}
