//! Terminals by each driver, beside a bare WebSocket of the same crate on the same runtime, and the
//! memory that an open one takes.

use std::hint::black_box;
use std::net::{SocketAddr, TcpStream};

use async_tungstenite::WebSocketStream;
use async_tungstenite::tokio::TokioAdapter;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::{AsyncRead, AsyncWrite, StreamExt};
use serde::Deserialize;
use sorna::net::UpgradeTransport;
use sorna::{Pty, TerminalEvent, TerminalOptions};
use sorna_benchmarks::{again_with_one_thread, caution, cpu, head, row, take_turns, throughput};
use sorna_core::terminal::Command;
use tungstenite::{Message, WebSocket};

#[path = "../shared/execute.rs"]
#[allow(dead_code, reason = "others need the rest")]
mod execute;
#[path = "../shared/memory.rs"]
mod memory;
#[path = "../shared/server.rs"]
mod server;
#[path = "../shared/terminals.rs"]
mod terminals;

use execute::{config, kernel};
use server::Server;
use terminals::{MESSAGE, MESSAGES, POUR};

const ROUNDS: usize = 21;
/// The number of keystrokes in a turn, each after the echo of the one before.
const KEYS: usize = 200;
/// The number of terminals opened to measure their memory, unless the first argument says otherwise.
const TERMINALS: usize = 1000;

fn main() {
    if server::asked_for().is_some() {
        sorna_gateway::raise_open_files();
        return server::serve_each(terminals::serve_one);
    }
    if again_with_one_thread() {
        return;
    }
    let server = Server::start("terminals");
    println!("# Terminals\n");
    caution();
    let mut numbers = std::env::args().skip(1);
    let terminals = numbers.find_map(|argument| argument.parse().ok());
    let terminals = terminals.unwrap_or(TERMINALS);
    beside_bare_ones(server.address);
    beside_decoding(server.address);
    open_ones(server.address, terminals);
}

fn tokio_runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

fn beside_bare_ones(address: SocketAddr) {
    let on_tokio = tokio_runtime();
    let mut tokio_pty = on_tokio.block_on(async {
        let client = sorna::tokio::Client::new(config(address));
        let options = TerminalOptions::default();
        ready(client.kernel(kernel()).stream_pty(options).await).await
    });
    let mut smol_pty = smol::block_on(async {
        let client = sorna::smol::Client::new(config(address));
        let options = TerminalOptions::default();
        ready(client.kernel(kernel()).stream_pty(options).await).await
    });
    let mut async_std_pty = async_std::task::block_on(async {
        let client = sorna::async_std::Client::new(config(address));
        let options = TerminalOptions::default();
        ready(client.kernel(kernel()).stream_pty(options).await).await
    });
    let client = sorna::blocking::Client::new(config(address));
    let kernel = client.kernel(kernel());
    let mut blocking_pty = kernel
        .stream_pty(TerminalOptions::default())
        .expect("a terminal");
    blocking_output(&mut blocking_pty, 2);

    let mut tokio_bare = on_tokio.block_on(tokio_bare(address));
    let mut smol_bare = smol::block_on(async {
        let stream = smol::Async::<TcpStream>::connect(address).await;
        let stream = stream.expect("a connection");
        stream.get_ref().set_nodelay(true).expect("an option");
        bare(stream, address).await
    });
    let mut async_std_bare = async_std::task::block_on(async {
        let stream = async_std::net::TcpStream::connect(address).await;
        let stream = stream.expect("a connection");
        stream.set_nodelay(true).expect("an option");
        bare(stream, address).await
    });
    let mut blocking_bare = blocking_bare(address);

    head();
    for (work, keys) in [
        ("keystrokes and their echo", KEYS),
        ("output, 4 KiB a message", 0),
    ] {
        let costs = take_turns(
            ROUNDS,
            [
                &mut || on_tokio.block_on(typing(&mut tokio_pty, keys)),
                &mut || on_tokio.block_on(bare_typing(&mut tokio_bare, keys)),
                &mut || smol::block_on(typing(&mut smol_pty, keys)),
                &mut || smol::block_on(bare_typing(&mut smol_bare, keys)),
                &mut || async_std::task::block_on(typing(&mut async_std_pty, keys)),
                &mut || async_std::task::block_on(bare_typing(&mut async_std_bare, keys)),
                &mut || blocking_typing(&mut blocking_pty, keys),
                &mut || blocking_bare_typing(&mut blocking_bare, keys),
            ],
        );
        let names = ["tokio", "smol", "async-std", "blocking"];
        for (name, pair) in names.iter().zip(costs.chunks_exact(2)) {
            let against = "a bare WebSocket, the same runtime";
            let ratio = throughput(&pair[0], &pair[1]);
            row(
                &format!("{work} a second, {name}"),
                against,
                ratio,
                "at least 0.8",
            );
            let ratio = cpu(&pair[0], &pair[1]);
            row(
                &format!("{work}, processor time, {name}"),
                against,
                ratio,
                "-",
            );
        }
    }
}

