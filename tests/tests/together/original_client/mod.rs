//! The original Python client is the judge of the gateway.

use std::process::Command;

use sorna_gateway::{Gateway, GatewayConfig};
use sorna_test_tools::need_original_client;

#[test]
fn the_original_client_passes_its_script() {
    let Some(python) = need_original_client() else {
        return;
    };
    let gateway = Gateway::spawn(GatewayConfig::default()).expect("a gateway");
    let output = Command::new(python)
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/together/original_client/script.py"
        ))
        .env("SORNA_ENDPOINT", gateway.endpoint())
        .env("SORNA_ACCESS_KEY", gateway.access_key())
        .env("SORNA_SECRET_KEY", gateway.secret_key())
        .output()
        .expect("python runs");
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    println!("{stdout}");
    assert!(output.status.success(), "{stdout}\n{stderr}");
    assert!(stdout.ends_with("ok all\n"), "{stdout}\n{stderr}");
    assert_eq!(gateway.stats().kernels, 0, "kernels are left");
    gateway.stop();
}
