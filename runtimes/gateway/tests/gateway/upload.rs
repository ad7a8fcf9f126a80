//! Uploads: what is stored where, and what is rejected.

use std::path::Path;

use std::io::Write;
use std::time::SystemTime;

use crate::common::{Client, gateway, read_response};
use sorna_core::{Batch, KernelId};

const MIB: usize = 1024 * 1024;

/// Sends a form with these names and contents, without checks.
fn send(
    client: &Client,
    kernel: &KernelId,
    files: &[(&str, &[u8])],
) -> http::Response<bytes::Bytes> {
    let files: Vec<_> = files
        .iter()
        .map(|(name, content)| (*name, "", *content))
        .collect();
    send_modes(client, kernel, &files)
}

/// The same with modes, where they are not empty.
fn send_modes(
    client: &Client,
    kernel: &KernelId,
    files: &[(&str, &str, &[u8])],
) -> http::Response<bytes::Bytes> {
    let mut body = Vec::new();
    for (name, mode, content) in files {
        body.extend_from_slice(
            b"--XyZ\r\nContent-Disposition: form-data; name=\"src\"; filename=\"",
        );
        body.extend_from_slice(name.as_bytes());
        body.extend_from_slice(b"\"\r\nContent-Type: application/octet-stream\r\n");
        if !mode.is_empty() {
            body.extend_from_slice(format!("Sorna-File-Mode: {mode}\r\n").as_bytes());
        }
        body.extend_from_slice(b"\r\n");
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--XyZ--\r\n");
    let target = format!("/v2/kernel/{kernel}/upload");
    client.raw("POST", &target, "multipart/form-data; boundary=XyZ", &body)
}

#[test]
fn files_are_stored_in_their_directories_and_replace_others() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    let files: [(&str, &[u8]); 4] = [
        ("main.c", b"one"),
        ("a/b/c d.txt", b"two"),
        ("empty", b""),
        ("ü \"q\".txt", b"\0\xff\r\n--"),
    ];
    client.upload(&kernel, &files).unwrap();
    client.upload(&kernel, &[("main.c", b"three")]).unwrap();
    let (stdout, _) = client
        .run(
            &kernel,
            "find . -type f -printf '%P %s\\n' | sort; cat main.c 'a/b/c d.txt'; od -An -tx1 ü*",
        )
        .finished();
    assert_eq!(
        stdout,
        "a/b/c d.txt 3\nempty 0\nmain.c 5\nü \"q\".txt 6\nthreetwo 00 ff 0d 0a 2d 2d\n"
    );
}

#[test]
fn modes_of_files_and_directories_are_kept() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    let files: [(&str, &str, &[u8]); 12] = [
        ("up/run.sh", "100755", b"#!/bin/sh\necho it runs\n"),
        ("key", "100600", b"k"),
        ("read-only", "100444", b"r"),
        ("plain", "", b"p"),
        ("out/deep", "040755", b""),
        ("private", "040700", b""),
        ("shut", "040000", b""),
        // Also before what is in it.
        ("shared", "040775", b""),
        ("shared/file", "", b"s"),
        ("full/below/file", "", b"f"),
        ("full/below", "040500", b""),
        ("full", "040300", b""),
    ];
    let look = || {
        let names =
            "key read-only plain out out/deep private shut shared full full/below up up/run.sh";
        let look = format!(
            "./up/run.sh; for f in {names}; do stat -c '%n %a' $f; done; cat full/below/file"
        );
        let (stdout, stderr) = client.run(&kernel, &look).finished();
        assert_eq!(stderr, "");
        stdout
    };
    for time in 1..=2 {
        let response = send_modes(&client, &kernel, &files);
        assert_eq!(response.status(), 204, "{response:?}");
        assert_eq!(
            look(),
            "it runs\nkey 600\nread-only 444\nplain 644\nout 755\nout/deep 755\nprivate 700\nshut 0\nshared 775\n\
             full 300\nfull/below 500\nup 755\nup/run.sh 755\nf",
            "time {time}"
        );
    }
    // What is in a directory that is shut can be replaced; it stays as it is, unless its own mode is sent as well.
    let again: [(&str, &str, &[u8]); 4] = [
        ("private", "040777", b""),
        ("plain", "100755", b"p"),
        ("full/below/file", "", b"new"),
        ("shut/new", "", b""),
    ];
    assert_eq!(send_modes(&client, &kernel, &again).status(), 204);
    assert_eq!(
        look(),
        "it runs\nkey 600\nread-only 444\nplain 755\nout 755\nout/deep 755\nprivate 777\nshut 0\nshared 775\n\
         full 300\nfull/below 500\nup 755\nup/run.sh 755\nnew"
    );
    // Also after an upload that is rejected.
    let wrong: [(&str, &str, &[u8]); 3] = [
        ("full/below/other", "", b""),
        ("full", "040777", b""),
        ("key/below", "", b""),
    ];
    assert_eq!(send_modes(&client, &kernel, &wrong).status(), 400);
    let (stdout, _) = client
        .run(
            &kernel,
            "stat -c %a full full/below; ls full/below; rmdir private",
        )
        .finished();
    assert_eq!(stdout, "300\n500\nfile\n");
}

