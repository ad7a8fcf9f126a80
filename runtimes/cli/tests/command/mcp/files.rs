//! Tools for files, languages and sessions.

use serde_json::{Value, json};

use super::client::{Client, local};
use crate::support::{backend_at, gateway, here, sorna_at};

#[test]
fn files_are_written_read_and_listed() {
    let mut client = Client::local(&[]);
    let called = client.call(
        "write_file",
        json!({"path": "data/a.csv", "content": "x,y\n1,é\n"}),
    );
    assert_eq!(called.field("session"), "python3");
    assert_eq!(called.field("bytes"), 9);
    let called = client.run("python3", "print(open('data/a.csv').read(), end='')");
    assert_eq!(called.ended().0, "x,y\n1,é\n");
    let called = client.call("read_file", json!({"path": "data/a.csv"}));
    assert_eq!(called.field("content"), "x,y\n1,é\n");
    assert_eq!(called.field("truncated"), false);
    assert_eq!(called.text(), "x,y\n1,é\n");
    let called = client.call("list_files", json!({}));
    let files = called.field("files").as_array().expect("a list");
    let data = files
        .iter()
        .find(|file| file["name"] == "data")
        .expect("it is there");
    assert_eq!(data["directory"], true);
    let called = client.call("list_files", json!({"path": "data"}));
    assert_eq!(called.text(), "a.csv (9 bytes)");
    assert_eq!(called.field("files")[0]["size"], 9);
    // In another session it is not there.
    client.run("bash", ":");
    let called = client.call(
        "read_file",
        json!({"path": "data/a.csv", "session": "bash"}),
    );
    assert!(called.error().contains("list_files"), "{}", called.error());
    let called = client.call("read_file", json!({"path": "data/a.csv"}));
    assert!(
        called.error().contains("session bash"),
        "{}",
        called.error()
    );
}

#[test]
fn bytes_and_images_are_files_too() {
    let mut client = Client::local(&[]);
    client.call(
        "write_file",
        json!({"path": "b", "content": "AP+A\n", "encoding": "base64"}),
    );
    assert_eq!(
        client
            .run("python3", "open('b', 'rb').read()")
            .field("value"),
        r"b'\x00\xff\x80'"
    );
    let called = client.call("read_file", json!({"path": "b"}));
    assert!(
        called.error().contains("not text") && called.error().contains("base64"),
        "{}",
        called.error()
    );
    let called = client.call("read_file", json!({"path": "b", "encoding": "base64"}));
    assert_eq!(called.field("content"), "AP+A");
    let called = client.call(
        "write_file",
        json!({"path": "b", "content": "%", "encoding": "base64"}),
    );
    let words = "not Base64, as `encoding` says: it has `%` as its character 1";
    assert!(called.error().contains(words), "{}", called.error());
    for path in [".", "/home/work"] {
        let called = client.call("read_file", json!({"path": path}));
        let words = "is a directory: list_files";
        assert!(called.error().contains(words), "{}", called.error());
    }
    for (tool, begin) in [
        (
            "read_file",
            "The file cannot be read: \"/etc\" is not in the work directory",
        ),
        (
            "list_files",
            "The files cannot be listed: \"/etc\" is not in the work directory",
        ),
    ] {
        let called = client.call(tool, json!({"path": "/etc"}));
        assert!(called.error().starts_with(begin), "{}", called.error());
    }
    // The smallest PNG.
    let png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
    client.call(
        "write_file",
        json!({"path": "p.png", "content": png, "encoding": "base64"}),
    );
    let called = client.call("read_file", json!({"path": "p.png"}));
    let images = called.images();
    assert_eq!(
        (&images[0]["mimeType"], &images[0]["data"]),
        (&json!("image/png"), &json!(png))
    );
    assert_eq!(called.field("media_type"), "image/png");
    assert_eq!(called.field("content"), &Value::Null);
    // What clients could not read is not sent to them as an image.
    let half = &png[..40];
    client.call(
        "write_file",
        json!({"path": "half.png", "content": half, "encoding": "base64"}),
    );
    let called = client.call("read_file", json!({"path": "half.png"}));
    let words = "half.png is image/png of 30 bytes, and cannot be shown: it is no whole image";
    assert!(called.error().contains(words), "{}", called.error());
    let arguments =
        json!({"path": "half.png", "encoding": "base64", "offset": 0.0, "length": 30.0});
    assert_eq!(client.call("read_file", arguments).field("content"), half);
    let called = client.call("read_file", json!({"path": "half.png", "offset": 0.5}));
    assert!(
        called.error().contains("whole number"),
        "{}",
        called.error()
    );
}

