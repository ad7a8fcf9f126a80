//! The official client of Backend.AI 23.09 is the judge of the gateway: its functional API, and its command.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;
use std::process::Command;

use sorna_gateway::{Gateway, GatewayConfig};
use sorna_test_tools::need_backend_ai_client;

#[test]
fn the_official_client_passes_its_script() {
    let Some(python) = need_backend_ai_client() else {
        return;
    };
    let gateway = Gateway::spawn(GatewayConfig::default()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let script = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/official_client/script.py"
    );
    let command = python.parent().unwrap_or(Path::new("/")).join("backend.ai");
    let output = Command::new(&python)
        .args(["-W", "ignore", script])
        .arg(command)
        .current_dir(&directory)
        .env("HOME", directory.path())
        .env("PYTHONWARNINGS", "ignore")
        .env("BACKEND_ENDPOINT", gateway.endpoint())
        .env("BACKEND_ENDPOINT_TYPE", "api")
        .env("BACKEND_ACCESS_KEY", gateway.access_key())
        .env("BACKEND_SECRET_KEY", gateway.secret_key())
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    println!("{stdout}");
    assert!(output.status.success(), "{stdout}\n{stderr}");
    assert!(stdout.ends_with("ok all\n"), "{stdout}\n{stderr}");
    assert_eq!(gateway.stats().kernels, 0, "sessions are left");
}