#[test]
fn what_is_no_mode_of_a_file_or_directory_is_rejected() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    client.upload(&kernel, &[("file", b"")]).unwrap();
    for (name, mode, content) in [
        ("program", "104755", &b""[..]),
        ("link", "120777", b""),
        ("device", "020666", b""),
        ("short", "755", b""),
        ("words", "rwxr-xr-x", b""),
        ("full", "040755", b"x"),
        ("file/below", "040755", b""),
        ("file", "040755", b""),
        ("../outside", "040755", b""),
    ] {
        let files = [("good", "100644", &b"1"[..]), (name, mode, content)];
        let response = send_modes(&client, &kernel, &files);
        assert_eq!(response.status(), 400, "{name}");
    }
    let (stdout, _) = client.run(&kernel, "ls").finished();
    assert_eq!(stdout, "file\n");
}

#[test]
fn names_outside_the_work_directory_are_rejected() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    let (outside, _) = client
        .run(
            &kernel,
            "ln -s \"$TMPDIR\" link; ln -s \"$TMPDIR/new\" file; echo -n $TMPDIR",
        )
        .finished();
    for name in ["../x", "a/../../x", "..", "a/..", "", "link/x", "a/"] {
        let response = send(&client, &kernel, &[("good", b"1"), (name, b"2")]);
        assert_rejected(&response, "");
    }
    // An absolute name is taken as relative, as on the original gateway.
    let response = send(
        &client,
        &kernel,
        &[("/etc/passwd-of-mine", b"3"), ("file", b"4")],
    );
    assert_eq!(response.status(), 204);
    let (stdout, _) = client.run(&kernel, "ls etc; cat file; ls").finished();
    assert_eq!(stdout, "passwd-of-mine\n4etc\nfile\nlink\n");
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
    let home = Path::new(&outside).parent().unwrap();
    let mut names: Vec<_> = std::fs::read_dir(home)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["stdin", "tmp", "work"]);
}

/// As by the original gateway.
fn assert_rejected(response: &http::Response<bytes::Bytes>, why: &str) {
    assert_problem(response, "invalid-api-params", why);
}

/// A whole problem document, of status 400.
fn assert_problem(response: &http::Response<bytes::Bytes>, kind: &str, why: &str) {
    let text = String::from_utf8_lossy(response.body());
    assert_eq!(response.status(), 400, "{text}");
    let media_type = response.headers()[http::header::CONTENT_TYPE]
        .to_str()
        .unwrap();
    assert!(
        media_type.starts_with("application/problem+json"),
        "{media_type}"
    );
    let problem: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        problem["type"],
        format!("https://api.sorna.io/probs/{kind}"),
        "{text}"
    );
    assert!(problem["title"].is_string() && text.contains(why), "{text}");
}

#[test]
fn twenty_files_are_accepted_and_one_more_is_not() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    let names: Vec<String> = (0..21).map(|number| format!("f{number}")).collect();
    let files: Vec<(&str, &[u8])> = names
        .iter()
        .map(|name| (name.as_str(), &b"x"[..]))
        .collect();
    assert_rejected(&send(&client, &kernel, &files), "Too many files");
    let (stdout, _) = client.run(&kernel, "ls | wc -l").finished();
    assert_eq!(stdout, "0\n", "a rejected upload stores nothing");
    assert_eq!(send(&client, &kernel, &files[..20]).status(), 204);
    let (stdout, _) = client.run(&kernel, "ls | wc -l").finished();
    assert_eq!(stdout, "20\n");
}

