//! How cost grows: executions a second and memory, over the number of kernels that a gateway keeps, and over the number of
//! clients whose requests are in flight.
//!
//! `cargo bench --bench scaling -- ../scaling.svg` draws the chart of tests/README.md as well. The gateway is a process of its
//! own, this program again, and so is the server that answers clients without doing anything.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use std::{fs, thread};

use futures_util::future::join_all;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use sorna::ExecuteMode;
use sorna::tokio::{Client, Kernel};
use sorna_benchmarks::caution;
use sorna_gateway::{Gateway, GatewayConfig, IsolationLevel};

#[path = "../shared/chart.rs"]
mod chart;
#[path = "../shared/execute.rs"]
#[allow(dead_code, reason = "others need the rest")]
mod execute;
#[path = "../shared/memory.rs"]
mod memory;
#[path = "../shared/server.rs"]
mod server;

use chart::{Chart, Panel, Series};
use execute::config;
use server::Server;

const KERNELS: [usize; 4] = [1, 10, 100, 1000];
const CLIENTS: [usize; 5] = [1, 8, 64, 512, 4096];
/// How many executions are in flight at most, each in a kernel of its own.
const AT_ONCE: usize = 8;
/// The executions of a turn, and how often there is one.
const EXECUTIONS: usize = 2000;
const EXCHANGES: usize = 20_000;
const TURNS: usize = 3;
/// The argument that turns this program into the helper of its gateway.
const HELPER: &str = "__box";

/// What was measured with so many kernels, or clients.
struct Point {
    number: usize,
    per_second: f64,
    mebibytes: f64,
}

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|word| word == HELPER) {
        return sorna_gateway::box_main(arguments);
    }
    allow_many_files();
    match server::asked_for().as_deref() {
        Some("gateway") => {
            serve();
            return ExitCode::SUCCESS;
        }
        Some(_) => {
            server::serve_each(execute::serve_one);
            return ExitCode::SUCCESS;
        }
        None => {}
    }
    println!("# How cost grows\n");
    caution();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let kernels = runtime.block_on(over_kernels());
    print("kernels", "the gateway and all kernels", &kernels);
    let clients = runtime.block_on(over_clients());
    print("clients in flight", "this process", &clients);
    if let Some(path) = std::env::args().find(|word| word.ends_with(".svg")) {
        let chart = Chart {
            title: "How cost grows with the number of kernels and of clients",
            panels: vec![
                rates("executions a second by kernels, of the best", &kernels),
                memory_of("MiB of the gateway and its kernels", &kernels),
                rates("exchanges a second by clients, of the best", &clients),
                memory_of("MiB of the clients", &clients),
            ],
        };
        fs::write(&path, chart.to_string()).expect("a file");
        println!("\nDrawn: {path}");
    }
    ExitCode::SUCCESS
}

/// A kernel needs some ten files of its gateway, and a client one.
fn allow_many_files() {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    setrlimit(Resource::RLIMIT_NOFILE, most, most).expect("a limit");
}

/// A gateway that isolates its kernels by namespaces.
fn serve() {
    let keys = config(SocketAddr::from(([127, 0, 0, 1], 1)));
    let keys = keys.credentials().expect("it has keys").clone();
    let most = KERNELS[KERNELS.len() - 1];
    let config = GatewayConfig::new()
        .with_credentials([keys])
        .with_isolation(IsolationLevel::Namespaces)
        .with_require_isolation(true)
        .with_box_program("/proc/self/exe", [HELPER])
        .with_max_kernels_per_key(most)
        .with_max_requests_per_window(u64::MAX);
    let gateway = Gateway::spawn(config).expect("a gateway");
    println!("{}", gateway.endpoint().trim_start_matches("http://"));
    let _ = std::io::Read::read_to_end(&mut std::io::stdin(), &mut Vec::new());
    gateway.stop();
}

