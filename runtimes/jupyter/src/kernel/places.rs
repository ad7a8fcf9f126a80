//! Who is connected to a socket of a kernel. Connections are few, so that there are always descriptors left, and whoever is the
//! least likely to be a client makes room for the next one: without a key, no one can keep those out who have it.

use std::io;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::{Resource, getrlimit};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

use crate::lock::lock;

/// How many connections a socket has at most, and at least if there are few descriptors.
const MOST: u64 = 128;
const LEAST: u64 = 8;
/// Which part of all descriptors a socket may have: the five of a kernel together half of them.
const SHARE: u64 = 10;
/// How much a socket keeps in sum of unfinished messages from those who have not shown that they know the key, in bytes.
const MOST_HELD: usize = 20 * 1024 * 1024;
/// How long to wait after no connection could be accepted.
const PAUSE: Duration = Duration::from_millis(20);

/// Where clients connect.
#[derive(Debug)]
pub(super) enum Listener {
    Tcp(TcpListener),
    Ipc(UnixListener),
}

/// A connection.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Listens, until it is dropped; then all connections are closed.
pub(super) struct Listening(JoinHandle<()>);

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The same on both sides.
enum Accepting {
    Tcp(tokio::net::TcpListener),
    Ipc(tokio::net::UnixListener),
}

impl Accepting {
    /// The next connection, and whether it is one of this machine, so that it ends together with the client.
    async fn next(&self) -> io::Result<(Box<dyn Stream>, bool)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                let _ = stream.set_nodelay(true);
                Ok((Box::new(stream), address.ip().to_canonical().is_loopback()))
            }
            Self::Ipc(listener) => Ok((Box::new(listener.accept().await?.0), true)),
        }
    }
}

/// Has `attend` have to do with each client that connects.
pub(super) fn listen<F>(
    listener: Listener,
    attend: impl Fn(Box<dyn Stream>, Place) -> F + Send + 'static,
) -> io::Result<Listening>
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    let listener = match listener {
        Listener::Tcp(listener) => {
            listener.set_nonblocking(true)?;
            Accepting::Tcp(tokio::net::TcpListener::from_std(listener)?)
        }
        Listener::Ipc(listener) => {
            listener.set_nonblocking(true)?;
            Accepting::Ipc(tokio::net::UnixListener::from_std(listener)?)
        }
    };
    let places = Places::new(most());
    Ok(Listening(tokio::spawn(async move {
        let mut attended = JoinSet::new();
        loop {
            let Ok((stream, is_here)) = listener.next().await else {
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            while attended.try_join_next().is_some() {}
            let (place, leave) = places.take(is_here);
            let client = attend(stream, place);
            attended.spawn(async move {
                tokio::select! {
                    biased;
                    () = leave.notified() => {}
                    _ = client => {}
                }
            });
            // Who has to make room does so before the next one comes.
            tokio::task::yield_now().await;
        }
    })))
}

/// How many connections there may be.
fn most() -> usize {
    let descriptors = getrlimit(Resource::Nofile).current;
    let most = descriptors.map_or(MOST, |all| (all / SHARE).clamp(LEAST, MOST));
    usize::try_from(most).unwrap_or_default()
}

/// What is known of a client.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    /// It has connected.
    New,
    /// It speaks the protocol.
    Greeted,
    /// It uses the socket.
    User,
    /// It has the key.
    Trusted,
}

struct Taken {
    number: u64,
    standing: Standing,
    used: Instant,
    /// What has come of its message, in bytes.
    held: usize,
    leave: Arc<Notify>,
}

/// All of a socket.
#[derive(Clone)]
struct Places {
    most: usize,
    numbers: Arc<AtomicU64>,
    taken: Arc<Mutex<Vec<Taken>>>,
}

/// That of one connection, until it is dropped.
pub(super) struct Place {
    number: u64,
    is_here: bool,
    places: Places,
}

impl Places {
    fn new(most: usize) -> Self {
        Self {
            most,
            numbers: Arc::default(),
            taken: Arc::default(),
        }
    }

    /// That of the next connection, and what tells it to leave.
    fn take(&self, is_here: bool) -> (Place, Arc<Notify>) {
        let mut taken = lock(&self.taken);
        while taken.len() >= self.most {
            let last = (0..taken.len()).min_by_key(|at| (taken[*at].standing, taken[*at].used));
            let Some(last) = last else { break };
            taken.remove(last).leave.notify_one();
        }
        let number = self.numbers.fetch_add(1, Relaxed);
        let leave = Arc::new(Notify::new());
        taken.push(Taken {
            number,
            standing: Standing::New,
            used: Instant::now(),
            held: 0,
            leave: Arc::clone(&leave),
        });
        let places = self.clone();
        let place = Place {
            number,
            is_here,
            places,
        };
        (place, leave)
    }
}

