//! Signs requests: from an operation's unsigned request to the `http::Request` that travels.

mod date;
mod hash;
mod stages;
#[cfg(test)]
mod vectors;

pub use hash::HashAlgorithm;
pub use stages::{Signature, SigningKey, StringToSign, body_hash};

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, DATE, HOST, USER_AGENT};
use http::uri::{PathAndQuery, Uri};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};

use crate::body::Body;
use crate::config::Config;
use crate::dialect::{Dialect, Resource};
use crate::error::BuildError;

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
    cache: Mutex<Option<Dated>>,
}

/// What depends on the date only.
#[derive(Clone)]
struct Dated {
    second: u64,
    header: HeaderValue,
    day: date::Day,
    key: SigningKey,
}

/// A request as an operation wants it, before it is signed.
pub struct Unsigned {
    pub(crate) method: Method,
    /// Path and query below the endpoint's prefix, already escaped.
    pub(crate) target: String,
    pub(crate) media_type: &'static str,
    /// The whole `Content-Type`, where it has parameters.
    pub(crate) content_type: Option<HeaderValue>,
    pub(crate) body: Body,
}

impl Unsigned {
    /// A request without a body. The original client sends and signs `application/octet-stream`
    /// with these, and so do we.
    pub(crate) fn bodyless(dialect: Dialect, resource: Resource<'_>) -> Self {
        let (method, target) = dialect.route(resource);
        Self {
            method,
            target,
            media_type: "application/octet-stream",
            content_type: None,
            body: Body::empty(),
        }
    }

    pub(crate) fn json(dialect: Dialect, resource: Resource<'_>, body: Vec<u8>) -> Self {
        Self {
            media_type: "application/json",
            body: body.into(),
            ..Self::bodyless(dialect, resource)
        }
    }
}

impl Signer {
    /// A signer for this configuration.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let dialect = config.version().dialect();
        let (version_name, version_value) = dialect.version_header(config.version());
        Self {
            inner: Arc::new(Inner {
                dialect,
                host: config.endpoint().host_header(),
                version_name,
                version_value,
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
        let endpoint = inner.config.endpoint();
        let dated = self.dated(now)?;

        let target = if endpoint.prefix().is_empty() {
            unsigned.target
        } else {
            format!("{}{}", endpoint.prefix(), unsigned.target)
        };
        let hash = inner.config.hash();
        let body_hash = if inner.dialect.hashes_body(unsigned.media_type) {
            let bytes = unsigned
                .body
                .as_bytes()
                .expect("only multipart bodies have segments, and those are not hashed");
            hash.digest(bytes)
        } else {
            hash.digest(b"")
        };
        let signature = dated.key.sign(&StringToSign {
            method: unsigned.method.as_str(),
            target: &target,
            date: ascii(&dated.header),
            host: endpoint.host(),
            media_type: unsigned.media_type,
            version_header: inner.version_name.as_str(),
            version: ascii(&inner.version_value),
            body_hash: body_hash.hex(&mut [0; 128]),
        });

        let mut headers = HeaderMap::with_capacity(8);
        headers.insert(HOST, inner.host.clone());
        headers.insert(DATE, dated.header);
        headers.insert(inner.version_name.clone(), inner.version_value.clone());
        headers.insert(AUTHORIZATION, self.authorization(signature));
        headers.insert(USER_AGENT, inner.config.user_agent().clone());
        let content_type = unsigned
            .content_type
            .unwrap_or_else(|| HeaderValue::from_static(unsigned.media_type));
        headers.insert(CONTENT_TYPE, content_type);
        headers.insert(CONTENT_LENGTH, HeaderValue::from(unsigned.body.len()));

        let mut request = Request::new(unsigned.body);
        *request.method_mut() = unsigned.method;
        *request.uri_mut() = self.uri(target)?;
        *request.headers_mut() = headers;
        Ok(request)
    }

    fn uri(&self, target: String) -> Result<Uri, BuildError> {
        let endpoint = self.inner.config.endpoint();
        let target =
            PathAndQuery::from_maybe_shared(Bytes::from(target)).map_err(|_| BuildError::Target)?;
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(endpoint.scheme().clone());
        parts.authority = Some(endpoint.authority().clone());
        parts.path_and_query = Some(target);
        Uri::from_parts(parts).map_err(|_| BuildError::Target)
    }

    fn authorization(&self, signature: Signature) -> HeaderValue {
        let config = &self.inner.config;
        let value = [
            self.inner.dialect.auth_scheme(),
            " signMethod=",
            config.hash().sign_method(),
            ", credential=",
            config.credentials().access_key().as_str(),
            ":",
            signature.hex(&mut [0; 128]),
        ]
        .concat();
        let mut value = HeaderValue::from_maybe_shared(Bytes::from(value))
            .expect("access keys and hexadecimal digits are valid in a header");
        value.set_sensitive(true);
        value
    }

    fn dated(&self, now: SystemTime) -> Result<Dated, BuildError> {
        let second = date::unix_seconds(now)?;
        // A poisoned lock only means that another thread panicked between two whole values.
        let mut cache = self
            .inner
            .cache
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(dated) = cache.as_ref().filter(|dated| dated.second == second) {
            return Ok(dated.clone());
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
        let dated = Dated {
            second,
            header: HeaderValue::from_maybe_shared(Bytes::from(text))
                .expect("an HTTP date is a valid header value"),
            day,
            key,
        };
        *cache = Some(dated.clone());
        Ok(dated)
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

/// The text of a header value that this crate made.
fn ascii(value: &HeaderValue) -> &str {
    value.to_str().expect("dates and versions are ASCII")
}
