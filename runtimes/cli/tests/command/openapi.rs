//! `sorna serve` responds as `runtimes/gateway/openapi.json` says, to thousands of requests that Schemathesis makes of it: right
//! ones and wrong ones.

use std::path::Path;
use std::process::Command;

use sorna_test_tools::need_schemathesis;

use crate::support::served::Served;
use crate::support::{here, program, sorna};

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../gateway/openapi.json");
const TESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/openapi");

#[track_caller]
fn check(mut command: Command) -> String {
    let output = command.output().expect("it starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{errors}");
    text
}

#[test]
fn the_description_is_one_of_openapi_3_1() {
    let Some(python) = need_schemathesis() else {
        return;
    };
    let directory = here();
    let mut validator = program(&python, directory.path());
    validator.args(["-m", "openapi_spec_validator", "--schema", "3.1", DOCUMENT]);
    check(validator);
}

#[test]
fn a_gateway_responds_as_it_is_described() {
    let Some(python) = need_schemathesis() else {
        return;
    };
    let directory = here();
    let mut serve = sorna(directory.path());
    serve.args(["serve", "--listen", "127.0.0.1:0", "--log", "off"]);
    serve.args(["--max-requests", "100000", "--exec-timeout", "5s"]);
    let served = Served::start(serve);

    let mut schemathesis = program(&python.with_file_name("schemathesis"), directory.path());
    schemathesis
        .envs(served.settings())
        .env("SCHEMATHESIS_HOOKS", Path::new(TESTS).join("hooks.py"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .args(["--config-file", &format!("{TESTS}/schemathesis.toml")])
        .args(["run", DOCUMENT, "--no-color"])
        .args(["--url", &served.settings()["SORNA_ENDPOINT"]]);
    let report = check(schemathesis);
    // All but one, which is a stream without an end.
    assert!(
        report.contains("Operations:       50 selected / 51 total"),
        "{report}"
    );
    assert!(report.contains("No issues found"), "{report}");
    println!("{report}");
}
