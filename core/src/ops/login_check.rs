//! `POST /server/login-check`: whose session with a web server it is.

use bytes::Bytes;
use http::Method;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::operation::{Operation, Success};
use crate::error::{BuildError, Error, ParseError};
use crate::unsigned::UnsignedRequest;
use crate::version::{ApiVersion, Dialect};

/// `POST /server/login-check`: asks a web server of Backend.AI whose session the configuration has. `None` if it is no
/// session, or one that has ended.
///
/// Read in the sources of web servers 23.09.10 and 26.9.6. They ask no manager, so a user whom the manager no longer
/// knows is still named.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct LoginCheck;

impl LoginCheck {
    /// The operation.
    #[must_use]
    pub fn new() -> Self {
        Self
    }
}

/// The user of a session with a web server, as far as the server says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WebUser {
    /// The access key in whose name the web server makes the user's requests.
    pub access_key: Option<String>,
    /// Such as `user` or `superadmin`.
    pub role: Option<String>,
    /// Such as `active`.
    pub status: Option<String>,
}

/// The response has the cookie of the session, too, which is not kept.
#[derive(Deserialize)]
struct Answer {
    authenticated: bool,
    data: Option<Map<String, Value>>,
}

impl Operation for LoginCheck {
    type Output = Option<WebUser>;

    fn prepare(&self, version: ApiVersion) -> Result<UnsignedRequest, BuildError> {
        match version.dialect() {
            Dialect::SornaV2 => Err(BuildError::Unsupported {
                what: "checking a login",
                version,
            }),
            Dialect::BackendAi => {
                Ok(UnsignedRequest::new(Method::POST, "/server/login-check").outside_api())
            }
        }
    }

    fn read(&self, _: ApiVersion, success: &Success) -> Result<Option<WebUser>, Error> {
        let answer: Answer =
            serde_json::from_slice(success.body()).map_err(|_| unreadable(success))?;
        if !answer.authenticated {
            return Ok(None);
        }
        let data = answer.data.unwrap_or_default();
        let text = |name| Some(data.get(name)?.as_str()?.to_owned());
        Ok(Some(WebUser {
            access_key: text("access_key"),
            role: text("role"),
            status: text("status"),
        }))
    }
}

/// The error for a body of another form, without what may be the cookie.
fn unreadable(success: &Success) -> ParseError {
    const EXPECTED: &str = r#"{"authenticated": …, "data": …}"#;
    let repeats_cookie = memchr::memmem::find(success.body(), b"session_id").is_some();
    let body = match repeats_cookie {
        true => &Bytes::from_static(b"another JSON with the session's ID"),
        false => success.body(),
    };
    ParseError::new(EXPECTED, success.status(), body, None)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::super::testing::response;
    use super::*;
    use crate::config::{Config, SessionCookie};
    use crate::signing::Signer;

    const V7: ApiVersion = ApiVersion::V7_20230615;

    fn read(body: &str) -> Result<Option<WebUser>, Error> {
        let reply = LoginCheck.read_response(V7, response(200, body))?;
        Ok(reply.value)
    }

    #[test]
    fn the_cookie_is_sent_to_the_web_server_itself() {
        let config = Config::of_web_server("https://web.example".parse().unwrap())
            .with_session(SessionCookie::new("5f0c").unwrap());
        let now = UNIX_EPOCH + Duration::from_secs(1_498_699_425);
        let request = LoginCheck.request(&Signer::new(config), now).unwrap();
        assert_eq!(request.method(), "POST");
        assert_eq!(request.uri(), "https://web.example/server/login-check");
        assert_eq!(request.headers()["cookie"], "AIOHTTP_SESSION=5f0c");
        let error = LoginCheck.prepare(ApiVersion::V2_20170315);
        assert!(matches!(error, Err(BuildError::Unsupported { .. })));
    }

    #[test]
    fn a_user_is_named_and_nothing_repeats_the_cookie() {
        let user = read(
            r#"{"authenticated": true, "data": {"access_key": "AK", "role": "user", "status": "active"}, "session_id": "5f0c"}"#,
        );
        let user = user.unwrap().expect("someone is logged in");
        assert!(!format!("{user:?}").contains("5f0c"));
        assert_eq!(user.access_key.as_deref(), Some("AK"));
        assert_eq!(user.role.as_deref(), Some("user"));
        assert_eq!(user.status.as_deref(), Some("active"));
        let none = r#"{"authenticated": false, "data": null, "session_id": "5f0c"}"#;
        assert_eq!(read(none).unwrap(), None);
        let error = read(r#"{"authenticated": 1, "session_id": "5f0c"}"#).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("5f0c"), "{error}");
        let error = read("<html>").unwrap_err();
        assert!(error.to_string().contains("<html>"), "{error}");
    }
}
