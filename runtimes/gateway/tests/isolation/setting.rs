//! Gateways whose kernels have namespaces.

use std::path::Path;
use std::time::Duration;

use sorna_gateway::{Gateway, GatewayConfig, IsolationLevel, RunningGateway};
use sorna_test_tools::need_that;

use crate::common::Client;

/// The program that makes and enters boxes, and the variable that names another.
pub(crate) const BOX: &str = env!("CARGO_BIN_EXE_sorna-box");
pub(crate) const BOX_VARIABLE: &str = "SORNA_TEST_BOX";

pub(crate) fn config() -> GatewayConfig {
    GatewayConfig::new()
        .with_continuation_interval(Duration::from_millis(200))
        .with_isolation(IsolationLevel::Namespaces)
        .with_require_isolation(true)
        .with_box_program(
            std::env::var_os(BOX_VARIABLE).unwrap_or(BOX.into()),
            [""; 0],
        )
}

/// A gateway whose kernels have namespaces; `None` where there are none, and then the test must return.
#[track_caller]
pub(crate) fn gateway_with(
    change: impl FnOnce(GatewayConfig) -> GatewayConfig,
) -> Option<RunningGateway> {
    match Gateway::spawn(change(config())) {
        Ok(gateway) => Some(gateway),
        Err(error) => {
            let _ = need_that(false, &format!("user namespaces ({error})"));
            None
        }
    }
}

#[track_caller]
pub(crate) fn gateway() -> Option<RunningGateway> {
    gateway_with(|config| config)
}

/// The standard output of a snippet in a new kernel. It must write nothing to standard error.
#[track_caller]
pub(crate) fn run(client: &Client, language: &str, code: &str) -> String {
    let kernel = client.create(language);
    let (stdout, stderr) = client.run(&kernel, code).finished();
    client.destroy(&kernel);
    assert_eq!(stderr, "", "{code}");
    stdout
}

/// The processes of this machine whose command line contains the word.
pub(crate) fn processes_with(word: &str) -> Vec<u32> {
    let holds = |path: &Path| {
        let line = std::fs::read(path.join("cmdline")).unwrap_or_default();
        line.windows(word.len()).any(|part| part == word.as_bytes())
    };
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    entries
        .filter(|entry| holds(&entry.path()))
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

/// A number that no other process has in its command line: seconds to sleep.
pub(crate) fn long_time() -> String {
    let [a, b, c, ..] = crate::common::random();
    format!("{}", 1_000_000_000 + u32::from_le_bytes([a, b, c, 0]))
}
