//! The sender of a request, and the check of its signature.

use std::time::{Duration, SystemTime};

use http::header::{AUTHORIZATION, CONTENT_TYPE, DATE, HOST};
use http::request::Parts;
use http::{HeaderMap, HeaderName};

use super::date::{self, RequestDate};
use super::problem::ProblemReply;
use crate::config::SecretKey;
use crate::problem::ProblemKind;
use crate::signing::{HashAlgorithm, SigningKey, StringToSign, body_hash};
use crate::version::ApiVersion;

/// How far a request's date may be from the gateway's clock, in either direction. Within it a
/// captured request can be replayed.
const WINDOW: Duration = Duration::from_secs(15 * 60);

/// The names of the version header, by precedence.
const VERSION_HEADERS: [&str; 2] = ["x-backendai-version", "x-sorna-version"];

/// The signature of a request, parsed but not yet verified.
#[derive(Clone, Debug)]
pub struct SignedRequest {
    access_key: String,
    signature: String,
    hash: HashAlgorithm,
    method: String,
    target: String,
    date: String,
    day: [u8; 8],
    host: String,
    media_type: String,
    version_header: &'static str,
    version: String,
}

impl SignedRequest {
    /// Reads the date, the `Authorization` header and everything else that is signed.
    ///
    /// # Errors
    ///
    /// 400 `invalid-auth-params` if the date is missing, unreadable or more than 15 minutes from
    /// `now`, or if the header is missing or malformed.
    pub fn parse(parts: &Parts, now: SystemTime) -> Result<Self, ProblemReply> {
        let (date, RequestDate { instant, day }) =
            request_date(&parts.headers).ok_or_else(|| invalid("Date/time sync error"))?;
        let distance = now
            .duration_since(instant)
            .unwrap_or_else(|error| error.duration());
        if distance > WINDOW {
            return Err(invalid("Date/time sync error"));
        }
        let authorization = text(&parts.headers, &AUTHORIZATION)
            .ok_or_else(|| invalid("Missing authorization header"))?;
        let (hash, access_key, signature) = authorization_parts(authorization)?;
        let (version_header, version) = VERSION_HEADERS
            .into_iter()
            .find_map(|name| Some((name, parts.headers.get(name)?.to_str().ok()?)))
            .ok_or_else(|| invalid("API version missing in request headers"))?;
        let host = text(&parts.headers, &HOST).ok_or_else(|| invalid("Missing host header"))?;
        Ok(Self {
            access_key,
            signature,
            hash,
            method: parts.method.as_str().to_owned(),
            target: target_of(&parts.uri),
            date: date.to_owned(),
            day,
            host: host.to_owned(),
            media_type: media_type(&parts.headers),
            version_header,
            version: version.to_owned(),
        })
    }

    /// The access key that the request claims.
    #[must_use]
    pub fn access_key(&self) -> &str {
        &self.access_key
    }

    /// Whether the body is part of the signature; if not, it need not be read to check it.
    #[must_use]
    pub fn hashes_body(&self) -> bool {
        ApiVersion::default()
            .dialect()
            .hashes_body(&self.media_type)
    }

    /// Checks the signature in constant time. `body` is ignored where it is not signed.
    ///
    /// # Errors
    ///
    /// 401 `auth-failed` if the signature was not made with this secret.
    pub fn verify(&self, secret: &SecretKey, body: &[u8]) -> Result<(), ProblemReply> {
        let body = if self.hashes_body() { body } else { b"" };
        let string = StringToSign {
            method: &self.method,
            target: &self.target,
            date: &self.date,
            host: &self.host,
            media_type: &self.media_type,
            version_header: self.version_header,
            version: &self.version,
            body_hash: &body_hash(self.hash, body),
        };
        let key = SigningKey::derive(self.hash, secret.expose(), &self.day, &self.host);
        if key.verify(&string, &self.signature) {
            Ok(())
        } else {
            Err(ProblemKind::AuthFailed.reply())
        }
    }
}

/// `Date`; one of its substitutes only if it is absent.
fn request_date(headers: &HeaderMap) -> Option<(&str, RequestDate)> {
    let value = [DATE.as_str(), "x-backendai-date", "x-sorna-date"]
        .into_iter()
        .find_map(|name| headers.get(name))?
        .to_str()
        .ok()?;
    Some((value, date::parse(value)?))
}

/// `Sorna signMethod=HMAC-SHA256, credential=<access key>:<signature>`
fn authorization_parts(header: &str) -> Result<(HashAlgorithm, String, String), ProblemReply> {
    let (scheme, parameters) = header
        .split_once(' ')
        .ok_or_else(|| invalid("Malformed authorization header"))?;
    if !matches!(scheme, "Sorna" | "BackendAI") {
        return Err(invalid("Invalid authorization type name"));
    }
    let parameter = |name: &str| {
        parameters
            .split(',')
            .filter_map(|parameter| parameter.split_once('='))
            .find(|(key, _)| key.trim() == name)
            .map(|(_, value)| value.trim())
    };
    let (access_key, signature) = parameter("credential")
        .and_then(|credential| credential.split_once(':'))
        .ok_or_else(|| invalid("Missing or malformed authorization parameters"))?;
    let method = parameter("signMethod")
        .ok_or_else(|| invalid("Missing or malformed authorization parameters"))?;
    let hash = method
        .split_once('-')
        .filter(|(mac, _)| mac.eq_ignore_ascii_case("hmac"))
        .and_then(|(_, hash)| hash.parse().ok())
        .ok_or_else(|| invalid("Unsupported request signing method"))?;
    Ok((hash, access_key.to_owned(), signature.to_owned()))
}

