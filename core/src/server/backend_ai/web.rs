//! Requests to a web server, which stands before a manager: users log in to it, and it makes their requests.

use std::fmt;

use http::Method;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::problem::ProblemKind;
use crate::server::problem::ProblemReply;

/// What a request asks a web server for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WebRoute<'p> {
    /// `POST /server/login`
    Login,
    /// `POST /server/login-check`
    LoginCheck,
    /// `POST /server/logout`
    Logout,
    /// A request for the manager: its path below `/func`. All need a session but `GET /func/`.
    Func(&'p str),
}

/// The paths of the web server itself, all for `POST`.
const PATHS: &[(&str, WebRoute<'static>)] = &[
    ("/server/login", WebRoute::Login),
    ("/server/login-check", WebRoute::LoginCheck),
    ("/server/logout", WebRoute::Logout),
];

impl<'p> WebRoute<'p> {
    /// Every method of every path of the web server itself.
    pub fn all() -> impl Iterator<Item = (&'static Method, &'static str)> {
        PATHS.iter().map(|(path, _)| (&Method::POST, *path))
    }

    /// Finds the route; `None` for a request that is not for a web server.
    ///
    /// # Errors
    ///
    /// 404 `url-not-found` and 405 `method-not-allowed`, for paths below `/server`.
    pub fn parse(method: &Method, path: &'p str) -> Result<Option<Self>, ProblemReply> {
        if let Some(rest) = path.strip_prefix("/func")
            && rest.starts_with('/')
        {
            return Ok(Some(Self::Func(rest)));
        }
        let route = match PATHS.iter().find(|(of_route, _)| *of_route == path) {
            Some((_, route)) => *route,
            None if path.starts_with("/server/") => return Err(ProblemKind::UrlNotFound.reply()),
            None => return Ok(None),
        };
        match *method {
            Method::POST => Ok(Some(route)),
            _ => Err(ProblemKind::MethodNotAllowed.reply()),
        }
    }
}

/// The body of a login. A one-time password in it is not read.
pub struct LoginRequest {
    /// The user's name.
    pub username: String,
    password: Zeroizing<String>,
}

impl LoginRequest {
    /// Reads the body.
    ///
    /// # Errors
    ///
    /// 400 `invalid-api-params` if it has no user name or no password.
    pub fn parse(body: &[u8]) -> Result<Self, ProblemReply> {
        // As web servers do, which take what is no JSON for an empty object.
        let mut fields: Map<String, Value> = serde_json::from_slice(body).unwrap_or_default();
        let mut text = |name, missing| match fields.remove(name) {
            Some(Value::String(text)) if !text.is_empty() => Ok(text),
            _ => Err(ProblemKind::InvalidApiParams.reply().with_title(missing)),
        };
        let password = text("password", "You must provide the password field.").map(Zeroizing::new);
        Ok(Self {
            username: text("username", "You must provide the username field.")?,
            password: password?,
        })
    }

    /// Their password. Wiped from memory when dropped; the caller must keep it out of logs.
    #[must_use]
    pub fn password(&self) -> &str {
        &self.password
    }
}

impl fmt::Debug for LoginRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoginRequest")
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_faces_of_a_web_server_are_told_apart() {
        let parse = |path| WebRoute::parse(&Method::POST, path).ok().flatten();
        assert_eq!(parse("/server/login"), Some(WebRoute::Login));
        assert_eq!(parse("/server/login-check"), Some(WebRoute::LoginCheck));
        assert_eq!(parse("/server/logout"), Some(WebRoute::Logout));
        assert_eq!(parse("/func/"), Some(WebRoute::Func("/")));
        assert_eq!(
            parse("/func/session/a%2Fb"),
            Some(WebRoute::Func("/session/a%2Fb"))
        );
        for other in [
            "/",
            "/func",
            "/function/x",
            "/server",
            "/session",
            "/session/func",
        ] {
            assert_eq!(parse(other), None, "{other}");
        }
        let problem = |method, path| WebRoute::parse(&method, path).unwrap_err().kind();
        assert_eq!(
            problem(Method::GET, "/server/login"),
            ProblemKind::MethodNotAllowed
        );
        assert_eq!(
            problem(Method::POST, "/server/nope"),
            ProblemKind::UrlNotFound
        );
    }

    #[test]
    fn a_login_has_a_name_and_a_password() {
        let login = br#"{"username": "AK", "password": "hunter2", "otp": "1"}"#;
        let login = LoginRequest::parse(login).unwrap();
        assert_eq!((&*login.username, login.password()), ("AK", "hunter2"));
        assert!(!format!("{login:?}").contains("hunter2"));
        for (body, missing) in [
            (&b""[..], "username"),
            (b"{", "username"),
            (b"[]", "username"),
            (br#"{"username": "", "password": "x"}"#, "username"),
            (br#"{"username": 1, "password": "x"}"#, "username"),
            (br#"{"username": "AK"}"#, "password"),
            (br#"{"username": "AK", "password": null}"#, "password"),
        ] {
            let problem = LoginRequest::parse(body).unwrap_err();
            let (parts, body) = problem
                .into_response_in(crate::Dialect::BackendAi)
                .into_parts();
            assert_eq!(parts.status, 400);
            let text = String::from_utf8(body).unwrap();
            assert!(
                text.contains(&format!("You must provide the {missing} field.")),
                "{text}"
            );
        }
    }
}
