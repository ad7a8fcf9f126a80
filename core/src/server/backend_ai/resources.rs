//! Amounts of resources.

/// A size in bytes: digits with an optional fraction and unit, as in `256m`, `1.5g`, `4GiB` or `268435456`. Units
/// are powers of 1024, as managers read them. `None` if it is something else, or does not fit.
///
/// ```
/// use sorna_core::server::backend_ai::parse_size;
///
/// assert_eq!(parse_size("256m"), Some(256 << 20));
/// assert_eq!(parse_size("1.5 GiB"), Some(3 << 29));
/// assert_eq!(parse_size("plenty"), None);
/// ```
#[must_use]
pub fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let power = match unit.trim() {
        "" | "b" | "bytes" => 0,
        "k" | "kb" | "kib" => 1,
        "m" | "mb" | "mib" => 2,
        "g" | "gb" | "gib" => 3,
        "t" | "tb" | "tib" => 4,
        _ => return None,
    };
    let factor = 1024_u64.pow(power);
    if !number.contains('.') {
        return number.parse::<u64>().ok()?.checked_mul(factor);
    }
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a size with a fraction need not be exact, and the number is neither negative nor too large"
    )]
    number
        .parse::<f64>()
        .ok()
        .map(|number| number * factor as f64)
        .filter(|bytes| *bytes < 9e18)
        .map(|bytes| bytes as u64)
}

/// A number of processor cores, rounded up: `2`, `0.5`. `None` if it is something else.
#[must_use]
pub fn parse_cores(text: &str) -> Option<u64> {
    let text = text.trim();
    if let Ok(cores) = text.parse() {
        return Some(cores);
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the number is neither negative nor too large"
    )]
    text.parse::<f64>()
        .ok()
        .filter(|cores| (0.0..1e15).contains(cores))
        .map(|cores| cores.ceil() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units_of_1024() {
        for (text, bytes) in [
            ("0", Some(0)),
            ("268435456", Some(268_435_456)),
            ("1k", Some(1024)),
            ("4g", Some(4 << 30)),
            (" 2 TiB ", Some(2 << 40)),
            ("0.5k", Some(512)),
            ("", None),
            ("-1", None),
            ("1x", None),
            ("1..5m", None),
            ("99999999999999999999", None),
            ("99999999999t", None),
            ("9999999999999999999.5t", None),
            ("é", None),
        ] {
            assert_eq!(parse_size(text), bytes, "{text:?}");
        }
    }

    #[test]
    fn a_part_of_a_core_is_a_core() {
        for (text, cores) in [
            ("2", Some(2)),
            ("0.5", Some(1)),
            ("1.0", Some(1)),
            ("0", Some(0)),
            ("-1", None),
            ("NaN", None),
            ("inf", None),
            ("two", None),
        ] {
            assert_eq!(parse_cores(text), cores, "{text:?}");
        }
    }
}