#[test]
fn a_file_of_one_mebibyte_is_accepted_and_one_byte_more_is_not() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    let exact = vec![7; MIB];
    let larger = vec![7; MIB + 1];
    assert_eq!(send(&client, &kernel, &[("exact", &exact)]).status(), 204);
    let response = send(&client, &kernel, &[("larger", &larger)]);
    assert_rejected(&response, "Too large file");
    let all: Vec<(&str, &[u8])> = vec![("exact", exact.as_slice()); 20];
    assert_eq!(send(&client, &kernel, &all).status(), 204);
    // In small pieces, with pauses.
    let upload = client.upload_of(&kernel, &[("exact", &exact), ("small", b"s")]);
    let bytes = client.bytes_of(&upload, SystemTime::now());
    for size in [1000, 65_537] {
        let mut stream = client.connect();
        for (number, piece) in bytes.chunks(size).enumerate() {
            stream.write_all(piece).unwrap();
            if number % 64 == 0 {
                std::thread::sleep(std::time::Duration::from_millis(2));
            }
        }
        assert_eq!(read_response(&mut stream).status(), 204);
    }
    let (stdout, _) = client
        .run(&kernel, "stat -c '%n %s' *; tr -d '\\7' < exact | wc -c")
        .finished();
    assert_eq!(stdout, "exact 1048576\nsmall 1\n0\n");
}

#[test]
fn malformed_forms_are_rejected() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    let target = format!("/v2/kernel/{kernel}/upload");
    for (media_type, body) in [
        ("multipart/form-data", &b"--XyZ--\r\n"[..]),
        ("multipart/form-data; boundary=XyZ", b"nothing of a form"),
        (
            "multipart/form-data; boundary=XyZ",
            b"--XyZ\r\nContent-Disposition: form-data; name=\"src\"\r\n\r\nx\r\n--XyZ--\r\n",
        ),
        // No form at all.
        ("application/json", b"{}"),
        ("application/octet-stream", b""),
        ("multipart/mixed; boundary=XyZ", b"--XyZ--\r\n"),
        (
            "multipart/form-data; boundary=XyZ",
            b"--XyZ\r\nContent-Disposition: form-data; name=\"src\"; filename=\"a\"\r\n\r\nno end",
        ),
    ] {
        let response = client.raw("POST", &target, media_type, body);
        assert_problem(&response, "generic-bad-request", "");
    }
    let (stdout, _) = client.run(&kernel, "ls -A; ls -A ../upload").finished();
    assert_eq!(stdout, "");
}

/// A language, files, the name and the contents of one that is replaced, and a command.
type Replaced<'a> = (
    &'a str,
    &'a [(&'a str, &'a str)],
    &'a str,
    &'a dyn Fn(u32) -> Vec<u8>,
    &'a str,
);

/// What runs is what was sent last, even if that has the size, and was sent in the second, of what was sent before.
#[test]
fn a_replaced_file_replaces_what_was_made_of_it() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let library = |n: u32| format!("N = {n}\n").into_bytes();
    let source =
        |n: u32| format!("#include <stdio.h>\nint main() {{ printf(\"{n}\\n\"); }}\n").into_bytes();
    let rows: &[Replaced<'_>] = &[
        (
            "python3",
            &[("main.py", "import lib; print(lib.N)")],
            "lib.py",
            &library,
            "python3 main.py",
        ),
        (
            "python3",
            &[
                ("main.py", "from package.inner import N; print(N)"),
                ("package/__init__.py", ""),
            ],
            "package/inner.py",
            &library,
            "python3 -O main.py",
        ),
        (
            "python3",
            &[("package/__main__.py", "from . import N; print(N)")],
            "package/__init__.py",
            &library,
            "python3 -m package",
        ),
        (
            "bash",
            &[(
                "Makefile",
                "main: main.o\n\tcc -o main main.o\nmain.o: main.c\n\tcc -c main.c\n",
            )],
            "main.c",
            &source,
            "make -s && ./main",
        ),
        (
            "bash",
            &[("Makefile", "out: in\n\tcp in out\n")],
            "in",
            &|n| format!("{n}\n").into_bytes(),
            "make -s && cat out",
        ),
    ];
    for (language, files, name, content, exec) in rows {
        let kernel = client.create(language);
        let files: Vec<(&str, &[u8])> = files.iter().map(|(n, c)| (*n, c.as_bytes())).collect();
        client.upload(&kernel, &files).unwrap();
        for n in 1..=8 {
            client.upload(&kernel, &[(name, &content(n))]).unwrap();
            let (_, outcome) = client.batch(&kernel, Batch::new().with_exec(*exec));
            assert_eq!(
                (&*outcome.stdout, &*outcome.stderr),
                (&*format!("{n}\n"), ""),
                "{exec}"
            );
        }
        client.destroy(&kernel);
    }
}

#[test]
fn a_replaced_module_is_reloaded_in_a_kernel_that_is_kept() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("python3");
    client.upload(&kernel, &[("lib.py", b"N = 0\n")]).unwrap();
    let code = "import lib, importlib; importlib.reload(lib); print(lib.N)";
    for n in 1..=8 {
        let content = format!("N = {n}\n");
        let files = [("lib.py", content.as_bytes())];
        client.upload(&kernel, &files).unwrap();
        assert_eq!(client.run(&kernel, code).finished().0, format!("{n}\n"));
    }
    // Other caches are left alone.
    let code = "import os; print(sorted(os.listdir('__pycache__')) != [])";
    client.upload(&kernel, &[("li.py", b"")]).unwrap();
    assert_eq!(client.run(&kernel, code).finished().0, "True\n");
}

