//! Ends of kernels and gateways leave no process, no zombie and no file behind.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::common::{Client, gateway_with, running, wait_until};
use sorna_core::{CreateKernel, ExecuteMode, ExecutionStatus, Info, KernelId, SessionToken};
use sorna_gateway::{Gateway, GatewayConfig};
use sorna_test_tools::need_that;

/// The processes that this one has started, that have ended, and that were not waited for.
fn zombies() -> BTreeSet<OsString> {
    let parent = format!(") Z {} ", std::process::id());
    let is_one = |entry: &fs::DirEntry| {
        let stat = fs::read_to_string(entry.path().join("stat"));
        stat.is_ok_and(|stat| stat.contains(&parent))
    };
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let zombies = entries.filter(is_one);
    zombies.map(|entry| entry.file_name()).collect()
}

/// A time to sleep that nothing else on this machine sleeps, so that it identifies a process.
fn some_time() -> String {
    let number = u64::from_le_bytes(crate::common::random()[..8].try_into().unwrap());
    format!("1000.{number}")
}

fn is_empty(directory: &Path) -> bool {
    fs::read_dir(directory).unwrap().next().is_none()
}

/// Starts processes that try to outlive their kernel, and returns a word in their command line.
fn leave_processes(client: &Client, kernel: &KernelId) -> String {
    let time = some_time();
    let code = format!(
        "sleep {time} &\n\
         setsid sleep {time} >/dev/null 2>&1 & sleep 0.1; pgrep -s 0 >/dev/null\n\
         (setsid nohup sleep {time} >/dev/null 2>&1 &)\n\
         (env -i setsid sleep {time} >/dev/null 2>&1 &)\n\
         (cd /; setsid sleep {time} >/dev/null 2>&1 &)"
    );
    client.run(kernel, &code).finished();
    wait_until("the processes start", || running(&time) == 5);
    time
}

#[test]
fn destroying_a_kernel_removes_all_its_processes_and_files() {
    let directory = tempfile::tempdir().unwrap();
    let gateway = gateway_with(|config| config.with_directory(directory.path()));
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    let processes = leave_processes(&client, &kernel);
    let other = client.create("bash");
    let (home, _) = client
        .run(&kernel, "mkdir -m 0 closed; echo -n $HOME")
        .finished();
    client.destroy(&kernel);
    assert!(!Path::new(&home).parent().unwrap().exists());
    wait_until("the processes end", || running(&processes) == 0);
    assert_eq!(client.run(&other, "echo fine").finished().0, "fine\n");
    assert_eq!(gateway.stats().kernels, 1);
}

#[test]
fn stopping_a_gateway_removes_everything_even_during_runs() {
    let directory = tempfile::tempdir().unwrap();
    let gateway = gateway_with(|config| config.with_directory(directory.path()));
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    let processes = leave_processes(&client, &kernel);
    let python = client.create("python3");
    let (_, result) = client.query(
        &python,
        "import time, os\nprint(os.environ['SORNA_KERNEL_MARK'])\ntime.sleep(1000)",
    );
    assert_eq!(result.status, ExecutionStatus::Continued);
    let mark = result.console.stdout().trim().to_owned();
    assert!(running(&mark) > 0);
    client.start(&kernel, ExecuteMode::query("sleep 1000"));
    gateway.stop();
    assert!(is_empty(directory.path()));
    wait_until("the processes end", || {
        running(&processes) + running(&mark) == 0
    });
    // Tests that run at the same time have others.
    let ended = zombies();
    wait_until("no zombie is left", || zombies().is_disjoint(&ended));
}

#[test]
fn stopping_a_gateway_while_kernels_start_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let gateway = gateway_with(|config| config.with_directory(directory.path()));
    let client = Client::new(&gateway);
    for _ in 0..5 {
        let token = SessionToken::from_random(crate::common::random());
        let create = CreateKernel::new("python3", token);
        let mut stream = client.connect();
        let bytes = client.bytes_of(&create, std::time::SystemTime::now());
        std::io::Write::write_all(&mut stream, &bytes).unwrap();
    }
    wait_until("the requests arrive", || gateway.stats().connections == 5);
    drop(gateway);
    assert!(is_empty(directory.path()));
}

#[test]
fn idle_kernels_are_destroyed() {
    let gateway = gateway_with(|config| config.with_idle_timeout(Duration::from_millis(300)));
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    wait_until("the kernel is destroyed", || gateway.stats().kernels == 0);
    assert_eq!(client.error_of(&Info::new(kernel)).0, 404);
}

#[test]
fn a_timeout_kills_what_left_the_process_group() {
    let gateway = gateway_with(|config| config.with_exec_timeout(Duration::from_millis(500)));
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    let time = some_time();
    let code = format!("setsid sleep {time} >/dev/null 2>&1 & sleep 1000");
    let (start, first) = client.start(&kernel, ExecuteMode::query(code));
    wait_until("the process starts", || running(&time) == 1);
    let outcome = client.finish(&start, first);
    assert_eq!(outcome.status, Some(ExecutionStatus::ExecTimeout));
    wait_until("the process ends", || running(&time) == 0);
    assert_eq!(client.run(&kernel, "echo fine").finished().0, "fine\n");
}

#[test]
fn a_timeout_kills_what_hides_and_spares_earlier_processes() {
    let has_groups = Gateway::bind(GatewayConfig::default())
        .unwrap()
        .isolation()
        .has_groups;
    if !need_that(has_groups, "control groups") {
        return;
    }
    let gateway = gateway_with(|config| config.with_exec_timeout(Duration::from_millis(800)));
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    let (bystander, time) = (some_time(), some_time());
    let code = format!("sleep {bystander} >/dev/null 2>&1 &");
    client.run(&kernel, &code).finished();
    wait_until("the bystander starts", || running(&bystander) == 1);
    let exec = format!("(setsid env -i sh -c 'cd /; exec sleep {time}' &); sleep 1000");
    let batch = sorna_core::Batch::new().without_build().with_exec(exec);
    let (start, first) = client.start(&kernel, ExecuteMode::Batch(batch));
    wait_until("the process starts", || running(&time) == 1);
    let outcome = client.finish(&start, first);
    assert_eq!(outcome.status, Some(ExecutionStatus::ExecTimeout));
    wait_until("the process ends", || running(&time) == 0);
    assert_eq!(running(&bystander), 1);
    client.destroy(&kernel);
    assert_eq!(running(&bystander), 0);
}
