//! The last output of a kernel's executions, for those who want to see it again, or from elsewhere.
//!
//! It is a copy: what is in it is not taken from the clients of the executions, and is there whether they have fetched it or
//! not. Each byte has a number, so that a reader can ask for what came after the last one that it has.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use sorna_core::Console;
use tokio::sync::Notify;

use super::console::{Stream, push_bytes, push_text};
use super::gathering::Gathering;
use crate::lock::lock;

const KIB: usize = 1024;
/// The most that is kept of a kernel, in bytes.
const MOST: usize = 256 * KIB;
/// What is kept of each kernel in any case.
const LEAST: usize = 64 * KIB;
/// How much is kept of all kernels together, but for that: where there is more, the logs that grow keep less.
const WHOLE: usize = 8 * 1024 * KIB;
/// What each change between the streams counts, in bytes.
const RUN: usize = size_of::<Run>();
/// How far the rest of a line is dropped whose beginning was dropped.
const LINE: usize = 4 * KIB;

/// How a mark of a [`Batch`](sorna_core::Batch) begins; 16 digits, a word and perhaps an exit code follow. Clients of this
/// project tell the end of a build by them, and nothing else has the character that they begin with before `sorna-`.
const MARK: &[u8] = b"\x1esorna-";
const LONGEST_MARK: usize = 40;

/// What the logs of all kernels take.
#[derive(Debug, Default)]
pub(crate) struct LogSum(AtomicUsize);

/// The last output of a kernel.
#[derive(Debug, Default)]
pub(crate) struct Log {
    kept: Mutex<Kept>,
    /// Notified when there is more, and at the end.
    changed: Notify,
    sum: Arc<LogSum>,
}

/// A part of a log.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct LogPart {
    pub(crate) console: Console,
    /// The number of its first byte.
    pub(crate) from: u64,
    /// The number of the byte after the last.
    pub(crate) next: u64,
    /// Whether the kernel has ended, so that this is the end.
    pub(crate) has_ended: bool,
}

#[derive(Debug, Default)]
struct Kept {
    bytes: VecDeque<u8>,
    /// Which bytes are of which stream, in order.
    runs: VecDeque<Run>,
    /// The number of the first byte.
    start: u64,
    has_ended: bool,
    gathering: Gathering,
}

#[derive(Clone, Copy, Debug)]
struct Run {
    stream: Stream,
    len: usize,
}

impl Log {
    pub(crate) fn new(sum: Arc<LogSum>) -> Self {
        Self {
            kept: Mutex::default(),
            changed: Notify::new(),
            sum,
        }
    }

    /// Adds output. Older output makes room for it.
    pub(crate) fn push(&self, stream: Stream, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let mut kept = self.kept();
        let before = kept.size();
        let others = self.sum.0.load(Relaxed).saturating_sub(before);
        let limit = if others + MOST <= WHOLE { MOST } else { LEAST };
        kept.push(stream, bytes, limit);
        self.count(before, kept.size());
        drop(kept);
        self.changed.notify_waiters();
    }

    /// The kernel has ended.
    pub(crate) fn end(&self) {
        self.kept().has_ended = true;
        self.changed.notify_waiters();
    }

    /// Keeps no more than what is kept in any case.
    pub(crate) fn shrink(&self) {
        let mut kept = self.kept();
        let before = kept.size();
        kept.make_room(0, LEAST);
        kept.bytes.shrink_to_fit();
        kept.runs.shrink_to_fit();
        self.count(before, kept.size());
    }

    /// All of it as text, without marks.
    pub(crate) fn text(&self) -> String {
        let mut text = Vec::new();
        let kept = self.kept();
        kept.each_run(kept.start, |_, bytes, _| text.extend(without_marks(bytes)));
        drop(kept);
        String::from_utf8(text)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
    }

    /// What is there from this byte on, without marks. What may be the beginning of one is not there yet.
    pub(crate) fn read(&self, from: u64) -> LogPart {
        let kept = self.kept();
        let end = kept.end();
        let from = from.clamp(kept.start, end);
        let mut console = Console::new();
        let mut held_back = 0;
        kept.each_run(from, |stream, bytes, is_last| {
            if is_last && !kept.has_ended {
                held_back = unfinished_mark(&bytes);
            }
            push_whole(&mut console, stream, &without_marks(bytes), held_back);
        });
        LogPart {
            console,
            from,
            next: end - held_back as u64,
            has_ended: kept.has_ended,
        }
    }

    /// Waits until there is something from this byte on, or the kernel has ended; then for a moment, so that not each piece
    /// is sent alone.
    pub(crate) async fn grown(&self, from: u64) {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            let part = self.read(from);
            if part.has_ended {
                return;
            }
            if part.next > from.max(part.from) || part.from > from {
                break;
            }
            changed.await;
        }
        let moment = self.kept().gathering.time(Instant::now());
        tokio::time::sleep(moment).await;
        self.kept().gathering.sent(Instant::now(), true);
    }

    fn count(&self, before: usize, after: usize) {
        self.sum.0.fetch_add(after, Relaxed);
        self.sum.0.fetch_sub(before, Relaxed);
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        lock(&self.kept)
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        let size = self.kept().size();
        self.count(size, 0);
    }
}

