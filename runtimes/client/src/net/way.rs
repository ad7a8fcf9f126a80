//! The way to a server, through a proxy or not. Without I/O.

use std::net::SocketAddr;
use std::time::Duration;

use http::header::PROXY_AUTHORIZATION;
use http::{Method, Request, Uri};
use sorna_core::Body;

use super::{Origin, Proxy};

/// How long one address may keep the next one waiting: the delay of RFC 8305 ("happy eyeballs").
pub(crate) const HEAD_START: Duration = Duration::from_millis(250);

/// The way to an origin.
#[derive(Clone, Copy)]
pub(crate) struct Way<'a> {
    pub(crate) origin: &'a Origin,
    pub(crate) proxy: Option<&'a Proxy>,
}

impl Way<'_> {
    /// The host and port to connect to.
    pub(crate) fn address(&self) -> (&str, u16) {
        match self.proxy {
            Some(proxy) => (proxy.host(), proxy.port()),
            None => (self.origin.host(), self.origin.port()),
        }
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

/// Alternates between the address families, beginning with the resolver's first: a family that does
/// not work on this machine then costs one head start, not many.
pub(crate) fn interleave(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let favorite = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (one, two): (Vec<_>, Vec<_>) = addresses
        .into_iter()
        .partition(|address| address.is_ipv6() == favorite);
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
    fn address_families_alternate() {
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
