//! All network settings in one place.

#[cfg(feature = "tls")]
use super::TlsOptions;
use super::{PoolLimits, ProxyOptions, SizeLimits, TimeLimits};

/// The network settings of a client, the same for every driver.
///
/// ```
/// use std::time::Duration;
/// use sorna::net::NetOptions;
///
/// let mut options = NetOptions::default();
/// options.times.connect = Duration::from_secs(3);
/// options.sizes.body = 8 * 1024 * 1024;
/// ```
///
/// Nothing is read from the environment: see [`ProxyOptions::from_lookup`].
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct NetOptions {
    /// How long things may take.
    pub times: TimeLimits,
    /// How much is accepted from the network.
    pub sizes: SizeLimits,
    /// What is kept open for reuse.
    pub pool: PoolLimits,
    /// Whom to trust on https.
    #[cfg(feature = "tls")]
    pub tls: TlsOptions,
    /// Which proxy to go through; none by default.
    pub proxy: ProxyOptions,
}
