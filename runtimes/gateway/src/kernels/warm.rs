//! Kernels in stock: started before anybody asks for them, and no one's yet.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::config::GatewayConfig;
use crate::kernel::Kernel;
use crate::lock::lock;

/// For how long there must have been no kernel created or destroyed before one is made: its client needs the processors.
const QUIET: Duration = Duration::from_millis(20);
/// How soon after the first failure another kernel of that language is made; twice as late after each further one.
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// After how many failures it becomes no later.
const MAX_DOUBLINGS: u32 = 10;

/// Kernels in stock.
#[derive(Debug)]
pub(super) struct WarmKernels {
    /// How many of each language, by its name.
    wanted: Vec<(String, usize)>,
    /// How long a kernel is kept that no one asks for.
    keep: Duration,
    state: Mutex<State>,
    /// Notified when there may be something to do.
    changed: Notify,
}

#[derive(Debug)]
struct State {
    kernels: Vec<Warm>,
    /// How many are being made or destroyed.
    moving: usize,
    languages: HashMap<String, Language>,
    /// When a kernel was last created or destroyed.
    disturbed: Instant,
}

/// A kernel in stock.
#[derive(Debug)]
struct Warm {
    language: String,
    made: Instant,
    kernel: Kernel,
}

/// What is known of a language.
#[derive(Debug, Default)]
struct Language {
    /// When a kernel was last created that might have been one in stock.
    used: Option<Instant>,
    /// How many kernels in a row could not be made, or ended by themselves.
    failures: u32,
    /// Before then, no other one is made.
    retry: Option<Instant>,
}

/// What to do about the stock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Nothing until something changes, or until so much later.
    Nothing(Option<Duration>),
    /// To make a kernel of this language.
    Kernel(String),
}

impl WarmKernels {
    pub(super) fn new(config: &GatewayConfig) -> Self {
        let wanted = config.warm_kernels().into_iter();
        Self {
            wanted: wanted
                .map(|(name, count)| (name.to_owned(), count))
                .collect(),
            keep: config.warm_time(),
            state: Mutex::new(State {
                kernels: Vec::new(),
                moving: 0,
                languages: HashMap::new(),
                disturbed: Instant::now(),
            }),
            changed: Notify::new(),
        }
    }

    /// Whether there is never one.
    pub(super) fn is_off(&self) -> bool {
        self.wanted.is_empty()
    }

    /// Whether there are kernels of this language, which has this name, at times.
    pub(super) fn has(&self, language: &str) -> bool {
        self.wanted.iter().any(|(name, _)| name == language)
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.lock().kernels.len()
    }

    /// Whether there is none, and none is being made or destroyed.
    pub(super) fn is_empty(&self) -> bool {
        let state = self.lock();
        state.kernels.is_empty() && state.moving == 0
    }

    /// Takes a kernel of a language, the oldest one, for someone.
    pub(super) fn take(&self, language: &str) -> Option<Kernel> {
        let mut state = self.lock();
        let of_language = |warm: &Warm| warm.language == language && warm.kernel.is_fresh();
        let at = state.kernels.iter().position(of_language)?;
        let taken = state.kernels.remove(at).kernel;
        if let Some(known) = state.languages.get_mut(language) {
            (known.failures, known.retry) = (0, None);
        }
        Some(taken)
    }

    /// Notes that a kernel of a language was created for someone, which might have been one of these.
    pub(super) fn note_use(&self, language: &str) {
        let mut state = self.lock();
        state.of(language).used = Some(Instant::now());
        drop(state);
        self.disturb();
    }

    /// Notes that kernels come and go.
    pub(super) fn disturb(&self) {
        if !self.is_off() {
            self.lock().disturbed = Instant::now();
            self.changed.notify_one();
        }
    }

    /// Waits until there may be something to do.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// What to do, while nothing runs.
    pub(super) fn need(&self) -> Need {
        let state = self.lock();
        let now = Instant::now();
        let known = |name: &str| state.languages.get(name);
        let is_used = |name: &str| {
            let used = known(name).and_then(|it| it.used);
            used.is_some_and(|used| now.duration_since(used) < self.keep)
        };
        let count = |name: &str| {
            state
                .kernels
                .iter()
                .filter(|it| it.language == name)
                .count()
        };
        let lacking = self.wanted.iter();
        let lacking = lacking.filter(|(name, wanted)| is_used(name) && count(name) < *wanted);
        let retry = |name: &str| known(name).and_then(|it| it.retry);
        let ready_at = |name: &str| {
            retry(name)
                .into_iter()
                .chain([state.disturbed + QUIET])
                .max()
        };
        let next = lacking.map(|(name, _)| (ready_at(name), name));
        match next.min_by_key(|(at, _)| *at) {
            None => Need::Nothing(None),
            Some((Some(at), _)) if at > now => Need::Nothing(Some(at - now)),
            Some((_, name)) => Need::Kernel(name.clone()),
        }
    }

    /// Notes that a kernel is being made, until [`settle`](Self::settle).
    pub(super) fn begin(&self) {
        self.lock().moving += 1;
    }

