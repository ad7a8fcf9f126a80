//! The date of a request, as sent and as used in the key.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use httpdate::HttpDate;

use crate::error::BuildError;

/// 31 December 9999, 23:59:59 UTC: the last second that the HTTP form can write.
const LAST_SECOND: u64 = 253_402_300_799;

/// The day of the signing key, as `yyyymmdd` in the date's own zone.
pub(crate) type Day = [u8; 8];

/// The text for a `Date` header in the form of RFC 9110, and its day.
pub(crate) fn http_date(now: SystemTime) -> Result<(String, Day), BuildError> {
    let seconds = unix_seconds(now)?;
    let text = HttpDate::from(UNIX_EPOCH + Duration::from_secs(seconds)).to_string();
    let day = day_of(&text).expect("an HTTP date has the form `Thu, 29 Jun 2017 01:23:45 GMT`");
    Ok((text, day))
}

/// The text of a date as this crate sends it, in the form of RFC 9110.
///
/// # Errors
///
/// [`BuildError::Clock`] before 1970 and after 9999.
pub fn text(time: SystemTime) -> Result<String, BuildError> {
    Ok(http_date(time)?.0)
}

/// Whole seconds since 1970, if the HTTP form can express them.
pub(crate) fn unix_seconds(now: SystemTime) -> Result<u64, BuildError> {
    now.duration_since(UNIX_EPOCH)
        .ok()
        .map(|since| since.as_secs())
        .filter(|seconds| *seconds <= LAST_SECOND)
        .ok_or(BuildError::Clock)
}

/// Reads the day out of `Thu, 29 Jun 2017 01:23:45 GMT`.
fn day_of(text: &str) -> Option<Day> {
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let month = MONTHS.find(text.get(8..11)?)? / 3 + 1;
    let digits = format!("{}{month:02}{}", text.get(12..16)?, text.get(5..7)?);
    digits.into_bytes().try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> (String, String) {
        let (text, day) = http_date(UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
        (text, String::from_utf8(day.to_vec()).unwrap())
    }

    #[test]
    fn the_day_is_the_day_of_the_text() {
        assert_eq!(
            at(1_498_699_425),
            (
                "Thu, 29 Jun 2017 01:23:45 GMT".to_owned(),
                "20170629".to_owned()
            )
        );
        assert_eq!(at(0).1, "19700101");
        assert_eq!(at(1_483_228_799).1, "20161231");
        assert_eq!(at(1_483_228_800).1, "20170101");
        assert_eq!(at(LAST_SECOND).1, "99991231");
    }

    #[test]
    fn clocks_outside_the_range_of_http_dates_are_rejected() {
        let before = UNIX_EPOCH - Duration::from_secs(1);
        assert!(matches!(http_date(before), Err(BuildError::Clock)));
        let after = UNIX_EPOCH + Duration::from_secs(LAST_SECOND + 1);
        assert!(matches!(http_date(after), Err(BuildError::Clock)));
    }
}
