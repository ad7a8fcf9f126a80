//! Ends of kernels and gateways leave no process, no zombie and no file behind.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::fs;
use std::path::Path;
use std::time::Duration;

use common::{Client, gateway_with, wait_until};
use sorna_core::{CreateKernel, ExecuteMode, ExecutionStatus, Info, KernelId, SessionToken};
use sorna_gateway::{Gateway, GatewayConfig};
use sorna_test_tools::need_that;

/// Whether a process runs; a zombie does not.
fn is_alive(process: &str) -> bool {
    fs::read_to_string(format!("/proc/{process}/stat")).is_ok_and(|stat| {
        !stat
            .rsplit_once(')')
            .is_some_and(|(_, rest)| rest.starts_with(" Z"))
    })
}

fn is_empty(directory: &Path) -> bool {
    fs::read_dir(directory).unwrap().next().is_none()
}

/// Starts processes that try to outlive their kernel, and returns their IDs.
fn leave_processes(client: &Client, kernel: &KernelId) -> Vec<String> {
    let code = "sleep 1000 & echo $!\n\
        setsid sleep 1000 >/dev/null 2>&1 & sleep 0.1; pgrep -s 0 >/dev/null; echo $!\n\
        (setsid nohup sleep 1000 >/dev/null 2>&1 & echo $!)\n\
        (env -i setsid sleep 1000 >/dev/null 2>&1 & echo $!)\n\
        (cd /; setsid sleep 1000 >/dev/null 2>&1 & echo $!)\n\
        echo $$";
    let (stdout, _) = client.run(kernel, code).finished();
    let processes: Vec<String> = stdout.lines().map(str::to_owned).collect();
    assert_eq!(processes.len(), 6);
    assert!(
        processes.iter().all(|process| is_alive(process)),
        "{processes:?}"
    );
    processes
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
    for process in &processes {
        wait_until("the processes end", || !is_alive(process));
    }
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
        "import time, os\nprint(os.getpid())\ntime.sleep(1000)",
    );
    assert_eq!(result.status, ExecutionStatus::Continued);
    let pid = result.console.stdout().trim().to_owned();
    client.start(&kernel, ExecuteMode::query("sleep 1000"));
    gateway.stop();
    assert!(is_empty(directory.path()));
    for process in processes.iter().chain([&pid]) {
        wait_until("the processes end", || !is_alive(process));
    }
    assert!(
        !Path::new(&format!("/proc/{pid}")).exists(),
        "not even a zombie"
    );
}

#[test]
fn stopping_a_gateway_while_kernels_start_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let gateway = gateway_with(|config| config.with_directory(directory.path()));
    let client = Client::new(&gateway);
    for _ in 0..5 {
        let token = SessionToken::from_random(common::random());
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
    let code = "setsid sleep 1000 >/dev/null 2>&1 & echo $!; sleep 1000";
    let outcome = client.run(&kernel, code);
    assert_eq!(outcome.status, Some(ExecutionStatus::ExecTimeout));
    wait_until("the process ends", || !is_alive(outcome.stdout.trim()));
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
    let code = "sleep 1000 >/dev/null 2>&1 & echo $!";
    let (bystander, _) = client.run(&kernel, code).finished();
    let exec = "(setsid env -i sh -c 'echo $$; cd /; exec sleep 1000' &); sleep 1000";
    let batch = sorna_core::Batch::new().without_build().with_exec(exec);
    let (_, outcome) = client.batch(&kernel, batch);
    assert_eq!(outcome.status, Some(ExecutionStatus::ExecTimeout));
    wait_until("the process ends", || !is_alive(outcome.stdout.trim()));
    assert!(is_alive(bystander.trim()));
    client.destroy(&kernel);
    assert!(!is_alive(bystander.trim()));
}
