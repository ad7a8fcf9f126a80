//! Tools that a machine may lack. A test that needs a missing one skips, loudly; with `CI` set it
//! fails instead, since CI installs them all.

use std::path::PathBuf;

/// The Python interpreter of a virtual environment that holds the original client.
///
/// `SORNA_TEST_PYTHON` names it; else it is looked for where `.ci/run` puts it. To make it by hand:
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
pub fn original_client() -> Option<PathBuf> {
    let usual = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../target/python-client/bin/python"
    );
    let python = std::env::var_os("SORNA_TEST_PYTHON").map_or_else(|| usual.into(), PathBuf::from);
    if python.exists() {
        return Some(python);
    }
    missing("the original Python client (sorna-client 0.9.8)");
    None
}

/// Whether a program is on the path of this process.
///
/// # Panics
///
/// If it is missing and `CI` is set.
#[must_use]
pub fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = std::env::split_paths(&path).any(|directory| directory.join(program).is_file());
    if !is_there {
        missing(program);
    }
    is_there
}

fn missing(what: &str) {
    assert!(
        std::env::var_os("CI").is_none(),
        "{what} is missing, and CI must not skip"
    );
    eprintln!("SKIPPED: {what} is missing, so this test checks nothing");
}
