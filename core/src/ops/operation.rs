//! What an operation is, and the successes that it reads.

use std::fmt;
use std::time::SystemTime;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, Entry, SET_COOKIE};
use http::response::Parts;
use http::{HeaderMap, HeaderName, Request, Response, StatusCode};
use serde::de::DeserializeOwned;

use crate::body::Body;
use crate::error::{BuildError, Error, GatewayError, ParseError};
use crate::json;
use crate::rate_limit::RateLimit;
use crate::signing::Signer;
use crate::unsigned::UnsignedRequest;
use crate::version::ApiVersion;

/// One request and its response, as values.
///
/// The operations of the API are in the [table](crate#operations). To send one without a
/// [`Call`](crate::machine::Call), use [`request`](Self::request) and
/// [`read_response`](Self::read_response):
///
/// ```
/// use std::time::{Duration, UNIX_EPOCH};
/// use sorna_core::{
///     AccessKey, ApiVersion, Config, Credentials, Info, KernelId, Operation, SecretKey, Signer,
/// };
///
/// let keys = Credentials::new(
///     AccessKey::new("AKIAIOSFODNN7EXAMPLE")?,
///     SecretKey::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")?,
/// );
/// let signer = Signer::new(Config::new("https://api.example.com".parse()?, keys));
///
/// let info = Info::new(KernelId::new("zuF1OzMIhFknyjUl7Apbvg")?);
/// let request = info.request(&signer, UNIX_EPOCH + Duration::from_secs(1_498_699_425))?;
/// assert_eq!(request.uri(), "https://api.example.com/v2/kernel/zuF1OzMIhFknyjUl7Apbvg");
///
/// // … send it with any HTTP client, then hand over the response.
/// let reply = info.read_response(
///     ApiVersion::default(),
///     http::Response::builder()
///         .header("X-RateLimit-Remaining", "973")
///         .body(br#"{"lang": "python3", "age": 3526.982}"#.as_slice().into())?,
/// )?;
/// assert_eq!(reply.value.language(), Some("python3"));
/// assert_eq!(reply.rate_limit.unwrap().remaining, Some(973));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Your own operations
///
/// For other paths of a gateway, define your own operation. It is called like any other, so it is
/// signed, retried and read in the same way:
///
/// ```
/// use http::Method;
/// use sorna_core::{ApiVersion, BuildError, Error, Operation, Success, UnsignedRequest};
///
/// /// How many kernels of a language are alive.
/// struct CountKernels {
///     language: String,
/// }
///
/// #[derive(serde::Deserialize)]
/// struct Count {
///     kernels: u64,
/// }
///
/// impl Operation for CountKernels {
///     type Output = u64;
///
///     fn prepare(&self, _: ApiVersion) -> Result<UnsignedRequest, BuildError> {
///         Ok(UnsignedRequest::new(Method::GET, "/v2/count").segment(&self.language))
///     }
///
///     fn read(&self, _: ApiVersion, success: &Success) -> Result<u64, Error> {
///         let count: Count = success.json(r#"{"kernels": …}"#)?;
///         Ok(count.kernels)
///     }
/// }
///
/// let version = ApiVersion::default();
/// let count = CountKernels { language: "c++".to_owned() };
/// assert_eq!(count.prepare(version)?.path(), "/v2/count/c++");
/// let response = http::Response::new(r#"{"kernels": 3}"#.into());
/// assert_eq!(count.read_response(version, response)?.value, 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Operation {
    /// The result of a success.
    type Output;

    /// The request before it is signed.
    ///
    /// # Errors
    ///
    /// A value that the gateway would reject.
    fn prepare(&self, version: ApiVersion) -> Result<UnsignedRequest, BuildError>;

    /// Reads a response whose status says success.
    ///
    /// # Errors
    ///
    /// [`Error::Parse`] if it does not have the documented form. If errors of an operation have a
    /// success status, it reports them, too.
    fn read(&self, version: ApiVersion, success: &Success) -> Result<Self::Output, Error>;

    /// When a machine may send the request again: after any failure, unless the operation says
    /// otherwise.
    fn repeat(&self) -> Repeat {
        Repeat::Always
    }

    /// Whether the request needs a connection of its own, since it must arrive although others may be dead.
    fn needs_own_connection(&self) -> bool {
        false
    }

    /// The output if this error response means success, given that an earlier attempt at the same
    /// request may have reached the gateway.
    fn success_on_retry(&self, version: ApiVersion, error: &GatewayError) -> Option<Self::Output> {
        let _ = (version, error);
        None
    }

    /// Changes the form of the request after this error response, where releases of one version want different
    /// forms. `true` if it changed, and the request should be sent again; a machine asks only once.
    fn adapt(&mut self, version: ApiVersion, error: &GatewayError) -> bool {
        let _ = (version, error);
        false
    }

    /// The signed request, as of `now`.
    ///
    /// # Errors
    ///
    /// As [`prepare`](Self::prepare); [`BuildError::Clock`] for a clock that no date can express, and
    /// [`BuildError::Target`] for a path that cannot be sent.
    fn request(&self, signer: &Signer, now: SystemTime) -> Result<Request<Body>, BuildError> {
        signer.sign(self.prepare(signer.config().version())?, now)
    }

    /// Reads the response: status, headers and body together.
    ///
    /// # Errors
    ///
    /// [`Error::Gateway`] for any status but success; else as [`read`](Self::read).
    fn read_response(
        &self,
        version: ApiVersion,
        response: Response<Bytes>,
    ) -> Result<Reply<Self::Output>, Error> {
        read_response(self, version, response)
    }
}

