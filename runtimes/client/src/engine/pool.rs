//! Idle connections, kept for the next request to the same origin.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Instant;

use futures_io::{AsyncRead, AsyncWrite};

use super::connection::Connection;
use crate::lock::lock;
use crate::net::{Origin, PoolLimits};
use crate::runtime::Runtime;

/// The idle connections of one transport.
///
/// A connection in use is not in here: it belongs to the request that took it out, and is put back only
/// after an exchange that ended well. A dropped future thus takes its connection with it.
///
/// The proxy need not be part of the key: within one transport, an origin always has the same one.
pub(super) struct Pool<T> {
    limits: PoolLimits,
    idle: Mutex<HashMap<Origin, Vec<Idle<T>>>>,
}

struct Idle<T> {
    connection: Connection<T>,
    since: Instant,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Pool<T> {
    pub(super) fn new(limits: PoolLimits) -> Self {
        Self {
            limits,
            idle: Mutex::default(),
        }
    }

    /// The connection used last that still looks alive, if there is one: its peer has sent nothing
    /// since the last response, neither a stray byte (the original gateway sends a line end before
    /// it closes an idle connection) nor an end of file.
    pub(super) fn take<R: Runtime<Tcp = T>>(
        &self,
        runtime: &R,
        origin: &Origin,
    ) -> Option<Connection<T>> {
        loop {
            let mut connection = self.pop(origin)?;
            if connection.is_quiet(runtime) {
                return Some(connection);
            }
        }
    }

    /// Keeps a connection on which nothing is outstanding.
    pub(super) fn put(&self, origin: &Origin, connection: Connection<T>) {
        if self.limits.idle_per_origin == 0 {
            return;
        }
        let now = Instant::now();
        let kept = Idle {
            connection,
            since: now,
        };
        let mut all = lock(&self.idle);
        let Some(idle) = all.get_mut(origin) else {
            all.insert(origin.clone(), vec![kept]);
            return;
        };
        // They are sorted by age, the oldest first.
        let too_old = |idle: &&Idle<T>| now.duration_since(idle.since) >= self.limits.idle_age;
        let old = idle.iter().take_while(too_old).count();
        let surplus = (idle.len() + 1).saturating_sub(self.limits.idle_per_origin);
        idle.drain(..old.max(surplus));
        idle.push(kept);
    }

    /// Drops all idle connections to this origin: when one turns out to be closed after it was
    /// written to, the others are probably closed, too, and a retry must not get the next of them.
    pub(super) fn forget(&self, origin: &Origin) {
        lock(&self.idle).remove(origin);
    }

    fn pop(&self, origin: &Origin) -> Option<Connection<T>> {
        let mut all = lock(&self.idle);
        let newest = all.get_mut(origin)?.pop();
        match newest {
            Some(idle) if idle.since.elapsed() < self.limits.idle_age => Some(idle.connection),
            // The newest is too old, so all of them are.
            _ => {
                all.remove(origin);
                None
            }
        }
    }
}