impl Kept {
    fn size(&self) -> usize {
        self.bytes.len() + self.runs.len() * RUN
    }

    fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }

    fn push(&mut self, stream: Stream, bytes: &[u8], limit: usize) {
        // No more than would be kept.
        let skipped = bytes.len().saturating_sub(limit - RUN);
        if skipped > 0 {
            self.drop_first(self.bytes.len());
        }
        self.make_room(bytes.len() - skipped + RUN, limit);
        self.start += skipped as u64;
        let mut last = &bytes[skipped..];
        if skipped > 0 {
            let cut = beginning(last.iter().copied());
            self.start += cut as u64;
            last = &last[cut..];
        }
        self.bytes.extend(last);
        match self.runs.back_mut() {
            Some(run) if run.stream == stream => run.len += last.len(),
            _ => self.runs.push_back(Run {
                stream,
                len: last.len(),
            }),
        }
    }

    /// Drops the oldest, in whole lines where they are not too long, so that this much more fits: more than that at once, so
    /// that not each small piece takes the time for it.
    fn make_room(&mut self, more: usize, limit: usize) {
        if self.size() + more <= limit {
            return;
        }
        let most = limit - limit / 16;
        while self.size() + more > most && !self.bytes.is_empty() {
            let surplus = self.size() + more - most;
            let run = self.runs.front().map_or(0, |run| run.len);
            self.drop_first(surplus.min(run));
        }
        let cut = beginning(self.bytes.iter().copied());
        self.drop_first(cut);
    }

    fn drop_first(&mut self, count: usize) {
        self.bytes.drain(..count);
        self.start += count as u64;
        let mut rest = count;
        while let Some(run) = self.runs.front_mut() {
            if run.len > rest {
                run.len -= rest;
                return;
            }
            rest -= run.len;
            self.runs.pop_front();
        }
    }

    /// The bytes from one on, by their streams, and whether they are the last.
    fn each_run(&self, from: u64, mut each: impl FnMut(Stream, Vec<u8>, bool)) {
        let from = usize::try_from(from - self.start).unwrap_or(usize::MAX);
        let mut begin = 0;
        for run in &self.runs {
            let end = begin + run.len;
            if end > from {
                let range = begin.max(from)..end;
                let bytes = self.bytes.range(range).copied().collect();
                each(run.stream, bytes, end == self.bytes.len());
            }
            begin = end;
        }
    }
}

/// Where the first whole line begins, if that is near; else the first whole character.
fn beginning(bytes: impl Iterator<Item = u8> + Clone) -> usize {
    let line = bytes.clone().take(LINE).position(|byte| byte == b'\n');
    line.map_or_else(
        || bytes.take(3).take_while(|byte| byte & 0xc0 == 0x80).count(),
        |end| end + 1,
    )
}

/// Adds text, and what is no text as bytes, but for this many bytes at the end.
fn push_whole(console: &mut Console, stream: Stream, bytes: &[u8], held_back: usize) {
    let bytes = &bytes[..bytes.len() - held_back];
    for chunk in bytes.utf8_chunks() {
        push_text(console, stream, chunk.valid());
        push_bytes(console, stream, chunk.invalid());
    }
}

/// How many bytes at the end may be the beginning of a mark.
fn unfinished_mark(bytes: &[u8]) -> usize {
    let near = bytes.len().saturating_sub(LONGEST_MARK);
    let at = bytes[near..].iter().rposition(|byte| *byte == MARK[0]);
    let last = at.map_or(&[][..], |at| &bytes[near + at..]);
    let is_mark = last.starts_with(MARK) || MARK.starts_with(last);
    if is_mark && !last.contains(&b'\n') {
        last.len()
    } else {
        0
    }
}

