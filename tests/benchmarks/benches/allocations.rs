//! Allocations on the heap, counted.

use bytes::Bytes;
use dhat::{HeapStats, Profiler};
use http::Response;
use sorna_core::{
    AccessKey, ApiVersion, Config, Credentials, Execute, ExecuteMode, KernelId, Operation,
    SecretKey, Signer,
};
use std::net::SocketAddr;
use std::time::{Duration, UNIX_EPOCH};

#[path = "../shared/execute.rs"]
#[allow(dead_code, reason = "other benchmarks need the rest")]
mod execute;
#[path = "../shared/results.rs"]
mod results;
#[path = "../shared/server.rs"]
mod server;

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// The number of allocations, and the peak of additional memory.
fn measure<T>(work: impl FnOnce() -> T) -> (u64, usize) {
    let before = HeapStats::get();
    let result = work();
    let after = HeapStats::get();
    drop(result);
    let held = after.max_bytes.saturating_sub(before.curr_bytes);
    (after.total_blocks - before.total_blocks, held)
}

/// Allocations of one execution by the tokio driver, on a connection that it has.
fn exchange(address: SocketAddr) -> f64 {
    const TIMES: u32 = 1000;
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().expect("a runtime");
    let client = sorna::tokio::Client::new(execute::config(address));
    let kernel = client.kernel(execute::kernel());
    let executes = |times| {
        runtime.block_on(async {
            for _ in 0..times {
                let result = kernel.execute(execute::CODE).finish().await;
                result.expect("a result");
            }
        });
    };
    executes(10);
    let _profiler = Profiler::builder().testing().build();
    let (blocks, _) = measure(|| executes(TIMES));
    blocks as f64 / f64::from(TIMES)
}

fn main() {
    if server::asked_for().is_some() {
        return server::serve_each(execute::serve_one);
    }
    // The profiler keeps one peak, so each measurement has its own profiler.
    let keys = Credentials::new(
        AccessKey::new("AKIAIOSFODNN7EXAMPLE").expect("a key"),
        SecretKey::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY").expect("a key"),
    );
    let endpoint = "http://127.0.0.1:8081".parse().expect("an endpoint");
    let signer = Signer::new(Config::new(endpoint, keys));
    let kernel = KernelId::new("zuF1OzMIhFknyjUl7Apbvg").expect("an id");
    let now = UNIX_EPOCH + Duration::from_secs(1_498_699_425);
    let execute = Execute::start(kernel, ExecuteMode::query("x".repeat(270)));
    execute.request(&signer, now).expect("the key is kept");

    println!("| what | measured | to reach |");
    println!("|---|---|---|");
    {
        let _profiler = Profiler::builder().testing().build();
        let (blocks, _) = measure(|| execute.request(&signer, now));
        println!(
            "| allocations for building and signing an execute request | {blocks} | at most 4 |"
        );
    }
    {
        let server = server::Server::start("answers");
        let blocks = exchange(server.address);
        println!("| allocations for an execute, tokio | {blocks:.2} | at most 28 |");
    }
    for (name, body) in results::all() {
        let body: Bytes = body;
        let _profiler = Profiler::builder().testing().build();
        let (blocks, held) =
            measure(|| execute.read_response(ApiVersion::default(), Response::new(body.clone())));
        let part = held as f64 / body.len() as f64;
        println!(
            "| memory for {name}, besides the body and in parts of it ({blocks} allocations) | {part:.2} | at most 1.1 |"
        );
    }
}
