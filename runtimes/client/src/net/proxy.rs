//! Which HTTP proxy to go through, if any.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::HeaderValue;
use http::uri::Authority;
use percent_encoding::percent_decode_str;

use super::no_proxy::NoProxy;
use super::origin::write_authority;

/// An HTTP proxy: its address and perhaps a user name and password.
///
/// [`Display`](fmt::Display) and `Debug` show the address only.
#[derive(Clone)]
pub struct Proxy {
    host: String,
    port: u16,
    credentials: Option<(String, String)>,
}

impl Proxy {
    /// Reads a proxy's URL, as in `http://user:p%40ss@proxy.example:3128`; the scheme may be left
    /// out, and the port is 80 without one.
    ///
    /// # Errors
    ///
    /// If it is not such a URL. Proxies that speak TLS or SOCKS are not supported.
    pub fn parse(url: &str) -> Result<Self, ProxyError> {
        let rest = match url.split_once("://") {
            None => url,
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
            Some((scheme, _)) => {
                return Err(ProxyError::new(format!(
                    "only http:// proxies are supported, not {}://",
                    scheme.escape_debug()
                )));
            }
        };
        let rest = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let (user, address) = match rest.rsplit_once('@') {
            Some((user, address)) => (Some(user), address),
            None => (None, rest),
        };
        let credentials = user
            .map(|user| {
                let (name, password) = user.split_once(':').unwrap_or((user, ""));
                Ok((decode(name)?, decode(password)?))
            })
            .transpose()?;
        let authority: Authority = address
            .parse()
            .map_err(|_| ProxyError::new("the proxy's address is not of the form host:port"))?;
        let host = authority.host();
        let host = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host);
        // A port that is not a number would be dropped silently.
        let port = match authority.port() {
            Some(port) => port.as_u16(),
            None if authority.as_str().len() == authority.host().len() => 80,
            None => return Err(ProxyError::new("the proxy's port is not a number")),
        };
        if host.is_empty() {
            return Err(ProxyError::new("the proxy's address has no host"));
        }
        Ok(Self {
            host: host.to_ascii_lowercase(),
            port,
            credentials,
        })
    }

    /// The proxy's host; an IPv6 address without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The proxy's port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The user name, percent-decoded.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.credentials.as_ref().map(|(user, _)| user.as_str())
    }

    /// The password, percent-decoded. A secret: never show it.
    #[must_use]
    pub fn password(&self) -> Option<&str> {
        self.credentials.as_ref().map(|(_, pass)| pass.as_str())
    }

    /// The value of `Proxy-Authorization`, if there are credentials; marked as sensitive.
    #[must_use]
    pub fn authorization(&self) -> Option<HeaderValue> {
        let (user, password) = self.credentials.as_ref()?;
        let value = format!(
            "Basic {}",
            BASE64_STANDARD.encode(format!("{user}:{password}"))
        );
        let mut value = HeaderValue::try_from(value).expect("base64 is a header value");
        value.set_sensitive(true);
        Some(value)
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_authority(f, &self.host, self.port)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("credentials", &self.credentials.as_ref().map(|_| "..."))
            .finish()
    }
}

/// Which proxy serves which request.
///
/// The default is none. Nothing is read from the environment, unless you pass
/// [`from_lookup`](Self::from_lookup) a closure that does so.
#[derive(Clone, Debug, Default)]
pub struct ProxyOptions {
    http: Option<Proxy>,
    https: Option<Proxy>,
    bypass: NoProxy,
}

impl ProxyOptions {
    /// No proxy.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// One proxy for everything, given by its URL (see [`Proxy::parse`]).
    ///
    /// # Errors
    ///
    /// If the URL is not one of an HTTP proxy.
    pub fn url(url: &str) -> Result<Self, ProxyError> {
        let proxy = Proxy::parse(url)?;
        Ok(Self {
            http: Some(proxy.clone()),
            https: Some(proxy),
            bypass: NoProxy::default(),
        })
    }