/// The output again, beside a bare WebSocket whose messages are decoded, as every terminal has to.
fn beside_decoding(address: SocketAddr) {
    let on_tokio = tokio_runtime();
    let client = sorna::tokio::Client::new(config(address));
    let mut pty = on_tokio.block_on(async {
        let options = TerminalOptions::default();
        ready(client.kernel(kernel()).stream_pty(options).await).await
    });
    let mut socket = on_tokio.block_on(tokio_bare(address));
    let [ours, theirs] = take_turns(
        ROUNDS,
        [&mut || on_tokio.block_on(typing(&mut pty, 0)), &mut || {
            on_tokio.block_on(decoding(&mut socket))
        }],
    );
    let against = "a bare WebSocket, JSON and base64 by serde_json and base64";
    let ratio = throughput(&ours, &theirs);
    row(
        "output, 4 KiB a message a second, tokio",
        against,
        ratio,
        "-",
    );
    let ratio = cpu(&ours, &theirs);
    row(
        "output, 4 KiB a message, processor time, tokio",
        against,
        ratio,
        "-",
    );
}

async fn decoding<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut WebSocketStream<S>) {
    #[derive(Deserialize)]
    struct Out<'a> {
        data: &'a str,
    }

    socket.send(typed(POUR)).await.expect("it is sent");
    for _ in 0..MESSAGES {
        let message = socket.next().await.expect("a message");
        let message = message.expect("a message").into_text().expect("a text");
        let out: Out<'_> = serde_json::from_str(&message).expect("output");
        black_box(STANDARD.decode(out.data).expect("base64"));
    }
}

/// A terminal that has sent its first output.
async fn ready<T: UpgradeTransport + 'static>(pty: Result<Pty<T>, sorna_core::Error>) -> Pty<T> {
    let mut pty = pty.expect("a terminal");
    output(&mut pty, 2).await;
    pty
}

/// Types this many keystrokes and reads their echo; with 0, reads the output for one.
async fn typing<T: UpgradeTransport + 'static>(pty: &mut Pty<T>, keys: usize) {
    for _ in 0..keys {
        pty.write(b"k").await.expect("it is sent");
        output(pty, 1).await;
    }
    if keys == 0 {
        pty.write(POUR).await.expect("it is sent");
        output(pty, MESSAGES * MESSAGE).await;
    }
}

async fn output<T: UpgradeTransport + 'static>(pty: &mut Pty<T>, mut bytes: usize) {
    while bytes > 0 {
        match pty.next_event().await.expect("an event") {
            Some(TerminalEvent::Output(output)) => bytes -= output.len(),
            other => panic!("{other:?}"),
        }
    }
}

fn blocking_typing(pty: &mut sorna::blocking::Pty, keys: usize) {
    for _ in 0..keys {
        pty.write(b"k").expect("it is sent");
        blocking_output(pty, 1);
    }
    if keys == 0 {
        pty.write(POUR).expect("it is sent");
        blocking_output(pty, MESSAGES * MESSAGE);
    }
}

