//! One plain type for each operation of the API: the crate's page has the table.

mod authorize;
mod complete;
mod create;
mod destroy;
mod execute;
mod info;
mod languages;
mod restart;
mod result;
#[cfg(test)]
pub(crate) mod testing;
mod upload;
mod version;

pub use authorize::{Authorize, Authorized};
pub use complete::Complete;
pub use create::{CreateKernel, Limits};
pub use destroy::Destroy;
pub use execute::{Batch, Continuation, Execute, ExecuteMode};
pub use info::{Info, KernelInfo};
pub use languages::{LanguageInfo, ListLanguages};
pub use restart::Restart;
pub use result::{ExecutionResult, ExecutionStatus};
pub(crate) use upload::check_files;
pub use upload::{Boundary, FileContent, UploadFile, UploadFiles};
pub use version::{Version, VersionInfo};

use std::time::SystemTime;

use bytes::Bytes;
use http::header::CONTENT_ENCODING;
use http::{HeaderMap, Request, Response, StatusCode};
use serde::de::DeserializeOwned;

use crate::body::Body;
use crate::error::{BuildError, Error, GatewayError, ParseError};
use crate::rate_limit::RateLimit;
use crate::signing::{Signer, Unsigned};
use crate::version::ApiVersion;

/// One request and its response, as values.
///
/// The operations are the implementations: see the [table](crate#operations). A driver, or a
/// [`Call`](crate::machine::Call), needs [`request`](Self::request) and [`response`](Self::response) only.
/// Other crates can wrap operations, but not make new ones: only this one makes an [`Unsigned`].
///
/// ```
/// use std::time::{Duration, UNIX_EPOCH};
/// use sorna_core::{AccessKey, Config, Credentials, Info, KernelId, Operation, SecretKey, Signer};
///
/// let keys = Credentials::new(
///     AccessKey::new("AKIAIOSFODNN7EXAMPLE")?,
///     SecretKey::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")?,
/// );
/// let signer = Signer::new(Config::new("https://api.sorna.io".parse()?, keys));
///
/// let info = Info::new(KernelId::new("zuF1OzMIhFknyjUl7Apbvg")?);
/// let request = info.request(&signer, UNIX_EPOCH + Duration::from_secs(1_498_699_425))?;
/// assert_eq!(request.uri(), "https://api.sorna.io/v2/kernel/zuF1OzMIhFknyjUl7Apbvg");
///
/// // … send it with any HTTP client, then hand over the answer.
/// let answer = info.response(
///     http::Response::builder()
///         .header("X-RateLimit-Remaining", "973")
///         .body(br#"{"lang": "python3", "age": 3526.982}"#.as_slice().into())?,
/// )?;
/// assert_eq!(answer.value.lang.as_deref(), Some("python3"));
/// assert_eq!(answer.rate_limit.unwrap().remaining, Some(973));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Operation {
    /// What a successful answer holds.
    type Output;

    /// The request before it is signed.
    ///
    /// # Errors
    ///
    /// A value that the gateway could not or would not take.
    fn prepare(&self, version: ApiVersion) -> Result<Unsigned, BuildError>;

    /// Reads an answer whose status says success.
    ///
    /// # Errors
    ///
    /// The answer is not of the documented form.
    fn read(&self, success: &Success) -> Result<Self::Output, ParseError>;

    /// When the request may be sent again by a machine: whenever it failed, unless the operation says
    /// otherwise.
    fn repeat(&self) -> Repeat {
        Repeat::Always
    }

    /// What a refusal means if an earlier try of the same request may have reached the gateway:
    /// `Some` if the operation is done after all.
    fn done_after_retry(&self, refusal: &GatewayError) -> Option<Self::Output> {
        let _ = refusal;
        None
    }

    /// The signed request, as of `now`.
    ///
    /// # Errors
    ///
    /// As [`prepare`](Self::prepare), and [`BuildError::Clock`] for a clock that no date can express.
    fn request(&self, signer: &Signer, now: SystemTime) -> Result<Request<Body>, BuildError> {
        signer.sign(self.prepare(signer.config().version())?, now)
    }

    /// Reads the response: status, headers and body together.
    ///
    /// # Errors
    ///
    /// [`Error::Gateway`] for any status but success, [`Error::Parse`] for a success that is not of
    /// the documented form.
    fn response(&self, response: Response<Bytes>) -> Result<Answer<Self::Output>, Error> {
        let (parts, body) = response.into_parts();
        if !parts.status.is_success() {
            return Err(GatewayError::new(parts.status, &parts.headers, &body).into());
        }
        let rate_limit = RateLimit::from_headers(&parts.headers);
        let value = self.read(&Success {
            status: parts.status,
            headers: parts.headers,
            body,
        })?;
        Ok(Answer { value, rate_limit })
    }
}

/// An answer whose status says success, not yet understood.
#[derive(Debug)]
pub struct Success {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Success {
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

    /// Reads the body as JSON; `expected` names what it should be, for the error.
    pub(crate) fn json<T: DeserializeOwned>(
        &self,
        expected: &'static str,
    ) -> Result<T, ParseError> {
        serde_json::from_slice(&self.body).map_err(|error| self.not_json(expected, error))
    }

    /// The body is not the JSON that it should be.
    pub(crate) fn not_json(&self, expected: &'static str, error: serde_json::Error) -> ParseError {
        // Nobody asked for that; but something in between may compress all the same.
        let is_encoded = self
            .headers
            .get(CONTENT_ENCODING)
            .is_some_and(|coding| coding != "identity");
        let expected = if is_encoded {
            "readable, as it came with a Content-Encoding that was not asked for"
        } else {
            expected
        };
        ParseError::new(expected, self.status, &self.body, Some(error))
    }

    /// Reads an answer that only says that it is done: without a body, or with JSON from a later
    /// gateway. Anything else, such as the page of a proxy that wants a login, is not the gateway's.
    pub(crate) fn nothing(&self) -> Result<(), ParseError> {
        if self.body.is_empty() {
            return Ok(());
        }
        self.json::<serde_json::Map<String, serde_json::Value>>("empty, nor a JSON object")
            .map(|_| ())
    }

    /// The body should be something else.
    pub(crate) fn unexpected(&self, expected: &'static str) -> ParseError {
        ParseError::new(expected, self.status, &self.body, None)
    }
}

/// What an operation brought, with what every answer tells besides.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Answer<T> {
    /// The operation's own result.
    pub value: T,
    /// How many requests are left, if the gateway told.
    pub rate_limit: Option<RateLimit>,
}

impl<T> Answer<T> {
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
    /// Whenever it failed: doing it twice is the same as doing it once.
    Always,
    /// Only while the gateway cannot have acted on it.
    IfUnsent,
}
