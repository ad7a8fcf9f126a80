//! `lcc`: compile and run C in a remote kernel, or on this machine; `sorna run c` for short.

use std::process::ExitCode;

fn main() -> ExitCode {
    sorna_cli::lcc()
}
