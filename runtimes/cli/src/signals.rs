//! Signals that stop the command.

use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::lock::lock;
use crate::progress;
use crate::reporter::Reporter;
use crate::style;
use crate::target::LocalGateway;
use crate::threads::start;
use crate::tty;

/// How soon the same signal is no second one: GNU `timeout` and others send it to the process and to its group.
const REPEATED: Duration = Duration::from_millis(200);

/// How long a command may take to stop without a word.
const NOTICED: Duration = Duration::from_secs(5);

/// How long last words may take.
const LAST: Duration = Duration::from_secs(1);

const STOPPING: &str = "Stopping... (press Ctrl-C again to quit now)";

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
/// gateway. A `quiet` command does not say that it stops.
pub(crate) fn watch(
    mut signals: Signals,
    gateway: LocalGateway,
    quiet: bool,
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
                progress::replace(STOPPING);
                stop();
            });
            if !quiet {
                thread::spawn(say_later);
            }
        }
    };
    start("signals", watcher)?;
    Ok(stopped)
}

/// Says where lines stay that the command is about to stop, if that takes a while.
fn say_later() {
    if !style::may_move() {
        thread::sleep(NOTICED);
        Reporter::new(false).remark(STOPPING);
    }
}

/// What is to be said when a signal ends the command, at this moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct LastWords(Arc<Mutex<Option<String>>>);

impl LastWords {
    pub(crate) fn set(&self, words: String) {
        *lock(&self.0) = Some(words);
    }

    pub(crate) fn clear(&self) {
        lock(&self.0).take();
    }

    /// Says it. A terminal or pipe that takes nothing is not waited for.
    fn say(&self) {
        let Some(words) = lock(&self.0).take() else {
            return;
        };
        let (done, is_done) = mpsc::channel();
        thread::spawn(move || {
            Reporter::new(false).advice(words);
            let _ = done.send(());
        });
        let _ = is_done.recv_timeout(LAST);
    }
}

/// Ends the process at the first signal, as by default, but restores the terminal, erases the progress line and says what
/// there is to say before.
pub(crate) fn clean_up_at_exit() -> Result<LastWords, Failure> {
    let mut signals = catch()?;
    let words = LastWords::default();
    let last = words.clone();
    let watcher = move || {
        if let Some(signal) = signals.forever().next() {
            tty::restore();
            progress::erase_at_once();
            last.say();
            std::process::exit(i32::from(Exit::of_signal(signal).code()));
        }
    };
    start("signals", watcher)?;
    Ok(words)
}
