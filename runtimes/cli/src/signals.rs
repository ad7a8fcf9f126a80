//! Signals that stop the command.

use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
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

/// The signals that end a command. SIGQUIT is Ctrl-\, which people press when Ctrl-C seems to do nothing.
pub(crate) const ENDING: [i32; 4] = [SIGINT, SIGTERM, SIGHUP, SIGQUIT];

/// From now on [`ENDING`] do not end the process but are queued for [`watch`]. Must be called before there is something to
/// clean up.
pub(crate) fn catch() -> Result<Signals, Failure> {
    Signals::new(ENDING).map_err(|error| Failure::System("cannot handle signals", error))
}

/// The last signal, and when it came.
#[derive(Debug, Default)]
pub(crate) struct Last(Option<(i32, Instant)>);

impl Last {
    /// Whether this signal is the last one again, rather than another.
    pub(crate) fn is_repeated(&mut self, signal: i32) -> bool {
        let now = Instant::now();
        let is_same = |(last, at)| last == signal && now.duration_since(at) < REPEATED;
        let is_repeated = self.0.is_some_and(is_same);
        if !is_repeated {
            self.0 = Some((signal, now));
        }
        is_repeated
    }
}

/// Ends the process at once, after stopping the local gateway.
pub(crate) fn end(signal: i32, gateway: &LocalGateway, words: &LastWords) -> ! {
    tty::restore();
    progress::erase_at_once();
    gateway.stop();
    words.say();
    std::process::exit(i32::from(Exit::of_signal(signal).code()));
}

/// Watches for signals on a separate thread. The first one calls `stop`, after which the command is
/// expected to end on its own; the second one ends the process at once, after stopping the local
/// gateway and saying the last words. A `quiet` command does not say that it stops.
pub(crate) fn watch(
    mut signals: Signals,
    gateway: LocalGateway,
    quiet: bool,
    words: LastWords,
    stop: impl Fn() + Clone + Send + 'static,
) -> Result<Stopped, Failure> {
    let stopped = Stopped::default();
    let shared = stopped.clone();
    let watcher = move || {
        let mut last = Last::default();
        for signal in signals.forever() {
            if last.is_repeated(signal) {
                continue;
            }
            if !shared.set(signal) {
                end(signal, &gateway, &words);
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
