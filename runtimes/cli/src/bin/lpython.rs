//! `lpython`: run Python in a remote kernel, or on this machine; `sorna run python3` for short.

use std::process::ExitCode;

fn main() -> ExitCode {
    sorna_cli::lpython()
}
