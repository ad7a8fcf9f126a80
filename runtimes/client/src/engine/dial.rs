//! New connections: names, addresses, proxies, TLS.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::time::Duration;

use futures_rustls::TlsConnector;
use futures_rustls::pki_types::ServerName;
use futures_util::StreamExt as _;
use futures_util::future::{Either, select};
use futures_util::stream::FuturesUnordered;
use sorna_core::TransportError;

use super::connection::Connection;
use super::progress::Progress;
use super::tunnel::open_tunnel;
use crate::net::explain::{Peer, Phase};
use crate::net::way::{HEAD_START, Way, interleave};
use crate::net::{NetOptions, Proxy};
use crate::runtime::Runtime;

/// The way to an origin, and how a proxy is used.
pub(super) struct Route<'a> {
    pub(super) way: Way<'a>,
    /// Whether the proxy should forward bytes, not requests.
    pub(super) tunnel: bool,
}

impl<'a> Route<'a> {
    /// Who responds to a request that goes this way.
    pub(super) fn peer(&self) -> Peer<'a> {
        match self.tunnel {
            false if self.way.proxy.is_some() => Peer::proxy(self.way),
            _ => Peer::gateway(self.way),
        }
    }

    /// The proxy that reads the request, if it is one that forwards requests (not bytes).
    pub(super) fn forwarder(&self) -> Option<&'a Proxy> {
        self.way.proxy.filter(|_| !self.tunnel)
    }
}

/// Connects, within the time limit for connecting.
pub(super) async fn dial<R: Runtime>(
    runtime: &R,
    options: &NetOptions,
    route: &Route<'_>,
    progress: &Progress,
) -> Result<Connection<R::Tcp>, TransportError> {
    let limit = options.times.connect;
    let work = establish(runtime, options, route, progress);
    match select(pin!(work), pin!(runtime.sleep(limit))).await {
        Either::Left((outcome, _)) => outcome,
        Either::Right(((), _)) => Err(route.way.late(limit, progress.doing())),
    }
}

async fn establish<R: Runtime>(
    runtime: &R,
    options: &NetOptions,
    route: &Route<'_>,
    progress: &Progress,
) -> Result<Connection<R::Tcp>, TransportError> {
    let way = route.way;
    let (host, port) = way.address();
    let addresses = match host.parse::<IpAddr>() {
        Ok(ip) => vec![SocketAddr::new(ip, port)],
        Err(_) => {
            progress.enter(Phase::Resolving);
            let found = runtime.resolve(host, port).await;
            found.map_err(|source| way.unresolved(source))?
        }
    };
    progress.enter(Phase::Connecting);
    let connected = connect_any(runtime, interleave(addresses)).await;
    let mut tcp = connected.map_err(|source| way.unconnected(source))?;
    if let Some(proxy) = way.proxy
        && route.tunnel
    {
        progress.enter(Phase::Tunneling);
        open_tunnel(runtime, &mut tcp, way, proxy, &options.sizes).await?;
    }
    if !way.origin.is_secure() {
        return Ok(Connection::plain(tcp));
    }
    progress.enter(Phase::Encrypting);
    let config = options.tls.client_config()?;
    let name = ServerName::try_from(way.origin.host().to_owned())
        .map_err(|error| way.unencrypted(io::Error::new(io::ErrorKind::InvalidInput, error)))?;
    let tls = TlsConnector::from(config).connect(name, tcp).await;
    Ok(Connection::tls(
        tls.map_err(|source| way.unencrypted(source))?,
    ))
}

/// Connects to the address that responds first; each has a head start over the next.
async fn connect_any<R: Runtime>(runtime: &R, addresses: Vec<SocketAddr>) -> io::Result<R::Tcp> {
    let mut waiting = addresses.into_iter().peekable();
    let mut attempts = FuturesUnordered::new();
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    loop {
        if let Some(address) = waiting.next() {
            attempts.push(runtime.connect(address));
        }
        let ended = match waiting.peek() {
            Some(_) => within(runtime, HEAD_START, attempts.next()).await,
            None => Some(attempts.next().await),
        };
        match ended {
            Some(Some(Ok(tcp))) => return Ok(tcp),
            Some(Some(Err(error))) => failure = error,
            Some(None) => return Err(failure),
            None => {}
        }
    }
}

async fn within<R: Runtime, F: Future>(runtime: &R, limit: Duration, work: F) -> Option<F::Output> {
    match select(pin!(work), pin!(runtime.sleep(limit))).await {
        Either::Left((output, _)) => Some(output),
        Either::Right(_) => None,
    }
}
