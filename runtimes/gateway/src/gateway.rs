//! The gateway itself.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;

use rustix::process::{Resource, getrlimit};
use sorna_core::Credentials;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::base::Base;
use crate::boxes::open_files;
use crate::config::GatewayConfig;
use crate::error::StartError;
use crate::http::{self, Acceptor, Service};
use crate::kernel::{ClosedPlace, Confinement, Isolation, Rules};
use crate::kernels::Kernels;
use crate::keys::{GatewayKeys, Keys, Withdrawal};
use crate::random;
use crate::stats::GatewayStats;

/// How many connections may wait to be accepted, if the system allows so many.
const WAITING: i32 = 4096;

/// How many files a process must be allowed to open for a gateway and one kernel in it.
const FILES: u64 = 120;

/// A gateway that listens, and serves while [`serve`](Self::serve) runs.
///
/// Programs that are not asynchronous use [`spawn`](Self::spawn).
pub struct Gateway {
    listener: TcpListener,
    address: SocketAddr,
    /// For the guest of a gateway whose certificate is for other names than this machine has for itself.
    inner: Option<(TcpListener, SocketAddr)>,
    credentials: Vec<Credentials>,
    keys: Arc<Keys>,
    withdrawals: UnboundedReceiver<Withdrawal>,
    config: GatewayConfig,
    kernels: Arc<Kernels>,
}

/// Reads the statistics of a gateway, from any thread.
#[derive(Clone, Debug)]
pub(crate) struct Observer(Arc<Kernels>);

impl Gateway {
    /// Listens. Connections wait until [`serve`](Self::serve) is called.
    ///
    /// # Errors
    ///
    /// [`StartError`] if listening on the address is not allowed or fails, or a directory cannot be
    /// made.
    pub fn bind(config: GatewayConfig) -> Result<Self, StartError> {
        let is_remote = !config.listen().ip().is_loopback();
        if is_remote && !config.allow_remote() {
            return Err(StartError::NotLoopback(config.listen()));
        }
        if is_remote && config.credentials().is_empty() {
            return Err(StartError::NoCredentials(config.listen()));
        }
        if is_remote && !is_encrypted(&config) {
            tracing::warn!(
                "no TLS: the traffic of remote clients can be read and changed on the network"
            );
        }
        if !Path::new("/proc/self/stat").exists() {
            return Err(StartError::NoProc);
        }
        // Interpreters have their channels at high numbers, where programs do not look for free ones.
        if let Some(limit) = getrlimit(Resource::Nofile).current.filter(|it| *it < FILES) {
            let needed = FILES;
            return Err(StartError::OpenFiles { limit, needed });
        }
        let listen = |source| StartError::Listen {
            address: config.listen(),
            source,
        };
        let listener = TcpListener::bind(config.listen()).map_err(listen)?;
        listener.set_nonblocking(true).map_err(listen)?;
        // The usual 128 are full at once when many connect, and who then has to try again waits for a second.
        rustix::net::listen(&listener, WAITING).map_err(|error| listen(error.into()))?;
        let address = listener.local_addr().map_err(listen)?;
        let inner = match config.guest().is_some() && is_encrypted(&config) {
            true => Some(listen_within().map_err(StartError::System)?),
            false => None,
        };
        let mut credentials = config.credentials().to_vec();
        if credentials.is_empty() {
            credentials.push(random::credentials().map_err(StartError::System)?);
        }
        let mut base =
            Base::create(config.directory(), config.cache()).map_err(StartError::Directory)?;
        let rules = Rules {
            cgroup: config.cgroup(),
            level: config.isolation(),
            is_required: config.require_isolation(),
            network: config.network(),
            box_program: config.box_program(),
            has_memory_disks: config.memory_disk().is_some(),
            directory: base.directory(),
            path: config.path(),
            readable: config.readable(),
            writable: config.writable(),
        };
        let confinement = Confinement::new(base.mark(), rules).map_err(StartError::Isolation)?;
        if confinement.user(0).is_some() {
            base.open_up().map_err(StartError::Directory)?;
        }
        if confinement.isolation().network.is_some() {
            base.has_boxes();
        }
        base.watch(confinement.group_directory());
        let (keys, withdrawals) = Keys::new(&credentials);
        let kernels = Kernels::new(&config, base, confinement, Arc::clone(&keys));
        let kernels = Arc::new(kernels);
        Ok(Self {
            listener,
            address,
            inner,
            credentials,
            keys,
            withdrawals,
            config,
            kernels,
        })
    }

