//! `POST /server/login` and `POST /server/logout`: sessions with a web server of Backend.AI.

use std::fmt;

use bytes::Bytes;
use http::header::SET_COOKIE;
use http::{Method, Response, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::operation::{self, Operation, Repeat, Reply, Success};
use crate::config::SessionCookie;
use crate::error::{BuildError, Error, LoginError, Problem};
use crate::unsigned::UnsignedRequest;
use crate::version::{ApiVersion, Dialect};

/// `POST /server/login`: logs a user in to a web server of Backend.AI, with a password.
///
/// The session that it gives takes the place of a key pair: [`Config::with_session`](crate::Config::with_session).
/// Password and session are as safe as the connection is: use https.
///
/// A login that is rejected is [`Error::Login`], which says whether a one-time password is missing. A machine does not
/// repeat it, since after some failed logins the server rejects all for a while, and each further one makes that longer.
///
/// Observed on web server 23.09.10: a wrong password is status 200 with `"authenticated": false`, the login is blocked for
/// 20 minutes after ten of them (429), and a cookie comes with every response. Read in the sources of 26.9.6: a rejected
/// login has the status of the manager's response, mostly 401.
///
/// ```
/// use sorna_core::{ApiVersion, Config, Login, Operation};
///
/// let config = Config::of_web_server("https://web.example".parse()?);
/// let version = config.version();
/// let login = Login::new("user@example.com", "password").with_otp("123456");
/// assert_eq!(login.prepare(version)?.path(), "/server/login");
///
/// let response = http::Response::builder()
///     .header("Set-Cookie", "AIOHTTP_SESSION=5f0c; HttpOnly; Path=/")
///     .body(r#"{"authenticated": true, "data": {"access_key": "AK", "role": "user", "status": "active"}}"#.into())?;
/// let session = login.read_response(version, response)?.value;
/// assert_eq!(session.access_key.as_deref(), Some("AK"));
/// let config = config.with_session(session.cookie);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Login {
    username: String,
    password: Zeroizing<String>,
    otp: Option<Zeroizing<String>>,
}

impl Login {
    /// The operation, for a user (an e-mail address) and their password.
    #[must_use]
    pub fn new(username: impl Into<String>, password: impl Into<String>) -> Self {
        Self {
            username: username.into(),
            password: Zeroizing::new(password.into()),
            otp: None,
        }
    }

    /// With a one-time password, for users who have a second factor.
    #[must_use]
    pub fn with_otp(mut self, otp: impl Into<String>) -> Self {
        self.otp = Some(Zeroizing::new(otp.into()));
        self
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

/// A session with a web server.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WebSession {
    /// Identifies it. A secret.
    pub cookie: SessionCookie,
    /// The access key in whose name the web server makes the user's requests.
    pub access_key: Option<String>,
    /// What else the server says about the user, such as `role` and `status`.
    pub extra: Map<String, Value>,
}

/// A response to a login, whatever its status.
#[derive(Deserialize)]
struct Answer {
    authenticated: bool,
    #[serde(default)]
    data: Map<String, Value>,
}

impl Operation for Login {
    type Output = WebSession;

    fn prepare(&self, version: ApiVersion) -> Result<UnsignedRequest, BuildError> {
        #[derive(Serialize)]
        struct Body<'a> {
            username: &'a str,
            password: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            otp: Option<&'a str>,
        }
        check(version, "logging in")?;
        let request = UnsignedRequest::new(Method::POST, "/server/login");
        request.without_signature().outside_api().json(&Body {
            username: &self.username,
            password: &self.password,
            otp: self.otp.as_ref().map(|otp| otp.as_str()),
        })
    }

    fn read(&self, _: ApiVersion, success: &Success) -> Result<WebSession, Error> {
        const EXPECTED: &str = r#"{"authenticated": true, …} with a cookie"#;
        let mut answer: Answer = success.json(EXPECTED)?;
        if !answer.authenticated {
            return Err(rejected(success.status(), answer.data));
        }
        let cookies = success.headers().get_all(SET_COOKIE);
        let Some(cookie) = SessionCookie::from_headers(&cookies) else {
            return Err(success.unexpected(EXPECTED).into());
        };
        let access_key = match answer.data.remove("access_key") {
            Some(Value::String(key)) => Some(key),
            _ => None,
        };
        Ok(WebSession {
            cookie,
            access_key,
            extra: answer.data,
        })
    }

