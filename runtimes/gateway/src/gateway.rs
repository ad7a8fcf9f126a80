//! The gateway itself.

use std::fmt;
use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::pin::pin;
use std::sync::Arc;

use sorna_core::Credentials;

use crate::base::Base;
use crate::config::GatewayConfig;
use crate::error::StartError;
use crate::http::{self, Service};
use crate::kernel::{Confinement, Isolation};
use crate::kernels::Kernels;
use crate::random;
use crate::running::RunningGateway;
use crate::stats::GatewayStats;

/// A gateway that listens, and serves while [`serve`](Self::serve) runs.
///
/// For a program that is not asynchronous there is [`spawn`](Self::spawn).
pub struct Gateway {
    listener: TcpListener,
    address: SocketAddr,
    credentials: Vec<Credentials>,
    config: GatewayConfig,
    kernels: Arc<Kernels>,
}

/// Asks a gateway, from anywhere, what it has done so far.
#[derive(Clone, Debug)]
pub(crate) struct Observer(Arc<Kernels>);

impl Gateway {
    /// Listens. Connections wait until [`serve`](Self::serve) is called.
    ///
    /// # Errors
    ///
    /// [`StartError`] if the address is not a loopback address or cannot be had, or a directory
    /// cannot be made.
    pub fn bind(mut config: GatewayConfig) -> Result<Self, StartError> {
        if !config.listen.ip().is_loopback() {
            return Err(StartError::NotLoopback(config.listen));
        }
        let listen = |source| StartError::Listen {
            address: config.listen,
            source,
        };
        let listener = TcpListener::bind(config.listen).map_err(listen)?;
        listener.set_nonblocking(true).map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let mut credentials = std::mem::take(&mut config.credentials);
        if credentials.is_empty() {
            credentials.push(random::credentials().map_err(StartError::System)?);
        }
        let mut base = Base::create(config.directory.as_deref()).map_err(StartError::Directory)?;
        let confinement = Confinement::new(base.mark(), &config);
        base.watch(confinement.group_directory());
        let kernels = Arc::new(Kernels::new(&config, base, confinement));
        Ok(Self {
            listener,
            address,
            credentials,
            config,
            kernels,
        })
    }

    /// Listens, and serves on a thread of its own until the handle is stopped or dropped.
    ///
    /// # Errors
    ///
    /// As for [`bind`](Self::bind), or if no thread can be had.
    pub fn spawn(config: GatewayConfig) -> Result<RunningGateway, StartError> {
        RunningGateway::start(Self::bind(config)?)
    }

    /// The URL for clients, such as `http://127.0.0.1:40123`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The key pairs it knows, in the order of the configuration.
    #[must_use]
    pub fn credentials(&self) -> &[Credentials] {
        &self.credentials
    }

    /// How the kernels are kept apart from each other and the machine, as far as the system can.
    #[must_use]
    pub fn isolation(&self) -> Isolation {
        self.kernels.isolation()
    }

    /// Serves until `shutdown` is ready. Then connections are cut, and every kernel's processes
    /// and files are removed before this returns.
    ///
    /// Needs a tokio runtime with I/O and time. If the future is dropped before, processes and
    /// files are removed all the same, but blocking.
    ///
    /// # Errors
    ///
    /// [`StartError::System`] if the runtime does not take the socket.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) -> Result<(), StartError> {
        let listener =
            tokio::net::TcpListener::from_std(self.listener).map_err(StartError::System)?;
        let service = Service::new(&self.config, &self.credentials, Arc::clone(&self.kernels));
        tracing::info!(address = %self.address, isolation = %self.kernels.isolation(), "listening");
        {
            let connections = http::serve(listener, Arc::new(service), self.config.head_timeout);
            let idle = Arc::clone(&self.kernels).destroy_idle();
            let watch = Arc::clone(&self.kernels).watch();
            let (shutdown, connections) = (pin!(shutdown), pin!(connections));
            let (idle, watch) = (pin!(idle), pin!(watch));
            tokio::select! {
                () = shutdown => {}
                () = connections => {}
                () = idle => {}
                () = watch => {}
            }
        }
        self.kernels.close().await;
        Ok(())
    }

    pub(crate) fn observer(&self) -> Observer {
        Observer(Arc::clone(&self.kernels))
    }
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
