//! Limits on time, on sizes, and on what is kept open.

use std::time::Duration;

/// How long things may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TimeLimits {
    /// For opening a connection: name resolution, TCP, proxy and TLS together. 10 s by default.
    pub(crate) connect: Duration,
    /// The longest that one request may take, connecting included, whatever limit the operation has
    /// (the lower one counts). None by default.
    pub(crate) request: Option<Duration>,
    /// How long the connection may be silent in the middle of a request: not a byte sent or received.
    /// 2 minutes by default; measured in quarters, so it can be up to a quarter late.
    pub(crate) idle: Duration,
}

impl Default for TimeLimits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            request: None,
            idle: Duration::from_secs(120),
        }
    }
}

/// How much is accepted from the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SizeLimits {
    /// Bytes of a response's status line and headers together: 64 KiB by default. At most 128 headers
    /// are accepted in any case.
    pub(crate) head: usize,
    /// Bytes of the body of a response that is read as a whole: 64 MiB by default.
    pub(crate) body: u64,
}

impl Default for SizeLimits {
    fn default() -> Self {
        Self {
            head: 64 * 1024,
            body: 64 * 1024 * 1024,
        }
    }
}

/// How many idle connections are kept for reuse, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PoolLimits {
    /// Idle connections kept for each origin: 64 by default; 0 turns reuse off. Connections in use
    /// are not limited.
    pub(crate) idle_per_origin: usize,
    /// How long an idle connection is kept: 25 s by default. Managers of Backend.AI close one after 30 s (read in
    /// 23.09.10), and a busy one closed some on which a request had just been sent; the original gateway does after about
    /// 75 s.
    pub(crate) idle_age: Duration,
}

impl Default for PoolLimits {
    fn default() -> Self {
        Self {
            idle_per_origin: 64,
            idle_age: Duration::from_secs(25),
        }
    }
}
