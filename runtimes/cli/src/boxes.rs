//! This program as the helper of its own gateway, which isolates kernels by namespaces.

use std::process::ExitCode;

use sorna_gateway::{GatewayConfig, box_main, close_files_on_exec};

/// The first argument of the helper. It is no command, so that no help mentions it.
const WORD: &str = "__box";

/// Does what the helper is to do, if this process is one. Otherwise what was open when this program was started is kept from
/// those that it starts, kernels above all. To be called first of all.
pub(crate) fn helper() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|word| word == WORD) {
        return Some(box_main(arguments));
    }
    close_files_on_exec();
    None
}

/// Lets a gateway start this program as its helper.
pub(crate) fn provide(config: GatewayConfig) -> GatewayConfig {
    config.with_box_program("/proc/self/exe", [WORD])
}
