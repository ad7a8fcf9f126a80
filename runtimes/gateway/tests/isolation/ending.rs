//! How processes in namespaces end: all of them, whatever they do.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use sorna_core::{ExecutionStatus, Restart};
use sorna_test_tools::need;

use crate::common::{Client, wait_until};
use crate::setting::{gateway, long_time, processes_with};

/// Runs as far from its kernel as it can: forked twice, in a session of its own, elsewhere, without environment.
fn escape(time: &str) -> String {
    format!(
        "(cd /; env -i setsid -f sh -c 'trap \"\" TERM HUP; sleep {time} & sleep {time}') & wait"
    )
}

#[test]
fn what_hides_ends_with_its_kernel() {
    let Some(gateway) = gateway() else { return };
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    let time = long_time();
    let hide = |time: &str| {
        client.run(&kernel, &escape(time)).finished();
        wait_until("it runs", || processes_with(time).len() >= 3);
    };
    hide(&time);
    client.call(&Restart::new(kernel.clone())).unwrap();
    assert!(processes_with(&time).is_empty());
    assert_eq!(client.run(&kernel, "echo again").finished().0, "again\n");
    let time = long_time();
    hide(&time);
    client.destroy(&kernel);
    assert!(processes_with(&time).is_empty());
}

#[test]
fn orphans_are_reaped() {
    let Some(gateway) = gateway() else { return };
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    let orphans =
        "for i in $(seq 20); do (true & true &); done; sleep 0.3; ps -eo stat | grep -c Z";
    assert_eq!(client.run(&kernel, orphans).stdout, "0\n");
}

#[test]
fn an_end_by_a_signal_is_reported_as_such() {
    let Some(gateway) = gateway() else { return };
    let client = Client::new(&gateway);
    let bash = client.create("bash");
    let died = client.run(&bash, "kill -SEGV $$");
    assert!(died.stderr.contains("died with signal 11"), "{died:?}");
    assert_eq!(died.exit_code(), Some(139));
    assert_eq!(client.run(&bash, "exit 7").exit_code(), Some(7));
    let pipe = "kill -PIPE $$";
    let batch = sorna_core::Batch::new().without_build().with_exec(pipe);
    let (_, outcome) = client.batch(&bash, batch);
    assert!(outcome.stderr.contains("signal 13"), "{outcome:?}");
    assert_eq!(outcome.exit_code(), Some(141));
    if need("gcc") {
        let c = client.create("c");
        let code = "int main(void) { *(volatile int *) 0 = 1; }";
        let died = client.run(&c, code);
        assert!(died.stderr.contains("Segmentation fault"), "{died:?}");
    }
}

#[test]
fn everything_ends_when_the_gateway_is_killed() {
    if gateway().is_none() {
        return;
    }
    let time = long_time();
    // This program, as a gateway that is killed.
    let mut gateway = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "ending::serve_until_killed",
            "--ignored",
            "--nocapture",
        ])
        .env("SORNA_TEST_TIME", &time)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(gateway.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("escaped")));
    wait_until("it runs", || processes_with(&time).len() >= 3);
    gateway.kill().unwrap();
    gateway.wait().unwrap();
    wait_until("everything has ended", || processes_with(&time).is_empty());
}

#[test]
#[ignore = "a part of `everything_ends_when_the_gateway_is_killed`"]
fn serve_until_killed() {
    let Ok(time) = std::env::var("SORNA_TEST_TIME") else {
        return;
    };
    let gateway = gateway().unwrap();
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    let outcome = client.run(&kernel, &escape(&time));
    assert_eq!(outcome.status, Some(ExecutionStatus::Finished));
    println!("escaped");
    std::thread::sleep(crate::common::PATIENCE);
}
