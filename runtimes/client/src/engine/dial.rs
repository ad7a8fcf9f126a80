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
use sorna_core::{Sent, TransportError, TransportErrorKind};

use super::connection::Connection;
use super::progress::{Phase, Progress};
use super::tunnel::open_tunnel;
use crate::net::{NetOptions, Origin, Proxy};
use crate::runtime::Runtime;

/// How long one address may keep the next one waiting: the delay of RFC 8305 ("happy eyeballs").
const HEAD_START: Duration = Duration::from_millis(250);

/// The way to an origin.
pub(super) struct Route<'a> {
    pub(super) origin: &'a Origin,
    pub(super) proxy: Option<&'a Proxy>,
    /// Whether the proxy is to forward bytes, not requests.
    pub(super) tunnel: bool,
}

impl Route<'_> {
    /// Who is at the other end of the TCP connection.
    pub(super) fn first_hop(&self) -> String {
        match self.proxy {
            Some(proxy) => format!("the proxy {proxy}"),
            None => self.origin.to_string(),
        }
    }

    fn hop_error(&self, otherwise: TransportErrorKind, message: String) -> TransportError {
        let kind = match self.proxy {
            Some(_) => TransportErrorKind::Proxy,
            None => otherwise,
        };
        TransportError::new(kind, Sent::Nothing, message)
    }
}

/// Connects, within the limit for it.
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
        Either::Right(((), _)) => Err(TransportError::new(
            TransportErrorKind::Timeout,
            Sent::Nothing,
            format!(
                "no connection to {} within {limit:?}: time ran out while {}",
                route.first_hop(),
                progress.doing()
            ),
        )),
    }
}

async fn establish<R: Runtime>(
    runtime: &R,
    options: &NetOptions,
    route: &Route<'_>,
    progress: &Progress,
) -> Result<Connection<R::Tcp>, TransportError> {
    let (host, port) = match route.proxy {
        Some(proxy) => (proxy.host(), proxy.port()),
        None => (route.origin.host(), route.origin.port()),
    };
    let addresses = match host.parse::<IpAddr>() {
        Ok(ip) => vec![SocketAddr::new(ip, port)],
        Err(_) => {
            progress.enter(Phase::Resolving);
            let found = runtime.resolve(host, port).await;
            found.map_err(|source| {
                let message = format!("could not find the address of {host}");
                route
                    .hop_error(TransportErrorKind::Resolve, message)
                    .with_source(source)
            })?
        }
    };
    progress.enter(Phase::Connecting);
    let connected = connect_any(runtime, interleave(addresses)).await;
    let mut tcp = connected.map_err(|source| {
        let hop = route.first_hop();
        let message = format!("could not connect to {hop}: {}", source.kind());
        route
            .hop_error(TransportErrorKind::Connect, message)
            .with_source(source)
    })?;
    if let Some(proxy) = route.proxy
        && route.tunnel
    {
        progress.enter(Phase::Tunneling);
        open_tunnel(runtime, &mut tcp, proxy, route.origin, &options.sizes).await?;
    }
    if !route.origin.is_secure() {
        return Ok(Connection::plain(tcp));
    }
    progress.enter(Phase::Encrypting);
    let config = options.tls.client_config()?;
    let failed = |source: io::Error| {
        let origin = route.origin;
        let hint = match source.get_ref() {
            Some(inner) if is_certificate_error(inner) => {
                ": its certificate is not trusted; check the name, or add its CA"
            }
            _ => "",
        };
        TransportError::new(
            TransportErrorKind::Tls,
            Sent::Nothing,
            format!("could not set up TLS with {origin}{hint}"),
        )
        .with_source(source)
    };
    let name = ServerName::try_from(route.origin.host().to_owned())
        .map_err(|error| failed(io::Error::new(io::ErrorKind::InvalidInput, error)))?;
    let tls = TlsConnector::from(config).connect(name, tcp).await;
    Ok(Connection::tls(tls.map_err(failed)?))
}

fn is_certificate_error(error: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    matches!(
        error.downcast_ref(),
        Some(rustls::Error::InvalidCertificate(_))
    )
}

/// Connects to the address that answers first, each having a head start before the next.
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

/// Mixes the address families, the resolver's favourite first: one that is broken on this machine
/// then costs one head start, not many.
fn interleave(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let Some(favourite) = addresses.first().map(SocketAddr::is_ipv6) else {
        return addresses;
    };
    let (one, two): (Vec<_>, Vec<_>) = addresses
        .into_iter()
        .partition(|address| address.is_ipv6() == favourite);
    let mut mixed = Vec::with_capacity(one.len() + two.len());
    let (mut one, mut two) = (one.into_iter(), two.into_iter());
    loop {
        let before = mixed.len();
        mixed.extend(one.next());
        mixed.extend(two.next());
        if mixed.len() == before {
            return mixed;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_families_take_turns() {
        let parse = |list: &[&str]| -> Vec<SocketAddr> {
            list.iter()
                .map(|a| a.parse().expect("an address"))
                .collect()
        };
        let all = ["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "2.2.2.2:1"];
        let mixed = ["[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1", "[::3]:1"];
        assert_eq!(interleave(parse(&all)), parse(&mixed));
        assert_eq!(interleave(Vec::new()), Vec::new());
    }
}