/// The request target as it was sent; an absolute form is reduced to path and query.
fn target_of(uri: &http::Uri) -> String {
    uri.path_and_query()
        .map_or_else(|| "/".to_owned(), |target| target.as_str().to_owned())
}

/// The media type in lower case without parameters.
fn media_type(headers: &HeaderMap) -> String {
    text(headers, &CONTENT_TYPE)
        .and_then(|value| value.split(';').next())
        .map(str::trim)
        .filter(|media_type| !media_type.is_empty())
        .unwrap_or("application/octet-stream")
        .to_ascii_lowercase()
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

fn invalid(detail: &str) -> ProblemReply {
    ProblemKind::InvalidAuthParams.reply_with(detail)
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use http::{HeaderValue, Request};

    use super::*;
    use crate::config::{AccessKey, Config, Credentials};
    use crate::ops::{Authorize, Operation};
    use crate::signing::Signer;

    const NOW: Duration = Duration::from_secs(1_511_481_600);

    fn secret() -> SecretKey {
        SecretKey::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY").unwrap()
    }

    fn signed(hash: HashAlgorithm) -> (Parts, Vec<u8>) {
        let keys = Credentials::new(AccessKey::new("AKIAIOSFODNN7EXAMPLE").unwrap(), secret());
        let config = Config::new("http://127.0.0.1:8081".parse().unwrap(), keys).with_hash(hash);
        let request = Authorize::new("é")
            .request(&Signer::new(config), UNIX_EPOCH + NOW)
            .unwrap();
        let (parts, body) = request.into_parts();
        let body = body.as_bytes().unwrap().to_vec();
        (parts, body)
    }

    fn parse(parts: &Parts) -> Result<SignedRequest, ProblemReply> {
        SignedRequest::parse(parts, UNIX_EPOCH + NOW)
    }

    #[test]
    fn what_the_client_signs_verifies_with_every_hash() {
        for hash in HashAlgorithm::ALL {
            let (parts, body) = signed(*hash);
            let request = parse(&parts).unwrap();
            assert_eq!(request.access_key(), "AKIAIOSFODNN7EXAMPLE");
            assert!(request.verify(&secret(), &body).is_ok(), "{hash}");
            assert!(request.verify(&secret(), b"{}").is_err(), "{hash}");
            let other = SecretKey::new("other").unwrap();
            let problem = request.verify(&other, &body).unwrap_err();
            assert_eq!(problem.kind(), ProblemKind::AuthFailed);
        }
    }

    #[test]
    fn changing_any_signed_part_breaks_the_signature() {
        let (parts, body) = signed(HashAlgorithm::Sha256);
        for name in ["date", "host", "content-type", "x-sorna-version"] {
            let mut changed = parts.clone();
            let value = match name {
                "date" => "Fri, 24 Nov 2017 00:00:01 GMT",
                _ => "other",
            };
            changed
                .headers
                .insert(name, HeaderValue::from_static(value));
            let request = parse(&changed).unwrap();
            assert!(request.verify(&secret(), &body).is_err(), "{name}");
        }
        let mut changed = parts;
        changed.uri = "http://127.0.0.1:8081/v2/authorize?x".parse().unwrap();
        assert!(parse(&changed).unwrap().verify(&secret(), &body).is_err());
    }

    #[test]
    fn dates_outside_the_window_are_rejected() {
        let (parts, _) = signed(HashAlgorithm::Sha256);
        let at = |seconds: u64| {
            SignedRequest::parse(&parts, UNIX_EPOCH + Duration::from_secs(seconds)).is_ok()
        };
        let now = NOW.as_secs();
        assert!(at(now + 900) && at(now - 900));
        assert!(!at(now + 901) && !at(now - 901));
    }

    #[test]
    fn date_takes_precedence_over_its_substitutes() {
        let request = |headers: &[(&'static str, &'static str)]| {
            let mut builder = Request::get("/v2")
                .header("host", "h")
                .header("x-sorna-version", "v2.20170315")
                .header(
                    "authorization",
                    "BackendAI signMethod=hmac-sha256,credential=a:b",
                );
            for (name, value) in headers {
                builder = builder.header(*name, *value);
            }
            parse(&builder.body(()).unwrap().into_parts().0)
        };
        let good = "2017-11-24T00:00:00";
        assert!(request(&[("x-sorna-date", good)]).is_ok());
        assert!(request(&[("x-backendai-date", good)]).is_ok());
        assert!(request(&[("date", "soon"), ("x-sorna-date", good)]).is_err());
        assert!(request(&[]).is_err());
    }

    #[test]
    fn malformed_headers_have_their_own_messages() {
        for (header, detail) in [
            ("Sorna", "Malformed"),
            ("sorna signMethod=HMAC-SHA256, credential=a:b", "type name"),
            ("Sorna signMethod=HMAC-SHA256", "malformed"),
            ("Sorna signMethod=HMAC-SHA256, credential=ab", "malformed"),
            ("Sorna credential=a:b", "malformed"),
            ("Sorna signmethod=HMAC-SHA256, credential=a:b", "malformed"),
            (
                "Sorna signMethod=HMAC-CRC32, credential=a:b",
                "signing method",
            ),
            ("Sorna signMethod=SHA256, credential=a:b", "signing method"),
        ] {
            let problem = authorization_parts(header).unwrap_err();
            assert!(
                problem.title().contains(detail),
                "{header}: {}",
                problem.title()
            );
        }
    }
}
