//! `-v`: each request is logged, without secrets.

use snapbox::str;

use crate::support::{check, gateway, sorna, sorna_at};

#[test]
fn each_request_of_a_run_is_logged() {
    let directory = tempfile::tempdir().expect("a directory");
    for arguments in [
        ["-v", "run", "--local", "python3", "-c", "print(42)"],
        ["run", "--local", "python3", "-v", "-c", "print(42)"],
    ] {
        let mut command = sorna(directory.path());
        command.args(arguments);
        check(command)
            .success()
            .stdout_eq("42\n")
            .stderr_eq(str![[r#"
∙ Client session token: [TOKEN]
∙ POST /v2/kernel/create: 201, attempt 1, [..] ms
✔ Kernel (ID: [KERNEL]) is ready.
∙ POST /v2/kernel/[..]: 200, attempt 1, [..] ms
...
∙ DELETE /v2/kernel/[..]: 204, attempt 1, [..] ms
✔ Cleaned up the kernel.

"#]]);
    }
}

#[test]
fn attempts_without_a_response_are_logged() {
    // A port that was free a moment ago.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let directory = tempfile::tempdir().expect("a directory");
    let mut command = sorna(directory.path());
    command
        .env("SORNA_ENDPOINT", format!("http://{address}"))
        .env("SORNA_ACCESS_KEY", "AKIAIOSFODNN7EXAMPLE")
        .env("SORNA_SECRET_KEY", "a-secret-that-must-not-be-shown")
        .args(["run", "-v", "-q", "python3", "-c", "1"]);
    check(command).code(1).stderr_eq(str![[r#"
∙ POST /v2/kernel/create: no response (could not connect to [ADDRESS]: Connection refused (os error 111)), attempt 1, [..] ms
∙ POST /v2/kernel/create: no response (could not connect to [ADDRESS]: Connection refused (os error 111)), attempt 2, [..] ms
∙ POST /v2/kernel/create: no response (could not connect to [ADDRESS]: Connection refused (os error 111)), attempt 3, [..] ms
∙ POST /v2/kernel/create: no response (could not connect to [ADDRESS]: Connection refused (os error 111)), attempt 4, [..] ms
∙ POST /v2/kernel/create: no response (could not connect to [ADDRESS]: Connection refused (os error 111)), attempt 5, [..] ms
✘ could not connect to [ADDRESS]: Connection refused (os error 111)
∙ The endpoint is http://[ADDRESS] (from SORNA_ENDPOINT). Check that it is right and that the gateway is running, or use `sorna run --local`.

"#]]);
}

#[test]
fn headers_and_bodies_are_not_logged() {
    let gateway = gateway();
    let directory = tempfile::tempdir().expect("a directory");
    let mut command = sorna_at(directory.path(), &gateway);
    command.args(["run", "-v", "python3", "-c", "password = 'in the code'"]);
    let output = command.output().expect("sorna runs");
    let text = String::from_utf8(output.stderr).expect("text");
    assert!(output.status.success(), "{text}");
    for hidden in [
        gateway.secret_key(),
        gateway.access_key(),
        "signMethod",
        "in the code",
    ] {
        assert!(!text.contains(hidden), "{text}");
    }
    gateway.stop();
}
