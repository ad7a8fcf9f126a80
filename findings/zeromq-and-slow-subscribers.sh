#!/usr/bin/env bash
# The PUB socket of the Rust crate zeromq keeps everything for a subscriber that does not read; that of libzmq drops.
#
# Versions: zeromq 0.7.0 (crates.io); pyzmq 27.1.0 (PyPI) with the libzmq in it, Python 3.11; installed in a temporary folder.
#
# Behavior: libzmq keeps 1,000 messages for each subscriber by default (the high-water mark), besides what the system's
# buffers hold, and drops the others: publishers neither wait nor grow. The crate's PUB has no such mark: 100,000 messages of
# 1 KiB, sent while the subscriber reads nothing, all arrive afterwards, so the publisher has kept what the system did not
# take, without a limit. A publisher that lives for long, as a kernel for Jupyter, has to bound that itself.
#
# Output seen:
#   pyzmq: messages were dropped
#   zeromq: all 100000 messages arrived
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install 'pyzmq==27.1.0'

cat > "$folder/slow.py" <<'PYTHON'
import time

import zmq

context = zmq.Context()
publisher = context.socket(zmq.PUB)
port = publisher.bind_to_random_port("tcp://127.0.0.1")
subscriber = context.socket(zmq.SUB)
subscriber.connect("tcp://127.0.0.1:%d" % port)
subscriber.subscribe(b"")
time.sleep(1)
for _ in range(100_000):
    publisher.send(b"x" * 1024)
received = 0
while subscriber.poll(3000):
    subscriber.recv()
    received += 1
print("pyzmq:", "messages were dropped" if received < 100_000 else "all %d messages arrived" % received)
context.destroy(linger=0)
PYTHON

mkdir "$folder/src"
cat > "$folder/Cargo.toml" <<'TOML'
[package]
name = "finding"
version = "0.0.0"
edition = "2021"

[dependencies]
tokio = { version = "1", features = ["macros", "rt", "time"] }
zeromq = { version = "=0.7.0", default-features = false, features = ["tokio-runtime", "tcp-transport"] }

[workspace]
TOML
cat > "$folder/src/main.rs" <<'RUST'
use std::time::Duration;

use tokio::time::{sleep, timeout};
use zeromq::{PubSocket, Socket, SocketRecv, SocketSend, SubSocket};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut publisher = PubSocket::new();
    let endpoint = publisher.bind("tcp://127.0.0.1:0").await.unwrap();
    let mut subscriber = SubSocket::new();
    subscriber.connect(&endpoint.to_string()).await.unwrap();
    subscriber.subscribe("").await.unwrap();
    sleep(Duration::from_secs(1)).await;
    for _ in 0..100_000 {
        publisher.send("x".repeat(1024).into()).await.unwrap();
    }
    let mut received = 0;
    while let Ok(message) = timeout(Duration::from_secs(3), subscriber.recv()).await {
        message.unwrap();
        received += 1;
    }
    match received {
        100_000 => println!("zeromq: all {received} messages arrived"),
        _ => println!("zeromq: messages were dropped"),
    }
}
RUST

expected='pyzmq: messages were dropped
zeromq: all 100000 messages arrived'
seen=$("$folder/venv/bin/python" "$folder/slow.py"; cd "$folder" && timeout 300 cargo run --quiet)
echo "$seen"
[ "$seen" = "$expected" ] || { echo "this is not what was seen before"; exit 1; }
