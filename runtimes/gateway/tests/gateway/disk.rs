//! The limit on the disk that the files of a kernel take.

use std::io::Write;
use std::time::SystemTime;

use crate::common::{Client, gateway_with, read_response, wait_until};
use sorna_core::{Execute, ExecuteMode, ExecutionStatus};

const MIB: u64 = 1 << 20;

#[test]
fn a_program_that_fills_the_disk_is_killed_and_its_files_can_be_removed() {
    let gateway = gateway_with(|config| config.with_max_disk(20 * MIB));
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    let fill = "i=0; while :; do head -c 1M /dev/zero > f$i; i=$((i + 1)); sleep 0.02; done";
    let killed = client.run(&kernel, fill);
    assert_eq!(killed.exit_code(), Some(137), "{killed:?}");
    let expected = "killed: the kernel exceeded its disk limit of 20 MiB: its files take 2";
    assert!(killed.stderr.contains(expected), "{killed:?}");
    // Others have their own.
    let other = client.create("bash");
    let fine = client.run(&other, "head -c 10M /dev/zero > f; sleep 0.5; echo fine");
    assert_eq!(fine.finished().0, "fine\n");
    // What is there may be used and removed, but not added to.
    let used = client.run(&kernel, "sleep 0.5; ls f0");
    assert_eq!(used.finished().0, "f0\n");
    let added = client.run(&kernel, "head -c 4M /dev/zero > more; sleep 20; echo no");
    assert_eq!(added.exit_code(), Some(137), "{added:?}");
    client.run(&kernel, "rm -f f* more; sleep 0.5").finished();
    let again = client.run(&kernel, "head -c 10M /dev/zero > f; sleep 0.5; echo again");
    assert_eq!(again.finished().0, "again\n");
}

/// Much may be written between the look at the files and the kill.
#[test]
fn what_a_fast_program_has_written_when_it_is_killed_is_not_added_by_the_next() {
    let gateway = gateway_with(|config| config.with_max_disk(20 * MIB));
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    for _ in 0..3 {
        let fill = "head -c 200M /dev/zero >> f; sleep 20";
        let killed = client.run(&kernel, fill);
        assert_eq!(killed.exit_code(), Some(137), "{killed:?}");
        let used = client.run(&kernel, "sleep 1; ls f");
        assert_eq!(used.finished().0, "f\n");
    }
}

#[test]
fn deleted_files_and_hidden_ones_count() {
    let gateway = gateway_with(|config| config.with_max_disk(20 * MIB));
    let client = Client::new(&gateway);
    for fill in [
        "exec 7>f; rm f; head -c 30M /dev/zero >&7; sleep 20",
        "mkdir -p a/b; head -c 30M /dev/zero > a/b/f; chmod 300 a/b; chmod 0 a; sleep 20",
        "head -c 30M /dev/zero > \"$TMPDIR/f\"; sleep 20",
        "(setsid sh -c 'sleep 1; head -c 30M /dev/zero > f; sleep 20' &); sleep 20",
    ] {
        let kernel = client.create("bash");
        let killed = client.run(&kernel, fill);
        assert_eq!(killed.exit_code(), Some(137), "{fill}: {killed:?}");
        assert!(
            killed.stderr.contains("disk limit of 20 MiB"),
            "{fill}: {killed:?}"
        );
        client.destroy(&kernel);
    }
}

#[test]
fn many_files_are_too_many() {
    let gateway = gateway_with(|config| config.with_max_files(500));
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    let fine = client.run(&kernel, "touch {1..300}; sleep 0.5; echo fine");
    assert_eq!(fine.finished().0, "fine\n");
    let killed = client.run(&kernel, "mkdir d; touch d/{1..300}; sleep 20");
    assert_eq!(killed.exit_code(), Some(137), "{killed:?}");
    let expected = "limit of 500 files and directories";
    assert!(killed.stderr.contains(expected), "{killed:?}");
    let error = client.upload(&kernel, &[("x", b"x")]).unwrap_err();
    assert!(error.to_string().contains(expected), "{error}");
}

#[test]
fn a_kernel_that_is_far_beyond_the_limit_is_destroyed() {
    let gateway = gateway_with(|config| config.with_max_disk(MIB));
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    // Files that take disk without being written; each is below the limit of one.
    if client.run(&kernel, "fallocate -l 1M f").exit_code() != Some(0) {
        eprintln!("SKIPPED: no fallocate on this file system");
        return;
    }
    // Each program is killed when its file is seen, and the next one may be destroyed before there is a response.
    for number in 0..20 {
        let fill = format!("fallocate -l 600M f{number}; sleep 20");
        let started = client.call(&Execute::start(kernel.clone(), ExecuteMode::query(fill)));
        let mut next = started.map(|first| first.status);
        while matches!(next, Ok(ExecutionStatus::Continued)) {
            let continued = Execute::start(kernel.clone(), ExecuteMode::query(""));
            next = client.call(&continued).map(|result| result.status);
        }
        if next.is_err() {
            break;
        }
    }
    wait_until("it is destroyed", || gateway.stats().kernels == 0);
    assert_eq!(gateway.stats().kernels, 0);
}

