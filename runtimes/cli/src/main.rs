//! `sorna`: run code in remote kernels, or on this machine.

use std::process::ExitCode;

fn main() -> ExitCode {
    sorna_cli::sorna()
}