    /// Reads the customary variables through `lookup`, usually `|name| std::env::var(name).ok()`.
    ///
    /// - `https_proxy` or `HTTPS_PROXY` for https URLs;
    /// - `http_proxy` or `HTTP_PROXY` for http URLs. The latter is ignored where `REQUEST_METHOD` is
    ///   set: in a CGI program every client could set it, by a request header named `Proxy`;
    /// - `all_proxy` or `ALL_PROXY` for URLs whose scheme has no variable set;
    /// - `no_proxy` or `NO_PROXY`: see [`with_bypass`](Self::with_bypass).
    ///
    /// The lower-case name takes precedence; an empty value means no proxy for that scheme.
    ///
    /// # Errors
    ///
    /// If a variable that would be used does not hold a proxy's URL. Ignoring a configured proxy
    /// would be worse than stopping.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ProxyError> {
        let cgi = lookup("REQUEST_METHOD").is_some();
        let http: &[&str] = if cgi {
            &["http_proxy", "all_proxy", "ALL_PROXY"]
        } else {
            &["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"]
        };
        let https = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
        let find = |names: &[&'static str]| {
            names
                .iter()
                .find_map(|name| lookup(name).map(|value| (*name, value)))
        };
        let proxy = |names: &[&'static str]| match find(names) {
            Some((name, url)) if !url.trim().is_empty() => Proxy::parse(url.trim())
                .map(Some)
                .map_err(|error| ProxyError::new(format!("{name}: {error}"))),
            _ => Ok(None),
        };
        let bypass = find(&["no_proxy", "NO_PROXY"]);
        Ok(Self {
            http: proxy(http)?,
            https: proxy(&https)?,
            bypass: bypass.map_or_else(NoProxy::default, |(_, list)| NoProxy::parse(&list)),
        })
    }

    /// Replaces the list of hosts that are reached directly, in the notation of `NO_PROXY`: names
    /// (with all their subdomains), IP addresses, networks such as `10.0.0.0/8`, each perhaps with
    /// `:port`, or `*` for everything; separated by commas.
    #[must_use]
    pub fn with_bypass(mut self, list: &str) -> Self {
        self.bypass = NoProxy::parse(list);
        self
    }

    /// The proxy for requests to this host, if they go through one.
    ///
    /// `scheme` is that of the URL (`ws` and `wss` count as `http` and `https`); an IPv6 `host` has
    /// no brackets.
    #[must_use]
    pub fn proxy_for(&self, scheme: &str, host: &str, port: u16) -> Option<&Proxy> {
        let proxy = match scheme {
            "https" | "wss" => self.https.as_ref(),
            _ => self.http.as_ref(),
        }?;
        (!self.bypass.matches(host, port)).then_some(proxy)
    }
}

/// A proxy setting that cannot be used. Its text never contains the credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyError {
    message: String,
}

impl ProxyError {
    fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
        }
    }
}

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ProxyError {}

