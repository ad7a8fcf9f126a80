//! Files of kernels in memory.

use serde_json::json;
use sorna_core::{Limits, Restart};
use sorna_gateway::GatewayConfig;
use sorna_test_tools::need;

use crate::backend_ai;
use crate::common::{Client, wait_until};
use crate::setting::{gateway_with, processes_with, run};

const MIB: u64 = 1 << 20;

#[test]
fn files_in_memory_have_a_size_and_outlive_a_restart() {
    let Some(gateway) = gateway_with(|config| config.with_memory_disk(8 * MIB)) else {
        return;
    };
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    for place in [".", "$TMPDIR"] {
        let fill = format!("head -c 20M /dev/zero > {place}/f; stat -c %s {place}/f; rm {place}/f");
        let full = client.run(&kernel, &fill);
        assert!(full.stderr.contains("No space left"), "{full:?}");
        let size: u64 = full.stdout.trim().parse().unwrap();
        assert!((4 * MIB..=8 * MIB).contains(&size), "{full:?}");
    }
    let many = "for i in {1..20000}; do : > f$i || break; done; rm -f f*";
    let many = client.run(&kernel, many);
    assert!(many.stderr.contains("No space left"), "{many:?}");

    client.upload(&kernel, &[("a/b", b"uploaded\n")]).unwrap();
    let read = client.run(
        &kernel,
        "cat a/b; echo more >> a/b; stat -c %U . a a/b | uniq | wc -l",
    );
    assert_eq!(read.finished(), ("uploaded\n1\n".to_owned(), String::new()));
    let large = vec![b'x'; MIB as usize - 1];
    client
        .run(&kernel, "head -c 7700k /dev/zero > f")
        .finished();
    let error = client.upload(&kernel, &[("large", &large)]).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("disk limit of 8 MiB, of which 7 MiB"),
        "{text}"
    );
    client.call(&Restart::new(kernel.clone())).unwrap();
    let kept = client.run(&kernel, "cat a/b; rm f");
    assert_eq!(kept.finished().0, "uploaded\nmore\n");
    // Another kernel has its own.
    assert_eq!(
        run(&client, "bash", "ls -A . $TMPDIR | grep -v : | xargs"),
        "\n"
    );
    client.destroy(&kernel);
}

#[test]
fn files_in_memory_are_listed_and_downloaded_and_programs_built_there() {
    let Some(gateway) = gateway_with(|config| config.with_memory_disk(64 * MIB)) else {
        return;
    };
    let client = backend_ai::Client::new(&gateway);
    client.create("where", "bash");
    client.run("where", "mkdir d; echo content > d/f");
    let (status, listed) = client.json("GET", "/session/where/files?path=d", &json!({}));
    assert_eq!(status, 200, "{listed}");
    assert!(
        listed["files"].as_str().unwrap().contains("\"f\""),
        "{listed}"
    );
    let target = "/session/where/download_single?file=d/f";
    let single = client.send("GET", target, b"", &backend_ai::Signing::default());
    assert_eq!(single.body(), b"content\n");
    if need("gcc") {
        let client = Client::new(&gateway);
        let program = "#include <stdio.h>\nint main(void) { puts(\"built\"); return 0; }";
        assert_eq!(run(&client, "c", program), "built\n");
    }
}

#[test]
fn files_in_memory_count_as_memory_and_end_with_their_kernel() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path();
    let change = |config: GatewayConfig| config.with_memory_disk(200 * MIB).with_directory(place);
    let Some(gateway) = gateway_with(change) else {
        return;
    };
    let client = Client::new(&gateway);
    let kernel = client.create_with("bash", Limits::default().with_max_memory(80 * MIB));
    // No more than half of it, so that it can be used further.
    let full = client.run(&kernel, "head -c 120M /dev/zero > f; stat -c %s f");
    assert!(full.stderr.contains("No space left"), "{full:?}");
    assert_eq!(full.stdout.trim(), (40 * MIB).to_string());
    let killed = client.run(
        &kernel,
        "head -c 39M /dev/zero > /tmp/f; x=$(head -c 20M /dev/zero | tr '\\0' x); sleep 20",
    );
    assert_eq!(killed.exit_code(), Some(137), "{killed:?}");
    assert!(killed.stderr.contains("80 MiB"), "{killed:?}");
    let removed = client.run(&kernel, "rm f; echo fine");
    assert_eq!(removed.finished().0, "fine\n");
    let mounts = |id: &u32| std::fs::read_to_string(format!("/proc/{id}/mountinfo"));
    let has = |id: &u32| mounts(id).is_ok_and(|mounts| mounts.contains(place.to_str().unwrap()));
    assert!(processes_with("disk").iter().any(has));
    client.destroy(&kernel);
    wait_until("its helpers have ended", || {
        !processes_with("disk").iter().any(has)
    });
}

#[test]
fn a_size_of_nothing_is_a_limit_as_well() {
    let Some(gateway) = gateway_with(|config| config.with_memory_disk(0)) else {
        return;
    };
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    let full = client.run(&kernel, "head -c 1M /dev/zero > f; stat -c %s f");
    assert!(full.stderr.contains("No space left"), "{full:?}");
    assert!(full.stdout.trim().parse::<u64>().unwrap() <= 64 << 10);
    client.destroy(&kernel);
}
