//! Interrupts that come while a shell starts a program, which neither of them notices.

use std::time::Duration;

use crate::common::{Client, Outcome, gateway_with};
use sorna_core::{Batch, Continuation, ExecutionStatus, Interrupt};
use sorna_test_tools::need;

/// Runs a command as a batch, and interrupts it when it has said that it runs.
fn interrupted(client: &Client, exec: &str) -> Outcome {
    let kernel = client.create("bash");
    let batch = Batch::new().without_build().with_exec(exec);
    let (start, mut first) = client.start(&kernel, batch.into());
    while !first.stdout().contains("up") {
        let next = client.call(&start.proceed(Continuation::Continue)).unwrap();
        let mut console = first.console;
        console.append(next.console);
        first.console = console;
        first.status = next.status;
    }
    client.call(&Interrupt::new(kernel.clone())).unwrap();
    let rest = client.call(&start.proceed(Continuation::Continue)).unwrap();
    let outcome = client.finish(&start, rest);
    client.destroy(&kernel);
    outcome
}

#[test]
fn a_program_that_was_being_started_is_interrupted() {
    let gateway = gateway_with(|config| config.with_exec_timeout(Duration::from_secs(20)));
    let client = Client::new(&gateway);
    for exec in [
        // What a shell has in the copy of itself until that executes a program, made to last.
        "(trap 'exec sleep 1000' INT; echo up; while :; do :; done); exit 7",
        "sh -c \"(trap 'exec sleep 1000' INT; echo up; while :; do :; done); exit 7\"",
        "trap : INT; (trap 'exec sleep 1000' INT; echo up; while :; do :; done); exit 7",
    ] {
        let outcome = interrupted(&client, exec);
        // The time limit would end it otherwise.
        assert_eq!(
            outcome.status,
            Some(ExecutionStatus::Finished),
            "{exec}: {outcome:?}"
        );
    }
}

#[test]
fn what_handles_an_interrupt_gets_it_once() {
    let gateway = gateway_with(|config| config.with_exec_timeout(Duration::from_secs(20)));
    let client = Client::new(&gateway);
    for (tool, exec) in [
        (
            "bash",
            "trap 'sleep 0.5; echo cleaned; exit 3' INT; echo up; while :; do :; done",
        ),
        (
            "sh",
            "sh -c \"trap 'sleep 0.5; echo cleaned; exit 3' INT; echo up; sleep 1000\"",
        ),
        (
            "bash",
            "trap 'exec sh -c \"sleep 0.5; echo cleaned; exit 3\"' INT; echo up; while :; do :; done",
        ),
        (
            "python3",
            "python3 -c 'import signal, sys, time\n\
             def clean(*_):\n    \
               signal.signal(signal.SIGINT, signal.SIG_DFL)\n    \
               time.sleep(0.5); print(\"cleaned\"); sys.exit(3)\n\
             signal.signal(signal.SIGINT, clean)\n\
             print(\"up\")\n\
             while True: pass'",
        ),
        (
            "python3",
            "python3 -c 'import signal, sys, time\n\
             seen = []\n\
             signal.signal(signal.SIGINT, lambda *_: seen.append(1))\n\
             print(\"up\")\n\
             while not seen: pass\n\
             time.sleep(0.5)\n\
             if len(seen) == 1: print(\"cleaned\"); sys.exit(3)'",
        ),
        (
            "bash",
            "trap '' INT; echo up; sleep 1; echo cleaned; exit 3",
        ),
    ] {
        if !need(tool) {
            continue;
        }
        let outcome = interrupted(&client, exec);
        assert_eq!(outcome.exit_code(), Some(3), "{exec}: {outcome:?}");
        assert!(outcome.stdout.contains("cleaned"), "{exec}: {outcome:?}");
    }
}
