//! The official clients of Backend.AI 23.09 and 26.9 are the judges of the gateway: their functional API, and their command,
//! with keys; and that of 23.09 in a session with a web server. (That of 26.9 encodes a login over plain HTTP, which the
//! gateway does not read.)

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use sorna_gateway::{Gateway, GatewayConfig, RunningGateway};
use sorna_test_tools::{need_backend_ai_client, newer_backend_ai_client};

#[test]
fn the_official_client_passes_its_script() {
    if let Some(python) = need_backend_ai_client() {
        passes_script(&python);
    }
}

#[test]
fn the_newer_official_client_passes_the_same_script() {
    if let Some(python) = newer_backend_ai_client() {
        passes_script(&python);
    }
}

fn passes_script(python: &Path) {
    let gateway = Gateway::spawn(GatewayConfig::default()).unwrap();
    let script = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/gateway/official_client/script.py"
    );
    passes(python, &gateway, script, |command| {
        command
            .env("BACKEND_ENDPOINT", gateway.endpoint())
            .env("BACKEND_ENDPOINT_TYPE", "api")
            .env("BACKEND_ACCESS_KEY", gateway.access_key())
            .env("BACKEND_SECRET_KEY", gateway.secret_key());
    });
}

#[test]
fn the_official_client_logs_in() {
    let Some(python) = need_backend_ai_client() else {
        return;
    };
    let gateway = Gateway::spawn(GatewayConfig::default()).unwrap();
    let script = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/gateway/official_client/session.py"
    );
    // Its HTTP library, aiohttp 3.8, keeps no cookies of hosts that are addresses.
    let endpoint = gateway.endpoint().replace("127.0.0.1", "localhost");
    passes(&python, &gateway, script, |command| {
        command
            .arg(gateway.access_key())
            .env("BACKEND_ENDPOINT", endpoint)
            .env("BACKEND_ENDPOINT_TYPE", "session");
    });
}

/// Runs a script with the client's command, and the secret key on its standard input.
#[track_caller]
fn passes(
    python: &Path,
    gateway: &RunningGateway,
    script: &str,
    change: impl FnOnce(&mut Command),
) {
    let directory = tempfile::tempdir().unwrap();
    let client = python.parent().unwrap_or(Path::new("/")).join("backend.ai");
    let mut command = Command::new(python);
    command
        .args(["-W", "ignore", script])
        .arg(client)
        .current_dir(&directory)
        .env("HOME", directory.path())
        .env_remove("XDG_STATE_HOME")
        .env("PYTHONWARNINGS", "ignore")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    change(&mut command);
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    writeln!(stdin, "{}", gateway.secret_key()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    println!("{stdout}");
    assert!(output.status.success(), "{stdout}\n{stderr}");
    assert!(stdout.ends_with("ok all\n"), "{stdout}\n{stderr}");
    assert_eq!(gateway.stats().kernels, 0, "sessions are left");
}
