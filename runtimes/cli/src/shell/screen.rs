//! The screen of `sorna shell`, to which a thread of its own writes.

use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, TryLockError};
use std::thread;
use std::time::Duration;

use crate::local::Isolated;
use crate::lock::lock;
use crate::reporter::Reporter;

/// How long the end waits for a screen that takes nothing, and how often it looks.
const MOMENT: Duration = Duration::from_millis(10);
const MOMENTS: usize = 50;

/// Standard output. Clones are the same one.
#[derive(Clone, Debug)]
pub(super) struct Screen {
    /// Whether the terminal was left. Locked while something is written.
    is_closed: Arc<Mutex<bool>>,
    /// Of the terminal on which status lines are shown as well.
    reporter: Option<Reporter>,
    /// For programs whose network is not that of this machine.
    isolated: Arc<Mutex<Option<Isolated>>>,
}

impl Screen {
    pub(super) fn new(reporter: &Reporter, isolated: Option<Isolated>) -> Self {
        let is_terminal = io::stdout().is_terminal() && io::stderr().is_terminal();
        Self {
            is_closed: Arc::default(),
            reporter: is_terminal.then(|| reporter.clone()),
            isolated: Arc::new(Mutex::new(isolated)),
        }
    }

    /// Writes this, however long it takes, unless the terminal was left.
    pub(super) fn show(&self, bytes: &[u8]) -> io::Result<()> {
        if let Some(isolated) = lock(&self.isolated).as_mut() {
            isolated.note(&String::from_utf8_lossy(bytes));
        }
        // Piece by piece: after each, the terminal may be left.
        for piece in bytes.chunks(4096) {
            let is_closed = lock(&self.is_closed);
            if *is_closed {
                break;
            }
            if let Some(reporter) = &self.reporter {
                reporter
                    .clone()
                    .note_output(&String::from_utf8_lossy(piece));
            }
            let mut screen = io::stdout().lock();
            screen.write_all(piece).and_then(|()| screen.flush())?;
        }
        Ok(())
    }

    /// Why programs may have failed.
    pub(super) fn advice(&self) -> Option<&'static str> {
        lock(&self.isolated).as_ref()?.advice()
    }

    /// From now on nothing is shown. A piece that the screen does not take is not waited for.
    pub(super) fn close(&self) {
        for _ in 0..MOMENTS {
            match self.is_closed.try_lock() {
                Ok(mut is_closed) => {
                    *is_closed = true;
                    return;
                }
                Err(TryLockError::Poisoned(_)) => return,
                Err(TryLockError::WouldBlock) => thread::sleep(MOMENT),
            }
        }
    }
}
