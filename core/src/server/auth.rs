//! The sender of a request, and the check of its signature.

use std::time::{Duration, SystemTime};

use http::header::{AUTHORIZATION, CONTENT_TYPE, DATE, HOST};
use http::request::Parts;
use http::{HeaderMap, HeaderName};

use super::date::{self, RequestDate};
use super::dialect::{dialect_of, version_of};
use super::problem::ProblemReply;
use crate::config::SecretKey;
use crate::problem::ProblemKind;
use crate::signing::{HashAlgorithm, SigningKey, StringToSign, body_hash};
use crate::version::Dialect;

/// How far a request's date may be from the gateway's clock, in either direction. Within it a
/// captured request can be replayed.
const WINDOW: Duration = Duration::from_secs(15 * 60);

/// The versions of Backend.AI's API that managers 23.09.10 and 26.9.6 accept. Requests look the same in all.
const ACCEPTED: [&str; 14] = [
    "v4.20181215",
    "v4.20190115",
    "v4.20190315",
    "v4.20190615",
    "v5.20191215",
    "v6.20200815",
    "v6.20210815",
    "v6.20220315",
    "v6.20220615",
    "v6.20230315",
    "v7.20230615",
    "v8.20240315",
    "v8.20240915",
    "v9.20250722",
];

/// The signature of a request, parsed but not yet verified.
#[derive(Clone, Debug)]
pub struct SignedRequest {
    dialect: Dialect,
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
    /// `now`, or if the header is missing or malformed. In Backend.AI, 401 `auth-failed` if it is missing.
    pub fn parse(parts: &Parts, now: SystemTime) -> Result<Self, ProblemReply> {
        let dialect = dialect_of(parts);
        if dialect == Dialect::BackendAi && !parts.headers.contains_key(AUTHORIZATION) {
            return Err(ProblemKind::AuthFailed.reply_with("Unauthorized access"));
        }
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
        let (version_header, version) = version_of(&parts.headers)
            .ok_or_else(|| invalid("API version missing in request headers"))?;
        let host = text(&parts.headers, &HOST).ok_or_else(|| invalid("Missing host header"))?;
        Ok(Self {
            dialect,
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
        self.dialect.hashes_body(&self.media_type)
    }

    /// Checks that the version is one of the dialect, once the signature is known to be right. Of Sorna v2, any
    /// version is accepted, as on the original gateway.
    ///
    /// # Errors
    ///
    /// 400 `generic-bad-request`.
    pub fn check_version(&self) -> Result<(), ProblemReply> {
        match self.dialect {
            Dialect::SornaV2 => Ok(()),
            Dialect::BackendAi => accept(&self.version),
        }
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
        match self.dialect {
            _ if key.verify(&string, &self.signature) => Ok(()),
            Dialect::SornaV2 => Err(ProblemKind::AuthFailed.reply()),
            Dialect::BackendAi => {
                Err(ProblemKind::AuthFailed.reply_with("HMAC signature mismatch"))
            }
        }
    }
}

/// Checks that a request of a session with a web server, which is not signed, names a version of Backend.AI, or none.
///
/// # Errors
///
/// 400 `generic-bad-request`.
pub fn check_version(headers: &HeaderMap) -> Result<(), ProblemReply> {
    version_of(headers).map_or(Ok(()), |(_, version)| accept(version))
}

fn accept(version: &str) -> Result<(), ProblemReply> {
    if ACCEPTED.contains(&version) {
        return Ok(());
    }
    Err(ProblemKind::GenericBadRequest.reply_with("Unsupported API version."))
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

    /// What manager 26.9.6 accepted, signed by another implementation.
    const RECORDED: &[(&str, &str)] = &[
        ("host", "127.0.0.1:8094"),
        ("x-backendai-version", "v9.20250722"),
        ("date", "2026-11-27T05:04:15.058774+00:00"),
        ("content-type", "application/json"),
        (
            "authorization",
            "BackendAI signMethod=HMAC-SHA256, credential=AKIAIOSFODNN7EXAMPLE:60905fa9757a46e776c983d67f931e2e3a7988cd7c4023a8055a10a3ae65a19c",
        ),
    ];
    const RECORDED_AT: Duration = Duration::from_secs(1_795_755_855);

    fn recorded(
        target: &str,
        changes: &[(&'static str, &'static str)],
    ) -> Result<SignedRequest, ProblemReply> {
        let mut builder = Request::post(target);
        for (name, value) in RECORDED {
            builder = builder.header(*name, *value);
        }
        let (mut parts, ()) = builder.body(()).unwrap().into_parts();
        for (name, value) in changes {
            if value.is_empty() {
                parts.headers.remove(*name);
            } else {
                parts.headers.insert(*name, HeaderValue::from_static(value));
            }
        }
        SignedRequest::parse(&parts, UNIX_EPOCH + RECORDED_AT)
    }

    #[test]
    fn of_backend_ai_the_body_is_not_signed_but_the_query_is() {
        let request = recorded("/auth", &[]).unwrap();
        assert!(!request.hashes_body());
        assert!(request.verify(&secret(), b"{\"echo\": \"hi\"}").is_ok());
        assert!(request.verify(&secret(), b"another").is_ok());
        assert!(request.check_version().is_ok());
        let with_charset = [("content-type", "Application/JSON; charset=utf-8")];
        let request = recorded("/auth", &with_charset).unwrap();
        assert!(request.verify(&secret(), b"").is_ok());
        let substitute = [
            ("date", ""),
            ("x-backendai-date", "2026-11-27T05:04:15.058774+00:00"),
        ];
        assert!(
            recorded("/auth", &substitute)
                .unwrap()
                .verify(&secret(), b"")
                .is_ok()
        );
        for (target, changes) in [
            ("/auth?x=1", ("host", "127.0.0.1:8094")),
            ("/auth/", ("host", "127.0.0.1:8094")),
            ("/auth", ("content-type", "")),
            ("/auth", ("date", "2026-11-27T05:04:15.058774Z")),
            ("/auth", ("x-backendai-version", "v7.20230615")),
        ] {
            let request = recorded(target, &[changes]).unwrap();
            let problem = request.verify(&secret(), b"").unwrap_err();
            assert!(
                problem.title().contains("HMAC signature mismatch"),
                "{target} {changes:?}"
            );
        }
    }

    #[test]
    fn of_backend_ai_only_known_versions_are_accepted() {
        for (version, accepted) in [
            ("v4.20181215", true),
            ("v7.20230615", true),
            ("v8.20240915", true),
            ("v9.20250722", true),
            ("v9.20250101", false),
            ("v10.20300101", false),
            ("v2", false),
        ] {
            let request = recorded("/auth", &[("x-backendai-version", version)]).unwrap();
            assert_eq!(request.check_version().is_ok(), accepted, "{version}");
        }
        let kind = |changes: &[_]| recorded("/auth", changes).unwrap_err().kind();
        assert_eq!(kind(&[("authorization", "")]), ProblemKind::AuthFailed);
        assert_eq!(kind(&[("date", "")]), ProblemKind::InvalidAuthParams);
        assert_eq!(
            kind(&[("x-backendai-version", "")]),
            ProblemKind::InvalidAuthParams
        );
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