#[test]
fn programs_find_files_that_were_sent_just_before_them() {
    let mut client = Client::local(&[]);
    for session in ["a", "b"] {
        let ids: Vec<_> = (0..20)
            .map(|number| {
                let path = format!("f{number}");
                let content = "x".repeat(100_000);
                let arguments = json!({
                    "path": path, "content": content, "session": session, "language": "bash",
                });
                client.begin_call("write_file", arguments);
                let arguments = json!({
                    "language": "bash", "code": format!("wc -c < {path}"), "session": session,
                });
                client.begin_call("run_code", arguments)
            })
            .collect();
        for id in ids {
            assert_eq!(
                client.called(id, "run_code").ended(),
                ("100000\n", &json!(0))
            );
        }
    }
}

#[test]
fn long_files_are_read_in_parts() {
    let mut client = Client::local(&[]);
    let content = "é".repeat(50_001);
    client.call("write_file", json!({"path": "long", "content": content}));
    let mut read = String::new();
    let mut offset = json!(0);
    let mut parts = 0;
    while !offset.is_null() {
        let called = client.call(
            "read_file",
            json!({"path": "long", "offset": offset, "length": 40_001}),
        );
        read.push_str(called.field("content").as_str().expect("text"));
        assert_eq!(called.field("size"), 100_002);
        offset = called.field("next_offset").clone();
        parts += 1;
    }
    assert_eq!((read == content, parts), (true, 3));
    // In the middle of a character, it begins with that.
    let called = client.call(
        "read_file",
        json!({"path": "long", "offset": 100_001, "length": 1}),
    );
    assert_eq!(
        (called.field("content"), called.field("offset")),
        (&json!("é"), &json!(100_000))
    );
    assert!(
        called.text().contains("begins at offset 100000"),
        "{}",
        called.text()
    );
    let called = client.call("read_file", json!({"path": "long", "offset": 100_003}));
    assert!(
        called.error().contains("beyond the end"),
        "{}",
        called.error()
    );
}

#[test]
fn files_outside_of_a_session_are_not_there() {
    let mut client = Client::local(&[]);
    client.run("bash", "ln -s /etc/hostname link; mkdir d");
    for path in [
        "/etc/passwd",
        "../../etc/passwd",
        "a/../../b",
        "link",
        "none",
        "d",
        "",
    ] {
        let called = client.call("read_file", json!({"path": path}));
        assert!(!called.error().is_empty(), "{path}");
        let called = client.call("list_files", json!({"path": path}));
        if !matches!(path, "d" | "") {
            assert!(!called.error().contains("API"), "{}", called.error());
        }
    }
    let called = client.call("list_files", json!({"path": "d/../.."}));
    let said = called.error();
    assert!(said.contains("not in the work directory"), "{said}");
    for path in ["/etc/passwd", "../x", ""] {
        let called = client.call("write_file", json!({"path": path, "content": "x"}));
        assert!(!called.error().is_empty(), "{path}");
    }
}

#[test]
fn languages_and_sessions_are_listed() {
    let mut client = Client::local(&[]);
    let called = client.call("list_languages", json!({}));
    let languages = called
        .field("languages")
        .as_array()
        .expect("a list")
        .clone();
    let bash = languages
        .iter()
        .find(|it| it["name"] == "bash")
        .expect("it is there");
    assert_eq!(bash["keeps_state"], true);
    assert!(
        called.text().lines().any(|line| line == "bash"),
        "{}",
        called.text()
    );
    let called = client.call("list_sessions", json!({}));
    assert_eq!(called.text(), "There are no sessions.");
    client.run("bash", "x=1");
    client.run("bash", "x=2");
    let called = client.call("list_sessions", json!({}));
    let session = &called.field("sessions")[0];
    assert_eq!(
        (&session["session"], &session["runs"]),
        (&json!("bash"), &json!(2))
    );
    let called = client.call("close_session", json!({"session": "bash"}));
    assert_eq!(called.field("closed"), true);
    assert_eq!(client.run("bash", "echo \"[$x]\"").ended().0, "[]\n");
}

