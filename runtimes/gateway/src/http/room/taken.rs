//! The order in which connections have to leave.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::Notify;

/// How many bytes of requests whose sender is not known yet, and of messages that are not whole yet, are read from all
/// connections together.
pub(super) const UNVERIFIED_LIMIT: usize = 32 * 1024 * 1024;
/// How many connections may be idle, or send a request whose sender is not known: each has buffers of some 20 KiB.
pub(super) const MAX_OPEN: usize = 1024;
/// One of how many of these is left to strangers, whoever else has more: who connects is a stranger at first.
const STRANGERS: usize = 8;

/// The places that are taken.
#[derive(Debug)]
pub(super) struct Taken {
    /// How many strangers need not leave before those who have more.
    strangers: usize,
    seats: BTreeMap<u64, State>,
    next: u64,
    /// Those that may leave, by the key of their last request, in the order in which they do: there may be thousands, and
    /// each new one asks for the first.
    open: HashMap<Option<Arc<str>>, BTreeSet<(Instant, u64)>>,
    open_count: usize,
    /// How many each address has.
    of_address: HashMap<IpAddr, usize>,
    /// How many requests of a known sender are in progress, of each.
    busy: HashMap<Arc<str>, usize>,
    busy_count: usize,
    /// The sum of what is held.
    unverified: usize,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) address: IpAddr,
    /// Since when it is idle, or its request arrives.
    pub(super) since: Instant,
    /// How many requests of a known sender are in progress.
    pub(super) verified: usize,
    /// The key of its last request with a valid signature.
    pub(super) key: Option<Arc<str>>,
    /// How many bytes arrived of requests whose sender is not known yet, or of a message that is not whole yet.
    unverified: usize,
    leave: Arc<Notify>,
}

