//! Files, logs and names of sessions.

use sorna_core::download::{UnpackEvent, UnpackLimits};
use sorna_core::machine::{ExplainDownload, Machine, Step};
use sorna_core::*;

use crate::support::response;

const V7: ApiVersion = ApiVersion::V7_20230615;
const V9: ApiVersion = ApiVersion::V9_20250722;

fn kernel() -> KernelId {
    KernelId::new("cap-55847").expect("an id")
}

fn download(files: &[&str]) -> Download {
    let files = files.iter().map(|file| (*file).to_owned()).collect();
    Download::new(kernel(), files)
}

fn list(recorded: &str) -> Result<FileListing, Error> {
    let reply = ListFiles::new(kernel(), ".").read_response(V7, response(recorded));
    Ok(reply?.value)
}

#[test]
fn listings() {
    let listing = list("23.09.10/15-files").expect("a list");
    let files = listing.files.iter();
    let found: Vec<_> = files
        .map(|file| (&file.name[..], file.size, file.is_directory()))
        .collect();
    assert_eq!(
        found,
        [
            ("main.py", 20, false),
            (".ipython", 4096, true),
            (".local", 4096, true),
            ("sub%2Fdata.bin", 32, false),
        ]
    );
    assert_eq!((&listing.path[..], &listing.errors[..]), (".", ""));

    let listing = list("26.9.6/139-files-query").expect("a list");
    let [file] = &listing.files[..] else {
        panic!("{listing:?}")
    };
    assert_eq!((&file.name[..], &file.mode[..]), ("b.txt", "-rw-r--r--"));
    let modified = file.modified.expect("a time");
    let modified = modified.duration_since(std::time::UNIX_EPOCH);
    let seconds = modified.expect("since 1970").as_secs_f64();
    assert!((seconds - 1_795_755_921.690_422).abs() < 1e-6, "{seconds}");
    assert!(file.extra.is_empty());
}

#[test]
fn a_directory_that_does_not_exist() {
    let error = list("26.9.6/143-files-missing").expect_err("an error");
    assert_eq!(
        error.to_string(),
        "the directory cannot be listed: FileNotFoundError: No such file or directory: 'nope'"
    );
    let error = error.gateway().expect("a response");
    assert!(matches!(error.error_body(), ErrorBody::Reported { .. }));
    assert_eq!(
        error.message(),
        Some("FileNotFoundError: No such file or directory: 'nope'\n")
    );
    let error = list("26.9.6/144-files-outside").expect_err("an error");
    assert_eq!(error.gateway().expect("a response").status(), 500);
}

#[test]
fn downloads() {
    let reply = download(&["main.py"])
        .read_response(V7, response("23.09.10/16-download"))
        .expect("a file");
    let [file] = &reply.value[..] else {
        panic!("{reply:?}")
    };
    assert_eq!((&file.path[..], file.mode), ("main.py", 0o644));
    assert_eq!(file.content.len(), 20);
    assert_eq!(reply.rate_limit.expect("a limit").remaining, Some(29900));

    let recorded = "26.9.6/151-download-post-query";
    let reply = download(&["a/b.txt", "main.py"]).read_response(V9, response(recorded));
    let files = reply.expect("two files").value;
    let paths: Vec<_> = files.iter().map(|file| &file.path[..]).collect();
    assert_eq!(paths, ["a/b.txt", "main.py"]);
    assert_eq!(files[0].content, "bb");
    assert_eq!(files[1].content.len(), 20);
}

#[test]
fn a_download_in_pieces_of_any_size() {
    let (head, body) = response("26.9.6/151-download-post-query").into_parts();
    let unpack = |size| {
        let download = download(&["a/b.txt", "main.py"]);
        let unpacker = download.unpacker(&head.headers, UnpackLimits::default());
        let mut unpacker = unpacker.expect("an unpacker");
        let mut found = Vec::new();
        for chunk in body.chunks(size) {
            unpacker.feed(bytes::Bytes::copy_from_slice(chunk));
            while let Some(event) = unpacker.next_event().expect("no error") {
                match (event, found.last_mut()) {
                    (UnpackEvent::FileStart(entry), _) => found.push((entry.path, Vec::new())),
                    (UnpackEvent::Data(data), Some((_, content))) => {
                        content.extend_from_slice(&data);
                    }
                    _ => {}
                }
            }
        }
        unpacker.finish().expect("all of it");
        found
    };
    let whole = unpack(body.len());
    assert_eq!(whole[0], ("a/b.txt".to_owned(), b"bb".to_vec()));
    for size in [1, 3, 511, 512, 4096] {
        assert_eq!(unpack(size), whole, "{size}");
    }
}

