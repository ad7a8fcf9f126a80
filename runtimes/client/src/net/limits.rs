//! Limits on time, on sizes, and on what is kept open.

use std::time::Duration;

/// How long things may take.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TimeLimits {
    /// For a connection to stand: name resolution, TCP, proxy and TLS together. 10 s by default.
    pub connect: Duration,
    /// The longest that one request may take, connecting included, whatever limit the operation has
    /// of its own (the lower one counts). None by default.
    pub call: Option<Duration>,
    /// How long the connection may be silent in the middle of a request: not a byte sent or received.
    /// 2 minutes by default; measured in quarters, so it can be up to a quarter late.
    pub idle: Duration,
}

impl Default for TimeLimits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            call: None,
            idle: Duration::from_secs(120),
        }
    }
}

/// How much is accepted from the network.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SizeLimits {
    /// Bytes of an answer's status line and headers together: 64 KiB by default. At most 128 headers
    /// are accepted in any case.
    pub head: usize,
    /// Bytes of an answer's body: 64 MiB by default.
    pub body: u64,
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
#[non_exhaustive]
pub struct PoolLimits {
    /// Idle connections kept for each origin: 64 by default; 0 turns reuse off. Connections in use
    /// are not limited.
    pub idle_per_origin: usize,
    /// How long an idle connection is kept: 60 s by default, since the original gateway closes one
    /// after about 75 s.
    pub idle_age: Duration,
}

impl Default for PoolLimits {
    fn default() -> Self {
        Self {
            idle_per_origin: 64,
            idle_age: Duration::from_secs(60),
        }
    }
}