    fn repeat(&self) -> Repeat {
        Repeat::IfUnsent
    }

    fn read_response(
        &self,
        version: ApiVersion,
        response: Response<Bytes>,
    ) -> Result<Reply<WebSession>, Error> {
        let status = response.status();
        let result = operation::read_response(self, version, response);
        result.map_err(|error| match error {
            Error::Gateway(error) => match serde_json::from_slice::<Answer>(error.body()) {
                Ok(answer) if !answer.authenticated => rejected(status, answer.data),
                // A problem document, whose repetition would make it worse.
                _ if error.is_rate_limited() => {
                    let problem = error.problem().cloned().unwrap_or_default();
                    LoginError::new(status, problem).into()
                }
                _ => Error::Gateway(error),
            },
            other => other,
        })
    }
}

/// The error for a login that was rejected for this reason: `type`, `title` and `details`.
fn rejected(status: StatusCode, reason: Map<String, Value>) -> Error {
    let problem = serde_json::from_value::<Problem>(Value::Object(reason));
    LoginError::new(status, problem.unwrap_or_default()).into()
}

/// `POST /server/logout`: ends the session of the configuration.
///
/// Observed on web server 23.09.10 (201), and read in the sources of 26.9.6 (200).
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Logout;

impl Logout {
    /// The operation.
    #[must_use]
    pub fn new() -> Self {
        Self
    }
}

impl Operation for Logout {
    type Output = ();

    fn prepare(&self, version: ApiVersion) -> Result<UnsignedRequest, BuildError> {
        check(version, "logging out")?;
        Ok(UnsignedRequest::new(Method::POST, "/server/logout").outside_api())
    }

    fn read(&self, _: ApiVersion, success: &Success) -> Result<(), Error> {
        Ok(success.empty()?)
    }
}

