//! A gateway that runs in the background.

use std::fmt;
use std::thread::JoinHandle;
use std::time::Duration;

use sorna_core::{ApiVersion, Config, Credentials};
use tokio::runtime::Builder;
use tokio::sync::oneshot;

use crate::config::GatewayConfig;
use crate::error::StartError;
use crate::gateway::{Gateway, Observer};
use crate::keys::GatewayKeys;
use crate::stats::GatewayStats;
use crate::{ClosedPlace, Isolation};

/// How many threads serve requests.
const WORKERS: usize = 2;
/// How long tasks may linger after all kernels are gone.
const SHUTDOWN_TIME: Duration = Duration::from_secs(5);

/// A gateway that serves in the background. Dropping it stops it, and waits until it is gone.
#[must_use = "the gateway stops when this is dropped"]
pub struct RunningGateway {
    endpoint: String,
    inner_endpoint: String,
    credentials: Vec<Credentials>,
    keys: GatewayKeys,
    isolation: Isolation,
    isolation_shortfall: Option<String>,
    closed_places: Vec<ClosedPlace>,
    observer: Option<Observer>,
    shutdown: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Gateway {
    /// Listens, and serves on a separate thread until the handle is stopped or dropped.
    ///
    /// # Errors
    ///
    /// As for [`bind`](Self::bind), or if no thread can be started.
    pub fn spawn(config: GatewayConfig) -> Result<RunningGateway, StartError> {
        RunningGateway::start(Self::bind(config)?)
    }
}

impl RunningGateway {
    fn start(gateway: Gateway) -> Result<Self, StartError> {
        let endpoint = gateway.endpoint();
        let inner_endpoint = gateway.inner_endpoint();
        let credentials = gateway.credentials().to_vec();
        let keys = gateway.keys();
        let isolation = gateway.isolation();
        let isolation_shortfall = gateway.isolation_shortfall().map(str::to_owned);
        let closed_places = gateway.closed_places().to_vec();
        let observer = gateway.observer();
        let (shutdown, shut_down) = oneshot::channel();
        let runtime = Builder::new_multi_thread()
            .worker_threads(WORKERS)
            .thread_name("sorna-gateway")
            .enable_all()
            .build()
            .map_err(StartError::System)?;
        let serve = move || {
            let shut_down = async { drop(shut_down.await) };
            if let Err(error) = runtime.block_on(gateway.serve(shut_down)) {
                tracing::error!(%error, "the gateway cannot serve");
            }
            runtime.shutdown_timeout(SHUTDOWN_TIME);
        };
        let thread = std::thread::Builder::new()
            .name("sorna-gateway".to_owned())
            .spawn(serve)
            .map_err(StartError::System)?;
        Ok(Self {
            endpoint,
            inner_endpoint,
            credentials,
            keys,
            isolation,
            isolation_shortfall,
            closed_places,
            observer: Some(observer),
            shutdown: Some(shutdown),
            thread: Some(thread),
        })
    }

    /// The URL for clients, such as `http://127.0.0.1:40123`.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// As [`Gateway::inner_endpoint`].
    #[must_use]
    pub fn inner_endpoint(&self) -> &str {
        &self.inner_endpoint
    }

    /// The configuration for a client: the endpoint, the first key pair, and the version of the API.
    ///
    /// ```
    /// use sorna_core::Signer;
    /// use sorna_gateway::{Gateway, GatewayConfig};
    ///
    /// let gateway = Gateway::spawn(GatewayConfig::default())?;
    /// let signer = Signer::new(gateway.config());
    /// # Ok::<(), sorna_gateway::StartError>(())
    /// ```
    #[must_use]
    pub fn config(&self) -> Config {
        let endpoint = self.endpoint.parse();
        let endpoint = endpoint.expect("an address with a scheme before it is an endpoint");
        Config::new(endpoint, self.first().clone()).with_version(ApiVersion::default())
    }

    /// The key pairs that it was started with, in the order of the configuration.
    #[must_use]
    pub fn credentials(&self) -> &[Credentials] {
        &self.credentials
    }

    /// What changes the key pairs while it serves.
    ///
    /// ```
    /// use sorna_core::{AccessKey, Credentials, SecretKey};
    /// use sorna_gateway::{Gateway, GatewayConfig};
    ///
    /// let gateway = Gateway::spawn(GatewayConfig::default())?;
    /// let pair = Credentials::new(AccessKey::new("AKIANEW")?, SecretKey::new("secret")?);
    /// let changes = gateway.keys().replace([pair]);
    /// assert_eq!((changes.added.len(), changes.revoked.len()), (1, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn keys(&self) -> GatewayKeys {
        self.keys.clone()
    }

    /// The access key of the first pair.
    #[must_use]
    pub fn access_key(&self) -> &str {
        self.first().access_key().as_str()
    }

    /// The secret key of the first pair. Keep it out of logs.
    #[must_use]
    pub fn secret_key(&self) -> &str {
        self.first().secret_key().expose()
    }

    /// As [`Gateway::isolation`].
    #[must_use]
    pub fn isolation(&self) -> Isolation {
        self.isolation
    }

    /// As [`Gateway::isolation_shortfall`].
    #[must_use]
    pub fn isolation_shortfall(&self) -> Option<&str> {
        self.isolation_shortfall.as_deref()
    }

    /// As [`Gateway::closed_places`].
    #[must_use]
    pub fn closed_places(&self) -> &[ClosedPlace] {
        &self.closed_places
    }

    fn first(&self) -> &Credentials {
        self.credentials
            .first()
            .expect("a gateway without key pairs makes one")
    }

    /// What it has done so far.
    #[must_use]
    pub fn stats(&self) -> GatewayStats {
        self.observer
            .as_ref()
            .map(Observer::stats)
            .unwrap_or_default()
    }

    /// Stops it, and waits until all its connections, processes and files are gone.
    pub fn stop(mut self) {
        self.shut_down();
    }

    fn shut_down(&mut self) {
        // The directory is removed when the last reference to the kernels is dropped.
        self.observer = None;
        if let Some(shutdown) = self.shutdown.take() {
            let _ = shutdown.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for RunningGateway {
    fn drop(&mut self) {
        self.shut_down();
    }
}

impl fmt::Debug for RunningGateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunningGateway")
            .field("endpoint", &self.endpoint)
            .field("access_key", &self.access_key())
            .finish_non_exhaustive()
    }
}
