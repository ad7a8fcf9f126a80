//! Helpers that the tests of the command line share.

#![allow(dead_code, reason = "each test program uses a part of this")]

pub(crate) mod prompt;
pub(crate) mod served;
pub(crate) mod server;
pub(crate) mod stub;
pub(crate) mod terminal;

use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT};

use snapbox::cmd::{OutputAssert, cargo_bin};
use snapbox::{Assert, RedactedValue, Redactions};
use sorna_gateway::{Gateway, GatewayConfig, RunningGateway};

/// Where all of them keep what later ones can use again.
pub(crate) const CACHE: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/cache");

/// The longest that a test waits for anything. Only a test that fails waits that long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A gateway for one test.
pub(crate) fn gateway() -> RunningGateway {
    gateway_with(GatewayConfig::default())
}

pub(crate) fn gateway_with(config: GatewayConfig) -> RunningGateway {
    Gateway::spawn(config).expect("a gateway")
}

/// A directory for one test.
pub(crate) fn here() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

/// Lets signals have their usual effect on commands, also where the tests were started to ignore them, by `nohup` or in the
/// background of a script: what is ignored stays ignored in new programs, and what is caught does not.
fn usual_signals() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let status = std::fs::read_to_string("/proc/self/status").expect("a process");
        let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        let ignored = ignored.and_then(|set| u64::from_str_radix(set.trim(), 16).ok());
        let ignored = ignored.expect("a set of signals");
        for signal in [SIGHUP, SIGINT, SIGQUIT] {
            if ignored & (1 << (signal - 1)) != 0 {
                signal_hook::flag::register(signal, Arc::default()).expect("a handler");
            }
        }
    });
}

/// `sorna` with a clean environment, in the given directory, which also contains its settings, if the test
/// writes any.
pub(crate) fn sorna(directory: &Path) -> Command {
    program(cargo_bin!("sorna"), directory)
}

/// The same with another program.
pub(crate) fn program(path: &Path, directory: &Path) -> Command {
    usual_signals();
    let mut command = Command::new(path);
    command
        .current_dir(directory)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("LANG", "C.UTF-8")
        .env("XDG_CONFIG_HOME", directory.join(".config"))
        .env("XDG_STATE_HOME", directory.join(".state"))
        .env("XDG_CACHE_HOME", CACHE)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// `sorna` that talks to this gateway.
pub(crate) fn sorna_at(directory: &Path, gateway: &RunningGateway) -> Command {
    let mut command = sorna(directory);
    command
        .env("SORNA_ENDPOINT", gateway.endpoint())
        .env("SORNA_ACCESS_KEY", gateway.access_key())
        .env("SORNA_SECRET_KEY", gateway.secret_key());
    command
}

/// The same in Backend.AI.
pub(crate) fn backend_at(directory: &Path, gateway: &RunningGateway) -> Command {
    let mut command = sorna(directory);
    command
        .env("BACKEND_ENDPOINT", gateway.endpoint())
        .env("BACKEND_ACCESS_KEY", gateway.access_key())
        .env("BACKEND_SECRET_KEY", gateway.secret_key());
    command
}

/// Runs it to its end, and compares with ids and addresses masked.
pub(crate) fn check(mut command: Command) -> OutputAssert {
    let output = command.output().expect("sorna runs");
    check_output(output)
}

pub(crate) fn check_output(mut output: std::process::Output) -> OutputAssert {
    // Said by every command with --local on a machine that forbids namespaces; a test of its own looks at it.
    let stderr = String::from_utf8_lossy(&output.stderr);
    let lines = stderr.split_inclusive('\n');
    let kept = lines.filter(|line| !line.contains(": no namespaces: "));
    output.stderr = kept.collect::<String>().into_bytes();
    let mut redactions = Redactions::new();
    let temporary = std::env::temp_dir();
    let temporary = regex::escape(temporary.to_str().expect("text"));
    let directory = format!(r"(?<redacted>{temporary}/\.tmp[A-Za-z0-9]{{6}})");
    for (name, pattern) in [
        ("[DIR]", directory.as_str()),
        (
            "[TOKEN]",
            "[Ss]ession (?:token|name): (?<redacted>[0-9a-f]{32})",
        ),
        ("[KERNEL]", r"ID: (?<redacted>[A-Za-z0-9_-]{22})"),
        ("[ADDRESS]", r"(?<redacted>127\.0\.0\.1:[0-9]+)"),
    ] {
        let pattern = regex::Regex::new(pattern).expect("a pattern");
        redactions
            .insert(name, RedactedValue::from(pattern))
            .expect("a redaction");
    }
    OutputAssert::new(output).with_assert(Assert::new().redact_with(redactions))
}

/// Waits until something is true.
#[track_caller]
pub(crate) fn eventually(what: &str, mut is_true: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_true() {
        assert!(start.elapsed() < PATIENCE, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Waits for its end, but not forever.
#[track_caller]
pub(crate) fn wait(child: &mut Child) -> std::process::ExitStatus {
    let mut status = None;
    eventually("the end", || {
        status = child.try_wait().expect("a status");
        status.is_some()
    });
    status.expect("it ended")
}

/// Waits until this pipe is full, since no one reads it.
#[track_caller]
pub(crate) fn is_full(pipe: &impl AsFd) {
    let waiting = || rustix::io::ioctl_fionread(pipe).expect("a pipe");
    eventually("a full pipe", || {
        let before = waiting();
        std::thread::sleep(Duration::from_millis(300));
        // Its pages need not be used whole.
        before > 16 * 1024 && before == waiting()
    });
}

pub(crate) fn write(directory: &Path, files: &[(&str, &str)]) {
    for (name, content) in files {
        let path = directory.join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        std::fs::write(path, content).expect("a file");
    }
}
