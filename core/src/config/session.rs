//! The cookie of a session with a web server.

use std::fmt;

use http::HeaderValue;
use zeroize::Zeroizing;

use crate::error::ConfigError;

/// Identifies a session with a web server of Backend.AI, in place of a key pair: who has it can do all that the user can
/// do, until it ends. Wiped from memory when dropped, never shown by `Debug`, and not comparable.
#[derive(Clone)]
pub struct SessionCookie(Zeroizing<String>);

impl SessionCookie {
    /// The cookie's name. (Observed on web server 23.09.10, and read in the sources of 26.9.6.)
    pub const NAME: &'static str = "AIOHTTP_SESSION";

    /// Checks and wraps the cookie's value.
    ///
    /// # Errors
    ///
    /// [`ConfigError::SessionCookie`] if a `Cookie` header cannot contain it.
    pub fn new(value: impl Into<String>) -> Result<Self, ConfigError> {
        let value = Zeroizing::new(value.into());
        // RFC 6265, section 4.1.1.
        let fits =
            |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b',' | b';' | b'\\');
        if value.is_empty() || !value.bytes().all(fits) {
            return Err(ConfigError::SessionCookie);
        }
        Ok(Self(value))
    }

    /// The value itself, to keep it somewhere safe. The caller must keep it out of logs.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The value of a `Cookie` header.
    pub(crate) fn header(&self) -> HeaderValue {
        let pair = Zeroizing::new(format!("{}={}", Self::NAME, self.expose()));
        let mut value = HeaderValue::from_str(&pair).expect("a cookie is a valid header value");
        value.set_sensitive(true);
        value
    }

    /// Reads the `Cookie` headers of a request; `None` if they do not have it.
    #[cfg(feature = "server")]
    #[must_use]
    pub fn of_request(headers: &http::HeaderMap) -> Option<Self> {
        let values = headers.get_all(http::header::COOKIE).into_iter();
        let mut pairs = values.flat_map(|value| value.to_str().unwrap_or_default().split(';'));
        pairs.find_map(Self::of_pair)
    }

    /// The value of a `Set-Cookie` header, with these attributes after it (`HttpOnly; Path=/`).
    ///
    /// # Errors
    ///
    /// [`ConfigError::SessionCookie`] if a header cannot contain the attributes.
    #[cfg(feature = "server")]
    pub fn set_cookie(&self, attributes: &str) -> Result<HeaderValue, ConfigError> {
        let text = Zeroizing::new(format!("{}={}; {attributes}", Self::NAME, self.expose()));
        let mut value = HeaderValue::from_str(&text).map_err(|_| ConfigError::SessionCookie)?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// Reads the values of `Set-Cookie` headers; `None` if they do not set it.
    pub(crate) fn from_headers<'a>(
        values: impl IntoIterator<Item = &'a HeaderValue>,
    ) -> Option<Self> {
        values.into_iter().find_map(|value| {
            let pair = value.to_str().ok()?.split(';').next()?;
            Self::of_pair(pair)
        })
    }

    /// Reads `name=value`; `None` if it has another name.
    fn of_pair(pair: &str) -> Option<Self> {
        let (name, value) = pair.split_once('=')?;
        let value = value.trim().trim_matches('"');
        Self::new(value).ok().filter(|_| name.trim() == Self::NAME)
    }
}

impl fmt::Debug for SessionCookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionCookie(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(headers: &[&'static str]) -> Option<String> {
        let values: Vec<_> = headers
            .iter()
            .map(|h| HeaderValue::from_static(h))
            .collect();
        Some(SessionCookie::from_headers(&values)?.expose().to_owned())
    }

    #[test]
    fn it_is_found_among_other_cookies() {
        let set = "AIOHTTP_SESSION=5f0c; HttpOnly; Max-Age=604800; Path=/";
        assert_eq!(read(&["a=b", set]).as_deref(), Some("5f0c"));
        assert_eq!(read(&["AIOHTTP_SESSION=\"5f0c\""]).as_deref(), Some("5f0c"));
        for none in [
            "",
            "AIOHTTP_SESSION",
            "XAIOHTTP_SESSION=a",
            "AIOHTTP_SESSION=; Path=/",
            "AIOHTTP_SESSION=a b",
        ] {
            assert_eq!(read(&[none]), None, "{none}");
        }
    }

    #[cfg(feature = "server")]
    #[test]
    fn what_a_client_sends_back_is_what_was_set() {
        let cookie = SessionCookie::new("5f0c").unwrap();
        let set = cookie.set_cookie("HttpOnly; Path=/").unwrap();
        assert_eq!(set, "AIOHTTP_SESSION=5f0c; HttpOnly; Path=/");
        assert!(!format!("{set:?}").contains("5f0c"));
        assert!(cookie.set_cookie("a\r\nb").is_err());
        let read = |value: &'static str| {
            let headers = http::HeaderMap::from_iter([(
                http::header::COOKIE,
                HeaderValue::from_static(value),
            )]);
            Some(SessionCookie::of_request(&headers)?.expose().to_owned())
        };
        assert_eq!(
            read("a=b; AIOHTTP_SESSION=5f0c; c=d").as_deref(),
            Some("5f0c")
        );
        assert_eq!(read("AIOHTTP_SESSION=\"5f0c\"").as_deref(), Some("5f0c"));
        for none in ["", "a=b", "AIOHTTP_SESSION=", "AIOHTTP_SESSION"] {
            assert_eq!(read(none), None, "{none}");
        }
    }

    #[test]
    fn it_cannot_break_the_header_and_stays_hidden() {
        for bad in ["", "a b", "a;b", "a,b", "a\r\nX: y", "é", "\"a\""] {
            assert_eq!(
                SessionCookie::new(bad).err(),
                Some(ConfigError::SessionCookie),
                "{bad:?}"
            );
        }
        let cookie = SessionCookie::new("5f0c").unwrap();
        assert_eq!(format!("{cookie:?}"), "SessionCookie(hidden)");
        assert_eq!(cookie.header(), "AIOHTTP_SESSION=5f0c");
        assert!(!format!("{:?}", cookie.header()).contains("5f0c"));
    }
}
