//! A whole execution by each driver, beside a bare exchange of the same bytes on the same runtime,
//! and beside other clients.

use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::SystemTime;

use bytes::Bytes;
use futures_util::future::join_all;
use http::{Request, Response};
use sorna_benchmarks::{
    Ratio, again_with_one_thread, caution, cpu, head, row, take_turns, throughput, wall,
};
use sorna_core::{ApiVersion, Execute, ExecuteMode, Operation, Signer};

mod alone;
mod bare;
#[path = "../../shared/execute.rs"]
mod execute;
mod hyper;
mod python;
#[path = "../../shared/server.rs"]
mod server;
mod tasks;

use bare::{Bare, BlockingBare, TokioBare};
use execute::{CODE, RESULT, config, kernel};
use hyper::Hyper;
use python::Python;
use server::Server;
use tasks::{Shelf, TASKS, executes, on_tasks, reqwest_exchanges, tokio_runtime};

const ROUNDS: usize = 31;
/// The number of requests in a turn, one after the other.
const SEQUENCE: usize = 250;
/// The number of requests of each task in a turn.
const EACH: usize = 24;

const LATENCY: &str = "at most 1.15";

fn main() {
    if server::asked_for().is_some() {
        return server::serve_each(execute::serve_one);
    }
    if again_with_one_thread() {
        return;
    }
    let server = Server::start("answers");
    let address = server.address;
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, word, side, each, rest @ ..] = &arguments[..]
        && word == "alone"
    {
        // cargo adds `--bench`.
        let number = rest.first().and_then(|it| it.parse().ok());
        return alone::run(address, side, each.parse().expect("a number"), number);
    }
    println!("# A whole execution\n");
    caution();
    one_in_flight(address);
    many_in_flight(address);
    python(address);
}

fn one_in_flight(address: SocketAddr) {
    let on_tokio = tokio_runtime();
    let tokio_client = sorna::tokio::Client::new(config(address));
    let smol_client = sorna::smol::Client::new(config(address));
    let async_std_client = sorna::async_std::Client::new(config(address));
    let blocking_client = sorna::blocking::Client::new(config(address));
    let mut tokio_bare = on_tokio.block_on(TokioBare::connect(address));
    let mut smol_bare = smol::block_on(async {
        let stream = smol::Async::<TcpStream>::connect(address).await;
        let stream = stream.expect("a connection");
        stream.get_ref().set_nodelay(true).expect("an option");
        Bare::new(stream, address)
    });
    let mut async_std_bare = async_std::task::block_on(async {
        let stream = async_std::net::TcpStream::connect(address).await;
        let stream = stream.expect("a connection");
        stream.set_nodelay(true).expect("an option");
        Bare::new(stream, address)
    });
    let mut blocking_bare = BlockingBare::connect(address);

    let costs = take_turns(
        ROUNDS,
        [
            &mut || on_tokio.block_on(executes(&tokio_client, SEQUENCE)),
            &mut || on_tokio.block_on(tokio_bare.exchanges(SEQUENCE)),
            &mut || smol::block_on(executes(&smol_client, SEQUENCE)),
            &mut || smol::block_on(smol_bare.exchanges(SEQUENCE)),
            &mut || async_std::task::block_on(executes(&async_std_client, SEQUENCE)),
            &mut || async_std::task::block_on(async_std_bare.exchanges(SEQUENCE)),
            &mut || blocking_executes(&blocking_client, SEQUENCE),
            &mut || blocking_bare.exchanges(SEQUENCE),
        ],
    );
    head();
    for (name, pair) in ["tokio", "smol", "async-std", "blocking"]
        .iter()
        .zip(costs.chunks_exact(2))
    {
        let against = "a bare exchange, the same runtime";
        let what = format!("latency, 1 in flight, {name}");
        row(&what, against, wall(&pair[0], &pair[1]), LATENCY);
        let what = format!("processor time, 1 in flight, {name}");
        row(&what, against, cpu(&pair[0], &pair[1]), LATENCY);
    }
}