fn decode(text: &str) -> Result<String, ProxyError> {
    percent_decode_str(text)
        .decode_utf8()
        .map(Into::into)
        .map_err(|_| ProxyError::new("the proxy's user name or password is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(variables: &[(&str, &str)]) -> Result<ProxyOptions, ProxyError> {
        ProxyOptions::from_lookup(|name| {
            variables
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| (*value).to_owned())
        })
    }

    fn chosen(options: &ProxyOptions, scheme: &str) -> Option<String> {
        let proxy = options.proxy_for(scheme, "api.example", 80)?;
        Some(proxy.to_string())
    }

    #[test]
    fn urls_with_and_without_their_parts() {
        for (url, address) in [
            ("http://proxy.example:3128", "proxy.example:3128"),
            ("HTTP://Proxy.example/", "proxy.example:80"),
            ("proxy:1", "proxy:1"),
            ("http://u:p@[::1]:8080/path", "[::1]:8080"),
        ] {
            assert_eq!(Proxy::parse(url).expect(url).to_string(), address);
        }
        for url in [
            "",
            "http://",
            "http://:80",
            "socks5://h:1",
            "https://h:1",
            "http://h:port",
            "http://h:99999",
            "http://a b",
        ] {
            assert!(Proxy::parse(url).is_err(), "{url}");
        }
    }

    #[test]
    fn credentials_are_decoded_and_never_shown() {
        let proxy = Proxy::parse("http://us%3Aer:p%40ss@h:1").expect("a proxy");
        assert_eq!(proxy.user(), Some("us:er"));
        assert_eq!(proxy.password(), Some("p@ss"));
        let header = proxy.authorization().expect("credentials");
        assert_eq!(header, "Basic dXM6ZXI6cEBzcw==");
        let shown = format!(
            "{proxy} {proxy:?} {header:?} {:?}",
            ProxyOptions::url("http://user:p%40ss@h:1")
        );
        for secret in ["p@ss", "p%40ss", "user", "us:er", "dXM6"] {
            assert!(!shown.contains(secret), "{shown}");
        }
        let error = Proxy::parse("ftp://u:secret@h").expect_err("no http");
        assert!(!format!("{error} {error:?}").contains("secret"));
        let error = Proxy::parse("http://u:secret@h:x").expect_err("no port");
        assert!(!format!("{error} {error:?}").contains("secret"));
    }

    #[test]
    fn each_scheme_has_its_variable_and_all_proxy_fills_in() {
        let both = options(&[("HTTPS_PROXY", "s:1"), ("http_proxy", "p:2")]).expect("good");
        assert_eq!(chosen(&both, "https").as_deref(), Some("s:1"));
        assert_eq!(chosen(&both, "wss").as_deref(), Some("s:1"));
        assert_eq!(chosen(&both, "http").as_deref(), Some("p:2"));
        assert_eq!(chosen(&both, "ws").as_deref(), Some("p:2"));

        let all = options(&[("ALL_PROXY", "a:3"), ("https_proxy", "")]).expect("good");
        assert_eq!(chosen(&all, "http").as_deref(), Some("a:3"));
        assert_eq!(chosen(&all, "https"), None);

        let lower = options(&[("HTTP_PROXY", "upper:1"), ("http_proxy", "lower:1")]);
        assert_eq!(
            chosen(&lower.expect("good"), "http").as_deref(),
            Some("lower:1")
        );
        assert_eq!(chosen(&options(&[]).expect("good"), "http"), None);
    }

    #[test]
    fn http_proxy_is_ignored_in_a_cgi_program() {
        let cgi = [("HTTP_PROXY", "evil:1"), ("REQUEST_METHOD", "GET")];
        assert_eq!(chosen(&options(&cgi).expect("good"), "http"), None);
        let lower = [("http_proxy", "good:1"), ("REQUEST_METHOD", "GET")];
        assert_eq!(
            chosen(&options(&lower).expect("good"), "http").as_deref(),
            Some("good:1")
        );
    }

    #[test]
    fn hosts_in_no_proxy_are_reached_directly() {
        let some = options(&[("ALL_PROXY", "a:3"), ("NO_PROXY", "api.example,::1")]);
        let some = some.expect("good");
        assert_eq!(chosen(&some, "https"), None);
        assert!(some.proxy_for("http", "::1", 80).is_none());
        assert!(some.proxy_for("http", "other.example", 80).is_some());
        let some = some.with_bypass("*");
        assert!(some.proxy_for("http", "other.example", 80).is_none());
    }

    #[test]
    fn a_bad_variable_is_named() {
        let error = options(&[("ALL_PROXY", "socks5://u:secret@h:1")]).expect_err("socks");
        assert_eq!(
            error.to_string(),
            "ALL_PROXY: only http:// proxies are supported, not socks5://"
        );
        // This variable would not be used.
        let unused = [
            ("ALL_PROXY", "socks5://h:1"),
            ("http_proxy", ""),
            ("https_proxy", ""),
        ];
        assert!(options(&unused).is_ok());
    }
}
