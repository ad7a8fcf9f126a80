//! What programs cannot do, and what options allow.

use std::process::Command;

use serde_json::json;
use snapbox::cmd::cargo_bin;

use super::client::{Client, local};
use crate::support::here;

const CONNECT: &str = "import socket\ns = socket.create_connection(('127.0.0.1', PORT), 5)\nprint(s.recv(5).decode())";

#[test]
fn there_is_no_network_unless_it_is_allowed() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        use std::io::Write;
        for stream in listener.incoming() {
            let _ = stream.expect("a connection").write_all(b"hello");
        }
    });
    let code = CONNECT.replace("PORT", &port.to_string());
    let called = Client::local(&[]).run("python3", &code);
    assert_eq!(called.ended().1, &json!(1));
    assert!(
        called.text().contains("Network is unreachable")
            || called.text().contains("Connection refused"),
        "{}",
        called.text()
    );
    let called = Client::local(&["--network", "host"]).run("python3", &code);
    assert_eq!(called.ended().0, "hello\n");
}

#[test]
fn only_what_is_allowed_is_read() {
    let directory = here();
    let secret = directory.path().join("secret");
    std::fs::create_dir(&secret).expect("a directory");
    std::fs::write(secret.join("file"), "the content").expect("a file");
    let code = format!("open({:?}).read()", secret.join("file"));
    let write = format!("open({:?}, 'w')", secret.join("other"));
    let called = Client::local(&[]).run("python3", &code);
    assert_eq!(called.ended().1, &json!(1), "{}", called.text());
    let allowed = secret.to_str().expect("text").to_owned();
    let mut client = Client::local(&["--allow-read", &allowed]);
    assert_eq!(client.run("python3", &code).field("value"), "'the content'");
    assert_eq!(client.run("python3", &write).ended().1, &json!(1));
    // The home directory is one of its own, and the environment has nothing of the user's.
    let directory = here();
    let mut command = local(directory.path(), &[]);
    command
        .env("HOME", "/home/somebody")
        .env("API_KEY", "a-key-that-no-one-may-see-in-mcp");
    let mut client = Client::begin(command, directory, "2025-11-25");
    let called = client.run("bash", "echo ~; env");
    let (output, _) = called.ended();
    assert!(
        !output.contains("somebody") && !output.contains("no-one-may-see"),
        "{output}"
    );
}

#[test]
fn memory_processes_and_files_are_limited() {
    let mut client = Client::local(&[
        "--max-mem",
        "128m",
        "--max-processes",
        "20",
        "--max-disk",
        "8m",
    ]);
    let called = client.run("python3", "x = bytearray(1 << 30)");
    assert_ne!(called.ended().1, &json!(0), "{}", called.text());
    let called = client.run(
        "bash",
        "for i in $(seq 100); do sleep 5 & done; jobs | wc -l",
    );
    assert!(!called.ended().0.ends_with("100\n"), "{}", called.text());
    let called = client.run(
        "python3",
        "open('big', 'wb').write(bytes(32 << 20)); print('not ' 'reached')",
    );
    assert!(!called.text().contains("not reached"), "{}", called.text());
    // What comes after that runs all the same.
    assert_eq!(client.run("python3", "1 + 1").field("value"), "2");
}

#[test]
fn a_machine_that_cannot_isolate_programs_is_an_error_unless_less_is_accepted() {
    // In a namespace in which no more may be made.
    let within = |options: &[&str]| {
        let directory = here();
        let mut command = Command::new("unshare");
        let sorna = cargo_bin!("sorna").display().to_string();
        let line = "echo 0 >/proc/sys/user/max_user_namespaces; exec \"$@\"";
        command.args(["-r", "sh", "-c", line, "sh", &sorna, "mcp", "--local"]);
        command.args(options).current_dir(directory.path());
        command.stdin(std::process::Stdio::null());
        let output = command.output().expect("unshare");
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), stderr)
    };
    let (code, stderr) = within(&[]);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(
        stderr.contains("no namespaces: unshare") && stderr.contains("--isolation landlock"),
        "{stderr}"
    );
    let (code, stderr) = within(&["--isolation", "landlock"]);
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
}

#[test]
fn code_cannot_read_the_memory_and_environment_of_its_server() {
    let directory = here();
    let mut command = local(directory.path(), &["--isolation", "landlock"]);
    command.env("SECRET", "a-key-that-no-one-may-see-in-mcp");
    let mut client = Client::begin(command, directory, "2025-11-25");
    for name in ["environ", "maps"] {
        let code = format!("open('/proc/{}/{name}').read()", client.id());
        let called = client.run("python3", &code);
        assert_eq!(called.ended().1, &json!(1), "{name}");
        assert!(!called.text().contains("no-one-may-see"), "{name}");
    }
}
