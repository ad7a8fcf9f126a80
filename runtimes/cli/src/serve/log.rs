//! The log, which never makes the gateway wait.
//!
//! Standard error may be a pipe, and a write to a full one blocks until it is read. So a thread of its own writes, and
//! takes lines from a queue. Lines that do not fit into the queue are dropped, and counted in the log.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// How many lines may wait.
const LINES: usize = 4096;
/// How long a line may be, in bytes, so that what waits is bounded. The rest is cut off.
const LENGTH: usize = 4096;
/// How long to wait at the end until the last lines are written.
const END: Duration = Duration::from_millis(500);

/// The end of the queue that lines are put into.
#[derive(Clone, Debug)]
pub(super) struct Lines {
    queue: SyncSender<Vec<u8>>,
    dropped: Arc<AtomicU64>,
}

/// Writes what is left when it is dropped, if that can be done soon.
#[derive(Debug)]
pub(super) struct Flush {
    ended: Receiver<()>,
    lines: Arc<Mutex<Option<Lines>>>,
}

/// Where the log's events are written to.
#[derive(Debug)]
pub(super) struct Log(Arc<Mutex<Option<Lines>>>);

/// Begins to write lines to `output`.
pub(super) fn start(output: impl Write + Send + 'static) -> io::Result<(Log, Flush)> {
    let (queue, waiting) = sync_channel(LINES);
    let dropped = Arc::new(AtomicU64::new(0));
    let (end, ended) = sync_channel::<()>(0);
    let count = Arc::clone(&dropped);
    thread::Builder::new()
        .name("sorna-log".to_owned())
        .spawn(move || {
            write_all(output, &waiting, &count);
            drop(end);
        })?;
    let lines = Arc::new(Mutex::new(Some(Lines { queue, dropped })));
    Ok((Log(Arc::clone(&lines)), Flush { ended, lines }))
}

fn write_all(mut output: impl Write, waiting: &Receiver<Vec<u8>>, dropped: &AtomicU64) {
    for line in waiting {
        // Nothing can be said where the log cannot be written.
        let _ = output.write_all(&line);
        let count = dropped.swap(0, Ordering::Relaxed);
        if count > 0 {
            let _ = writeln!(
                output,
                "{count} lines of the log were dropped, because no one read it"
            );
        }
    }
}

fn lock(lines: &Mutex<Option<Lines>>) -> MutexGuard<'_, Option<Lines>> {
    lines.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line {
            text: Vec::new(),
            lines: lock(&self.0).clone(),
        }
    }
}

/// One event of the log, which is put into the queue when it is complete.
#[derive(Debug)]
pub(super) struct Line {
    text: Vec<u8>,
    lines: Option<Lines>,
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let mut text = std::mem::take(&mut self.text);
        if text.is_empty() {
            return;
        }
        if text.len() > LENGTH {
            text.truncate(LENGTH);
            text.extend_from_slice("…\n".as_bytes());
        }
        if let Some(lines) = &self.lines
            && let Err(TrySendError::Full(_)) = lines.queue.try_send(text)
        {
            lines.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Flush {
    fn drop(&mut self) {
        // No line can be added from here on, so the thread ends after the last one.
        drop(lock(&self.lines).take());
        let ended: Result<(), RecvTimeoutError> = self.ended.recv_timeout(END);
        debug_assert!(ended.is_err(), "nothing is sent");
    }
}