#[test]
fn the_files_of_an_upload_are_of_one_time() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    client.run(&kernel, "echo made >made");
    let names = ["c", "a", "b"].map(|name| (name, name.as_bytes()));
    client.upload(&kernel, &names).unwrap();
    let code = "stat -c %y a b c | uniq | wc -l; [ a -nt made ] && [ ! made -nt b ] && echo newer";
    assert_eq!(client.run(&kernel, code).finished().0, "1\nnewer\n");
}

#[test]
fn no_file_is_larger_than_those_that_kernels_write() {
    let gateway = crate::common::gateway_with(|config| config.with_max_file_size(3 << 20));
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    let target = format!("/v2/kernel/{kernel}/upload?size=any");
    let media_type = "multipart/form-data; boundary=XyZ";
    let part = |name: &str, size: usize| {
        let head = format!(
            "--XyZ\r\nContent-Disposition: form-data; name=\"src\"; filename=\"{name}\"\r\n\r\n"
        );
        [head.as_bytes(), &vec![b'x'; size], b"\r\n"].concat()
    };
    let end = b"--XyZ--\r\n".to_vec();
    let body = [part("small", 1), part("large", 3 * MIB + 1), end.clone()].concat();
    let response = client.raw("POST", &target, media_type, &body);
    assert_rejected(&response, "the limit is 3 MiB");
    let (stdout, _) = client.run(&kernel, "ls | wc -l").finished();
    assert_eq!(stdout, "0\n");
    let body = [part("exact", 3 * MIB), part("too", 3 * MIB), end].concat();
    assert_eq!(client.raw("POST", &target, media_type, &body).status(), 204);
    gateway.stop();

    // That limit holds in the way of the original APIs as well.
    let gateway = crate::common::gateway_with(|config| config.with_max_file_size(1000));
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    assert_eq!(send(&client, &kernel, &[("a", &[7; 1000])]).status(), 204);
    let response = send(&client, &kernel, &[("b", &[7; 1001])]);
    assert_rejected(&response, "(limit 1000 bytes)");
}

#[test]
fn files_of_any_size_need_a_length_and_room_and_a_pace() {
    let gateway = crate::common::gateway_with(|config| {
        config
            .with_max_disk(64 << 20)
            .with_body_timeout(std::time::Duration::from_secs(1))
    });
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    let target = format!("/v2/kernel/{kernel}/upload?size=any");
    let media_type = "multipart/form-data; boundary=XyZ";
    let head = "--XyZ\r\nContent-Disposition: form-data; name=\"src\"; filename=\"large\"\r\n\r\n";
    let body = [head.as_bytes(), &vec![b'x'; 5 * MIB], b"\r\n--XyZ--\r\n"].concat();
    assert_eq!(client.raw("POST", &target, media_type, &body).status(), 204);
    // Without the query, the limit of the protocol holds.
    let plain = format!("/v2/kernel/{kernel}/upload");
    assert_eq!(client.raw("POST", &plain, media_type, &body).status(), 400);

    for (room, status) in [("7", 204), ("99999999999", 400), ("x", 400), ("", 400)] {
        let target = format!("{target}&room={room}");
        let response = client.raw("POST", &target, media_type, b"--XyZ--\r\n");
        assert_eq!(response.status(), status, "{room}");
    }
    let request = client.raw_bytes("POST", &target, media_type, b"");
    let request = String::from_utf8(request).unwrap();
    for (length, sent, detail) in [
        ("Content-Length: 99999999999", "", "no room for the upload"),
        (
            "Transfer-Encoding: chunked",
            "0\r\n\r\n",
            "must say how long it is",
        ),
        ("Content-Length: 5000000", head, "upload too slow"),
    ] {
        let request = request.replace("Content-Length: 0", length);
        let mut stream = client.connect();
        stream.write_all(request.as_bytes()).unwrap();
        stream.write_all(sent.as_bytes()).unwrap();
        let response = read_response(&mut stream);
        let text = String::from_utf8_lossy(response.body()).into_owned();
        assert_eq!(response.status(), 400, "{length}");
        assert!(text.contains(detail), "{length}: {text}");
    }
    let (stdout, _) = client.run(&kernel, "ls; stat -c %s large").finished();
    assert_eq!(stdout, "large\n5242880\n");
}
