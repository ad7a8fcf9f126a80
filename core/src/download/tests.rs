use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};

use super::*;
use crate::error::{Error, UnpackError};

/// An archive with entries of these kinds, paths and contents.
fn archive(entries: &[(u8, &str, &str)]) -> Vec<u8> {
    let mut archive = Vec::new();
    for (kind, path, content) in entries {
        let mut header = ::tar::Header::new_ustar();
        header.set_entry_type(::tar::EntryType::new(*kind));
        // Not `set_path`, which rejects what is tried here.
        header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        archive.extend_from_slice(header.as_bytes());
        archive.extend_from_slice(content.as_bytes());
        archive.resize(archive.len().next_multiple_of(512), 0);
    }
    archive.resize(archive.len() + 1024, 0);
    archive
}

fn file(path: &str, content: &str) -> Vec<u8> {
    archive(&[(b'0', path, content)])
}

fn body(archives: &[Vec<u8>]) -> Vec<u8> {
    let mut body = Vec::new();
    for archive in archives {
        body.extend_from_slice(b"--b\r\nContent-Encoding: identity\r\n\r\n");
        body.extend_from_slice(archive);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--b--\r\n");
    body
}

fn headers() -> HeaderMap {
    let value = HeaderValue::from_static("multipart/mixed; boundary=b");
    HeaderMap::from_iter([(CONTENT_TYPE, value)])
}

fn unpacker(files: &[&str], limits: UnpackLimits) -> Unpacker {
    Unpacker::new(files, &headers(), limits).unwrap()
}

/// What a response unpacks to: a line for each entry, a file's with its content.
fn unpack(unpacker: &mut Unpacker, body: &[u8]) -> Result<Vec<String>, UnpackError> {
    let mut lines = Vec::new();
    for chunk in body.chunks(1000) {
        unpacker.feed(Bytes::copy_from_slice(chunk));
        while let Some(event) = unpacker.next_event()? {
            match event {
                UnpackEvent::Directory(entry) => lines.push(format!("{}/", entry.path)),
                UnpackEvent::FileStart(entry) => lines.push(format!("{} ", entry.path)),
                UnpackEvent::Data(data) => {
                    *lines.last_mut().unwrap() += std::str::from_utf8(&data).unwrap();
                }
                UnpackEvent::FileEnd => *lines.last_mut().unwrap() += "$",
                UnpackEvent::LeftOut { path, kind } => lines.push(format!("{path}: {kind}")),
            }
        }
    }
    unpacker.finish().map(|()| lines)
}

fn unpack_of(files: &[&str], archives: &[Vec<u8>]) -> Result<Vec<String>, UnpackError> {
    unpack(&mut unpacker(files, UnpackLimits::new()), &body(archives))
}

#[test]
fn entries_come_under_the_paths_that_were_requested() {
    let directory = archive(&[
        (b'5', "x/", ""),
        (b'0', "./x/1", "one"),
        (b'0', "x/y/2", ""),
    ]);
    let lines = unpack_of(
        &["a/x", "/home/work/b/x", "x"],
        &[file("x", "A"), directory, file("x", "X")],
    );
    assert_eq!(
        lines.unwrap(),
        ["a/x A$", "b/x/", "b/x/1 one$", "b/x/y/2 $", "x X$"]
    );
}

#[test]
fn paths_that_leave_the_directory_are_rejected_by_name() {
    for path in ["../x", "/x", "x/../../y", "x/..", ".."] {
        for kind in [b'0', b'5', b'2'] {
            let error = unpack_of(&["x"], &[archive(&[(kind, path, "")])]).unwrap_err();
            let UnpackError::UnsafePath { path: named, .. } = &error else {
                panic!("{path}: {error}");
            };
            assert_eq!(named, path);
        }
    }
}

#[test]
fn entries_that_were_not_requested_are_rejected_by_name() {
    for path in ["y", ".bashrc", "xx", "y/x", ".", ""] {
        let error = unpack_of(&["a/x"], &[file(path, "")]).unwrap_err();
        let (path, requested) = (path.to_owned(), "a/x".to_owned());
        assert_eq!(error, UnpackError::NotRequested { path, requested });
    }
}

#[test]
fn links_and_devices_are_rejected_by_name() {
    for kind in *b"12346SV" {
        let error = unpack_of(&["x"], &[archive(&[(kind, "x", "")])]).unwrap_err();
        let UnpackError::Unsupported { path, .. } = &error else {
            panic!("{kind}: {error}");
        };
        assert_eq!(path, "x");
    }
    let error = unpack_of(&["x"], &[archive(&[(b'2', "x", "")])]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "x in the download is a symbolic link: only files and directories are unpacked"
    );
}

#[test]
fn links_in_a_directory_are_left_out_by_name() {
    let entries = archive(&[
        (b'5', "x", ""),
        (b'2', "x/link", ""),
        (b'0', "x/1", "one"),
        (b'1', "x/hard", ""),
        (b'6', "x/pipe", ""),
    ]);
    assert_eq!(
        unpack_of(&["d/x"], &[entries]).unwrap(),
        [
            "d/x/",
            "d/x/link: a symbolic link",
            "d/x/1 one$",
            "d/x/hard: a hard link",
            "d/x/pipe: a named pipe"
        ]
    );
    // What may be followed by content, or is not of a known size, still ends it.
    for (kind, content) in [(b'1', "content"), (b'S', ""), (b'Z', "")] {
        let entries = archive(&[(b'5', "x", ""), (kind, "x/y", content)]);
        let error = unpack_of(&["x"], &[entries]).unwrap_err();
        assert!(matches!(error, UnpackError::Unsupported { .. }), "{error}");
    }
}

#[cfg(unix)]
#[test]
fn names_that_are_plain_on_unix_are_unpacked() {
    let entries = archive(&[
        (b'5', "x", ""),
        (b'0', "x/C:y", "1"),
        (b'0', "x/a\\..\\b", "2"),
    ]);
    assert_eq!(
        unpack_of(&["x"], &[entries]).unwrap(),
        ["x/", "x/C:y 1$", "x/a\\..\\b 2$"]
    );
}

#[test]
fn it_is_complete_as_soon_as_all_has_come() {
    let mut unpacker = unpacker(&["x"], UnpackLimits::new());
    let whole = body(&[file("x", "1")]);
    let (all, end) = whole.split_at(whole.len() - 3);
    assert!(!unpacker.is_complete());
    assert_eq!(unpack(&mut unpacker, all), Err(UnpackError::Truncated));
    assert!(!unpacker.is_complete());
    unpack(&mut unpacker, end).unwrap();
    assert!(unpacker.is_complete());
    // One of two is not all.
    let mut unpacker = self::unpacker(&["x", "y"], UnpackLimits::new());
    assert!(unpack(&mut unpacker, &whole).is_err());
    assert!(!unpacker.is_complete());
}

#[test]
fn sizes_and_numbers_are_limited() {
    let entries = archive(&[(b'5', "x", ""), (b'0', "x/1", "12345"), (b'0', "x/2", "")]);
    let body = body(&[entries]);
    let length = body.len() as u64;
    let limits = UnpackLimits::new();
    let unpack = |limits| unpack(&mut unpacker(&["x"], limits), &body);
    assert!(unpack(limits.with_max_entries(3).with_max_size(length)).is_ok());
    let error = unpack(limits.with_max_entries(2)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the download has too many files and directories (limit 2)"
    );
    let error = unpack(limits.with_max_size(length - 1)).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("the download has too many bytes"),
        "{error}"
    );
}

