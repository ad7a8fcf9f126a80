//! Who is connected, and who has to leave when there is no room.

mod taken;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Instant;

use tokio::sync::Notify;

use self::taken::Taken;
use crate::lock::lock;

/// The connections that are open, and what they hold.
///
/// There is always room for one more as long as a connection is idle, or sends a request without anybody knowing who
/// sends it, and there are not very many of these: those leave first that have never sent a request with a valid
/// signature, and among them the oldest. The same goes for memory: whose request has been arriving for the longest time,
/// without anybody knowing who sends it, has to leave; after those, whose message has on a WebSocket.
#[derive(Debug)]
pub(super) struct Room {
    limit: usize,
    taken: Mutex<Taken>,
}

/// A connection's place. It is given up when this is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    room: Arc<Room>,
    id: u64,
    leave: Arc<Notify>,
    /// Whether what arrives is of a request or message that is not counted.
    is_verified: AtomicBool,
    /// Whether it has become a WebSocket.
    is_live: AtomicBool,
}

/// A request in progress. Once its sender is known, and until all copies of this are dropped, its connection need not
/// leave: a terminal outlives the request that opened it.
pub(super) type Permit = Arc<Progress>;

#[derive(Debug)]
pub(super) struct Progress {
    seat: Arc<Seat>,
    /// Who sends it, once that is known.
    key: OnceLock<Arc<str>>,
}

/// A key has so many requests in progress that other keys would not have room.
#[derive(Debug)]
pub(super) struct ShareUsedUp;

impl Room {
    pub(super) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            limit,
            taken: Mutex::new(Taken::new(limit)),
        })
    }

    /// A place for a connection from this address; `None` if all are busy. One address that is not of this machine gets
    /// no more than a quarter of them.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Arc<Seat>> {
        let mut taken = lock(&self.taken);
        let share = (self.limit / 4).max(1);
        if !address.is_loopback()
            && taken.of_address(address) >= share
            && !taken.make_room(|state| state.address == address)
        {
            return None;
        }
        if taken.len() >= self.limit && !taken.make_room(|_| true) {
            return None;
        }
        let (id, leave) = taken.add(address);
        Some(Arc::new(Seat {
            room: Arc::clone(self),
            id,
            leave,
            is_verified: AtomicBool::new(false),
            is_live: AtomicBool::new(false),
        }))
    }

    /// The number of the next connection.
    pub(super) fn next(&self) -> u64 {
        lock(&self.taken).next()
    }

    /// Closes the connections before the one with this number whose last request was signed by this key, also those that are in
    /// use.
    pub(super) fn show_out(&self, key: &str, next: u64) {
        lock(&self.taken).show_out_all(key, next);
    }

    /// Closes a connection that may leave, for want of something else than room; `false` if there is none.
    pub(super) fn make_room(&self) -> bool {
        lock(&self.taken).make_room(|_| true)
    }
}

impl Seat {
    /// Waits until the connection has to leave.
    pub(super) async fn must_leave(&self) {
        self.leave.notified().await;
    }

    /// Bytes have arrived.
    pub(super) fn received(&self, bytes: usize) {
        if !self.is_verified.load(Ordering::Relaxed) {
            lock(&self.room.taken).receive(self.id, bytes);
        }
    }

    /// Whether it shows what a program does while it does it.
    pub(super) fn is_live(&self) -> bool {
        self.is_live.load(Ordering::Relaxed)
    }

    /// The head of a request has arrived.
    pub(super) fn begin(self: &Arc<Self>) -> Permit {
        Arc::new(Progress {
            seat: Arc::clone(self),
            key: OnceLock::new(),
        })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        lock(&self.room.taken).remove(self.id);
    }
}

impl Progress {
    /// Who sends the request is known now. If keys share the gateway, each may have three times as many in progress as
    /// are left for others: so some always are.
    ///
    /// # Errors
    ///
    /// The key has too many.
    pub(super) fn verified(&self, key: &str, is_shared: bool) -> Result<(), ShareUsedUp> {
        let room = &self.seat.room;
        let key: Arc<str> = key.into();
        let mut taken = lock(&room.taken);
        taken.change(self.seat.id, |state| state.key = Some(Arc::clone(&key)));
        let others = room.limit.saturating_sub(taken.busy());
        if is_shared && taken.busy_of(&key) >= others.saturating_mul(3) {
            return Err(ShareUsedUp);
        }
        // A request is admitted once.
        if self.key.set(Arc::clone(&key)).is_ok() {
            taken.begin(&key);
            taken.change(self.seat.id, |state| state.verified += 1);
        }
        taken.release(self.seat.id);
        self.seat.is_verified.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// It has become a WebSocket.
    pub(super) fn is_live(&self) {
        self.seat.is_live.store(true, Ordering::Relaxed);
    }

    /// A message of its WebSocket is whole, or the first is to come: what arrives from now on is of the next.
    pub(super) fn awaits_message(&self) {
        lock(&self.seat.room.taken).release(self.seat.id);
        self.seat.is_verified.store(false, Ordering::Relaxed);
    }

    /// Waits until the connection has to leave, which is then no more up to what accepted it.
    pub(super) async fn must_leave(self: Arc<Self>) {
        self.seat.must_leave().await;
    }

    /// Some of what has arrived of a message is not of it.
    pub(super) fn forget(&self, bytes: usize) {
        lock(&self.seat.room.taken).forget(self.seat.id, bytes);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.seat.is_verified.store(false, Ordering::Relaxed);
        let mut taken = lock(&self.seat.room.taken);
        let key = self.key.get();
        if let Some(key) = key {
            taken.end(key);
        }
        taken.release(self.seat.id);
        taken.change(self.seat.id, |state| {
            state.verified -= usize::from(key.is_some());
            state.since = Instant::now();
        });
        taken.trim(0);
    }
}
