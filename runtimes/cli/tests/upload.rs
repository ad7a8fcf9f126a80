//! `sorna upload`.

mod support;

use std::process::Command;

use snapbox::str;

use support::{check, gateway, here, sorna, sorna_at, write};

fn upload(mut command: Command, arguments: &[&str]) -> snapbox::cmd::OutputAssert {
    command.arg("upload").args(arguments);
    check(command)
}

#[test]
fn files_are_uploaded_by_token_and_by_id() {
    let gateway = gateway();
    let directory = here();
    write(
        directory.path(),
        &[
            ("src/a.txt", "one\n"),
            ("src/b/c.txt", "two\n"),
            ("src/.d", "four\n"),
            ("new.txt", "three\n"),
        ],
    );
    let arguments = ["-t", "my-session", "bash", "src"];
    let first = upload(sorna_at(directory.path(), &gateway), &arguments)
        .success()
        .stdout_eq("")
        .stderr_eq(str![[r#"
✔ Kernel (ID: [KERNEL]) is ready.
✔ Uploaded 2 files (8 bytes).

"#]]);
    let text = String::from_utf8(first.get_output().stderr.clone()).expect("text");
    let (_, id) = text.split_once("ID: ").expect("an id");
    let (id, _) = id.split_once(')').expect("an id");
    upload(sorna_at(directory.path(), &gateway), &["-q", id, "new.txt"])
        .success()
        .stdout_eq("")
        .stderr_eq("");
    let arguments = ["-q", "--no-ignore", "-t", "my-session", "bash", "src"];
    upload(sorna_at(directory.path(), &gateway), &arguments).success();
    let mut run = sorna_at(directory.path(), &gateway);
    run.args([
        "run",
        "-q",
        "-t",
        "my-session",
        "bash",
        "-c",
        "cat src/a.txt src/b/c.txt new.txt src/.d",
    ]);
    check(run).success().stdout_eq("one\ntwo\nthree\nfour\n");
    assert_eq!(gateway.stats().kernels_created, 1);
    gateway.stop();
}

#[test]
fn errors_of_an_upload() {
    let gateway = gateway();
    let directory = here();
    write(directory.path(), &[("a.txt", "")]);
    let at = |arguments: &[&str]| upload(sorna_at(directory.path(), &gateway), arguments);
    at(&["-q", "AAAAAAAAAAAAAAAAAAAAAA", "a.txt"])
        .code(1)
        .stderr_eq(str![[r#"
✘ the gateway responded with 404 kernel-not-found: [..]
...
"#]]);
    // Ids may begin with hyphens, and with the letter of an option.
    for id in [
        "-qAAAAAAAAAAAAAAAAAAAA",
        "-tAAAAAAAAAAAAAAAAAAAA",
        "--AAAAAAAAAAAAAAAAAAAA",
    ] {
        at(&["-q", id, "a.txt"]).code(1).stderr_eq(str![[r#"
✘ the gateway responded with 404 kernel-not-found: [..]
...
"#]]);
    }
    at(&["python3", "a.txt"]).code(1).stderr_eq(str![[r#"
✘ the gateway responded with 404 kernel-not-found: [..]
∙ python3 was taken as a kernel ID. To upload by language, add -t TOKEN.

"#]]);
    at(&["--no-ignroe", "AAAAAAAAAAAAAAAAAAAAAA", "a.txt"])
        .code(2)
        .stderr_eq(str![[r#"
error: invalid value '--no-ignroe' for '<KERNEL-ID|LANG>': not an option, and not a kernel ID; put a space between an option and its value
...
"#]]);
    at(&["-t", "my-session", "cobol", "a.txt"]).code(1);
    at(&["-t", "short", "bash", "a.txt"]).code(2);
    at(&["create", "a.txt"]).code(2);
    at(&["AAAAAAAAAAAAAAAAAAAAAA", "missing"])
        .code(2)
        .stderr_eq("✘ cannot read missing: No such file or directory (os error 2)\n");
    at(&["AAAAAAAAAAAAAAAAAAAAAA"]).code(2);
    upload(
        sorna(directory.path()),
        &["AAAAAAAAAAAAAAAAAAAAAA", "a.txt"],
    )
    .code(2);
    gateway.stop();
}
