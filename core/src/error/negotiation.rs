//! Endpoints that speak no version of the API that this crate speaks.

use std::error::Error as StdError;
use std::fmt;

use bytes::Bytes;
use http::StatusCode;

use super::parse::excerpt;
use crate::version::ApiVersion;

/// Why no version of the API was found that both sides speak.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NegotiationError {
    /// The endpoint is a manager of Backend.AI, older than any that this crate speaks with. It must be updated.
    TooOld {
        /// The newest version that the manager speaks, as it said.
        offered: String,
        /// The manager's release, if it said so.
        manager: Option<String>,
        /// The oldest version that this crate speaks.
        needed: ApiVersion,
    },
    /// What is at the endpoint is neither a manager of Backend.AI nor a gateway of Sorna v2. Check the endpoint: its
    /// host, port and path.
    Unknown {
        /// The response to `GET /`, to which a manager of Backend.AI says hello.
        root: FoundResponse,
        /// The response to `GET /v2`, to which a gateway of Sorna v2 says its version.
        v2: FoundResponse,
    },
    /// What is at the endpoint is not a web server of Backend.AI. Check the endpoint; that of a manager needs
    /// [keys](crate::Config::new).
    NoWebServer {
        /// The response to `GET /func/`, which a web server passes on to its manager.
        found: FoundResponse,
    },
}

/// A response that is not that of a gateway: its status, and how its body begins.
#[derive(Clone, PartialEq, Eq)]
pub struct FoundResponse {
    status: StatusCode,
    body: Bytes,
}

impl FoundResponse {
    /// How much of a body is kept, in bytes.
    const KEPT: usize = 4096;

    pub(crate) fn new(status: StatusCode, body: &Bytes) -> Self {
        // A copy, so that the rest of a long body is not kept alive.
        let body = Bytes::copy_from_slice(&body[..body.len().min(Self::KEPT)]);
        Self { status, body }
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Whether it looks like a web page (HTML), as a web server of Backend.AI has at its root.
    #[must_use]
    pub fn is_page(&self) -> bool {
        let start = self.body.trim_ascii_start();
        let begins = |with: &[u8]| {
            start
                .get(..with.len())
                .is_some_and(|text| text.eq_ignore_ascii_case(with))
        };
        begins(b"<!doctype html") || begins(b"<html")
    }

    /// The first 4 KiB of the body.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }
}

impl fmt::Display for FoundResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = self.status.as_u16();
        match self.is_page() {
            true => write!(f, "{status}: a web page"),
            false => write!(f, "{status}: {}", excerpt(&self.body)),
        }
    }
}

/// The body is cut: `main` shows errors in this form.
impl fmt::Debug for FoundResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FoundResponse")
            .field("status", &self.status)
            .field("body", &excerpt(&self.body))
            .finish()
    }
}

impl fmt::Display for NegotiationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooOld {
                offered,
                manager,
                needed,
            } => {
                f.write_str("the manager")?;
                if let Some(manager) = manager {
                    write!(f, " {}", excerpt(manager.as_bytes()))?;
                }
                write!(
                    f,
                    " speaks versions of the API up to {}, and at least {needed} is needed",
                    excerpt(offered.as_bytes())
                )
            }
            Self::NoWebServer { found } => write!(
                f,
                "the endpoint is not a web server of Backend.AI: it responded to GET /func/ with {found}"
            ),
            Self::Unknown { root, v2 } => write!(
                f,
                "the endpoint is neither Backend.AI nor Sorna v2: it responded to GET / with {root}, and GET /v2 with {v2}"
            ),
        }
    }
}

impl StdError for NegotiationError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_is_shown_on_one_short_line() {
        let error = NegotiationError::TooOld {
            offered: "v5.20191215".to_owned(),
            manager: Some("20.03\u{1b}[31m".to_owned()),
            needed: ApiVersion::OLDEST_BACKEND_AI,
        };
        assert_eq!(
            error.to_string(),
            "the manager 20.03\u{fffd}[31m speaks versions of the API up to v5.20191215, and at least v6.20220615 is needed"
        );
        let page = Bytes::from("<b>hi</b>\n".repeat(10_000));
        let found = FoundResponse::new(StatusCode::OK, &page);
        assert_eq!(found.body().len(), 4096);
        let error = NegotiationError::Unknown {
            root: found,
            v2: FoundResponse::new(StatusCode::NOT_FOUND, &Bytes::new()),
        };
        let text = error.to_string();
        assert!(
            text.contains("GET / with 200: <b>hi</b> <b>hi</b>"),
            "{text}"
        );
        assert!(text.ends_with("GET /v2 with 404: (empty)"), "{text}");
        assert!(text.len() < 500 && !text.contains('\n'), "{text}");
        let shown = format!("{error:?}");
        assert!(shown.len() < 700, "{shown}");
    }

    #[test]
    fn pages_are_not_shown() {
        for (body, is_page) in [
            ("<!DOCTYPE html>\n<p>", true),
            ("\n <html lang='en'>", true),
            ("<b>hi</b>", false),
            ("{}", false),
            ("", false),
        ] {
            let found = FoundResponse::new(StatusCode::OK, &Bytes::from(body));
            assert_eq!(found.is_page(), is_page, "{body}");
            assert_eq!(found.to_string() == "200: a web page", is_page, "{body}");
        }
    }
}
