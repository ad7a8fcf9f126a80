//! The socket to which clients subscribe: what a publisher needs of ZMTP 3.0, the protocol of ZeroMQ's sockets. Crate `zeromq`
//! has two of its kind: one waits for the slowest of its subscribers, however long, the other keeps what they have not taken,
//! however much. This one waits for a moment, and then goes on without those that take nothing.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Notify;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::{Instant, timeout, timeout_at};
use zeromq::Listener;

/// How much waits for a subscriber, in bytes, and one message more.
const MOST: usize = 4 * 1024 * 1024;
/// How much it has to take of that in time, so that it is waited for: all but this, in bytes.
const ENOUGH: usize = MOST / 2;
/// That time.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long a client has to say that it is one.
const GREETING: Duration = Duration::from_secs(30);
/// About how much is written at once, in bytes.
const BATCH: usize = 256 * 1024;
/// The largest part that is not worth a piece of its own, in bytes.
const SMALL: usize = 8 * 1024;
/// The most that a client may say at once, and in how many subscriptions at a time, in bytes.
const MOST_SAID: u64 = 4096;
const MOST_SUBSCRIBED: usize = 64 * 1024;
/// How many subscriptions wait for their greeting.
const ARRIVALS: usize = 64;
/// How long to wait after no connection could be accepted.
const PAUSE: Duration = Duration::from_millis(20);

/// Flags of frames.
const MORE: u8 = 1;
const LONG: u8 = 2;
const COMMAND: u8 = 4;
/// Of what is said first, which is as long as that of the other side.
const GREETINGS: usize = 64;
/// Version 3.0, without encryption: what both sides can.
const SIGNATURE: [u8; 12] = [0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 3, 0];
const MECHANISM: &[u8] = b"NULL";
/// The command that follows.
const READY: &[u8] = b"\x05READY\x0bSocket-Type\0\0\0\x04XPUB";
const READY_NAME: &[u8] = b"\x05READY";

type All = Arc<Mutex<Vec<Arc<Subscriber>>>>;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The socket.
pub(super) struct Publisher {
    subscribers: All,
    subscriptions: Receiver<Subscription>,
}

/// A client that has begun to listen to some messages.
pub(super) struct Subscription {
    subscriber: Arc<Subscriber>,
    pub(super) topic: Bytes,
}

impl Subscription {
    /// Sends the first message to it, and to nobody else.
    pub(super) fn greet(&self, parts: Vec<Bytes>) {
        let mut queue = lock(&self.subscriber.queue);
        if queue.size < MOST {
            queue.push(&Frames::of(parts));
            self.subscriber.filled.notify_one();
        }
    }
}

