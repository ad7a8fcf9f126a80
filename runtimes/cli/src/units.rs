//! Times, sizes and counts, for people.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;

/// A time in ms.
pub(crate) fn time(ms: f64) -> String {
    let seconds = ms / 1000.0;
    if ms < 999.5 {
        return format!("{ms:.0} ms");
    }
    if seconds < 59.95 {
        return format!("{seconds:.1} s");
    }
    let whole = seconds.round() as u64;
    match whole {
        0..3600 => format!("{} min {} s", whole / 60, whole % 60),
        3600..86_400 => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
        _ => format!("{} d {} h", whole / 86_400, whole % 86_400 / 3600),
    }
}

/// A time, for dates; without fractions of a second.
pub(crate) fn since_1970(time: SystemTime) -> Option<Timestamp> {
    let since = time.duration_since(UNIX_EPOCH).ok()?;
    Timestamp::from_second(i64::try_from(since.as_secs()).ok()?).ok()
}

/// A size in KiB.
pub(crate) fn size(kib: f64) -> String {
    let mut size = kib;
    for unit in ["KiB", "MiB"] {
        if size < 1024.0 {
            return format!("{size:.1} {unit}").replace(".0 ", " ");
        }
        size /= 1024.0;
    }
    format!("{size:.1} GiB").replace(".0 ", " ")
}

/// Such as `1 file` or `3 files`.
pub(crate) fn count(number: usize, thing: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {thing}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_the_unit_that_fits() {
        for (ms, text) in [
            (0.0, "0 ms"),
            (999.0, "999 ms"),
            (999.6, "1.0 s"),
            (3526.982, "3.5 s"),
            (59_960.0, "1 min 0 s"),
            (3_600_000.0, "1 h 0 min"),
            (90_061_000.0, "1 d 1 h"),
        ] {
            assert_eq!(time(ms), text, "{ms}");
        }
    }

    #[test]
    fn sizes_have_the_unit_that_fits() {
        for (kib, text) in [
            (0.0, "0 KiB"),
            (1023.0, "1023 KiB"),
            (1536.0, "1.5 MiB"),
            (2_097_152.0, "2 GiB"),
        ] {
            assert_eq!(size(kib), text, "{kib}");
        }
    }
}
