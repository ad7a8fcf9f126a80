use std::time::Duration;

use serde_json::json;

use super::*;
use crate::error::{ErrorBody, NotStored, Sent, TransportErrorKind};
use crate::machine::testing::{Driver, caller_for, problem, reply};
use crate::ops::testing::kernel;
use crate::version::ApiVersion;

const VERSION: ApiVersion = ApiVersion::V9_20250722;
const UPLOAD: &str = "POST /session/k1/upload";
const LIST: &str = "GET /session/k1/files";

fn machine(files: &[(&str, u64)]) -> Upload {
    let files = files.iter();
    let files = files.map(|(name, size)| UploadFile::from_file(*name, "x", *size).unwrap());
    let boundary = Boundary::from_random([1; 16]);
    Upload::new(kernel(), files.collect(), boundary, caller_for(VERSION))
}

/// An upload in one request, which the manager accepts.
fn uploaded(files: &[(&str, u64)]) -> Driver<Upload> {
    let mut upload = Driver::new(machine(files));
    upload.sends(UPLOAD);
    upload.answers(reply(204, ""));
    assert_eq!(upload.event().files, files.len());
    upload
}

fn listing_of(path: &str, files: &[(&str, &str, u64)]) -> Response<Bytes> {
    let files: Vec<_> = files
        .iter()
        .map(|(mode, name, size)| json!({"mode": mode, "filename": name, "size": size}))
        .collect();
    let files = format!("{}\n", serde_json::to_string(&files).unwrap());
    let body = json!({"files": files, "errors": "", "abspath": path});
    reply(200, &body.to_string())
}

/// What a manager says of something that is no directory.
fn unlistable() -> Response<Bytes> {
    let error = "Traceback (most recent call last):\nNotADirectoryError: [Errno 20]\n";
    let body = json!({"files": "", "errors": error, "abspath": ""});
    reply(200, &body.to_string())
}

impl Driver<Upload> {
    #[track_caller]
    fn lists(&mut self, path: &str, response: Response<Bytes>) {
        let expected = json!({"path": path}).to_string();
        assert_eq!(self.sends_body(LIST), expected);
        assert!(self.machine.is_in_flight());
        assert!(matches!(self.poll(), Step::Idle));
        self.answers(response);
        assert!(!self.machine.is_in_flight());
    }

    /// The files that are not there.
    #[track_caller]
    fn not_stored(&mut self) -> Vec<(String, NotStored)> {
        let Err(Error::FilesRejected(files)) = self.done() else {
            panic!("files are missing");
        };
        assert!(matches!(self.poll(), Step::Idle));
        let files = files.into_iter();
        let files = files.map(|file| match file.error.error_body() {
            ErrorBody::NotStored(reason) => (file.name, reason.clone()),
            body => panic!("{body:?}"),
        });
        files.collect()
    }
}

const FILE: &str = "-rw-r--r--";
const DIR: &str = "drwxr-xr-x";

#[test]
fn each_directory_is_listed_once_the_deepest_first() {
    let files = [("b", 1), ("a/b/c", 2), ("a/b/d", 3), ("é", 4), ("a/e", 0)];
    let mut upload = uploaded(&files);
    let there = [(FILE, "c", 2), (FILE, "d", 3), (FILE, "z", 9)];
    upload.lists("a/b", listing_of("a/b", &there));
    let there = [(DIR, "b", 4096), (FILE, "e", 0)];
    upload.lists("a", listing_of("/home/work/a", &there));
    let there = [(FILE, "b", 1), (FILE, "é", 4), (DIR, "a", 4096)];
    upload.lists(".", listing_of(".", &there));
    let progress = upload.done().unwrap();
    assert_eq!((progress.files, progress.unchecked), (5, 0));
    assert!(matches!(upload.poll(), Step::Idle));
}