#[test]
fn a_file_over_the_limit_is_rejected_before_its_content() {
    let mut header = ::tar::Header::new_gnu();
    header.set_path("x").unwrap();
    header.set_size(1 << 40);
    header.set_mode(0o644);
    header.set_cksum();
    let error = unpack_of(&["x"], &[header.as_bytes().to_vec()]).unwrap_err();
    assert_eq!(
        error,
        UnpackError::TooLarge {
            what: "bytes",
            limit: 1 << 30
        }
    );
    // Sizes whose sum is no number.
    header.set_size(u64::MAX);
    header.set_cksum();
    let limits = UnpackLimits::new().with_max_size(u64::MAX);
    let two = [file("y", "1"), header.as_bytes().to_vec()];
    let error = unpack(&mut unpacker(&["y", "x"], limits), &body(&two)).unwrap_err();
    assert!(matches!(error, UnpackError::TooLarge { .. }), "{error}");
}

#[test]
fn a_response_that_ends_early_is_truncated() {
    let body = body(&[file("x", "1")]);
    for end in 0..body.len() - 2 {
        let error = unpack(&mut unpacker(&["x"], UnpackLimits::new()), &body[..end]).unwrap_err();
        assert_eq!(error, UnpackError::Truncated, "{end}");
    }
    let mut unpacker = unpacker(&["x"], UnpackLimits::new());
    unpacker.feed(Bytes::from(body));
    assert_eq!(
        unpacker.finish(),
        Err(UnpackError::Truncated),
        "events are left"
    );
}

#[test]
fn an_archive_that_ends_early_or_holds_nothing_is_rejected_with_what_was_requested() {
    let whole = file("x", "1");
    for end in [0, 511, 512, 513, 1024] {
        let error = unpack_of(&["a/x"], &[whole[..end].to_vec()]).unwrap_err();
        let text = "the archive with a/x cannot be read: it ends too early";
        assert_eq!(error.to_string(), text, "{end}");
    }
    let error = unpack_of(&["x"], &[archive(&[])]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the archive with x cannot be read: it is empty"
    );
}

#[test]
fn there_are_as_many_archives_as_files() {
    let error = unpack_of(&["x", "y"], &[file("x", "")]).unwrap_err();
    assert_eq!(
        error,
        UnpackError::Parts {
            requested: 2,
            given: 1
        }
    );
    let error = unpack_of(&["x"], &[file("x", ""), file("y", "")]).unwrap_err();
    assert_eq!(
        error,
        UnpackError::Parts {
            requested: 1,
            given: 2
        }
    );
}

#[test]
fn an_error_stays() {
    let mut unpacker = unpacker(&["x"], UnpackLimits::new());
    let error = unpack(&mut unpacker, &body(&[file("y", "")])).unwrap_err();
    unpacker.feed(Bytes::from_static(b"more"));
    assert_eq!(unpacker.next_event(), Err(error.clone()));
    assert_eq!(unpacker.finish(), Err(error));
}

#[test]
fn only_multipart_without_compression_is_unpacked() {
    let mut zipped = headers();
    zipped.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    for headers in [HeaderMap::new(), zipped] {
        let error = Unpacker::new(&["x"], &headers, UnpackLimits::new()).unwrap_err();
        assert!(matches!(
            error,
            Error::Unpack(UnpackError::NotMultipart { .. })
        ));
    }
    let error = Unpacker::new(&["../x"], &headers(), UnpackLimits::new()).unwrap_err();
    assert!(matches!(error, Error::Build(_)));
}
