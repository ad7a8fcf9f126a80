//! Who may use the server.

use std::fmt;

use http::HeaderMap;
use http::header::{AUTHORIZATION, HOST, ORIGIN};
use http::request::Parts;
use http::uri::Authority;
use percent_encoding::percent_decode_str;
use sha2::{Digest, Sha256};

/// What clients show to be let in: everyone who knows it can run programs.
#[derive(Clone)]
pub struct Token {
    text: String,
    digest: [u8; 32],
}

impl Token {
    /// One that is given. It must have visible ASCII characters alone, as it is part of headers and URLs; `None` otherwise, and
    /// if it is empty.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let is_fit = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        is_fit.then(|| Self {
            text: text.to_owned(),
            digest: digest(text),
        })
    }

    /// A random one.
    ///
    /// # Panics
    ///
    /// If the operating system has no random numbers, which no supported one does once it has started.
    #[must_use]
    pub fn random() -> Self {
        let [first, second] = [(); 2].map(|()| sorna::random_token());
        let text = format!("{first}{}", &second.to_string()[..16]);
        Self::new(&text).expect("it has hexadecimal digits")
    }

    /// The token itself. Keep it out of logs.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// Whether it is this one. What is compared are digests, so that the time that it takes says nothing.
    fn is(&self, given: &str) -> bool {
        let given = digest(given);
        let differences = self.digest.iter().zip(given);
        differences.fold(0, |all, (a, b)| all | (a ^ b)) == 0
    }
}

/// Without the token.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").finish_non_exhaustive()
    }
}

fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

/// Who is let in.
#[derive(Clone, Debug)]
pub(super) struct Access {
    token: Token,
    /// The origins of web pages that may use it, in lower case; `*` stands for all.
    origins: Vec<String>,
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Token,
    Origin,
}

impl Access {
    pub(super) fn new(token: Token, origins: &[String]) -> Self {
        let origins = origins.iter();
        Self {
            token,
            origins: origins.map(|it| as_browsers_send(it)).collect(),
        }
    }

    /// Whether a request may be answered.
    pub(super) fn check(&self, head: &Parts) -> Result<(), Refusal> {
        if !self.takes_origin(&head.headers) {
            return Err(Refusal::Origin);
        }
        let given = given(head).filter(|given| self.token.is(given));
        given.map(drop).ok_or(Refusal::Token)
    }

    /// Whether it is of no web page of another origin, or of one that is allowed. Programs send no origin.
    fn takes_origin(&self, headers: &HeaderMap) -> bool {
        let Some(origin) = headers.get(ORIGIN) else {
            return true;
        };
        let origin = origin.to_str().unwrap_or("null").to_ascii_lowercase();
        let host = headers.get(HOST).and_then(|host| host.to_str().ok());
        let is_own = origin.split_once("://").is_some_and(|(scheme, rest)| {
            let is_web = matches!(scheme, "http" | "https");
            is_web && host.is_some_and(|host| rest.eq_ignore_ascii_case(host))
        });
        is_own || self.is_allowed(&origin)
    }

    fn is_allowed(&self, origin: &str) -> bool {
        let mut origins = self.origins.iter();
        origins.any(|allowed| allowed == "*" || allowed == origin)
    }

    /// The origin to name in a response, so that a page of it may read that.
    pub(super) fn allowed<'h>(&self, headers: &'h HeaderMap) -> Option<&'h str> {
        let origin = headers.get(ORIGIN)?.to_str().ok()?;
        self.is_allowed(&origin.to_ascii_lowercase())
            .then_some(origin)
    }
}

/// Whether it can be the origin of a web page, or is `*`.
pub(super) fn is_origin(text: &str) -> bool {
    let text = text.strip_suffix('/').unwrap_or(text);
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    text == "*"
        || text.split_once("://").is_some_and(|(scheme, rest)| {
            let is_scheme = !scheme.is_empty() && scheme.chars().all(is_word);
            is_scheme && !rest.contains('@') && rest.parse::<Authority>().is_ok()
        })
}

/// An origin in lower case, and without the port that its scheme has.
fn as_browsers_send(origin: &str) -> String {
    let origin = origin.trim_end_matches('/').to_ascii_lowercase();
    let usual = match origin.split_once("://") {
        Some(("http", _)) => ":80",
        Some(("https", _)) => ":443",
        _ => return origin,
    };
    origin.strip_suffix(usual).unwrap_or(&origin).to_owned()
}

