//! Signs requests: from an operation's unsigned request to the `http::Request` that travels.
//!
//! [`Signer`] does it all. Its stages are here, too, for whoever has to find out why a signature is
//! refused, and for gateways:
//!
//! ```text
//!   Authorization: Sorna signMethod=HMAC-SHA256, credential=<access key>:<signature>
//!
//!   string to sign, lines joined by "\n":           key:
//!     METHOD                                          HMAC(HMAC(secret, yyyymmdd), host)
//!     path and query as on the request line
//!     Date, byte for byte                           signature:
//!     host:<Host>                                     hex(HMAC(key, string to sign))
//!     content-type:<type without parameters>
//!     x-sorna-version:<version>
//!     hex(hash of the body; of nothing for multipart/form-data)
//! ```
//!
//! ```
//! use sorna_core::HashAlgorithm;
//! use sorna_core::signing::{SigningKey, StringToSign, body_hash};
//!
//! let string = StringToSign {
//!     method: "GET",
//!     target: "/v2/kernel/zuF1OzMIhFknyjUl7Apbvg",
//!     date: "Thu, 29 Jun 2017 01:23:45 GMT",
//!     host: "api.sorna.io",
//!     media_type: "application/octet-stream",
//!     version_header: "x-sorna-version",
//!     version: "v2.20170315",
//!     body_hash: &body_hash(HashAlgorithm::Sha256, b""),
//! };
//! assert_eq!(string.to_string(), "\
//! GET
//! /v2/kernel/zuF1OzMIhFknyjUl7Apbvg
//! Thu, 29 Jun 2017 01:23:45 GMT
//! host:api.sorna.io
//! content-type:application/octet-stream
//! x-sorna-version:v2.20170315
//! e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
//!
//! let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
//! let key = SigningKey::derive(HashAlgorithm::Sha256, secret, b"20170629", "api.sorna.io");
//! assert_eq!(
//!     key.sign(&string).to_string(),
//!     "f25e1cbef3910b8c461b10fe3237bca27e84d2424a4dd52a0c79bb631257fbc2",
//! );
//! ```
//!
//! Source: the API manual of 2017, "Authentication", checked against the original client's function. (The
//! signature in the manual's own example does not fit its inputs.) Observed on gateway 0.9.11: the host is
//! signed as sent, case included; a request without `Content-Type` is signed as
//! `application/octet-stream`, which the original client sends without a body, and so does this one; the
//! path is signed after `%7E` became `~` and `%2B` became `+`; and dates more than 15 minutes off are refused
//! with 400 `invalid-auth-params`.

mod date;
mod hash;
mod stages;
#[cfg(test)]
mod vectors;

pub use hash::HashAlgorithm;
pub use stages::{Signature, SigningKey, StringToSign, body_hash};

use std::fmt;
use std::io::Write;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, DATE, HOST, USER_AGENT};
use http::uri::{PathAndQuery, Uri};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use serde::Serialize;

use crate::body::Body;
use crate::config::Config;
use crate::dialect::Resource;
use crate::error::BuildError;
use crate::lock::lock;
use crate::version::Dialect;

/// Signs the requests of one user to one gateway.
///
/// Cheap to clone; clones share the derived key, which is computed once a day, and the text of the
/// date, which is computed once a second. Reads no clock: the time comes with each call.
#[derive(Clone)]
pub struct Signer {
    inner: Arc<Inner>,
}

struct Inner {
    config: Config,
    dialect: Dialect,
    host: HeaderValue,
    version_name: HeaderName,
    version_value: HeaderValue,
    /// `Authorization` without the signature at its end.
    authorization: String,
    cache: Mutex<Option<Arc<Dated>>>,
}

/// What depends on the date only.
struct Dated {
    second: u64,
    text: String,
    /// All headers of a request, to be copied; those that differ from one to the next are empty.
    /// Copying a map costs a fraction of filling one.
    headers: HeaderMap,
    day: date::Day,
    key: SigningKey,
}

/// A request as an operation wants it, before it is signed. Only the operations of this crate make one.
pub struct Unsigned {
    method: Method,
    media_type: &'static str,
    /// The whole `Content-Type`, where it has parameters.
    content_type: Option<HeaderValue>,
    /// A body that is in memory, then path and query below the endpoint's prefix, already escaped.
    /// Signing adds what else it writes, and the parts of the request share the one buffer.
    texts: Vec<u8>,
    body_len: usize,
    /// A body that is not in memory.
    multipart: Option<Body>,
}

/// Room for what a request has besides its body: target, signature, length.
const ROOM: usize = 512;

impl Unsigned {
    /// A request without a body. The original client sends and signs `application/octet-stream`
    /// with these, and so do we.
    pub(crate) fn bodyless(dialect: Dialect, resource: Resource<'_>) -> Self {
        let body = Vec::with_capacity(ROOM);
        Self::new(dialect, resource, "application/octet-stream", body)
    }

    /// A request with a value as its body; `about` is how many bytes that may take.
    pub(crate) fn json(
        dialect: Dialect,
        resource: Resource<'_>,
        value: &impl Serialize,
        about: usize,
    ) -> Self {
        let mut body = Vec::with_capacity(about + ROOM);
        serde_json::to_writer(&mut body, value)
            .expect("request bodies have string keys and no failing types");
        Self::new(dialect, resource, "application/json", body)
    }

    /// An upload, whose body is not part of the signature.
    pub(crate) fn multipart(
        dialect: Dialect,
        resource: Resource<'_>,
        content_type: HeaderValue,
        body: Body,
    ) -> Self {
        Self {
            media_type: "multipart/form-data",
            content_type: Some(content_type),
            multipart: Some(body),
            ..Self::bodyless(dialect, resource)
        }
    }