#[test]
fn a_download_in_which_another_file_comes_is_rejected() {
    let recorded = "26.9.6/151-download-post-query";
    let error = download(&["main.py", "a/b.txt"]).read_response(V9, response(recorded));
    let error = error.expect_err("the order is another");
    assert_eq!(
        error.to_string(),
        "the download has b.txt, which was not requested: the request was for main.py"
    );
}

#[test]
fn one_file() {
    let recorded = "26.9.6/154-download-single-post-query";
    let reply = DownloadSingle::new(kernel(), "a/b.txt").read_response(V9, response(recorded));
    assert_eq!(reply.expect("a file").value, "bb");
}

#[test]
fn the_method_follows_what_the_manager_takes() {
    let recorded = "26.9.6/145-download-get-query";
    let mut download = download(&["a/b.txt"]);
    let method = |download: &Download| {
        let request = download.prepare(V7).expect("a request");
        request.method().to_string()
    };
    assert_eq!(method(&download), "GET");
    let error = download.read_response(V7, response(recorded));
    let error = error.expect_err("a method that is not allowed");
    assert!(download.adapt(V7, error.gateway().expect("a response")));
    assert_eq!(method(&download), "POST");
}

#[test]
fn missing_files_are_named() {
    let keys = Credentials::new(
        AccessKey::new("AKIAIOSFODNN7EXAMPLE").expect("a key"),
        SecretKey::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY").expect("a key"),
    );
    let endpoint = "http://127.0.0.1:8094".parse().expect("an endpoint");
    let config = Config::new(endpoint, keys).with_version(V9);
    let caller = Caller::new(Signer::new(config));
    let now = Moment::new(std::time::UNIX_EPOCH, Instant::default(), 0);
    for (failed, listed, name) in [
        (
            "23.09.10/31-download-missing",
            "23.09.10/15-files",
            "missing",
        ),
        (
            "26.9.6/159-download-missing",
            "26.9.6/139-files-query",
            "nope",
        ),
    ] {
        let files = vec![name.to_owned()];
        let error = download(&[name]).read_response(V9, response(failed));
        let error = error.expect_err("a failure");
        let mut explain = ExplainDownload::new(kernel(), files, error, caller.clone());
        assert!(matches!(explain.poll(now), Step::Send(_)));
        explain.handle_response(now, response(listed));
        let Step::Done(error) = explain.poll(now) else {
            panic!("it is not done")
        };
        assert_eq!(error.to_string(), format!("{name} does not exist"));
        assert_eq!(error.gateway().expect("a response").status(), 500);
    }
}

#[test]
fn other_downloads_that_fail() {
    let read = |recorded| {
        let error = download(&["a"]).read_response(V9, response(recorded));
        error.expect_err("an error").to_string()
    };
    let six = read("26.9.6/161-download-six");
    assert_eq!(
        six,
        "the gateway responded with 400 vfolder-operation-failed: Too many files (maximum 5 files allowed)"
    );
    let body_alone = read("26.9.6/152-download-post-body");
    assert!(
        body_alone.starts_with("the gateway responded with 400 generic-bad-request"),
        "{body_alone}"
    );
}

#[test]
fn logs_and_history() {
    let recorded = "26.9.6/91-client-logs";
    let logs = Logs::new(kernel()).read_response(V9, response(recorded));
    let logs = logs.expect("logs").value;
    assert_eq!(logs.lines().count(), 4);
    assert!(logs.starts_with("[IPKernelApp] WARNING"), "{logs}");

    let recorded = "26.9.6/92-client-status-history";
    let history = StatusHistory::new(kernel()).read_response(V9, response(recorded));
    let history = history.expect("a history").value;
    let statuses: Vec<_> = history.iter().map(|change| &change.status[..]).collect();
    let expected = [
        "PENDING",
        "SCHEDULED",
        "PREPARING",
        "PREPARED",
        "CREATING",
        "RUNNING",
    ];
    assert_eq!(statuses, expected);
    let last = history[5].time.as_deref();
    assert_eq!(last, Some("2026-11-27T05:04:30.657978+00:00"));
}

#[test]
fn names_and_interrupts() {
    let rename = || {
        let name = SessionToken::new("cap-55847-r").expect("a name");
        Rename::new(kernel(), name)
    };
    let done = rename().read_response(V9, response("26.9.6/185-rename"));
    assert!(done.is_ok());
    let recorded = "26.9.6/182-rename-taken";
    let error = rename()
        .read_response(V9, response(recorded))
        .expect_err("it is taken");
    let kind = error.gateway().expect("a response").kind();
    assert_eq!(kind, Some(ProblemKind::SessionAlreadyExists));

    for recorded in ["23.09.10/26-interrupt", "26.9.6/178-interrupt"] {
        let done = Interrupt::new(kernel()).read_response(V7, response(recorded));
        assert!(done.is_ok());
    }
}
