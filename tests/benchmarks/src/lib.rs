//! Comparisons in pairs: both sides do the same work in the same process, alternating, so that
//! disturbances affect both. The result is the median of the ratios.

use std::fmt;
use std::hint::black_box;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// The number of rounds, in which each side has one turn.
const ROUNDS: usize = 41;
/// The shortest duration of a turn.
const TURN: Duration = Duration::from_millis(5);

/// The ratio between the sides, or their difference: the median and the middle half of the rounds.
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
    /// From the measurements of all rounds.
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

/// The ratio of the times of `ours` and `theirs`.
pub fn compare<A, B>(mut ours: impl FnMut() -> A, mut theirs: impl FnMut() -> B) -> Ratio {
    let our_turn = calibrate(&mut ours);
    let their_turn = calibrate(&mut theirs);
    let rounds = (0..ROUNDS).map(|round| {
        // The second side may find warm caches, or a hot processor.
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

/// The number of repetitions in one turn.
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
    processor_time(ClockId::ThreadCPUTime)
}

fn processor_time(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    Duration::new(
        time.tv_sec.unsigned_abs(),
        u32::try_from(time.tv_nsec).expect("less than a second"),
    )
}

/// The cost of a turn, in seconds.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// Wall-clock time, which other processes on the machine disturb.
    pub wall: f64,
    /// Processor time of all threads of this process.
    pub cpu: f64,
}

/// Gives each side one turn in each of this many rounds; returns the cost of each turn, by side and round.
///
/// The first round is not counted: it opens connections.
pub fn take_turns<const N: usize>(rounds: usize, sides: [&mut dyn FnMut(); N]) -> [Vec<Cost>; N] {
    let mut costs = [const { Vec::new() }; N];
    for round in 0..=rounds {
        for turn in 0..N {
            let side = (round + turn) % N;
            let cost = cost(&mut *sides[side]);
            if round > 0 {
                costs[side].push(cost);
            }
        }
    }
    costs
}

fn cost(work: &mut dyn FnMut()) -> Cost {
    let start = Instant::now();
    let cpu = processor_time(ClockId::ProcessCPUTime);
    work();
    Cost {
        wall: start.elapsed().as_secs_f64(),
        cpu: (processor_time(ClockId::ProcessCPUTime) - cpu).as_secs_f64(),
    }
}

/// The ratio of the processor times of the sides.
#[must_use]
pub fn cpu(ours: &[Cost], theirs: &[Cost]) -> Ratio {
    Ratio::of(ratios(ours, theirs, |cost| cost.cpu))
}

/// The ratio of the wall-clock times of the sides.
#[must_use]
pub fn wall(ours: &[Cost], theirs: &[Cost]) -> Ratio {
    Ratio::of(ratios(ours, theirs, |cost| cost.wall))
}

/// The ratio of the throughputs of the sides.
#[must_use]
pub fn throughput(ours: &[Cost], theirs: &[Cost]) -> Ratio {
    Ratio::of(ratios(theirs, ours, |cost| cost.wall))
}

/// How many milliseconds more one side takes than the other.
#[must_use]
pub fn added(ours: &[Cost], theirs: &[Cost]) -> Ratio {
    let pairs = ours.iter().zip(theirs);
    Ratio::of(
        pairs
            .map(|(ours, theirs)| (ours.wall - theirs.wall) * 1e3)
            .collect(),
    )
}

fn ratios(ours: &[Cost], theirs: &[Cost], what: impl Fn(&Cost) -> f64) -> Vec<f64> {
    let pairs = ours.iter().zip(theirs);
    pairs
        .map(|(ours, theirs)| what(ours) / what(theirs))
        .collect()
}

/// Runs this program again with one thread for each runtime, like tokio's current-thread runtime;
/// returns false if this is that run already. Runtimes read the environment, which can safely be
/// changed only for a new process.
pub fn again_with_one_thread() -> bool {
    let names = ["SMOL_THREADS", "ASYNC_STD_THREAD_COUNT"];
    if names.iter().all(|name| std::env::var_os(name).is_some()) {
        return false;
    }
    let program = std::env::current_exe().expect("a program");
    let status = Command::new(program)
        .args(std::env::args_os().skip(1))
        .envs(names.map(|name| (name, "1")))
        .status();
    assert!(status.expect("another process").success(), "it failed");
    true
}

/// Prints how far to trust ratios that include other processes.
pub fn caution() {
    println!(
        "Ratios: the median of the rounds, and their middle half. Processor time is this process's \
         alone. Time on the wall, and so throughput and latency, also holds the server and whatever \
         else the machine does: on a busy machine trust the processor time.\n"
    );
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
