//! `sorna langs`.

use snapbox::str;

use crate::support::server::answering;
use crate::support::{check, gateway, here, sorna, sorna_at};

#[test]
fn the_languages_of_a_gateway() {
    let gateway = gateway();
    let directory = here();
    let mut command = sorna_at(directory.path(), &gateway);
    command.arg("langs");
    check(command).success().stderr_eq("").stdout_eq(str![[r#"
...
python3  keeps state[..] python
...
"#]]);
    assert_eq!(gateway.stats().kernels_created, 0);
    gateway.stop();
}

#[test]
fn the_languages_of_this_machine_as_json() {
    let directory = here();
    let mut command = sorna(directory.path());
    command.args(["langs", "--local", "--json"]);
    let output = command.output().expect("sorna runs");
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).expect("text");
    let python = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"))
        .find(|language| language["name"] == "python3")
        .expect("python3");
    assert_eq!(python["available"], true);
}

#[test]
fn missing_tools_are_listed() {
    let address = answering(
        "200 OK\nContent-Type: application/json",
        r#"{"languages": [{"name": "c", "available": true}, {"name": "cobol", "missing": "cobc is not on the PATH"}]}"#,
    );
    let directory = here();
    let mut command = sorna(directory.path());
    command
        .env("SORNA_ENDPOINT", format!("http://{address}"))
        .env("SORNA_ACCESS_KEY", "AKIAIOSFODNN7EXAMPLE")
        .env("SORNA_SECRET_KEY", "a-secret-that-must-not-be-shown")
        .arg("langs");
    check(command).success().stdout_eq(str![[r#"
c      whole programs
cobol  not available: cobc is not on the PATH

"#]]);
}

#[test]
fn a_gateway_without_a_list() {
    let address = answering(
        "404 Not Found\nContent-Type: application/problem+json",
        r#"{"type": "https://api.sorna.io/probs/generic-not-found", "title": "Not found."}"#,
    );
    let directory = here();
    let mut command = sorna(directory.path());
    command
        .env("SORNA_ENDPOINT", format!("http://{address}"))
        .env("SORNA_ACCESS_KEY", "AKIAIOSFODNN7EXAMPLE")
        .env("SORNA_SECRET_KEY", "a-secret-that-must-not-be-shown")
        .arg("langs");
    check(command).code(1).stdout_eq("").stderr_eq(str![[r#"
✘ the gateway responded with 404 generic-not-found: Not found.
∙ This gateway does not list its languages (the API of 2017 has no request for it). Try `sorna run` with the one you want.

"#]]);
}

#[test]
fn the_images_of_a_gateway_of_backend_ai() {
    let gateway = gateway();
    let directory = here();
    let mut command = crate::support::backend_at(directory.path(), &gateway);
    command.arg("langs");
    check(command).success().stderr_eq("").stdout_eq(str![[r#"
...
local/bash:latest[..]bash
...
"#]]);
    // An error of a manager is about the image, with the names that there are.
    let mut command = crate::support::backend_at(directory.path(), &gateway);
    command.args(["run", "-q", "pyton", "-c", "1"]);
    check(command).code(1).stderr_eq(str![[r#"
✘ [..]Unknown image reference: pyton[..]
∙ Did you mean python?

"#]]);
    gateway.stop();
}
