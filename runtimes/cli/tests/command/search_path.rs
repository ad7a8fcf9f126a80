//! Programs of other places: `--path` and `--venv`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::support::served::Served;
use crate::support::{check, here, sorna, write};
use sorna_test_tools::need;

/// A program that says hello, in `tools`.
fn make_tool(directory: &Path) {
    write(
        directory,
        &[("tools/greet", "#!/bin/sh\necho hello from tools\n")],
    );
    for open in ["tools/greet", "tools", "."] {
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(directory.join(open), mode).expect("mine");
    }
}

#[test]
fn a_virtual_environment_is_used() {
    if !need("python3") {
        return;
    }
    let directory = here();
    make_tool(directory.path());
    let mut make = Command::new("python3");
    make.args(["-m", "venv", "--without-pip", "env"]);
    assert!(
        make.current_dir(directory.path())
            .status()
            .expect("it runs")
            .success()
    );
    let prefix = directory.path().join("env").canonicalize().expect("it");
    // As the helper masks it.
    let expected = "[DIR]/env\n";
    let code = "import sys; print(sys.prefix)";
    for venv in ["env", "./tools/../env", prefix.to_str().expect("text")] {
        let mut command = sorna(directory.path());
        command.args([
            "run", "--local", "-q", "--venv", venv, "python3", "-c", code,
        ]);
        check(command).success().stdout_eq(expected);
    }
    let mut command = sorna(directory.path());
    command.args(["serve", "--log", "off", "--venv", "env"]);
    let served = Served::start(command);
    let mut command = sorna(directory.path());
    command
        .envs(served.settings())
        .args(["run", "-q", "python3", "-c", code]);
    check(command).success().stdout_eq(expected);
}

#[test]
fn programs_are_found_in_the_path_that_is_given() {
    if !need("bash") {
        return;
    }
    let directory = here();
    make_tool(directory.path());
    let usual = std::env::var("PATH").expect("a path");
    let run = |path: &str| {
        let mut command = sorna(directory.path());
        command.args([
            "run", "--local", "-q", "--path", path, "bash", "-c", "greet",
        ]);
        check(command)
    };
    run(&format!("tools:{usual}"))
        .success()
        .stdout_eq("hello from tools\n");
    run(&usual).code(127);
    run("tools").code(1).stderr_eq(snapbox::str![[r#"
...
[..]bash, which is not installed[..]
...
"#]]);
}

#[test]
fn wrong_places_are_errors() {
    let directory = here();
    make_tool(directory.path());
    for (arguments, words) in [
        (
            &["run", "--local", "--venv", "tools"][..],
            "--venv tools: there is no directory `bin` in it",
        ),
        (
            &["run", "--local", "--venv", "nowhere"],
            "--venv nowhere: there is no directory `bin` in it",
        ),
        (
            &["run", "--local", "--path", "nowhere:/nor/there"],
            "--path nowhere:/nor/there: none of these directories exists",
        ),
        (&["run", "--venv", "tools"], "--venv needs --local"),
        (&["shell", "--path", "tools"], "--path needs --local"),
    ] {
        let mut command = sorna(directory.path());
        command.args(arguments).arg("bash");
        if arguments[0] == "run" {
            command.args(["-c", "true"]);
        }
        let output = command.output().expect("sorna runs");
        let stderr = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains(words), "{stderr}");
    }
}
