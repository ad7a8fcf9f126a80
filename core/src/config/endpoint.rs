//! The gateway's address.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use http::HeaderValue;
use http::uri::{Authority, Scheme, Uri};

use crate::error::ConfigError;

/// The URL of a gateway: `http` or `https`, a host, maybe a port, maybe a path prefix.
///
/// A slash at the end is dropped. A prefix is kept and put before every path, but not signed: it is for a proxy, which
/// strips it. (The original client does not sign it either, and gateway 0.9.11 verifies the path that it sees.)
///
/// ```
/// use sorna_core::Endpoint;
///
/// let endpoint: Endpoint = "https://cluster.example:8443/sorna/".parse()?;
/// assert_eq!(endpoint.host(), "cluster.example:8443");
/// assert_eq!(endpoint.prefix(), "/sorna");
///
/// assert!("ftp://cluster.example".parse::<Endpoint>().is_err());
/// # Ok::<(), sorna_core::ConfigError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    scheme: Scheme,
    authority: Authority,
    prefix: String,
}

impl Endpoint {
    /// Whether requests are sent over TLS.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.scheme == Scheme::HTTPS
    }

    /// The value of the `Host` header: the host as it was written, and the port unless it is the
    /// scheme's default.
    #[must_use]
    pub fn host(&self) -> &str {
        self.authority.as_str()
    }

    /// The host without the port, and without brackets around an IPv6 address.
    #[must_use]
    pub fn hostname(&self) -> &str {
        let host = self.authority.host();
        host.strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host)
    }

    /// The port to connect to.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.authority
            .port_u16()
            .unwrap_or_else(|| self.default_port())
    }

    /// Whether the host is this machine, judging by its name or address (`localhost`, 127.0.0.0/8,
    /// `::1`), so that plain `http` exposes nothing.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        let name = self.hostname();
        name.eq_ignore_ascii_case("localhost")
            || name
                .parse::<core::net::IpAddr>()
                .is_ok_and(|address| address.is_loopback())
    }

    /// The path prefix: empty, or starting and not ending with a slash.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    pub(crate) fn scheme(&self) -> &Scheme {
        &self.scheme
    }

    pub(crate) fn authority(&self) -> &Authority {
        &self.authority
    }

    pub(crate) fn host_header(&self) -> HeaderValue {
        HeaderValue::from_str(self.host()).expect("an authority is a valid header value")
    }

    fn default_port(&self) -> u16 {
        if self.is_https() { 443 } else { 80 }
    }
}

impl FromStr for Endpoint {
    type Err = ConfigError;

    fn from_str(url: &str) -> Result<Self, ConfigError> {
        let url = url.trim();
        // Backend.AI's own client takes several URLs of one cluster.
        if url.contains(",http") {
            return Err(invalid("must be one URL, not a list"));
        }
        if url.contains('#') {
            return Err(invalid("must not have a fragment (`#...`)"));
        }
        if url.is_empty() {
            return Err(invalid("is empty; it should look like https://host:port"));
        }
        if matches!(url, "https://" | "http://") {
            return Err(invalid(
                "has no host; it should look like https://host:port",
            ));
        }
        let uri: Uri = url.parse().map_err(|error| {
            invalid(format!(
                "is not a URL ({error}); it should look like https://host:port"
            ))
        })?;
        let parts = uri.into_parts();
        let scheme = parts
            .scheme
            .ok_or_else(|| invalid("must start with https:// or http://"))?;
        if scheme != Scheme::HTTPS && scheme != Scheme::HTTP {
            return Err(invalid(format!(
                "must start with https:// or http://, not {scheme}://"
            )));
        }
        let authority = parts.authority.ok_or_else(|| invalid("has no host"))?;
        if authority.as_str().contains('@') {
            return Err(invalid(
                "must not contain a user name or password; the keys are separate settings",
            ));
        }
        if authority.host().is_empty() {
            return Err(invalid("has no host"));
        }
        let mut prefix = "";
        if let Some(path) = &parts.path_and_query {
            if path.query().is_some() {
                return Err(invalid("must not have a query (`?...`)"));
            }
            prefix = path.path().trim_end_matches('/');
        }
        if prefix
            .split('/')
            .skip(1)
            .any(|s| matches!(s, "" | "." | ".."))
        {
            return Err(invalid("must not have empty, `.` or `..` path segments"));
        }
        let mut endpoint = Self {
            scheme,
            authority,
            prefix: prefix.to_owned(),
        };
        endpoint.authority = endpoint.canonical_authority()?;
        Ok(endpoint)
    }
}

