//! Executions by the original client, in a separate process.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use sorna_benchmarks::Cost;

use crate::execute::{CODE, kernel};

pub struct Python {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Python {
    /// Starts it, if it is installed.
    pub fn start(address: SocketAddr) -> Option<Self> {
        const SCRIPT: &str = "
import asyncio, sys, time
from concurrent.futures import ThreadPoolExecutor
import aiohttp
from sorna.asyncio.kernel import AsyncKernel
from sorna.kernel import Kernel

# The original opens sessions by a plain `with`, which aiohttp has given up since.
aiohttp.ClientSession.__enter__ = lambda self: self
aiohttp.ClientSession.__exit__ = lambda self, *_: asyncio.ensure_future(self.close())
kernel, async_kernel, code = Kernel(sys.argv[1]), AsyncKernel(sys.argv[1]), sys.argv[2]
pool = ThreadPoolExecutor(64)
loop = asyncio.new_event_loop()

def sequence(times):
    for _ in range(times):
        kernel.execute(code)

def threads(times):
    list(pool.map(sequence, [times] * 64))

async def task(times):
    for _ in range(times):
        await async_kernel.execute(code)

async def all_tasks(times):
    await asyncio.gather(*(task(times) for _ in range(64)))

def tasks(times):
    loop.run_until_complete(all_tasks(times))

for line in sys.stdin:
    way, times = line.split()
    wall, cpu = time.perf_counter(), time.process_time()
    globals()[way](int(times))
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

    /// Does this many executions in this way: `sequence`, or in each of 64 `threads` or `tasks`.
    pub fn executes(&mut self, way: &str, times: usize) -> Cost {
        let input = self.input.as_mut().expect("a pipe");
        writeln!(input, "{way} {times}").expect("the process reads it");
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
