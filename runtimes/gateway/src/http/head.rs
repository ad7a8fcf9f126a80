//! What is checked of the head of every request.

use http::header::HOST;
use http::request::Parts;
use sorna_core::ProblemKind;
use sorna_core::server::ProblemReply;

/// The most bytes of a request's head.
pub(super) const HEAD_LIMIT: usize = 64 * 1024;

/// Checks the head of a request.
///
/// # Errors
///
/// 400 `generic-bad-request` for a head that is too large, though it arrived in so few pieces that hyper took it, or with
/// several hosts: a proxy in between may have gone by another one than the signature (RFC 9112, section 3.2, rejects it,
/// too).
pub(super) fn check(parts: &Parts) -> Result<(), ProblemReply> {
    // The spaces, colons and line ends around them are four bytes for each line.
    let line = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        name.as_str().len() + value.len() + 4
    };
    let target = parts.uri.path_and_query().map_or(0, |it| it.as_str().len());
    let size = target + parts.headers.iter().map(line).sum::<usize>();
    if size > HEAD_LIMIT {
        return Err(ProblemKind::GenericBadRequest.reply_with(&format!(
            "the head of the request is larger than {HEAD_LIMIT} bytes"
        )));
    }
    if parts.headers.get_all(HOST).iter().count() > 1 {
        return Err(
            ProblemKind::GenericBadRequest.reply_with("the request has more than one Host header")
        );
    }
    Ok(())
}