impl Endpoint {
    /// Drops the port if it is the scheme's default, since `Host` is signed without it.
    fn canonical_authority(&self) -> Result<Authority, ConfigError> {
        let written = self.authority.as_str();
        let Some((host, port)) = written
            .rsplit_once(':')
            .filter(|(_, port)| !port.ends_with(']'))
        else {
            return Ok(self.authority.clone());
        };
        let number: u16 = port
            .parse()
            .ok()
            .filter(|_| port.bytes().all(|digit| digit.is_ascii_digit()))
            .ok_or_else(|| {
                invalid(format!(
                    "has an invalid port `{port}`: ports are numbers up to 65535"
                ))
            })?;
        if number == self.default_port() {
            return host.parse().map_err(|_| invalid("has no host"));
        }
        Ok(self.authority.clone())
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme, self.authority, self.prefix)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({self})")
    }
}

fn invalid(reason: impl Into<Cow<'static, str>>) -> ConfigError {
    ConfigError::Endpoint {
        reason: reason.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<Endpoint, ConfigError> {
        url.parse()
    }

    #[test]
    fn trailing_slashes_are_dropped_and_prefixes_kept() {
        for (url, shown) in [
            ("https://api.sorna.io", "https://api.sorna.io"),
            ("https://api.sorna.io/", "https://api.sorna.io"),
            ("http://a.example:8081/x/y/", "http://a.example:8081/x/y"),
            ("http://[::1]:8081", "http://[::1]:8081"),
            ("  http://a.example\n", "http://a.example"),
        ] {
            assert_eq!(parse(url).unwrap().to_string(), shown);
        }
    }

    #[test]
    fn default_ports_are_not_part_of_the_host() {
        assert_eq!(parse("https://a.example:443").unwrap().host(), "a.example");
        assert_eq!(parse("http://a.example:80/p").unwrap().host(), "a.example");
        assert_eq!(parse("http://[::1]:80").unwrap().host(), "[::1]");
        assert_eq!(
            parse("http://a.example:443").unwrap().host(),
            "a.example:443"
        );
        assert_eq!(parse("https://a.example:443").unwrap().port(), 443);
    }

    #[test]
    fn case_of_the_host_is_kept() {
        let endpoint = parse("http://My-Precious-Cluster:8081").unwrap();
        assert_eq!(endpoint.host(), "My-Precious-Cluster:8081");
        assert_eq!(endpoint.hostname(), "My-Precious-Cluster");
    }

    #[test]
    fn unusable_urls_are_rejected_with_a_reason() {
        for (url, reason) in [
            ("", "is empty"),
            (" ", "is empty"),
            ("http://", "has no host"),
            ("http://a b", "is not a URL"),
            ("api.sorna.io", "must start with https://"),
            ("ftp://a.example", "not ftp://"),
            ("https://user:pw@a.example", "user name"),
            ("https://a.example?x=1", "query"),
            ("https://a.example#x", "fragment"),
            ("https://a.example/a/../b", "`..`"),
            ("https://a.example:99999", "up to 65535"),
            ("https://a.example:", "port"),
            ("https://a.example:+80", "port"),
            ("https://", "has no host"),
            ("https://a.example,https://b.example", "not a list"),
        ] {
            let error = parse(url).unwrap_err().to_string();
            assert!(error.contains(reason), "{url}: {error}");
        }
    }

    #[test]
    fn loopback_is_recognized_by_name_or_address() {
        assert!(parse("http://localhost:1").unwrap().is_loopback());
        assert!(parse("http://127.0.0.9").unwrap().is_loopback());
        assert!(parse("http://[::1]:1").unwrap().is_loopback());
        assert!(!parse("http://localhost.example").unwrap().is_loopback());
    }
}
