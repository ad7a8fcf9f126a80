//! What `sorna` says when something is wrong.

mod support;

use std::os::unix::ffi::OsStrExt;

use snapbox::cmd::OutputAssert;
use snapbox::str;

use support::{check, gateway, sorna, sorna_at, write};

fn here() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

fn run_in(directory: &std::path::Path, arguments: &[&str]) -> OutputAssert {
    let mut command = sorna(directory);
    command.arg("run").args(arguments);
    check(command)
}

#[test]
fn missing_keys() {
    let directory = here();
    run_in(directory.path(), &["python3", "-c", "1"])
        .code(2)
        .stderr_eq(str![[r#"
✘ SORNA_ACCESS_KEY is not set
∙ Set SORNA_ACCESS_KEY, SORNA_SECRET_KEY and (unless it is the public service) SORNA_ENDPOINT; or use --local to run on this machine.

"#]]);
}

#[test]
fn an_endpoint_that_is_no_url() {
    let gateway = gateway();
    let directory = here();
    let mut command = sorna_at(directory.path(), &gateway);
    command
        .env("SORNA_ENDPOINT", "localhost:8081")
        .args(["run", "python3", "-c", "1"]);
    check(command).code(2).stderr_eq(str![[r#"
✘ the endpoint must start with https:// or http://
∙ Check SORNA_ENDPOINT.

"#]]);
}

#[test]
fn a_wrong_secret_key() {
    let gateway = gateway();
    let directory = here();
    let mut command = sorna_at(directory.path(), &gateway);
    command
        .env("SORNA_SECRET_KEY", "not-the-secret")
        .env("SORNA_ACCESS_KEY", gateway.access_key())
        .args(["run", "-q", "python3", "-c", "1"]);
    let access_key = gateway.access_key().to_owned();
    let output = command.output().expect("sorna runs");
    let words = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(1));
    assert!(
        words.contains("401 auth-failed: Credential/signature mismatch."),
        "{words}"
    );
    assert!(
        words.contains(&format!("refuses the access key {access_key}")),
        "{words}"
    );
    assert!(
        words.contains("check SORNA_ACCESS_KEY and SORNA_SECRET_KEY"),
        "{words}"
    );
    assert!(!words.contains("not-the-secret"), "{words}");
    assert_eq!(gateway.stats().kernels_created, 0);
    gateway.stop();
}

#[test]
fn an_unreachable_endpoint() {
    // A port that was free a moment ago.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let directory = here();
    let mut command = sorna(directory.path());
    command
        .env("SORNA_ENDPOINT", format!("http://{address}"))
        .env("SORNA_ACCESS_KEY", "AKIAIOSFODNN7EXAMPLE")
        .env(
            "SORNA_SECRET_KEY",
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        )
        .args(["run", "-q", "python3", "-c", "1"]);
    check(command).code(1).stderr_eq(str![[r#"
✘ cannot connect to [ADDRESS]: Connection refused (os error 111)
∙ The endpoint is http://[ADDRESS] (from SORNA_ENDPOINT): is it right, and is the gateway running? With --local none is needed.

"#]]);
}

#[test]
fn an_unknown_language() {
    let directory = here();
    run_in(directory.path(), &["--local", "-q", "cobol", "-c", "1"])
        .code(1)
        .stderr_eq(str![[r#"
✘ the gateway answered 500 kernel-creation-failed: Kernel creation has failed.: unknown language "cobol"; known are [..]
∙ Is the language's name right, and is it installed on the gateway?

"#]]);
}

#[test]
fn files_that_cannot_be_sent() {
    let directory = here();
    write(directory.path(), &[("below/a.c", ""), ("b.c", "")]);
    run_in(directory.path(), &["--local", "c", "missing.c"])
        .code(2)
        .stderr_eq("✘ cannot read missing.c: No such file or directory (os error 2)\n");
    std::fs::create_dir(directory.path().join("empty")).expect("a directory");
    run_in(directory.path(), &["--local", "c", "empty"])
        .code(2)
        .stderr_eq("✘ there is nothing to upload in empty: it is empty, or all its files are hidden or ignored\n");
    std::os::unix::fs::symlink("/etc/passwd", directory.path().join("out.c")).expect("a link");
    for arguments in [["--local", "c", "out.c"], ["--local", "c", "."]] {
        run_in(directory.path(), &arguments)
            .code(2)
            .stderr_eq("✘ [..]out.c is a link to /etc/passwd, which is outside .: copy what it leads to, or leave the link out\n");
    }
    std::os::unix::fs::symlink("..", directory.path().join("below/up")).expect("a link");
    run_in(directory.path(), &["--local", "c", "below"])
        .code(2)
        .stderr_eq("✘ the link below/up leads back to a directory that it is in\n");
    let name = std::ffi::OsStr::from_bytes(b"\xff.c");
    std::fs::create_dir(directory.path().join("odd")).expect("a directory");
    std::fs::write(directory.path().join("odd").join(name), "").expect("a file");
    run_in(directory.path(), &["--local", "c", "odd"])
        .code(2)
        .stderr_eq("✘ the name of odd/\u{fffd}.c is not Unicode, which an upload needs\n");
    std::fs::write(directory.path().join("a\\b.c"), "").expect("a file");
    run_in(directory.path(), &["--local", "c", "a\\b.c"])
        .code(2)
        .stderr_eq("✘ [..]has a backslash: put `/` between directories\n");
    run_in(directory.path(), &["--local", "c", "/dev/null"])
        .code(2)
        .stderr_eq("✘ /dev/null is not a regular file\n");
    run_in(&directory.path().join("below"), &["--local", "c", "../b.c"])
        .code(2)
        .stderr_eq(str![[r#"
✘ ../b.c is outside .: files are uploaded by their path below that directory, so go to a directory that holds them all

"#]]);
    std::fs::write(directory.path().join("big.bin"), vec![0; 1024 * 1024 + 1]).expect("a file");
    run_in(directory.path(), &["--local", "-q", "c", "big.bin"])
        .code(1)
        .stderr_eq(str![[r#"
✘ big.bin has 1048577 bytes, and the gateway takes files of at most 1048576

"#]]);
}

#[test]
fn wrong_command_lines() {
    let directory = here();
    run_in(directory.path(), &["python3"]).code(2);
    run_in(directory.path(), &["python3", "a.py", "-c", "1"]).code(2);
    run_in(
        directory.path(),
        &["--local", "-t", "my-session", "python3", "-c", "1"],
    )
    .code(2);
    run_in(directory.path(), &["-t", "short", "python3", "-c", "1"])
        .code(2)
        .stderr_eq(str![[r#"
✘ a client session token has 8 to 80 characters and no control characters; this one has 5

"#]]);
    check(sorna(directory.path())).code(2);
}