#[test]
fn what_is_not_there_is_named() {
    let files = [("a", 1), ("b", 2), ("c", 3), ("d", 4), ("e", 5)];
    let mut upload = uploaded(&files);
    let there = [(DIR, "b", 2), (FILE, "c", 0), (FILE, "e", 5)];
    upload.lists(".", listing_of("", &there));
    let Step::Done(Err(error)) = upload.poll() else {
        panic!("files are missing")
    };
    assert_eq!(
        error.to_string(),
        "the gateway did not store \"a\" (the gateway responded with 204, but the file is not there), \
         \"b\" (the gateway responded with 204, but there is a directory of this name), \
         \"c\" (the gateway responded with 204, but the file there has 0 bytes), \
         \"d\" (the gateway responded with 204, but the file is not there)"
    );
    assert!(!error.is_retryable() && !error.may_have_acted());
}

#[test]
fn a_directory_that_is_a_file_or_missing_is_looked_for_above() {
    let mut upload = uploaded(&[("f/x/y", 1), ("f/z", 1), ("g/a", 1), ("ok", 1)]);
    upload.lists("f/x", unlistable());
    upload.lists("f", unlistable());
    upload.lists("g", unlistable());
    let there = [(FILE, "f", 1), (FILE, "ok", 1)];
    upload.lists(".", listing_of(".", &there));
    let directory = |path: &str| NotStored::NoDirectory { path: path.into() };
    let expected = [
        ("f/x/y".to_owned(), directory("f")),
        ("f/z".to_owned(), directory("f")),
        ("g/a".to_owned(), directory("g")),
    ];
    assert_eq!(upload.not_stored(), expected);

    let mut upload = uploaded(&[("f/x/y", 1)]);
    upload.lists("f/x", unlistable());
    upload.lists("f", listing_of("f", &[(FILE, "w", 1)]));
    let expected = [("f/x/y".to_owned(), directory("f/x"))];
    assert_eq!(upload.not_stored(), expected);
}

#[test]
fn lists_that_say_nothing_leave_a_success_and_are_counted() {
    // A directory that is there, and cannot be listed for another reason.
    let mut upload = uploaded(&[("a/b", 1), ("a/c", 1), ("d", 1)]);
    upload.lists("a", unlistable());
    upload.lists(".", listing_of(".", &[(DIR, "a", 4096), (FILE, "d", 1)]));
    assert_eq!(upload.done().unwrap().unchecked, 2);

    // The work directory cannot be listed.
    let mut upload = uploaded(&[("a/b", 1), ("d", 1)]);
    upload.lists("a", unlistable());
    upload.lists(".", unlistable());
    assert_eq!(upload.done().unwrap().unchecked, 2);

    // The list is of another directory, as of a gateway that ignores the path.
    let mut upload = uploaded(&[("a/b", 1), ("d", 1)]);
    upload.lists("a", listing_of(".", &[(FILE, "d", 1)]));
    upload.lists(".", listing_of(".", &[(FILE, "d", 1)]));
    assert_eq!(upload.done().unwrap().unchecked, 1);

    // A link, something without a mode, and a name that a kernel without UTF-8 cannot write.
    let mut upload = uploaded(&[("a", 1), ("b", 1), ("é", 1), ("f", 1)]);
    let files = r#"[{"filename": "a", "mode": "lrwxrwxrwx", "size": 9}, {"filename": "b"}, {"filename": "\udcc3\udca9"}]"#;
    let body = json!({"files": files, "errors": "", "abspath": "."});
    upload.lists(".", reply(200, &body.to_string()));
    assert_eq!(upload.not_stored(), [("f".to_owned(), NotStored::Missing)]);
}

#[test]
fn other_failures_of_a_list_end_the_check() {
    for response in [
        problem(500, "internal-server-error"),
        problem(404, "entity-not-found"),
        reply(200, "<html>"),
    ] {
        let mut upload = uploaded(&[("a/b", 1), ("c", 1)]);
        upload.lists("a", response);
        let progress = upload.done().unwrap();
        assert_eq!((progress.files, progress.unchecked), (2, 2));
    }
    let mut upload = uploaded(&[("a/b", 1), ("c", 1)]);
    upload.sends(LIST);
    let failure = TransportError::new(TransportErrorKind::TooLarge, Sent::Maybe, "too large");
    upload.fails(failure);
    assert_eq!(upload.done().unwrap().unchecked, 2);
}

