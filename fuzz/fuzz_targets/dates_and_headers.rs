//! Dates and other headers, in requests and responses.
//!
//! The first line of the input is a date; further lines are headers, for a request and a response
//! alike. If the date is three numbers (a form, seconds since 1970, minutes east of Greenwich), it is
//! written in that form here, without any crate. Properties:
//!
//! - Every form that the original gateway accepts is understood to the second, accepted within 15
//!   minutes of the gateway's clock and not beyond, and signed with the day of its own zone.
//! - Any other date is rejected or read as one instant; `Date` takes precedence over its substitutes.
//! - The client's date is the HTTP form of the second, and rejected outside of 1970 to 9999.
//! - Numbers in headers are read as they are, and invalid values are ignored.

#![no_main]

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{AUTHORIZATION, DATE, HOST};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, Response};
use libfuzzer_sys::fuzz_target;
use sorna_core::server::SignedRequest;
use sorna_core::signing::{SigningKey, StringToSign, body_hash};
use sorna_core::{
    ApiVersion, HashAlgorithm, Operation, ProblemKind, RateLimit, Version, http_date,
};
use sorna_fuzz::{ACCESS_KEY, Message, SECRET_KEY, at, check_error, civil, secret};

/// How far a date may be from the gateway's clock.
const WINDOW: u64 = 15 * 60;
/// The last second of 9999, and that of the gateway's calendar in every zone.
const LAST: u64 = 253_402_300_799;
const LAST_ANYWHERE: u64 = 253_402_207_200 - 24 * 3600;
/// 24 November 2017, around which the seeds lie.
const SOME_DAY: u64 = 1_511_481_600;

fuzz_target!(|data: &[u8]| {
    let message = Message::read(data);
    let mut headers = HeaderMap::new();
    for (name, value) in &message.headers {
        headers.append(name, value.clone());
    }
    check_response(&headers);
    check_authorization(&headers);

    let Ok(first) = std::str::from_utf8(message.first) else {
        return;
    };
    let numbers: Vec<i64> = first
        .split(' ')
        .filter_map(|word| word.parse().ok())
        .collect();
    if let [form, seconds, zone] = numbers[..] {
        let seconds = seconds.unsigned_abs();
        check_client_date(seconds);
        let seconds = seconds % LAST_ANYWHERE;
        check_date(
            &Civil::new(seconds, zone % (14 * 60)),
            form.unsigned_abs(),
            seconds,
        );
    } else {
        check_any_date(first);
    }
});

// ------------------------------------------------------------------------------------------ dates

/// A date and time in some zone.
struct Civil {
    year: u64,
    /// From 1.
    month: usize,
    day: u64,
    weekday: usize,
    second_of_day: u64,
    /// Minutes east of Greenwich.
    zone: i64,
}

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];
const WEEKDAYS: [&str; 7] = [
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
];

impl Civil {
    /// 1970 began on a Thursday; times before it are taken as its beginning.
    fn new(seconds: u64, zone: i64) -> Self {
        let local = seconds.checked_add_signed(zone * 60);
        let (local, zone) = local.map_or((seconds, 0), |local| (local, zone));
        let (year, month, day) = civil(local / 86_400);
        Self {
            year,
            month,
            day,
            weekday: (local / 86_400 % 7) as usize,
            second_of_day: local % 86_400,
            zone,
        }
    }

    /// The text in one of the forms; `None` if the form cannot write it. Forms that have no zone
    /// are for Greenwich only.
    fn write(&self, form: u64) -> Option<String> {
        let Self {
            year, month, day, ..
        } = self;
        let (name, weekday) = (MONTHS[month - 1], WEEKDAYS[self.weekday]);
        let short = &weekday[..3];
        let (h, m, s) = (
            self.second_of_day / 3600,
            self.second_of_day / 60 % 60,
            self.second_of_day % 60,
        );
        let sign = if self.zone < 0 { '-' } else { '+' };
        let (zh, zm) = (self.zone.abs() / 60, self.zone.abs() % 60);
        let is_utc = self.zone == 0;
        let text = match form % 9 {
            0 => format!("{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}{sign}{zh:02}:{zm:02}"),
            1 => format!(
                "{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}.678901{sign}{zh:02}:{zm:02}"
            ),
            2 => format!("{year:04}{month:02}{day:02}T{h:02}{m:02}{s:02}{sign}{zh:02}{zm:02}"),
            3 => format!(
                "{short}, {day:02} {name} {year:04} {h:02}:{m:02}:{s:02} {sign}{zh:02}{zm:02}"
            ),
            4 if is_utc => format!("{year:04}{month:02}{day:02}T{h:02}{m:02}{s:02}Z"),
            5 if is_utc => format!("{year:04}-{month:02}-{day:02} {h:02}:{m:02}:{s:02}"),
            6 if is_utc => {
                format!("{short}, {day:02} {name} {year:04} {h:02}:{m:02}:{s:02} GMT")
            }
            // Two digits of a year stand for 1970 to 2069.
            7 if is_utc && *year < 2070 => format!(
                "{weekday}, {day:02}-{name}-{:02} {h:02}:{m:02}:{s:02} GMT",
                year % 100
            ),
            8 if is_utc => format!("{short} {name} {day:2} {h:02}:{m:02}:{s:02} {year:04}"),
            _ => return None,
        };
        Some(text)
    }

    fn digits(&self) -> [u8; 8] {
        let digits = format!("{:04}{:02}{:02}", self.year, self.month, self.day);
        digits.into_bytes().try_into().expect("eight digits")
    }
}

