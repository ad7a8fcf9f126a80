//! `sorna upload`.

use std::net::SocketAddr;
use std::process::Command;

use serde_json::json;
use snapbox::str;

use crate::support::{check, gateway, here, sorna, sorna_at, stub, write};

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
✔ Kernel (ID: [KERNEL]) is ready, and new.
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
    let again = ["-t", "my-session", "bash", "new.txt"];
    upload(sorna_at(directory.path(), &gateway), &again)
        .success()
        .stderr_eq("✔ Kernel (ID: [..]) is ready.\n✔ Uploaded 1 file (6 bytes).\n");
    let other = ["-t", "my-session", "python3", "new.txt"];
    upload(sorna_at(directory.path(), &gateway), &other)
        .success()
        .stderr_eq("✔ Kernel (ID: [..]) is ready, and new.\n\
             ∙ This token has another kernel already, of bash: each language has its own, with variables and files of its own. Other commands need its ID.\n\
             ✔ Uploaded 1 file (6 bytes).\n");
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
∙ There is no kernel with the ID or the session token python3. To upload by language, add -t TOKEN.

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

/// A manager 26.9.6, which responds with success to each upload. In its session, `taken` is a directory, `file` a file, and
/// `old` an older file. `locked` is a directory that cannot be listed.
fn forgetful_manager() -> SocketAddr {
    const UUID: &str = "7c548299-6be3-4613-8cf0-f11deb896755";
    stub::stub(|request| {
        let listing = |files: serde_json::Value| {
            let files = format!("{files}\n");
            json!({"files": files, "errors": "", "abspath": ""})
        };
        let directory = |name| json!({"mode": "drwxr-xr-x", "size": 4096, "filename": name});
        let file = |name| json!({"mode": "-rw-r--r--", "size": 4, "filename": name});
        let path = request.path.as_str();
        let body = match (request.method.as_str(), path.rsplit('/').next()) {
            ("GET", Some("")) => json!({"version": "v9.20250722", "manager": "26.9.6"}),
            ("GET", Some("match?id=work")) => {
                json!({"matches": [{"id": UUID, "name": "work", "status": "RUNNING"}]})
            }
            ("POST", Some("session")) => json!({"sessionId": UUID, "status": "RUNNING"}),
            ("POST", Some("upload")) => return Some((204, String::new())),
            ("GET", Some("files?path=.")) => listing(json!([
                directory("taken"),
                directory("locked"),
                {"mode": "-rw-r--r--", "size": 99, "filename": "old"},
                file("file"),
                file("é 한"),
                file("fine"),
            ])),
            ("GET", Some("files?path=deep%2Fer")) => listing(json!([file("fine")])),
            ("GET", _) => json!({"files": "", "errors": "NotADirectoryError", "abspath": ""}),
            _ => json!({}),
        };
        let status = if path == "/session" { 201 } else { 200 };
        Some((status, body.to_string()))
    })
}

#[test]
fn files_that_a_manager_does_not_store_are_named() {
    let address = forgetful_manager();
    let directory = here();
    let names = ["taken", "gone", "old", "fine", "é 한", "deep/er/fine"];
    let files = names.map(|name| (name, "1234"));
    write(directory.path(), &files);
    let upload = |files: &[&str]| {
        let mut command = stub::at(sorna(directory.path()), address);
        command
            .args(["upload", "--api", "auto", "work"])
            .args(files);
        check(command)
    };
    upload(&["fine", "é 한", "deep"])
        .success()
        .stderr_eq("✔ Uploaded 3 files (12 bytes).\n");
    upload(&names).code(1).stdout_eq("").stderr_eq(
        "✘ the gateway did not store \"taken\" (the gateway responded with 204, but there is a directory of this name), \
         \"gone\" (the gateway responded with 204, but the file is not there), \
         \"old\" (the gateway responded with 204, but the file there has 99 bytes)\n",
    );
    write(
        directory.path(),
        &[("file/a", "1234"), ("locked/b", "1234")],
    );
    upload(&["file/a"]).code(1).stderr_eq(
        "✘ the gateway did not store \"file/a\" (the gateway responded with 204, but file is not a directory)\n",
    );
    upload(&["locked", "fine"]).success().stderr_eq(str![[r#"
✔ Uploaded 2 files (8 bytes).
∙ It could not be checked whether 1 file is stored: look with `sorna ls`.

"#]]);
    let mut run = stub::at(sorna(directory.path()), address);
    run.args(["run", "-q", "--api", "auto", "python", "gone"]);
    check(run).failure().stdout_eq("").stderr_eq(
        "✘ the gateway did not store \"gone\" (the gateway responded with 204, but the file is not there)\n",
    );
}