#[test]
fn a_list_is_retried_like_any_request() {
    let mut upload = uploaded(&[("a", 1)]);
    upload.lists(".", reply(503, ""));
    assert!(upload.waits() > Duration::ZERO);
    upload.lists(".", listing_of(".", &[]));
    assert_eq!(upload.not_stored(), [("a".to_owned(), NotStored::Missing)]);
}

#[test]
fn the_number_of_lists_is_bounded_and_large_directories_come_first() {
    let names: Vec<String> = (0..150).map(|n| format!("d{n:03}/f")).collect();
    let more = ["e/1", "e/2"].map(str::to_owned);
    let files = names.iter().chain(&more).map(|name| (name.as_str(), 1));
    let mut upload = Driver::new(machine(&files.collect::<Vec<_>>()));
    for _ in 0..8 {
        upload.sends(UPLOAD);
        upload.answers(reply(204, ""));
        upload.event();
    }
    let mut listed = Vec::new();
    let progress = loop {
        match upload.poll() {
            Step::Send(transmit) => {
                let body = transmit.request.body().as_bytes().unwrap_or_default();
                let body: serde_json::Value = serde_json::from_slice(body).unwrap();
                let path = body["path"].as_str().unwrap().to_owned();
                let there = [(FILE, "f", 1), (FILE, "1", 1), (FILE, "2", 1)];
                upload.answers(listing_of(&path, &there));
                listed.push(path);
            }
            Step::Done(result) => break result.unwrap(),
            step => panic!("{step:?}"),
        }
    };
    assert_eq!(listed.len(), 100);
    assert!(listed.contains(&"e".to_owned()));
    assert_eq!((progress.files, progress.unchecked), (152, 51));
}

#[test]
fn lists_that_take_long_end_the_check() {
    let mut upload = uploaded(&[("a/b", 1), ("c/d", 1), ("e", 1)]);
    upload.sends(LIST);
    upload.passes(Duration::from_secs(20));
    upload.answers(listing_of("a", &[(FILE, "b", 1)]));
    upload.sends(LIST);
    upload.passes(Duration::from_secs(20));
    upload.answers(listing_of("c", &[(FILE, "d", 1)]));
    assert_eq!(upload.done().unwrap().unchecked, 1);
}

#[test]
fn rejected_files_are_not_looked_for_and_are_named_with_the_others() {
    let mut upload = Driver::new(machine(&[("a/b", 1), ("c", 2)]));
    upload.sends(UPLOAD);
    upload.answers(problem(500, "kernel-execution-failed"));
    upload.sends(UPLOAD);
    upload.answers(problem(500, "kernel-execution-failed"));
    upload.sends(UPLOAD);
    upload.answers(reply(200, ""));
    upload.event();
    upload.lists(".", listing_of(".", &[]));
    let error = upload.done().unwrap_err();
    let Error::FilesRejected(files) = &error else {
        panic!("{error:?}")
    };
    assert_eq!(files[0].name, "a/b");
    assert_eq!(
        (&*files[1].name, files[1].error.status().as_u16()),
        ("c", 200)
    );
    assert!(error.to_string().starts_with("the gateway did not store "));
}

#[test]
fn nothing_is_listed_where_it_cannot_help() {
    let mut none = Driver::new(machine(&[]));
    assert_eq!(none.done().unwrap().files, 0);

    let mut all_rejected = Driver::new(machine(&[("a", 1)]));
    all_rejected.sends(UPLOAD);
    all_rejected.answers(problem(500, "kernel-execution-failed"));
    assert!(matches!(all_rejected.done(), Err(Error::FilesRejected(_))));

    let mut trusted = Driver::new(machine(&[("a", 1)]).with_check(false));
    trusted.sends(UPLOAD);
    trusted.answers(reply(204, ""));
    trusted.event();
    assert_eq!(trusted.done().unwrap().unchecked, 0);

    let caller = caller_for(ApiVersion::V2_20170315);
    let files = vec![UploadFile::from_bytes("a", "x").unwrap()];
    let upload = Upload::new(kernel(), files, Boundary::from_random([1; 16]), caller);
    let mut sorna = Driver::new(upload.with_check(true));
    sorna.sends("POST /v2/kernel/k1/upload");
    sorna.answers(reply(204, ""));
    sorna.event();
    assert_eq!(sorna.done().unwrap().files, 1);
}
