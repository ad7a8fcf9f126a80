//! HTTP/1.1 over the sockets of any [`Runtime`](crate::runtime::Runtime): connections, their reuse,
//! proxies and TLS.
//!
//! [`HttpTransport`] is the [`Transport`](crate::net::Transport) of the async drivers. The protocol
//! itself is in `wire`, which does no I/O; around it are a pool of idle connections and a dialer. No
//! task is ever spawned: everything happens inside the future that the caller polls, so dropping that
//! future closes the connection it was using.

mod body;
mod connection;
mod dial;
mod exchange;
mod outgoing;
mod pool;
mod progress;
mod shared;
mod transport;
mod tunnel;

pub use self::body::ResponseBody;
pub use self::connection::Connection;
#[cfg(feature = "ureq")]
pub(crate) use self::progress::Progress;
pub use self::transport::HttpTransport;
