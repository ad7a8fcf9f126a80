//! What all drivers share about the network: limits, TLS, proxies, and the interface to HTTP clients.
//!
//! Nothing here opens a connection. [`NetOptions`] gathers the settings; every driver, blocking or
//! async, gives them the same meaning.

#[cfg(feature = "engine")]
pub(crate) mod explain;
mod limits;
mod no_proxy;
mod options;
mod origin;
mod own_connection;
mod proxy;
#[cfg(feature = "tls")]
mod tls;
mod transport;
#[cfg(feature = "engine")]
pub(crate) mod way;

pub(crate) use self::limits::{PoolLimits, SizeLimits, TimeLimits};
pub use self::options::NetOptions;
pub use self::origin::Origin;
pub use self::own_connection::OwnConnection;
pub use self::proxy::{Proxy, ProxyError, ProxyOptions};
#[cfg(feature = "tls")]
pub use self::tls::TlsOptions;
#[cfg(feature = "async")]
pub use self::transport::StreamTransport;
pub use self::transport::{BoxFuture, Transport};
#[cfg(feature = "terminal")]
pub use self::transport::{UpgradeTransport, Upgraded};
