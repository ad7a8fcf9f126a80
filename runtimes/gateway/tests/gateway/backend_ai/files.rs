//! Uploads, lists and downloads.

use std::io::{Read, Write};

use serde_json::{Value, json};
use sorna_core::{
    ApiVersion, Boundary, Download, DownloadSingle, Error, KernelId, ListFiles, UploadFile,
    UploadFiles,
};

use super::client::{Client, Signing, gateway, read_response, text};

fn id(name: &str) -> KernelId {
    KernelId::new(name).unwrap()
}

pub(crate) fn upload(client: &Client, session: &str, files: &[(&str, &[u8])]) -> Result<(), Error> {
    let files = files
        .iter()
        .map(|(name, content)| UploadFile::from_bytes(*name, content.to_vec()).unwrap());
    let boundary = Boundary::from_random([7; 16]);
    client
        .call(&UploadFiles::new(id(session), files.collect(), boundary))
        .map(|_| ())
}

/// Sends a form by hand, with extra headers.
fn form(client: &Client, session: &str, parts: &[(&str, &[u8])], extra: &str) -> (u16, String) {
    let mut body = Vec::new();
    for (disposition, content) in parts {
        let head =
            format!("--B\r\nContent-Disposition: form-data; name=\"src\"; {disposition}\r\n\r\n");
        body.extend([head.as_bytes(), content, b"\r\n"].concat());
    }
    body.extend_from_slice(b"--B--\r\n");
    let signing = Signing {
        media_type: Some("multipart/form-data; boundary=B"),
        ..Signing::default()
    };
    let target = format!("/session/{session}/upload");
    let head = client.head("POST", &target, body.len(), &signing, extra);
    let mut stream = client.connect();
    stream
        .write_all(&[head.as_bytes(), &body].concat())
        .unwrap();
    let response = read_response(&mut stream);
    let text = String::from_utf8(response.body().clone()).unwrap();
    (response.status().as_u16(), text)
}

#[test]
fn files_come_back_as_they_were_sent() {
    let gateway = gateway();
    for version in [ApiVersion::V7_20230615, ApiVersion::V9_20250722] {
        let client = Client::with_version(&gateway, version);
        let name = format!("files-{}", &version.as_str()[..2]);
        client.create(&name, "bash");
        let large = vec![b'x'; 700_000];
        upload(
            &client,
            &name,
            &[("a/b/c.txt", b"deep"), ("large", &large), ("한.txt", b"")],
        )
        .unwrap();
        let result = client.run(&name, "cat a/b/c.txt; wc -c < large; ls");
        assert_eq!(text(&result, "stdout"), "deep700000\na\nlarge\n한.txt\n");

        let list = client.call(&ListFiles::new(id(&name), ".")).unwrap();
        let seen: Vec<_> = list
            .files
            .iter()
            .map(|it| (it.name.as_str(), it.is_directory(), it.size))
            .collect();
        assert_eq!((seen[0].0, seen[0].1), ("a", true));
        assert_eq!(seen[1..], [("large", false, 700_000), ("한.txt", false, 0)]);
        let list = client.call(&ListFiles::new(id(&name), "a/b")).unwrap();
        assert_eq!(list.files[0].name, "c.txt");

        let wanted = ["a/b/c.txt", "large", "한.txt"].map(str::to_owned);
        let files = client
            .call(&Download::new(id(&name), wanted.into()))
            .unwrap();
        let contents: Vec<&[u8]> = files.iter().map(|file| &*file.content).collect();
        assert_eq!(contents, [&b"deep"[..], &large, b""]);
        let single = client
            .call(&DownloadSingle::new(id(&name), "large"))
            .unwrap();
        assert_eq!(single, large);
    }
}

#[test]
fn a_directory_is_downloaded_with_all_that_is_in_it() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    client.create("tree", "bash");
    client.run(
        "tree",
        "mkdir -p d/e; echo 1 > d/one; echo 2 > d/e/two; ln -s /etc/passwd d/link; mkfifo d/fifo",
    );
    let files = client
        .call(&Download::new(id("tree"), vec!["d".to_owned()]))
        .unwrap();
    let mut names: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["d/e/two", "d/one"]);
}