#[test]
fn a_cluster_says_less_of_its_languages() {
    let directory = here();
    let served = gateway();
    let mut command = backend_at(directory.path(), &served);
    command.arg("mcp");
    let mut client = Client::begin(command, directory, "2025-11-25");
    let called = client.call("list_languages", json!({}));
    assert!(
        !called.text().contains("whole programs"),
        "{}",
        called.text()
    );
    let languages = called.field("languages").as_array().expect("a list");
    assert!(languages.iter().all(|it| it.get("keeps_state").is_none()));
}

#[test]
fn files_of_a_session_that_is_gone_are_said_to_be_gone() {
    for at in [sorna_at, backend_at] {
        let directory = here();
        let served = gateway();
        let mut command = at(directory.path(), &served);
        command.arg("mcp");
        let mut client = Client::begin(command, directory, "2025-11-25");
        for (tool, arguments) in [
            ("read_file", json!({"path": "a"})),
            ("write_file", json!({"path": "a", "content": "1"})),
            ("list_files", json!({})),
        ] {
            client.call("write_file", json!({"path": "a", "content": "1"}));
            let called = client.call("read_file", json!({"path": "none"}));
            assert!(!called.error().contains("is gone"), "{}", called.error());
            let other = |arguments: &[&str]| {
                let output = backend_at(client.directory(), &served)
                    .args(arguments)
                    .output();
                let output = output.expect("sorna runs");
                assert!(output.status.success(), "{output:?}");
                output.stdout
            };
            let kernel: Value = serde_json::from_slice(&other(&["ps", "--json"])).expect("one");
            other(&["destroy", kernel["id"].as_str().expect("an ID")]);
            let called = client.call(tool, arguments);
            assert!(
                called.error().contains("is gone, with its files"),
                "{tool}: {}",
                called.error()
            );
        }
    }
}

#[test]
fn large_files_are_sent_in_one_message() {
    let mut client = Client::local(&[]);
    let content = "0123456789abcde\n".repeat(2 * 1024 * 1024);
    let called = client.call("write_file", json!({"path": "large", "content": content}));
    assert_eq!(called.field("bytes"), 32 * 1024 * 1024);
    let called = client.call(
        "read_file",
        json!({"path": "large", "offset": 32 * 1024 * 1024 - 16}),
    );
    assert_eq!(called.text(), "0123456789abcde\n");
}

#[test]
fn clients_whose_models_would_see_objects_alone_get_none() {
    let png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
    for name in ["claude-code", "codex-mcp-client"] {
        let directory = here();
        let mut client = Client::start(local(directory.path(), &[]), directory);
        let info = json!({"name": name, "version": "1"});
        let parameters =
            json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": info});
        client.ask("initialize", parameters);
        let listed = client.ask("tools/list", json!({}));
        for tool in listed["result"]["tools"].as_array().expect("tools") {
            assert_eq!(tool["outputSchema"], Value::Null, "{tool}");
        }
        let mut call = |tool: &str, arguments: Value| {
            let parameters = json!({"name": tool, "arguments": arguments});
            let called = client.ask("tools/call", parameters);
            let result = &called["result"];
            assert_eq!(result["structuredContent"], Value::Null, "{called}");
            result["content"].clone()
        };
        let written = call(
            "write_file",
            json!({"path": "p.png", "content": png, "encoding": "base64"}),
        );
        assert_eq!(written[0]["type"], "text", "{written}");
        let read = call("read_file", json!({"path": "p.png"}));
        let images = read.as_array().expect("content").iter();
        assert!(images.clone().any(|it| it["data"] == png), "{read}");
        let run = call(
            "run_code",
            json!({"language": "bash", "code": "echo a; exit 3"}),
        );
        let text = run[0]["text"].as_str().expect("text");
        assert!(text.contains("a\n") && text.contains('3'), "{text}");
    }
}

#[test]
fn a_file_is_written_where_the_language_finds_it() {
    let mut client = Client::local(&[]);
    client.run("python3", "1");
    let written = client.call(
        "write_file",
        json!({"path": "f", "content": "for bash", "language": "bash"}),
    );
    assert_eq!(written.field("session"), "bash");
    assert_eq!(client.run("bash", "cat f").ended().0, "for bash");
}
