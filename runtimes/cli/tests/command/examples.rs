//! The examples of the help that are for Backend.AI.

use std::path::Path;
use std::process::Command;

use sorna_gateway::RunningGateway;
use sorna_test_tools::need;

use crate::support::{backend_at, check, gateway, here, program, write};

/// The examples in the help of a command that are for Backend.AI.
fn examples(directory: &Path, gateway: &RunningGateway, command: &str) -> Vec<String> {
    let mut sorna = backend_at(directory, gateway);
    let output = sorna.args([command, "--help"]).output().expect("it runs");
    let help = String::from_utf8(output.stdout).expect("text");
    let (_, section) = help.split_once("\nIn Backend.AI").expect("a section");
    let lines = section.lines().skip(1);
    let lines = lines.take_while(|line| line.starts_with("  sorna "));
    lines.map(|line| line.trim().to_owned()).collect()
}

fn in_shell(directory: &Path, gateway: &RunningGateway, line: &str) -> Command {
    let mut command = program(Path::new("bash"), directory);
    let binaries = snapbox::cmd::cargo_bin!("sorna")
        .parent()
        .expect("a directory")
        .to_owned();
    let path = std::env::var("PATH").expect("it is set");
    command
        .args(["-o", "pipefail", "-c", line])
        .env("PATH", format!("{}:{path}", binaries.display()))
        .env("BACKEND_ENDPOINT", gateway.endpoint())
        .env("BACKEND_ACCESS_KEY", gateway.access_key())
        .env("BACKEND_SECRET_KEY", gateway.secret_key());
    command
}

#[test]
fn examples_for_backend_ai_work_there() {
    let directory = here();
    write(
        directory.path(),
        &[
            ("main.py", "import os; print(os.environ['GREETING'])"),
            ("data.csv", "1,2\n"),
            ("src/a.py", ""),
        ],
    );
    for command in ["run", "upload", "info", "restart", "destroy"] {
        let gateway = gateway();
        let examples = examples(directory.path(), &gateway, command);
        assert!(!examples.is_empty(), "{command}");
        for example in examples {
            if example.contains("jq ") && !need("jq") {
                continue;
            }
            // The module that an example imports.
            let example = example.replace("import work", "import os");
            if command != "run" {
                let mut session = backend_at(directory.path(), &gateway);
                session.args(["run", "-q", "-t", "my-session", "python", "-c", "1"]);
                check(session).success();
            }
            check(in_shell(directory.path(), &gateway, &example)).success();
        }
        gateway.stop();
    }
}
