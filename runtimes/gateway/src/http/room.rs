//! Who is connected, and who has to leave when there is no room.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Instant;

use tokio::sync::{Notify, OwnedSemaphorePermit};

use crate::lock::lock;

/// How many bytes of requests whose sender is not known yet, and of messages that are not whole yet, are read from all
/// connections together.
const UNVERIFIED_LIMIT: usize = 32 * 1024 * 1024;
/// How many connections may be idle: each has buffers of some 20 KiB.
const MAX_IDLE: usize = 2048;

/// The connections that are open, and what they hold.
///
/// There is always room for one more as long as a connection is idle, and not very many are: those leave first that have never sent a request with
/// a valid signature, and among them the oldest. The same goes for memory: whose request has been arriving for the
/// longest time, without anybody knowing who sends it, has to leave; after those, whose message has on a WebSocket.
#[derive(Debug)]
pub(super) struct Room {
    limit: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    seats: BTreeMap<u64, State>,
    next: u64,
    /// Those that are idle, in the order in which they leave: there may be thousands, and each new one asks for the first.
    idle: BTreeSet<(bool, Instant, u64)>,
    /// How many each address has.
    of_address: HashMap<IpAddr, usize>,
    /// The sum of what is held.
    unverified: usize,
}

#[derive(Debug)]
struct State {
    address: IpAddr,
    /// Since when it is idle, or its request arrives.
    since: Instant,
    requests: usize,
    /// Whether it ever sent a request with a valid signature.
    is_known: bool,
    /// How many bytes arrived of requests whose sender is not known yet, or of a message that is not whole yet.
    unverified: usize,
    leave: Arc<Notify>,
}

/// A connection's place. It is given up when this is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    room: Arc<Room>,
    id: u64,
    leave: Arc<Notify>,
    /// Whether the sender of the present request is known.
    is_verified: AtomicBool,
}

/// A request in progress. Until all copies of it are dropped, its connection is not idle: a terminal outlives the request
/// that opened it.
pub(super) type Permit = Arc<Progress>;

#[derive(Debug)]
pub(super) struct Progress {
    seat: Arc<Seat>,
    /// What its key may do at the same time.
    share: OnceLock<OwnedSemaphorePermit>,
}

impl Room {
    pub(super) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            limit,
            taken: Mutex::default(),
        })
    }

    /// A place for a connection from this address; `None` if all are busy. One address that is not of this machine gets
    /// no more than a quarter of them.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Arc<Seat>> {
        let mut taken = lock(&self.taken);
        let is_own = |state: &State| state.address == address;
        let share = (self.limit / 4).max(1);
        if !address.is_loopback()
            && taken
                .of_address
                .get(&address)
                .is_some_and(|own| *own >= share)
            && !taken.make_room(is_own)
        {
            return None;
        }
        if taken.seats.len() >= self.limit && !taken.make_room(|_| true) {
            return None;
        }
        let id = taken.next;
        taken.next += 1;
        let leave = Arc::new(Notify::new());
        let state = State {
            address,
            since: Instant::now(),
            requests: 0,
            is_known: false,
            unverified: 0,
            leave: Arc::clone(&leave),
        };
        taken.idle.insert(state.rank(id));
        taken.seats.insert(id, state);
        *taken.of_address.entry(address).or_default() += 1;
        taken.trim();
        Some(Arc::new(Seat {
            room: Arc::clone(self),
            id,
            leave,
            is_verified: AtomicBool::new(false),
        }))
    }

    /// Closes a connection that is idle, for want of something else than room; `false` if there is none.
    pub(super) fn make_room(&self) -> bool {
        lock(&self.taken).make_room(|_| true)
    }
}

impl Taken {
    fn make_room(&mut self, may_leave: impl Fn(&State) -> bool) -> bool {
        let mut ids = self.idle.iter().map(|(_, _, id)| *id);
        let first = ids.find(|id| self.seats.get(id).is_some_and(&may_leave));
        first.is_some_and(|id| self.show_out(id))
    }

