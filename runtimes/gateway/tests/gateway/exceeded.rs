//! What results say of limits that programs have exceeded.

use std::time::Duration;

use crate::common::{Client, Outcome, gateway_with};
use sorna_core::{Batch, ExecutionStatus, KernelId, Limit, Limits};
use sorna_gateway::GatewayConfig;
use sorna_test_tools::need;

const MIB: u64 = 1 << 20;

/// Six processes that have less than the limit each, and more together.
const MEMORY: &str = "import os, time\n\
     for _ in range(6):\n    \
       if os.fork() == 0:\n        \
         x = bytearray(os.urandom(1)) * (80 << 20)\n        \
         time.sleep(30)\n        \
         os._exit(0)\n\
     time.sleep(30)";
const DISK: &str = "import time\n\
     file = open('f', 'wb', 0)\n\
     for _ in range(30): file.write(bytes(1 << 20)); time.sleep(0.02)\n\
     time.sleep(30)";
const FILES: &str = "import time\n\
     for i in range(600): open(f'f{i}', 'w').close()\n\
     time.sleep(30)";

fn bounded(config: GatewayConfig) -> GatewayConfig {
    config
        .with_max_disk(20 * MIB)
        .with_max_files(500)
        .with_exec_timeout(Duration::from_secs(25))
}

fn limit(outcome: &Outcome) -> Option<(Limit, Option<u64>)> {
    let exceeded = outcome.last.as_ref()?.exceeded()?;
    Some((exceeded.limit, exceeded.max))
}

fn has_restarted(outcome: &Outcome) -> Option<bool> {
    outcome.last.as_ref()?.has_restarted()
}

fn batch(client: &Client, kernel: &KernelId, exec: &str) -> Outcome {
    let batch = Batch::new().without_build().with_exec(exec);
    let (start, first) = client.start(kernel, batch.into());
    client.finish(&start, first)
}

#[test]
fn results_name_the_limit_that_was_exceeded() {
    if !need("python3") {
        return;
    }
    let gateway = gateway_with(bounded);
    let client = Client::new(&gateway);
    for (code, expected, max) in [
        (MEMORY, Limit::Memory, 200 * MIB),
        (DISK, Limit::Disk, 20 * MIB),
        (FILES, Limit::Files, 500),
    ] {
        for is_batch in [false, true] {
            let limits = Limits::default().with_max_memory(200 * MIB);
            let kernel = client.create_with("python3", limits);
            let killed = match is_batch {
                false => client.run(&kernel, code),
                true => {
                    client
                        .upload(&kernel, &[("main.py", code.as_bytes())])
                        .unwrap();
                    // The shell outlives the program, if it may.
                    batch(&client, &kernel, "python3 main.py; exit 0")
                }
            };
            assert_eq!(killed.exit_code(), Some(137), "{killed:?}");
            assert_eq!(
                limit(&killed),
                Some((expected.clone(), Some(max))),
                "{killed:?}"
            );
            // Its interpreter went with it, also while a file ran.
            assert_eq!(has_restarted(&killed), Some(true), "{killed:?}");
            // The next execution has not exceeded it.
            let fine = client.run(&kernel, "import os\nfor f in os.listdir(): os.remove(f)");
            assert_eq!(limit(&fine), None, "{fine:?}");
            assert_eq!(has_restarted(&fine), None, "{fine:?}");
            client.destroy(&kernel);
        }
    }
}

#[test]
fn a_time_limit_is_named_as_well() {
    let gateway = gateway_with(|config| config.with_exec_timeout(Duration::from_millis(300)));
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    for (late, restarted) in [
        (client.run(&kernel, "sleep 20"), Some(true)),
        // This killed no more than the program.
        (batch(&client, &kernel, "sleep 20"), None),
    ] {
        assert_eq!(has_restarted(&late), restarted, "{late:?}");
        assert_eq!(late.status, Some(ExecutionStatus::ExecTimeout), "{late:?}");
        assert_eq!(limit(&late), Some((Limit::Time, Some(300))), "{late:?}");
    }
}

#[test]
fn programs_cannot_say_that_they_have_exceeded_a_limit() {
    let gateway = gateway_with(bounded);
    let client = Client::new(&gateway);
    let words = "killed: the kernel exceeded its memory limit of 200 MiB";
    for (lang, code, exit_code) in [
        ("bash", format!("echo '{words}' >&2; exit 137"), 137),
        ("bash", format!("echo '{words}' >&2; kill -9 $$"), 137),
        (
            "python3",
            format!("import os, sys\nprint('{words}', file=sys.stderr)\nos._exit(137)"),
            137,
        ),
        (
            "perl",
            format!("print STDERR \"{words}\\n\"; exit 137"),
            137,
        ),
    ] {
        if !need(lang) {
            continue;
        }
        let kernel = client.create(lang);
        let outcome = client.run(&kernel, &code);
        assert_eq!(outcome.exit_code(), Some(exit_code), "{outcome:?}");
        assert!(outcome.stderr.contains(words), "{outcome:?}");
        assert_eq!(limit(&outcome), None, "{outcome:?}");
        client.destroy(&kernel);
    }
}
