//! Points in time as Backend.AI writes them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Reads `2026-11-27T05:04:20.875225+00:00`, with a space for the `T` from older managers, and with any zone; a
/// date without one is in UTC.
pub(crate) fn parse(text: &str) -> Option<SystemTime> {
    let (date, time) = text.trim().split_once(['T', 't', ' '])?;
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let (time, zone) = match time.find(['Z', 'z', '+', '-']) {
        Some(end) => time.split_at(end),
        None => (time, "Z"),
    };
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?;
    if !(1..=12).contains(&month) || !(1..=days_in(year, month)).contains(&day) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let days = days_since_1970(year, month, day);
    let seconds = days * 86_400 + hour * 3600 + minute * 60 + second - offset(zone)?;
    let whole = Duration::from_secs(seconds.unsigned_abs());
    let whole = if seconds < 0 {
        UNIX_EPOCH.checked_sub(whole)?
    } else {
        UNIX_EPOCH.checked_add(whole)?
    };
    whole.checked_add(Duration::from_nanos(nanoseconds(fraction)?))
}

/// Three numbers of so many digits.
fn numbers(text: &str, mark: char, digits: [usize; 3]) -> Option<[i64; 3]> {
    let mut found = [0; 3];
    let mut pieces = text.split(mark);
    for (number, digits) in found.iter_mut().zip(digits) {
        *number = number_of(pieces.next()?, digits)?;
    }
    pieces.next().is_none().then_some(found)
}

fn number_of(text: &str, digits: usize) -> Option<i64> {
    let is_number = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok())?
}

/// Seconds east of UTC: `Z`, `+00:00`, `+0900`.
fn offset(zone: &str) -> Option<i64> {
    let sign = match zone.as_bytes().first()? {
        b'Z' | b'z' => return (zone.len() == 1).then_some(0),
        b'-' => -1,
        _ => 1,
    };
    let digits = zone[1..].replacen(':', "", 1);
    let number = number_of(&digits, 4)?;
    let (hours, minutes) = (number / 100, number % 100);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

/// The digits after the point; from the tenth on they are left out.
fn nanoseconds(digits: &str) -> Option<u64> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits = &digits[..digits.len().min(9)];
    format!("{digits:0<9}").parse().ok()
}

fn days_in(year: i64, month: i64) -> i64 {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1 January 1970, negative before it. Years are counted from March, so that a leap day ends one.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month > 2 { year } else { year - 1 };
    let months = (month + 9) % 12;
    let day_of_year = (153 * months + 2) / 5 + day - 1;
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leap_days + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use httpdate::HttpDate;

    use super::*;

    /// Nanoseconds since 1970.
    fn nanoseconds(text: &str) -> Option<i128> {
        let time = parse(text)?;
        let distance = |distance: Duration| i128::try_from(distance.as_nanos()).unwrap();
        Some(match time.duration_since(UNIX_EPOCH) {
            Ok(after) => distance(after),
            Err(before) => -distance(before.duration()),
        })
    }

    #[test]
    fn the_forms_of_both_releases_are_read() {
        for (text, expected) in [
            (
                "2026-11-24 02:23:02.168172+00:00",
                1_795_486_982_168_172_000,
            ),
            (
                "2026-11-27T05:04:20.875225+00:00",
                1_795_755_860_875_225_000,
            ),
            ("2026-11-27T05:04:20Z", 1_795_755_860_000_000_000),
            ("2026-11-27t14:04:20+09:00", 1_795_755_860_000_000_000),
            ("2026-11-26T23:34:20.5-0530", 1_795_755_860_500_000_000),
            ("2026-11-27T05:04:20", 1_795_755_860_000_000_000),
            // What comes after nanoseconds is left out.
            (
                "2024-02-29T00:00:00.1234567891234",
                1_709_164_800_123_456_789,
            ),
            ("1969-12-31T23:59:58.75Z", -1_250_000_000),
            ("2000-02-29T00:00:00Z", 951_782_400_000_000_000),
        ] {
            assert_eq!(nanoseconds(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn anything_else_is_no_date() {
        for text in [
            "",
            "null",
            "2026-11-27",
            "2026-11-27T05:04",
            "2026-13-01T00:00:00Z",
            "2025-02-29T00:00:00Z",
            "2100-02-29T00:00:00Z",
            "2026-11-00T00:00:00Z",
            "2026-11-27T24:00:00Z",
            "2026-11-27T05:60:00Z",
            "2026-11-27T05:04:20.Z",
            "2026-11-27T05:04:20+25:00",
            "2026-11-27T05:04:20+9",
            "2026-11-27T05:04:20Zx",
            "26-11-27T05:04:20Z",
            "+026-11-27T05:04:20Z",
            "2026-11-27T05:04:20.é",
            "2026-11-27T05:04:20+é:0",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn days_are_counted_as_in_http_dates() {
        const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
        for step in 0..2000 {
            let time = UNIX_EPOCH + Duration::from_secs(step * 126_700_003);
            let text = HttpDate::from(time).to_string();
            let month = MONTHS.find(&text[8..11]).unwrap() / 3 + 1;
            let (day, year, clock) = (&text[5..7], &text[12..16], &text[17..25]);
            let iso = format!("{year}-{month:02}-{day}T{clock}Z");
            assert_eq!(parse(&iso), Some(time), "{iso}");
        }
    }
}
