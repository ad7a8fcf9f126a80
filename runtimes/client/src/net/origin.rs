//! Where a request goes: scheme, host and port.

use std::fmt;
use std::net::IpAddr;

use http::Uri;
use sorna_core::{Sent, TransportError, TransportErrorKind};

/// The server that a URL names; the port is always filled in.
///
/// [`Display`](fmt::Display) writes the authority, as in `api.sorna.io:443` or `[::1]:8080`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    secure: bool,
    host: String,
    port: u16,
}

impl Origin {
    /// The origin of an absolute `http`, `https`, `ws` or `wss` URL.
    ///
    /// # Errors
    ///
    /// If the URL is relative or has another scheme; of kind
    /// [`Other`](TransportErrorKind::Other), with nothing sent.
    pub fn of(uri: &Uri) -> Result<Self, TransportError> {
        let secure = match uri.scheme_str() {
            Some("http" | "ws") => false,
            Some("https" | "wss") => true,
            Some(scheme) => return Err(refuse(format!("cannot speak {scheme} to a gateway"))),
            None => return Err(refuse("the request's URL is not absolute")),
        };
        let host = uri.host().unwrap_or_default();
        let host = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host);
        if host.is_empty() {
            return Err(refuse("the request's URL has no host"));
        }
        Ok(Self {
            secure,
            host: host.to_ascii_lowercase(),
            port: uri.port_u16().unwrap_or(if secure { 443 } else { 80 }),
        })
    }

    /// Whether the connection is encrypted (`https`, `wss`).
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// The host's name in lower case, or its IP address; an IPv6 address without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The host as an IP address, if it is one.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_authority(f, &self.host, self.port)
    }
}

/// Writes `host:port`, with the brackets that an IPv6 address needs.
pub(super) fn write_authority(f: &mut fmt::Formatter<'_>, host: &str, port: u16) -> fmt::Result {
    if host.contains(':') {
        write!(f, "[{host}]:{port}")
    } else {
        write!(f, "{host}:{port}")
    }
}

fn refuse(message: impl Into<String>) -> TransportError {
    TransportError::new(TransportErrorKind::Other, Sent::Nothing, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(uri: &'static str) -> Result<Origin, TransportError> {
        Origin::of(&Uri::from_static(uri))
    }

    #[test]
    fn default_ports_are_filled_in() {
        for (uri, authority, secure) in [
            ("http://API.example/x", "api.example:80", false),
            ("https://api.example", "api.example:443", true),
            ("wss://api.example/pty", "api.example:443", true),
            ("http://[::1]:8080/", "[::1]:8080", false),
        ] {
            let origin = origin(uri).expect(uri);
            assert_eq!(origin.to_string(), authority);
            assert_eq!(origin.is_secure(), secure);
        }
    }

    #[test]
    fn other_schemes_and_relative_urls_are_refused_before_anything_is_sent() {
        for uri in ["ftp://host/", "/v2"] {
            let error = origin(uri).expect_err(uri);
            assert_eq!(error.sent(), Sent::Nothing);
        }
    }
}
