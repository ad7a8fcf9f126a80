//! Many programs that print at the same time, each to a client of its own, half of them in each dialect.
//!
//! How soon lines arrive is what `tests/benchmarks/benches/lines.rs` measures.

use std::time::Instant;

use futures_util::StreamExt as _;
use futures_util::stream;
use sorna::tokio::{Client, Kernel};
use sorna::{ApiVersion, Config, ExecutionEvent};
use sorna_gateway::{Gateway, GatewayConfig, RunningGateway};

/// How many programs print at the same time, in each dialect.
const PROGRAMS: usize = 100;
/// How many lines each prints.
const LINES: usize = 6;
/// How many kernels are created and destroyed at a time.
const AT_A_TIME: usize = 8;
/// For how long the gateway holds a request of a program that prints nothing, in seconds.
const SILENCE: u64 = 2;

fn client(gateway: &RunningGateway, version: ApiVersion) -> Client {
    let endpoint = gateway.endpoint().parse().expect("an endpoint");
    let config = Config::new(endpoint, gateway.credentials()[0].clone());
    Client::new(config.with_version(version))
}

async fn create(client: &Client) -> Vec<Kernel> {
    let kernels = stream::iter(0..PROGRAMS).map(|_| client.create("bash"));
    let kernels = kernels.buffer_unordered(AT_A_TIME);
    kernels
        .map(|kernel| kernel.expect("a kernel"))
        .collect()
        .await
}

/// Runs a program, and returns what it prints.
async fn printed(kernel: Kernel) -> String {
    let code = format!("for i in {{1..{LINES}}}; do echo line $i; sleep 0.4; done");
    let mut execution = kernel.execute(code);
    let mut text = String::new();
    while let Some(event) = execution.next_event().await.expect("an event") {
        match event {
            ExecutionEvent::Console(console) => text += &console.stdout(),
            other => panic!("{other:?}"),
        }
    }
    text
}

/// Runs a program in each kernel; returns the requests that were made, and the most that there may be.
async fn run_all(gateway: &RunningGateway, kernels: &[Kernel]) -> (u64, u64) {
    let (start, before) = (Instant::now(), gateway.stats().requests);
    let running = kernels.iter().cloned().map(printed).map(tokio::spawn);
    let running: Vec<_> = running.collect();
    let all: String = (1..=LINES).map(|line| format!("line {line}\n")).collect();
    for program in running {
        assert_eq!(program.await.expect("no panic"), all);
    }
    let requests = gateway.stats().requests - before;
    // Each line takes one at most, and silence one every time.
    let silent = start.elapsed().as_secs() / SILENCE;
    let most = LINES as u64 + 2 + silent;
    (requests, most * kernels.len() as u64)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hundreds_of_programs_print_at_the_same_time_and_no_line_is_lost() {
    sorna_gateway::raise_open_files();
    let config = GatewayConfig::new().with_max_kernels_per_key(2 * PROGRAMS);
    let sorna = Gateway::spawn(config.clone()).expect("a gateway");
    let backend = Gateway::spawn(config).expect("a gateway");
    let of_sorna = create(&client(&sorna, ApiVersion::V2_20170315)).await;
    let of_backend = create(&client(&backend, ApiVersion::V9_20250722)).await;
    let ((requests, most), (others, most_of_others)) =
        tokio::join!(run_all(&sorna, &of_sorna), run_all(&backend, &of_backend));
    println!("{requests} requests of Sorna v2, and {others} of Backend.AI");
    assert!(requests <= most, "{requests} of {most}");
    assert!(others <= most_of_others, "{others} of {most_of_others}");
    sorna.stop();
    backend.stop();
}
