//! The helper of gateways that isolate kernels by namespaces, for programs that do not contain it themselves: see
//! `GatewayConfig::with_box_program`.

use std::process::ExitCode;

fn main() -> ExitCode {
    sorna_gateway::box_main(std::env::args_os().skip(1))
}
