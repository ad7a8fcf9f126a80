//! Turns an unsigned request into the one that is sent.

use std::fmt;
use std::io::Write;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, DATE, HOST, USER_AGENT};
use http::uri::{PathAndQuery, Uri};
use http::{HeaderMap, HeaderName, HeaderValue, Request};

use super::date;
use super::stages::{SigningKey, StringToSign};
use crate::body::Body;
use crate::config::{Config, SessionCookie};
use crate::error::BuildError;
use crate::lock::lock;
use crate::unsigned::{Auth, UnsignedRequest};
use crate::version::Dialect;

/// Where a web server takes requests for a manager. (Observed on 23.09.10, and read in the sources of 26.9.6.)
const WEB_SERVER_PREFIX: &str = "/func";

/// Signs the requests of one user to one gateway; those of a session with a web server get its cookie instead.
///
/// Cheap to clone; clones share the derived key, which is computed once a day, and the text of the
/// date, which is computed once a second. Reads no clock: the time is an argument of each call.
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
    /// `Authorization` without the signature at its end; `None` without keys.
    authorization: Option<String>,
    /// The cookie of a session with a web server.
    cookie: Option<HeaderValue>,
    cache: Mutex<Option<Arc<Dated>>>,
}

/// What depends on the date only.
struct Dated {
    second: u64,
    text: String,
    /// All headers of a request, to be copied; those that differ between requests are empty.
    /// Copying a map costs a fraction of filling one.
    headers: HeaderMap,
    day: date::Day,
    /// `None` without keys.
    key: Option<SigningKey>,
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
                authorization: config.credentials().map(|keys| {
                    format!(
                        "{} signMethod={}, credential={}:",
                        dialect.auth_scheme(),
                        config.hash().sign_method(),
                        keys.access_key().as_str(),
                    )
                }),
                cookie: config.session().map(SessionCookie::header),
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
    ///
    /// # Errors
    ///
    /// [`BuildError::Clock`] for a clock that no date can express, and [`BuildError::Target`] for a path that
    /// cannot be sent.
    pub fn sign(
        &self,
        unsigned: UnsignedRequest,
        now: SystemTime,
    ) -> Result<Request<Body>, BuildError> {
        let inner = &*self.inner;
        let config = &inner.config;
        let dated = self.dated(now)?;
        let UnsignedRequest {
            method,
            auth,
            versioned,
            outside_api,
            media_type,
            mut content_type,
            mut texts,
            mut path_len,
            streamed,
            ..
        } = unsigned;

        if config.is_of_web_server() && !outside_api {
            texts.splice(..0, WEB_SERVER_PREFIX.bytes());
            path_len += WEB_SERVER_PREFIX.len();
        }
        let prefix = config.endpoint().prefix();
        if !prefix.is_empty() {
            texts.splice(..0, prefix.bytes());
            path_len += prefix.len();
        }
        let target = ..path_len;
        // A proxy strips the prefix, so the gateway never sees it; the original client does not sign it either.
        let signed_target = prefix.len()..path_len;
        let body = path_len..texts.len();
        let with = match &inner.authorization {
            Some(authorization) if auth == Auth::Signed => Some((authorization, &dated.key)),
            _ => None,
        };
        if let Some((start, Some(key))) = with {
            let hashed = if inner.dialect.hashes_body(media_type) {
                &texts[body.clone()]
            } else {
                b""
            };
            let signature = key.sign(&StringToSign {
                method: method.as_str(),
                target: std::str::from_utf8(&texts[signed_target])
                    .map_err(|_| BuildError::Target)?,
                date: &dated.text,
                host: config.endpoint().host(),
                media_type,
                version_header: inner.version_name.as_str(),
                version: config.version().as_str(),
                body_hash: config.hash().digest(hashed).hex(&mut [0; 128]),
            });
            texts.extend_from_slice(start.as_bytes());
            texts.extend_from_slice(signature.hex(&mut [0; 128]).as_bytes());
        }
        let authorization = body.end..texts.len();
        let length = streamed.as_ref().map_or(body.len() as u64, Body::len);
        write!(texts, "{length}").expect("memory takes every byte");
        let length = authorization.end..texts.len();

        let texts = Bytes::from(texts);
        let value = |range: Range<usize>| {
            HeaderValue::from_maybe_shared(texts.slice(range))
                .expect("access keys and digits are valid in a header")
        };
        let mut headers = dated.headers.clone();
        if let Some(cookie) = inner.cookie.as_ref().filter(|_| auth == Auth::Signed) {
            headers.insert(COOKIE, cookie.clone());
        }
        if with.is_none() {
            headers.remove(AUTHORIZATION);
        }
        if !versioned {
            headers.remove(&inner.version_name);
        }
        // One walk over the few headers costs less than looking each of these up.
        for (name, place) in &mut headers {
            if name == AUTHORIZATION {
                *place = value(authorization.clone());
                place.set_sensitive(true);
            } else if name == CONTENT_TYPE {
                *place = content_type
                    .take()
                    .unwrap_or_else(|| HeaderValue::from_static(media_type));
            } else if name == CONTENT_LENGTH {
                *place = value(length.clone());
            }
        }

        let uri = self.uri(texts.slice(target))?;
        let mut request = Request::new(streamed.unwrap_or_else(|| texts.slice(body).into()));
        *request.method_mut() = method;
        *request.uri_mut() = uri;
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
            _ => self.inner.config.credentials().map(|keys| {
                SigningKey::derive(
                    self.inner.config.hash(),
                    keys.secret_key().expose(),
                    &day,
                    self.inner.config.endpoint().host(),
                )
            }),
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

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer")
            .field("config", &self.inner.config)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use http::Method;

    use super::*;
    use crate::config::{AccessKey, Credentials, SecretKey};
    use crate::version::ApiVersion;

    #[test]
    fn the_prefix_of_the_endpoint_is_sent_but_not_signed() {
        let sign = |endpoint: &str, version| {
            let keys =
                Credentials::new(AccessKey::new("AK").unwrap(), SecretKey::new("SK").unwrap());
            let config = Config::new(endpoint.parse().unwrap(), keys).with_version(version);
            let request = UnsignedRequest::new(Method::GET, "/v2/kernel/k").query("a", "b");
            let now = UNIX_EPOCH + Duration::from_secs(1_498_699_425);
            let request = Signer::new(config).sign(request, now).unwrap();
            let target = request.uri().path_and_query().unwrap().to_string();
            (target, request.headers()["authorization"].clone())
        };
        for version in [ApiVersion::V2_20170315, ApiVersion::V7_20230615] {
            let (plain, signature) = sign("https://h", version);
            assert_eq!(plain, "/v2/kernel/k?a=b");
            for prefix in ["/pre", "/a/b%20c"] {
                let (target, same) = sign(&format!("https://h{prefix}/"), version);
                assert_eq!(target, format!("{prefix}{plain}"));
                assert_eq!(same, signature);
            }
        }
    }

    #[test]
    fn an_unsigned_request_has_all_headers_but_the_signature() {
        let keys = Credentials::new(AccessKey::new("AK").unwrap(), SecretKey::new("SK").unwrap());
        let signer = Signer::new(Config::new("http://h:1/sub".parse().unwrap(), keys));
        let now = UNIX_EPOCH + Duration::from_secs(1_498_699_425);
        let hello = || {
            UnsignedRequest::new(Method::POST, "/hello")
                .json(&1)
                .unwrap()
        };
        let signed = signer.sign(hello(), now).unwrap();
        let unsigned = signer.sign(hello().without_signature(), now).unwrap();
        assert_eq!(unsigned.uri(), "http://h:1/sub/hello");
        assert_eq!(unsigned.body().as_bytes(), Some(&b"1"[..]));
        let mut headers = signed.headers().clone();
        assert!(headers.remove("authorization").is_some());
        assert_eq!(unsigned.headers(), &headers);
        let open = hello().without_signature().without_version();
        let open = signer.sign(open, now).unwrap();
        assert!(headers.remove("x-sorna-version").is_some());
        assert_eq!(open.headers(), &headers);
    }
}