    /// The URL for clients, such as `http://127.0.0.1:40123`. If the gateway listens on all
    /// addresses, it is the URL for clients on this machine.
    #[must_use]
    pub fn endpoint(&self) -> String {
        let mut address = self.address;
        match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
            _ => {}
        }
        let scheme = if is_encrypted(&self.config) {
            "https"
        } else {
            "http"
        };
        format!("{scheme}://{address}")
    }

    /// The URL for a [guest](crate::Guest) of this gateway, which is its client: that of [`endpoint`](Self::endpoint), but where that
    /// is HTTPS, whose certificate may not be for this machine's address, HTTP on another port of the loopback device.
    #[must_use]
    pub fn inner_endpoint(&self) -> String {
        match &self.inner {
            Some((_, address)) => format!("http://{address}"),
            None => self.endpoint(),
        }
    }

    /// The key pairs that it accepts when it begins to serve, in the order of the configuration.
    #[must_use]
    pub fn credentials(&self) -> &[Credentials] {
        &self.credentials
    }

    /// What changes the key pairs while it serves.
    #[must_use]
    pub fn keys(&self) -> GatewayKeys {
        GatewayKeys(Arc::clone(&self.keys))
    }

    /// How kernels are isolated from each other and from the machine, as far as the system allows.
    #[must_use]
    pub fn isolation(&self) -> Isolation {
        self.kernels.isolation()
    }

    /// Why that is less than the configuration asks for, for people to read: what the system lacks, and how to allow it.
    /// `None` if it is not less.
    #[must_use]
    pub fn isolation_shortfall(&self) -> Option<&str> {
        self.kernels.isolation_shortfall()
    }

    /// What kernels cannot use of what [`with_readable`](GatewayConfig::with_readable) and
    /// [`with_writable`](GatewayConfig::with_writable) give them, since they are other users than a gateway that is root.
    #[must_use]
    pub fn closed_places(&self) -> &[ClosedPlace] {
        self.kernels.closed_places()
    }

    /// Serves until `shutdown` is ready. Then it closes all connections and removes every kernel's
    /// processes and files before it returns.
    ///
    /// Needs a tokio runtime with I/O and time. If the future is dropped earlier, the drop removes
    /// processes and files, and blocks meanwhile.
    ///
    /// # Errors
    ///
    /// [`StartError::System`] if the socket cannot be registered with the runtime.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) -> Result<(), StartError> {
        let listener =
            tokio::net::TcpListener::from_std(self.listener).map_err(StartError::System)?;
        let within = match self.inner {
            Some((within, _)) => {
                let within = tokio::net::TcpListener::from_std(within);
                Some(within.map_err(StartError::System)?)
            }
            None => None,
        };
        let service = Service::new(
            &self.config,
            self.keys,
            Arc::clone(&self.kernels),
            is_encrypted(&self.config),
        );
        let service = Arc::new(service);
        tracing::info!(address = %self.address, isolation = %self.kernels.isolation(), "listening");
        {
            let acceptor = acceptor(&self.config);
            let limits = http::ConnectionLimits::new(&self.config);
            let connections = http::serve(listener, acceptor, Arc::clone(&service), limits);
            let inner = Arc::clone(&service);
            let inner = pin!(async move {
                match within {
                    Some(within) => http::serve(within, Acceptor::Plain, inner, limits).await,
                    None => std::future::pending().await,
                }
            });
            let idle = Arc::clone(&self.kernels).destroy_idle();
            let watch = Arc::clone(&self.kernels).watch();
            let disks = Arc::clone(&self.kernels).watch_disks();
            let (shutdown, connections) = (pin!(shutdown), pin!(connections));
            let orphans = Arc::clone(&self.kernels).reap_orphans();
            let (idle, watch, orphans) = (pin!(idle), pin!(watch), pin!(orphans));
            let disks = pin!(disks);
            let warm = pin!(Arc::clone(&self.kernels).keep_warm());
            let withdrawals = pin!(service.end_withdrawn(self.withdrawals));
            tokio::select! {
                () = shutdown => {}
                () = connections => {}
                () = inner => {}
                () = idle => {}
                () = watch => {}
                () = disks => {}
                () = warm => {}
                () = withdrawals => {}
                () = orphans => {}
            }
        }
        self.kernels.close().await;
        Ok(())
    }

    pub(crate) fn observer(&self) -> Observer {
        Observer(Arc::clone(&self.kernels))
    }
}

/// Raises this process's limit on open files to the most that the system allows. A gateway needs
/// about eight for each kernel, so the usual limit of 1024 is reached with some 120 kernels. Kernels
/// themselves keep the usual limit. It is also the limit on files that processes of this user have sent
/// each other and not received yet, so that without this, one kernel could keep others from starting.
pub fn raise_open_files() {
    if let Err(error) = open_files::raise() {
        tracing::warn!(%error, "the limit on open files could not be raised");
    }
}

/// Listens for the guest alone, which is in this process.
fn listen_within() -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

fn is_encrypted(config: &GatewayConfig) -> bool {
    !matches!(acceptor(config), Acceptor::Plain)
}

#[cfg(feature = "tls")]
fn acceptor(config: &GatewayConfig) -> Acceptor {
    config.tls().map_or(Acceptor::Plain, |identity| {
        Acceptor::Tls(identity.acceptor())
    })
}

#[cfg(not(feature = "tls"))]
fn acceptor(_: &GatewayConfig) -> Acceptor {
    Acceptor::Plain
}

impl Observer {
    pub(crate) fn stats(&self) -> GatewayStats {
        self.0.stats()
    }
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}
