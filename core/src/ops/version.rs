//! `GET /v2`, in Backend.AI `GET /`: which version of the API the gateway speaks. (API manual of 2017,
//! "Versions".)

use http::Method;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::operation::{Operation, Success};
use crate::error::{BuildError, Error};
use crate::unsigned::UnsignedRequest;
use crate::version::{ApiVersion, Dialect};

/// `GET /v2`, in Backend.AI `GET /`: asks for the API version.
///
/// In Sorna v2, the gateway wants a date and a known access key, but does not check the signature: use
/// [`Authorize`](super::Authorize) to test keys. (API manual of 2017, "Versions".)
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Version;

impl Version {
    /// The operation.
    #[must_use]
    pub fn new() -> Self {
        Self
    }
}

/// What the gateway reports about itself.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct VersionInfo {
    /// The API version, such as `v2.20170315`. A manager of Backend.AI names the newest that it speaks.
    pub version: String,
    /// The release of a manager of Backend.AI, such as `26.9.6`.
    #[serde(default)]
    pub manager: Option<String>,
    /// The other fields of the response.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl VersionInfo {
    /// What the gateway understands besides the protocol, as in
    /// [`CreatedKernel::extensions`](crate::CreatedKernel::extensions). Real gateways say nothing of it.
    pub fn extensions(&self) -> impl Iterator<Item = &str> {
        let names = self.extra.get("extensions").and_then(Value::as_array);
        names.into_iter().flatten().filter_map(Value::as_str)
    }

    /// The year and month of a manager's release: 23 and 9 for `23.09.10`.
    pub(crate) fn release(&self) -> Option<(u32, u32)> {
        let mut numbers = self.manager.as_deref()?.split('.');
        let mut next = || numbers.next()?.parse().ok();
        Some((next()?, next()?))
    }

    /// Whether the gateway loses what is typed into a terminal: managers 22.09 to 25.8 of Backend.AI close it at
    /// the first input. (Observed on 23.09.10; the range is read in the sources.)
    ///
    /// ```
    /// use sorna_core::VersionInfo;
    ///
    /// let info: VersionInfo =
    ///     serde_json::from_str(r#"{"version": "v7.20230615", "manager": "23.09.10"}"#)?;
    /// assert!(info.loses_terminal_input());
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    #[must_use]
    pub fn loses_terminal_input(&self) -> bool {
        self.release()
            .is_some_and(|release| ((22, 9)..=(25, 8)).contains(&release))
    }
}

impl Operation for Version {
    type Output = VersionInfo;

    fn prepare(&self, version: ApiVersion) -> Result<UnsignedRequest, BuildError> {
        Ok(match version.dialect() {
            Dialect::SornaV2 => UnsignedRequest::new(Method::GET, "/v2"),
            // Public, and asked before it is known which versions there are: manager 23.09.10 responds with 400 to
            // a version that it does not know.
            Dialect::BackendAi => UnsignedRequest::new(Method::GET, "/")
                .without_signature()
                .without_version(),
        })
    }

    fn read(&self, _: ApiVersion, success: &Success) -> Result<VersionInfo, Error> {
        Ok(success.json(r#"{"version": …}"#)?)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{headers, response, signed};
    use super::*;
    use crate::unsigned::Auth;

    #[test]
    fn request_and_response() {
        let request = signed(&Version);
        assert_eq!(request.method(), "GET");
        assert_eq!(request.uri().path(), "/v2");
        assert_eq!(
            headers(
                &request,
                &["content-type", "content-length", "x-sorna-version"]
            ),
            ["application/octet-stream", "0", "v2.20170315"]
        );
        let reply = Version.read_response(
            ApiVersion::default(),
            response(200, r#"{"version": "v2.20170315", "x": 1}"#),
        );
        let info = reply.unwrap().value;
        assert_eq!(info.version, "v2.20170315");
        assert_eq!(info.extra["x"], 1);
    }

    #[test]
    fn backend_ai_is_asked_without_a_signature() {
        let request = Version.prepare(ApiVersion::V7_20230615).unwrap();
        assert_eq!((request.path(), request.auth()), ("/", Auth::None));
        assert!(!request.versioned);
        let reply = Version.read_response(
            ApiVersion::V7_20230615,
            response(200, r#"{"version": "v9.20250722", "manager": "26.9.6"}"#),
        );
        let info = reply.unwrap().value;
        assert_eq!(info.version, "v9.20250722");
        assert_eq!(info.manager.as_deref(), Some("26.9.6"));
    }

    #[test]
    fn managers_that_lose_typing_are_known_by_their_release() {
        for (manager, loses) in [
            (Some("22.06.3"), false),
            (Some("22.09.0"), true),
            (Some("23.09.10"), true),
            (Some("25.8.1"), true),
            (Some("25.9.0"), false),
            (Some("26.9.6"), false),
            (Some("25"), false),
            (Some("next"), false),
            (None, false),
        ] {
            let info = VersionInfo {
                version: String::new(),
                manager: manager.map(str::to_owned),
                extra: Map::new(),
            };
            assert_eq!(info.loses_terminal_input(), loses, "{manager:?}");
        }
    }

    #[test]
    fn an_html_page_is_not_a_version() {
        let error = Version
            .read_response(
                ApiVersion::default(),
                response(200, "<html>Welcome to nginx!"),
            )
            .unwrap_err();
        assert!(error.to_string().contains("Welcome to nginx!"), "{error}");
    }
}
