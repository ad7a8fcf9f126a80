//! All network settings in one place.

use std::time::Duration;

#[cfg(feature = "tls")]
use super::TlsOptions;
use super::{PoolLimits, ProxyOptions, SizeLimits, TimeLimits};

/// The network settings of an HTTP client, the same for every driver.
///
/// ```
/// use std::time::Duration;
/// use sorna::net::NetOptions;
///
/// let options = NetOptions::new()
///     .with_connect_timeout(Duration::from_secs(3))
///     .with_max_body(8 * 1024 * 1024);
/// ```
///
/// Nothing is read from the environment: see [`ProxyOptions::from_lookup`].
#[derive(Clone, Debug, Default)]
pub struct NetOptions {
    pub(crate) times: TimeLimits,
    pub(crate) sizes: SizeLimits,
    pub(crate) pool: PoolLimits,
    #[cfg(feature = "tls")]
    pub(crate) tls: TlsOptions,
    pub(crate) proxy: ProxyOptions,
}

impl NetOptions {
    /// The defaults: no proxy, and the certificates of the system.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Limits the time for a new connection: name resolution, TCP, proxy and TLS together. 10 s by
    /// default.
    #[must_use]
    pub fn with_connect_timeout(mut self, limit: Duration) -> Self {
        self.times.connect = limit;
        self
    }

    /// Limits the time for one request, connecting included, besides the limit that its sender sets (the
    /// lower one counts). No limit by default.
    #[must_use]
    pub fn with_request_timeout(mut self, limit: Duration) -> Self {
        self.times.request = Some(limit);
        self
    }

    /// Limits how long a connection may be silent in the middle of a request: not a byte sent or
    /// received. 2 minutes by default; measured in quarters, so it can be up to a quarter late.
    #[must_use]
    pub fn with_idle_timeout(mut self, limit: Duration) -> Self {
        self.times.idle = limit;
        self
    }

    /// Limits a response's status line and headers together, in bytes. 64 KiB by default. At most 128
    /// headers are accepted in any case.
    #[must_use]
    pub fn with_max_head(mut self, bytes: usize) -> Self {
        self.sizes.head = bytes;
        self
    }

    /// Limits the body of a response that is read as a whole, in bytes. 64 MiB by default.
    #[must_use]
    pub fn with_max_body(mut self, bytes: u64) -> Self {
        self.sizes.body = bytes;
        self
    }

    /// Keeps at most this many idle connections to each server for reuse. 64 by default; 0 turns reuse
    /// off. Connections in use are not limited.
    #[must_use]
    pub fn with_idle_connections(mut self, count: usize) -> Self {
        self.pool.idle_per_origin = count;
        self
    }

    /// Keeps an idle connection for this long. 25 s by default: a manager of Backend.AI closes one after
    /// 30 s, and a request that arrives at that moment may get no response.
    #[must_use]
    pub fn with_idle_age(mut self, age: Duration) -> Self {
        self.pool.idle_age = age;
        self
    }

    /// Names the certificates that are trusted on https. Those of the system by default.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn with_tls(mut self, tls: TlsOptions) -> Self {
        self.tls = tls;
        self
    }

    /// Goes through a proxy. There is none by default.
    #[must_use]
    pub fn with_proxy(mut self, proxy: ProxyOptions) -> Self {
        self.proxy = proxy;
        self
    }

    /// The limit on the time for a new connection.
    #[must_use]
    pub fn connect_timeout(&self) -> Duration {
        self.times.connect
    }

    /// The limit on the time for one request, if there is one.
    #[must_use]
    pub fn request_timeout(&self) -> Option<Duration> {
        self.times.request
    }

    /// How long a connection may be silent.
    #[must_use]
    pub fn idle_timeout(&self) -> Duration {
        self.times.idle
    }

    /// The limit on a response's status line and headers, in bytes.
    #[must_use]
    pub fn max_head(&self) -> usize {
        self.sizes.head
    }

    /// The limit on the body of a response that is read as a whole, in bytes.
    #[must_use]
    pub fn max_body(&self) -> u64 {
        self.sizes.body
    }

    /// The most idle connections to each server that are kept.
    #[must_use]
    pub fn idle_connections(&self) -> usize {
        self.pool.idle_per_origin
    }

    /// How long an idle connection is kept.
    #[must_use]
    pub fn idle_age(&self) -> Duration {
        self.pool.idle_age
    }

    /// Which certificates are trusted on https.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(&self) -> &TlsOptions {
        &self.tls
    }

    /// Which proxy is used.
    #[must_use]
    pub fn proxy(&self) -> &ProxyOptions {
        &self.proxy
    }
}
