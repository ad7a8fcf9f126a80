//! How much output the gateway holds that clients have not fetched yet.
//!
//! What there is no room for stays in the pipes and channels of the programs, which wait until someone fetches: nothing
//! is lost. The limits are for a key and for the whole gateway; a single kernel has its own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use super::console::LARGE;
use super::log::{Log, LogSum};
use crate::lock::lock;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;
/// How much the gateway holds, in bytes, but for the rest that follows. A message that someone waits for, and what it takes
/// to read or write one, may come to that.
const WHOLE: usize = 28 * MIB;
/// How much it holds for one key.
const KEY: usize = 20 * MIB;
/// What each kernel may hold in any case, so that no text waits for other kernels.
const OWN: usize = 64 * KIB;

/// The sums of what is held.
#[derive(Debug, Default)]
pub(crate) struct Stock {
    counts: Mutex<Counts>,
    freed: Notify,
    reading: Mutex<()>,
    logs: Arc<LogSum>,
}

#[derive(Debug, Default)]
struct Counts {
    whole: usize,
    keys: HashMap<Arc<str>, usize>,
    /// Whether a frame is on its way that there was no room for, to a client that waits for it: one at a time, so that
    /// what no one fetches does not keep others from fetching.
    has_guest: bool,
    /// Whether another client waits for that place.
    is_wanted: bool,
}

impl Stock {
    /// Nothing yet, of a kernel of this key.
    pub(crate) fn hold(self: &Arc<Self>, key: &str) -> Held {
        Held {
            stock: Arc::clone(self),
            key: key.into(),
            bytes: 0,
            is_guest: false,
        }
    }

    /// Waits until something is not held any more.
    pub(crate) fn freed(&self) -> Notified<'_> {
        self.freed.notified()
    }

    /// Held while a large message is read or written, which takes several times its size: one at a time.
    pub(crate) fn reading(&self) -> MutexGuard<'_, ()> {
        lock(&self.reading)
    }
}

/// Some output of a kernel, until this is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    stock: Arc<Stock>,
    key: Arc<str>,
    bytes: usize,
    is_guest: bool,
}

impl Held {
    /// How much a kernel may hold now whose own limit is this.
    pub(crate) fn limit(&self, own: usize) -> usize {
        let counts = lock(&self.stock.counts);
        if counts.whole < WHOLE && counts.of(&self.key) < KEY {
            own
        } else {
            own.min(OWN)
        }
    }

    /// What is held is that of this key from now on. It is no guest.
    pub(crate) fn give_to(&mut self, key: &str) {
        let bytes = self.bytes;
        self.set(0);
        self.key = key.into();
        self.set(bytes);
    }

    /// A log for a kernel, which counts for itself: it makes no output wait.
    pub(crate) fn new_log(&self) -> Log {
        Log::new(Arc::clone(&self.stock.logs))
    }

    /// How much that is.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Holds as much as this from now on.
    pub(crate) fn set(&mut self, bytes: usize) {
        let before = std::mem::replace(&mut self.bytes, bytes);
        if before == bytes {
            return;
        }
        let mut counts = lock(&self.stock.counts);
        counts.whole = counts.whole - before + bytes;
        let of_key = counts.keys.entry(Arc::clone(&self.key)).or_default();
        *of_key = *of_key - before + bytes;
        if *of_key == 0 {
            counts.keys.remove(&self.key);
        }
        drop(counts);
        if bytes < before {
            self.stock.freed.notify_waiters();
        }
    }

