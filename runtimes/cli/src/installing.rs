//! A hint for those who have just built the command: it can be installed.

use std::fs::{self, OpenOptions};
use std::io::{self, IsTerminal};
use std::path::Path;

use etcetera::BaseStrategy;

use crate::reporter::Reporter;

const TEXT: &str = "`cargo install --locked --path runtimes/cli` installs the command `sorna`, so that it need not be built again; \
    `--features jupyter,mcp` adds notebooks and agents.";

/// Says so to a person, once, where this program is what cargo has built.
pub(crate) fn hint(reporter: &mut Reporter) {
    let is_built = std::env::current_exe().is_ok_and(|program| is_built(&program));
    if is_built && io::stderr().is_terminal() && is_first() {
        reporter.info(TEXT);
    }
}

/// Whether this is in the directory of a release build.
fn is_built(program: &Path) -> bool {
    program.parent().is_some_and(|directory| {
        directory.ends_with("release") && directory.join(".fingerprint").is_dir()
    })
}

/// Notes that it was said. Who has no place for that is not told: it would be each time.
fn is_first() -> bool {
    let Ok(strategy) = etcetera::choose_base_strategy() else {
        return false;
    };
    let state = strategy.state_dir().unwrap_or_else(|| strategy.data_dir());
    let directory = state.join("sorna");
    let note = || {
        fs::create_dir_all(&directory)?;
        let mut options = OpenOptions::new();
        options
            .write(true)
            .create_new(true)
            .open(directory.join("installing-was-mentioned"))
    };
    note().is_ok()
}