fn many_in_flight(address: SocketAddr) {
    let on_tokio = tokio_runtime();
    let local = smol::LocalExecutor::new();
    let tokio_client = sorna::tokio::Client::new(config(address));
    let smol_client = sorna::smol::Client::new(config(address));
    let async_std_client = sorna::async_std::Client::new(config(address));
    let blocking_client = sorna::blocking::Client::new(config(address));
    let hypers = join_all((0..TASKS).map(|_| Hyper::connect(address)));
    let hypers: Shelf<_> = on_tokio.block_on(hypers).into_iter().collect();
    let bares = join_all((0..TASKS).map(|_| TokioBare::connect(address)));
    let bares: Shelf<_> = on_tokio.block_on(bares).into_iter().collect();
    let reqwest_client = reqwest::Client::builder()
        .no_proxy()
        .pool_max_idle_per_host(TASKS)
        .build()
        .expect("a client");
    let unlimited = ureq::Agent::new_with_config(
        ureq::Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .accept("")
            .accept_encoding("")
            .user_agent("")
            .max_idle_connections(TASKS)
            .max_idle_connections_per_host(TASKS)
            .build(),
    );

    let signer = Signer::new(config(address));
    let costs = take_turns(
        ROUNDS,
        [
            &mut || {
                for _ in 0..TASKS * EACH {
                    without_network(&signer);
                }
            },
            &mut || {
                on_tokio.block_on(on_tasks(tokio::spawn, || {
                    let hypers = hypers.clone();
                    async move {
                        let mut hyper = hypers.take();
                        hyper.exchanges(EACH).await;
                        hypers.put(hyper);
                    }
                }));
            },
            &mut || {
                on_tokio.block_on(on_tasks(tokio::spawn, || {
                    let client = tokio_client.clone();
                    async move { executes(&client, EACH).await }
                }));
            },
            &mut || {
                smol::block_on(local.run(on_tasks(
                    |work| local.spawn(work),
                    || {
                        let client = smol_client.clone();
                        async move { executes(&client, EACH).await }
                    },
                )));
            },
            &mut || {
                async_std::task::block_on(on_tasks(async_std::task::spawn_local, || {
                    let client = async_std_client.clone();
                    async move { executes(&client, EACH).await }
                }));
            },
            &mut || {
                on_tokio.block_on(on_tasks(tokio::spawn, || {
                    let client = reqwest_client.clone();
                    async move { reqwest_exchanges(&client, address, EACH).await }
                }));
            },
            &mut || {
                on_tokio.block_on(on_tasks(tokio::spawn, || {
                    let bares = bares.clone();
                    async move {
                        let mut bare = bares.take();
                        bare.exchanges(EACH).await;
                        bares.put(bare);
                    }
                }));
            },
            &mut || on_threads(|| blocking_executes(&blocking_client, EACH)),
            &mut || on_threads(|| ureq_executes(&unlimited, address, EACH)),
        ],
    );
    let [
        core,
        hyper,
        tokio,
        smol,
        async_std,
        reqwest,
        bare,
        blocking,
        ureq,
    ] = &costs;
    let line = |what: &str, against: &str, ratio: Ratio, reach: &str| {
        row(&format!("{what}, 64 in flight"), against, ratio, reach);
    };
    let bare_hyper = "bare hyper on tokio";
    line(
        "throughput, tokio",
        bare_hyper,
        throughput(tokio, hyper),
        "at least 1.1",
    );
    line(
        "processor time, tokio",
        bare_hyper,
        cpu(tokio, hyper),
        "at most 1",
    );
    line(
        "throughput, smol",
        bare_hyper,
        throughput(smol, hyper),
        "at least 0.95",
    );
    line("processor time, smol", bare_hyper, cpu(smol, hyper), "-");
    line(
        "throughput, async-std",
        bare_hyper,
        throughput(async_std, hyper),
        "at least 0.9",
    );
    line(
        "processor time, async-std",
        bare_hyper,
        cpu(async_std, hyper),
        "-",
    );
    line(
        "throughput, tokio",
        "reqwest",
        throughput(tokio, reqwest),
        "-",
    );
    line("processor time, tokio", "reqwest", cpu(tokio, reqwest), "-");
    line(
        "processor time, tokio",
        "a bare exchange",
        cpu(tokio, bare),
        "-",
    );
    line(
        "processor time, bare hyper",
        "a bare exchange",
        cpu(hyper, bare),
        "-",
    );
    line(
        "processor time, to sign the request and to read the result alone",
        bare_hyper,
        cpu(core, hyper),
        "-",
    );
    let without = "ureq without time limits, signed and parsed by sorna-core";
    line(
        "throughput, blocking",
        without,
        throughput(blocking, ureq),
        "at least 0.9",
    );
    line(
        "processor time, blocking",
        without,
        cpu(blocking, ureq),
        "at most 1.1",
    );
}

