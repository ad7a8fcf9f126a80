//! How late lines of many programs that print at the same time arrive, by the client library in both dialects.
//!
//! `cargo bench --bench lines -- 200 20` is for 200 programs that print 20 lines each, one every second.
//! This program is the helper of its gateway as well, as in `isolation`.

use std::fs;
use std::io::Read;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::StreamExt as _;
use futures_util::stream;
use sorna::tokio::{Client, Kernel};
use sorna::{ApiVersion, ExecutionEvent};
use sorna_gateway::{Gateway, GatewayConfig, IsolationLevel};

#[path = "../shared/execute.rs"]
#[allow(dead_code, reason = "others need the rest")]
mod execute;
#[path = "../shared/server.rs"]
#[allow(dead_code, reason = "others need the rest")]
mod server;

use server::Server;

const PROGRAMS: usize = 200;
const LINES: usize = 20;
/// The time between two lines of a program.
const INTERVAL: Duration = Duration::from_secs(1);
/// How many kernels are created at a time.
const AT_A_TIME: usize = 8;
/// What a line may take at most, in ms.
const LATEST: f64 = 250.0;
/// The argument that turns this program into the helper of its gateway.
const HELPER: &str = "__box";

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|word| word == HELPER) {
        return sorna_gateway::box_main(arguments);
    }
    if let Some(level) = server::asked_for() {
        serve(&level);
        return ExitCode::SUCCESS;
    }
    let mut numbers = std::env::args().filter_map(|word| word.parse().ok());
    let programs = numbers.next().unwrap_or(PROGRAMS);
    let lines = numbers.next().unwrap_or(LINES);
    println!("# {programs} programs that print a line every second\n");
    println!(
        "| isolation | dialect | median, ms | 99 %, ms | slowest, ms | lines over {LATEST} ms | processor time of the gateway and of the client, in cores | load |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    for level in ["landlock", "namespaces"] {
        for (dialect, version) in [
            ("Sorna v2", ApiVersion::V2_20170315),
            ("Backend.AI", ApiVersion::V9_20250722),
        ] {
            let server = Server::start(level);
            let config = execute::config(server.address).with_version(version);
            let client = Client::new(config);
            let measured = runtime.block_on(measure(&client, server.id(), programs, lines));
            println!("| {level} | {dialect} | {measured} |");
        }
    }
    ExitCode::SUCCESS
}

/// A gateway at that level, with the keys that all benchmarks use.
fn serve(level: &str) {
    let level = match level {
        "landlock" => IsolationLevel::Landlock,
        _ => IsolationLevel::Namespaces,
    };
    sorna_gateway::raise_open_files();
    let keys = execute::config(SocketAddr::from(([127, 0, 0, 1], 1)));
    let keys = keys.credentials().expect("it has keys").clone();
    let config = GatewayConfig::new()
        .with_credentials([keys])
        .with_isolation(level)
        .with_require_isolation(true)
        .with_box_program("/proc/self/exe", [HELPER])
        .with_max_kernels_per_key(10_000)
        .with_exec_timeout(Duration::from_secs(3600))
        .with_max_requests_per_window(u64::MAX);
    let gateway = Gateway::spawn(config).expect("a gateway");
    println!("{}", gateway.endpoint().trim_start_matches("http://"));
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    gateway.stop();
}

/// Runs the programs, and says how late their lines came, as the cells of a row.
async fn measure(client: &Client, gateway: u32, programs: usize, lines: usize) -> String {
    let kernels = stream::iter(0..programs).map(|_| client.create("python3"));
    let kernels: Vec<Kernel> = kernels
        .buffer_unordered(AT_A_TIME)
        .map(|kernel| kernel.expect("a kernel"))
        .collect()
        .await;
    let before = (processor_time(gateway), processor_time(std::process::id()));
    let start = SystemTime::now();
    let running = kernels.iter().enumerate().map(|(number, kernel)| {
        // They begin one after the other, as people's programs do.
        let offset = INTERVAL.mul_f64(number as f64 / programs as f64);
        tokio::spawn(lateness(kernel.clone(), offset, lines))
    });
    let running: Vec<_> = running.collect();
    let mut all = Vec::new();
    for program in running {
        let late = program.await.expect("no panic");
        assert_eq!(late.len(), lines, "lines were lost");
        all.extend(late);
    }
    let wall = start.elapsed().expect("a clock").as_secs_f64();
    let gateway = (processor_time(gateway) - before.0) / wall;
    let own = (processor_time(std::process::id()) - before.1) / wall;
    let load = fs::read_to_string("/proc/loadavg").expect("procfs");
    let load = load.split(' ').next().unwrap_or_default().to_owned();
    stream::iter(kernels)
        .for_each_concurrent(AT_A_TIME, async |kernel| {
            kernel.destroy().await.expect("its end");
        })
        .await;
    all.sort_by(f64::total_cmp);
    let at = |part: f64| all[((all.len() - 1) as f64 * part).round() as usize];
    let over = all.iter().filter(|late| **late > LATEST).count();
    format!(
        "{:.0} | {:.0} | {:.0} | {over} of {} | {gateway:.2}, {own:.2} | {load}",
        at(0.5),
        at(0.99),
        at(1.0),
        all.len(),
    )
}

/// How late each line of a program came, in ms.
async fn lateness(kernel: Kernel, offset: Duration, lines: usize) -> Vec<f64> {
    tokio::time::sleep(offset).await;
    let code = format!(
        "import time\nfor i in range({lines}):\n    print(time.time())\n    time.sleep({})",
        INTERVAL.as_secs_f64()
    );
    let mut execution = kernel.execute(code);
    let (mut late, mut rest) = (Vec::new(), String::new());
    while let Some(event) = execution.next_event().await.expect("an event") {
        let ExecutionEvent::Console(console) = event else {
            continue;
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.expect("after 1970").as_secs_f64();
        rest.push_str(&console.stdout());
        while let Some((line, after)) = rest.split_once('\n') {
            let printed: f64 = line.parse().expect("a time");
            late.push((now - printed) * 1e3);
            rest = after.to_owned();
        }
    }
    late
}

/// The processor time that a process has used, in seconds.
fn processor_time(process: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).expect("procfs");
    let (_, fields) = stat.rsplit_once(')').expect("a name");
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks: f64 = [11, 12]
        .iter()
        .map(|at| fields[*at].parse::<f64>().expect("ticks"))
        .sum();
    ticks / 100.0
}
