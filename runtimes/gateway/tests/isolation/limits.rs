//! Limits of kernels that have namespaces.

use sorna_core::{ExecutionStatus, Limits};
use sorna_gateway::{Gateway, GatewayConfig, IsolationLevel, StartError};

use crate::common::{Client, wait_until};
use crate::setting::{config, gateway_with, long_time, processes_with};

#[test]
fn a_fork_bomb_cannot_start_more_processes_than_allowed() {
    let Some(gateway) = gateway_with(|config| config.with_max_processes(40)) else {
        return;
    };
    let client = Client::new(&gateway);
    let kernel = client.create("python3");
    let time = long_time();
    // Bounded, so that a faulty gateway does not bring down the machine.
    let bomb = format!(
        "import subprocess\n\
         started = 0\n\
         try:\n    \
             for _ in range(200): subprocess.Popen(['sleep', '{time}']); started += 1\n\
         except BlockingIOError: print('no more')\n\
         print(0 < started < 40)"
    );
    let (stdout, stderr) = client.run(&kernel, &bomb).finished();
    assert_eq!((stdout.as_str(), stderr.as_str()), ("no more\nTrue\n", ""));
    // Other kernels of the same user have their own number.
    let other = client.create("bash");
    assert_eq!(
        client.run(&other, "(true); echo fine").finished().0,
        "fine\n"
    );
    client.destroy(&kernel);
    wait_until("all have ended", || processes_with(&time).is_empty());
}

#[test]
fn files_in_memory_count_as_memory() {
    let Some(gateway) = gateway_with(|config| config) else {
        return;
    };
    let client = Client::new(&gateway);
    let limits = Limits::default().with_max_memory(100 << 20);
    let kernel = client.create_with("bash", limits);
    // Each has half of the limit, and says so.
    let full = client.run(&kernel, "head -c 60M /dev/zero >/tmp/x");
    assert!(full.stderr.contains("No space left"), "{full:?}");
    let all = client.run(
        &kernel,
        "head -c 60M /dev/zero >/dev/shm/y 2>/dev/null; x=$(head -c 20M /dev/zero | tr '\\0' x); sleep 20",
    );
    assert_eq!(all.exit_code(), Some(137), "{all:?}");
    assert!(all.stderr.contains("100 MiB"), "{all:?}");
    assert_eq!(client.run(&kernel, "ls /dev/shm").finished().0, "");
}

#[test]
fn an_exceeded_time_ends_everything_that_was_started_in_it() {
    let time = std::time::Duration::from_secs(2);
    let Some(gateway) = gateway_with(|config| config.with_exec_timeout(time)) else {
        return;
    };
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    let (before, during) = (long_time(), long_time());
    client
        .run(&kernel, &format!("sleep {before} & x=5"))
        .finished();
    let hides =
        format!("(env -i setsid -f sh -c 'cd /; sleep {during} & sleep {during}'); sleep 100");
    let batch = sorna_core::Batch::new().without_build().with_exec(hides);
    let (_, outcome) = client.batch(&kernel, batch);
    assert_eq!(outcome.status, Some(ExecutionStatus::ExecTimeout));
    wait_until("what was started ends", || {
        processes_with(&during).is_empty()
    });
    assert!(!processes_with(&before).is_empty());
    assert_eq!(client.run(&kernel, "echo alive").finished().0, "alive\n");
}

#[test]
fn what_is_required_is_there_or_the_gateway_does_not_start() {
    let config = config().with_box_program("/bin/false", [""; 0]);
    let error = Gateway::bind(config.clone()).unwrap_err();
    assert!(matches!(error, StartError::Isolation(_)), "{error}");
    assert!(error.to_string().contains("box_main"), "{error}");
    let gateway = Gateway::bind(config.with_require_isolation(false)).unwrap();
    assert_ne!(gateway.isolation().level(), IsolationLevel::Namespaces);
    let none = GatewayConfig::new().with_isolation(IsolationLevel::Namespaces);
    let error = Gateway::bind(none.with_require_isolation(true)).unwrap_err();
    assert!(error.to_string().contains("with_box_program"), "{error}");
}
