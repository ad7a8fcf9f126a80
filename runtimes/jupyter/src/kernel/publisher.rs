//! The socket to which clients subscribe. It waits for those that are slow, but only for a moment, and then goes on without those
//! that take nothing.

use std::io;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tokio::io::{AsyncRead, BufReader};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::Instant;

use super::outbox::{Outbox, PATIENCE};
use super::places::{Listener, Listening, Place, Stream, listen};
use super::zmtp::{COMMAND, Frames, answer, frame, greet};
use crate::lock::lock;

/// The most that a client may say at once, and in how many subscriptions at a time, in bytes.
const MOST_SAID: usize = 4096;
const MOST_SUBSCRIBED: usize = 64 * 1024;
/// What keeping one of them takes beside its topic, about, in bytes.
const EACH: usize = 64;
/// How many subscriptions wait for their greeting.
const ARRIVALS: usize = 64;

/// The topics of what clients wait for, besides output.
const NEEDED: &[&[u8]] = &[
    b"kernel.status",
    b"kernel.execute_input",
    b"kernel.execute_result",
    b"kernel.error",
    b"kernel.shutdown_reply",
];

type All = Arc<Mutex<Vec<Arc<Subscriber>>>>;

/// The socket.
pub(super) struct Publisher {
    subscribers: All,
    subscriptions: Receiver<Subscription>,
    _listening: Option<Listening>,
}

/// A client that has begun to listen to some messages.
pub(super) struct Subscription {
    subscriber: Arc<Subscriber>,
    pub(super) topic: Bytes,
}

impl Subscription {
    /// Sends the first message to it, and to no one else.
    pub(super) fn greet(&self, parts: Vec<Bytes>) {
        self.subscriber.outbox.offer(&Frames::of(parts));
    }
}

impl Publisher {
    /// Listens to subscribers.
    pub(super) fn of(listener: Listener) -> io::Result<Self> {
        let subscribers = All::default();
        let (sender, subscriptions) = channel(ARRIVALS);
        let all = Arc::clone(&subscribers);
        let listening = listen(listener, move |stream, place| {
            attend(stream, place, Arc::clone(&all), sender.clone())
        })?;
        Ok(Self {
            subscribers,
            subscriptions,
            _listening: Some(listening),
        })
    }

    /// The next client that subscribes.
    pub(super) async fn subscription(&mut self) -> Subscription {
        match self.subscriptions.recv().await {
            Some(subscription) => subscription,
            // Who accepts connections has none any more.
            None => std::future::pending().await,
        }
    }

    /// Sends a message, whose first part is its topic, to all who want it. Waits for those that are slow, but not for long.
    pub(super) async fn send(&self, parts: Vec<Bytes>) {
        let topic = parts.first().cloned().unwrap_or_default();
        let is_needed = NEEDED.iter().any(|it| *it == topic);
        let frames = Frames::of(parts);
        let mut slow = Vec::new();
        for subscriber in lock(&self.subscribers).iter() {
            if subscriber.wants(&topic) && !subscriber.outbox.takes(&frames, is_needed) {
                slow.push(Arc::clone(subscriber));
            }
        }
        let deadline = Instant::now() + PATIENCE;
        for subscriber in slow {
            subscriber.outbox.wait(&frames, deadline).await;
        }
    }
}

/// A client that is connected.
#[derive(Default)]
struct Subscriber {
    topics: Mutex<Vec<Bytes>>,
    outbox: Outbox,
}

impl Subscriber {
    fn wants(&self, topic: &[u8]) -> bool {
        lock(&self.topics).iter().any(|it| topic.starts_with(it))
    }

    fn subscribe(&self, topic: Bytes) -> io::Result<()> {
        let mut topics = lock(&self.topics);
        let size: usize = topics.iter().map(|it| it.len() + EACH).sum();
        if size + topic.len() >= MOST_SUBSCRIBED {
            return Err(io::ErrorKind::InvalidData.into());
        }
        topics.push(topic);
        Ok(())
    }

    fn unsubscribe(&self, topic: &[u8]) {
        let mut topics = lock(&self.topics);
        if let Some(at) = topics.iter().position(|it| it == topic) {
            topics.swap_remove(at);
        }
    }

    /// Reads its subscriptions.
    async fn read(
        self: &Arc<Self>,
        mut stream: impl AsyncRead + Unpin,
        place: &Place,
        subscriptions: &Sender<Subscription>,
    ) -> io::Result<()> {
        loop {
            let (flags, said) = frame(&mut stream, MOST_SAID, &mut |_| {}).await?;
            if flags & COMMAND != 0 {
                if let Some(answer) = answer(&said) {
                    self.outbox.offer(&answer);
                }
                continue;
            }
            let topic = said.slice(said.len().min(1)..);
            match said.first() {
                Some(1) => {
                    self.subscribe(topic.clone())?;
                    place.user();
                    let subscriber = Arc::clone(self);
                    let _ = subscriptions.send(Subscription { subscriber, topic }).await;
                }
                Some(0) => self.unsubscribe(&topic),
                _ => {}
            }
        }
    }
}

/// A subscriber, for as long as it is connected.
struct Entered {
    subscriber: Arc<Subscriber>,
    all: All,
}

impl Drop for Entered {
    fn drop(&mut self) {
        lock(&self.all).retain(|it| !Arc::ptr_eq(it, &self.subscriber));
        self.subscriber.outbox.close();
    }
}

/// Has to do with a client until it is gone.
async fn attend(
    stream: impl Stream,
    place: Place,
    all: All,
    subscriptions: Sender<Subscription>,
) -> io::Result<()> {
    let (from, mut to) = tokio::io::split(stream);
    let mut from = BufReader::new(from);
    greet(&mut from, &mut to, "XPUB").await?;
    place.greeted();
    let subscriber = Arc::new(Subscriber::default());
    lock(&all).push(Arc::clone(&subscriber));
    let entered = Entered { subscriber, all };
    let subscriber = &entered.subscriber;
    tokio::select! {
        written = subscriber.outbox.write(to, &place) => written,
        read = subscriber.read(from, &place, &subscriptions) => read,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use tokio::io::AsyncReadExt;

    use super::*;
    use crate::kernel::outbox::MOST;
    use crate::kernel::places::some_place;

    #[tokio::test]
    async fn who_takes_nothing_misses_messages_and_nobody_else() {
        let publisher = Publisher {
            subscribers: All::default(),
            subscriptions: channel(1).1,
            _listening: None,
        };
        let [stuck, other]: [Arc<Subscriber>; 2] = Default::default();
        for subscriber in [&stuck, &other] {
            subscriber.subscribe(Bytes::new()).unwrap();
            lock(&publisher.subscribers).push(Arc::clone(subscriber));
        }
        let writer = Arc::clone(&other);
        let (reader, stream) = tokio::io::duplex(256 * 1024);
        let written =
            tokio::spawn(async move { writer.outbox.write(stream, &some_place(true)).await });
        let mut reader = Box::pin(reader);
        let taken = tokio::spawn(async move {
            let mut all = 0;
            let mut buffer = vec![0; 256 * 1024];
            while let Ok(count @ 1..) = reader.read(&mut buffer).await {
                all += count;
                if all >= 8 * MOST {
                    break;
                }
            }
            all
        });
        let content = Bytes::from(vec![0; MOST / 4]);
        for _ in 0..32 {
            publisher.send(vec![content.clone()]).await;
        }
        assert!(taken.await.unwrap() >= 8 * MOST);
        written.abort();
        let size = stuck.outbox.size();
        assert!(size < 2 * MOST, "{size}");
    }
}