#[test]
fn downloads_that_are_not_taken_keep_others_waiting_and_large_ones_are_refused() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    client.create("turns", "bash");
    client.run("turns", "head -c 12M /dev/zero > f; truncate -s 600M a b");
    let target = "/session/turns/download";
    let body = json!({"files": ["a", "b"]});
    let (status, problem) = client.json("POST", target, &body);
    assert_ne!(status, 200);
    assert!(
        problem
            .to_string()
            .contains("more than 1024 MiB in one download"),
        "{problem}"
    );

    let body = json!({"files": ["f"]}).to_string();
    let head = || client.head("POST", target, body.len(), &Signing::default(), "");
    let started = || {
        let mut stream = client.connect();
        stream
            .write_all(&[head().as_bytes(), body.as_bytes()].concat())
            .unwrap();
        // Larger than what is on its way: it is not done before the rest is read.
        stream.read_exact(&mut [0; 15]).unwrap();
        stream
    };
    let held: Vec<_> = (0..4).map(|_| started()).collect();
    let small = json!({"files": ["f"]});
    let (status, problem) = client.json("POST", target, &small);
    assert_eq!(status, 503, "{problem}");
    assert!(problem.to_string().contains("try again later"), "{problem}");
    drop(held);
    let files = client.call(&Download::new(id("turns"), vec!["f".to_owned()]));
    assert_eq!(files.unwrap()[0].content.len(), 12 << 20);
}

#[test]
fn parameters_of_downloads_and_lists_may_be_in_query_or_body() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    client.create("where", "bash");
    client.run("where", "mkdir a; echo x > a/f");
    for (method, target, body) in [
        ("GET", "/session/where/files", json!({"path": "a"})),
        ("GET", "/session/where/files?path=a", Value::Null),
        (
            "GET",
            "/session/where/files?path=%2Fhome%2Fwork%2Fa",
            Value::Null,
        ),
    ] {
        let (status, list) = client.json(method, target, &body);
        assert_eq!(status, 200, "{list}");
        let files: Value = serde_json::from_str(list["files"].as_str().unwrap()).unwrap();
        assert_eq!(
            (&files[0]["filename"], &files[0]["size"]),
            (&json!("f"), &json!(2))
        );
        assert_eq!(files[0]["mode"].as_str().unwrap().len(), 10);
        assert!(files[0]["mtime"].is_f64());
    }
    for (target, body) in [
        ("/session/where/download_single?file=a/f", Value::Null),
        ("/session/where/download_single", json!({"file": "a/f"})),
        ("/session/where/download?files=a/f", Value::Null),
        ("/session/where/download", json!({"files": ["a/f"]})),
    ] {
        for method in ["GET", "POST"] {
            let body = if body.is_null() {
                Vec::new()
            } else {
                body.to_string().into_bytes()
            };
            let response = client.send(method, target, &body, &Signing::default());
            assert_eq!(response.status(), 200, "{method} {target}");
            let media_type = response.headers()["content-type"].to_str().unwrap();
            if target.contains("single") {
                assert_eq!(
                    (media_type, &response.body()[..]),
                    ("application/octet-stream", &b"x\n"[..])
                );
            } else {
                let boundary = media_type
                    .strip_prefix("multipart/mixed; boundary=")
                    .unwrap();
                let head = format!(
                    "--{boundary}\r\nContent-Type: application/octet-stream\r\nContent-Encoding: identity\r\nContent-Length: 2048\r\n\r\nf\0"
                );
                assert!(response.body().starts_with(head.as_bytes()));
                assert!(
                    response
                        .body()
                        .ends_with(format!("\r\n--{boundary}--\r\n").as_bytes())
                );
            }
        }
    }
}

#[test]
fn what_is_not_there_is_named() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    client.create("none", "bash");
    client.run("none", "ln -s /etc/passwd out; mkdir d; mkfifo fifo");
    let (status, list) = client.json("GET", "/session/none/files?path=nope", &Value::Null);
    let expected = json!({
        "files": "", "errors": "No such file or directory: 'nope'\n", "abspath": "nope",
    });
    assert_eq!((status, list), (200, expected));
    for (target, part) in [
        (
            "/session/none/files?path=../..",
            "not in the work directory",
        ),
        ("/session/none/files?path=/etc", "not in the work directory"),
        (
            "/session/none/download?files=nope",
            "No such file or directory: 'nope'",
        ),
        (
            "/session/none/download?files=d&files=nope",
            "No such file or directory: 'nope'",
        ),
        (
            "/session/none/download?files=out",
            "not in the work directory",
        ),
        (
            "/session/none/download?files=fifo",
            "neither a file nor a directory",
        ),
        ("/session/none/download", "files"),
        (
            "/session/none/download?files=1&files=2&files=3&files=4&files=5&files=6",
            "maximum 5 files",
        ),
        (
            "/session/none/download_single?file=/etc/passwd",
            "not in the work directory",
        ),
        (
            "/session/none/download_single?file=out",
            "not in the work directory",
        ),
        ("/session/none/download_single?file=d", "directory"),
        ("/session/none/download_single?file=fifo", "fifo"),
        ("/session/none/download_single", "file"),
    ] {
        let (status, problem) = client.json("GET", target, &Value::Null);
        assert_eq!(status, 400, "{target}: {problem}");
        assert!(
            problem["msg"].as_str().unwrap().contains(part),
            "{target}: {problem}"
        );
    }
}