/// As [`Operation::read_response`], for operations that have more to say of an error response.
pub(super) fn read_response<O: Operation + ?Sized>(
    operation: &O,
    version: ApiVersion,
    response: Response<Bytes>,
) -> Result<Reply<O::Output>, Error> {
    let (parts, body) = response.into_parts();
    let dialect = version.dialect();
    if !parts.status.is_success() {
        return Err(GatewayError::new(dialect, parts.status, &parts.headers, &body).into());
    }
    let rate_limit = RateLimit::from_headers(dialect, &parts.headers);
    let success = Success::new(parts, body);
    let value = operation.read(version, &success)?;
    Ok(Reply { value, rate_limit })
}

/// In responses of web servers of Backend.AI, the cookie of the session again.
const SESSION_ID: HeaderName = HeaderName::from_static("x-backendai-sessionid");

/// A response whose status says success, not yet read.
pub struct Success {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

/// Without the values of cookies, and without those of headers that repeat them, and without the body, which may
/// repeat them, too: they may be secrets.
impl fmt::Debug for Success {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut headers = self.headers.clone();
        for name in [SET_COOKIE, SESSION_ID] {
            if let Entry::Occupied(mut values) = headers.entry(name) {
                for value in values.iter_mut() {
                    value.set_sensitive(true);
                }
            }
        }
        f.debug_struct("Success")
            .field("status", &self.status)
            .field("headers", &headers)
            .field("body_len", &self.body.len())
            .finish_non_exhaustive()
    }
}

impl Success {
    pub(super) fn new(head: Parts, body: Bytes) -> Self {
        Self {
            status: head.status,
            headers: head.headers,
            body,
        }
    }

    /// The status, from 200 to 299.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Reads the body as JSON; `expected` says what it should be, for the error's text.
    ///
    /// # Errors
    ///
    /// The body is something else.
    pub fn json<T: DeserializeOwned>(&self, expected: &'static str) -> Result<T, ParseError> {
        json::from_slice(&self.body).map_err(|error| self.not_json(expected, error))
    }

    /// Reads a response that only says that it is done: without a body, or with a JSON object from a later
    /// gateway. Anything else, such as the login page of a proxy, is not from the gateway.
    ///
    /// # Errors
    ///
    /// The body is something else.
    pub fn empty(&self) -> Result<(), ParseError> {
        if self.body.is_empty() {
            return Ok(());
        }
        self.json::<serde_json::Map<String, serde_json::Value>>("an empty body or a JSON object")
            .map(|_| ())
    }

    /// The error for a body that should be something else: `expected`.
    #[must_use]
    pub fn unexpected(&self, expected: &'static str) -> ParseError {
        ParseError::new(expected, self.status, &self.body, None)
    }

    /// The body is not the JSON that it should be.
    pub(super) fn not_json(&self, expected: &'static str, error: serde_json::Error) -> ParseError {
        // The client never asks for an encoding, but a proxy may compress anyway.
        let is_encoded = self
            .headers
            .get(CONTENT_ENCODING)
            .is_some_and(|coding| coding != "identity");
        let expected = if is_encoded {
            "readable, because it has an unrequested Content-Encoding"
        } else {
            expected
        };
        ParseError::new(expected, self.status, &self.body, Some(error))
    }
}

/// The result of an operation, with what every response also says.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Reply<T> {
    /// The operation's own result.
    pub value: T,
    /// How many requests are left, if the gateway said.
    pub rate_limit: Option<RateLimit>,
}

impl<T> Reply<T> {
    pub(crate) fn without_headers(value: T) -> Self {
        Self {
            value,
            rate_limit: None,
        }
    }
}

/// When a request may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Repeat {
    /// After any failure: doing it twice is the same as doing it once.
    Always,
    /// Only while the gateway cannot have acted on it.
    IfUnsent,
    /// After any failure, since the gateway recognizes it, and responds as it has done before. If no response comes in the
    /// end, it may have been done ([`Error::MayHaveRun`](crate::Error::MayHaveRun)).
    Recognized,
}
