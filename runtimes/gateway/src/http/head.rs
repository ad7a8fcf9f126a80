//! What is checked of the head of every request.

use http::header::{AUTHORIZATION, CONTENT_TYPE, DATE, HOST};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderName, HeaderValue};
use sorna_core::ProblemKind;
use sorna_core::server::ProblemReply;

/// The most bytes of a request's head.
pub(super) const HEAD_LIMIT: usize = 64 * 1024;

/// What the signature goes by, which there can be only one of.
const SIGNED: [HeaderName; 8] = [
    HOST,
    DATE,
    AUTHORIZATION,
    CONTENT_TYPE,
    HeaderName::from_static("x-sorna-date"),
    HeaderName::from_static("x-sorna-version"),
    HeaderName::from_static("x-backendai-date"),
    HeaderName::from_static("x-backendai-version"),
];

/// Checks the head of a request.
///
/// # Errors
///
/// 400 `generic-bad-request` for a head that is too large, though it arrived in so few pieces that hyper took it; for one
/// with a header twice that the signature goes by, or with two hosts: a proxy in between may have gone by another one than
/// the signature (RFC 9112, section 3.2, rejects it, too).
///
/// What is both chunked and of a given length cannot be told here: hyper drops the length, reads chunks, and closes the
/// connection after the response, as RFC 9112, section 6.3, has it.
pub(super) fn check(parts: &Parts) -> Result<(), ProblemReply> {
    // The spaces, colons and line ends around them are four bytes for each line.
    let line = |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len() + 4;
    let target = parts.uri.path_and_query().map_or(0, |it| it.as_str().len());
    let size = target + parts.headers.iter().map(line).sum::<usize>();
    if size > HEAD_LIMIT {
        return Err(bad(&format!(
            "the head of the request is larger than {HEAD_LIMIT} bytes"
        )));
    }
    for name in SIGNED {
        if parts.headers.get_all(&name).iter().nth(1).is_some() {
            let name = title(&name);
            return Err(bad(&format!("the request has more than one {name} header")));
        }
    }
    let host = parts.headers.get(HOST);
    if let (Some(named), Some(host)) = (parts.uri.authority(), host) {
        let default = match parts.uri.scheme_str() {
            Some("https") => 443,
            _ => 80,
        };
        let host = Authority::try_from(host.as_bytes());
        let is_same = host.is_ok_and(|host| {
            let ports = [named, &host].map(|it| it.port_u16().unwrap_or(default));
            host.host().eq_ignore_ascii_case(named.host()) && ports[0] == ports[1]
        });
        if !is_same {
            return Err(bad(
                "the request names one host in its first line and another in its Host header",
            ));
        }
    }
    Ok(())
}

/// A header's name as it is usually written.
fn title(name: &HeaderName) -> String {
    let words = name.as_str().split('-').map(|word| match word {
        "backendai" => "BackendAI".to_owned(),
        word => word[..1].to_ascii_uppercase() + &word[1..],
    });
    words.collect::<Vec<_>>().join("-")
}

fn bad(detail: &str) -> ProblemReply {
    ProblemKind::GenericBadRequest.reply_with(detail)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use http::Request;

    use super::*;

    fn problem(target: &str, headers: &[(&str, &str)]) -> Option<String> {
        let mut request = Request::builder().uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        check(&parts).err().map(|problem| problem.to_string())
    }

    #[test]
    fn hosts_of_the_first_line_and_the_header_are_the_same() {
        for (target, host, is_right) in [
            ("/v2", "a", true),
            ("http://a/v2", "a", true),
            ("http://A:80/v2", "a", true),
            ("http://a:8080/v2", "a:8080", true),
            ("https://a:443/v2", "a", true),
            ("http://[::1]:8080/v2", "[::1]:8080", true),
            ("http://b/v2", "a", false),
            ("http://a:8080/v2", "a", false),
            ("http://a/v2", "a:8080", false),
            ("http://a/v2", "", false),
        ] {
            let problem = problem(target, &[("host", host)]);
            assert_eq!(problem.is_none(), is_right, "{target} {host}: {problem:?}");
        }
    }

    #[test]
    fn what_is_signed_is_there_once() {
        for name in SIGNED {
            let twice = [("host", "a"), (name.as_str(), "x"), (name.as_str(), "x")];
            assert_eq!(problem("/", &twice[1..2]), None, "{name}");
            let problem = problem("/", &twice[1..]).unwrap();
            assert!(problem.contains(&title(&name)), "{problem}");
        }
        let titles = [AUTHORIZATION, SIGNED[7].clone()].map(|name| title(&name));
        assert_eq!(titles, ["Authorization", "X-BackendAI-Version"]);
        assert_eq!(problem("/", &[("x-other", "x"), ("x-other", "y")]), None);
    }
}