fn check_date(civil: &Civil, form: u64, seconds: u64) {
    let Some(date) = civil.write(form) else {
        return;
    };
    let parts = signed(&date, &civil.digits());
    let verifies = |now: SystemTime| match SignedRequest::parse(&parts, now) {
        Ok(signed) => {
            signed
                .verify(&secret(), b"")
                .expect("it has the day of its own zone");
            true
        }
        Err(error_response) => {
            assert_eq!(error_response.kind(), ProblemKind::InvalidAuthParams);
            false
        }
    };
    assert!(verifies(at(seconds)), "{date}");
    assert!(verifies(at(seconds + WINDOW)), "{date}");
    // One form has a fraction of a second.
    assert!(!verifies(at(seconds + WINDOW + 2)), "{date}");
    if let Some(early) = seconds.checked_sub(WINDOW) {
        assert!(verifies(at(early + 1)), "{date}");
        assert!(early == 0 || !verifies(at(early - 1)), "{date}");
    }
    // It takes precedence over its substitutes, which are used in its absence.
    let mut parts = parts.clone();
    parts
        .headers
        .insert("x-sorna-date", HeaderValue::from_static("soon"));
    assert!(SignedRequest::parse(&parts, at(seconds)).is_ok());
    let date = parts.headers.remove(DATE).expect("it is there");
    assert!(SignedRequest::parse(&parts, at(seconds)).is_err());
    parts.headers.insert("x-sorna-date", date);
    assert!(SignedRequest::parse(&parts, at(seconds)).is_ok());
}

/// A request with this date, signed with the key of this day.
fn signed(date: &str, day: &[u8; 8]) -> Parts {
    let hash = HashAlgorithm::Sha256;
    let signature = SigningKey::derive(hash, SECRET_KEY, day, "h").sign(&StringToSign {
        method: "GET",
        target: "/v2",
        date,
        host: "h",
        media_type: "application/octet-stream",
        version_header: "x-sorna-version",
        version: "v2.20170315",
        body_hash: &body_hash(hash, b""),
    });
    let authorization =
        format!("Sorna signMethod=HMAC-SHA256, credential={ACCESS_KEY}:{signature}");
    let request = Request::get("/v2")
        .header(HOST, "h")
        .header(DATE, date)
        .header("x-sorna-version", "v2.20170315")
        .header(AUTHORIZATION, authorization)
        .body(());
    request.expect("all of it can be in headers").into_parts().0
}

fn check_any_date(date: &str) {
    let Ok(value) = HeaderValue::from_str(date) else {
        return;
    };
    let mut parts = signed("", b"20171124");
    parts.headers.insert(DATE, value);
    let is_near = |seconds: u64| SignedRequest::parse(&parts, at(seconds)).is_ok();
    if is_near(SOME_DAY) {
        assert!(!is_near(SOME_DAY + 2 * WINDOW + 1) && !is_near(SOME_DAY - 2 * WINDOW - 1));
        assert!(
            date.bytes().filter(u8::is_ascii_digit).count() >= 8,
            "{date:?}"
        );
    }
}

fn check_client_date(seconds: u64) {
    let Some(time) = at(0).checked_add(Duration::from_secs(seconds)) else {
        return;
    };
    let fraction = Duration::from_nanos(seconds % 1_000_000_000);
    let text = http_date(time + fraction).ok();
    let expected = (seconds <= LAST).then(|| Civil::new(seconds, 0).write(6));
    assert_eq!(text, expected.flatten());
    assert!(http_date(at(0) - fraction - Duration::from_nanos(1)).is_err());
}

// ---------------------------------------------------------------------------------- other headers

fn check_authorization(headers: &HeaderMap) {
    let mut parts = signed("2017-11-24T00:00:00Z", b"20171124");
    parts.headers.extend(headers.clone());
    match SignedRequest::parse(&parts, at(SOME_DAY)) {
        Ok(signed) => {
            let value = parts.headers[AUTHORIZATION].to_str().expect("it was read");
            assert!(value.starts_with("Sorna ") || value.starts_with("BackendAI "));
            assert!(value.contains(signed.access_key()));
            assert!(!signed.access_key().contains([':', ',']));
            let _ = signed.verify(&secret(), b"");
        }
        Err(error_response) => assert_eq!(error_response.kind(), ProblemKind::InvalidAuthParams),
    }
}

fn check_response(headers: &HeaderMap) {
    let answered = |status: u16, body: &'static str| {
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() = status.try_into().expect("a status");
        *response.headers_mut() = headers.clone();
        Version::new().read_response(ApiVersion::default(), response)
    };
    let number = |name: &str| {
        let text = headers.get(name)?.to_str().ok()?.trim();
        let digits = text.strip_prefix('+').unwrap_or(text);
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| digits.parse::<u64>().ok()).flatten()
    };

    let answer = answered(200, r#"{"version": "v2"}"#).expect("a version");
    let reset = number("x-ratelimit-reset").or_else(|| number("x-retry-after"));
    let all = [
        number("x-ratelimit-limit"),
        number("x-ratelimit-remaining"),
        reset,
    ];
    let told = |limit: RateLimit| {
        let reset = limit
            .reset
            .and_then(|reset| u64::try_from(reset.as_millis()).ok());
        [limit.limit, limit.remaining, reset]
    };
    assert_eq!(answer.rate_limit.map_or([None; 3], told), all);

    let error = answered(429, "").expect_err("an error response");
    check_error(&error);
    let error_response = error.gateway().expect("an error response");
    let wait = match number("retry-after") {
        Some(seconds) => Some(Duration::from_secs(seconds)),
        None => number("x-retry-after")
            .or_else(|| number("x-ratelimit-reset"))
            .map(Duration::from_millis),
    };
    assert_eq!(error_response.retry_after(), wait);
}