impl Publisher {
    /// Listens to subscribers.
    pub(super) fn of(listener: Listener) -> io::Result<Self> {
        let subscribers = All::default();
        let (sender, subscriptions) = channel(ARRIVALS);
        let all = Arc::clone(&subscribers);
        match listener {
            Listener::Tcp(listener) => {
                listener.set_nonblocking(true)?;
                let listener = TcpListener::from_std(listener)?;
                tokio::spawn(async move {
                    loop {
                        let Ok((stream, _)) = listener.accept().await else {
                            tokio::time::sleep(PAUSE).await;
                            continue;
                        };
                        let _ = stream.set_nodelay(true);
                        tokio::spawn(attend(stream, Arc::clone(&all), sender.clone()));
                    }
                });
            }
            Listener::Ipc(listener) => {
                listener.set_nonblocking(true)?;
                let listener = UnixListener::from_std(listener)?;
                tokio::spawn(async move {
                    loop {
                        let Ok((stream, _)) = listener.accept().await else {
                            tokio::time::sleep(PAUSE).await;
                            continue;
                        };
                        tokio::spawn(attend(stream, Arc::clone(&all), sender.clone()));
                    }
                });
            }
            _ => return Err(io::ErrorKind::Unsupported.into()),
        }
        Ok(Self {
            subscribers,
            subscriptions,
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
        let frames = Frames::of(parts);
        let mut slow = Vec::new();
        for subscriber in lock(&self.subscribers).iter() {
            if !subscriber.takes(&topic, &frames) {
                slow.push(Arc::clone(subscriber));
            }
        }
        let deadline = Instant::now() + PATIENCE;
        for subscriber in slow {
            let has_room = timeout_at(deadline, subscriber.room()).await;
            let mut queue = lock(&subscriber.queue);
            match has_room {
                Ok(()) => queue.push(&frames),
                Err(_) => queue.is_left_behind = true,
            }
            subscriber.filled.notify_one();
        }
    }
}

/// A client that is connected.
#[derive(Default)]
struct Subscriber {
    queue: Mutex<Queue>,
    /// Whether something was put into the queue, and whether something was taken out.
    filled: Notify,
    taken: Notify,
}

/// What waits for it.
#[derive(Default)]
struct Queue {
    topics: Vec<Bytes>,
    waiting: Pieces,
    /// With what is being written.
    size: usize,
    /// Whether it was waited for in vain, so that it misses messages until it has taken what waits.
    is_left_behind: bool,
    is_gone: bool,
}

impl Queue {
    fn subscribe(&mut self, topic: Bytes) -> io::Result<()> {
        let size: usize = self.topics.iter().map(|it| it.len() + 1).sum();
        if size + topic.len() >= MOST_SUBSCRIBED {
            return Err(io::ErrorKind::InvalidData.into());
        }
        self.topics.push(topic);
        Ok(())
    }

    fn unsubscribe(&mut self, topic: &[u8]) {
        if let Some(at) = self.topics.iter().position(|it| it == topic) {
            self.topics.swap_remove(at);
        }
    }

    fn push(&mut self, frames: &Frames) {
        let pieces = [&frames.head, &frames.last];
        for piece in pieces.into_iter().filter(|it| !it.is_empty()) {
            self.size += piece.len();
            self.waiting.0.push_back(piece.clone());
        }
    }

    /// Something to write.
    fn pop(&mut self) -> Pieces {
        let mut size = 0;
        let mut batch = Pieces::default();
        while size < BATCH
            && let Some(piece) = self.waiting.0.pop_front()
        {
            size += piece.len();
            batch.0.push_back(piece);
        }
        batch
    }
}

impl Subscriber {
    /// Whether it has been given a message, or will not get it. If not, it is to be waited for.
    fn takes(&self, topic: &[u8], frames: &Frames) -> bool {
        let mut queue = lock(&self.queue);
        let is_wanted = queue.topics.iter().any(|it| topic.starts_with(it));
        if !is_wanted || queue.is_gone {
            return true;
        }
        queue.is_left_behind &= queue.size > ENOUGH;
        if queue.is_left_behind {
            return true;
        }
        if queue.size >= MOST {
            return false;
        }
        queue.push(frames);
        self.filled.notify_one();
        true
    }

    /// Waits until enough of what waits is taken.
    async fn room(&self) {
        loop {
            {
                let queue = lock(&self.queue);
                if queue.is_gone || queue.size <= ENOUGH {
                    return;
                }
            }
            self.taken.notified().await;
        }
    }

    /// Writes what waits, as it comes.
    async fn write(&self, mut stream: impl AsyncWrite + Unpin) -> io::Result<()> {
        loop {
            let mut batch = lock(&self.queue).pop();
            let size = batch.remaining();
            if size == 0 {
                self.filled.notified().await;
                continue;
            }
            stream.write_all_buf(&mut batch).await?;
            lock(&self.queue).size -= size;
            self.taken.notify_one();
        }
    }

    /// Reads its subscriptions.
    async fn read(
        self: &Arc<Self>,
        mut stream: impl AsyncRead + Unpin,
        subscriptions: &Sender<Subscription>,
    ) -> io::Result<()> {
        loop {
            let (flags, said) = frame(&mut stream).await?;
            if flags & COMMAND != 0 {
                continue;
            }
            let topic = said.slice(said.len().min(1)..);
            match said.first() {
                Some(1) => {
                    lock(&self.queue).subscribe(topic.clone())?;
                    let subscriber = Arc::clone(self);
                    let _ = subscriptions.send(Subscription { subscriber, topic }).await;
                }
                Some(0) => lock(&self.queue).unsubscribe(&topic),
                _ => {}
            }
        }
    }
}

/// Has to do with a client until it is gone.
async fn attend(
    stream: impl AsyncRead + AsyncWrite,
    all: All,
    subscriptions: Sender<Subscription>,
) {
    let (mut from, mut to) = tokio::io::split(stream);
    let greeted = timeout(GREETING, greet(&mut from, &mut to)).await;
    if !matches!(greeted, Ok(Ok(()))) {
        return;
    }
    let subscriber = Arc::new(Subscriber::default());
    lock(&all).push(Arc::clone(&subscriber));
    tokio::select! {
        _ = subscriber.write(to) => {}
        _ = subscriber.read(from, &subscriptions) => {}
    }
    lock(&all).retain(|it| !Arc::ptr_eq(it, &subscriber));
    lock(&subscriber.queue).is_gone = true;
    subscriber.taken.notify_one();
}

/// Agrees with a client on how to speak.
async fn greet(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
) -> io::Result<()> {
    let mut greeting = [0; GREETINGS];
    greeting[..SIGNATURE.len()].copy_from_slice(&SIGNATURE);
    let mechanism = SIGNATURE.len()..SIGNATURE.len() + MECHANISM.len();
    greeting[mechanism.clone()].copy_from_slice(MECHANISM);
    to.write_all(&greeting).await?;
    let mut theirs = [0; GREETINGS];
    from.read_exact(&mut theirs).await?;
    // Between these two is what older versions take for a length.
    let is_known = (theirs[0], theirs[9]) == (SIGNATURE[0], SIGNATURE[9]) && theirs[10] >= 3;
    if !is_known || theirs[mechanism] != *MECHANISM {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut ready = BytesMut::new();
    put_frame(&mut ready, COMMAND, READY.len());
    ready.put_slice(READY);
    to.write_all(&ready).await?;
    match frame(from).await? {
        (flags, said) if flags & COMMAND != 0 && said.starts_with(READY_NAME) => Ok(()),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// What a client says next.
async fn frame(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<(u8, Bytes)> {
    let flags = stream.read_u8().await?;
    let size = match flags & LONG {
        0 => stream.read_u8().await?.into(),
        _ => stream.read_u64().await?,
    };
    if size > MOST_SAID {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut said = BytesMut::zeroed(usize::try_from(size).unwrap_or_default());
    stream.read_exact(&mut said).await?;
    Ok((flags, said.freeze()))
}

/// What is in front of a part.
fn put_frame(to: &mut BytesMut, flags: u8, size: usize) {
    match u8::try_from(size) {
        Ok(size) => to.put_slice(&[flags, size]),
        Err(_) => {
            to.put_u8(flags | LONG);
            to.put_u64(size as u64);
        }
    }
}

/// A message as it is written. The last part, the content, is not copied if it is large.
struct Frames {
    head: Bytes,
    last: Bytes,
}

impl Frames {
    fn of(mut parts: Vec<Bytes>) -> Self {
        let mut last = parts.pop().unwrap_or_default();
        let mut head = BytesMut::new();
        for part in parts {
            put_frame(&mut head, MORE, part.len());
            head.put_slice(&part);
        }
        put_frame(&mut head, 0, last.len());
        if last.len() <= SMALL {
            head.put_slice(&last);
            last.clear();
        }
        let head = head.freeze();
        Self { head, last }
    }
}

/// Pieces of what is written, one after the other.
#[derive(Default)]
struct Pieces(VecDeque<Bytes>);

impl Buf for Pieces {
    fn remaining(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }

    fn chunk(&self) -> &[u8] {
        self.0.front().map_or(&[], |it| it)
    }

    fn chunks_vectored<'p>(&'p self, slices: &mut [IoSlice<'p>]) -> usize {
        let pairs = slices.iter_mut().zip(&self.0);
        pairs
            .map(|(slice, piece)| *slice = IoSlice::new(piece))
            .count()
    }

    fn advance(&mut self, mut count: usize) {
        while count > 0
            && let Some(front) = self.0.front_mut()
        {
            let step = count.min(front.len());
            front.advance(step);
            count -= step;
            if front.is_empty() {
                self.0.pop_front();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn frames_are_those_of_zeromq() {
        let parts = vec![Bytes::from_static(b"t"), Bytes::from(vec![7; 300])];
        let frames = Frames::of(parts);
        assert_eq!(frames.head[..12], [1, 1, b't', 2, 0, 0, 0, 0, 0, 0, 1, 44]);
        assert_eq!((frames.head.len(), frames.last.len()), (312, 0));
        let large = Frames::of(vec![Bytes::from(vec![7; SMALL + 1])]);
        assert_eq!((large.head.len(), large.last.len()), (9, SMALL + 1));
    }

    #[test]
    fn pieces_are_read_to_the_end() {
        let mut pieces = Pieces(["ab", "cde", "f"].map(Bytes::from).into());
        pieces.advance(3);
        assert_eq!((pieces.chunk(), pieces.remaining()), (&b"de"[..], 3));
        pieces.advance(3);
        assert!(!pieces.has_remaining() && pieces.chunk().is_empty());
    }

    #[tokio::test]
    async fn who_takes_nothing_misses_messages_and_nobody_else() {
        let publisher = Publisher {
            subscribers: All::default(),
            subscriptions: channel(1).1,
        };
        let [stuck, other]: [Arc<Subscriber>; 2] = Default::default();
        for subscriber in [&stuck, &other] {
            lock(&subscriber.queue).topics.push(Bytes::new());
            lock(&publisher.subscribers).push(Arc::clone(subscriber));
        }
        let writer = Arc::clone(&other);
        let (reader, stream) = tokio::io::duplex(BATCH);
        let written = tokio::spawn(async move { writer.write(stream).await });
        let mut reader = Box::pin(reader);
        let taken = tokio::spawn(async move {
            let mut all = [0_usize; 2];
            let mut buffer = vec![0; BATCH];
            while let Ok(count @ 1..) = reader.read(&mut buffer).await {
                all[0] += count;
                if all[0] >= 8 * MOST {
                    break;
                }
            }
            all[0]
        });
        let content = Bytes::from(vec![0; MOST / 4]);
        for _ in 0..32 {
            publisher.send(vec![content.clone()]).await;
        }
        assert!(taken.await.unwrap() >= 8 * MOST);
        written.abort();
        let size = lock(&stuck.queue).size;
        assert!(size < 2 * MOST, "{size}");
        // It has taken what waited, and goes on with what comes then.
        *lock(&stuck.queue) = Queue {
            topics: vec![Bytes::new()],
            is_left_behind: true,
            ..Queue::default()
        };
        publisher.send(vec![Bytes::from_static(b"new")]).await;
        assert_eq!(lock(&stuck.queue).size, 5);
    }
}