    /// Closes the connections that are idle beyond their number.
    fn trim(&mut self) {
        while self.idle.len() > MAX_IDLE && self.make_room(|_| true) {}
    }

    fn show_out(&mut self, id: u64) -> bool {
        let state = self.remove(id);
        if let Some(state) = &state {
            state.leave.notify_one();
        }
        state.is_some()
    }

    fn remove(&mut self, id: u64) -> Option<State> {
        let state = self.seats.remove(&id)?;
        self.unverified -= state.unverified;
        self.idle.remove(&state.rank(id));
        if let Some(own) = self.of_address.get_mut(&state.address) {
            *own -= 1;
            if *own == 0 {
                self.of_address.remove(&state.address);
            }
        }
        Some(state)
    }

    /// Forgets what has arrived of a request.
    fn release(&mut self, id: u64) -> Option<&mut State> {
        let state = self.seats.get_mut(&id)?;
        self.unverified -= std::mem::take(&mut state.unverified);
        Some(state)
    }
}

impl State {
    /// Its place in the order in which idle connections leave.
    fn rank(&self, id: u64) -> (bool, Instant, u64) {
        (self.is_known, self.since, id)
    }
}

impl Seat {
    /// Waits until the connection has to leave.
    pub(super) async fn must_leave(&self) {
        self.leave.notified().await;
    }

    /// Bytes have arrived.
    pub(super) fn received(&self, bytes: usize) {
        if self.is_verified.load(Ordering::Relaxed) {
            return;
        }
        let mut taken = lock(&self.room.taken);
        let Some(state) = taken.seats.get_mut(&self.id) else {
            return;
        };
        if state.unverified == 0 {
            let before = state.rank(self.id);
            state.since = Instant::now();
            let rank = state.rank(self.id);
            if taken.idle.remove(&before) {
                taken.idle.insert(rank);
            }
        }
        let Some(state) = taken.seats.get_mut(&self.id) else {
            return;
        };
        state.unverified += bytes;
        taken.unverified += bytes;
        while taken.unverified > UNVERIFIED_LIMIT {
            let holders = taken.seats.iter().filter(|(_, state)| state.unverified > 0);
            let first = holders.min_by_key(|(_, state)| (state.is_known, state.since));
            let Some(id) = first.map(|(id, _)| *id) else {
                return;
            };
            tracing::warn!(
                "too much of requests without a known sender, or of unfinished messages: the slowest is disconnected"
            );
            taken.show_out(id);
        }
    }

    /// The head of a request has arrived.
    pub(super) fn begin(self: &Arc<Self>) -> Permit {
        let mut taken = lock(&self.room.taken);
        if let Some(state) = taken.seats.get_mut(&self.id) {
            let rank = state.rank(self.id);
            state.requests += 1;
            taken.idle.remove(&rank);
        }
        drop(taken);
        Arc::new(Progress {
            seat: Arc::clone(self),
            share: OnceLock::new(),
        })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        lock(&self.room.taken).remove(self.id);
    }
}

impl Progress {
    /// Who sends the request is known now.
    pub(super) fn verified(&self) {
        self.seat.is_verified.store(true, Ordering::Relaxed);
        if let Some(state) = lock(&self.seat.room.taken).release(self.seat.id) {
            state.is_known = true;
        }
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
        let mut taken = lock(&self.seat.room.taken);
        if let Some(state) = taken.seats.get_mut(&self.seat.id) {
            let bytes = bytes.min(state.unverified);
            state.unverified -= bytes;
            taken.unverified -= bytes;
        }
    }

