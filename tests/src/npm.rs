//! JavaScript packages for the pages of the examples.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use sorna_test_tools::{need, need_that};

/// Has npm install these packages, each with its version, into a directory of modules below
/// `place`, where they stay for the next time.
///
/// # Panics
///
/// If npm is missing, or cannot install them, and `CI` is set.
#[must_use]
pub fn node_modules(place: &str, packages: &[&str]) -> Option<PathBuf> {
    // npm leaves a list of the packages that it has installed.
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
    if !need("npm") {
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
    let stderr = String::from_utf8_lossy(&output.stderr);
    let what = format!("{} (npm: {stderr})", packages.join(" and "));
    need_that(false, &what).then_some(modules)
}
