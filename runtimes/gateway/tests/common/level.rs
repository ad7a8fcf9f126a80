//! Tests at another level of isolation than they were written for.

use sorna_gateway::{GatewayConfig, IsolationLevel};

/// With `SORNA_TEST_ISOLATION=namespaces`, all tests that start their gateway by `gateway_with` run at that level of
/// isolation. Some then fail, since they look for what is different there: IDs of processes, files that are there and cannot
/// be read, and kernels that are killed for processes which they can now not start.
pub(crate) fn at_level(config: GatewayConfig) -> GatewayConfig {
    match std::env::var("SORNA_TEST_ISOLATION") {
        Ok(level) if level == "namespaces" && config.isolate_files() => config
            .with_isolation(IsolationLevel::Namespaces)
            .with_require_isolation(true)
            .with_box_program(env!("CARGO_BIN_EXE_sorna-box"), [""; 0]),
        _ => config,
    }
}
