//! Signals that stop the command.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, LazyLock, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::flag;
use signal_hook::iterator::Signals;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::json::{self, Event};
use crate::lock::lock;
use crate::progress;
use crate::reporter::Reporter;
use crate::streams;
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

    /// The command ends by this signal, which was [not one that ends it](catch_with) by itself.
    pub(crate) fn stop(&self, signal: i32) {
        self.set(signal);
        IS_STOPPED.store(true, Relaxed);
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

/// Set by the first of them, once they are caught.
static IS_STOPPED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// From now on [`ENDING`] do not end the process but are queued for [`watch`]. Must be called before there is something to
/// clean up. A reader that does not read standard output or standard error delays no end: after a signal, what is
/// written there is soon given up.
pub(crate) fn catch() -> Result<Signals, Failure> {
    catch_with(&[])
}

/// The same with signals that do not end the command, which may be among [`ENDING`].
pub(crate) fn catch_with(others: &[i32]) -> Result<Signals, Failure> {
    // `nohup` has a command ignore this, so that it goes on without its terminal.
    catch_unless(&[SIGHUP], others)
}

/// The same for what runs in the background: shells without job control, such as that of `$(sorna serve &)`, have it ignore what is
/// typed to end the program in front.
pub(crate) fn catch_in_background(others: &[i32]) -> Result<Signals, Failure> {
    catch_unless(&[SIGHUP, SIGINT, SIGQUIT], others)
}

/// Without those of `kept` that the process was started to ignore.
fn catch_unless(kept: &[i32], others: &[i32]) -> Result<Signals, Failure> {
    let is_left_out =
        |signal: &i32| others.contains(signal) || (kept.contains(signal) && is_ignored(*signal));
    let mut ending = ENDING.to_vec();
    ending.retain(|signal| !is_left_out(signal));
    let catch = || {
        for &signal in &ending {
            flag::register(signal, Arc::clone(&IS_STOPPED))?;
        }
        Signals::new(ending.iter().chain(others))
    };
    let signals = catch().map_err(|error| Failure::System("cannot handle signals", error))?;
    streams::start(|| IS_STOPPED.load(Relaxed))
        .map_err(|error| Failure::System("cannot start a thread", error))?;
    Ok(signals)
}

/// Whether the process was started so that it ignores a signal.
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|set| u64::from_str_radix(set.trim(), 16).ok());
    ignored.is_some_and(|set| set & (1 << (signal - 1)) != 0)
}

/// The last signal, and when it came.
#[derive(Debug)]
pub(crate) struct Last {
    last: Option<(i32, Instant)>,
    repeated: Duration,
}

impl Default for Last {
    fn default() -> Self {
        Self::within(REPEATED)
    }
}

impl Last {
    /// For signals that are no second ones so soon after the first.
    pub(crate) fn within(repeated: Duration) -> Self {
        Self {
            last: None,
            repeated,
        }
    }

    /// Whether this signal is the last one again, rather than another.
    pub(crate) fn is_repeated(&mut self, signal: i32) -> bool {
        let now = Instant::now();
        let is_same = |(last, at)| last == signal && now.duration_since(at) < self.repeated;
        let is_repeated = self.last.is_some_and(is_same);
        if !is_repeated {
            self.last = Some((signal, now));
        }
        is_repeated
    }
}

/// Ends the process at once, after stopping the local gateway.
pub(crate) fn end(signal: i32, gateway: &LocalGateway, words: &LastWords) -> ! {
    wind_up(gateway, words);
    std::process::exit(i32::from(Exit::of_signal(signal).code()));
}

/// The same before anything has begun, whose end is an event as always.
fn end_before(signal: i32, gateway: &LocalGateway, words: &LastWords) -> ! {
    wind_up(gateway, words);
    let exit_code = Exit::of_signal(signal).code();
    let _ = json::emit(&Event::Finished { exit_code });
    std::process::exit(i32::from(exit_code));
}

fn wind_up(gateway: &LocalGateway, words: &LastWords) {
    tty::restore();
    progress::erase_at_once();
    gateway.stop();
    words.say();
}

/// What there is to stop, once there is something.
#[derive(Clone, Default)]
pub(crate) struct Work(Arc<Mutex<Option<Action>>>);

type Action = Arc<dyn Fn() + Send + Sync>;

impl Work {
    /// From now on this stops it, and the command then ends on its own.
    pub(crate) fn begin(&self, stop: impl Fn() + Send + Sync + 'static) {
        *lock(&self.0) = Some(Arc::new(stop));
    }

    /// Stops it; ends the process if it has not begun, so that it does not begin.
    fn stop(&self, end: impl FnOnce()) {
        let work = lock(&self.0);
        match work.clone() {
            None => end(),
            Some(stop) => {
                drop(work);
                stop();
            }
        }
    }
}

/// Watches for signals on a separate thread. The first one stops the work, after which the command is
/// expected to end on its own; if there is no work yet, or by the second one, the process ends at once,
/// after stopping the local gateway and saying the last words. A `quiet` command does not say that it stops.
pub(crate) fn watch(
    mut signals: Signals,
    gateway: LocalGateway,
    quiet: bool,
    words: LastWords,
    work: Work,
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
            let (work, gateway, words) = (work.clone(), gateway.clone(), words.clone());
            // On a separate thread, so that a second signal is noticed meanwhile.
            thread::spawn(move || {
                progress::replace(STOPPING);
                work.stop(|| end_before(signal, &gateway, &words));
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
    clean_up_at_exit_with(|| {})
}

/// The same with something else to do before.
pub(crate) fn clean_up_at_exit_with(
    clean_up: impl FnOnce() + Send + 'static,
) -> Result<LastWords, Failure> {
    let mut signals = catch()?;
    let words = LastWords::default();
    let last = words.clone();
    let watcher = move || {
        if let Some(signal) = signals.forever().next() {
            tty::restore();
            progress::erase_at_once();
            clean_up();
            last.say();
            std::process::exit(i32::from(Exit::of_signal(signal).code()));
        }
    };
    start("signals", watcher)?;
    Ok(words)
}