#[test]
fn uploads_beyond_the_limits_store_nothing() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    client.create("limits", "bash");
    let mebibyte = vec![b'x'; 1 << 20];
    let names: Vec<String> = (0..21)
        .map(|number| format!("filename=\"m{number}\""))
        .collect();
    let many: Vec<(&str, &[u8])> = names
        .iter()
        .map(|name| (name.as_str(), &b"x"[..]))
        .collect();
    let (status, problem) = form(&client, "limits", &many, "");
    assert!(
        status == 400 && problem.contains("Too many files"),
        "{problem}"
    );
    let (status, problem) = form(&client, "limits", &[("filename=\"a\"", &mebibyte)], "");
    assert!(
        status == 400 && problem.contains("Too large file"),
        "{problem}"
    );
    let (status, problem) = form(&client, "limits", &[("filename=\"../evil\"", b"x")], "");
    assert!(status == 400 && problem.contains("../evil"), "{problem}");
    assert_eq!(text(&client.run("limits", "ls"), "stdout"), "");
    assert_eq!(form(&client, "limits", &many[..20], "").0, 204);
    assert_eq!(
        form(&client, "limits", &[("filename=\"a\"", &mebibyte[1..])], "").0,
        204
    );
    assert_eq!(text(&client.run("limits", "ls | wc -l"), "stdout"), "21\n");
}

/// As by manager 26.9.6, which says nothing of names outside, though, and drops these files.
#[test]
fn rejected_uploads_have_the_type_of_the_original() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    client.create("types", "bash");
    let check = |status: u16, text: &str, title: &str, why: &str| {
        let problem: Value = serde_json::from_str(text).unwrap();
        let kind = "https://api.backend.ai/probs/generic-bad-request";
        assert_eq!((status, &problem["type"]), (400, &json!(kind)), "{text}");
        assert_eq!(problem["title"], title, "{text}");
        assert!(problem["msg"].as_str().unwrap().contains(why), "{text}");
        problem
    };
    let title = "Invalid or Missing API Parameters.";
    let mebibyte = vec![b'x'; 1 << 20];
    let many = vec![("filename=\"m\"", &b"x"[..]); 21];
    let large = [("filename=\"a\"", mebibyte.as_slice())];
    let outside = [("filename=\"../evil\"", &b"x"[..])];
    for (parts, why) in [
        (many.as_slice(), "Too many files"),
        (&large, "Too large file"),
        (&outside, "../evil"),
    ] {
        let (status, text) = form(&client, "types", parts, "");
        let problem = check(status, &text, title, why);
        assert_eq!(problem["error_code"], "api_parsing_invalid-parameters");
    }
    // No form at all.
    for media_type in [None, Some("application/json"), Some("multipart/form-data")] {
        let signing = Signing {
            media_type,
            ..Signing::default()
        };
        let response = client.send("POST", "/session/types/upload", b"{}", &signing);
        let text = String::from_utf8(response.body().clone()).unwrap();
        let status = response.status().as_u16();
        check(status, &text, "Bad request.", "multipart/form-data");
    }
}

#[test]
fn names_are_decoded_only_for_the_official_client() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    client.create("names", "bash");
    let part = [("filename=\"sub%2Fdata.bin\"", &b"x"[..])];
    let official = "User-Agent: Backend.AI Client for Python 23.09.10\r\n";
    assert_eq!(form(&client, "names", &part, "").0, 204);
    assert_eq!(form(&client, "names", &part, official).0, 204);
    let extended = [("filename=\"x\"; filename*=utf-8''a%2Fb.txt", &b"x"[..])];
    assert_eq!(form(&client, "names", &extended, "").0, 204);
    let result = client.run("names", "find . -type f | sort");
    assert_eq!(
        text(&result, "stdout"),
        "./a/b.txt\n./sub%2Fdata.bin\n./sub/data.bin\n"
    );
}