    /// Holds what its key may do at the same time, for as long as it lasts.
    pub(super) fn hold(&self, share: OwnedSemaphorePermit) {
        // A request is admitted once.
        let _ = self.share.set(share);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.seat.is_verified.store(false, Ordering::Relaxed);
        let mut taken = lock(&self.seat.room.taken);
        if let Some(state) = taken.release(self.seat.id) {
            state.requests -= 1;
            state.since = Instant::now();
            let rank = (state.requests == 0).then(|| state.rank(self.seat.id));
            taken.idle.extend(rank);
            taken.trim();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use std::net::Ipv4Addr;

    use super::*;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn must_leave(seat: &Seat) -> bool {
        !lock(&seat.room.taken).seats.contains_key(&seat.id)
    }

    #[test]
    fn idle_connections_leave_first_and_strangers_before_them() {
        let room = Room::new(3);
        let (known, busy, idle) = (
            room.enter(HERE).unwrap(),
            room.enter(HERE).unwrap(),
            room.enter(HERE).unwrap(),
        );
        known.begin().verified();
        let request = busy.begin();
        let fourth = room.enter(HERE).unwrap();
        assert!(must_leave(&idle) && !must_leave(&known) && !must_leave(&busy));
        let held = fourth.begin();
        let fifth = room.enter(HERE).unwrap();
        assert!(must_leave(&known));
        let terminal = fifth.begin();
        assert!(room.enter(HERE).is_none());
        drop(request);
        let sixth = room.enter(HERE);
        assert!(sixth.is_some() && must_leave(&busy));
        drop((held, terminal));
    }

    #[test]
    fn an_address_of_another_machine_gets_a_quarter() {
        let other = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
        let room = Room::new(8);
        let (first, second) = (room.enter(other).unwrap(), room.enter(other).unwrap());
        let third = room.enter(other).unwrap();
        assert!(must_leave(&first) && !must_leave(&second));
        let requests = (second.begin(), third.begin());
        assert!(room.enter(other).is_none());
        assert!(room.enter(HERE).is_some());
        drop(requests);
    }

    #[test]
    fn not_all_connections_may_be_idle() {
        let room = Room::new(2 * MAX_IDLE);
        let seats: Vec<_> = (0..MAX_IDLE).map(|_| room.enter(HERE).unwrap()).collect();
        let requests: Vec<_> = seats[..2].iter().map(Seat::begin).collect();
        let more: Vec<_> = (0..3).map(|_| room.enter(HERE).unwrap()).collect();
        assert!(must_leave(&seats[2]) && !must_leave(&seats[3]));
        drop(requests);
        assert!(must_leave(&seats[3]) && must_leave(&seats[4]) && !must_leave(&seats[5]));
        assert!(!must_leave(&seats[0]));
        drop((seats, more));
        let taken = lock(&room.taken);
        assert!(taken.idle.is_empty() && taken.of_address.is_empty());
    }

    #[test]
    fn requests_of_strangers_are_held_within_a_limit() {
        let room = Room::new(8);
        let (slow, fast, known) = (
            room.enter(HERE).unwrap(),
            room.enter(HERE).unwrap(),
            room.enter(HERE).unwrap(),
        );
        slow.received(1);
        let request = known.begin();
        request.verified();
        known.received(2 * UNVERIFIED_LIMIT);
        fast.received(UNVERIFIED_LIMIT - 1);
        assert!(!must_leave(&slow) && !must_leave(&fast) && !must_leave(&known));
        fast.received(1);
        assert!(must_leave(&slow) && !must_leave(&fast));
        drop(fast);
        assert_eq!(lock(&room.taken).unverified, 0);
        drop(request);
        // What comes next from it counts again.
        known.received(7);
        assert_eq!(lock(&room.taken).unverified, 7);
    }

    #[test]
    fn messages_that_are_not_whole_are_held_within_the_same_limit() {
        let room = Room::new(8);
        let (socket, stranger) = (room.enter(HERE).unwrap(), room.enter(HERE).unwrap());
        let request = socket.begin();
        request.verified();
        for _ in 0..3 {
            request.awaits_message();
            socket.received(UNVERIFIED_LIMIT - 8);
        }
        assert!(!must_leave(&socket));
        // A ping in the middle of a message is not of it.
        socket.received(8);
        request.forget(8);
        // Strangers leave first.
        stranger.received(9);
        assert!(must_leave(&stranger) && !must_leave(&socket));
        socket.received(9);
        assert!(must_leave(&socket));
    }
}
