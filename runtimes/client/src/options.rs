//! The settings of a client, besides those of the protocol.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

#[cfg(feature = "engine")]
use sorna_core::Config;
use sorna_core::{ConfigError, RetryPolicy};

#[cfg(feature = "async")]
use crate::Observer;
#[cfg(feature = "tls")]
use crate::net::TlsOptions;
use crate::net::{NetOptions, ProxyError, ProxyOptions};

/// How a client connects, how long it waits, and how often it retries.
///
/// ```
/// use std::time::Duration;
/// use sorna::{ClientOptions, RetryPolicy};
///
/// let options = ClientOptions::new()
///     .with_connect_timeout(Duration::from_secs(3))
///     .with_retry(RetryPolicy::default().with_attempts(3));
/// ```
#[derive(Clone, Debug)]
pub struct ClientOptions {
    pub(crate) net: NetOptions,
    pub(crate) retry: RetryPolicy,
    pub(crate) streaming: Option<bool>,
    pub(crate) client_name: Option<String>,
    #[cfg(feature = "async")]
    pub(crate) observer: Option<Observer>,
}

impl Default for ClientOptions {
    /// No proxy, the certificates of the system, and streaming where the gateway can.
    fn default() -> Self {
        Self {
            net: NetOptions::default(),
            retry: RetryPolicy::default(),
            streaming: None,
            client_name: None,
            #[cfg(feature = "async")]
            observer: None,
        }
    }
}

impl ClientOptions {
    /// How long cancelling a run may take to destroy its kernel itself.
    #[cfg(feature = "async")]
    pub(crate) const LAST_TRY: Duration = Duration::from_secs(5);

    /// The defaults: no proxy, and the certificates of the system.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The defaults, with the proxies that the environment names (`HTTPS_PROXY`, `HTTP_PROXY`,
    /// `ALL_PROXY`, `NO_PROXY`).
    ///
    /// # Errors
    ///
    /// A variable that names a proxy which cannot be used.
    pub fn from_env() -> Result<Self, ProxyError> {
        let proxy = ProxyOptions::from_lookup(|name| std::env::var(name).ok())?;
        Ok(Self::new().with_proxy(proxy))
    }

    /// Limits the time for a new connection: name resolution, TCP, proxy and TLS together. 10 s by
    /// default.
    #[must_use]
    pub fn with_connect_timeout(mut self, limit: Duration) -> Self {
        self.net = self.net.with_connect_timeout(limit);
        self
    }

    /// Limits the time for one request, connecting included, besides the limits of the
    /// [`RetryPolicy`] (the lowest one counts). No limit by default.
    #[must_use]
    pub fn with_request_timeout(mut self, limit: Duration) -> Self {
        self.net = self.net.with_request_timeout(limit);
        self
    }

    /// Limits how long a connection may be silent in the middle of a request: not a byte sent or
    /// received. 2 minutes by default; measured in quarters, so it can be up to a quarter late.
    #[must_use]
    pub fn with_idle_timeout(mut self, limit: Duration) -> Self {
        self.net = self.net.with_idle_timeout(limit);
        self
    }

    /// Limits a response's status line and headers together, in bytes. 64 KiB by default. At most 128
    /// headers are accepted in any case.
    #[must_use]
    pub fn with_max_head(mut self, bytes: usize) -> Self {
        self.net = self.net.with_max_head(bytes);
        self
    }

    /// Limits the body of a response that is read as a whole, in bytes. 64 MiB by default.
    #[must_use]
    pub fn with_max_body(mut self, bytes: u64) -> Self {
        self.net = self.net.with_max_body(bytes);
        self
    }

    /// Keeps at most this many idle connections to each server for reuse. 64 by default; 0 turns reuse
    /// off. Connections in use are not limited.
    #[must_use]
    pub fn with_idle_connections(mut self, count: usize) -> Self {
        self.net = self.net.with_idle_connections(count);
        self
    }