    /// Held while it is written, if it is large.
    pub(crate) fn writing(&self) -> Option<MutexGuard<'_, ()>> {
        (self.bytes > LARGE).then(|| self.stock.reading())
    }

    /// Room for a message of this size, which a client may be waiting for.
    pub(crate) fn room_for(&self, bytes: usize, is_awaited: bool) -> Option<Self> {
        let mut room = self.stock.hold(&self.key);
        let mut counts = lock(&self.stock.counts);
        if counts.whole + bytes > WHOLE || counts.of(&self.key) + bytes > KEY {
            if !is_awaited || counts.has_guest {
                counts.is_wanted |= is_awaited;
                return None;
            }
            counts.has_guest = true;
            room.is_guest = true;
        }
        drop(counts);
        room.set(bytes);
        Some(room)
    }

    /// Whether it may stay: it is no guest, or there is room for it by now.
    pub(crate) fn settle(&mut self) -> bool {
        if !self.is_guest {
            return true;
        }
        let mut counts = lock(&self.stock.counts);
        if counts.whole <= WHOLE && counts.of(&self.key) <= KEY {
            self.is_guest = false;
            counts.dismiss_guest();
            self.stock.freed.notify_waiters();
        }
        !self.is_guest
    }

    /// Whether it is a guest that keeps another one waiting.
    pub(crate) fn is_in_the_way(&self) -> bool {
        self.is_guest && lock(&self.stock.counts).is_wanted
    }

    /// Holds what the other did, too.
    pub(crate) fn join(&mut self, mut other: Self) {
        let bytes = self.bytes + other.bytes;
        other.set(0);
        self.set(bytes);
        self.is_guest |= std::mem::take(&mut other.is_guest);
    }

    /// Both, if there are two.
    pub(crate) fn joined(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        match (one, other) {
            (Some(mut one), Some(other)) => {
                one.join(other);
                Some(one)
            }
            (one, other) => one.or(other),
        }
    }

    /// Hands all of it over.
    pub(crate) fn take(&mut self) -> Self {
        let empty = self.stock.hold(&self.key);
        std::mem::replace(self, empty)
    }
}

impl Counts {
    fn of(&self, key: &str) -> usize {
        self.keys.get(key).copied().unwrap_or_default()
    }

    fn dismiss_guest(&mut self) {
        (self.has_guest, self.is_wanted) = (false, false);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.is_guest {
            lock(&self.stock.counts).dismiss_guest();
            self.stock.freed.notify_waiters();
        }
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn what_is_held_is_bounded_for_keys_and_all() {
        let stock = Arc::new(Stock::default());
        let (mut one, other, third) = (stock.hold("one"), stock.hold("other"), stock.hold("third"));
        assert_eq!(one.limit(MIB), MIB);
        let media = one.room_for(15 * MIB, false).unwrap();
        assert!(one.room_for(15 * MIB, false).is_none());
        one.set(6 * MIB);
        assert_eq!((one.limit(MIB), other.limit(MIB)), (OWN, MIB));
        let more = other.room_for(6 * MIB, false).unwrap();
        // A client that waits gets it all the same, one at a time.
        assert!(third.room_for(15 * MIB, false).is_none());
        let guest = third.room_for(15 * MIB, true).unwrap();
        assert!(one.room_for(15 * MIB, true).is_none());
        let mut sent = stock.hold("third");
        sent.join(guest);
        assert!(one.room_for(15 * MIB, true).is_none());
        assert!(!sent.settle() && sent.is_in_the_way());
        drop(sent.take());
        let mut guest = one.room_for(12 * MIB, true).unwrap();
        assert!(!guest.settle() && !guest.is_in_the_way());
        drop(media);
        assert!(guest.settle());
        drop(guest);
        drop((more, one, sent));
        let counts = lock(&stock.counts);
        assert!(counts.whole == 0 && counts.keys.is_empty() && !counts.has_guest);
    }

    #[test]
    fn what_is_held_can_be_given_to_a_key() {
        let stock = Arc::new(Stock::default());
        let (mut held, other) = (stock.hold("one"), stock.hold("one"));
        held.set(20 * MIB);
        assert_eq!(other.limit(MIB), OWN);
        held.give_to("other");
        assert_eq!((held.limit(MIB), other.limit(MIB)), (OWN, MIB));
        held.set(0);
        assert!(lock(&stock.counts).keys.is_empty());
    }
}
