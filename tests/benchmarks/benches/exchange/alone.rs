//! One side alone: for valgrind, and for the time that it spends in user mode and in the system.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use nix::sys::resource::{Usage, UsageWho, getrusage};
use sorna::engine::HttpTransport;
use sorna::net::{NetOptions, Transport as _};
use sorna::runtime::Tokio;
use sorna_core::Body;

use crate::bare::TokioBare;
use crate::execute::{config, request};
use crate::hyper::Hyper;
use crate::tasks::{
    Shelf, TASKS, executes, on_so_many, on_tasks, reqwest_exchanges, tokio_runtime,
};

/// 64 tasks, or for `tokio` another number of them, each of which makes so many requests, one after the other; twice, and the
/// second time counts.
pub fn run(address: SocketAddr, side: &str, each: usize, number: Option<usize>) {
    let number = number.unwrap_or(TASKS);
    let on_tokio = tokio_runtime();
    let client = sorna::tokio::Client::new(config(address));
    let transport = HttpTransport::new(Tokio, NetOptions::new());
    let hypers = join_all((0..TASKS).map(|_| Hyper::connect(address)));
    let hypers: Shelf<_> = on_tokio.block_on(hypers).into_iter().collect();
    let bares = join_all((0..TASKS).map(|_| TokioBare::connect(address)));
    let bares: Shelf<_> = on_tokio.block_on(bares).into_iter().collect();
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let pooled = Client::builder(TokioExecutor::new()).build(connector);
    let reqwest = reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(60))
        .pool_max_idle_per_host(TASKS)
        .build()
        .expect("a client");
    let once = |each| match side {
        "tokio" => on_tokio.block_on(on_so_many(number, tokio::spawn, || {
            let client = client.clone();
            async move { executes(&client, each).await }
        })),
        "transport" => on_tokio.block_on(on_tasks(tokio::spawn, || {
            let transport = transport.clone();
            async move { transport_exchanges(&transport, address, each).await }
        })),
        "hyper" => on_tokio.block_on(on_tasks(tokio::spawn, || {
            let hypers = hypers.clone();
            async move {
                let mut hyper = hypers.take();
                hyper.exchanges(each).await;
                hypers.put(hyper);
            }
        })),
        "hyper-util" => on_tokio.block_on(on_tasks(tokio::spawn, || {
            let pooled = pooled.clone();
            async move { pooled_exchanges(&pooled, address, each).await }
        })),
        "reqwest" => on_tokio.block_on(on_tasks(tokio::spawn, || {
            let reqwest = reqwest.clone();
            async move { reqwest_exchanges(&reqwest, address, each).await }
        })),
        "bare" => on_tokio.block_on(on_tasks(tokio::spawn, || {
            let bares = bares.clone();
            async move {
                let mut bare = bares.take();
                bare.exchanges(each).await;
                bares.put(bare);
            }
        })),
        other => panic!("there is no side {other}"),
    };
    once(10);
    let before = usage();
    once(each);
    let after = usage();
    let requests = (number * each) as f64;
    let micros = |usec: i64| usec as f64 / requests;
    println!(
        "{side}: {:.2} us user, {:.2} us system",
        micros(after.0 - before.0),
        micros(after.1 - before.1)
    );
}

/// Microseconds in user mode, and in the system.
fn usage() -> (i64, i64) {
    let usage: Usage = getrusage(UsageWho::RUSAGE_SELF).expect("a process has it");
    let of = |time: nix::sys::time::TimeVal| time.tv_sec() * 1_000_000 + time.tv_usec();
    (of(usage.user_time()), of(usage.system_time()))
}

async fn transport_exchanges(transport: &HttpTransport<Tokio>, address: SocketAddr, times: usize) {
    let (parts, body) = request(address).into_parts();
    let body = Bytes::copy_from_slice(body.as_bytes().expect("bytes"));
    for _ in 0..times {
        let request = Request::from_parts(parts.clone(), Body::from(body.clone()));
        let response = transport.send(request, Duration::from_secs(60)).await;
        response.expect("a response");
    }
}

async fn pooled_exchanges(
    client: &Client<HttpConnector, Full<Bytes>>,
    address: SocketAddr,
    times: usize,
) {
    let (parts, body) = request(address).into_parts();
    let body = Bytes::copy_from_slice(body.as_bytes().expect("bytes"));
    for _ in 0..times {
        let request = Request::from_parts(parts.clone(), Full::new(body.clone()));
        let response = client.request(request).await.expect("a response");
        response.collect().await.expect("a body");
    }
}
