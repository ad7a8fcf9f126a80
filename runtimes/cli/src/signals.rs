//! Signals that stop the command.

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::lock::lock;
use crate::progress;
use crate::target::LocalGateway;
use crate::threads::start;
use crate::tty;

/// How soon the same signal is no second one: GNU `timeout` and others send it to the process and to its group.
const REPEATED: Duration = Duration::from_millis(200);

/// The first signal, if there was one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stopped(Arc<Mutex<Option<i32>>>);

impl Stopped {
    pub(crate) fn signal(&self) -> Option<i32> {
        *lock(&self.0)
    }

    fn set(&self, signal: i32) -> bool {
        let mut first = lock(&self.0);
        let is_first = first.is_none();
        first.get_or_insert(signal);
        is_first
    }
}

/// From now on SIGINT, SIGTERM and SIGHUP do not end the process but are queued for [`watch`]. Must be
/// called before there is something to clean up.
pub(crate) fn catch() -> Result<Signals, Failure> {
    Signals::new([SIGINT, SIGTERM, SIGHUP])
        .map_err(|error| Failure::System("cannot handle signals", error))
}

/// Watches for signals on a separate thread. The first one calls `stop`, after which the command is
/// expected to end on its own; the second one ends the process at once, after stopping the local
/// gateway.
pub(crate) fn watch(
    mut signals: Signals,
    gateway: LocalGateway,
    stop: impl Fn() + Clone + Send + 'static,
) -> Result<Stopped, Failure> {
    let stopped = Stopped::default();
    let shared = stopped.clone();
    let watcher = move || {
        let mut last: Option<(i32, Instant)> = None;
        for signal in signals.forever() {
            let now = Instant::now();
            if last.is_some_and(|(last, at)| last == signal && now.duration_since(at) < REPEATED) {
                continue;
            }
            last = Some((signal, now));
            if !shared.set(signal) {
                tty::restore();
                progress::erase_at_once();
                gateway.stop();
                std::process::exit(i32::from(Exit::of_signal(signal).code()));
            }
            let stop = stop.clone();
            // On a separate thread, so that a second signal is noticed meanwhile.
            thread::spawn(move || {
                progress::replace("Stopping... (press Ctrl-C again to quit now)");
                stop();
            });
        }
    };
    start("signals", watcher)?;
    Ok(stopped)
}

/// Ends the process at the first signal, as by default, but restores the terminal and erases the progress line before.
pub(crate) fn clean_up_at_exit() -> Result<(), Failure> {
    let mut signals = catch()?;
    let watcher = move || {
        if let Some(signal) = signals.forever().next() {
            tty::restore();
            progress::erase_at_once();
            std::process::exit(i32::from(Exit::of_signal(signal).code()));
        }
    };
    start("signals", watcher)
}
