//! Idle connections, kept for the next request to the same origin.

use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Instant;

use futures_io::AsyncRead;

use crate::net::{Origin, PoolLimits};

/// The idle connections of one transport.
///
/// A connection in use is not in here: whoever takes one out owns it, and puts it back only after an
/// exchange that ended well. A dropped future thus takes its connection with it.
///
/// The proxy needs no place in the key, since a transport's settings give each origin the same one.
pub(super) struct Pool<C> {
    limits: PoolLimits,
    idle: Mutex<HashMap<Origin, Vec<Idle<C>>>>,
}

struct Idle<C> {
    connection: C,
    since: Instant,
}

impl<C: AsyncRead + Unpin> Pool<C> {
    pub(super) fn new(limits: PoolLimits) -> Self {
        Self {
            limits,
            idle: Mutex::default(),
        }
    }

    /// The connection used last that still looks alive, if there is one.
    pub(super) async fn take(&self, origin: &Origin) -> Option<C> {
        loop {
            let mut connection = self.pop(origin)?;
            if is_quiet(&mut connection).await {
                return Some(connection);
            }
        }
    }

    /// Keeps a connection on which nothing is outstanding.
    pub(super) fn put(&self, origin: &Origin, connection: C) {
        if self.limits.idle_per_origin == 0 {
            return;
        }
        let mut idle = self.lock();
        let idle = idle.entry(origin.clone()).or_default();
        idle.retain(|idle| idle.since.elapsed() < self.limits.idle_age);
        if idle.len() >= self.limits.idle_per_origin {
            idle.remove(0);
        }
        idle.push(Idle {
            connection,
            since: Instant::now(),
        });
    }

    /// Drops all idle connections to this origin: when one was found closed after it was written to,
    /// the others are likely so, and the request that is repeated must not meet the next of them.
    pub(super) fn forget(&self, origin: &Origin) {
        self.lock().remove(origin);
    }

    fn pop(&self, origin: &Origin) -> Option<C> {
        let mut all = self.lock();
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

    fn lock(&self) -> MutexGuard<'_, HashMap<Origin, Vec<Idle<C>>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the peer has said nothing since the last answer: not a stray byte (the original gateway
/// sends a line end before it closes an idle connection), not an end of file.
async fn is_quiet<C: AsyncRead + Unpin>(connection: &mut C) -> bool {
    poll_fn(|cx| {
        let read = Pin::new(&mut *connection).poll_read(cx, &mut [0]);
        Poll::Ready(read.is_pending())
    })
    .await
}
