//! Reads the dates that clients sign, in every form that the original gateway accepts.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::civil::DateTime;
use jiff::fmt::{rfc2822, temporal};
use jiff::tz::Offset;

/// An instant, and the day in the zone it was written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RequestDate {
    pub(super) instant: SystemTime,
    pub(super) day: [u8; 8],
}

/// ISO 8601 in extended or basic form, with or without zone (then UTC); RFC 9110, RFC 850 and
/// asctime; RFC 2822.
pub(super) fn parse(text: &str) -> Option<RequestDate> {
    let text = text.trim();
    iso_8601(text).or_else(|| http(text)).or_else(|| mail(text))
}

/// A time as Backend.AI 26 writes it: ISO 8601 with microseconds, in UTC. Before 1970 it is the beginning of 1970.
///
/// ```
/// use std::time::{Duration, UNIX_EPOCH};
///
/// let time = UNIX_EPOCH + Duration::from_micros(1_795_755_860_875_225);
/// let text = sorna_core::server::iso_date(time);
/// assert_eq!(text, "2026-11-27T05:04:20.875225+00:00");
/// ```
#[must_use]
pub fn iso_date(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let nanoseconds = i128::try_from(since.as_nanos()).unwrap_or(i128::MAX);
    let timestamp = jiff::Timestamp::from_nanosecond(nanoseconds).unwrap_or(jiff::Timestamp::MAX);
    let civil = Offset::UTC.to_datetime(timestamp);
    let (date, time) = (civil.date(), civil.time());
    let micros = time.subsec_nanosecond() / 1000;
    format!(
        "{date}T{:02}:{:02}:{:02}.{micros:06}+00:00",
        time.hour(),
        time.minute(),
        time.second()
    )
}

fn iso_8601(text: &str) -> Option<RequestDate> {
    let pieces = temporal::Pieces::parse(text).ok()?;
    let date = pieces.date();
    let time = pieces.time()?;
    let offset = pieces.to_numeric_offset().unwrap_or(Offset::UTC);
    at(date.to_datetime(time), offset)
}

fn http(text: &str) -> Option<RequestDate> {
    let instant = httpdate::parse_http_date(text).ok()?;
    let seconds = instant.duration_since(UNIX_EPOCH).ok()?.as_secs();
    let timestamp = jiff::Timestamp::from_second(i64::try_from(seconds).ok()?).ok()?;
    at(Offset::UTC.to_datetime(timestamp), Offset::UTC)
}

fn mail(text: &str) -> Option<RequestDate> {
    let zoned = rfc2822::DateTimeParser::new()
        .relaxed_weekday(true)
        .parse_zoned_datetime(text)
        .ok()?;
    at(zoned.datetime(), zoned.offset())
}

fn at(civil: DateTime, offset: Offset) -> Option<RequestDate> {
    // Seconds and fraction have the same sign. (In nanoseconds, 64 bits end in the year 2554.)
    let timestamp = offset.to_timestamp(civil).ok()?;
    let fraction = timestamp.subsec_nanosecond().unsigned_abs();
    let distance = Duration::new(timestamp.as_second().unsigned_abs(), fraction);
    let instant = if timestamp.as_nanosecond() < 0 {
        UNIX_EPOCH.checked_sub(distance)?
    } else {
        UNIX_EPOCH.checked_add(distance)?
    };
    let date = civil.date();
    let day = format!("{:04}{:02}{:02}", date.year(), date.month(), date.day());
    Some(RequestDate {
        instant,
        day: day.into_bytes().try_into().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<(u64, String)> {
        let date = parse(text)?;
        Some((
            date.instant.duration_since(UNIX_EPOCH).ok()?.as_secs(),
            String::from_utf8(date.day.to_vec()).ok()?,
        ))
    }

    #[test]
    fn all_forms_of_a_date_are_read() {
        for text in [
            "2017-11-24T00:00:00.678901+00:00",
            "2017-11-24T00:00:00Z",
            "2017-11-24T00:00:00",
            "2017-11-24 00:00:00+00:00",
            "20171124T000000Z",
            "Fri, 24 Nov 2017 00:00:00 GMT",
            "Friday, 24-Nov-17 00:00:00 GMT",
            "Fri Nov 24 00:00:00 2017",
            "Fri, 24 Nov 2017 00:00:00 +0000",
        ] {
            assert_eq!(
                read(text),
                Some((1_511_481_600, "20171124".to_owned())),
                "{text}"
            );
        }
    }

    #[test]
    fn the_day_is_the_day_in_the_date_s_own_zone() {
        assert_eq!(
            read("2017-11-24T08:59:59+09:00"),
            Some((1_511_481_599, "20171124".to_owned()))
        );
        assert_eq!(
            read("2017-11-23T19:00:00-05:00"),
            Some((1_511_481_600, "20171123".to_owned()))
        );
    }

    #[test]
    fn dates_far_away_and_before_1970_are_dates() {
        assert_eq!(
            read("Mon, 31 Dec 5984 11:59:59 GMT"),
            Some((126_701_150_399, "59841231".to_owned()))
        );
        let before = parse("1969-12-31T23:59:58.75Z").unwrap();
        assert_eq!(before.instant, UNIX_EPOCH - Duration::from_millis(1250));
    }

    #[test]
    fn anything_else_is_rejected() {
        for text in [
            "",
            "1511481600",
            "1511481600.5",
            "2017-11-24",
            "yesterday",
            "T",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
