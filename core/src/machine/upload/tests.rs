use super::*;
use crate::body::Segment;
use crate::machine::testing::{Driver, caller, problem, reply};
use crate::ops::testing::kernel;

const UPLOAD: &str = "POST /v2/kernel/k1/upload";

fn upload(sizes: &[u64]) -> Driver<Upload> {
    let files = sizes
        .iter()
        .enumerate()
        .map(|(index, size)| UploadFile::from_file(format!("f{index}"), "x", *size).unwrap())
        .collect();
    let boundary = Boundary::from_random([1; 16]);
    Driver::new(Upload::new(kernel(), files, boundary, caller()))
}

/// The number of files in the request it sends.
#[track_caller]
fn sends_files(upload: &mut Driver<Upload>) -> usize {
    let transmit = upload.sends(UPLOAD);
    let segments = transmit.request.body().segments();
    segments.iter().filter(|s| s.path().is_some()).count()
}

#[test]
fn a_hundred_files_take_six_requests() {
    let mut upload = upload(&[10; 100]);
    for (files, total) in [(19, 19), (19, 38), (19, 57), (19, 76), (19, 95), (5, 100)] {
        assert_eq!(sends_files(&mut upload), files);
        upload.answers(reply(204, ""));
        let progress = upload.event();
        assert_eq!((progress.files, progress.bytes), (total, total as u64 * 10));
    }
    assert_eq!(upload.done().unwrap().total_bytes, 1000);
    assert!(matches!(upload.poll(), Step::Idle));
}

#[test]
fn small_files_go_first() {
    let mut upload = upload(&[5, 1, 3]);
    let transmit = upload.sends(UPLOAD);
    let sizes: Vec<u64> = transmit
        .request
        .body()
        .segments()
        .iter()
        .filter(|segment| segment.path().is_some())
        .map(crate::body::Segment::len)
        .collect();
    assert_eq!(sizes, [1, 3, 5]);
}

#[test]
fn directories_go_last_and_the_inner_ones_first() {
    let large = 2 * 1024 * 1024;
    for (size, expected) in [
        (7, vec![vec!["a/b/f", "z", "a/b/c", "a/b", "a"]]),
        (
            large,
            vec![vec!["z"], vec![], vec!["a/b/f"], vec!["a/b/c", "a/b", "a"]],
        ),
    ] {
        let directory = |name: &str| UploadFile::directory(name).unwrap();
        let file = |name: &str, size| UploadFile::from_file(name, "x", size).unwrap();
        let files = vec![
            directory("a"),
            directory("a/b"),
            file("a/b/f", size),
            directory("a/b/c"),
            file("z", 9),
        ];
        let boundary = Boundary::from_random([1; 16]);
        let upload = Upload::new(kernel(), files, boundary, caller())
            .with_modes(true)
            .with_any_size(true);
        let mut upload = Driver::new(upload);
        let mut sent = Vec::new();
        while sent.len() < expected.len() {
            let request = match upload.poll() {
                Step::Send(transmit) => transmit.request,
                Step::Event(_) => continue,
                step => panic!("{step:?}"),
            };
            let names = request.body().segments().iter().flat_map(|segment| {
                let Segment::Bytes(head) = segment else {
                    return Vec::new();
                };
                let head = String::from_utf8_lossy(head).into_owned();
                let names = head.split("filename=\"").skip(1);
                let names = names.map(|rest| rest.split('"').next().unwrap().to_owned());
                names.collect()
            });
            sent.push(names.collect::<Vec<_>>());
            upload.answers(reply(204, ""));
        }
        assert_eq!(sent, expected);
    }
}

#[test]
fn an_empty_upload_is_done_at_once() {
    assert_eq!(upload(&[]).done().unwrap().files, 0);
}

#[test]
fn a_file_over_the_limit_ends_it_before_anything_is_sent() {
    let error = upload(&[1, 1024 * 1024 + 1]).done().unwrap_err();
    assert!(
        error.to_string().starts_with("f1 has 1048577 bytes"),
        "{error}"
    );
}

#[test]
fn sizes_that_overflow_end_it_like_other_large_ones() {
    let mut upload = upload(&[1, u64::MAX]);
    assert_eq!(upload.machine.progress().total_bytes, u64::MAX);
    assert!(matches!(upload.done(), Err(Error::Build(_))));
}

#[test]
fn a_rejected_request_is_repeated_then_sent_file_by_file_then_reported() {
    let mut upload = upload(&[1, 2, 3]);
    for _ in 0..2 {
        assert_eq!(sends_files(&mut upload), 3);
        upload.answers(problem(400, "generic-bad-request"));
    }
    assert_eq!(sends_files(&mut upload), 1);
    upload.answers(reply(204, ""));
    assert_eq!(upload.event().files, 1);
    for _ in 0..2 {
        assert_eq!(sends_files(&mut upload), 1);
        upload.answers(problem(400, "generic-bad-request"));
    }
    assert_eq!(sends_files(&mut upload), 1);
    upload.answers(reply(204, ""));
    assert_eq!(upload.event().files, 2);
    let error = upload.done().unwrap_err();
    let Error::FilesRejected(files) = &error else {
        panic!("{error:?}")
    };
    assert_eq!(files.len(), 1);
    assert_eq!(files[0].name, "f1");
    assert!(error.to_string().contains("\"f1\""), "{error}");
}

#[test]
fn an_error_of_the_request_itself_ends_it() {
    for (status, kind) in [
        (401, "auth-failed"),
        (404, "kernel-not-found"),
        (400, "invalid-auth-params"),
    ] {
        let mut upload = upload(&[1, 2]);
        sends_files(&mut upload);
        upload.answers(problem(status, kind));
        let error = upload.done().unwrap_err();
        assert_eq!(error.gateway().unwrap().kind_name(), Some(kind));
    }
}

#[test]
fn large_files_have_requests_of_their_own_where_the_gateway_takes_them() {
    let files = || {
        let file = |name: &str, size| UploadFile::from_file(name, "x", size).unwrap();
        vec![
            file("big", 1 << 30),
            file("a", 1),
            file("huge", 1 << 40),
            file("b", 2),
        ]
    };
    let new = || Upload::new(kernel(), files(), Boundary::from_random([1; 16]), caller());
    let mut refused = Driver::new(new().with_any_size(false));
    assert!(matches!(refused.done(), Err(Error::Build(_))));
    let mut upload = Driver::new(new().with_any_size(true));
    // The small ones; then each of the others, after it was asked whether there is room.
    for (query, status, files) in [
        (None, 204, Some(2)),
        (Some("size=any&room=1073741824"), 204, None),
        (Some("size=any"), 204, Some(3)),
        (Some("size=any&room=1099511627776"), 400, None),
    ] {
        let sent = upload.sends("POST /v2/kernel/k1/upload");
        assert_eq!(sent.request.uri().query(), query);
        upload.answers(match status {
            204 => reply(204, ""),
            status => problem(status, "generic-bad-request"),
        });
        if let Some(files) = files {
            assert_eq!(upload.event().files, files);
        }
    }
    let Err(Error::FilesRejected(rejected)) = upload.done() else {
        panic!("one was rejected");
    };
    assert_eq!(rejected[0].name, "huge");
}
