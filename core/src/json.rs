//! JSON with halves of surrogate pairs.
//!
//! Python and JavaScript have texts with half of a surrogate pair, which is no character, and write it to JSON as they
//! write others: `"\ud800"`. There is no such text in Rust. One character must not cost a whole response, so it is
//! replaced, as it is where text is decoded.

use serde::de::DeserializeOwned;

/// Reads JSON, in which U+FFFD takes the place of halves of surrogate pairs.
pub(crate) fn from_slice<T: DeserializeOwned>(json: &[u8]) -> serde_json::Result<T> {
    serde_json::from_slice(json).or_else(|error| match mended(json) {
        Some(mended) => serde_json::from_slice(&mended),
        None => Err(error),
    })
}

/// The same JSON with U+FFFD in place of halves of surrogate pairs; `None` if there are none.
pub(crate) fn mended(json: &[u8]) -> Option<Vec<u8>> {
    let mut mended: Option<Vec<u8>> = None;
    let mut at = 0;
    while let Some(offset) = json.get(at..)?.iter().position(|byte| *byte == b'\\') {
        at += offset;
        let Some(unit) = escaped(json, at) else {
            // Another escape, of two bytes.
            at += 2;
            if at >= json.len() {
                break;
            }
            continue;
        };
        let follows = || escaped(json, at + ESCAPE).is_some_and(|unit| LOW.contains(&unit));
        if HIGH.contains(&unit) && follows() {
            at += 2 * ESCAPE;
            continue;
        }
        if HIGH.contains(&unit) || LOW.contains(&unit) {
            let mended = mended.get_or_insert_with(|| json.to_vec());
            mended[at..at + ESCAPE].copy_from_slice(br"\ufffd");
        }
        at += ESCAPE;
    }
    mended
}

/// The length of `\ud800`.
const ESCAPE: usize = 6;
const HIGH: std::ops::RangeInclusive<u16> = 0xd800..=0xdbff;
const LOW: std::ops::RangeInclusive<u16> = 0xdc00..=0xdfff;

/// The code unit of an escape like `\ud800` that starts there.
fn escaped(json: &[u8], at: usize) -> Option<u16> {
    let digits = json.get(at..at + ESCAPE)?.strip_prefix(br"\u")?;
    let digits = std::str::from_utf8(digits).ok()?;
    let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex.then(|| u16::from_str_radix(digits, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_of_surrogate_pairs_are_replaced() {
        for (json, text) in [
            (r#""a\ud800b""#, "a\u{fffd}b"),
            (r#""\udc00""#, "\u{fffd}"),
            (r#""\uD83D""#, "\u{fffd}"),
            (r#""\udc00\ud800""#, "\u{fffd}\u{fffd}"),
            (r#""\ud800\ud83d\ude00""#, "\u{fffd}\u{1f600}"),
            (r#""\ud83d\ude00\udfff\n""#, "\u{1f600}\u{fffd}\n"),
            (r#""\ud800\n""#, "\u{fffd}\n"),
            (r#""\\ud800\ud800""#, "\\ud800\u{fffd}"),
            (r#""\\\ud800""#, "\\\u{fffd}"),
        ] {
            assert!(serde_json::from_str::<String>(json).is_err(), "{json}");
            assert_eq!(
                from_slice::<String>(json.as_bytes()).unwrap(),
                text,
                "{json}"
            );
        }
    }

    #[test]
    fn nothing_else_is_changed() {
        for json in [
            "",
            "\\",
            r#""\"#,
            r#""\u""#,
            r#""\ud8"#,
            r#""\ud83d\ude00""#,
            r#""\\ud800""#,
            r#""\u0041\"\\""#,
        ] {
            assert_eq!(mended(json.as_bytes()), None, "{json}");
        }
        assert!(from_slice::<String>(br#""\ud800"#).is_err());
    }
}
