//! The requests of clients that have not been carried out, of which there may not be too many.

use std::collections::HashMap;

use bytes::Bytes;

/// How many requests of a client may wait, with the one that is carried out, and how large they may be in sum, in bytes.
const MOST_REQUESTS: usize = 10_000;
const MOST_REQUESTED: usize = 64 * 1024 * 1024;
/// How many times that of all clients together.
const SHARES: usize = 4;
/// Requests that have not been carried out.
#[derive(Default)]
pub(super) struct Requested {
    /// Who has sent them, and their sizes, by their headers. Clients may send the same twice.
    all: HashMap<Bytes, Vec<(String, usize)>>,
    /// How many they are of each client, and their sizes.
    loads: HashMap<String, Load>,
    sum: Load,
}

#[derive(Clone, Copy, Default)]
struct Load {
    count: usize,
    size: usize,
}

impl Load {
    fn is_within(self, shares: usize) -> bool {
        self.count <= shares * MOST_REQUESTS && self.size <= shares * MOST_REQUESTED
    }

    fn with(self, size: usize) -> Self {
        Self {
            count: self.count + 1,
            size: self.size + size,
        }
    }

    fn without(self, size: usize) -> Self {
        Self {
            count: self.count - 1,
            size: self.size - size,
        }
    }
}

impl Requested {
    /// Adds a request, unless there are too many: `false` then.
    pub(super) fn add(&mut self, session: &str, header: &Bytes, size: usize) -> bool {
        let load = self.loads.get(session).copied().unwrap_or_default();
        let (load, sum) = (load.with(size), self.sum.with(size));
        let is_within = load.is_within(1) && sum.is_within(SHARES);
        if is_within {
            self.sum = sum;
            self.loads.insert(session.to_owned(), load);
            let known = self.all.entry(header.clone()).or_default();
            known.push((session.to_owned(), size));
        }
        is_within
    }

    /// Takes note that one with this header was carried out.
    pub(super) fn remove(&mut self, header: &Bytes) {
        let Some(known) = self.all.get_mut(header) else {
            return;
        };
        let first = (!known.is_empty()).then(|| known.remove(0));
        if known.is_empty() {
            self.all.remove(header);
        }
        let Some((session, size)) = first else {
            return;
        };
        self.sum = self.sum.without(size);
        if let Some(load) = self.loads.get_mut(&session) {
            *load = load.without(size);
            if load.count == 0 {
                self.loads.remove(&session);
            }
        }
    }
}
