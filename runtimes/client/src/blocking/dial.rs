//! New connections for terminals: names, addresses, proxies, TLS. Requests connect by ureq.

mod connection;
mod race;
mod socket;
mod tunnel;

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use rustls::ClientConnection;
use rustls::pki_types::ServerName;
use sorna_core::{Sent, TransportError};

pub(super) use self::connection::Connection;
use self::socket::Socket;
pub(super) use self::socket::{Deadline, is_late};
use crate::net::hop::{Hop, no_tunnel, refused};
use crate::net::{NetOptions, Origin, Proxy};

/// Connects, within the limit for it; always by `CONNECT` if a proxy is on the way.
///
/// The connection blocks, and keeps the limit until it is given another.
pub(super) fn dial(options: &NetOptions, origin: &Origin) -> Result<Connection, TransportError> {
    let scheme = if origin.is_secure() { "https" } else { "http" };
    let limit = options.times.connect;
    let proxy = options
        .proxy
        .proxy_for(scheme, origin.host(), origin.port());
    let dialer = Dialer {
        hop: Hop { origin, proxy },
        limit,
        deadline: Deadline::after(limit),
    };
    let tcp = dialer.connect()?;
    let mut socket = Socket::new(tcp, dialer.deadline);
    if let Some(proxy) = proxy {
        dialer.tunnel(&mut socket, proxy, options)?;
    }
    if origin.is_secure() {
        return dialer.encrypt(socket, options);
    }
    Ok(Connection::plain(socket))
}

/// The way to an origin, and the time for it.
struct Dialer<'a> {
    hop: Hop<'a>,
    limit: Duration,
    deadline: Deadline,
}

impl Dialer<'_> {
    fn connect(&self) -> Result<TcpStream, TransportError> {
        let (host, port) = self.hop.address();
        let addresses = match host.parse::<IpAddr>() {
            Ok(ip) => vec![SocketAddr::new(ip, port)],
            Err(_) => race::resolve(host, port, self.deadline).map_err(|error| {
                self.failed(error, "resolving the name", |error| {
                    self.hop.unresolved(error)
                })
            })?,
        };
        race::connect(addresses, self.deadline)
            .map_err(|error| self.failed(error, "connecting", |error| self.hop.unconnected(error)))
    }

    fn tunnel(
        &self,
        socket: &mut Socket,
        proxy: &Proxy,
        options: &NetOptions,
    ) -> Result<(), TransportError> {
        let origin = self.hop.origin;
        let opened = tunnel::open(socket, proxy, origin, &options.sizes);
        let status = opened.map_err(|error| {
            self.failed(error, "waiting for the proxy", |error| {
                no_tunnel(proxy, origin).with_source(error)
            })
        })?;
        if status.is_success() {
            return Ok(());
        }
        Err(refused(proxy, status, Sent::Nothing))
    }

    fn encrypt(
        &self,
        mut socket: Socket,
        options: &NetOptions,
    ) -> Result<Connection, TransportError> {
        let failed = |error: io::Error| {
            self.failed(error, "setting up TLS", |error| self.hop.unencrypted(error))
        };
        let config = options.tls.client_config()?;
        let name = ServerName::try_from(self.hop.origin.host().to_owned())
            .map_err(|error| failed(io::Error::new(io::ErrorKind::InvalidInput, error)))?;
        let mut session = ClientConnection::new(config, name)
            .map_err(|error| failed(io::Error::new(io::ErrorKind::InvalidInput, error)))?;
        while session.is_handshaking() {
            session.complete_io(&mut socket).map_err(failed)?;
        }
        Ok(Connection::tls(session, socket))
    }

    /// Says what failed, or that it took too long.
    fn failed(
        &self,
        error: io::Error,
        doing: &str,
        explain: impl FnOnce(io::Error) -> TransportError,
    ) -> TransportError {
        if is_late(&error) {
            self.hop.late(self.limit, doing)
        } else {
            explain(error)
        }
    }
}