    /// Keeps an idle connection for this long. 25 s by default: a manager of Backend.AI closes one after
    /// 30 s, and a request that arrives at that moment may get no response.
    #[must_use]
    pub fn with_idle_age(mut self, age: Duration) -> Self {
        self.net = self.net.with_idle_age(age);
        self
    }

    /// Names the certificates that are trusted on https. Those of the system by default.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn with_tls(mut self, tls: TlsOptions) -> Self {
        self.net.tls = tls;
        self
    }

    /// Goes through a proxy. There is none by default.
    #[must_use]
    pub fn with_proxy(mut self, proxy: ProxyOptions) -> Self {
        self.net.proxy = proxy;
        self
    }

    /// Replaces all network settings.
    #[must_use]
    pub fn with_net(mut self, net: NetOptions) -> Self {
        self.net = net;
        self
    }

    /// Says when requests are retried, and how long they may take.
    #[must_use]
    pub fn with_retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// Executes over a WebSocket where the gateway has one, so that output comes as it is written: `Kernel::execute` and
    /// `Client::run`, in Backend.AI.
    ///
    /// Otherwise output is asked for, again and again: it comes every 2 s, but an execution needs no connection that
    /// stays open. That matters with managers: if the WebSocket breaks, the program shows HTML or the execution is dropped,
    /// nothing can end the run any more, and all later executions in the kernel wait. So by default WebSockets are used
    /// with other gateways, and with a manager only in kernels that are [temporary](crate::Client::temporary). `true` is for
    /// all of `Kernel::execute`, `false` for none. `Client::run` streams what cannot do harm. Without a WebSocket (an old
    /// gateway, a proxy), a client notices that once, and asks from then on.
    #[must_use]
    pub fn with_streaming(mut self, enabled: bool) -> Self {
        self.streaming = Some(enabled);
        self
    }

    /// Says to others whose kernel is [busy](sorna_core::Busy::client) with what this client executes who it is, for instance
    /// `backup on host1 (process 123)`: at most 256 bytes, the rest is cut. For the gateway of `sorna serve`. Without this it is
    /// not said.
    #[must_use]
    pub fn with_client_name(mut self, name: impl Into<String>) -> Self {
        self.client_name = Some(name.into());
        self
    }

    /// Calls this observer for each request. There is none by default.
    #[cfg(feature = "async")]
    #[must_use]
    pub fn with_observer(mut self, observer: impl Into<Option<Observer>>) -> Self {
        self.observer = observer.into();
        self
    }

    /// The network settings.
    #[must_use]
    pub fn net(&self) -> &NetOptions {
        &self.net
    }

    /// When requests are retried.
    #[must_use]
    pub fn retry(&self) -> &RetryPolicy {
        &self.retry
    }

    /// Whether executions use WebSockets; `None` for the default.
    #[must_use]
    pub fn streaming(&self) -> Option<bool> {
        self.streaming
    }

    /// How the client calls itself.
    #[must_use]
    pub fn client_name(&self) -> Option<&str> {
        self.client_name.as_deref()
    }

    /// What is called for each request.
    #[cfg(feature = "async")]
    #[must_use]
    pub fn observer(&self) -> Option<&Observer> {
        self.observer.as_ref()
    }
}

/// The configuration and the options that the environment names.
#[cfg(feature = "engine")]
pub(crate) fn from_env() -> Result<(Config, ClientOptions), EnvError> {
    let config = Config::from_lookup(|name| std::env::var(name).ok()).map_err(EnvError::Config)?;
    let options = ClientOptions::from_env().map_err(EnvError::Proxy)?;
    Ok((config, options))
}

/// A setting in the environment that is missing or cannot be used.
#[derive(Debug)]
#[non_exhaustive]
pub enum EnvError {
    /// The endpoint or the keys.
    Config(ConfigError),
    /// A proxy.
    Proxy(ProxyError),
}

impl fmt::Display for EnvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::Proxy(error) => error.fmt(f),
        }
    }
}

impl StdError for EnvError {}
