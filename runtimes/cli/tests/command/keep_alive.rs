//! How long a kernel stays that nothing uses, in both dialects.

use std::path::Path;
use std::time::Duration;

use crate::support::terminal::Terminal;
use crate::support::{backend_at, check, eventually, gateway_with, here, sorna_at};
use serde_json::Value;
use sorna_gateway::{GatewayConfig, RunningGateway};
use sorna_test_tools::need;

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
        // A prompt and a terminal have it as well.
        for (how, time, most) in [("repl", "40m", 2_400_000), ("shell", "30m", 1_800_000)] {
            let api = if is_backend { "backend-ai" } else { "sorna" };
            let arguments = ["--api", api, "-t", name, "--idle-timeout", time, "bash"];
            let mut terminal =
                Terminal::start_command(how, directory.path(), Some(&gateway), &arguments);
            terminal.shows("\x1b[?2004h");
            terminal.types(if how == "repl" { "\x04" } else { "\x1d" });
            assert_eq!(terminal.ends(), Some(0), "{}", terminal.transcript());
            assert!(
                (most - 300_000..=most).contains(&info()),
                "{how}: {}",
                info()
            );
        }
        command(&["keep-alive", "nobody-has-it"]).code(1);
        for (option, value) in [
            ("keep-alive", "-5"),
            ("keep-alive", "-5s"),
            ("keep-alive", "-.5h"),
        ] {
            let mut command = sorna(directory.path(), &gateway, is_backend);
            let output = command
                .args([option, name, "--idle-timeout", value])
                .output()
                .expect("sorna runs");
            let text = String::from_utf8(output.stderr).expect("text");
            let words = format!(
                "invalid value '{value}' for '--idle-timeout <TIME>': a time cannot be negative"
            );
            assert!(text.contains(&words), "{text}");
            assert_eq!(output.status.code(), Some(2));
        }
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
        let ps = |option: &str| {
            let mut command = sorna(directory.path(), &gateway, true);
            command.args(["ps", option]);
            let output = command.output().expect("sorna runs");
            String::from_utf8(output.stdout).expect("text")
        };
        let text = ps("--color=never");
        assert!(
            text.contains("busy: a snippet has been running for"),
            "{text}"
        );
        let all: Vec<Value> = ps("--json")
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect();
        let one = all
            .iter()
            .find(|it| it["name"] == name)
            .expect("the session");
        assert_eq!(one["busy"]["mode"], "query", "{one}");
        let mut stop = sorna(directory.path(), &gateway, is_backend);
        stop.args(["interrupt", name]);
        check(stop).success();
        assert_eq!(running.wait().expect("it ends").code(), Some(130));
        assert!(!info("--json").contains("busy"));
        let text = ps("--color=never");
        assert!(
            text.contains("  idle for ") && text.contains(", ends in "),
            "{text}"
        );
        let text = ps("--json");
        assert!(
            text.contains(r#""idle":"#) && text.contains(r#""endsIn":"#),
            "{text}"
        );
    }
    gateway.stop();
}

#[test]
fn what_has_ended_says_why() {
    if !need("bash") {
        return;
    }
    let directory = here();
    let config = GatewayConfig::default().with_idle_timeout(Duration::from_secs(1));
    let gateway = gateway_with(config);
    for is_backend in [false, true] {
        let name = "went-away";
        let run = |arguments: &[&str]| {
            let mut command = sorna(directory.path(), &gateway, is_backend);
            let output = command.args(arguments).output().expect("sorna runs");
            let text = |bytes| String::from_utf8(bytes).expect("text");
            (
                output.status.code(),
                text(output.stdout),
                text(output.stderr),
            )
        };
        let (_, made, _) = run(&["run", "--json", "-t", name, "bash", "-c", "true"]);
        let id = made
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).expect("JSON"))
            .find_map(|event| Some(event["kernel"].as_str()?.to_owned()))
            .expect("an ID");
        eventually("its end", || gateway.stats().kernels == 0);
        // Its session ends a moment later.
        eventually("its end", || run(&["info", &id]).0 == Some(1));
        let words = "destroyed after 1 s in which nothing ran in it, printed or was attached";
        let mut asked: Vec<Vec<&str>> = vec![
            vec!["info", &id],
            vec!["ls", &id],
            vec!["download", &id, "a"],
            vec!["interrupt", &id],
            vec!["keep-alive", &id],
            vec!["restart", &id],
        ];
        if is_backend {
            asked.extend([vec!["attach", name], vec!["info", name], vec!["ls", name]]);
        }
        for arguments in asked {
            let (code, out, text) = run(&arguments);
            assert!(
                text.contains(words) && code == Some(1),
                "{arguments:?}: {code:?} {text} {out}"
            );
        }
        let (_, _, text) = run(&["run", "-t", name, "bash", "-c", "true"]);
        assert!(
            text.contains("is ready, created for this name") || text.contains("new"),
            "{text}"
        );
        eventually("its end", || gateway.stats().kernels == 0);
    }
    gateway.stop();
}
