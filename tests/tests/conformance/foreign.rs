//! A gateway elsewhere, as `SORNA_TEST_ENDPOINT` and its companions describe one.
//!
//! This process runs it, and another the checks: a few of each kind, with one driver in each dialect.

use std::process::{Command, Output};

use sorna_gateway::{Gateway, RunningGateway};

/// What is run in each dialect.
const CHECKS: [&str; 8] = [
    "operations::info",
    "operations::languages",
    "execute::state_and_order",
    "uploads::replaced_files",
    "files::lists",
    "sessions::logs",
    "runs::to_the_end",
    "terminal::echo",
];

/// Runs the checks in another process, against the gateway; `lacks` is what it is said not to have, and `more` are further
/// variables.
fn check(gateway: &RunningGateway, lacks: &str, more: &[(&str, &str)]) -> (bool, String) {
    let this = std::env::current_exe().expect("this program");
    let dialects = [("sorna_v2", "smol"), ("backend_ai", "tokio")];
    let checks = dialects.iter().flat_map(|(dialect, driver)| {
        let name = move |check| format!("{dialect}::{driver}::{check}");
        CHECKS.map(name)
    });
    let mut tests = Command::new(this);
    tests
        .arg("--exact")
        .args(checks)
        .args(["--nocapture", "--test-threads=2"]);
    tests
        .env("SORNA_TEST_ENDPOINT", gateway.endpoint())
        .env("SORNA_TEST_ACCESS_KEY", gateway.access_key())
        .env("SORNA_TEST_SECRET_KEY", gateway.secret_key())
        .env("SORNA_TEST_LACKS", lacks)
        .env_remove("SORNA_TEST_LANGS")
        .env_remove("SORNA_TEST_LIMIT")
        .envs(more.iter().copied());
    let Output {
        status,
        stdout,
        stderr,
    } = tests.output().expect("it ends");
    let said = [stdout, stderr].concat();
    (
        status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

#[test]
fn the_suite_passes_and_names_what_is_skipped() {
    let _watchdog = sorna_test_tools::watch("a gateway elsewhere", crate::lab::LIMIT);
    if std::env::var_os("SORNA_TEST_ENDPOINT").is_some() {
        eprintln!("SKIPPED: this is the process for a gateway elsewhere");
        return;
    }
    let gateway = Gateway::spawn(crate::lab::gateway_config()).expect("a gateway");
    let (passed, said) = check(&gateway, "", &[]);
    assert!(passed, "{said}");
    assert!(said.contains("16 passed"), "{said}");
    assert!(
        said.contains("SKIPPED: SornaV2 does not offer Logs"),
        "{said}"
    );
    assert!(
        said.contains("SKIPPED: BackendAi does not offer Languages"),
        "{said}"
    );
    assert!(!said.contains("this gateway does not"), "{said}");
    assert_eq!(gateway.stats().kernels, 0, "{said}");

    let (passed, said) = check(&gateway, "SornaV2, Logs,Terminal", &[]);
    assert!(passed, "{said}");
    for lacking in ["speak SornaV2", "offer Logs", "offer Terminal"] {
        let skipped = format!("SKIPPED: this gateway does not {lacking}");
        assert!(said.contains(&skipped), "{skipped}: {said}");
    }
    assert_eq!(gateway.stats().kernels, 0, "{said}");

    let (passed, said) = check(&gateway, "Logs,Termnal", &[]);
    let why = "SORNA_TEST_LACKS: no feature is named Termnal";
    assert!(!passed && said.contains(why), "{said}");

    // Another name for one of its languages, and no others: bash is a language of its own in the suite.
    let (passed, said) = check(&gateway, "", &[("SORNA_TEST_LANGS", "python3=python")]);
    assert!(passed, "{said}");
    let why = "SKIPPED: this gateway does not have the language bash";
    assert!(said.contains(why), "{said}");
    assert_eq!(gateway.stats().kernels, 0, "{said}");

    // One check that does not end in time does not stop the others.
    let (passed, said) = check(&gateway, "", &[("SORNA_TEST_LIMIT", "0")]);
    assert!(!passed, "{said}");
    for name in ["state_and_order", "replaced_files"] {
        let why = format!("{name} has not ended after 0ns");
        assert!(said.contains(&why), "{said}");
    }
    gateway.stop();
}
