//! How late the lines of a program arrive that prints one every 0.7 s, by each driver in both dialects, beside a pipe; and
//! how many requests a silent program takes.
//!
//! `cargo bench --bench live -- 40` is for 40 lines. The gateway is in this process, which is its helper as well, as in `isolation`.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sorna::{ApiVersion, Config, ExecutionEvent};
use sorna_gateway::{Gateway, GatewayConfig, IsolationLevel, RunningGateway};

#[path = "../shared/execute.rs"]
#[allow(dead_code, reason = "others need the rest")]
mod execute;

const LINES: usize = 30;
/// The time between two lines.
const INTERVAL: Duration = Duration::from_millis(700);
/// How long the silent program runs.
const SILENCE: Duration = Duration::from_secs(10);
/// The argument that turns this program into the helper of its gateway.
const HELPER: &str = "__box";

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|word| word == HELPER) {
        return sorna_gateway::box_main(arguments);
    }
    let mut numbers = std::env::args().filter_map(|word| word.parse().ok());
    let lines = numbers.next().unwrap_or(LINES);
    let gateway = serve();
    println!("# {lines} lines, one every {} ms\n", INTERVAL.as_millis());
    println!(
        "| driver | dialect | median, ms | 99 %, ms | slowest, ms | requests a second, silent |"
    );
    println!("|---|---|---|---|---|---|");
    println!("| a pipe | - | {} | - |", summary(pipe(lines)));
    for (dialect, version) in [
        ("Sorna v2", ApiVersion::V2_20170315),
        ("Backend.AI", ApiVersion::V9_20250722),
    ] {
        for (driver, work) in DRIVERS {
            let address = gateway.endpoint();
            let address = address.trim_start_matches("http://").parse();
            let config = execute::config(address.expect("an address")).with_version(version);
            let late = work(config.clone(), &program(lines));
            assert_eq!(late.len(), lines, "lines were lost");
            let before = gateway.stats().requests;
            let seconds = SILENCE.as_secs_f64();
            let silent = format!("import time\ntime.sleep({seconds})");
            assert!(work(config, &silent).is_empty(), "it is silent");
            let requests = (gateway.stats().requests - before) as f64 / seconds;
            println!(
                "| {driver} | {dialect} | {} | {requests:.1} |",
                summary(late)
            );
        }
    }
    gateway.stop();
    ExitCode::SUCCESS
}

fn serve() -> RunningGateway {
    let keys = execute::config(SocketAddr::from(([127, 0, 0, 1], 1)));
    let keys = keys.credentials().expect("it has keys").clone();
    let config = GatewayConfig::new()
        .with_credentials([keys])
        .with_isolation(IsolationLevel::Namespaces)
        .with_require_isolation(true)
        .with_box_program("/proc/self/exe", [HELPER])
        .with_exec_timeout(Duration::from_secs(3600));
    Gateway::spawn(config).expect("a gateway")
}

fn program(lines: usize) -> String {
    let interval = INTERVAL.as_secs_f64();
    format!(
        "import time\nfor i in range({lines}):\n    print(time.time(), flush=True)\n    time.sleep({interval})"
    )
}

/// Runs code with a driver, and says how late each of its lines was, in ms.
type Work = fn(Config, &str) -> Vec<f64>;

const DRIVERS: [(&str, Work); 4] = [
    ("tokio", |config, code| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(by_tokio(config, code))
    }),
    ("smol", |config, code| smol::block_on(by_smol(config, code))),
    ("async-std", |config, code| {
        async_std::task::block_on(by_async_std(config, code))
    }),
    ("blocking", by_blocking),
];

/// The same for each runtime.
macro_rules! asynchronous {
    ($name:ident, $client:ty) => {
        async fn $name(config: Config, code: &str) -> Vec<f64> {
            let client = <$client>::new(config);
            let kernel = client.create("python3").await.expect("a kernel");
            let mut execution = kernel.execute(code);
            let mut lateness = Lateness::default();
            while let Some(event) = execution.next_event().await.expect("an event") {
                lateness.see(&event);
            }
            drop(execution);
            kernel.destroy().await.expect("its end");
            lateness.of_lines
        }
    };
}

asynchronous!(by_tokio, sorna::tokio::Client);
asynchronous!(by_smol, sorna::smol::Client);
asynchronous!(by_async_std, sorna::async_std::Client);

fn by_blocking(config: Config, code: &str) -> Vec<f64> {
    let client = sorna::blocking::Client::new(config);
    let kernel = client.create("python3").expect("a kernel");
    let mut execution = kernel.execute(code);
    let mut lateness = Lateness::default();
    while let Some(event) = execution.next_event().expect("an event") {
        lateness.see(&event);
    }
    drop(execution);
    kernel.destroy().expect("its end");
    lateness.of_lines
}

fn pipe(lines: usize) -> Vec<f64> {
    let mut child = Command::new("python3")
        .args(["-c", &program(lines)])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3");
    let output = child.stdout.take().expect("a pipe");
    let mut lateness = Lateness::default();
    for line in BufReader::new(output).lines() {
        lateness.read(&(line.expect("a line") + "\n"));
    }
    child.wait().expect("its end");
    lateness.of_lines
}

/// How late lines arrived that say when they were printed.
#[derive(Default)]
struct Lateness {
    of_lines: Vec<f64>,
    rest: String,
}

impl Lateness {
    fn see(&mut self, event: &ExecutionEvent) {
        if let ExecutionEvent::Console(console) = event {
            self.read(&console.stdout());
        }
    }

    fn read(&mut self, text: &str) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.expect("after 1970").as_secs_f64();
        self.rest.push_str(text);
        while let Some((line, after)) = self.rest.split_once('\n') {
            let printed: f64 = line.parse().expect("a time");
            self.of_lines.push((now - printed) * 1e3);
            self.rest = after.to_owned();
        }
    }
}

/// Cells of the table.
fn summary(mut late: Vec<f64>) -> String {
    late.sort_by(f64::total_cmp);
    let at = |part: f64| late[((late.len() - 1) as f64 * part).round() as usize];
    format!("{:.1} | {:.1} | {:.1}", at(0.5), at(0.99), at(1.0))
}
