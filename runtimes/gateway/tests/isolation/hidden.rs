//! Memory and files that programs hide from the gateway: with and without namespaces.

use std::path::Path;

use sorna_core::{KernelId, Limits};
use sorna_gateway::{GatewayConfig, RunningGateway};

use crate::common::{self, Client, wait_until};
use crate::setting::{gateway_with, long_time};

const MIB: u64 = 1 << 20;

/// Holds something where the first thread does not show it: `hide.py HOW WHAT`.
const HIDE: &str = r#"
import ctypes, os, platform, sys, tempfile, threading, time

libc = ctypes.CDLL(None, use_errno=True)
how, what = sys.argv[1:3]

def fill(file):
    for _ in range(150 if what == "memfd" else 30):
        os.write(file, bytes(1 << 20))

def hold():
    if how == "ended":
        while open(f"/proc/self/task/{os.getpid()}/stat").read().rsplit(")")[-1].split()[0] != "Z":
            time.sleep(0.01)
    # close_range with CLOSE_RANGE_UNSHARE
    elif libc.syscall(436, 1 << 20, 1 << 20, 2):
        print("no descriptors of its own", ctypes.get_errno(), flush=True)
        os._exit(1)
    held = None
    if what == "memory":
        held = bytearray(b"x") * (60 << 20)
    elif what == "memfd":
        fill(os.memfd_create("hidden"))
    elif what == "file":
        file, name = tempfile.mkstemp(dir=".")
        os.unlink(name)
        fill(file)
    print("held", flush=True)
    time.sleep(20)
    os._exit(0)

threading.Thread(target=hold).start()
if how == "ended":
    libc.syscall(60 if platform.machine() == "x86_64" else 93, 0)
time.sleep(30)
"#;

/// Without namespaces, and with them where there are any.
fn gateways(change: impl Fn(GatewayConfig) -> GatewayConfig) -> Vec<RunningGateway> {
    let plain = common::gateway_with(&change);
    [plain].into_iter().chain(gateway_with(change)).collect()
}

fn kernel(client: &Client) -> KernelId {
    let limits = Limits::default().with_max_memory(100 * MIB);
    let kernel = client.create_with("bash", limits);
    client
        .upload(&kernel, &[("hide.py", HIDE.as_bytes())])
        .unwrap();
    kernel
}

fn assert_killed(change: impl Fn(GatewayConfig) -> GatewayConfig, code: &str, reason: &str) {
    for gateway in gateways(change) {
        let client = Client::new(&gateway);
        let kernel = kernel(&client);
        let killed = client.run(&kernel, code);
        assert!(killed.stderr.contains(reason), "{code}: {killed:?}");
        assert_eq!(killed.exit_code(), Some(137), "{code}: {killed:?}");
        let next = client.run(&kernel, "echo alive").finished();
        assert_eq!(next.0, "alive\n");
    }
}

#[test]
fn memory_of_a_process_whose_first_thread_has_ended_counts() {
    let code = "for i in 1 2 3; do python3 hide.py ended memory & done; wait";
    assert_killed(|config| config, code, "100 MiB");
}

#[test]
fn files_in_memory_that_only_another_thread_has_count() {
    for how in ["ended", "own"] {
        let code = format!("python3 hide.py {how} memfd; true");
        assert_killed(|config| config, &code, "100 MiB");
    }
}

#[test]
fn deleted_files_that_only_another_thread_has_count() {
    for how in ["ended", "own"] {
        let code = format!("python3 hide.py {how} file; true");
        let change = |config: GatewayConfig| config.with_max_disk(20 * MIB);
        assert_killed(change, &code, "disk limit of 20 MiB");
    }
}

#[test]
fn more_sockets_than_can_be_counted_are_too_many() {
    let code = "for i in 1 2 3; do python3 -c 'import socket, time
held = [socket.socketpair() for _ in range(400)]
time.sleep(20)' & done; wait";
    assert_killed(|config| config, code, "limit of 2048 sockets");
}

#[test]
fn a_process_whose_first_thread_has_ended_ends_with_its_kernel() {
    for gateway in gateways(|config| config) {
        let client = Client::new(&gateway);
        let kernel = kernel(&client);
        let word = long_time();
        let code = format!(
            "mkfifo held; setsid python3 hide.py ended nothing {word} > held & read line < held; echo $line"
        );
        assert_eq!(client.run(&kernel, &code).finished().0, "held\n");
        assert!(is_running(&word));
        client.destroy(&kernel);
        wait_until("its end", || !is_running(&word));
    }
}

/// Whether a thread of a process has this word in its command line.
fn is_running(word: &str) -> bool {
    let holds = |thread: &Path| {
        let line = std::fs::read(thread.join("cmdline")).unwrap_or_default();
        line.windows(word.len()).any(|part| part == word.as_bytes())
    };
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let threads = processes.flat_map(|it| std::fs::read_dir(it.path().join("task")));
    let mut threads = threads.flatten().flatten();
    threads.any(|thread| holds(&thread.path()))
}
