//! Kernels of python3 beside those of Jupyter: `jupyter_client` on ipykernel, from `target/jupyter`.
//!
//! Needs the `sorna` command, built for release, for the row of 1,000 executions. This program is the helper of its
//! gateway as well, as in `isolation`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};
use std::thread;
use std::time::Duration;

use sorna::ExecuteMode;
use sorna::blocking::{Client, Kernel};
use sorna_benchmarks::{Ratio, caution, head, row, take_turns, throughput};
use sorna_gateway::{Gateway, GatewayConfig, IsolationLevel};

#[path = "../shared/execute.rs"]
#[allow(dead_code, reason = "others need the rest")]
mod execute;
#[path = "../shared/memory.rs"]
mod memory;
#[path = "../shared/server.rs"]
#[allow(dead_code, reason = "others need the rest")]
mod server;

use execute::config;
use server::Server;

const ROUNDS: usize = 21;
const EXECUTIONS: usize = 1000;
/// The number of kernels whose memory is measured.
const KERNELS: usize = 100;
/// How long the gateway has to put the next kernel in stock, and others to come to rest.
const REST: Duration = Duration::from_millis(300);
/// The argument that turns this program into the helper of its gateway.
const HELPER: &str = "__box";

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|word| word == HELPER) {
        return sorna_gateway::box_main(arguments);
    }
    if let Some(kind) = server::asked_for() {
        serve(kind == "warm");
        return ExitCode::SUCCESS;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let python = root.join("target/jupyter/bin/python");
    if !python.exists() {
        eprintln!("SKIPPED: there is no target/jupyter; tests/README.md says how it gets there");
        return ExitCode::SUCCESS;
    }
    let mut jupyter = Jupyter::start(&python);
    println!("# Kernels of python3 beside those of Jupyter\n");
    caution();
    head();
    starts(&mut jupyter);
    executions(&mut jupyter, &root.join("target/release/sorna"));
    at_rest(&mut jupyter);
    ExitCode::SUCCESS
}

/// A gateway that isolates its kernels by namespaces, with the keys that all benchmarks use.
fn serve(warm: bool) {
    let keys = config(SocketAddr::from(([127, 0, 0, 1], 1)));
    let keys = keys.credentials().expect("it has keys").clone();
    let config = GatewayConfig::new()
        .with_credentials([keys])
        .with_isolation(IsolationLevel::Namespaces)
        .with_require_isolation(true)
        .with_box_program("/proc/self/exe", [HELPER])
        .with_warm_kernels("python3", usize::from(warm))
        .with_max_kernels_per_key(KERNELS + 10)
        .with_max_requests_per_window(u64::MAX);
    let gateway = Gateway::spawn(config).expect("a gateway");
    println!("{}", gateway.endpoint().trim_start_matches("http://"));
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    gateway.stop();
}

/// A program of Python that does with `jupyter_client` what it is told.
struct Jupyter {
    child: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

const PROGRAM: &str = r#"
import sys
from jupyter_client.manager import start_new_kernel

kernels = []
printed = []
def collect(message):
    if message["msg_type"] == "stream":
        printed.append(message["content"]["text"])

for line in sys.stdin:
    order, _, number = line.strip().partition(" ")
    if order == "start":
        for _ in range(int(number)):
            kernels.append(start_new_kernel(kernel_name="python3"))
        print(*(manager.provisioner.pid for manager, _ in kernels), flush=True)
    elif order == "stop":
        for manager, client in kernels:
            client.stop_channels()
            manager.shutdown_kernel(now=True)
        kernels.clear()
        print(flush=True)
    else:
        client = kernels[0][1]
        for _ in range(int(number)):
            client.execute_interactive("print('hello world')", output_hook=collect)
        assert "".join(printed) == "hello world\n" * int(number)
        printed.clear()
        print(flush=True)
"#;

impl Jupyter {
    fn start(python: &Path) -> Self {
        let mut child = Command::new(python)
            .args(["-c", PROGRAM])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a process");
        Self {
            orders: child.stdin.take(),
            answers: BufReader::new(child.stdout.take().expect("a pipe")),
            child,
        }
    }

