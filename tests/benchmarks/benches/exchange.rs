//! A whole execution by each driver, beside a bare exchange of the same bytes on the same runtime,
//! and beside other clients.

use std::future::Future;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::SystemTime;

use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::{AsyncReadExt as _, AsyncWriteExt as _};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use sorna::engine::HttpTransport;
use sorna::runtime::Runtime;
use sorna_benchmarks::{
    Cost, Ratio, again_with_one_thread, caution, cpu, head, row, take_turns, throughput, wall,
};
use sorna_core::{Execute, ExecuteMode, Operation, Signer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

#[path = "../shared/execute.rs"]
mod execute;
#[path = "../shared/server.rs"]
mod server;

use execute::{CODE, bytes_of, config, kernel, message_len, request};
use server::Server;

const ROUNDS: usize = 31;
/// So many requests one after the other are a turn.
const SEQUENCE: usize = 250;
/// So many tasks (or threads) at the same time.
const TASKS: usize = 64;
/// So many requests of each are a turn.
const EACH: usize = 24;

const LATENCY: &str = "at most 1.15";

fn main() {
    if server::asked_for().is_some() {
        return execute::serve(server::announce);
    }
    if again_with_one_thread() {
        return;
    }
    let server = Server::start("answers");
    let address = server.address;
    println!("# A whole execution\n");
    caution();
    one_in_flight(address);
    many_in_flight(address);
    python(address);
}

fn tokio_runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
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

    let costs = take_turns(
        ROUNDS,
        [
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
    let [hyper, tokio, smol, async_std, reqwest, bare, blocking, ureq] = &costs;
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

/// The work of all tasks, spawned as the runtime does it.
async fn on_tasks<W, T>(spawn: impl Fn(W) -> T, work: impl Fn() -> W)
where
    W: Future<Output = ()> + 'static,
    T: Future,
{
    let tasks: Vec<_> = (0..TASKS).map(|_| spawn(work())).collect();
    for task in tasks {
        task.await;
    }
}

fn on_threads(work: impl Fn() + Sync) {
    thread::scope(|scope| {
        for _ in 0..TASKS {
            scope.spawn(&work);
        }
    });
}

async fn executes<R: Runtime>(client: &sorna::Client<HttpTransport<R>>, times: usize) {
    let kernel = client.kernel(kernel());
    for _ in 0..times {
        let result = kernel.execute(CODE).finish().await.expect("a result");
        assert_eq!(result.exit_code(), Some(0));
    }
}

fn blocking_executes(client: &sorna::blocking::Client, times: usize) {
    let kernel = client.kernel(kernel());
    for _ in 0..times {
        let result = kernel.execute(CODE).finish().expect("a result");
        assert_eq!(result.exit_code(), Some(0));
    }
}

/// The same with ureq as it comes, and with no time limits.
fn ureq_executes(agent: &ureq::Agent, address: SocketAddr, times: usize) {
    let signer = Signer::new(config(address));
    for _ in 0..times {
        let execute = Execute::start(kernel(), ExecuteMode::query(CODE));
        let request = execute.request(&signer, SystemTime::now());
        let (parts, body) = request.expect("a request").into_parts();
        let body = body.as_bytes().expect("bytes").to_vec();
        let response = agent.run(Request::from_parts(parts, body));
        let (parts, mut body) = response.expect("an answer").into_parts();
        let body = body.read_to_vec().expect("a body");
        let response = Response::from_parts(parts, Bytes::from(body));
        execute.response(response).expect("a result");
    }
}

/// An exchange with nothing around it, on a stream of futures-io.
struct Bare<S> {
    stream: S,
    request: Vec<u8>,
    buffer: Vec<u8>,
}

impl<S: futures_util::AsyncRead + futures_util::AsyncWrite + Unpin> Bare<S> {
    fn new(stream: S, address: SocketAddr) -> Self {
        Self {
            stream,
            request: bytes_of(&request(address)),
            buffer: vec![0; 16 * 1024],
        }
    }

    async fn exchanges(&mut self, times: usize) {
        for _ in 0..times {
            let sent = self.stream.write_all(&self.request).await;
            sent.expect("it is sent");
            let mut filled = 0;
            while message_len(&self.buffer[..filled]).is_none_or(|length| filled < length) {
                let read = self.stream.read(&mut self.buffer[filled..]).await;
                filled += read.expect("an answer");
            }
        }
    }
}

/// The same on tokio's own traits.
struct TokioBare {
    stream: tokio::net::TcpStream,
    request: Vec<u8>,
    buffer: Vec<u8>,
}

impl TokioBare {
    async fn connect(address: SocketAddr) -> Self {
        let stream = tokio::net::TcpStream::connect(address).await;
        let stream = stream.expect("a connection");
        stream.set_nodelay(true).expect("an option");
        Self {
            stream,
            request: bytes_of(&request(address)),
            buffer: vec![0; 16 * 1024],
        }
    }

    async fn exchanges(&mut self, times: usize) {
        for _ in 0..times {
            let sent = self.stream.write_all(&self.request).await;
            sent.expect("it is sent");
            let mut filled = 0;
            while message_len(&self.buffer[..filled]).is_none_or(|length| filled < length) {
                let read = self.stream.read(&mut self.buffer[filled..]).await;
                filled += read.expect("an answer");
            }
        }
    }
}

/// The same without a runtime.
struct BlockingBare {
    stream: TcpStream,
    request: Vec<u8>,
    buffer: Vec<u8>,
}

impl BlockingBare {
    fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("a connection");
        stream.set_nodelay(true).expect("an option");
        Self {
            stream,
            request: bytes_of(&request(address)),
            buffer: vec![0; 16 * 1024],
        }
    }

    fn exchanges(&mut self, times: usize) {
        for _ in 0..times {
            self.stream.write_all(&self.request).expect("it is sent");
            let mut filled = 0;
            while message_len(&self.buffer[..filled]).is_none_or(|length| filled < length) {
                let read = self.stream.read(&mut self.buffer[filled..]);
                filled += read.expect("an answer");
            }
        }
    }
}

/// A connection of hyper's, its task spawned, with nothing around it.
struct Hyper {
    sender: http1::SendRequest<Full<Bytes>>,
    /// The head is copied for each exchange, as it is used up.
    request: Request<Bytes>,
}

impl Hyper {
    async fn connect(address: SocketAddr) -> Self {
        let stream = tokio::net::TcpStream::connect(address).await;
        let stream = stream.expect("a connection");
        stream.set_nodelay(true).expect("an option");
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .expect("a connection");
        tokio::spawn(connection);
        let (mut parts, body) = request(address).into_parts();
        // hyper writes the target as it is given.
        parts.uri = parts.uri.path().parse().expect("a path");
        let body = Bytes::copy_from_slice(body.as_bytes().expect("bytes"));
        Self {
            sender,
            request: Request::from_parts(parts, body),
        }
    }

    async fn exchanges(&mut self, times: usize) {
        for _ in 0..times {
            let request = self.request.clone().map(Full::new);
            let response = self.sender.send_request(request).await.expect("an answer");
            response.collect().await.expect("a body");
        }
    }
}

/// Connections for tasks that end with each turn.
struct Shelf<T>(Arc<Mutex<Vec<T>>>);

impl<T> Shelf<T> {
    fn take(&self) -> T {
        let mut shelf = self.0.lock().expect("nobody panicked");
        shelf.pop().expect("one for each task")
    }

    fn put(&self, connection: T) {
        self.0.lock().expect("nobody panicked").push(connection);
    }
}

impl<T> FromIterator<T> for Shelf<T> {
    fn from_iter<I: IntoIterator<Item = T>>(connections: I) -> Self {
        Self(Arc::new(Mutex::new(connections.into_iter().collect())))
    }
}

impl<T> Clone for Shelf<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

async fn reqwest_exchanges(client: &reqwest::Client, address: SocketAddr, times: usize) {
    let (parts, body) = request(address).into_parts();
    let url: reqwest::Url = parts.uri.to_string().parse().expect("a URL");
    let body = Bytes::copy_from_slice(body.as_bytes().expect("bytes"));
    for _ in 0..times {
        let request = client.post(url.clone()).headers(parts.headers.clone());
        let response = request.body(body.clone()).send().await.expect("an answer");
        response.bytes().await.expect("a body");
    }
}

/// The original client, which keeps no connection.
fn python(address: SocketAddr) {
    const TIMES: usize = 10;

    let Some(mut python) = Python::start(address) else {
        return eprintln!("SKIPPED: there is no target/python-client; see the README");
    };
    let on_tokio = tokio_runtime();
    let client = sorna::tokio::Client::new(config(address));
    let mut theirs = Vec::new();
    let [ours, _] = take_turns(
        11,
        [
            &mut || on_tokio.block_on(executes(&client, TIMES)),
            &mut || theirs.push(python.executes(TIMES)),
        ],
    );
    // The first round is not counted.
    let theirs = &theirs[1..];
    let against = "sorna-client 0.9.8 (Python, a new connection each)";
    row(
        "latency, 1 in flight, tokio",
        against,
        wall(&ours, theirs),
        "-",
    );
    row(
        "processor time, 1 in flight, tokio",
        against,
        cpu(&ours, theirs),
        "-",
    );
}

struct Python {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Python {
    fn start(address: SocketAddr) -> Option<Self> {
        const SCRIPT: &str = "
import os, sys, time
from sorna.kernel import Kernel
kernel, code = Kernel(sys.argv[1]), sys.argv[2]
for line in sys.stdin:
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(int(line)):
        kernel.execute(code)
    print(time.perf_counter() - wall, time.process_time() - cpu, flush=True)
";
        let program = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../target/python-client/bin/python"
        );
        let mut child = Command::new(program)
            .args(["-c", SCRIPT, kernel().as_str(), CODE])
            .env("SORNA_ENDPOINT", format!("http://{address}"))
            .env("SORNA_ACCESS_KEY", "AKIAIOSFODNN7EXAMPLE")
            .env(
                "SORNA_SECRET_KEY",
                "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            )
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .ok()?;
        Some(Self {
            input: child.stdin.take(),
            output: BufReader::new(child.stdout.take()?),
            child,
        })
    }

    fn executes(&mut self, times: usize) -> Cost {
        let input = self.input.as_mut().expect("a pipe");
        writeln!(input, "{times}").expect("it is told");
        let mut line = String::new();
        self.output.read_line(&mut line).expect("a line");
        let mut numbers = line.split_whitespace().map(|number| number.parse());
        let mut next = || numbers.next().expect("a number").expect("a number");
        Cost {
            wall: next(),
            cpu: next(),
        }
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.child.wait();
    }
}