impl Place {
    /// Whether the client is on this machine: a connection to it ends when it does. Others may go dead without a word.
    pub(super) fn is_here(&self) -> bool {
        self.is_here
    }

    fn change(&self, change: impl FnOnce(&mut Taken)) {
        let mut taken = lock(&self.places.taken);
        if let Some(own) = taken.iter_mut().find(|it| it.number == self.number) {
            change(own);
        }
    }

    fn rise(&self, standing: Standing) {
        self.change(|own| {
            own.standing = own.standing.max(standing);
            own.used = Instant::now();
        });
    }

    /// It speaks the protocol.
    pub(super) fn greeted(&self) {
        self.rise(Standing::Greeted);
    }

    /// It uses the socket.
    pub(super) fn user(&self) {
        self.rise(Standing::User);
    }

    /// It has shown that it has the key.
    pub(super) fn trusted(&self) {
        self.rise(Standing::Trusted);
    }

    /// It takes what is sent to it.
    pub(super) fn used(&self) {
        self.change(|own| own.used = Instant::now());
    }

    /// So much more has come of its message, in bytes. If that of all whose key is not known is too much, who has sent the most
    /// has to leave.
    pub(super) fn hold(&self, count: usize) {
        self.change(|own| own.held += count);
        let mut taken = lock(&self.places.taken);
        let strange = |it: &&Taken| it.standing < Standing::Trusted;
        let sum: usize = taken.iter().filter(strange).map(|it| it.held).sum();
        if sum > MOST_HELD {
            let most = taken.iter().filter(strange).max_by_key(|it| it.held);
            let most = most.map(|it| it.number);
            if let Some(at) = taken.iter().position(|it| Some(it.number) == most) {
                taken.remove(at).leave.notify_one();
            }
        }
    }

    /// Nothing of a message is kept any more.
    pub(super) fn release(&self) {
        self.change(|own| own.held = 0);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.places.taken).retain(|it| it.number != self.number);
    }
}

/// A place of a socket that has many.
#[cfg(test)]
pub(super) fn some_place(is_here: bool) -> Place {
    Places::new(usize::MAX).take(is_here).0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_told(leave: &Notify) -> bool {
        let mut told = std::pin::pin!(leave.notified());
        told.as_mut().enable()
    }

    #[test]
    fn who_is_the_least_likely_client_makes_room() {
        let places = Places::new(4);
        let (trusted, stays) = places.take(true);
        trusted.trusted();
        let (user, stays_too) = places.take(true);
        user.user();
        let (greeted, goes) = places.take(true);
        greeted.greeted();
        let mut others = Vec::new();
        for _ in 0..600 {
            others.push(places.take(true));
            assert!(lock(&places.taken).len() <= 4);
        }
        assert!(!is_told(&stays) && !is_told(&stays_too) && !is_told(&goes));
        let (_, last) = others.pop().into_iter().next_back().unzip();
        assert!(!is_told(&last.unwrap_or_default()));
        assert!(others.iter().all(|(_, leave)| is_told(leave)));
        // Those who have greeted come after those who have not.
        for _ in 0..3 {
            let (place, leave) = places.take(true);
            place.greeted();
            others.push((place, leave));
        }
        assert!(is_told(&goes) && !is_told(&stays) && !is_told(&stays_too));
        drop((trusted, user, greeted, others));
        assert!(lock(&places.taken).is_empty());
    }

    #[test]
    fn who_sends_the_most_without_the_key_leaves() {
        let places = Places::new(4);
        let (large, goes) = places.take(true);
        let (small, stays) = places.take(true);
        let (trusted, stays_too) = places.take(true);
        trusted.trusted();
        trusted.hold(MOST_HELD);
        large.hold(MOST_HELD - 1000);
        small.hold(1000);
        assert!(!is_told(&goes) && !is_told(&stays_too));
        small.hold(1);
        assert!(is_told(&goes) && !is_told(&stays) && !is_told(&stays_too));
        small.release();
        small.hold(MOST_HELD);
        assert!(!is_told(&stays));
    }
}
