//! How long a kernel stays that nothing uses, in both dialects.

mod support;

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use sorna_gateway::{GatewayConfig, RunningGateway};
use sorna_test_tools::need;
use support::{backend_at, check, eventually, gateway_with, here, sorna_at};

fn sorna(directory: &Path, gateway: &RunningGateway, is_backend: bool) -> std::process::Command {
    match is_backend {
        true => backend_at(directory, gateway),
        false => sorna_at(directory, gateway),
    }
}

#[test]
fn idle_timeouts_are_set_and_kept() {
    if !need("bash") {
        return;
    }
    let directory = here();
    let config = GatewayConfig::default()
        .with_idle_timeout(Duration::from_secs(1000))
        .with_max_idle_timeout(Duration::from_secs(7200));
    let gateway = gateway_with(config);
    for (is_backend, name, noun) in [(false, "my-session", "Kernel"), (true, "work", "Session")] {
        let command = |arguments: &[&str]| {
            let mut command = sorna(directory.path(), &gateway, is_backend);
            command.args(arguments);
            check(command)
        };
        let info = || {
            let mut command = sorna(directory.path(), &gateway, is_backend);
            command.args(["info", "--json", name]);
            let output = command.output().expect("sorna runs");
            let info: Value = serde_json::from_slice(&output.stdout).expect("JSON");
            info["endsIn"].as_u64().expect("a time")
        };
        command(&["run", "-q", "-t", name, "bash", "-c", "true"])
            .success()
            .stderr_eq("");
        assert!(info() <= 1_000_000);
        let stays = format!("✔ {noun} {name} [..]stays for at least 16 min 40 s.\n");
        command(&["keep-alive", name])
            .success()
            .stderr_eq(stays.replace(&format!("{name} "), ""));
        let stays = format!("✔ {noun} [..]stays for at least 2 h 0 min.\n");
        command(&["keep-alive", "--idle-timeout", "2h", name])
            .success()
            .stderr_eq(stays);
        assert!(info() > 6_000_000);
        // What is too much changes nothing.
        for arguments in [
            &["keep-alive", "--idle-timeout", "3h", name][..],
            &[
                "run",
                "-q",
                "-t",
                name,
                "--idle-timeout",
                "3h",
                "bash",
                "-c",
                "echo no",
            ],
        ] {
            let mut command = sorna(directory.path(), &gateway, is_backend);
            let output = command.args(arguments).output().expect("sorna runs");
            let text = String::from_utf8(output.stderr).expect("text");
            let words = "the gateway allows an idle timeout of at most 2 h, and 3 h were asked for";
            assert!(text.contains(words), "{text}");
            assert_eq!(
                (output.status.code(), &output.stdout[..]),
                (Some(1), &b""[..])
            );
        }
        assert!(info() > 6_000_000);
        command(&[
            "run",
            "-q",
            "-t",
            name,
            "--idle-timeout",
            "50m",
            "bash",
            "-c",
            "true",
        ])
        .success()
        .stderr_eq("");
        assert!((2_000_000..=3_000_000).contains(&info()));
        command(&["keep-alive", "nobody-has-it"]).code(1);
        command(&["keep-alive", "--idle-timeout", "0s", name]).code(2);
        command(&["run", "--idle-timeout", "1h", "bash", "-c", "true"]).code(2);
        // It ends when the time is over.
        command(&[
            "run",
            "-q",
            "-t",
            name,
            "--idle-timeout",
            "100ms",
            "bash",
            "-c",
            "true",
        ])
        .success();
        eventually("its end", || gateway.stats().kernels == 0);
    }
    gateway.stop();
}

#[test]
fn what_keeps_a_kernel_busy_is_shown() {
    if !need("bash") {
        return;
    }
    let directory = here();
    let gateway = gateway_with(GatewayConfig::default());
    for (is_backend, name) in [(false, "my-session"), (true, "work")] {
        let mut running = sorna(directory.path(), &gateway, is_backend);
        running.args(["run", "-q", "-t", name, "bash", "-c", "sleep 1000"]);
        let mut running = running.spawn().expect("sorna runs");
        let info = |option: &str| {
            let mut command = sorna(directory.path(), &gateway, is_backend);
            command.args(["info", option, name]);
            let output = command.output().expect("sorna runs");
            String::from_utf8(output.stdout).expect("text")
        };
        eventually("that it is busy", || info("--json").contains(r#""busy":{"#));
        let text = info("--color=never");
        assert!(
            text.lines()
                .any(|line| line.starts_with("Busy ")
                    && line.contains("a snippet has been running for")),
            "{text}"
        );
        let mut stop = sorna(directory.path(), &gateway, is_backend);
        stop.args(["interrupt", name]);
        check(stop).success();
        assert_eq!(running.wait().expect("it ends").code(), Some(130));
        assert!(!info("--json").contains("busy"));
    }
    gateway.stop();
}
