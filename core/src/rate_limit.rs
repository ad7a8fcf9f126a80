//! The rate limit, as the gateway reports it with each success.

use std::time::Duration;

use http::{HeaderMap, HeaderValue};

use crate::version::Dialect;

const LIMIT: &str = "x-ratelimit-limit";
const REMAINING: &str = "x-ratelimit-remaining";
const RESET: &str = "x-ratelimit-reset";
const WINDOW: &str = "x-ratelimit-window";
const RETRY_AFTER: &str = "x-retry-after";

/// How many requests this key may still make. The original gateway and Backend.AI 23.09 do not send it with
/// errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateLimit {
    /// Requests in one window (15 minutes).
    pub limit: Option<u64>,
    /// Requests left in this window.
    pub remaining: Option<u64>,
    /// Time until the window ends. Sorna v2 sends it in ms, as `X-RateLimit-Reset` or `X-Retry-After`;
    /// Backend.AI 26.9 in seconds, as `X-RateLimit-Reset`; 23.09 does not say, as its window is a rolling one.
    pub reset: Option<Duration>,
    /// The length of the window, where it is sent (`X-RateLimit-Window`, in seconds).
    pub window: Option<Duration>,
}

impl RateLimit {
    /// How long an error response asks to wait: what it says of itself goes before the end of the window.
    pub(crate) fn wait(dialect: Dialect, headers: &HeaderMap) -> Option<Duration> {
        match dialect {
            Dialect::SornaV2 => number(headers.get(RETRY_AFTER))
                .or_else(|| number(headers.get(RESET)))
                .map(Duration::from_millis),
            Dialect::BackendAi => number(headers.get(RESET)).map(Duration::from_secs),
        }
    }

    /// Reads the headers of a response; `None` if it has none of these.
    #[must_use]
    pub fn from_headers(dialect: Dialect, headers: &HeaderMap) -> Option<Self> {
        let [
            mut limit,
            mut remaining,
            mut reset,
            mut window,
            mut retry_after,
        ] = [None; 5];
        // One walk over the few headers costs less than looking each of these up.
        for (name, value) in headers {
            let place = match name.as_str() {
                LIMIT => &mut limit,
                REMAINING => &mut remaining,
                RESET => &mut reset,
                WINDOW => &mut window,
                RETRY_AFTER => &mut retry_after,
                _ => continue,
            };
            // The first of several counts.
            place.get_or_insert(value);
        }
        let this = Self {
            limit: number(limit),
            remaining: number(remaining),
            reset: match dialect {
                Dialect::SornaV2 => number(reset)
                    .or_else(|| number(retry_after))
                    .map(Duration::from_millis),
                Dialect::BackendAi => number(reset).map(Duration::from_secs),
            },
            window: number(window).map(Duration::from_secs),
        };
        (this.limit.is_some() || this.remaining.is_some() || this.reset.is_some()).then_some(this)
    }
}

fn number(value: Option<&HeaderValue>) -> Option<u64> {
    value?.to_str().ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn headers_are_read_and_invalid_ones_ignored() {
        let mut headers = HeaderMap::new();
        assert_eq!(RateLimit::from_headers(Dialect::SornaV2, &headers), None);
        headers.insert("x-ratelimit-limit", HeaderValue::from_static("1000"));
        headers.insert("x-ratelimit-remaining", HeaderValue::from_static("-1"));
        headers.insert("x-retry-after", HeaderValue::from_static("775039"));
        headers.append("x-ratelimit-limit", HeaderValue::from_static("1001"));
        let limit = RateLimit::from_headers(Dialect::SornaV2, &headers).unwrap();
        assert_eq!(limit.limit, Some(1000));
        assert_eq!(limit.remaining, None);
        assert_eq!(limit.reset, Some(Duration::from_millis(775_039)));
    }

    #[test]
    fn backend_ai_counts_in_seconds() {
        let mut headers = HeaderMap::new();
        headers.insert("x-ratelimit-remaining", HeaderValue::from_static("997"));
        headers.insert("x-ratelimit-window", HeaderValue::from_static("900"));
        let limit = RateLimit::from_headers(Dialect::BackendAi, &headers).unwrap();
        assert_eq!((limit.remaining, limit.reset), (Some(997), None));
        assert_eq!(limit.window, Some(Duration::from_secs(900)));
        headers.insert("x-ratelimit-reset", HeaderValue::from_static("846"));
        let limit = RateLimit::from_headers(Dialect::BackendAi, &headers).unwrap();
        assert_eq!(limit.reset, Some(Duration::from_secs(846)));
    }
}