fn check(version: ApiVersion, what: &'static str) -> Result<(), BuildError> {
    match version.dialect() {
        Dialect::SornaV2 => Err(BuildError::Unsupported { what, version }),
        Dialect::BackendAi => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    use super::super::testing::response;
    use super::super::{Info, Version};
    use super::*;
    use crate::config::Config;
    use crate::ident::KernelId;
    use crate::signing::Signer;

    const V7: ApiVersion = ApiVersion::V7_20230615;

    fn now() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_498_699_425)
    }

    fn config() -> Config {
        Config::of_web_server("https://web.example/console".parse().unwrap())
    }

    fn login() -> Login {
        Login::new("a@example.com", "hunter2")
    }

    fn error(status: u16, body: &str) -> Error {
        login()
            .read_response(V7, response(status, body))
            .unwrap_err()
    }

    #[test]
    fn a_login_is_sent_to_the_web_server_itself_without_keys_or_cookie() {
        let cookie = SessionCookie::new("0ld").unwrap();
        let signer = Signer::new(config().with_session(cookie));
        let request = login().with_otp("123456").request(&signer, now()).unwrap();
        assert_eq!(request.method(), "POST");
        assert_eq!(request.uri(), "https://web.example/console/server/login");
        assert_eq!(
            request.body().as_bytes(),
            Some(&br#"{"username":"a@example.com","password":"hunter2","otp":"123456"}"#[..])
        );
        let headers = request.headers();
        assert_eq!(headers["content-type"], "application/json");
        assert!(!headers.contains_key("authorization") && !headers.contains_key("cookie"));
        let shown = format!("{:?} {request:?}", login().with_otp("123456"));
        assert!(
            !shown.contains("hunter2") && !shown.contains("123456"),
            "{shown}"
        );
    }

    #[test]
    fn requests_of_a_session_have_its_cookie_and_go_through_the_web_server() {
        let cookie = SessionCookie::new("5f0c").unwrap();
        let signer = Signer::new(config().with_session(cookie));
        let info = Info::new(KernelId::new("k1").unwrap());
        let request = info.request(&signer, now()).unwrap();
        assert_eq!(request.uri(), "https://web.example/console/func/session/k1");
        assert_eq!(request.headers()["cookie"], "AIOHTTP_SESSION=5f0c");
        assert_eq!(request.headers()["x-backendai-version"], "v7.20230615");
        assert!(!request.headers().contains_key("authorization"));
        assert!(!format!("{request:?} {signer:?}").contains("5f0c"));

        let hello = Version::new().request(&signer, now()).unwrap();
        assert_eq!(hello.uri(), "https://web.example/console/func/");
        assert!(!hello.headers().contains_key("cookie"));
        let logout = Logout::new().request(&signer, now()).unwrap();
        assert_eq!(logout.uri(), "https://web.example/console/server/logout");
        assert_eq!(logout.headers()["cookie"], "AIOHTTP_SESSION=5f0c");
        for status in [200, 201] {
            Logout.read_response(V7, response(status, "")).unwrap();
        }
    }

    #[test]
    fn a_login_gives_a_session() {
        let mut accepted = response(
            200,
            r#"{"authenticated": true, "data": {"access_key": "AK", "role": "user", "status": "active"}}"#,
        );
        let missing = login().read_response(V7, accepted.clone()).unwrap_err();
        assert!(matches!(missing, Error::Parse(_)), "{missing}");
        let set = "AIOHTTP_SESSION=5f0c; HttpOnly; Path=/".parse().unwrap();
        accepted.headers_mut().insert(SET_COOKIE, set);
        let id = "5f0c".parse().unwrap();
        accepted.headers_mut().insert("x-backendai-sessionid", id);
        let (parts, body) = accepted.clone().into_parts();
        let success = Success::new(parts, body);
        assert_eq!(
            success.headers()[SET_COOKIE],
            "AIOHTTP_SESSION=5f0c; HttpOnly; Path=/"
        );
        assert!(!format!("{success:?}").contains("5f0c"), "{success:?}");
        let session = login().read_response(V7, accepted).unwrap().value;
        assert_eq!(session.cookie.expose(), "5f0c");
        assert_eq!(session.access_key.as_deref(), Some("AK"));
        assert_eq!(session.extra["role"], "user");
        assert!(!format!("{session:?}").contains("5f0c"));
    }

    #[test]
    fn a_rejected_login_says_why_whatever_its_status() {
        let reason = |kind: &str, rest: &str| {
            format!(
                r#"{{"authenticated": false, "data": {{"type": "https://api.backend.ai/probs/{kind}"{rest}}}}}"#
            )
        };
        let wrong = reason(
            "auth-failed",
            r#", "title": "Credential/signature mismatch.", "details": null"#,
        );
        for status in [200, 401] {
            let Error::Login(error) = error(status, &wrong) else {
                panic!("{status}")
            };
            assert_eq!(error.status().as_u16(), status);
            assert_eq!(
                error.to_string(),
                "the login was rejected: Credential/signature mismatch."
            );
            assert!(!error.needs_otp() && !error.is_blocked());
        }
        let rest = r#", "title": "Two-Factor Authentication needed.", "details": "You must authenticate.""#;
        let Error::Login(otp) = error(200, &reason("require-totp-authentication", rest)) else {
            panic!("it is rejected")
        };
        assert!(otp.needs_otp() && !otp.needs_otp_registration());
        assert_eq!(
            otp.to_string(),
            "the login was rejected: Two-Factor Authentication needed: You must authenticate."
        );
        let older = reason(
            "auth-failed",
            r#", "title": "x", "details": "OTP not provided""#,
        );
        let Error::Login(older) = error(200, &older) else {
            panic!("it is rejected")
        };
        assert!(older.needs_otp(), "{older}");
        let Error::Login(blocked) = error(
            429,
            r#"{"type": "https://api.backend.ai/probs/too-many-requests", "title": "Too many failed login attempts"}"#,
        ) else {
            panic!("it is rejected")
        };
        assert!(blocked.is_blocked());
        // Anything else is an error response like any other.
        for (status, body) in [(400, ""), (502, "<html>"), (404, r#"{"type": "x"}"#)] {
            assert!(matches!(error(status, body), Error::Gateway(_)), "{status}");
        }
        assert!(matches!(error(200, "<html>"), Error::Parse(_)));
        assert!(matches!(
            error(200, r#"{"authenticated": false}"#),
            Error::Login(_)
        ));
    }

    #[test]
    fn sorna_v2_has_no_sessions() {
        let version = ApiVersion::V2_20170315;
        assert!(matches!(
            login().prepare(version),
            Err(BuildError::Unsupported { .. })
        ));
        assert!(matches!(
            Logout.prepare(version),
            Err(BuildError::Unsupported { .. })
        ));
    }
}
