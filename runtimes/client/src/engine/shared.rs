//! What the clones of an HTTP client share with the bodies that they return.

use super::dial::Route;
use super::pool::Pool;
use crate::net::explain::Peer;
use crate::net::way::Way;
use crate::net::{NetOptions, Origin, Proxy};
use crate::runtime::Runtime;

pub(super) struct Shared<R: Runtime> {
    pub(super) runtime: R,
    pub(super) options: NetOptions,
    pub(super) pool: Pool<R::Tcp>,
}

impl<R: Runtime> Shared<R> {
    /// The proxy on the way to an origin.
    pub(super) fn proxy(&self, origin: &Origin) -> Option<&Proxy> {
        let scheme = if origin.is_secure() { "https" } else { "http" };
        let proxy = &self.options.proxy;
        proxy.proxy_for(scheme, origin.host(), origin.port())
    }

    /// The way to an origin; with `tunnel`, a proxy is asked for a tunnel even for plain http.
    pub(super) fn route<'a>(&'a self, origin: &'a Origin, tunnel: bool) -> Route<'a> {
        Route {
            way: Way {
                origin,
                proxy: self.proxy(origin),
            },
            tunnel: tunnel || origin.is_secure(),
        }
    }

    /// Who responds to requests to this origin.
    pub(super) fn peer<'a>(&'a self, origin: &'a Origin) -> Peer<'a> {
        self.route(origin, false).peer()
    }
}