/// The token of a request: that of its header, else that of its query.
fn given(head: &Parts) -> Option<String> {
    if let Some(value) = head.headers.get(AUTHORIZATION) {
        let (scheme, token) = value.to_str().ok()?.trim().split_once(' ')?;
        let is_known = ["token", "bearer"]
            .iter()
            .any(|known| scheme.eq_ignore_ascii_case(known));
        // Another scheme is for a proxy before this server.
        if is_known {
            return Some(token.trim().to_owned());
        }
    }
    query(head, "token")
}

/// A parameter of the query.
pub(super) fn query(head: &Parts, name: &str) -> Option<String> {
    let pairs = head.uri.query()?.split('&');
    let mut values = pairs.filter_map(|pair| match pair.split_once('=') {
        Some((it, value)) if it == name => Some(value),
        _ => None,
    });
    let value = values.next()?.replace('+', " ");
    Some(percent_decode_str(&value).decode_utf8_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use http::Request;

    use super::*;

    fn check(origins: &[&str], uri: &str, headers: &[(&str, &str)]) -> Result<(), Refusal> {
        let origins: Vec<_> = origins.iter().map(|it| (*it).to_owned()).collect();
        let access = Access::new(Token::new("s3cret-token").unwrap(), &origins);
        let mut request = Request::builder().uri(uri).header("host", "127.0.0.1:8081");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        access.check(&request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn the_token_lets_in_and_nothing_else_does() {
        for (uri, header) in [
            ("/api", "token s3cret-token"),
            ("/api", "Bearer  s3cret-token"),
            ("/api?a=b&token=s3cret%2Dtoken", ""),
            ("/api?token=s3cret-token", "Basic of-a-proxy"),
        ] {
            let headers = [("authorization", header)];
            let headers = &headers[..usize::from(!header.is_empty())];
            assert_eq!(check(&[], uri, headers), Ok(()), "{uri} {header}");
        }
        for (uri, header) in [
            ("/api", ""),
            ("/api?token=", ""),
            ("/api?token=s3cret", ""),
            ("/api", "token "),
            ("/api", "Basic s3cret-token"),
            ("/api", "s3cret-token"),
            ("/api?token=s3cret-token", "token wrong"),
        ] {
            let headers = [("authorization", header)];
            let headers = &headers[..usize::from(!header.is_empty())];
            let refused = Err(Refusal::Token);
            assert_eq!(check(&[], uri, headers), refused, "{uri} {header}");
        }
    }

    #[test]
    fn pages_of_other_origins_are_refused() {
        let uri = "/api?token=s3cret-token";
        let from = |origins: &[&str], origin| check(origins, uri, &[("origin", origin)]);
        assert_eq!(from(&[], "http://127.0.0.1:8081"), Ok(()));
        for origin in [
            "http://evil.example",
            "http://127.0.0.1:8082",
            "null",
            "file://127.0.0.1:8081",
        ] {
            assert_eq!(from(&[], origin), Err(Refusal::Origin), "{origin}");
            assert_eq!(from(&["*"], origin), Ok(()), "{origin}");
        }
        let allowed = ["https://Lab.example:443/"];
        assert_eq!(from(&allowed, "https://lab.example"), Ok(()));
        assert_eq!(from(&allowed, "http://lab.example"), Err(Refusal::Origin));
    }

    #[test]
    fn origins_are_schemes_and_hosts() {
        for origin in [
            "*",
            "https://lab.example/",
            "http://[::1]:8888",
            "vscode-webview://a1",
        ] {
            assert!(is_origin(origin), "{origin}");
        }
        for wrong in [
            "",
            "nonsense",
            "lab.example",
            "https://",
            "https://a/b",
            "https://u@a",
            "://a",
            "https://a b",
            "**",
        ] {
            assert!(!is_origin(wrong), "{wrong}");
        }
    }

    #[test]
    fn tokens_are_random_and_never_shown() {
        let token = Token::random();
        assert_eq!(token.expose().len(), 48);
        assert_ne!(token.expose(), Token::random().expose());
        assert!(!format!("{token:?}").contains(token.expose()));
        assert!(
            Token::new("").is_none() && Token::new("a b").is_none() && Token::new("é").is_none()
        );
    }
}