fn blocking_output(pty: &mut sorna::blocking::Pty, mut bytes: usize) {
    while bytes > 0 {
        match pty.next_event().expect("an event") {
            Some(TerminalEvent::Output(output)) => bytes -= output.len(),
            other => panic!("{other:?}"),
        }
    }
}

/// The messages that a terminal sends, made in advance.
fn typed(bytes: &'static [u8]) -> Message {
    Message::text(Command::Stdin(Bytes::from_static(bytes)).encode())
}

fn url(address: SocketAddr) -> String {
    format!("ws://{address}/v2/stream/kernel/k/pty")
}

/// A WebSocket whose messages are not read.
async fn bare<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    address: SocketAddr,
) -> WebSocketStream<S> {
    let connected = async_tungstenite::client_async(url(address), stream).await;
    let (mut socket, _) = connected.expect("a WebSocket");
    socket.next().await.expect("a message").expect("a message");
    socket
}

async fn tokio_bare(address: SocketAddr) -> WebSocketStream<TokioAdapter<tokio::net::TcpStream>> {
    let stream = tokio::net::TcpStream::connect(address).await;
    let stream = stream.expect("a connection");
    stream.set_nodelay(true).expect("an option");
    bare(TokioAdapter::new(stream), address).await
}

async fn bare_typing<S: AsyncRead + AsyncWrite + Unpin>(
    socket: &mut WebSocketStream<S>,
    keys: usize,
) {
    for _ in 0..keys {
        socket.send(typed(b"k")).await.expect("it is sent");
        socket.next().await.expect("a message").expect("a message");
    }
    if keys == 0 {
        socket.send(typed(POUR)).await.expect("it is sent");
        for _ in 0..MESSAGES {
            socket.next().await.expect("a message").expect("a message");
        }
    }
}

fn blocking_bare(address: SocketAddr) -> WebSocket<TcpStream> {
    let stream = TcpStream::connect(address).expect("a connection");
    stream.set_nodelay(true).expect("an option");
    let (mut socket, _) = tungstenite::client(url(address), stream).expect("a WebSocket");
    socket.read().expect("a message");
    socket
}

fn blocking_bare_typing(socket: &mut WebSocket<TcpStream>, keys: usize) {
    for _ in 0..keys {
        socket.send(typed(b"k")).expect("it is sent");
        socket.read().expect("a message");
    }
    if keys == 0 {
        socket.send(typed(POUR)).expect("it is sent");
        for _ in 0..MESSAGES {
            socket.read().expect("a message");
        }
    }
}

/// Opens this many terminals in one task each, with the first output read and a read pending.
fn open_ones(address: SocketAddr, terminals: usize) {
    sorna_gateway::raise_open_files();
    let on_tokio = tokio_runtime();
    let client = sorna::tokio::Client::new(config(address));
    let open = || async {
        let kernel = client.kernel(kernel());
        ready(kernel.stream_pty(TerminalOptions::default()).await).await
    };
    let kib = on_tokio.block_on(async {
        let mut tasks = Vec::with_capacity(terminals);
        let wait = |mut pty: Pty<sorna::tokio::Transport>| {
            tokio::spawn(async move {
                let event = pty.next_event().await;
                panic!("{event:?}");
            })
        };
        // What the first ones allocate once does not grow with the others.
        for _ in 0..10 {
            tasks.push(wait(open().await));
        }
        tokio::task::yield_now().await;
        let before = memory::resident();
        for _ in 0..terminals {
            tasks.push(wait(open().await));
        }
        tokio::task::yield_now().await;
        let kib = (memory::resident() - before) as f64 / terminals as f64 / 1024.0;
        for task in &tasks {
            assert!(!task.is_finished());
            task.abort();
        }
        kib
    });
    println!("\n| what | measured | to reach |");
    println!("|---|---|---|");
    println!(
        "| memory of each of {terminals} open terminals, tokio | {kib:.1} KiB | at most 24 KiB |"
    );
}
