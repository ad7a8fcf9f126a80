//! Comparisons in pairs: both sides take turns on the same work in the same process, so that what
//! disturbs the machine disturbs both. What counts is the median of the ratios.

use std::fmt;
use std::hint::black_box;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// How often the sides take turns.
const ROUNDS: usize = 41;
/// How long a side has its turn, at least.
const TURN: Duration = Duration::from_millis(5);

/// How many times as much one side takes as the other: the median and the middle half of the rounds.
#[derive(Clone, Copy, Debug)]
pub struct Ratio {
    /// The median.
    pub median: f64,
    /// A quarter of the rounds are below.
    pub low: f64,
    /// A quarter of the rounds are above.
    pub high: f64,
}

impl Ratio {
    /// Of what was measured in each round.
    #[must_use]
    pub fn of(mut rounds: Vec<f64>) -> Self {
        rounds.sort_by(f64::total_cmp);
        let at = |part: f64| rounds[((rounds.len() - 1) as f64 * part).round() as usize];
        Self {
            median: at(0.5),
            low: at(0.25),
            high: at(0.75),
        }
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.2} ({:.2} to {:.2})",
            self.median, self.low, self.high
        )
    }
}

/// How many times as long `ours` takes as `theirs`.
pub fn compare<A, B>(mut ours: impl FnMut() -> A, mut theirs: impl FnMut() -> B) -> Ratio {
    let our_turn = calibrate(&mut ours);
    let their_turn = calibrate(&mut theirs);
    let rounds = (0..ROUNDS).map(|round| {
        // Whoever comes second may find the caches warm, or the processor hot.
        if round % 2 == 0 {
            let ours = time(our_turn, &mut ours);
            ours / time(their_turn, &mut theirs)
        } else {
            let theirs = time(their_turn, &mut theirs);
            time(our_turn, &mut ours) / theirs
        }
    });
    Ratio::of(rounds.collect())
}

/// How often to do it in one turn.
fn calibrate<T>(work: &mut impl FnMut() -> T) -> u32 {
    let mut times = 1;
    loop {
        let start = Instant::now();
        for _ in 0..times {
            black_box(work());
        }
        if start.elapsed() >= TURN {
            return times;
        }
        times *= 2;
    }
}

/// The processor time of this thread for doing it once, in seconds: other processes do not count.
pub fn time<T>(times: u32, work: &mut impl FnMut() -> T) -> f64 {
    let start = thread_time();
    for _ in 0..times {
        black_box(work());
    }
    (thread_time() - start).as_secs_f64() / f64::from(times)
}

fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(
        time.tv_sec.unsigned_abs(),
        u32::try_from(time.tv_nsec).expect("less than a second"),
    )
}

/// Prints one line of a table in Markdown.
pub fn row(what: &str, against: &str, ratio: Ratio, reach: &str) {
    println!("| {what} | {against} | {ratio} | {reach} |");
}

/// The table's head.
pub fn head() {
    println!("| what | against | ratio | to reach |");
    println!("|---|---|---|---|");
}