#[test]
fn an_upload_without_room_is_rejected_and_stores_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path();
    let gateway = gateway_with(|config| config.with_max_disk(3 * MIB).with_directory(place));
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    let large = vec![b'x'; 900 * 1024];
    client
        .upload(&kernel, &[("a", &large), ("b", &large)])
        .unwrap();
    let error = client
        .upload(&kernel, &[("c", &large), ("d", &large)])
        .unwrap_err();
    let text = error.to_string();
    let expected = "no room for the upload: the kernel has a disk limit of 3 MiB, of which 1 MiB";
    assert!(text.contains("400") && text.contains(expected), "{text}");
    assert_eq!(client.run(&kernel, "ls").finished().0, "a\nb\n");
    let base = std::fs::read_dir(place).unwrap().next().unwrap().unwrap();
    let home = std::fs::read_dir(base.path().join("kernel-0")).unwrap();
    let mut names = home.map(|entry| entry.unwrap().file_name());
    assert!(!names.any(|name| name.to_string_lossy().starts_with(".tmp")));
    client.upload(&kernel, &[("c", &large)]).unwrap();
    let (_, result) = client.query(&kernel, "rm b");
    assert_eq!(result.status, ExecutionStatus::Finished);
    client.upload(&kernel, &[("d", &large)]).unwrap();
}

/// The same request without a length: its body in one chunk, without the last one.
fn in_a_chunk(request: &[u8]) -> Vec<u8> {
    let end = request.windows(4).position(|part| part == b"\r\n\r\n");
    let (head, body) = request.split_at(end.unwrap() + 4);
    let head = String::from_utf8(head.to_vec()).unwrap();
    let lines = head.lines().filter(|line| !line.is_empty());
    let is_length = |line: &&str| line.to_lowercase().starts_with("content-length:");
    let mut head: String = lines
        .filter(|line| !is_length(line))
        .map(|line| format!("{line}\r\n"))
        .collect();
    head += &format!("transfer-encoding: chunked\r\n\r\n{:x}\r\n", body.len());
    [head.as_bytes(), body, b"\r\n"].concat()
}

#[test]
fn uploads_that_do_not_say_how_long_they_are_have_no_room_twice() {
    let gateway = gateway_with(|config| config.with_max_disk(3 * MIB));
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    let large = vec![b'x'; 900 * 1024];
    let mut open = Vec::new();
    let (mut refused, mut text) = (0, String::new());
    for number in 0..6 {
        let names = [format!("a{number}"), format!("b{number}")];
        let files: Vec<_> = names.iter().map(|name| (&**name, &*large)).collect();
        let upload = client.upload_of(&kernel, &files);
        let request = in_a_chunk(&client.bytes_of(&upload, SystemTime::now()));
        let mut stream = client.connect();
        stream.write_all(&request).unwrap();
        open.push(stream);
    }
    for mut stream in open {
        // The gateway may have answered already.
        let _ = stream.write_all(b"0\r\n\r\n");
        let answer = read_response(&mut stream);
        if answer.status() != 204 {
            refused += 1;
            text = String::from_utf8(answer.into_body().to_vec()).unwrap();
        }
    }
    assert!(refused >= 5, "{refused}");
    assert!(text.contains("disk limit of 3 MiB"), "{text}");
    // What was kept for them is free again.
    client.query(&kernel, "rm -f *");
    let files = [("c", &*large), ("d", &large)];
    client.upload(&kernel, &files).unwrap();
}

#[test]
fn uploads_add_no_more_files_and_directories_than_there_may_be() {
    let gateway = gateway_with(|config| config.with_max_files(100));
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    let directories = "d/".repeat(90);
    let of = |file: &str| format!("{directories}{file}");
    client.upload(&kernel, &[(&of("file"), b"1")]).unwrap();
    // What is there already takes no more.
    client.upload(&kernel, &[(&of("file"), b"2")]).unwrap();
    let many: Vec<String> = (0..15).map(|number| number.to_string()).collect();
    let many: Vec<_> = many.iter().map(|name| (&**name, &b"x"[..])).collect();
    let deep = format!("{}file", "e/".repeat(30));
    let too_long = format!("{}file", "f/".repeat(2_000));
    for (files, expected) in [
        (&many[..], "limit of 100 files and directories, of which"),
        (
            &[(&*deep, &b"x"[..])],
            "limit of 100 files and directories, of which",
        ),
        (&[(&*too_long, &b"x"[..])], "is longer than 3500 bytes"),
    ] {
        let error = client.upload(&kernel, files).unwrap_err().to_string();
        assert!(error.to_lowercase().contains(expected), "{error}");
    }
    assert_eq!(
        client
            .run(&kernel, &format!("cat {}", of("file")))
            .finished()
            .0,
        "2"
    );
}