    /// Gives an order and waits until it is done.
    fn order(&mut self, order: &str) -> String {
        let orders = self.orders.as_mut().expect("a pipe");
        writeln!(orders, "{order}").expect("it is sent");
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("an answer");
        assert!(!answer.is_empty(), "it has ended");
        answer
    }
}

impl Drop for Jupyter {
    fn drop(&mut self) {
        drop(self.orders.take());
        let _ = self.child.wait();
    }
}

/// From nothing to the first response: of ours, that of an execution.
fn starts(jupyter: &mut Jupyter) {
    for kind in ["cold", "warm"] {
        let gateway = Server::start(kind);
        let client = Client::new(config(gateway.address));
        // The first one says which language is in use.
        client
            .create("python3")
            .expect("a kernel")
            .destroy()
            .expect("its end");
        let mut ours = Vec::new();
        let mut theirs = Vec::new();
        for _ in 0..ROUNDS {
            thread::sleep(REST);
            let kernel = std::cell::RefCell::new(None);
            let [one, other] = take_turns_once(
                &mut || {
                    let new = client.create("python3").expect("a kernel");
                    run(&new);
                    *kernel.borrow_mut() = Some(new);
                },
                &mut || {
                    jupyter.order("start 1");
                },
            );
            ours.push(one);
            theirs.push(other);
            jupyter.order("stop");
            let kernel = kernel.take().expect("a kernel");
            kernel.destroy().expect("its end");
        }
        let ratios = theirs.iter().zip(&ours).map(|(theirs, ours)| theirs / ours);
        let what = format!("a python3 kernel, {kind}, from nothing to its first result");
        let against = "ipykernel, until it is ready: times as fast";
        let reach = if kind == "warm" { "100" } else { "-" };
        row(&what, against, Ratio::of(ratios.collect()), reach);
    }
}

/// The seconds that each takes.
fn take_turns_once(ours: &mut dyn FnMut(), theirs: &mut dyn FnMut()) -> [f64; 2] {
    let seconds = |work: &mut dyn FnMut()| {
        let start = std::time::Instant::now();
        work();
        start.elapsed().as_secs_f64()
    };
    [seconds(ours), seconds(theirs)]
}

fn run(kernel: &Kernel) {
    let result = kernel
        .run(ExecuteMode::query(execute::CODE))
        .expect("a result");
    assert_eq!(result.stdout(), "hello world\n");
}

/// 1,000 executions in a living kernel: one command of ours, and a loop of theirs.
fn executions(jupyter: &mut Jupyter, sorna: &PathBuf) {
    if !sorna.exists() {
        eprintln!("SKIPPED: there is no {}", sorna.display());
        return;
    }
    let gateway = Server::start("cold");
    let config = config(gateway.address);
    let client = Client::new(config);
    let kernel = client
        .get_or_create("python3", &"benchmark-token".parse().expect("a token"))
        .expect("a kernel");
    jupyter.order("start 1");
    let mut command = Command::new(sorna);
    command
        .args(["run", "-q", "-t", "benchmark-token", "python3"])
        .args(std::iter::repeat_n(["-c", execute::CODE], EXECUTIONS).flatten())
        .env("SORNA_ENDPOINT", format!("http://{}", gateway.address))
        .env("SORNA_ACCESS_KEY", "AKIAIOSFODNN7EXAMPLE")
        .env(
            "SORNA_SECRET_KEY",
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        )
        .stdin(Stdio::null());
    let [ours, library, theirs] = take_turns(
        5,
        [
            &mut || {
                let output = command.output().expect("the command");
                let lines = output.stdout.split(|byte| *byte == b'\n').count() - 1;
                let errors = String::from_utf8_lossy(&output.stderr);
                assert_eq!(lines, EXECUTIONS, "{errors}");
            },
            &mut || {
                for _ in 0..EXECUTIONS {
                    run(&kernel);
                }
            },
            &mut || {
                jupyter.order(&format!("run {EXECUTIONS}"));
            },
        ],
    );
    let against = "`execute_interactive`: times as fast";
    let what = format!("{EXECUTIONS} executions, `sorna run -t` with {EXECUTIONS} `-c`");
    row(&what, against, throughput(&ours, &theirs), "at least 40");
    let what = format!("{EXECUTIONS} executions, blocking client");
    row(&what, against, throughput(&library, &theirs), "-");
    kernel.destroy().expect("its end");
    jupyter.order("stop");
}

/// What kernels at rest take: the memory of their processes, where shared pages are counted once.
fn at_rest(jupyter: &mut Jupyter) {
    let gateway = Server::start("cold");
    let client = Client::new(config(gateway.address));
    client
        .create("python3")
        .expect("a kernel")
        .destroy()
        .expect("its end");
    let root = [gateway.id()];
    let before = memory::shared_out(&root);
    let kernels: Vec<_> = (0..KERNELS)
        .map(|_| {
            let kernel = client.create("python3").expect("a kernel");
            run(&kernel);
            kernel
        })
        .collect();
    thread::sleep(Duration::from_secs(2));
    let ours = memory::shared_out(&root) - before;
    for kernel in kernels {
        kernel.destroy().expect("its end");
    }
    let processes = jupyter.order(&format!("start {KERNELS}"));
    let processes: Vec<u32> = processes
        .split_whitespace()
        .map(|word| word.parse().expect("a process"))
        .collect();
    thread::sleep(Duration::from_secs(2));
    let theirs = memory::shared_out(&processes);
    jupyter.order("stop");
    let mib = |kib: f64| kib / KERNELS as f64 / 1024.0;
    println!(
        "| memory of {KERNELS} python3 kernels at rest | as many ipykernels | {:.3} | at most 0.167 |",
        ours / theirs
    );
    println!(
        "\nA kernel takes {:.2} MiB, an ipykernel {:.2} MiB.",
        mib(ours),
        mib(theirs)
    );
}