async fn over_kernels() -> Vec<Point> {
    let gateway = Server::start("gateway");
    let client = Client::new(config(gateway.address));
    let mut kernels: Vec<Kernel> = Vec::new();
    let mut points = Vec::new();
    for number in KERNELS {
        while kernels.len() < number {
            kernels.push(client.create("bash").await.expect("a kernel"));
        }
        // Each has run something, so that all of its memory is there.
        for kernel in &kernels {
            run(kernel).await;
        }
        thread::sleep(Duration::from_secs(2));
        let mebibytes = memory::shared_out(&[gateway.id()]) / 1024.0;
        let at_once = number.min(AT_ONCE);
        let work = EXECUTIONS / at_once * at_once;
        points.push(Point {
            number,
            per_second: rate(work, async || in_turn(&kernels, at_once).await).await,
            mebibytes,
        });
    }
    // All are there, and few of them have work.
    let few = &kernels[..KERNELS[1]];
    let best = points.iter().map(|it| it.per_second).fold(0.0, f64::max);
    let of_few = rate(EXECUTIONS, async || in_turn(few, AT_ONCE).await).await;
    println!(
        "With {} kernels, in {} of them alone: {:.2} of the best.",
        kernels.len(),
        few.len(),
        of_few / best
    );
    for kernel in kernels {
        kernel.destroy().await.expect("its end");
    }
    points
}

/// As many executions as make a turn, in all these kernels, of which so many run at the same time.
async fn in_turn(kernels: &[Kernel], at_once: usize) {
    let share = kernels.len() / at_once;
    let tasks = kernels.chunks(share).take(at_once).map(async |some| {
        let turns = some.iter().cycle().take(EXECUTIONS / at_once);
        for kernel in turns {
            run(kernel).await;
        }
    });
    join_all(tasks).await;
}

async fn run(kernel: &Kernel) {
    let result = kernel.run(ExecuteMode::query("echo hello world")).await;
    assert_eq!(result.expect("a result").stdout(), "hello world\n");
}

/// Executions that a server answers at once, with so many in flight.
async fn over_clients() -> Vec<Point> {
    let server = Server::start("answers");
    let mut points = Vec::new();
    for number in CLIENTS {
        let client = Client::new(config(server.address));
        let before = memory::resident();
        let turn = async || {
            let tasks = (0..number).map(async |_| {
                for _ in 0..EXCHANGES.div_ceil(number) {
                    let kernel = client.kernel(execute::kernel());
                    let result = kernel.run(ExecuteMode::query(execute::CODE)).await;
                    assert_eq!(result.expect("a result").stdout(), "hello world\n");
                }
            });
            join_all(tasks).await;
        };
        memory::forget_peak();
        let per_second = rate(EXCHANGES.div_ceil(number) * number, turn).await;
        // At least a page: what was there before may do, and a logarithm has to be.
        let added = memory::peak().saturating_sub(before).max(4096);
        points.push(Point {
            number,
            per_second,
            mebibytes: added as f64 / f64::from(1 << 20),
        });
    }
    points
}

/// The best of several turns, after one that is not counted: others who use the processors make it only worse.
async fn rate(work: usize, turn: impl AsyncFn()) -> f64 {
    turn().await;
    let mut best: f64 = 0.0;
    for _ in 0..TURNS {
        let start = Instant::now();
        turn().await;
        best = best.max(work as f64 / start.elapsed().as_secs_f64());
    }
    best
}

/// Rates as parts of the best one: absolute ones say something of this machine only.
fn print(what: &str, whose: &str, points: &[Point]) {
    let best = points.iter().map(|it| it.per_second).fold(0.0, f64::max);
    println!("\n| {what} | a second, of the best | memory of {whose}, MiB |\n|---|---|---|");
    for point in points {
        println!(
            "| {} | {:.2} | {:.2} |",
            point.number,
            point.per_second / best,
            point.mebibytes
        );
    }
}

/// Rates as parts of the best one, as in the tables.
fn rates<'t>(title: &'t str, points: &[Point]) -> Panel<'t> {
    let best = points.iter().map(|it| it.per_second).fold(0.0, f64::max);
    panel(title, points, |it| it.per_second / best)
}

fn memory_of<'t>(title: &'t str, points: &[Point]) -> Panel<'t> {
    panel(title, points, |it| it.mebibytes)
}

fn panel<'t>(title: &'t str, points: &[Point], value: impl Fn(&Point) -> f64) -> Panel<'t> {
    let points = points.iter().map(|it| (it.number as f64, value(it)));
    Panel {
        title,
        series: Series(points.collect()),
    }
}
