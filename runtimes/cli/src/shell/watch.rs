//! Signals, and the window's size.

use std::io;
use std::sync::mpsc::{Receiver, Sender, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;

use rustix::termios::tcgetwinsize;
use signal_hook::consts::SIGWINCH;
use signal_hook::iterator::Signals;
use sorna::blocking::{Canceller, PtyWriter};

use super::event::Event;
use crate::failure::Failure;
use crate::lock::lock;
use crate::progress;
use crate::signals::{self, LastWords};
use crate::target::LocalGateway;
use crate::threads::start;

/// Receives a value when the window's size has changed.
pub(super) type Window = Receiver<()>;

/// From now on signals do not end the process but are queued for [`watch`]. Must be called before there
/// is something to clean up.
pub(super) fn catch() -> Result<Signals, Failure> {
    signals::catch_with(&[SIGWINCH])
}

/// What ends the creation of a kernel, as long as it goes on.
#[derive(Clone, Debug, Default)]
pub(super) struct Starting(Arc<Mutex<Stage>>);

#[derive(Debug, Default)]
enum Stage {
    /// Nothing has begun.
    #[default]
    Before,
    Creates(Canceller),
    /// The kernel is there, or is not created any more.
    Over,
}

impl Starting {
    /// From now on signals end the creation, and not the process.
    pub(super) fn begin(&self, canceller: Canceller) {
        *lock(&self.0) = Stage::Creates(canceller);
    }

    /// From now on signals do not end it.
    pub(super) fn is_over(&self) {
        *lock(&self.0) = Stage::Over;
    }

    /// Ends the process if nothing has begun, so that it does not begin.
    fn cancel(&self, end: impl FnOnce()) {
        let mut stage = lock(&self.0);
        if let Stage::Before = *stage {
            return end();
        }
        if let Stage::Creates(canceller) = std::mem::replace(&mut *stage, Stage::Over) {
            // On a separate thread, so that a second signal is noticed meanwhile.
            thread::spawn(move || {
                progress::replace("Stopping... (press Ctrl-C again to quit now)");
                // If this fails, the run tries again and reports the outcome.
                let _ = canceller.cancel();
            });
        }
    }
}

/// Reports signals to stop; the second one, or the first before anything has begun, ends the process at once, after
/// stopping the local gateway and saying the last words.
pub(super) fn watch(
    mut signals: Signals,
    happen: Sender<Event>,
    gateway: LocalGateway,
    starting: Starting,
    words: LastWords,
) -> Result<Window, Failure> {
    // One queued change stands for all that follow, since the size is read when it is sent.
    let (changed, window): (SyncSender<()>, Window) = sync_channel(1);
    start("signals", move || {
        let mut stopping = false;
        let mut last = signals::Last::default();
        for signal in signals.forever() {
            if signal == SIGWINCH {
                let _ = changed.try_send(());
            } else if last.is_repeated(signal) {
            } else if stopping {
                signals::end(signal, &gateway, &words);
            } else {
                stopping = true;
                let _ = happen.send(Event::Signal(signal));
                starting.cancel(|| signals::end(signal, &gateway, &words));
            }
        }
    })?;
    Ok(window)
}

/// Sends the window's new size to the kernel, on a separate thread: sending blocks for as long as
/// the gateway does not read, and signals must not wait for that.
pub(super) fn pass_on(changes: Window, mut writer: PtyWriter) -> Result<(), Failure> {
    start("window", move || {
        for () in changes {
            if let Some((rows, cols)) = size()
                // The reader reports a closed terminal.
                && writer.resize(rows, cols).is_err()
            {
                return;
            }
        }
    })
}

/// The size of our own window, if there is one.
pub(super) fn size() -> Option<(u16, u16)> {
    let size = tcgetwinsize(io::stdout()).ok()?;
    (size.ws_row > 0 && size.ws_col > 0).then_some((size.ws_row, size.ws_col))
}
