//! The way to a server, through a proxy or not, and what is said when it fails. Without I/O: the
//! dialers of the async drivers and of the blocking terminal share it.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use http::header::PROXY_AUTHORIZATION;
use http::{Method, Request, StatusCode, Uri};
use sorna_core::{Body, Sent, TransportError, TransportErrorKind};

use super::{Origin, Proxy};

/// How long one address may keep the next one waiting: the delay of RFC 8305 ("happy eyeballs").
pub(crate) const HEAD_START: Duration = Duration::from_millis(250);

/// The way to an origin.
#[derive(Clone, Copy)]
pub(crate) struct Hop<'a> {
    pub(crate) origin: &'a Origin,
    pub(crate) proxy: Option<&'a Proxy>,
}

impl Hop<'_> {
    /// The host and port to connect to.
    pub(crate) fn address(&self) -> (&str, u16) {
        match self.proxy {
            Some(proxy) => (proxy.host(), proxy.port()),
            None => (self.origin.host(), self.origin.port()),
        }
    }

    /// Who is at the other end of the TCP connection.
    pub(crate) fn peer(&self) -> String {
        match self.proxy {
            Some(proxy) => format!("the proxy {proxy}"),
            None => self.origin.to_string(),
        }
    }

    pub(crate) fn late(&self, limit: Duration, doing: &str) -> TransportError {
        let message = format!(
            "no connection to {} within {limit:?}: time ran out while {doing}",
            self.peer()
        );
        TransportError::new(TransportErrorKind::Timeout, Sent::Nothing, message)
    }

    pub(crate) fn unresolved(&self, source: io::Error) -> TransportError {
        let message = format!("could not find the address of {}", self.address().0);
        self.failed(TransportErrorKind::Resolve, message)
            .with_source(source)
    }

    pub(crate) fn unconnected(&self, source: io::Error) -> TransportError {
        let message = format!("could not connect to {}: {}", self.peer(), source.kind());
        self.failed(TransportErrorKind::Connect, message)
            .with_source(source)
    }

    pub(crate) fn unencrypted(&self, source: io::Error) -> TransportError {
        let hint = match source.get_ref().and_then(|inner| inner.downcast_ref()) {
            Some(rustls::Error::InvalidCertificate(_)) => {
                ": its certificate is not trusted; check the name, or add its CA"
            }
            _ => "",
        };
        let message = format!("could not set up TLS with {}{hint}", self.origin);
        TransportError::new(TransportErrorKind::Tls, Sent::Nothing, message).with_source(source)
    }

    fn failed(&self, otherwise: TransportErrorKind, message: String) -> TransportError {
        let kind = match self.proxy {
            Some(_) => TransportErrorKind::Proxy,
            None => otherwise,
        };
        TransportError::new(kind, Sent::Nothing, message)
    }
}

/// The request by which a proxy is asked to connect to `origin`.
pub(crate) fn connect_request(
    proxy: &Proxy,
    origin: &Origin,
) -> Result<Request<Body>, http::Error> {
    let mut request = Request::new(Body::empty());
    *request.method_mut() = Method::CONNECT;
    *request.uri_mut() = Uri::builder().authority(origin.to_string()).build()?;
    if let Some(value) = proxy.authorization() {
        request.headers_mut().insert(PROXY_AUTHORIZATION, value);
    }
    Ok(request)
}

/// The proxy's answer is its own, and a refusal.
pub(crate) fn refused(proxy: &Proxy, status: StatusCode, sent: Sent) -> TransportError {
    let hint = if status == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
        "; check the user name and password in the proxy's URL"
    } else {
        ""
    };
    let message = format!("the proxy {proxy} refused: {status}{hint}").to_ascii_lowercase();
    TransportError::new(TransportErrorKind::Proxy, sent, message)
}

/// The proxy neither refused nor connected.
pub(crate) fn no_tunnel(proxy: &Proxy, origin: &Origin) -> TransportError {
    TransportError::new(
        TransportErrorKind::Proxy,
        Sent::Nothing,
        format!("the proxy {proxy} made no connection to {origin}"),
    )
}

/// Mixes the address families, the resolver's favourite first: one that is broken on this machine
/// then costs one head start, not many.
pub(crate) fn interleave(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let favourite = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (one, two): (Vec<_>, Vec<_>) = addresses
        .into_iter()
        .partition(|address| address.is_ipv6() == favourite);
    let mut mixed = Vec::with_capacity(one.len() + two.len());
    let (mut one, mut two) = (one.into_iter(), two.into_iter());
    while one.len() + two.len() > 0 {
        mixed.extend(one.next());
        mixed.extend(two.next());
    }
    mixed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_families_take_turns() {
        let parse = |list: &[&str]| -> Vec<SocketAddr> {
            list.iter()
                .map(|address| address.parse().unwrap())
                .collect()
        };
        let all = ["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "2.2.2.2:1"];
        let mixed = ["[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1", "[::3]:1"];
        assert_eq!(interleave(parse(&all)), parse(&mixed));
        assert_eq!(interleave(Vec::new()), Vec::new());
    }
}
