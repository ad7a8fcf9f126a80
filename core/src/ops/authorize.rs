//! `GET /v2/authorize`, in Backend.AI `POST /auth`: whether the keys are good. (API manual of 2017, "Authentication".)

use http::Method;
use serde::{Deserialize, Serialize};

use super::operation::{Operation, Success};
use crate::error::{BuildError, Error};
use crate::unsigned::UnsignedRequest;
use crate::version::{ApiVersion, Dialect};

/// `GET /v2/authorize`, in Backend.AI `POST /auth`: checks the keys, with a text that the gateway sends back.
///
/// Wrong keys are an error response for which [`Error::is_auth`](crate::Error::is_auth) is true; a clock that is
/// more than 15 minutes off is one with
/// [`is_clock_skew`](crate::GatewayError::is_clock_skew).
/// (API manual of 2017, "Authentication".)
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct Authorize {
    /// The text to send back.
    pub echo: String,
}

impl Authorize {
    /// The operation, with a text of the caller's choice.
    #[must_use]
    pub fn new(echo: impl Into<String>) -> Self {
        Self { echo: echo.into() }
    }
}

/// The gateway accepted the keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Authorized {
    /// The text that was sent.
    #[serde(default)]
    pub echo: Option<String>,
}

impl Operation for Authorize {
    type Output = Authorized;

    fn prepare(&self, version: ApiVersion) -> Result<UnsignedRequest, BuildError> {
        match version.dialect() {
            Dialect::SornaV2 => UnsignedRequest::new(Method::GET, "/v2/authorize").json(self),
            // Manager 26.9.6 responds to GET, too, but without the text.
            Dialect::BackendAi => UnsignedRequest::new(Method::POST, "/auth").json(self),
        }
    }

    fn read(&self, _: ApiVersion, success: &Success) -> Result<Authorized, Error> {
        #[derive(Deserialize)]
        struct Body {
            authorized: String,
            #[serde(flatten)]
            rest: Authorized,
        }
        const EXPECTED: &str = r#"{"authorized": "yes", …}"#;
        let body: Body = success.json(EXPECTED)?;
        if body.authorized != "yes" {
            return Err(success.unexpected(EXPECTED).into());
        }
        Ok(body.rest)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{response, signed};
    use super::*;

    #[test]
    fn request_and_response() {
        let operation = Authorize::new("hi");
        let request = signed(&operation);
        assert_eq!(
            (request.method().as_str(), request.uri().path()),
            ("GET", "/v2/authorize")
        );
        assert_eq!(request.body().as_bytes(), Some(&br#"{"echo":"hi"}"#[..]));
        let reply = operation.read_response(
            ApiVersion::default(),
            response(200, r#"{"authorized": "yes", "echo": "hi"}"#),
        );
        assert_eq!(reply.unwrap().value.echo.as_deref(), Some("hi"));
        assert!(
            operation
                .read_response(
                    ApiVersion::default(),
                    response(200, r#"{"authorized": "no"}"#)
                )
                .is_err()
        );
    }
}
