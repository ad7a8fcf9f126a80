//! The settings of a client that are not the protocol's.

use std::error::Error as StdError;
use std::fmt;

#[cfg(any(feature = "ureq", feature = "engine"))]
use sorna_core::Config;
use sorna_core::ConfigError;
use sorna_core::RetryPolicy;

#[cfg(any(feature = "ureq", feature = "async"))]
use crate::Observer;
use crate::net::{NetOptions, ProxyError, ProxyOptions};

/// How a client connects, how patient it is, and how often it tries.
///
/// ```
/// use std::time::Duration;
/// use sorna::ClientOptions;
/// use sorna::core::RetryPolicy;
///
/// let mut options = ClientOptions::default();
/// options.retry = RetryPolicy::default().with_attempts(3);
/// options.net.times.connect = Duration::from_secs(3);
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ClientOptions {
    /// The network: time limits, sizes, TLS, proxies.
    pub net: NetOptions,
    /// When to try again.
    pub retry: RetryPolicy,
    /// Who is told of each request; nobody by default.
    #[cfg(any(feature = "ureq", feature = "async"))]
    pub observer: Option<Observer>,
}

impl ClientOptions {
    /// The time that cancelling a run may spend on destroying its kernel at once.
    #[cfg(any(feature = "ureq", feature = "async"))]
    pub(crate) const LAST_TRY: std::time::Duration = std::time::Duration::from_secs(5);

    /// The defaults, with the proxies that the environment names (`HTTPS_PROXY`, `HTTP_PROXY`,
    /// `ALL_PROXY`, `NO_PROXY`).
    ///
    /// # Errors
    ///
    /// A variable that names a proxy which cannot be used.
    pub fn from_env() -> Result<Self, ProxyError> {
        let mut options = Self::default();
        options.net.proxy = ProxyOptions::from_lookup(|name| std::env::var(name).ok())?;
        Ok(options)
    }
}

/// The configuration and the options that the environment names.
#[cfg(any(feature = "ureq", feature = "engine"))]
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
