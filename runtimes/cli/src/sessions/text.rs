//! Text of managers, for people.

use crate::harmless::safe;

/// A time without fractions of a second.
pub(crate) fn moment(text: &str) -> String {
    let text = safe(text);
    let whole = text
        .split_once('.')
        .map_or(text.as_str(), |(whole, _)| whole);
    whole.replacen('T', " ", 1).replace("+00:00", "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_both_releases_look_the_same() {
        for text in [
            "2026-11-27T05:04:20.875225+00:00",
            "2026-11-27 05:04:20.875225+00:00",
            "2026-11-27T05:04:20+00:00",
        ] {
            assert_eq!(moment(text), "2026-11-27 05:04:20");
        }
    }
}
