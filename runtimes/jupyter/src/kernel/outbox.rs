//! What waits for a client that is connected, until it takes it.

use std::io;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Buf;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::places::Place;
use super::zmtp::{Frames, Pieces};
use crate::lock::lock;

/// How much waits for a client, in bytes, and one message more.
pub(super) const MOST: usize = 4 * 1024 * 1024;
/// How much waits when it gets no message more that it has asked for, in bytes: anybody can ask, on any number of connections.
const MOST_OFFERED: usize = 16 * 1024;
/// How much it has to take of the former in time, so that it is waited for: all but this, in bytes.
const ENOUGH: usize = MOST / 2;
/// That time. Clients that read may pause for a second where a machine is busy.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);
/// How much more waits of messages without which a client would wait for ever, and how large they are at most, in bytes.
const RESERVE: usize = 1024 * 1024;
const MOST_NEEDED: usize = 64 * 1024;
/// About how much is written at once, in bytes.
const BATCH: usize = 256 * 1024;

/// What waits for a client.
#[derive(Default)]
pub(super) struct Outbox {
    queue: Mutex<Queue>,
    /// Whether something was put into the queue, and whether something was taken out.
    filled: Notify,
    taken: Notify,
}

#[derive(Default)]
struct Queue {
    waiting: Pieces,
    /// With what is being written.
    size: usize,
    /// How much of that it has asked for; counted until nothing waits.
    offered: usize,
    /// Whether it was waited for in vain, so that it misses messages until it has taken what waits.
    is_left_behind: bool,
    is_gone: bool,
}

impl Queue {
    fn push(&mut self, frames: &Frames) {
        self.size += self.waiting.push(frames);
    }
}

impl Outbox {
    /// Whether it has taken a message, or will not get it. If not, it is to be waited for. Those that say what a cell has come to
    /// are `needed`: they come also to who has missed its output.
    pub(super) fn takes(&self, frames: &Frames, is_needed: bool) -> bool {
        let mut queue = lock(&self.queue);
        if queue.is_gone {
            return true;
        }
        queue.is_left_behind &= queue.size > ENOUGH;
        let is_late = queue.is_left_behind || queue.size >= MOST;
        if is_late && is_needed && frames.len() <= MOST_NEEDED && queue.size < MOST + RESERVE {
            queue.push(frames);
            self.filled.notify_one();
            return true;
        }
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

    /// Gives it a message if it has room by then. If it has not, it is left behind.
    pub(super) async fn wait(&self, frames: &Frames, deadline: Instant) {
        let has_room = timeout_at(deadline, self.room()).await;
        let mut queue = lock(&self.queue);
        match has_room {
            Ok(()) => queue.push(frames),
            Err(_) => queue.is_left_behind = true,
        }
        self.filled.notify_one();
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

    /// Gives it a message that it has asked for, for which no one waits. It may ask as often as it likes, so few of them are kept.
    pub(super) fn offer(&self, frames: &Frames) {
        let mut queue = lock(&self.queue);
        if queue.offered < MOST_OFFERED {
            let size = queue.size;
            queue.push(frames);
            queue.offered += queue.size - size;
            self.filled.notify_one();
        }
    }

    /// Writes what waits, as it comes.
    pub(super) async fn write(
        &self,
        mut stream: impl AsyncWrite + Unpin,
        place: &Place,
    ) -> io::Result<()> {
        loop {
            let mut batch = lock(&self.queue).waiting.pop(BATCH);
            let size = batch.remaining();
            if size == 0 {
                self.filled.notified().await;
                continue;
            }
            stream.write_all_buf(&mut batch).await?;
            place.used();
            {
                let mut queue = lock(&self.queue);
                queue.size -= size;
                if queue.size == 0 {
                    queue.offered = 0;
                }
            }
            self.taken.notify_one();
        }
    }

    /// The client is gone.
    pub(super) fn close(&self) {
        lock(&self.queue).is_gone = true;
        self.taken.notify_one();
    }

    /// How much waits, in bytes.
    #[cfg(test)]
    pub(super) fn size(&self) -> usize {
        lock(&self.queue).size
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use bytes::Bytes;

    use super::*;
    use crate::kernel::places::some_place;

    #[tokio::test]
    async fn who_asks_and_takes_nothing_is_given_little() {
        let frames = Frames::of(vec![vec![0; 100].into()]);
        let outbox = Outbox::default();
        (0..10_000).for_each(|_| outbox.offer(&frames));
        assert!((MOST_OFFERED..MOST_OFFERED + 200).contains(&outbox.size()));
        // What is sent to all comes nevertheless.
        assert!(outbox.takes(&frames, false));
        assert!(outbox.size() >= MOST_OFFERED + 100);
        // Also to one that takes it, and asks again.
        let place = some_place(true);
        let written = outbox.write(tokio::io::sink(), &place);
        let _ = tokio::time::timeout(Duration::ZERO, written).await;
        assert_eq!(outbox.size(), 0);
        outbox.offer(&frames);
        assert!(outbox.size() > 100);
    }

    #[test]
    fn one_that_has_taken_what_waited_goes_on() {
        let frames = Frames::of(vec![Bytes::from_static(b"new")]);
        let outbox = Outbox::default();
        *lock(&outbox.queue) = Queue {
            size: ENOUGH + 1,
            is_left_behind: true,
            ..Queue::default()
        };
        assert!(outbox.takes(&frames, false));
        assert_eq!(outbox.size(), ENOUGH + 1);
        // It learns how the cell has ended that it waits for.
        assert!(outbox.takes(&frames, true));
        assert_eq!(outbox.size(), ENOUGH + 6);
        let large = Frames::of(vec![vec![0; MOST_NEEDED].into()]);
        assert!(outbox.takes(&large, true));
        assert_eq!(outbox.size(), ENOUGH + 6);
        lock(&outbox.queue).size = 0;
        assert!(outbox.takes(&frames, false));
        assert_eq!(outbox.size(), 5);
    }
}