    /// Notes that a kernel was made or destroyed.
    pub(super) fn settle(&self) {
        self.lock().moving -= 1;
    }

    /// Puts a kernel in stock; gives it back if the gateway is closing.
    pub(super) fn put(
        &self,
        language: &str,
        kernel: Kernel,
        closing: &AtomicBool,
    ) -> Option<Kernel> {
        let mut state = self.lock();
        // Who closes sets this first, and empties the stock then.
        if closing.load(Ordering::SeqCst) {
            return Some(kernel);
        }
        state.kernels.push(Warm {
            language: language.to_owned(),
            made: Instant::now(),
            kernel,
        });
        None
    }

    /// Notes that a kernel of a language could not be made, or has ended by itself.
    pub(super) fn note_failure(&self, language: &str) {
        self.lock().of(language).note_failure();
    }

    /// Takes those that have been kept for too long or have ended by themselves, to be destroyed. Each counts as being so until
    /// [`settle`](Self::settle).
    pub(super) fn take_outdated(&self) -> Vec<Kernel> {
        self.take_all(|state, at| {
            let warm = &state.kernels[at];
            let is_fresh = warm.kernel.is_fresh();
            let is_outdated = warm.made.elapsed() >= self.keep;
            if !is_fresh {
                let language = warm.language.clone();
                tracing::debug!(language, "a kernel in stock has ended");
                state.of(&language).note_failure();
            }
            is_outdated || !is_fresh
        })
    }

    /// Takes all of them, as [`take_outdated`](Self::take_outdated).
    pub(super) fn empty(&self) -> Vec<Kernel> {
        self.take_all(|_, _| true)
    }

    fn take_all(&self, mut is_meant: impl FnMut(&mut State, usize) -> bool) -> Vec<Kernel> {
        let mut state = self.lock();
        let mut taken = Vec::new();
        for at in (0..state.kernels.len()).rev() {
            if is_meant(&mut state, at) {
                taken.push(state.kernels.remove(at).kernel);
            }
        }
        state.moving += taken.len();
        taken
    }

    /// The beginnings of the marks of their processes.
    pub(super) fn marks(&self) -> Vec<String> {
        let state = self.lock();
        let kernels = state.kernels.iter();
        kernels.map(|it| it.kernel.mark().to_owned()).collect()
    }

    /// The processes that the gateway has started for them, and waits for.
    pub(super) fn own_processes(&self) -> Vec<u32> {
        let state = self.lock();
        let kernels = state.kernels.iter();
        kernels.flat_map(|it| it.kernel.own_processes()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl State {
    fn of(&mut self, language: &str) -> &mut Language {
        self.languages.entry(language.to_owned()).or_default()
    }
}

impl Language {
    fn note_failure(&mut self) {
        let times = 1 << self.failures.min(MAX_DOUBLINGS);
        self.failures = self.failures.saturating_add(1);
        self.retry = Some(Instant::now() + FIRST_RETRY * times);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(600);

    fn stock(keep: Duration) -> WarmKernels {
        let config = GatewayConfig::new()
            .with_warm_kernels("python", 1)
            .with_warm_kernels("bash", 2)
            .with_warm_kernels("r", 0)
            .with_warm_kernels("klingon", 1)
            .with_warm_time(keep);
        WarmKernels::new(&config)
    }

    #[test]
    fn only_languages_that_are_used_and_wanted_are_needed() {
        let stock = stock(LONG);
        assert!(stock.has("python3") && stock.has("bash") && !stock.is_off());
        assert!(!stock.has("r") && !stock.has("klingon"));
        assert_eq!(stock.need(), Need::Nothing(None));
        stock.note_use("ruby");
        assert_eq!(stock.need(), Need::Nothing(None));
        stock.note_use("python3");
        // Not at once: kernels come and go.
        assert!(matches!(stock.need(), Need::Nothing(Some(time)) if time <= QUIET));
        std::thread::sleep(QUIET);
        assert_eq!(stock.need(), Need::Kernel("python3".to_owned()));
    }

    #[test]
    fn a_language_that_was_not_used_for_long_is_not_needed() {
        let stock = stock(Duration::ZERO);
        stock.note_use("python3");
        assert_eq!(stock.need(), Need::Nothing(None));
    }

    #[test]
    fn a_language_that_fails_is_tried_later_and_later() {
        let stock = stock(LONG);
        stock.note_use("python3");
        for seconds in [1, 2, 4, 8] {
            stock.note_failure("python3");
            let Need::Nothing(Some(time)) = stock.need() else {
                panic!("{:?}", stock.need());
            };
            let most = Duration::from_secs(seconds);
            assert!(time > most / 2 && time <= most, "{time:?}");
        }
        for _ in 0..100 {
            stock.note_failure("python3");
        }
        assert!(matches!(stock.need(), Need::Nothing(Some(time)) if time < 3 * LONG));
        // Others are not affected.
        stock.note_use("bash");
        std::thread::sleep(QUIET);
        assert_eq!(stock.need(), Need::Kernel("bash".to_owned()));
    }
}