    fn new(
        dialect: Dialect,
        resource: Resource<'_>,
        media_type: &'static str,
        body: Vec<u8>,
    ) -> Self {
        let body_len = body.len();
        let mut texts = body;
        let method = dialect.route(resource, &mut texts);
        Self {
            method,
            media_type,
            content_type: None,
            texts,
            body_len,
            multipart: None,
        }
    }

    /// The length of a body that is in memory.
    pub(crate) fn body_len(&self) -> usize {
        self.body_len
    }
}

impl Signer {
    /// A signer for this configuration.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let dialect = config.version().dialect();
        Self {
            inner: Arc::new(Inner {
                dialect,
                host: config.endpoint().host_header(),
                version_name: dialect.version_header(),
                version_value: HeaderValue::from_static(config.version().as_str()),
                authorization: format!(
                    "{} signMethod={}, credential={}:",
                    dialect.auth_scheme(),
                    config.hash().sign_method(),
                    config.credentials().access_key().as_str(),
                ),
                cache: Mutex::new(None),
                config,
            }),
        }
    }

    /// The configuration signed for.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    /// Signs a request as of `now`.
    pub(crate) fn sign(
        &self,
        unsigned: Unsigned,
        now: SystemTime,
    ) -> Result<Request<Body>, BuildError> {
        let inner = &*self.inner;
        let config = &inner.config;
        let dated = self.dated(now)?;
        let Unsigned {
            method,
            media_type,
            content_type,
            mut texts,
            body_len,
            multipart,
        } = unsigned;

        let prefix = config.endpoint().prefix();
        if !prefix.is_empty() {
            texts.splice(body_len..body_len, prefix.bytes());
        }
        let target = body_len..texts.len();
        let hashed = if inner.dialect.hashes_body(media_type) {
            &texts[..body_len]
        } else {
            b""
        };
        let signature = dated.key.sign(&StringToSign {
            method: method.as_str(),
            target: std::str::from_utf8(&texts[target.clone()]).map_err(|_| BuildError::Target)?,
            date: &dated.text,
            host: config.endpoint().host(),
            media_type,
            version_header: inner.version_name.as_str(),
            version: config.version().as_str(),
            body_hash: config.hash().digest(hashed).hex(&mut [0; 128]),
        });
        texts.extend_from_slice(inner.authorization.as_bytes());
        texts.extend_from_slice(signature.hex(&mut [0; 128]).as_bytes());
        let authorization = target.end..texts.len();
        let length = multipart.as_ref().map_or(body_len as u64, Body::len);
        write!(texts, "{length}").expect("memory takes every byte");
        let length = authorization.end..texts.len();

        let texts = Bytes::from(texts);
        let value = |range: Range<usize>| {
            HeaderValue::from_maybe_shared(texts.slice(range))
                .expect("access keys and digits are valid in a header")
        };
        let mut headers = dated.headers.clone();
        let mut authorization = value(authorization);
        authorization.set_sensitive(true);
        headers.insert(AUTHORIZATION, authorization);
        headers.insert(
            CONTENT_TYPE,
            content_type.unwrap_or_else(|| HeaderValue::from_static(media_type)),
        );
        headers.insert(CONTENT_LENGTH, value(length));

        let body = multipart.unwrap_or_else(|| texts.slice(..body_len).into());
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = self.uri(texts.slice(target))?;
        *request.headers_mut() = headers;
        Ok(request)
    }

    fn uri(&self, target: Bytes) -> Result<Uri, BuildError> {
        let endpoint = self.inner.config.endpoint();
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(endpoint.scheme().clone());
        parts.authority = Some(endpoint.authority().clone());
        parts.path_and_query =
            Some(PathAndQuery::from_maybe_shared(target).map_err(|_| BuildError::Target)?);
        Uri::from_parts(parts).map_err(|_| BuildError::Target)
    }

    fn dated(&self, now: SystemTime) -> Result<Arc<Dated>, BuildError> {
        let second = date::unix_seconds(now)?;
        let mut cache = lock(&self.inner.cache);
        if let Some(dated) = cache.as_ref().filter(|dated| dated.second == second) {
            return Ok(Arc::clone(dated));
        }
        let (text, day) = date::http_date(now)?;
        let key = match cache.as_ref() {
            Some(dated) if dated.day == day => dated.key.clone(),
            _ => SigningKey::derive(
                self.inner.config.hash(),
                self.inner.config.credentials().secret_key().expose(),
                &day,
                self.inner.config.endpoint().host(),
            ),
        };
        let date = HeaderValue::from_str(&text).expect("an HTTP date is a valid header value");
        let dated = Arc::new(Dated {
            second,
            text,
            headers: self.headers(date),
            day,
            key,
        });
        *cache = Some(Arc::clone(&dated));
        Ok(dated)
    }

    /// The headers of all requests of one second, in the order of sending.
    fn headers(&self, date: HeaderValue) -> HeaderMap {
        const TO_COME: HeaderValue = HeaderValue::from_static("");
        let inner = &*self.inner;
        HeaderMap::from_iter([
            (HOST, inner.host.clone()),
            (DATE, date),
            (inner.version_name.clone(), inner.version_value.clone()),
            (AUTHORIZATION, TO_COME),
            (USER_AGENT, inner.config.user_agent().clone()),
            (CONTENT_TYPE, TO_COME),
            (CONTENT_LENGTH, TO_COME),
        ])
    }
}

/// The text of a date as this crate sends it, in the form of RFC 9110.
///
/// # Errors
///
/// [`BuildError::Clock`] before 1970 and after 9999.
pub fn http_date(time: SystemTime) -> Result<String, BuildError> {
    Ok(date::http_date(time)?.0)
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer")
            .field("config", &self.inner.config)
            .finish_non_exhaustive()
    }
}
