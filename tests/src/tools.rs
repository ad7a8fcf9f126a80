//! Tools that a machine may lack. A test that needs a missing one skips, loudly; with `CI` set it
//! fails instead, since CI installs them all.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

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
    first_of(&[program]).is_some()
}

/// The first of these programs that is on the path of this process.
///
/// # Panics
///
/// If none is and `CI` is set.
#[must_use]
pub fn first_of<'p>(programs: &[&'p str]) -> Option<&'p str> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = |program: &str| {
        std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
    };
    let first = programs.iter().find(|program| is_there(program)).copied();
    if first.is_none() {
        missing(&programs.join(" or "));
    }
    first
}

/// What npm installs for these packages, each with its version: a directory of modules below `place`,
/// where it stays for the next time.
///
/// # Panics
///
/// If npm is missing, or cannot install them, and `CI` is set.
#[must_use]
pub fn node_modules(place: &str, packages: &[&str]) -> Option<PathBuf> {
    // npm leaves a list of what it has installed.
    let modules = PathBuf::from(place).join("node_modules");
    let list = std::fs::read(modules.join(".package-lock.json")).unwrap_or_default();
    let list: Value = serde_json::from_slice(&list).unwrap_or_default();
    let has = |package: &&str| {
        let (name, version) = package.rsplit_once('@').unwrap_or((package, ""));
        list["packages"][format!("node_modules/{name}")]["version"] == version
    };
    if packages.iter().all(has) {
        return Some(modules);
    }
    if !is_there("npm") {
        return None;
    }
    let mut npm = Command::new("npm");
    npm.args([
        "install",
        "--no-save",
        "--no-audit",
        "--no-fund",
        "--ignore-scripts",
        "--prefix",
    ]);
    let output = npm.arg(place).args(packages).output();
    let output = output.expect("npm is there");
    if output.status.success() {
        return Some(modules);
    }
    let words = String::from_utf8_lossy(&output.stderr);
    missing(&format!("{} ({words})", packages.join(" and ")));
    None
}

fn missing(what: &str) {
    assert!(
        std::env::var_os("CI").is_none(),
        "{what} is missing, and CI must not skip"
    );
    eprintln!("SKIPPED: {what} is missing, so this test checks nothing");
}
