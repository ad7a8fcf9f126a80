//! Logins that a web server rejected.

use std::error::Error as StdError;
use std::fmt;

use http::StatusCode;

use super::document::Problem;
use super::parse::excerpt;

/// Why a web server of Backend.AI did not log a user in.
#[derive(Clone, Debug, PartialEq)]
pub struct LoginError {
    status: StatusCode,
    problem: Problem,
}

impl LoginError {
    pub(crate) fn new(status: StatusCode, problem: Problem) -> Self {
        Self { status, problem }
    }

    /// The response's status: observed to be 200 on web server 23.09.10, and read in the sources to be that of the manager
    /// in 26.9.6, mostly 401.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// What the server said.
    #[must_use]
    pub fn problem(&self) -> &Problem {
        &self.problem
    }

    /// The user has a second factor: log in again with a [one-time password](crate::Login::with_otp).
    ///
    /// Releases before two-factor authentication had a type of its own say it in a text, which is what the official
    /// client 23.9.10 looks for. (Read in its source.)
    #[must_use]
    pub fn needs_otp(&self) -> bool {
        self.problem.kind_name() == "require-totp-authentication"
            || self.details() == Some("OTP not provided")
    }

    /// The user must first set up a second factor, in the web server's pages.
    #[must_use]
    pub fn needs_otp_registration(&self) -> bool {
        self.problem.kind_name() == "require-totp-registration"
    }

    fn details(&self) -> Option<&str> {
        let details = self.problem.extra.get("details");
        details.and_then(serde_json::Value::as_str)
    }

    /// There were too many failed logins of this user. Wait: each further one makes the wait longer.
    #[must_use]
    pub fn is_blocked(&self) -> bool {
        self.status == StatusCode::TOO_MANY_REQUESTS
    }
}

impl fmt::Display for LoginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the login was rejected")?;
        let mut texts = [self.problem.message(), self.details()]
            .into_iter()
            .flatten()
            .peekable();
        if texts.peek().is_none() {
            return write!(f, ": {}", excerpt(self.problem.kind_name().as_bytes()));
        }
        while let Some(text) = texts.next() {
            let text = match texts.peek() {
                Some(_) => text.strip_suffix('.').unwrap_or(text),
                None => text,
            };
            write!(f, ": {}", excerpt(text.as_bytes()))?;
        }
        Ok(())
    }
}

impl StdError for LoginError {}
