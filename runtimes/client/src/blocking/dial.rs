//! New connections for terminals: names, addresses, proxies, TLS. Requests connect by ureq.

mod connection;
mod race;
mod socket;
mod tunnel;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rustls::ClientConnection;
use rustls::pki_types::ServerName;
use sorna_core::{Sent, TransportError, TransportErrorKind};

pub(super) use self::connection::Connection;
use self::socket::Socket;
pub(super) use self::socket::{Deadline, is_late};
use crate::net::{NetOptions, Origin, Proxy};

/// Connects, within the limit for it; always by `CONNECT` if a proxy is on the way.
///
/// The connection blocks, and keeps the limit until it is given another.
pub(super) fn dial(options: &NetOptions, origin: &Origin) -> Result<Connection, TransportError> {
    let scheme = if origin.is_secure() { "https" } else { "http" };
    let limit = options.times.connect;
    let route = Route {
        origin,
        proxy: options
            .proxy
            .proxy_for(scheme, origin.host(), origin.port()),
        limit,
        deadline: Deadline::after(limit),
    };
    let tcp = route.connect()?;
    let mut socket = Socket::new(tcp, route.deadline);
    if let Some(proxy) = route.proxy {
        route.tunnel(&mut socket, proxy, options)?;
    }
    if origin.is_secure() {
        return route.encrypt(socket, options);
    }
    Ok(Connection::plain(socket))
}

/// The way to an origin, and the time for it.
struct Route<'a> {
    origin: &'a Origin,
    proxy: Option<&'a Proxy>,
    limit: Duration,
    deadline: Deadline,
}

impl Route<'_> {
    fn connect(&self) -> Result<std::net::TcpStream, TransportError> {
        let (host, port) = match self.proxy {
            Some(proxy) => (proxy.host(), proxy.port()),
            None => (self.origin.host(), self.origin.port()),
        };
        let addresses = match host.parse::<IpAddr>() {
            Ok(ip) => vec![SocketAddr::new(ip, port)],
            Err(_) => race::resolve(host, port, self.deadline).map_err(|error| {
                self.failed(error, "resolving the name", |_| {
                    let message = format!("could not find the address of {host}");
                    self.hop_error(TransportErrorKind::Resolve, message)
                })
            })?,
        };
        race::connect(addresses, self.deadline).map_err(|error| {
            self.failed(error, "connecting", |error| {
                let hop = self.first_hop();
                let message = format!("could not connect to {hop}: {}", error.kind());
                self.hop_error(TransportErrorKind::Connect, message)
            })
        })
    }

    fn tunnel(
        &self,
        socket: &mut Socket,
        proxy: &Proxy,
        options: &NetOptions,
    ) -> Result<(), TransportError> {
        let opened = tunnel::open(socket, proxy, self.origin, &options.sizes);
        let status = opened.map_err(|error| {
            self.failed(error, "waiting for the proxy", |_| {
                let origin = self.origin;
                let message = format!("the proxy {proxy} made no connection to {origin}");
                self.hop_error(TransportErrorKind::Proxy, message)
            })
        })?;
        if status.is_success() {
            return Ok(());
        }
        let hint = if status == http::StatusCode::PROXY_AUTHENTICATION_REQUIRED {
            "; check the user name and password in the proxy's URL"
        } else {
            ""
        };
        let message = format!("the proxy {proxy} refused: {status}{hint}").to_ascii_lowercase();
        Err(self.hop_error(TransportErrorKind::Proxy, message))
    }

    fn encrypt(
        &self,
        mut socket: Socket,
        options: &NetOptions,
    ) -> Result<Connection, TransportError> {
        let failed = |error: io::Error| {
            self.failed(error, "setting up TLS", |error| {
                let hint = match error.get_ref().and_then(|inner| inner.downcast_ref()) {
                    Some(rustls::Error::InvalidCertificate(_)) => {
                        ": its certificate is not trusted; check the name, or add its CA"
                    }
                    _ => "",
                };
                let message = format!("could not set up TLS with {}{hint}", self.origin);
                TransportError::new(TransportErrorKind::Tls, Sent::Nothing, message)
            })
        };
        let config = options.tls.client_config()?;
        let name = ServerName::try_from(self.origin.host().to_owned())
            .map_err(|error| failed(io::Error::new(io::ErrorKind::InvalidInput, error)))?;
        let mut session = ClientConnection::new(config, name)
            .map_err(|error| failed(io::Error::new(io::ErrorKind::InvalidInput, error)))?;
        while session.is_handshaking() {
            session.complete_io(&mut socket).map_err(failed)?;
        }
        Ok(Connection::tls(session, socket))
    }

    /// Who is at the other end of the TCP connection.
    fn first_hop(&self) -> String {
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

    /// Says what failed, or that it took too long.
    fn failed(
        &self,
        error: io::Error,
        doing: &str,
        explain: impl FnOnce(&io::Error) -> TransportError,
    ) -> TransportError {
        if is_late(&error) {
            let (hop, limit) = (self.first_hop(), self.limit);
            return TransportError::new(
                TransportErrorKind::Timeout,
                Sent::Nothing,
                format!("no connection to {hop} within {limit:?}: time ran out while {doing}"),
            );
        }
        explain(&error).with_source(error)
    }
}
