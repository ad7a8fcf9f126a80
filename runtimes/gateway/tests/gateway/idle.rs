//! What is in use is not taken away, and what ends says why.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::common::{Client, gateway_with, wait_until};
use sorna_core::{ExecutionStatus, Info, Interrupt, KernelId, KernelInfo};
use sorna_gateway::RunningGateway;

/// So long that what is in use is in use many times meanwhile, also on a machine that is busy.
const IDLE: Duration = Duration::from_secs(2);

fn gateway() -> RunningGateway {
    gateway_with(|config| {
        let config = config.with_idle_timeout(IDLE);
        config.with_exec_timeout(Duration::from_secs(600))
    })
}

/// Creates a kernel that no one uses, and waits until it ends: by then, any other that is not in use has ended, too.
fn pass(client: &Client, gateway: &RunningGateway) {
    let others = gateway.stats().kernels;
    client.create("bash");
    wait_until("a kernel that nobody uses ends", || {
        gateway.stats().kernels <= others
    });
}

/// What is known of a kernel: that is a request, but not one that uses it.
fn info(client: &Client, kernel: &KernelId) -> KernelInfo {
    client.call(&Info::new(kernel.clone())).unwrap()
}

/// Checks that a kernel has ended, and that a request says why.
fn has_ended(client: &Client, kernel: &KernelId) {
    let error = client
        .call(&Info::new(kernel.clone()))
        .unwrap_err()
        .to_string();
    let words = "destroyed after 2 s in which nothing ran in it, printed or was attached";
    assert!(error.contains(words), "{error}");
}

fn attach(client: &Client, kernel: &KernelId) -> TcpStream {
    let mut stream = client.connect();
    stream.write_all(&client.terminal_bytes(kernel)).unwrap();
    let mut head = [0; 12];
    stream.read_exact(&mut head).unwrap();
    assert_eq!(&head, b"HTTP/1.1 101");
    stream
}

#[test]
fn a_kernel_in_which_something_runs_is_in_use() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    let (_, running) = client.query(&kernel, "sleep 1000");
    assert_eq!(running.status, ExecutionStatus::Continued);
    pass(&client, &gateway);
    pass(&client, &gateway);
    assert_eq!(info(&client, &kernel).idle(), Some(Duration::ZERO));
    // Its time begins when that ends.
    client.call(&Interrupt::new(kernel.clone())).unwrap();
    wait_until("its end", || gateway.stats().kernels == 0);
    has_ended(&client, &kernel);
}

#[test]
fn a_kernel_in_which_something_prints_is_in_use() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    let code = "while ! [ -e enough ]; do echo tick; sleep 0.02; done &";
    client.run(&kernel, code).finished();
    pass(&client, &gateway);
    client.upload(&kernel, &[("enough", b"")]).unwrap();
    wait_until("its end", || gateway.stats().kernels == 0);
    has_ended(&client, &kernel);
}

#[test]
fn a_kernel_whose_terminal_is_attached_is_in_use() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    let terminal = attach(&client, &kernel);
    pass(&client, &gateway);
    pass(&client, &gateway);
    assert_eq!(info(&client, &kernel).idle(), Some(Duration::ZERO));
    drop(terminal);
    wait_until("its end", || gateway.stats().kernels == 0);
    has_ended(&client, &kernel);
}

#[test]
fn what_waits_in_vain_or_merely_exists_is_not_in_use() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernels = [
        // It exists, in the background.
        ("sleep 1000 &", ExecutionStatus::Finished),
        // No one answers it.
        ("read line", ExecutionStatus::WaitingInput),
        // No one fetches what it prints, and it has to wait.
        ("yes", ExecutionStatus::Continued),
    ]
    .map(|(code, status)| {
        let kernel = client.create("bash");
        let (_, first) = client.query(&kernel, code);
        assert_eq!(first.status, status, "{code}");
        kernel
    });
    wait_until("their end", || gateway.stats().kernels == 0);
    for kernel in &kernels {
        has_ended(&client, kernel);
    }
}

#[test]
fn a_terminal_that_ends_with_its_kernel_says_why() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    type End = fn(&Client, &RunningGateway, &KernelId);
    let ends: [(&str, End); 2] = [
        (" by a request", |client, _, kernel| client.destroy(kernel)),
        (", as its access key was revoked", |_, gateway, _| {
            gateway.keys().replace([]);
        }),
    ];
    for (words, end) in ends {
        let kernel = client.create("bash");
        let mut terminal = attach(&client, &kernel);
        end(&client, &gateway, &kernel);
        let mut rest = Vec::new();
        let _ = terminal.read_to_end(&mut rest);
        let rest = String::from_utf8_lossy(&rest);
        let whole = format!("the kernel was destroyed{words}");
        assert!(rest.contains(&whole), "{rest}");
    }
}