/// The same without marks. A mark is short, and one that is not is not ours.
fn without_marks(bytes: Vec<u8>) -> Vec<u8> {
    let begins = |bytes: &[u8]| bytes.windows(MARK.len()).position(|window| window == MARK);
    let Some(first) = begins(&bytes) else {
        return bytes;
    };
    let mut kept = Vec::with_capacity(bytes.len());
    let (mut rest, mut at) = (&bytes[..], first);
    loop {
        kept.extend(&rest[..at]);
        rest = &rest[at..];
        let line = rest.iter().take(LONGEST_MARK).position(|it| *it == b'\n');
        let end = line.map_or(MARK.len(), |end| end + 1);
        if line.is_none() {
            kept.extend(MARK);
        }
        rest = &rest[end..];
        match begins(rest) {
            Some(next) => at = next,
            None => {
                kept.extend(rest);
                return kept;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use serde_json::{Value, json};

    use super::Stream::{Stderr, Stdout};
    use super::*;

    fn log() -> Log {
        Log::new(Arc::default())
    }

    fn console(part: &LogPart) -> Value {
        serde_json::to_value(&part.console).unwrap()
    }

    #[test]
    fn readers_get_what_came_after_what_they_have() {
        let log = log();
        assert_eq!(log.read(0), LogPart::default());
        log.push(Stdout, b"one\n");
        log.push(Stdout, b"two");
        log.push(Stderr, b"oops\n");
        log.push(Stdout, "é".as_bytes());
        let whole = json!([
            ["stdout", "one\ntwo"],
            ["stderr", "oops\n"],
            ["stdout", "é"]
        ]);
        let part = log.read(0);
        assert_eq!(
            (console(&part), part.next, part.has_ended),
            (whole, 14, false)
        );
        let part = log.read(5);
        let rest = json!([["stdout", "wo"], ["stderr", "oops\n"], ["stdout", "é"]]);
        assert_eq!((console(&part), part.from), (rest, 5));
        let part = log.read(14);
        assert_eq!((console(&part), part.next), (json!([]), 14));
        // Of another kernel, perhaps.
        assert_eq!(log.read(99).from, 14);
        log.push(Stderr, b"\xffa");
        log.end();
        let part = log.read(14);
        let bytes = json!([["stderr-bytes", "/w=="], ["stderr", "a"]]);
        assert_eq!((console(&part), part.has_ended), (bytes, true));
        assert_eq!(log.text(), "one\ntwooops\né\u{fffd}a");
    }

    #[test]
    fn the_oldest_is_dropped_in_lines_and_its_bytes_are_counted() {
        let log = log();
        let lines: u64 = 40_000;
        for number in 0..lines {
            log.push(Stdout, format!("{number:09}\n").as_bytes());
        }
        let part = log.read(0);
        let expected: String = (part.from / 10..lines)
            .map(|number| format!("{number:09}\n"))
            .collect();
        assert!(part.console.stdout() == expected && part.from.is_multiple_of(10));
        assert_eq!(part.next, 10 * lines);
        let size = log.kept().size();
        assert!((MOST - MOST / 8..=MOST).contains(&size), "{size}");
        log.push(Stdout, &"é".repeat(MOST).into_bytes());
        let part = log.read(0);
        assert!(log.kept().size() <= MOST);
        assert_eq!(part.next, 10 * lines + 2 * MOST as u64);
        assert_eq!(part.console.stdout().len() as u64, part.next - part.from);
        assert!(part.console.stdout().starts_with('é'));
        assert!(log.kept().bytes.capacity() <= 2 * MOST);
    }

    #[test]
    fn changes_between_the_streams_take_room() {
        let log = log();
        for _ in 0..MOST {
            log.push(Stdout, b"o");
            log.push(Stderr, b"e");
        }
        let kept = log.kept();
        assert!(kept.size() <= MOST, "{}", kept.size());
        assert_eq!(kept.end(), 2 * MOST as u64);
    }

    #[test]
    fn many_logs_keep_less_each() {
        let sum = Arc::<LogSum>::default();
        let logs: Vec<_> = (0..100).map(|_| Log::new(Arc::clone(&sum))).collect();
        for log in &logs {
            log.push(Stdout, &b"x".repeat(MOST - RUN));
        }
        let taken = sum.0.load(Relaxed);
        assert!(taken <= WHOLE + 100 * LEAST, "{taken}");
        assert_eq!(logs[99].kept().size(), LEAST);
        logs[0].shrink();
        let size = logs[0].kept().size();
        assert!((LEAST - LEAST / 8..=LEAST).contains(&size), "{size}");
        drop(logs);
        assert_eq!(sum.0.load(Relaxed), 0);
    }

    #[test]
    fn marks_of_batches_are_not_shown() {
        let log = log();
        let nonce = "0123456789abcdef";
        log.push(Stdout, format!("built\n\u{1e}sorna-{nonce} bui").as_bytes());
        let part = log.read(0);
        assert_eq!((&*part.console.stdout(), part.next), ("built\n", 6));
        log.push(Stdout, b"lt 0\nran\n");
        log.push(
            Stdout,
            format!("\u{1e}sorna-{nonce} native\nend\u{1e}").as_bytes(),
        );
        assert_eq!(log.read(6).console.stdout(), "ran\nend");
        assert_eq!(log.text(), "built\nran\nend\u{1e}");
        log.end();
        assert_eq!(log.read(6).console.stdout(), "ran\nend\u{1e}");
        let log = self::log();
        let other = format!("\u{1e}sorna-{}\n", "x".repeat(50));
        log.push(Stdout, other.as_bytes());
        assert_eq!(log.read(0).console.stdout(), other);
        assert_eq!(log.text(), other);
    }

    #[tokio::test]
    async fn readers_wait_for_more() {
        let log = Arc::new(log());
        let (early, late) = (Arc::clone(&log), Arc::clone(&log));
        let waiting = tokio::spawn(async move { early.grown(0).await });
        log.push(Stdout, b"a");
        waiting.await.unwrap();
        log.grown(0).await;
        let waiting = tokio::spawn(async move { late.grown(1).await });
        log.end();
        waiting.await.unwrap();
    }
}