impl Taken {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            strangers: limit.min(MAX_OPEN) / STRANGERS,
            seats: BTreeMap::new(),
            next: 0,
            open: HashMap::new(),
            open_count: 0,
            of_address: HashMap::new(),
            busy: HashMap::new(),
            busy_count: 0,
            unverified: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.seats.len()
    }

    pub(super) fn of_address(&self, address: IpAddr) -> usize {
        self.of_address.get(&address).copied().unwrap_or(0)
    }

    /// Adds a connection. Others leave for it, if too many may.
    pub(super) fn add(&mut self, address: IpAddr) -> (u64, Arc<Notify>) {
        self.trim(1);
        let id = self.next;
        self.next += 1;
        let leave = Arc::new(Notify::new());
        let state = State {
            address,
            since: Instant::now(),
            verified: 0,
            key: None,
            unverified: 0,
            leave: Arc::clone(&leave),
        };
        self.note(id, &state);
        self.seats.insert(id, state);
        *self.of_address.entry(address).or_default() += 1;
        (id, leave)
    }

    /// Closes a connection of those that may leave; `false` if there is none.
    ///
    /// It is a stranger's as long as there are more than a few, then one of the key that has the most.
    pub(super) fn make_room(&mut self, may_leave: impl Fn(&State) -> bool) -> bool {
        let mut groups: Vec<_> = self.open.iter().collect();
        groups.sort_by_key(|(key, members)| {
            let is_last = key.is_none() && members.len() <= self.strangers;
            let is_first = key.is_none() && !is_last;
            (!is_first, std::cmp::Reverse(members.len()), key.is_some())
        });
        let mut ids = groups
            .into_iter()
            .flat_map(|(_, members)| members)
            .map(|(_, id)| *id);
        let first = ids.find(|id| self.seats.get(id).is_some_and(&may_leave));
        first.is_some_and(|id| self.show_out(id))
    }

    /// Closes connections of those that may leave, until so many more of them may come.
    pub(super) fn trim(&mut self, more: usize) {
        while self.open_count + more > MAX_OPEN && self.make_room(|_| true) {}
    }

    /// The number of the next connection.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Closes the connections of a key before the one with this number.
    pub(super) fn show_out_all(&mut self, key: &str, next: u64) {
        let is_meant = |id: u64, state: &State| id < next && state.key.as_deref() == Some(key);
        let seats = self
            .seats
            .iter()
            .filter(|(id, state)| is_meant(**id, state));
        let ids: Vec<_> = seats.map(|(id, _)| *id).collect();
        for id in ids {
            self.show_out(id);
        }
    }

    fn show_out(&mut self, id: u64) -> bool {
        let state = self.remove(id);
        if let Some(state) = &state {
            state.leave.notify_one();
        }
        state.is_some()
    }

    pub(super) fn remove(&mut self, id: u64) -> Option<State> {
        let state = self.seats.remove(&id)?;
        self.unverified -= state.unverified;
        self.strike(id, &state);
        decrease(&mut self.of_address, &state.address);
        Some(state)
    }

    /// Changes what decides when a connection leaves.
    pub(super) fn change(&mut self, id: u64, change: impl FnOnce(&mut State)) {
        let Some(mut state) = self.seats.remove(&id) else {
            return;
        };
        self.strike(id, &state);
        change(&mut state);
        self.note(id, &state);
        self.seats.insert(id, state);
    }

    /// Notes that it may leave, if it may.
    fn note(&mut self, id: u64, state: &State) {
        if state.verified == 0 {
            let members = self.open.entry(state.key.clone()).or_default();
            self.open_count += usize::from(members.insert((state.since, id)));
        }
    }

    fn strike(&mut self, id: u64, state: &State) {
        if let Some(members) = self.open.get_mut(&state.key) {
            self.open_count -= usize::from(members.remove(&(state.since, id)));
            if members.is_empty() {
                self.open.remove(&state.key);
            }
        }
    }

    /// Notes that bytes of an unknown sender have arrived.
    pub(super) fn receive(&mut self, id: u64, bytes: usize) {
        if self.seats.get(&id).is_some_and(|it| it.unverified == 0) {
            self.change(id, |state| state.since = Instant::now());
        }
        let Some(state) = self.seats.get_mut(&id) else {
            return;
        };
        state.unverified += bytes;
        self.unverified += bytes;
        while self.unverified > UNVERIFIED_LIMIT {
            let holders = self.seats.iter().filter(|(_, state)| state.unverified > 0);
            let first = holders.min_by_key(|(_, state)| (state.key.is_some(), state.since));
            let Some(id) = first.map(|(id, _)| *id) else {
                return;
            };
            tracing::warn!(
                "too much of requests without a known sender, or of unfinished messages: the slowest is disconnected"
            );
            self.show_out(id);
        }
    }

    /// Forgets what has arrived of a request.
    pub(super) fn release(&mut self, id: u64) {
        self.forget(id, usize::MAX);
    }

    /// Forgets so much of what has arrived.
    pub(super) fn forget(&mut self, id: u64, bytes: usize) {
        if let Some(state) = self.seats.get_mut(&id) {
            let bytes = bytes.min(state.unverified);
            state.unverified -= bytes;
            self.unverified -= bytes;
        }
    }

    /// How many requests of known senders are in progress.
    pub(super) fn busy(&self) -> usize {
        self.busy_count
    }

    pub(super) fn busy_of(&self, key: &str) -> usize {
        self.busy.get(key).copied().unwrap_or(0)
    }

    pub(super) fn begin(&mut self, key: &Arc<str>) {
        *self.busy.entry(Arc::clone(key)).or_default() += 1;
        self.busy_count += 1;
    }

    pub(super) fn end(&mut self, key: &Arc<str>) {
        decrease(&mut self.busy, key);
        self.busy_count -= 1;
    }

    #[cfg(test)]
    pub(super) fn has(&self, id: u64) -> bool {
        self.seats.contains_key(&id)
    }

    #[cfg(test)]
    pub(super) fn unverified(&self) -> usize {
        self.unverified
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.seats.is_empty()
            && self.open.is_empty()
            && self.open_count == 0
            && self.of_address.is_empty()
            && self.busy.is_empty()
    }
}

/// Counts one less, and forgets what there is none of.
fn decrease<K: std::hash::Hash + Eq>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}