fn on_threads(work: impl Fn() + Sync) {
    thread::scope(|scope| {
        for _ in 0..TASKS {
            scope.spawn(&work);
        }
    });
}

fn blocking_executes(client: &sorna::blocking::Client, times: usize) {
    let kernel = client.kernel(kernel());
    for _ in 0..times {
        let result = kernel.execute(CODE).finish().expect("a result");
        assert_eq!(result.exit_code(), Some(0));
    }
}

/// What every client has to do: build and sign the request, and parse the result.
fn without_network(signer: &Signer) {
    let execute = Execute::start(kernel(), ExecuteMode::query(CODE));
    let request = execute.request(signer, SystemTime::now());
    drop(std::hint::black_box(request.expect("a request")));
    let response = Response::new(Bytes::from_static(RESULT.as_bytes()));
    execute
        .read_response(ApiVersion::default(), response)
        .expect("a result");
}

/// The same with ureq's defaults, which have no time limits.
fn ureq_executes(agent: &ureq::Agent, address: SocketAddr, times: usize) {
    let signer = Signer::new(config(address));
    for _ in 0..times {
        let execute = Execute::start(kernel(), ExecuteMode::query(CODE));
        let request = execute.request(&signer, SystemTime::now());
        let (parts, body) = request.expect("a request").into_parts();
        let body = body.as_bytes().expect("bytes").to_vec();
        let response = agent.run(Request::from_parts(parts, body));
        let (parts, mut body) = response.expect("a response").into_parts();
        let body = body.read_to_vec().expect("a body");
        let response = Response::from_parts(parts, Bytes::from(body));
        execute
            .read_response(ApiVersion::default(), response)
            .expect("a result");
    }
}

/// The original client, which does not reuse connections: one request after the other; 64 threads with its
/// synchronous API; 64 tasks with its asynchronous one.
fn python(address: SocketAddr) {
    let Some(mut python) = Python::start(address) else {
        return eprintln!("SKIPPED: there is no target/python-client; see the README");
    };
    let on_tokio = tokio_runtime();
    let client = sorna::tokio::Client::new(config(address));
    let ways = [
        ("1 in flight", "sequence", 1, 10),
        ("64 in flight", "threads", TASKS, 2),
        ("64 in flight", "tasks", TASKS, 2),
    ];
    for (flight, way, tasks, each) in ways {
        let mut theirs = Vec::new();
        let [ours, _] = take_turns(
            7,
            [
                &mut || {
                    let work = (0..tasks).map(|_| executes(&client, each));
                    on_tokio.block_on(join_all(work));
                },
                &mut || theirs.push(python.executes(way, each)),
            ],
        );
        // The first round is not counted.
        let theirs = &theirs[1..];
        let against = format!("sorna-client 0.9.8 (Python, {way}, a new connection each)");
        let what = |what: &str| format!("{what}, {flight}, tokio");
        row(&what("time"), &against, wall(&ours, theirs), "-");
        row(&what("processor time"), &against, cpu(&ours, theirs), "-");
    }
}
