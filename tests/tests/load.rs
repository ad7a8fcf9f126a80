//! Many executions and open terminals at the same time, by one client of the tokio driver.
//!
//! `LOAD=10` runs 10 % of it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream::{self, FuturesUnordered};
use sorna::tokio::{Client, Kernel, Pty};
use sorna::{Config, TerminalEvent, TerminalOptions};
use sorna_gateway::{Gateway, GatewayConfig, RunningGateway};
use sorna_test_tools::need_that;
use sorna_tests::proxy::Proxy;

/// Kernels that execute something at the same time.
const KERNELS: usize = 1000;
/// The delay of each response.
const LATENCY: Duration = Duration::from_millis(500);
/// Terminals that are open at the same time.
const TERMINALS: usize = 2000;
/// The shells behind them: a kernel has one, which its terminals share.
const SHELLS: usize = 20;
/// The open files that the whole load needs.
const OPEN_FILES: usize = 13_000;
/// How many requests are in flight at most while kernels are created and destroyed.
const AT_A_TIME: usize = 16;

/// The share of the load that `LOAD` asks for and the limit on open files allows.
fn scaled(number: usize) -> usize {
    let asked = std::env::var("LOAD").map_or(100, |load| load.parse().expect("a percentage"));
    let possible = open_files() * 100 / OPEN_FILES;
    let what =
        format!("a limit of {OPEN_FILES} open files (ulimit -n), for more than {possible} %,");
    let _ = need_that(possible >= asked, &what);
    (number * asked.min(possible) / 100).max(1)
}

/// How many files this process may open.
fn open_files() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").expect("procfs");
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number
        .and_then(|number| number.parse().ok())
        .unwrap_or(usize::MAX / 100)
}

/// The resident memory of this process, in KiB.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("procfs");
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
    number.expect("VmRSS")
}

fn gateway() -> RunningGateway {
    let config = GatewayConfig::new()
        .with_max_kernels_per_key(KERNELS)
        .with_exec_timeout(Duration::from_secs(300));
    Gateway::spawn(config).expect("a gateway")
}

fn client(gateway: &RunningGateway, endpoint: &str) -> Client {
    let endpoint = endpoint.parse().expect("an endpoint");
    let config = Config::new(endpoint, gateway.credentials()[0].clone());
    Client::new(config.with_version(sorna::ApiVersion::V2_20170315))
}

async fn create(client: &Client, number: usize) -> Vec<Kernel> {
    let kernels = stream::iter(0..number).map(|_| client.create("bash"));
    let kernels = kernels.buffer_unordered(AT_A_TIME);
    kernels
        .map(|kernel| kernel.expect("a kernel"))
        .collect()
        .await
}

async fn destroy(kernels: Vec<Kernel>) {
    let destroyed = stream::iter(&kernels).map(Kernel::destroy);
    let destroyed = destroyed.buffer_unordered(AT_A_TIME);
    destroyed
        .for_each(|destroyed| async { destroyed.expect("destroyed") })
        .await;
}

/// Every kernel executes, all at the same time, through a slow network.
async fn executions(gateway: &RunningGateway) {
    let address = gateway.endpoint().strip_prefix("http://").expect("HTTP");
    let proxy = Proxy::start(address.parse::<SocketAddr>().expect("an address"));
    let client = client(gateway, &proxy.endpoint());
    let number = scaled(KERNELS);
    let start = Instant::now();
    let kernels = create(&client, number).await;
    let created = start.elapsed();
    proxy.slow_down(LATENCY);
    let start = Instant::now();
    let mut executions: FuturesUnordered<_> = (0..number)
        .map(|index| {
            let execution = kernels[index].execute(format!("echo {index}-$((6 * 7))"));
            async move { (index, execution.finish().await) }
        })
        .collect();
    while let Some((index, result)) = executions.next().await {
        let result = result.unwrap_or_else(|error| panic!("the {index}th: {error:?}"));
        assert_eq!(result.console.stdout(), format!("{index}-42\n"));
    }
    drop(executions);
    println!(
        "{number} kernels: created in {created:.1?}; all executed at the same time in {:.1?}, \
         of which {LATENCY:?} are the network's",
        start.elapsed()
    );
    proxy.slow_down(Duration::ZERO);
    destroy(kernels).await;
    assert_eq!(gateway.stats().executions, number as u64, "each ran once");
}

async fn read_until(pty: &mut Pty, end: &str) {
    let mut all = String::new();
    while !all.contains(end) {
        match pty.next_event().await.expect("an event") {
            Some(TerminalEvent::Output(bytes)) => all += &String::from_utf8_lossy(&bytes),
            Some(_) => {}
            None => panic!("closed after {all:?}"),
        }
    }
}

/// Terminals that are all open, and all show the output.
async fn terminals(gateway: &RunningGateway) {
    let client = client(gateway, gateway.endpoint());
    let number = scaled(TERMINALS);
    let kernels = create(&client, SHELLS).await;
    let open = |index: usize| {
        let kernel = &kernels[index % SHELLS];
        async move {
            kernel
                .stream_pty(TerminalOptions::default())
                .await
                .expect("a terminal")
        }
    };
    // Starts the shells, and everything that is allocated once.
    for index in 0..SHELLS {
        let mut pty = open(index).await;
        pty.write(b"PS1=; echo $((5 * 5))-first\n")
            .await
            .expect("typed");
        read_until(&mut pty, "25-first").await;
        pty.close().await.expect("closed");
    }
    let before = resident();
    let start = Instant::now();
    let mut all: Vec<Pty> = stream::iter(0..number)
        .map(open)
        .buffered(AT_A_TIME)
        .collect()
        .await;
    let opened = start.elapsed();
    for pty in all.iter_mut().take(SHELLS) {
        pty.write(b"echo $((6 * 7))-yes\n").await.expect("typed");
    }
    let mut reading: FuturesUnordered<_> = all
        .iter_mut()
        .map(|pty| read_until(pty, "42-yes"))
        .collect();
    while reading.next().await.is_some() {}
    drop(reading);
    let after = resident();
    println!(
        "{number} terminals on {SHELLS} shells: opened in {opened:.1?}; {:.1} KiB each, of client \
         and gateway together",
        after.saturating_sub(before) as f64 / number as f64
    );
    drop(all);
    destroy(kernels).await;
}

#[test]
fn many_executions_and_terminals_at_the_same_time() {
    sorna_gateway::raise_open_files();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    for load in ["terminals", "executions"] {
        let gateway = gateway();
        runtime.block_on(async {
            match load {
                "terminals" => terminals(&gateway).await,
                _ => executions(&gateway).await,
            }
        });
        assert_eq!(gateway.stats().kernels, 0);
        gateway.stop();
    }
}
